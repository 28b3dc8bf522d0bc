//! What makes a schema structural: every place has one type of its own, and junctors only check places that have one. Source:
//! apiextensions `schema/validation.go`, `schema/complete.go`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use regex::Regex;

use crate::field::{Errors, Path};

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Checks that a schema is structural; findings are sorted, as upstream sorts them.
pub(super) fn check(props: &JSONSchemaProps, path: &Path, errors: &mut Errors) {
    let mut found = Errors::new();
    check_place(props, Level::Root, path, &mut found);
    check_complete(props, props, path, path, &mut found);
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(ToString::to_string);
    found.into_iter().for_each(|error| errors.push(error));
}

fn items_of(props: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &props.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items),
        _ => None,
    }
}

fn check_place(props: &JSONSchemaProps, level: Level, path: &Path, errors: &mut Errors) {
    let type_ = props.type_.as_deref().unwrap_or("");
    match items_of(props) {
        Some(items) => check_place(items, Level::Item, &path.field("items"), errors),
        None if type_ == "array" => errors.required(&path.field("items"), "must be specified"),
        None => {}
    }
    for (name, props) in props.properties.iter().flatten() {
        check_place(props, Level::Field, &path.field("properties").key(name), errors);
    }
    if let Some(additional) = &props.additional_properties {
        if level == Level::Root {
            errors.forbidden(&path.field("additionalProperties"), "must not be used at the root");
        }
        if let JSONSchemaPropsOrBool::Schema(props) = additional {
            check_place(props, Level::Field, &path.field("additionalProperties"), errors);
        }
    }
    let skips_any = is_int_or_string(props.any_of.as_deref());
    let first = props.all_of.iter().flatten().next();
    let skips_first = first.is_some_and(|first| is_int_or_string(first.any_of.as_deref()));
    check_junctors(props, skips_any, skips_first, path, errors);
    check_own_type(props, type_, level, path, errors);
    check_own_metadata(props, level, path, errors);
}

fn check_own_type(props: &JSONSchemaProps, type_: &str, level: Level, path: &Path, errors: &mut Errors) {
    let is = |flag: Option<bool>| flag == Some(true);
    let is_embedded = is(props.x_kubernetes_embedded_resource);
    let preserves = is(props.x_kubernetes_preserve_unknown_fields);
    let is_int_or_string = is(props.x_kubernetes_int_or_string);
    if is_int_or_string {
        let why = "must be false if x-kubernetes-int-or-string is true";
        if preserves {
            errors.invalid(&path.field("x-kubernetes-preserve-unknown-fields"), true, why);
        }
        if is_embedded {
            errors.invalid(&path.field("x-kubernetes-embedded-resource"), true, why);
        }
    }
    let path_of_type = path.field("type");
    if is_embedded && type_ != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        match type_ {
            "" => errors.required(&path_of_type, why),
            other => errors.invalid(&path_of_type, other, why),
        }
    } else if type_.is_empty() && !is_int_or_string && !preserves {
        errors.required(
            &path_of_type,
            match level {
                Level::Root => "must not be empty at the root",
                Level::Item => "must not be empty for specified array items",
                Level::Field => "must not be empty for specified object fields",
            },
        );
    }
    if is_embedded && props.additional_properties.is_some() {
        let why = "must not be used if x-kubernetes-embedded-resource is set";
        errors.forbidden(&path.field("additionalProperties"), why);
    }
    if level == Level::Root && !type_.is_empty() && type_ != "object" {
        errors.invalid(&path_of_type, type_, "must be object at the root");
    }
    if is_embedded && !preserves && props.properties.as_ref().is_none_or(|properties| properties.is_empty()) {
        let why =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.required(&path.field("properties"), why);
    }
}

fn check_own_metadata(props: &JSONSchemaProps, level: Level, path: &Path, errors: &mut Errors) {
    let properties = path.field("properties");
    let field = |name: &str| props.properties.as_ref().and_then(|properties| properties.get(name));
    if level == Level::Root || props.x_kubernetes_embedded_resource == Some(true) {
        for (name, wanted) in [("kind", "string"), ("apiVersion", "string"), ("metadata", "object")] {
            let Some(field) = field(name) else { continue };
            let found = field.type_.as_deref().unwrap_or("");
            if found != wanted {
                errors.invalid(&properties.key(name).field("type"), found, format!("must be {wanted}"));
            }
        }
    }
    if let Some(metadata) = field("metadata").filter(|_| level == Level::Root) {
        let names = metadata.properties.iter().flatten().map(|(name, _)| name.as_str());
        let only_names = names.clone().all(|name| matches!(name, "name" | "generateName"));
        let bare = JSONSchemaProps { type_: None, properties: None, default: None, ..metadata.clone() };
        let bare = JSONSchemaProps { description: None, ..bare };
        if !only_names || (bare != JSONSchemaProps::default() && bare.required.is_none()) {
            let why =
                "must not specify anything other than name and generateName, but metadata is implicitly specified";
            errors.forbidden(&properties.key("metadata"), why);
        }
    }
}

/// `[{type: integer}, {type: string}]`, the one way in which junctors may name types.
fn is_int_or_string(any_of: Option<&[JSONSchemaProps]>) -> bool {
    let only = |type_: &str| JSONSchemaProps { type_: Some(type_.to_owned()), ..JSONSchemaProps::default() };
    any_of.is_some_and(|any_of| any_of == [only("integer"), only("string")])
}

fn check_junctors(props: &JSONSchemaProps, skips_any: bool, skips_first: bool, path: &Path, errors: &mut Errors) {
    let any_of = props.any_of.as_deref().filter(|_| !skips_any).unwrap_or_default();
    for (index, nested) in any_of.iter().enumerate() {
        check_nested(nested, false, &path.field("anyOf").index(index), errors);
    }
    for (index, nested) in props.all_of.iter().flatten().enumerate() {
        check_nested(nested, skips_first && index == 0, &path.field("allOf").index(index), errors);
    }
    for (index, nested) in props.one_of.iter().flatten().enumerate() {
        check_nested(nested, false, &path.field("oneOf").index(index), errors);
    }
    if let Some(not) = &props.not {
        check_nested(not, false, &path.field("not"), errors);
    }
    if let Some(pattern) = props.pattern.as_deref().filter(|pattern| !pattern.is_empty())
        && let Err(error) = Regex::new(pattern)
    {
        let why = format!("must be a valid regular expression, but isn't: {error}");
        errors.invalid(&path.field("pattern"), pattern, why);
    }
}

fn check_nested(props: &JSONSchemaProps, skips_any: bool, path: &Path, errors: &mut Errors) {
    check_junctors(props, skips_any, false, path, errors);
    if let Some(items) = items_of(props) {
        check_nested(items, false, &path.field("items"), errors);
    }
    let properties = path.field("properties");
    for (name, props) in props.properties.iter().flatten() {
        check_nested(props, false, &properties.key(name), errors);
        if name == "metadata" {
            errors.forbidden(&properties.key(name), "must not be specified in a nested context");
        }
    }
    let is_there = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let is = |flag: Option<bool>| flag == Some(true);
    let has_rules = props.x_kubernetes_validations.as_ref().is_some_and(|rules| !rules.is_empty());
    let refused = [
        ("type", is_there(&props.type_), "must be empty to be structural"),
        ("additionalProperties", props.additional_properties.is_some(), "must be undefined to be structural"),
        ("default", props.default.is_some(), "must be undefined to be structural"),
        ("title", is_there(&props.title), "must be empty to be structural"),
        ("description", is_there(&props.description), "must be empty to be structural"),
        ("nullable", is(props.nullable), "must be false to be structural"),
        ("externalDocs", props.external_docs.is_some(), "must be undefined to be structural"),
        (
            "x-kubernetes-preserve-unknown-fields",
            is(props.x_kubernetes_preserve_unknown_fields),
            "must be false to be structural",
        ),
        ("x-kubernetes-embedded-resource", is(props.x_kubernetes_embedded_resource), "must be false to be structural"),
        ("x-kubernetes-int-or-string", is(props.x_kubernetes_int_or_string), "must be false to be structural"),
        (
            "x-kubernetes-list-map-keys",
            props.x_kubernetes_list_map_keys.as_ref().is_some_and(|keys| !keys.is_empty()),
            "must be empty to be structural",
        ),
        ("x-kubernetes-list-type", props.x_kubernetes_list_type.is_some(), "must be undefined to be structural"),
        ("x-kubernetes-map-type", props.x_kubernetes_map_type.is_some(), "must be undefined to be structural"),
        ("x-kubernetes-validations", has_rules, "must be empty to be structural"),
    ];
    for (field, is_there, why) in refused {
        if is_there {
            errors.forbidden(&path.field(field), why);
        }
    }
}

/// Every field and item that a junctor of `nested` speaks of must be a place of `place`. As upstream, only the junctors at the
/// root are looked at.
fn check_complete(nested: &JSONSchemaProps, place: &JSONSchemaProps, here: &Path, path: &Path, errors: &mut Errors) {
    if let Some(not) = &nested.not {
        check_nested_complete(not, place, here, &path.field("not"), errors);
    }
    for (name, list) in [("allOf", &nested.all_of), ("anyOf", &nested.any_of), ("oneOf", &nested.one_of)] {
        for (index, nested) in list.iter().flatten().enumerate() {
            check_nested_complete(nested, place, here, &path.field(name).index(index), errors);
        }
    }
}

fn check_nested_complete(
    nested: &JSONSchemaProps,
    place: &JSONSchemaProps,
    here: &Path,
    path: &Path,
    errors: &mut Errors,
) {
    check_complete(nested, place, here, path, errors);
    let missing = |path: &Path| format!("because it is defined in {path}");
    if let Some(nested) = items_of(nested) {
        let (here, path) = (here.field("items"), path.field("items"));
        match items_of(place) {
            Some(place) => check_nested_complete(nested, place, &here, &path, errors),
            None => errors.required(&here, missing(&path)),
        }
    }
    for (name, nested) in nested.properties.iter().flatten() {
        let (above, path) = (here.field("properties"), path.field("properties"));
        let (here, path) = (above.key(name), path.key(name));
        match place.properties.as_ref().and_then(|properties| properties.get(name)) {
            Some(place) => check_nested_complete(nested, place, &here, &path, errors),
            None => errors.required(&here, missing(&path)),
        }
    }
}
