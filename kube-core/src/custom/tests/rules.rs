//! CEL rules: those of real projects, and every way in which one can be declared.

use std::collections::BTreeMap;

use super::*;
use crate::custom::structural::Additional;
use crate::field::Path;

/// What a write is refused for, by a schema of `.spec`.
fn check_update(schema: &str, old: Value, new: Value, expected: Expect) {
    let old = if old.is_null() { None } else { Some(json!({"metadata": {"name": "a"}, "spec": old})) };
    let errors = version(schema).validate(&json!({"metadata": {"name": "a"}, "spec": new}), old.as_ref());
    expected.assert_eq(lines(&errors).trim_end());
}

/// All places with rules below one.
fn places<'a>(schema: &'a Structural, found: &mut Vec<&'a Structural>) {
    if !schema.rules.is_empty() {
        found.push(schema);
    }
    schema.properties.values().chain(schema.items.as_deref()).for_each(|below| places(below, found));
    if let Additional::Schema(values) = &schema.additional {
        places(values, found);
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn rules_of_real_projects_accept_and_refuse() {
    let many = vec!["{}"; 64].join(", ");
    let mut cases = BTreeMap::new();
    let mut table = include_str!("rules.txt").lines();
    while let (Some(rule), Some(good), Some(bad)) = (table.next(), table.next(), table.next()) {
        let read = |line: &str| {
            serde_json::from_str::<Value>(&line[2..].replace("MANY", &many).replace("LONG", &"a".repeat(253))).unwrap()
        };
        cases.insert(one_line(rule), (read(good), read(bad)));
    }
    let mut used = std::collections::BTreeSet::new();
    for (file, object) in manifests() {
        if object["kind"] != "CustomResourceDefinition" {
            continue;
        }
        let definition: CustomResourceDefinition = serde_json::from_value(object).unwrap();
        for version in &definition.spec.versions {
            let props = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()).unwrap();
            let schema = Structural::root(props);
            let mut found = Vec::new();
            places(&schema, &mut found);
            for (place, rule) in found.iter().flat_map(|place| place.rules.iter().map(move |rule| (place, rule))) {
                let text = one_line(&rule.rule);
                let (good, bad) = cases.get(&text).unwrap_or_else(|| panic!("{file}: no case for {text}"));
                let alone = Structural { rules: vec![rule.clone()], ..without_rules(place) };
                let rules = crate::custom::rules::Rules::new(&alone).unwrap();
                let errors = |value: &Value, old: Option<&Value>| {
                    let mut errors = Errors::new();
                    rules.check(value, old, &alone, &Path::ROOT, &mut errors);
                    lines(&errors)
                };
                // A rule that compares has a pair of values.
                let (old, bad) = match (text.contains("oldSelf"), bad) {
                    (true, Value::Array(pair)) => (Some(&pair[0]), &pair[1]),
                    (_, bad) => (None, bad),
                };
                assert_eq!(errors(good, old), "", "{file}: {text}");
                let told = rule.message.clone().unwrap_or_default();
                let refused = errors(bad, old);
                assert!(refused.contains(told.trim()) && !refused.is_empty(), "{file}: {text}: {refused}");
                used.insert(text);
            }
        }
    }
    assert!(used.is_empty() || used.len() == cases.len(), "{} of {}", used.len(), cases.len());
}

fn without_rules(schema: &Structural) -> Structural {
    let below = |schema: &Structural| Box::new(without_rules(schema));
    Structural {
        rules: Vec::new(),
        properties: schema.properties.iter().map(|(name, field)| (name.clone(), without_rules(field))).collect(),
        items: schema.items.as_deref().map(below),
        additional: match &schema.additional {
            Additional::Schema(values) => Additional::Schema(below(values)),
            other => other.clone(),
        },
        ..schema.clone()
    }
}

const PORT: &str = r#"
type: object
properties:
  port: {type: integer}
  a-b: {type: string}
  limit: {x-kubernetes-int-or-string: true}
x-kubernetes-validations:
- rule: "!has(self.port) || self.port < 100"
  messageExpression: "'port ' + string(self.port) + ' is too high'"
  fieldPath: .port
  reason: FieldValueForbidden
- rule: "!has(self.a__dash__b) || self.a__dash__b != 'x'"
- rule: "!has(self.limit) || type(self.limit) != string || self.limit.endsWith('%')"
  message: " must be a percentage "
"#;

#[test]
fn messages_reasons_and_places() {
    check_update(PORT, Value::Null, json!({"port": 3, "a-b": "y", "limit": "3%"}), expect![""]);
    check_update(
        PORT,
        Value::Null,
        json!({"port": 300, "a-b": "x", "limit": "3"}),
        expect![[r#"
            spec.port: Forbidden: port 300 is too high
            spec: Invalid value: "object": failed rule: !has(self.a__dash__b) || self.a__dash__b != 'x'
            spec: Invalid value: "object": must be a percentage"#]],
    );
    check_update(
        PORT,
        Value::Null,
        json!({"port": "x"}),
        expect![[r#"
            spec.port: Invalid value: "string": spec.port in body must be of type integer: "string"
            <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"#]],
    );
}

#[test]
fn rules_that_compare() {
    let immutable = "{type: string, x-kubernetes-validations: [{rule: self == oldSelf, message: immutable}]}";
    check_update(immutable, Value::Null, json!("a"), expect![""]);
    check_update(immutable, json!("a"), json!("a"), expect![""]);
    check_update(immutable, json!("a"), json!("b"), expect![[r#"spec: Invalid value: "string": immutable"#]]);
    let optional =
        "{type: integer, x-kubernetes-validations: [{rule: 'self > oldSelf.orValue(5)', optionalOldSelf: true}]}";
    check_update(optional, Value::Null, json!(6), expect![""]);
    check_update(
        optional,
        Value::Null,
        json!(5),
        expect![[r#"spec: Invalid value: "integer": failed rule: self > oldSelf.orValue(5)"#]],
    );
    check_update(optional, json!(2), json!(3), expect![""]);
    let keyed = r#"
      type: array
      x-kubernetes-list-type: map
      x-kubernetes-list-map-keys: [name]
      items:
        type: object
        required: [name]
        properties: {name: {type: string}, size: {type: integer}}
        x-kubernetes-validations: [{rule: self.size >= oldSelf.size, message: must not shrink}]
    "#;
    let old = json!([{"name": "a", "size": 1}, {"name": "b", "size": 5}]);
    check_update(keyed, old.clone(), json!([{"name": "b", "size": 5}, {"name": "c", "size": 0}]), expect![""]);
    check_update(
        keyed,
        old,
        json!([{"name": "b", "size": 4}]),
        expect![[r#"spec[0]: Invalid value: "object": must not shrink"#]],
    );
}

#[test]
fn what_has_not_changed_is_not_asked_again() {
    let schema = r#"
      type: object
      properties:
        name: {type: string, x-kubernetes-validations: [{rule: self.size() < 3, message: too long}]}
        list: {type: array, items: {type: string, x-kubernetes-validations: [{rule: self.size() < 3, message: too long}]}}
        other: {type: string}
    "#;
    let old = json!({"name": "long", "list": ["long"], "other": "a"});
    check_update(schema, old.clone(), json!({"name": "long", "list": ["long"], "other": "b"}), expect![""]);
    check_update(
        schema,
        old,
        json!({"name": "long", "list": ["long", "a"], "other": "b"}),
        expect![[r#"spec.list[0]: Invalid value: "string": too long"#]],
    );
}

#[test]
fn objects_have_names() {
    let root = json!({
        "type": "object",
        "x-kubernetes-validations": [
            {"rule": "self.metadata.name.startsWith('a') && self.kind == 'Widget'", "message": "bad name"},
        ],
        "properties": {"spec": {
            "type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true,
            "x-kubernetes-validations": [{"rule": "self.apiVersion == 'v1' && self.metadata.name == 'inner'"}],
        }},
    });
    let definition = with_schema(root);
    let version = Version::new(&definition, &definition.spec.versions[0]);
    let inner = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "inner"}, "x": 1});
    let object = |name: &str| json!({"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": name}, "spec": inner});
    assert_eq!(lines(&version.validate(&object("abc"), None)), "");
    assert_eq!(lines(&version.validate(&object("bc"), None)), "<nil>: Invalid value: \"object\": bad name\n");
}

#[test]
fn errors_and_budgets() {
    let schema = |rule: &str| {
        format!(
            "{{type: array, maxItems: 100000, items: {{type: integer}}, x-kubernetes-validations: [{{rule: {rule:?}}}]}}"
        )
    };
    check_update(
        &schema("self[5] == 1"),
        Value::Null,
        json!([1]),
        expect![[r#"spec: Invalid value: "array": index out of bounds: 5 evaluating rule: self[5] == 1"#]],
    );
    let numbers: Vec<i64> = (0..2000).collect();
    check_update(
        &schema("self.all(x, self.all(y, x + y >= 0))"),
        Value::Null,
        json!(numbers),
        expect![[
            r#"spec: Invalid value: "array": 'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: self.all(x, self.all(y, x + y >= 0))"#
        ]],
    );
    let rules: Vec<String> = (0..20).map(|_| "{rule: 'self.all(x, x + x + x + x >= 0)'}".to_owned()).collect();
    let many = format!("{{type: array, items: {{type: integer}}, x-kubernetes-validations: [{}]}}", rules.join(", "));
    let numbers: Vec<i64> = (0..60_000).collect();
    check_update(
        &many,
        Value::Null,
        json!(numbers),
        expect![[
            r#"spec: Invalid value: "array": validation failed due to running out of cost budget, no further validation rules will be run"#
        ]],
    );
}

#[test]
fn definitions_with_bad_rules() {
    let with = |rule: &str| {
        format!("{{type: object, properties: {{n: {{type: integer}}}}, x-kubernetes-validations: [{rule}]}}")
    };
    check_schema(&with("{rule: self.n > 1}"), expect![""]);
    check_schema(
        &with("{rule: self.x > 1}"),
        expect![[r#"
            spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule: Invalid value: {"FieldPath":"","Message":"","MessageExpression":"","OptionalOldSelf":null,"Reason":null,"Rule":"self.x > 1"}: compilation failed: ERROR: <input>:1:5: undefined field 'x'
             | self.x > 1
             | ....^"#]],
    );
    check_schema(
        &with("{rule: self.n, messageExpression: self.n, fieldPath: .x, optionalOldSelf: true}"),
        expect![[r#"
            spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule: Invalid value: {"FieldPath":".x","Message":"","MessageExpression":"self.n","OptionalOldSelf":true,"Reason":null,"Rule":"self.n"}: cel expression must evaluate to a bool
            spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule
            spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].messageExpression: Invalid value: {"FieldPath":".x","Message":"","MessageExpression":"self.n","OptionalOldSelf":true,"Reason":null,"Rule":"self.n"}: messageExpression must evaluate to a string
            spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].fieldPath: Invalid value: ".x": fieldPath must be a valid path: does not refer to a valid field"#]],
    );
    check_schema(
        "{type: array, items: {type: integer, x-kubernetes-validations: [{rule: self == oldSelf}]}}",
        expect![
            "spec.validation.openAPIV3Schema.properties[spec].items.x-kubernetes-validations[0].rule: Invalid value: \"self == oldSelf\": oldSelf cannot be used on the uncorrelatable portion of the schema within spec.validation.openAPIV3Schema.properties[spec]"
        ],
    );
    check_schema(
        "{type: integer, default: 3, x-kubernetes-validations: [{rule: self > 5, message: too small}]}",
        expect![[r#"spec.validation.openAPIV3Schema.properties[spec].default: Invalid value: "integer": too small"#]],
    );
}

#[test]
fn definitions_with_dear_rules() {
    let unbounded =
        "{type: array, items: {type: string, x-kubernetes-validations: [{rule: \"self.contains('keyword')\"}]}}";
    check_schema(
        unbounded,
        expect![[r#"
            spec.validation.openAPIV3Schema.properties[spec].items.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule(s), or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)
            spec.validation.openAPIV3Schema.properties[spec].items.x-kubernetes-validations[0].rule: Forbidden: contributed to estimated rule & messageExpression cost total exceeding cost limit for entire OpenAPIv3 schema
            spec.validation.openAPIV3Schema: Forbidden: x-kubernetes-validations estimated rule & messageExpression cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x (try simplifying the rule(s), or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"#]],
    );
    let bounded = "{type: array, maxItems: 10, items: {type: string, maxLength: 100, x-kubernetes-validations: [{rule: \"self.contains('keyword')\"}]}}";
    check_schema(bounded, expect![""]);
    // Measured on a real API server, as its users tell: 20 items of two texts of 4096 characters are 5.4 times too dear.
    let pair = |message: u32, wanted: u32| {
        format!(
            "{{type: array, maxItems: 20, items: {{type: object, properties: {{a: {{type: string, maxLength: {message}}}, b: {{type: \
             string, maxLength: {wanted}}}}}, x-kubernetes-validations: [{{rule: '!has(self.b) || !self.a.contains(self.b)'}}]}}}}"
        )
    };
    check_schema(&pair(1024, 1024), expect![""]);
    check_schema(&pair(4096, 512), expect![""]);
    check_schema(
        &pair(4096, 4096),
        expect![
            "spec.validation.openAPIV3Schema.properties[spec].items.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by factor of 5.4x (try simplifying the rule(s), or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
        ],
    );
}
