//! Fills in what a schema has defaults for. Source: apiextensions `schema/defaulting`.

use serde_json::Value;

use super::structural::{Additional, Structural};

/// Fills in defaults, also for a `null` where none may be.
pub(super) fn fill(value: &mut Value, schema: &Structural) {
    match value {
        Value::Object(fields) => {
            for (name, schema) in &schema.properties {
                let Some(default) = &schema.default else { continue };
                if fields.get(name).is_none_or(|field| is_wrong_null(field, schema)) {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, field) in fields.iter_mut() {
                match (schema.properties.get(name), &schema.additional) {
                    (Some(schema), _) => fill(field, schema),
                    (None, Additional::Schema(schema)) => fill_element(field, schema),
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                items.iter_mut().for_each(|item| fill_element(item, schema));
            }
        }
        _ => {}
    }
}

fn fill_element(value: &mut Value, schema: &Structural) {
    if let Some(default) = schema.default.as_ref().filter(|_| is_wrong_null(value, schema)) {
        *value = default.clone();
    }
    fill(value, schema);
}

/// Takes away each `null` of a field that cannot be null and has no default.
pub(super) fn drop_nulls(value: &mut Value, schema: &Structural) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, field| {
                let described = schema.properties.get(name);
                !described.is_some_and(|schema| is_wrong_null(field, schema) && schema.default.is_none())
            });
            for (name, field) in fields.iter_mut() {
                if let Some(schema) = schema.field(name) {
                    drop_nulls(field, schema);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                items.iter_mut().for_each(|item| drop_nulls(item, schema));
            }
        }
        _ => {}
    }
}

fn is_wrong_null(value: &Value, schema: &Structural) -> bool {
    value.is_null() && !schema.nullable
}
