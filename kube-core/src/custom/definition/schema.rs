//! What a schema may say, place by place.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use super::super::rules::Rules;
use super::super::{Structural, check, embedded, prune};
use super::{rules, structure};
use crate::field::{Errors, Json, Path};

const OBJECT_FIELDS: [&str; 3] = ["metadata", "kind", "apiVersion"];
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Checks the schema of a version. `path` is the place above `openAPIV3Schema`.
pub(super) fn check(props: &JSONSchemaProps, path: &Path, errors: &mut Errors) {
    let path = path.field("openAPIV3Schema");
    if props.nullable == Some(true) {
        errors.forbidden(&path.field("nullable"), "nullable cannot be true at the root");
    }
    let mut found = Errors::new();
    walk(props, &path, None, true, &mut found);
    structure::check(props, &path, &mut found);
    // A default can only be judged by a schema that is otherwise good.
    if found.is_empty() {
        let schema = Structural::root(props);
        rules::check(&schema, &path, &mut found);
        check_defaults(props, &schema, false, &path, &mut found);
    }
    errors.append(found);
}

/// `no_defaults` says why there may be no default here.
fn walk(props: &JSONSchemaProps, path: &Path, no_defaults: Option<&str>, is_root: bool, errors: &mut Errors) {
    check_supported(props, path, no_defaults, errors);
    if props.unique_items == Some(true) {
        let why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.forbidden(&path.field("uniqueItems"), why);
    }
    let properties = props.properties.iter().flatten();
    if let Some(additional) = &props.additional_properties {
        let is_open = matches!(additional, JSONSchemaPropsOrBool::Bool(true));
        if properties.clone().next().is_some() && !is_open {
            let why = "additionalProperties and properties are mutual exclusive";
            errors.forbidden(&path.field("additionalProperties"), why);
        }
        if let JSONSchemaPropsOrBool::Schema(props) = additional {
            walk(props, &path.field("additionalProperties"), no_defaults, false, errors);
        }
    }
    for (name, props) in properties {
        let is_meta = is_root && OBJECT_FIELDS.contains(&name.as_str());
        let reason = is_meta.then(|| format!("in top-level {name}"));
        walk(props, &path.field("properties").key(name), reason.as_deref().or(no_defaults), false, errors);
    }
    if let Some(not) = &props.not {
        walk(not, &path.field("not"), no_defaults, false, errors);
    }
    for (name, list) in [("allOf", &props.all_of), ("oneOf", &props.one_of), ("anyOf", &props.any_of)] {
        for (index, props) in list.iter().flatten().enumerate() {
            walk(props, &path.field(name).index(index), no_defaults, false, errors);
        }
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &props.items {
        walk(items, &path.field("items"), no_defaults, false, errors);
    }
    check_extensions(props, path, errors);
    check_rules(props, path, errors);
}

fn check_supported(props: &JSONSchemaProps, path: &Path, no_defaults: Option<&str>, errors: &mut Errors) {
    if props.default.as_ref().is_some_and(|default| !default.0.is_null())
        && let Some(reason) = no_defaults
    {
        errors.forbidden(&path.field("default"), format!("must not be set {reason}"));
    }
    let refused = [
        ("id", props.id.as_ref().is_some_and(|id| !id.is_empty()), "id is not supported"),
        ("additionalItems", props.additional_items.is_some(), "additionalItems is not supported"),
        (
            "patternProperties",
            props.pattern_properties.as_ref().is_some_and(|it| !it.is_empty()),
            "patternProperties is not supported",
        ),
        ("definitions", props.definitions.as_ref().is_some_and(|it| !it.is_empty()), "definitions is not supported"),
        ("dependencies", props.dependencies.is_some(), "dependencies is not supported"),
        ("$ref", props.ref_path.is_some(), "$ref is not supported"),
        ("type", props.type_.as_deref() == Some("null"), "type cannot be set to null, use nullable as an alternative"),
        (
            "items",
            matches!(props.items, Some(JSONSchemaPropsOrArray::Schemas(_))),
            "items must be a schema object and not an array",
        ),
    ];
    for (field, is_there, why) in refused {
        if is_there {
            errors.forbidden(&path.field(field), why);
        }
    }
    let type_ = props.type_.as_deref().unwrap_or("");
    if !type_.is_empty() && type_ != "null" && !TYPES.contains(&type_) {
        errors.not_supported(&path.field("type"), type_, &TYPES);
    }
}

fn check_extensions(props: &JSONSchemaProps, path: &Path, errors: &mut Errors) {
    if props.x_kubernetes_preserve_unknown_fields == Some(false) {
        errors.invalid(&path.field("x-kubernetes-preserve-unknown-fields"), false, "must be true or undefined");
    }
    if let Some(map_type) = &props.x_kubernetes_map_type {
        check_type(props, "object", "x-kubernetes-map-type", path, errors);
        if !matches!(map_type.as_str(), "atomic" | "granular") {
            errors.not_supported(&path.field("x-kubernetes-map-type"), map_type, &["atomic", "granular"]);
        }
    }
    let list_type = props.x_kubernetes_list_type.as_deref();
    if let Some(list_type) = list_type {
        check_type(props, "array", "x-kubernetes-list-type", path, errors);
        if !matches!(list_type, "atomic" | "set" | "map") {
            errors.not_supported(&path.field("x-kubernetes-list-type"), list_type, &["atomic", "set", "map"]);
        }
    }
    let keys = props.x_kubernetes_list_map_keys.as_deref().unwrap_or_default();
    if !keys.is_empty() {
        let why = "must be map if x-kubernetes-list-map-keys is non-empty";
        match list_type {
            None => errors.required(&path.field("x-kubernetes-list-type"), why),
            Some("map") => {}
            Some(other) => errors.invalid(&path.field("x-kubernetes-list-type"), other, why),
        }
    }
    let items = match &props.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(&**items),
        _ => None,
    };
    match list_type {
        Some("set") => check_set(items, path, errors),
        Some("map") => check_keyed_list(items, keys, path, errors),
        _ => {}
    }
}

fn check_type(props: &JSONSchemaProps, wanted: &str, extension: &str, path: &Path, errors: &mut Errors) {
    let why = format!("must be {wanted} if {extension} is specified");
    match props.type_.as_deref().unwrap_or("") {
        "" => errors.required(&path.field("type"), why),
        found if found != wanted => errors.invalid(&path.field("type"), found, why),
        _ => {}
    }
}

fn check_set(items: Option<&JSONSchemaProps>, path: &Path, errors: &mut Errors) {
    let Some(items) = items else { return };
    let path = path.field("items");
    let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let list_type = &items.x_kubernetes_list_type;
    match items.type_.as_deref() {
        Some("array") if list_type.as_deref().is_some_and(|it| it != "atomic") => {
            errors.invalid(&path.field("x-kubernetes-list-type"), list_type, why);
        }
        Some("object") if items.x_kubernetes_map_type.as_deref() != Some("atomic") => {
            errors.invalid(&path.field("x-kubernetes-map-type"), list_type, why);
        }
        _ => {}
    }
    check_not_nullable(items, "set", &path, errors);
}

fn check_not_nullable(items: &JSONSchemaProps, list_type: &str, path: &Path, errors: &mut Errors) {
    if items.nullable == Some(true) {
        let why = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errors.forbidden(&path.field("nullable"), why);
    }
}

fn check_keyed_list(items: Option<&JSONSchemaProps>, keys: &[String], path: &Path, errors: &mut Errors) {
    let keys_path = path.field("x-kubernetes-list-map-keys");
    if keys.is_empty() {
        errors.required(&keys_path, "must not be empty if x-kubernetes-list-type is map");
    }
    let items_path = path.field("items");
    let Some(items) = items else {
        return errors.required(&items_path, "must have a schema if x-kubernetes-list-type is map");
    };
    if items.type_.as_deref() != Some("object") {
        let why = "must be object if parent array's x-kubernetes-list-type is map";
        return errors.invalid(&items_path.field("type"), items.type_.as_deref().unwrap_or(""), why);
    }
    check_not_nullable(items, "map", &items_path, errors);
    let properties = items_path.field("properties");
    for (index, key) in keys.iter().enumerate() {
        if keys.iter().take(index).any(|earlier| earlier == key) {
            errors.invalid(&keys_path, Json(keys), "must not contain duplicate entries");
        }
        let Some(field) = items.properties.as_ref().and_then(|properties| properties.get(key)) else {
            errors.invalid(&keys_path, Json(keys), "entries must all be names of item properties");
            continue;
        };
        let path = properties.key(key);
        if matches!(field.type_.as_deref(), Some("array" | "object")) {
            let why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.invalid(&path.field("type"), items.type_.as_deref().unwrap_or(""), why);
        }
        if !items.required.iter().flatten().any(|name| name == key) && field.default.is_none() {
            let why =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.required(&path.field("default"), why);
        }
        if field.nullable == Some(true) {
            let why = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.forbidden(&path.field("nullable"), why);
        }
    }
}

const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// CEL rules from outside; `rules` compiles them.
fn check_rules(props: &JSONSchemaProps, path: &Path, errors: &mut Errors) {
    let path = path.field("x-kubernetes-validations");
    for (index, rule) in props.x_kubernetes_validations.iter().flatten().enumerate() {
        let path = path.index(index);
        let message = rule.message.as_deref();
        let trimmed = message.unwrap_or("").trim();
        if rule.rule.trim().is_empty() {
            errors.required(&path.field("rule"), "rule is not specified");
        } else if message.is_some_and(|message| !message.is_empty() && trimmed.is_empty()) {
            errors.invalid(&path.field("message"), message, "message must be non-empty if specified");
        } else if trimmed.contains(['\n', '\r']) {
            errors.invalid(&path.field("message"), message, "message must not contain line breaks");
        } else if rule.rule.trim().contains(['\n', '\r']) && trimmed.is_empty() {
            errors.required(&path.field("message"), "message must be specified if rule contains line breaks");
        }
        if let Some(reason) = rule.reason.as_deref().filter(|reason| !REASONS.contains(reason)) {
            errors.not_supported(&path.field("reason"), reason, &REASONS);
        }
    }
}

/// Defaults must be valid themselves, and say nothing that would be pruned.
fn check_defaults(props: &JSONSchemaProps, schema: &Structural, in_meta: bool, path: &Path, errors: &mut Errors) {
    if let Some(default) = schema.default.as_ref().filter(|_| !in_meta) {
        let path = path.field("default");
        let mut pruned = default.clone();
        prune::prune(&mut pruned, schema);
        if pruned != *default {
            errors.invalid(&path, check::Shown(default), "must not have unknown fields");
        }
        let mut found = Errors::new();
        embedded::check(default, schema, &path, &mut found);
        if found.is_empty() {
            check::check(default, None, schema, &path, &mut found);
        }
        if let Some(rules) = Rules::new(schema).filter(|_| found.is_empty()) {
            rules.check(default, None, schema, &path, &mut found);
        }
        errors.append(found);
    }
    if let (Some(schema), Some(JSONSchemaPropsOrArray::Schema(props))) = (&schema.items, &props.items) {
        check_defaults(props, schema, in_meta, &path.field("items"), errors);
    }
    for (name, props) in props.properties.iter().flatten() {
        let in_meta = in_meta || (schema.is_embedded && OBJECT_FIELDS.contains(&name.as_str()));
        if let Some(schema) = schema.properties.get(name) {
            check_defaults(props, schema, in_meta, &path.field("properties").key(name), errors);
        }
    }
}
