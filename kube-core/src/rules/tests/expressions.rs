//! Expressions of policies and webhooks are compiled when they are written.

use super::{check, check_update, created};
use crate::kind::Kinds;
use crate::rules::type_warnings;
use expect_test::{Expect, expect};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, ValidatingAdmissionPolicy, ValidatingWebhookConfiguration,
};

const RULES: &str = "matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}]}";

fn validating(spec: &str, expected: Expect) {
    check::<ValidatingAdmissionPolicy>(&format!("spec:\n  {RULES}\n{spec}"), expected);
}

fn mutating(spec: &str, expected: Expect) {
    check::<MutatingAdmissionPolicy>(&format!("spec:\n  reinvocationPolicy: Never\n  {RULES}\n{spec}"), expected);
}

#[test]
fn what_validations_say() {
    validating("  validations: [{expression: object.spec.replicas <= 5}]", expect![""]);
    validating(
        "  validations: [{expression: object.spec.replicas}, {expression: '1 +'}, {expression: x == 1}]",
        expect![[r#"
            spec.validations[0].expression: Invalid value: "object.spec.replicas": must evaluate to bool but got dyn
            spec.validations[1].expression: Invalid value: "1 +": compilation failed: ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}
             | 1 +
             | ...^
            spec.validations[2].expression: Invalid value: "x == 1": compilation failed: ERROR: <input>:1:1: undeclared reference to 'x' (in container '')
             | x == 1
             | ^
        "#]],
    );
    validating(
        "  validations: [{expression: 'true', messageExpression: '1'}, {expression: 'true', messageExpression: \"authorizer.path('/').check('get').allowed() ? 'a' : 'b'\"}]",
        expect![[r#"
            spec.validations[0].messageExpression: Invalid value: "1": must evaluate to string but got int
            spec.validations[1].messageExpression: Invalid value: "authorizer.path('/').check('get').allowed() ? 'a' : 'b'": compilation failed: ERROR: <input>:1:1: undeclared reference to 'authorizer' (in container '')
             | authorizer.path('/').check('get').allowed() ? 'a' : 'b'
             | ^
        "#]],
    );
}

#[test]
fn params_are_there_only_with_a_kind() {
    validating(
        "  validations: [{expression: params.max > 1}]",
        expect![[r#"
            spec.validations[0].expression: Invalid value: "params.max > 1": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')
             | params.max > 1
             | ^
        "#]],
    );
    validating(
        "  paramKind: {apiVersion: v1, kind: ConfigMap}\n  validations: [{expression: params.max > 1}]",
        expect![""],
    );
}

#[test]
fn variables_know_those_before_them() {
    validating(
        "  variables: [{name: a, expression: '1'}, {name: b, expression: variables.a + 1}]\n  validations: [{expression: variables.b == 2}]",
        expect![""],
    );
    validating(
        "  variables: [{name: b, expression: variables.a}, {name: a, expression: \"'x'\"}]\n  validations: [{expression: variables.a}, {expression: variables.c}]",
        expect![[r#"
            spec.variables[0].expression: Invalid value: "variables.a": compilation failed: ERROR: <input>:1:10: undefined field 'a'
             | variables.a
             | .........^
            spec.validations[0].expression: Invalid value: "variables.a": must evaluate to bool but got string
            spec.validations[1].expression: Invalid value: "variables.c": compilation failed: ERROR: <input>:1:10: undefined field 'c'
             | variables.c
             | .........^
        "#]],
    );
    validating(
        "  validations: [{expression: variables.a}]",
        expect![[r#"
            spec.validations[0].expression: Invalid value: "variables.a": compilation failed: ERROR: <input>:1:1: undeclared reference to 'variables' (in container '')
             | variables.a
             | ^
        "#]],
    );
}

#[test]
fn annotations_and_conditions() {
    validating(
        "  auditAnnotations: [{key: a, valueExpression: '1'}, {key: b, valueExpression: 'null'}]",
        expect![[r#"
            spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of [string null_type] but got int
        "#]],
    );
    validating(
        "  variables: [{name: a, expression: 'true'}]\n  matchConditions: [{name: a, expression: ' variables.a '}]\n  validations: [{expression: 'true'}]",
        expect![[r#"
            spec.matchConditions[0].expression: Invalid value: "variables.a": compilation failed: ERROR: <input>:1:1: undeclared reference to 'variables' (in container '')
             | variables.a
             | ^
        "#]],
    );
}

#[test]
fn what_mutations_make() {
    mutating(
        "  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{spec: Object.spec{replicas: 2}}'}}]",
        expect![""],
    );
    mutating(
        r#"  mutations: [{patchType: JSONPatch, jsonPatch: {expression: 'object.spec.replicas > 1 ? [JSONPatch{op: "remove", path: "/a"}] : []'}}]"#,
        expect![""],
    );
    mutating(
        "  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'object'}}, {patchType: JSONPatch, jsonPatch: {expression: '[1]'}}, {patchType: JSONPatch, jsonPatch: {expression: 'Object{}'}}]",
        expect![[r#"
            spec.mutations[0].applyConfiguration.expression: Invalid value: "object": must evaluate to Object but got dyn
            spec.mutations[1].jsonPatch.expression: Invalid value: "[1]": must evaluate to list(JSONPatch) but got list(int)
            spec.mutations[2].jsonPatch.expression: Invalid value: "Object{}": must evaluate to list(JSONPatch) but got Object
        "#]],
    );
}

fn webhooks(condition: &str) -> String {
    format!(
        "webhooks: [{{name: a.b.c, admissionReviewVersions: [v1], sideEffects: None, clientConfig: {{url: 'https://x'}}, matchConditions: [{{name: a, expression: '{condition}'}}]}}]"
    )
}

#[test]
fn conditions_of_webhooks_are_looked_at_when_they_change() {
    const WRONG: Expect = expect![[r#"
        webhooks[0].matchConditions[0].expression: Invalid value: "1": must evaluate to bool but got int
    "#]];
    check::<ValidatingWebhookConfiguration>(&webhooks("1"), WRONG);
    check_update::<ValidatingWebhookConfiguration>(&webhooks("true"), &webhooks("1"), WRONG);
    check_update::<ValidatingWebhookConfiguration>(&webhooks("1"), &webhooks("1"), expect![""]);
}

#[test]
fn conditions_of_policies_are_looked_at_when_they_change() {
    let policy = |condition: &str, param: &str| {
        format!(
            "spec:\n  {RULES}\n  {param}\n  matchConditions: [{{name: a, expression: '{condition}'}}]\n  validations: [{{expression: 'true'}}]"
        )
    };
    const PARAM: &str = "paramKind: {apiVersion: v1, kind: ConfigMap}";
    const WRONG: Expect = expect![[r#"
        spec.matchConditions[0].expression: Invalid value: "params.a": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')
         | params.a
         | ^
    "#]];
    let check = check_update::<ValidatingAdmissionPolicy>;
    check(&policy("params.a", ""), &policy("params.a", ""), expect![""]);
    check(&policy("params.a == 1", PARAM), &policy("params.a", ""), WRONG);
}

fn check_types(spec: &str, expected: Expect) {
    let policy: ValidatingAdmissionPolicy = created(&format!("spec:\n{spec}"));
    let warnings = type_warnings(&policy, &Kinds::builtin());
    let lines = warnings.iter().map(|it| format!("{}: {}", it.field_ref, it.warning));
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn types_of_the_kinds_named() {
    let rules = |resources: &str| {
        format!(
            "  matchConstraints: {{resourceRules: [{{apiGroups: ['', apps], apiVersions: [v1], operations: ['*'], resources: {resources}}}]}}\n"
        )
    };
    check_types(
        &(rules("[deployments, pods, pods/log]")
            + "  variables: [{name: replicas, expression: object.spec.replicas}]\n"
            + "  validations: [{expression: object.spec.replicas > 1}, {expression: variables.replicas > '1', messageExpression: object.metadata.names}, {expression: has(object.metadata.labels.x)}]"),
        expect![[r#"
            spec.validations[0].expression: /v1, Kind=Pod: ERROR: <input>:1:12: undefined field 'replicas'
             | object.spec.replicas > 1
             | ...........^
            spec.validations[1].expression: apps/v1, Kind=Deployment: ERROR: <input>:1:20: found no matching overload for '_>_' applied to '(int, string)'
             | variables.replicas > '1'
             | ...................^
            spec.validations[1].messageExpression: /v1, Kind=Pod: ERROR: <input>:1:16: undefined field 'names'
             | object.metadata.names
             | ...............^

            apps/v1, Kind=Deployment: ERROR: <input>:1:16: undefined field 'names'
             | object.metadata.names
             | ...............^
        "#]],
    );
    check_types(&(rules("['*']") + "  validations: [{expression: object.x}]"), expect![""]);
    check_types(
        &(rules("[configmaps]")
            + "  paramKind: {apiVersion: v1, kind: ConfigMap}\n  validations: [{expression: params.data.size() > object.data}]"),
        expect![[r#"
            spec.validations[0].expression: /v1, Kind=ConfigMap: ERROR: <input>:1:20: found no matching overload for '_>_' applied to '(int, map(string, string))'
             | params.data.size() > object.data
             | ...................^
        "#]],
    );
}
