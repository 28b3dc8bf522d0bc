//! The type graph of a kind as the form that expressions see.

use std::sync::Arc;

use super::{Form, ListKind, Shape};
use crate::schema::{self, Scalar, Schema, Type};

/// The form of whole objects. Types of what is below are named after their place, as upstream's are.
pub(crate) fn shape(schema: &Schema, kind: &str) -> Arc<Shape> {
    form(schema.root(), kind, &mut Vec::new())
}

/// `above` are the definitions that a place is in: a definition in itself is anything.
fn form<'a>(place: Type<'a>, name: &str, above: &mut Vec<&'a str>) -> Arc<Shape> {
    let definition = place.definition().unwrap_or_default();
    if !definition.is_empty() && above.contains(&definition) {
        return Arc::new(Shape::new(Form::Any));
    }
    above.push(definition);
    let shape = match place.shape() {
        schema::Shape::Scalar(scalar) => Shape::new(scalar_form(*scalar)),
        schema::Shape::Any(_) => Shape::new(Form::Any),
        schema::Shape::List(list) => {
            let kind = match &list.kind {
                schema::ListKind::Atomic => ListKind::Atomic,
                schema::ListKind::Set => ListKind::Set,
                schema::ListKind::Map(keys) => ListKind::Map(keys.iter().map(ToString::to_string).collect()),
            };
            Shape::new(Form::List(form(place.at(list.item), &format!("{name}.@idx"), above), kind))
        }
        schema::Shape::Map(map) => Shape::new(Form::Map(form(place.at(map.element), &format!("{name}.@elem"), above))),
        schema::Shape::Struct(object) if object.fields.is_empty() => Shape::new(Form::Any),
        schema::Shape::Struct(object) => {
            let fields = object.fields.iter().map(|field| {
                (field.name.to_string(), form(place.at(field.ty), &format!("{name}.{}", field.name), above))
            });
            Shape::object(name, fields.collect::<Vec<_>>())
        }
    };
    above.pop();
    Arc::new(shape)
}

const fn scalar_form(scalar: Scalar) -> Form {
    match scalar {
        Scalar::String => Form::String,
        Scalar::Bytes => Form::Bytes,
        Scalar::Int32 | Scalar::Int64 => Form::Int,
        Scalar::Double => Form::Double,
        Scalar::Bool => Form::Bool,
        Scalar::Quantity | Scalar::IntOrString => Form::Any,
        Scalar::Time | Scalar::MicroTime => Form::DateTime,
    }
}
