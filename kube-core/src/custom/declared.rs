//! A structural schema as the form that expressions see. Source: apiserver `pkg/cel/common/schemas.go`.

use std::sync::Arc;

use serde_json::Value;

use super::structural::{Additional, Structural};
use crate::cel::{Form, ListKind, REQUEST_BYTES_MAX, Shape};

/// The form of a place; `None` for what expressions cannot look at.
pub(super) fn shape(schema: &Structural) -> Option<Arc<Shape>> {
    named_shape(schema).map(Arc::new)
}

fn named_shape(schema: &Structural) -> Option<Shape> {
    let checks = &schema.checks;
    // A character takes up to four bytes.
    let characters = checks.length_max.map(|max| positive(max).saturating_mul(4));
    if schema.is_int_or_string {
        return Some(Shape { size_max: characters.unwrap_or(REQUEST_BYTES_MAX - 2), ..Shape::new(Form::Any) });
    }
    let type_ = if schema.is_embedded { "object" } else { schema.type_.as_str() };
    Some(match type_ {
        "array" => {
            let items = shape(schema.items.as_deref()?)?;
            let most = (REQUEST_BYTES_MAX - 2) / (items.bytes_min + 1);
            let size_max = checks.items_max.map_or(most, positive);
            Shape { size_max, ..Shape::new(Form::List(items, list_kind(schema))) }
        }
        "object" => match &schema.additional {
            Additional::Schema(values) => {
                let values = shape(values)?;
                let most = (REQUEST_BYTES_MAX - 2) / (values.bytes_min + 6);
                let size_max = checks.properties_max.map_or(most, positive);
                Shape { size_max, ..Shape::new(Form::Map(values)) }
            }
            _ => object(schema),
        },
        "string" => text(schema, characters),
        "boolean" => Shape::new(Form::Bool),
        "number" => Shape::new(Form::Double),
        "integer" => Shape::new(Form::Int),
        _ => return None,
    })
}

fn positive(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

fn list_kind(schema: &Structural) -> ListKind {
    match schema.list_type.as_str() {
        "set" => ListKind::Set,
        "map" => ListKind::Map(schema.list_map_keys.clone()),
        _ => ListKind::Atomic,
    }
}

fn object(schema: &Structural) -> Shape {
    let mut fields: Vec<(String, Arc<Shape>)> = Vec::new();
    let mut bytes_min = 2;
    for (name, field) in &schema.properties {
        let is_own = schema.is_embedded && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
        let Some(found) = shape(field).filter(|_| !is_own) else { continue };
        if schema.checks.required.contains(name) && field.default.is_none() {
            bytes_min += name.len() as u64 + found.bytes_min + 4;
        }
        fields.push((name.clone(), found));
    }
    if schema.is_embedded {
        let unbounded = || Arc::new(Shape { size_max: REQUEST_BYTES_MAX - 2, ..Shape::new(Form::String) });
        let names = ["name", "generateName"].map(|name| (name.to_owned(), unbounded()));
        fields.extend(["apiVersion", "kind"].map(|name| (name.to_owned(), unbounded())));
        fields.push(("metadata".to_owned(), Arc::new(Shape::object("object", names))));
    }
    Shape { bytes_min, ..Shape::object("object", fields) }
}

/// Strings, by format. Sizes are those that upstream assumes.
fn text(schema: &Structural, characters: Option<u64>) -> Shape {
    let checks = &schema.checks;
    let (form, size_max, bytes_min) = match checks.format.as_str() {
        "byte" => (Form::Bytes, checks.length_max.map(positive), 2),
        "duration" => (Form::Duration, Some(32), 4),
        "date" => (Form::Date, Some(12), 12),
        "date-time" => (Form::DateTime, Some(37), 22),
        _ => {
            let choices = checks.choices.iter().filter_map(Value::as_str).map(|choice| choice.len() as u64).max();
            (Form::String, characters.or(choices), 2)
        }
    };
    Shape { form, size_max: size_max.unwrap_or(REQUEST_BYTES_MAX - 2), bytes_min }
}
