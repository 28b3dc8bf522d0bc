//! Admission policies.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::cluster::{Cluster, POD};

const LIMITS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: limits.test.io}
spec:
  group: test.io
  scope: Namespaced
  names: {plural: limits, singular: limit, kind: Limit, listKind: LimitList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {max: {type: integer, default: 3}}
";

/// A policy `p` about new ConfigMaps, with more fields of its spec as YAML; bound by `b`, with more fields too.
async fn policy(cluster: &Cluster, kind: &str, spec: &str, binding: &str) {
    let matched = "matchConstraints: {resourceRules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [configmaps]}]}";
    let object = |kind: String, name: &str, spec: String| {
        format!("apiVersion: admissionregistration.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n{spec}")
    };
    let indent = |text: &str| text.lines().map(|line| format!("  {line}\n")).collect::<String>();
    let spec = object(kind.to_owned(), "p", format!("  {matched}\n{}", indent(spec)));
    cluster.create(&spec).await.good();
    cluster
        .create(&object(format!("{kind}Binding"), "b", format!("  policyName: p\n{}", indent(binding))))
        .await
        .good();
}

/// Creates a ConfigMap where there is such a policy: what comes of it.
async fn answer(kind: &str, spec: &str, binding: &str) -> (String, Value) {
    let cluster = Cluster::start().await;
    cluster
        .create("{apiVersion: v1, kind: ConfigMap, metadata: {name: param, labels: {is: param}}, data: {max: '3'}}")
        .await
        .good();
    cluster
        .create("{apiVersion: v1, kind: ConfigMap, metadata: {name: param, namespace: other}, data: {max: '9'}}")
        .await
        .good();
    policy(&cluster, kind, spec, binding).await;
    let created = "{apiVersion: v1, kind: ConfigMap, metadata: {name: it, labels: {app: web}}, data: {size: '5'}}";
    let answer = cluster.create(created).await;
    let told = match answer.code {
        201 => "created".to_owned(),
        _ => format!("{} {}: {}", answer.code, answer.body["reason"].as_str().unwrap_or(""), answer.refused().1),
    };
    let warnings: String = answer.warnings.iter().map(|warning| format!("\n{warning}")).collect();
    (told + &warnings, answer.body)
}

async fn validate(spec: &str, binding: &str, expected: Expect) {
    expected.assert_eq(&answer("ValidatingAdmissionPolicy", spec, binding).await.0);
}

/// What is changed: labels and data afterwards, or the refusal.
async fn mutate(spec: &str, expected: Expect) {
    let spec = format!("reinvocationPolicy: Never\n{spec}");
    let (told, body) = answer("MutatingAdmissionPolicy", &spec, "").await;
    let changed = json!([body["metadata"]["labels"], body["data"]]).to_string();
    expected.assert_eq(if told == "created" { &changed } else { &told });
}

#[tokio::test]
async fn the_documentations_example() {
    let cluster = Cluster::start().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/manifests/docs-admission");
    for file in ["basic-example-policy.yaml", "basic-example-binding.yaml"] {
        cluster.create(&std::fs::read_to_string(format!("{folder}/{file}")).unwrap()).await.good();
    }
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: test, labels: {environment: test}}}";
    cluster.create(namespace).await.good();
    let deployment = |namespace: &str, replicas: u32| {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web, namespace: {namespace}}}, spec: {{replicas: {replicas}, \
             selector: {{matchLabels: {{a: b}}}}, template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}}}}}"
        )
    };
    let refused = cluster.create(&deployment("test", 6)).await;
    let expected = "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'demo-policy.example.com' with binding \
                    'demo-binding-test.example.com' denied request: failed expression: object.spec.replicas <= 5";
    assert_eq!(refused.refused(), (422, expected.to_owned()));
    cluster.create(&deployment("default", 6)).await.good();
    cluster.create(&deployment("test", 5)).await.good();
    let path = "/apis/apps/v1/namespaces/test/deployments/web";
    assert_eq!(cluster.ask("PATCH", path, "{\"spec\": {\"replicas\": 7}}").await.refused().0, 422);
    cluster.ask("DELETE", path, "").await.good();
}

#[tokio::test]
async fn validations() {
    const DENY: &str = "validationActions: [Deny]";
    const SMALL: &str = "validations: [{expression: 'int(object.data.size) < 3'}]";
    for (spec, binding, expected) in [
        (
            SMALL,
            DENY,
            expect![[
                r#"422 Invalid: configmaps "it" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: int(object.data.size) < 3"#
            ]],
        ),
        (
            SMALL,
            "validationActions: [Warn, Audit]",
            expect![[r#"
            created
            299 - "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': failed expression: int(object.data.size) < 3""#]],
        ),
        (
            "validations: [{expression: 'false', message: nope, reason: Forbidden}]",
            DENY,
            expect![[
                r#"403 Forbidden: configmaps "it" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: nope"#
            ]],
        ),
        (
            "validations: [{expression: 'false', message: nope, messageExpression: \"'not ' + object.metadata.name\"}]",
            DENY,
            expect![[
                r#"422 Invalid: configmaps "it" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not it"#
            ]],
        ),
        (
            "validations: [{expression: 'false', message: nope, messageExpression: 'string(object.none)'}]",
            DENY,
            expect![[
                r#"422 Invalid: configmaps "it" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: nope"#
            ]],
        ),
        (
            "validations: [{expression: 'object.none == 1'}]",
            DENY,
            expect![[
                r#"422 Invalid: configmaps "it" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: expression 'object.none == 1' resulted in error: no such key: none"#
            ]],
        ),
        ("failurePolicy: Ignore\nvalidations: [{expression: 'object.none == 1'}]", DENY, expect!["created"]),
        (
            "matchConditions: [{name: c, expression: \"request.userInfo.username != 'jane'\"}]\nvalidations: [{expression: 'false'}]",
            DENY,
            expect!["created"],
        ),
        (
            "variables: [{name: a, expression: 'int(object.data.size)'}, {name: b, expression: 'variables.a + 1'}, {name: never, expression: 'object.none'}]\nvalidations: [{expression: 'variables.b == 6'}, {expression: 'variables.b < 6', message: six}]",
            DENY,
            expect![[
                r#"422 Invalid: configmaps "it" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: six"#
            ]],
        ),
        (
            "validations: [{expression: \"namespaceObject.metadata.labels['team'] == 'a' && oldObject == null\"}]",
            DENY,
            expect!["created"],
        ),
        (
            "validations: [{expression: \"authorizer.group('').resource('pods').check('create').allowed() && authorizer.requestResource.check('create').allowed()\"}]",
            DENY,
            expect!["created"],
        ),
        (
            "validations: [{expression: \"authorizer.serviceAccount('default', 'default').group('').resource('pods').check('create').allowed()\", message: nope}]",
            DENY,
            expect![[
                r#"422 Invalid: configmaps "it" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: nope"#
            ]],
        ),
        (
            SMALL,
            "validationActions: [Deny]\nmatchResources: {namespaceSelector: {matchLabels: {team: b}}}",
            expect!["created"],
        ),
        (
            SMALL,
            "validationActions: [Deny]\nmatchResources: {excludeResourceRules: [{operations: ['*'], apiGroups: [''], apiVersions: ['*'], resources: [configmaps], resourceNames: [it]}]}",
            expect!["created"],
        ),
    ] {
        validate(spec, binding, expected).await;
    }
}

#[tokio::test]
async fn parameters() {
    const SPEC: &str = "paramKind: {apiVersion: v1, kind: ConfigMap}\nvalidations: [{expression: 'int(object.data.size) < int(params.data.max)', messageExpression: \"'at most ' + params.data.max\"}]";
    for (reference, expected) in [
        (
            "{name: param, parameterNotFoundAction: Deny}",
            expect![[
                r#"422 Invalid: configmaps "it" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: at most 3"#
            ]],
        ),
        ("{name: param, namespace: other, parameterNotFoundAction: Deny}", expect!["created"]),
        (
            "{selector: {matchLabels: {is: param}}, parameterNotFoundAction: Deny}",
            expect![[
                r#"422 Invalid: configmaps "it" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: at most 3"#
            ]],
        ),
        (
            "{name: none, parameterNotFoundAction: Deny}",
            expect![[
                r#"422 Invalid: configmaps "it" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"#
            ]],
        ),
        ("{name: none, parameterNotFoundAction: Allow}", expect!["created"]),
    ] {
        validate(SPEC, &format!("validationActions: [Deny]\nparamRef: {reference}"), expected).await;
    }
    let spec = "paramKind: {apiVersion: test.io/v1, kind: Limit}\nvalidations: [{expression: 'params.max > 3'}]";
    let binding = "validationActions: [Deny]\nparamRef: {name: l, parameterNotFoundAction: Deny}";
    validate(spec, binding, expect![[r#"422 Invalid: configmaps "it" is forbidden: ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: failed to find resource referenced by paramKind: 'test.io/v1, Kind=Limit'"#]]).await;
}

#[tokio::test]
async fn custom_kinds_are_parameters() {
    let cluster = Cluster::start().await;
    cluster.create(LIMITS).await.good();
    let mut reader = cluster.gateway.feed().world();
    while reader.kinds().by_kind("test.io/v1", "Limit").is_none() {
        tokio::task::yield_now().await;
        reader = cluster.gateway.feed().world();
    }
    cluster.create("{apiVersion: test.io/v1, kind: Limit, metadata: {name: l}}").await.good();
    let spec = "paramKind: {apiVersion: test.io/v1, kind: Limit}\nvalidations: [{expression: 'size(object.data) <= params.max'}]";
    let binding = "validationActions: [Deny]\nparamRef: {name: l, parameterNotFoundAction: Deny}";
    policy(&cluster, "ValidatingAdmissionPolicy", spec, binding).await;
    let object = |name: &str, data: &str| {
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {data}}}")
    };
    cluster.create(&object("few", "{a: x, b: x, c: x}")).await.good();
    assert_eq!(cluster.create(&object("many", "{a: x, b: x, c: x, d: x}")).await.refused().0, 422);
    cluster.ask("PATCH", "/apis/test.io/v1/namespaces/default/limits/l", "{\"max\": 4}").await.good();
    cluster.create(&object("many", "{a: x, b: x, c: x, d: x}")).await.good();
}

#[tokio::test]
async fn no_expression_runs_longer_than_its_budget() {
    const TEN: &str = "[1,2,3,4,5,6,7,8,9,10]";
    let bomb = (0..8).fold("true".to_owned(), |inner, depth| format!("{TEN}.all(x{depth}, {inner})"));
    let deny = "validationActions: [Deny]";
    let told = answer("ValidatingAdmissionPolicy", &format!("validations: [{{expression: '{bomb}'}}]"), deny).await.0;
    assert!(told.ends_with("resulted in error: operation cancelled: actual cost limit exceeded"), "{told}");
    // Each is cheap enough; together they are not.
    let part = (0..4).fold("true".to_owned(), |inner, depth| format!("{TEN}.all(x{depth}, {inner})"));
    let many = vec![format!("{{expression: '{part}'}}"); 400].join(", ");
    let told = answer("ValidatingAdmissionPolicy", &format!("validations: [{many}]"), deny).await.0;
    assert!(told.ends_with("running out of cost budget, no further validation rules will be run"), "{told}");
    // A chain of variables does not nest, and is evaluated once.
    let chain = (1..2000).map(|n| format!("{{name: v{n}, expression: 'variables.v{} + 1'}}", n - 1));
    let chain = ["{name: v0, expression: '0'}".to_owned()].into_iter().chain(chain).collect::<Vec<_>>().join(", ");
    let spec = format!("variables: [{chain}]\nvalidations: [{{expression: 'variables.v1999 == 1999'}}]");
    validate(&spec, deny, expect!["created"]).await;
}

#[tokio::test]
async fn mutations() {
    for (spec, expected) in [
        (
            "mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: \"Object{metadata: Object.metadata{labels: {'more': 'yes'}}, data: {'size': '7'}}\"}}]",
            expect![[r#"[{"app":"web","more":"yes"},{"size":"7"}]"#]],
        ),
        (
            "mutations: [{patchType: JSONPatch, jsonPatch: {expression: \"[JSONPatch{op: 'test', path: '/data/size', value: '5'}, JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: 'c'}]\"}}]",
            expect![[r#"[{"a/b":"c","app":"web"},{"size":"5"}]"#]],
        ),
        (
            "mutations: [{patchType: JSONPatch, jsonPatch: {expression: \"[JSONPatch{op: 'test', path: '/data/size', value: '6'}, JSONPatch{op: 'remove', path: '/data'}]\"}}]",
            expect![[r#"[{"app":"web"},{"size":"5"}]"#]],
        ),
        (
            "variables: [{name: next, expression: 'string(int(object.data.size) + 1)'}]\nmutations: [{patchType: JSONPatch, jsonPatch: {expression: \"[JSONPatch{op: 'replace', path: '/data/size', value: variables.next}]\"}}, {patchType: JSONPatch, jsonPatch: {expression: \"[JSONPatch{op: 'replace', path: '/data/size', value: variables.next}]\"}}]",
            expect![[r#"[{"app":"web"},{"size":"7"}]"#]],
        ),
        (
            "matchConditions: [{name: c, expression: \"object.metadata.name != 'it'\"}]\nmutations: [{patchType: JSONPatch, jsonPatch: {expression: \"[JSONPatch{op: 'remove', path: '/data'}]\"}}]",
            expect![[r#"[{"app":"web"},{"size":"5"}]"#]],
        ),
        (
            "mutations: [{patchType: JSONPatch, jsonPatch: {expression: \"[JSONPatch{op: 'remove', path: '/none'}]\"}}]",
            expect![[
                r#"403 Invalid: policy 'p' with binding 'b' denied request: JSONPath: error in remove for path: '/none': Unable to remove nonexistent key: none: missing value"#
            ]],
        ),
        (
            "failurePolicy: Ignore\nmutations: [{patchType: JSONPatch, jsonPatch: {expression: \"[JSONPatch{op: 'remove', path: '/none'}]\"}}]",
            expect![[r#"[{"app":"web"},{"size":"5"}]"#]],
        ),
        (
            "mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{data: object.none}'}}]",
            expect![[
                r#"403 Invalid: policy 'p' with binding 'b' denied request: expression 'Object{data: object.none}' resulted in error: no such key: none"#
            ]],
        ),
    ] {
        mutate(spec, expected).await;
    }
}

#[tokio::test]
async fn lists_of_pods_are_merged_by_their_keys() {
    let cluster = Cluster::start().await;
    let policy = "
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: sidecar}
spec:
  matchConstraints: {resourceRules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}]}
  reinvocationPolicy: IfNeeded
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >
        Object{spec: Object.spec{containers: [Object.spec.containers{name: 'mesh', image: 'mesh:1'},
        Object.spec.containers{name: 'c', image: object.spec.containers[0].image + ':fixed'}]}}
";
    let policy = policy.replace("[0].image + ':fixed'", "[0].image");
    cluster.create(&policy).await.good();
    let binding = "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicyBinding, metadata: {name: b}, spec: {policyName: sidecar}}";
    cluster.create(binding).await.good();
    let pod = cluster.create(POD).await.good();
    let names = pod["spec"]["containers"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["mesh", "c"]);
    assert_eq!(pod["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent", "defaults are filled in");
}
