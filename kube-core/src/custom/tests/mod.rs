mod rules;

use expect_test::{Expect, expect};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::*;
use crate::field::Errors;
use crate::kind::{GroupResource, Kinds};
use crate::rules::Ruled;
use crate::schema::testing::manifests;

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// A definition of `Widget` with this schema at `.spec`.
fn definition(spec: Value) -> CustomResourceDefinition {
    with_schema(json!({"type": "object", "properties": {"spec": spec}}))
}

fn with_schema(schema: Value) -> CustomResourceDefinition {
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    from_versions(json!([version]))
}

fn from_versions(versions: Value) -> CustomResourceDefinition {
    let names = json!({"plural": "widgets", "kind": "Widget"});
    serde_json::from_value(json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions},
    }))
    .unwrap()
}

fn version(spec: &str) -> Version {
    let definition = definition(yaml(spec));
    Version::new(&definition, &definition.spec.versions[0])
}

fn lines(errors: &Errors) -> String {
    errors.iter().map(|error| format!("{error}\n")).collect()
}

/// What a definition made of `change` applied to a good one is refused for.
fn check_definition(change: impl FnOnce(&mut CustomResourceDefinition), expected: Expect) {
    let mut definition = definition(json!({"type": "object"}));
    change(&mut definition);
    definition.fill_defaults();
    let mut errors = Errors::new();
    definition.validate(&mut errors);
    expected.assert_eq(lines(&errors).trim_end());
}

fn check_schema(spec: &str, expected: Expect) {
    let spec = yaml(spec);
    check_definition(|good| *good = definition(spec), expected);
}

fn check_object(schema: &str, spec: Value, expected: Expect) {
    let errors = version(schema).validate(&json!({"spec": spec}), None);
    expected.assert_eq(lines(&errors).trim_end());
}

fn check_complete(schema: &str, spec: Value, expected: &Value) {
    let mut object = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec});
    version(schema).complete(&mut object);
    assert_eq!(&object["spec"], expected);
    assert_eq!(object["metadata"]["name"], "a");
}

#[test]
fn definitions_of_real_projects_are_good() {
    let mut count = 0;
    for (file, object) in manifests() {
        if object["kind"] != "CustomResourceDefinition" {
            continue;
        }
        let mut definition: CustomResourceDefinition = serde_json::from_value(object).unwrap();
        definition.fill_defaults();
        let mut errors = Errors::new();
        definition.validate(&mut errors);
        assert!(errors.is_empty(), "{file}: {}", lines(&errors));
        assert!(!rows(&definition).is_empty());
        count += 1;
    }
    assert!(count == 0 || count >= 16, "{count}");
}

#[test]
fn bad_definitions() {
    check_definition(|_| {}, expect![""]);
    check_definition(
        |it| it.metadata.name = Some("widget.example.com".into()),
        expect![[r#"metadata.name: Invalid value: "widget.example.com": must be spec.names.plural+"."+spec.group"#]],
    );
    check_definition(
        |it| it.spec.scope = "Galaxy".into(),
        expect![[r#"spec.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespaced""#]],
    );
    check_definition(
        |it| it.spec.names.short_names = Some(vec!["W_".into()]),
        expect![[
            r#"spec.names.shortNames[0]: Invalid value: "W_": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"#
        ]],
    );
    check_definition(
        |it| it.spec.names.list_kind = Some("Widget".into()),
        expect![[r#"spec.names.listKind: Invalid value: "Widget": kind and listKind may not be the same"#]],
    );
    check_definition(
        |it| it.spec.versions[0].schema = None,
        expect!["spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"],
    );
    check_definition(
        |it| it.spec.preserve_unknown_fields = Some(true),
        expect![
            "spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        ],
    );
    check_definition(
        |it| {
            it.spec.group = "sigs.k8s.io".into();
            it.metadata.name = Some("widgets.sigs.k8s.io".into());
        },
        expect![[
            r#"metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111"#
        ]],
    );
}

#[test]
fn exactly_one_version_is_kept() {
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    let version = |name, storage| json!({"name": name, "served": true, "storage": storage, "schema": schema});
    let mut definition = from_versions(json!([version("v1", true), version("v2", true)]));
    definition.fill_defaults();
    let mut errors = Errors::new();
    definition.validate(&mut errors);
    assert!(lines(&errors).trim_end().ends_with("must have exactly one version marked as storage version"));
}

#[test]
fn bad_schemas() {
    check_schema(
        "{type: object, properties: {a: {description: no type}}}",
        expect![
            "spec.validation.openAPIV3Schema.properties[spec].properties[a].type: Required value: must not be empty for specified object fields"
        ],
    );
    check_schema(
        "{type: array}",
        expect!["spec.validation.openAPIV3Schema.properties[spec].items: Required value: must be specified"],
    );
    check_definition(
        |it| {
            *it = with_schema(yaml(
                "{type: object, properties: {a: {type: string}}, allOf: [{properties: {a: {type: string}, b: {minLength: 1}}}]}",
            ))
        },
        expect![[r#"
            spec.validation.openAPIV3Schema.allOf[0].properties[a].type: Forbidden: must be empty to be structural
            spec.validation.openAPIV3Schema.properties[b]: Required value: because it is defined in spec.validation.openAPIV3Schema.allOf[0].properties[b]"#]],
    );
    check_schema(
        "{type: object, properties: {a: {type: string}}, additionalProperties: {type: string}}",
        expect![
            "spec.validation.openAPIV3Schema.properties[spec].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"
        ],
    );
    check_schema(
        "{type: strings}",
        expect![[
            r#"spec.validation.openAPIV3Schema.properties[spec].type: Unsupported value: "strings": supported values: "array", "boolean", "integer", "number", "object", "string""#
        ]],
    );
    check_schema(
        "{type: array, items: {type: object, properties: {name: {type: string}}}, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name]}",
        expect![
            "spec.validation.openAPIV3Schema.properties[spec].items.properties[name].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
        ],
    );
    check_schema(
        "{type: array, uniqueItems: true, items: {type: string}}",
        expect![
            "spec.validation.openAPIV3Schema.properties[spec].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        ],
    );
    check_schema(
        "{type: object, default: {b: 1}, properties: {a: {type: integer}}}",
        expect![[
            r#"spec.validation.openAPIV3Schema.properties[spec].default: Invalid value: {"b":1}: must not have unknown fields"#
        ]],
    );
    check_schema(
        "{type: object, properties: {a: {type: integer, default: x}}}",
        expect![[
            r#"spec.validation.openAPIV3Schema.properties[spec].properties[a].default: Invalid value: "string": spec.validation.openAPIV3Schema.properties[spec].properties[a].default in body must be of type integer: "string""#
        ]],
    );
    check_schema(
        "{type: object, x-kubernetes-embedded-resource: true}",
        expect![
            "spec.validation.openAPIV3Schema.properties[spec].properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        ],
    );
    check_schema("{x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}", expect![""]);
}

#[test]
fn bad_objects() {
    let replicas = "{type: object, required: [name], properties: {name: {type: string, maxLength: 3}, replicas: {type: integer, minimum: 1, maximum: 10}}}";
    check_object(
        replicas,
        json!({"replicas": "three"}),
        expect![[r#"
            spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"
            spec.name: Required value"#]],
    );
    check_object(
        replicas,
        json!({"name": "long", "replicas": 11}),
        expect![[r#"
            spec.name: Too long: may not be more than 3 bytes
            spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10"#]],
    );
    check_object(
        replicas,
        json!({"name": "a", "replicas": 1.5}),
        expect![[r#"spec.replicas: Invalid value: "number": spec.replicas in body must be of type integer: "number""#]],
    );
    check_object(
        "{type: string, enum: [a, b]}",
        json!("c"),
        expect![[r#"spec: Unsupported value: "c": supported values: "a", "b""#]],
    );
    check_object(
        "{type: string, pattern: '^[a-z]+$'}",
        json!("A"),
        expect![[r#"spec: Invalid value: "A": spec in body should match '^[a-z]+$'"#]],
    );
    check_object(
        "{type: string, format: date-time}",
        json!("today"),
        expect![[r#"spec: Invalid value: "today": spec in body must be of type date-time: "today""#]],
    );
    check_object(
        "{type: array, minItems: 2, maxItems: 3, items: {type: string}}",
        json!(["a", 1, "c", "d"]),
        expect![[r#"
            spec[1]: Invalid value: "integer": spec[1] in body must be of type string: "integer"
            spec: Too many: 4: must have at most 3 items"#]],
    );
    check_object(
        "{type: object, minProperties: 1, additionalProperties: {type: string}}",
        json!({}),
        expect!["spec: Invalid value: 0: spec in body should have at least 1 properties"],
    );
    check_object(
        "{type: object, properties: {a: {type: string}, b: {type: string}}, oneOf: [{required: [a]}, {required: [b]}]}",
        json!({"a": "", "b": ""}),
        expect![[
            r#"<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives"#
        ]],
    );
    check_object(
        "{type: object, properties: {a: {type: string}}, anyOf: [{required: [a]}]}",
        json!({}),
        expect![[r#"
            <nil>: Invalid value: "": "spec" must validate at least one schema (anyOf)
            spec.a: Required value"#]],
    );
    check_object(
        "{type: array, items: {type: string}, x-kubernetes-list-type: set}",
        json!(["a", "b", "a", "a"]),
        expect![[r#"spec[2]: Duplicate value: "a""#]],
    );
    check_object(
        "{type: array, items: {type: object, required: [k], properties: {k: {type: string}}}, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [k]}",
        json!([{"k": "a"}, {"k": "a"}]),
        expect![[r#"spec[1]: Duplicate value: {"k":"a"}"#]],
    );
    check_object("{x-kubernetes-int-or-string: true}", json!("10%"), expect![""]);
    check_object(
        "{x-kubernetes-int-or-string: true}",
        json!(true),
        expect![[r#"spec: Invalid value: "boolean": spec in body must be of type integer,string: "boolean""#]],
    );
    check_object(
        "{type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}",
        json!({"kind": "Pod"}),
        expect!["spec.apiVersion: Required value: must not be empty"],
    );
}

#[test]
fn what_has_not_changed_is_not_checked_again() {
    let version = version("{type: object, properties: {a: {type: string, maxLength: 1}, b: {type: string}}}");
    let old = json!({"spec": {"a": "long", "b": "x"}});
    assert!(version.validate(&json!({"spec": {"a": "long", "b": "y"}}), Some(&old)).is_empty());
    assert!(!version.validate(&json!({"spec": {"a": "longer", "b": "x"}}), Some(&old)).is_empty());
}

#[test]
fn pruning() {
    let spec = "{type: object, properties: {a: {type: string}, m: {type: object, additionalProperties: {type: object, properties: {x: {type: string}}}}}}";
    check_complete(
        spec,
        json!({"a": "1", "b": 2, "m": {"k": {"x": "", "y": 1}}}),
        &json!({"a": "1", "m": {"k": {"x": ""}}}),
    );
    let open = "{type: object, x-kubernetes-preserve-unknown-fields: true, properties: {a: {type: object}}}";
    check_complete(open, json!({"a": {"b": 1}, "c": {"d": 1}}), &json!({"a": {}, "c": {"d": 1}}));
    let embedded = "{type: object, x-kubernetes-embedded-resource: true, properties: {data: {type: object, additionalProperties: {type: string}}}}";
    check_complete(
        embedded,
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "no": 1}, "data": {"a": "b"}, "x": 1}),
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "b"}}),
    );
}

#[test]
fn defaulting() {
    let spec = "{type: object, properties: {size: {type: integer, default: 3}, inner: {type: object, default: {}, properties: {on: {type: boolean, default: true}}}, note: {type: string, nullable: true}, gone: {type: string}, list: {type: array, items: {type: object, properties: {p: {type: string, default: TCP}}}}}}";
    check_complete(spec, json!({}), &json!({"size": 3, "inner": {"on": true}}));
    check_complete(
        spec,
        json!({"size": null, "note": null, "gone": null, "list": [{}, {"p": "UDP"}]}),
        &json!({"size": 3, "inner": {"on": true}, "note": null, "list": [{"p": "TCP"}, {"p": "UDP"}]}),
    );
}

#[test]
fn names_belong_to_who_came_first() {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let settle = |definition: &CustomResourceDefinition, all: &[CustomResourceDefinition]| CustomResourceDefinition {
        status: Some(names::status(definition, all.iter(), now)),
        ..definition.clone()
    };
    let mut first = definition(json!({"type": "object"}));
    first.spec.names.short_names = Some(vec!["w".into()]);
    first.fill_defaults();
    let first = settle(&first, &[]);
    assert!(is_established(&first));
    let mut second = first.clone();
    second.metadata.name = Some("wheels.example.com".into());
    second.spec.names.plural = "wheels".into();
    second.status = None;
    let second = settle(&second, std::slice::from_ref(&first));
    assert!(!is_established(&second));
    let conditions = second.status.as_ref().unwrap().conditions.as_ref().unwrap();
    assert_eq!(conditions[0].message.as_deref(), Some("\"WidgetList\" is already in use"));
    let after = settle(&second, &[]);
    assert!(is_established(&after));
    assert_eq!(settle(&after, &[]), after);
}

#[test]
fn kinds_follow_definitions() {
    let base = Kinds::builtin();
    let fresh = definition(json!({"type": "object"}));
    assert!(after_change(&base, &base, None, Some(&fresh)).unwrap().get("example.com", "v1", "widgets").is_none());
    let status = names::status(&fresh, std::iter::empty(), jiff::Timestamp::UNIX_EPOCH);
    let established = CustomResourceDefinition { status: Some(status), ..fresh.clone() };
    let kinds = after_change(&base, &base, Some(&fresh), Some(&established)).unwrap();
    let row = kinds.get("example.com", "v1", "widgets").unwrap();
    assert_eq!((row.definition.as_ref(), row.namespaced), ("com.example.v1.Widget", true));
    assert!(after_change(&kinds, &base, Some(&established), Some(&established)).is_none());
    let without = after_change(&kinds, &base, Some(&established), None).unwrap();
    assert!(without.storage(&GroupResource::new("example.com", "widgets")).is_none());
    let mut thief = established;
    (thief.spec.group, thief.spec.names.plural) = ("apps".into(), "deployments".into());
    assert!(after_change(&base, &base, None, Some(&thief)).is_none());
}

#[test]
fn objects_of_real_projects_are_good() {
    let all = manifests();
    let is_definition = |object: &Value| object["kind"] == "CustomResourceDefinition";
    let definitions = all.iter().filter(|(_, object)| is_definition(object));
    let rows = definitions.flat_map(|(_, object)| rows(&serde_json::from_value(object.clone()).unwrap()));
    let kinds = rows.fold(Kinds::default(), Kinds::with);
    let mut count = 0;
    for (file, mut object) in all {
        let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
        let Some(row) = kinds.by_kind(&text("apiVersion"), &text("kind")).cloned() else { continue };
        let version = row.custom.as_ref().unwrap();
        let findings = crate::strict::check(version.schema(), object.to_string().as_bytes()).unwrap();
        assert!(findings.fields.is_empty(), "{file}: {:?}", findings.fields);
        version.complete(&mut object);
        let errors = version.validate(&object, None);
        assert!(errors.is_empty(), "{file}: {}", lines(&errors));
        count += 1;
    }
    assert!(kinds.iter().next().is_none() || count >= 6, "{count}");
}
