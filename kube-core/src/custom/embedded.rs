//! Objects inside objects (`x-kubernetes-embedded-resource`): they have a type and metadata of their own. Source: apiextensions
//! `schema/objectmeta`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::structural::Structural;
use crate::field::{Errors, Path};

/// Takes away what metadata inside an object cannot have. Metadata of a wrong form is left for [`check`] to find.
pub(super) fn tidy(value: &mut Value, schema: &Structural) {
    each_child(value, schema, &mut |child, schema| {
        if schema.is_embedded
            && let Some(metadata) = child.get_mut("metadata")
            && let Ok(known) = serde_json::from_value::<ObjectMeta>(metadata.clone())
            && let Ok(known) = serde_json::to_value(known)
        {
            *metadata = known;
        }
        tidy(child, schema);
    });
}

fn each_child(value: &mut Value, schema: &Structural, visit: &mut dyn FnMut(&mut Value, &Structural)) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if let Some(schema) = schema.field(name) {
                    visit(field, schema);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                items.iter_mut().for_each(|item| visit(item, schema));
            }
        }
        _ => {}
    }
}

/// Checks the type and metadata of every object inside an object.
pub(super) fn check(value: &Value, schema: &Structural, path: &Path, errors: &mut Errors) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let Some(below) = schema.field(name) else { continue };
                match schema.properties.contains_key(name) {
                    true => check_child(field, below, &path.field(name), errors),
                    false => check_child(field, below, &path.key(name), errors),
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    check_child(item, schema, &path.index(index), errors);
                }
            }
        }
        _ => {}
    }
}

fn check_child(value: &Value, schema: &Structural, path: &Path, errors: &mut Errors) {
    if schema.is_embedded && value.is_object() {
        for name in ["apiVersion", "kind"] {
            if value.get(name).and_then(Value::as_str).unwrap_or("").is_empty() {
                errors.required(&path.field(name), "must not be empty");
            }
        }
        if let Some(metadata) = value.get("metadata")
            && let Err(error) = serde_json::from_value::<ObjectMeta>(metadata.clone())
        {
            errors.invalid(&path.field("metadata"), super::check::Shown(metadata), error.to_string());
        }
    }
    check(value, schema, path, errors);
}
