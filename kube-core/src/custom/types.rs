//! A structural schema as a type graph, so that strict decoding and server-side apply treat custom kinds as built-in ones.
//! Source: apiextensions `kubeopenapi.go`, structured-merge-diff `schemaconv`.

use super::structural::{Additional, Structural};
use crate::schema::{Any, Builder, Field, Id, List, ListKind, Map, Scalar, Schema, Shape, Struct};

/// The type graph of whole objects.
pub(super) fn schema(root: &Structural) -> Schema {
    let mut builder = Builder::default();
    let root = add(&mut builder, root);
    builder.finish(root)
}

fn add(builder: &mut Builder, place: &Structural) -> Id {
    if place.is_int_or_string {
        return builder.add(Shape::Scalar(Scalar::IntOrString));
    }
    let shape = match place.type_.as_str() {
        "object" => return add_object(builder, place),
        "array" => match &place.items {
            Some(items) => Shape::List(List { item: add(builder, items), kind: list_kind(place) }),
            None => Shape::Any(Any::Open),
        },
        "string" => Shape::Scalar(Scalar::String),
        "integer" => Shape::Scalar(Scalar::Int64),
        "number" => Shape::Scalar(Scalar::Double),
        "boolean" => Shape::Scalar(Scalar::Bool),
        _ if !place.properties.is_empty() => return add_object(builder, place),
        _ => Shape::Any(Any::Open),
    };
    builder.add(shape)
}

fn add_object(builder: &mut Builder, place: &Structural) -> Id {
    let element = match &place.additional {
        Additional::Schema(schema) => Some(add(builder, schema)),
        Additional::Any => Some(builder.add(Shape::Any(Any::Open))),
        Additional::None => None,
    };
    if let Some(element) = element.filter(|_| place.properties.is_empty() && !place.is_embedded) {
        return builder.add(Shape::Map(Map { element, atomic: place.is_atomic_map }));
    }
    let fields: Vec<Field> = place
        .properties
        .iter()
        .map(|(name, field)| Field {
            required: place.checks.required.contains(name),
            default: field.default.clone(),
            ..Builder::field(name.clone(), add(builder, field))
        })
        .collect();
    let rest = element.or_else(|| place.preserves_unknown.then(|| builder.add(Shape::Any(Any::Open))));
    if place.is_embedded {
        return builder.object(fields, rest);
    }
    builder.add(Shape::Struct(Struct { fields, rest, atomic: place.is_atomic_map, ..Struct::default() }))
}

fn list_kind(place: &Structural) -> ListKind {
    match place.list_type.as_str() {
        "set" => ListKind::Set,
        "map" => ListKind::Map(place.list_map_keys.iter().cloned().map(Into::into).collect()),
        _ => ListKind::Atomic,
    }
}
