//! Takes away what a schema does not describe. Source: apiextensions `schema/pruning`.

use serde_json::{Map, Value};

use super::structural::{Additional, Structural};

/// What an object with metadata of its own has beside the fields of its schema.
const OBJECT_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Takes away every field that is not described.
pub(super) fn prune(value: &mut Value, schema: &Structural) {
    match value {
        Value::Object(fields) if schema.preserves_unknown => {
            for (name, field) in fields.iter_mut() {
                prune_preserved(name, field, schema);
            }
        }
        Value::Object(fields) => prune_object(fields, schema),
        Value::Array(items) => {
            for item in items {
                match &schema.items {
                    Some(schema) => prune(item, schema),
                    None if schema.preserves_unknown => {}
                    None => empty(item),
                }
            }
        }
        _ => {}
    }
}

/// Below a place that preserves unknown fields, the described fields are pruned all the same.
fn prune_preserved(name: &str, field: &mut Value, schema: &Structural) {
    if schema.is_embedded && OBJECT_FIELDS.contains(&name) {
        return;
    }
    if let Some(schema) = schema.field(name) {
        prune(field, schema);
    }
}

fn prune_object(fields: &mut Map<String, Value>, schema: &Structural) {
    fields.retain(|name, field| {
        if schema.is_embedded && OBJECT_FIELDS.contains(&name.as_str()) {
            return true;
        }
        match (schema.properties.get(name), &schema.additional) {
            (Some(schema), _) => prune(field, schema),
            (None, Additional::Schema(schema)) => prune(field, schema),
            (None, Additional::Any) => empty(field),
            (None, Additional::None) => return false,
        }
        true
    });
}

/// Nothing is described here: only scalars and empty shells are left.
fn empty(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.clear(),
        Value::Array(items) => items.iter_mut().for_each(empty),
        _ => {}
    }
}
