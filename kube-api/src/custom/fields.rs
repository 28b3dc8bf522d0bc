//! Fields of custom kinds that a field selector may name (`selectableFields`).

use coracle_core::custom::path_of;
use coracle_core::{Kind, Object};
use serde_json::Value;

/// The path of a field by which a version may be selected: `spec.color` is `.spec.color`.
pub(crate) fn selected<'a>(kind: &'a Kind, field: &str) -> Option<&'a str> {
    let selectable = &kind.custom.as_ref()?.selectable;
    selectable.iter().map(String::as_str).find(|path| path.trim_start_matches('.') == field)
}

/// The text of a field; `None` counts as empty.
pub(crate) fn text_at(object: &Object, path: &str) -> Option<String> {
    let json: Value = serde_json::from_slice(object.stored()).ok()?;
    match path_of(&json, path)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}
