//! Sets without repeated items, and keyed lists without repeated keys. Source: apiextensions `schema/listtype`.

use serde_json::{Map, Value};

use super::check::Shown;
use super::structural::Structural;
use crate::field::{Errors, Path};

/// Finds every item of a set or keyed list that is there a second time. A list that has not changed is not looked at.
pub(super) fn check(value: &Value, old: Option<&Value>, schema: &Structural, path: &Path, errors: &mut Errors) {
    if old == Some(value) {
        return;
    }
    match value {
        Value::Array(items) => {
            check_list(items, schema, path, errors);
            if let Some(schema) = &schema.items {
                for (index, item) in items.iter().enumerate() {
                    check(item, None, schema, &path.index(index), errors);
                }
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                if let Some(below) = schema.field(name) {
                    let old = old.and_then(|old| old.get(name));
                    match schema.properties.contains_key(name) {
                        true => check(field, old, below, &path.field(name), errors),
                        false => check(field, old, below, &path.key(name), errors),
                    }
                }
            }
        }
        _ => {}
    }
}

fn check_list(items: &[Value], schema: &Structural, path: &Path, errors: &mut Errors) {
    let identities: Vec<Value> = match schema.list_type.as_str() {
        "set" => items.to_vec(),
        "map" => items.iter().map(|item| keys_of(item, schema)).collect(),
        _ => return,
    };
    for (index, identity) in identities.iter().enumerate() {
        if identities.iter().take(index).filter(|earlier| *earlier == identity).count() == 1 {
            errors.duplicate(&path.index(index), Shown(identity));
        }
    }
}

/// The key fields of an item, with defaults where they are left out.
fn keys_of(item: &Value, schema: &Structural) -> Value {
    let default = |key: &String| schema.items.as_ref()?.properties.get(key)?.default.as_ref();
    let mut keys = Map::new();
    for key in &schema.list_map_keys {
        if let Some(value) = item.get(key).or_else(|| default(key)) {
            keys.insert(key.clone(), value.clone());
        }
    }
    Value::Object(keys)
}
