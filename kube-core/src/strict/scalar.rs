//! Which JSON values a scalar takes, and what Go says of the others.

use super::time::bad_time;
use crate::quantity::{Quantity, QuantityError};
use crate::schema::{Scalar, Shape, Type};
use base64::Engine;

/// A JSON value without its content, as far as type errors need it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Given<'a> {
    Bool,
    Integer(i64),
    /// A number that no 64-bit integer holds.
    Number(f64),
    String(&'a str),
    Array,
    Object,
}

/// An error in decoding one value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// `cannot unmarshal {value} into ... of type {go_type}`
    Type { value: String, go_type: String },
    /// A message of the type's own decoder, which knows no path.
    Own(String),
}

/// What Go says when `given` arrives where `scalar` is declared; `None` if it fits.
pub(super) fn check_scalar(scalar: Scalar, given: Given<'_>) -> Option<Mismatch> {
    match (scalar, given) {
        (Scalar::String | Scalar::IntOrString, Given::String(_)) => None,
        (Scalar::Time, Given::String(text)) => bad_time(text, false).map(Mismatch::Own),
        (Scalar::MicroTime, Given::String(text)) => bad_time(text, true).map(Mismatch::Own),
        (Scalar::Bytes, Given::String(text)) => bad_base64(text),
        (Scalar::Bool, Given::Bool) => None,
        (Scalar::Double, Given::Integer(_) | Given::Number(_)) => None,
        (Scalar::Int64, Given::Integer(_)) => None,
        (Scalar::Int32 | Scalar::IntOrString, Given::Integer(value)) if i32::try_from(value).is_ok() => None,
        (Scalar::Quantity, Given::Integer(_) | Given::Number(_)) => None,
        (Scalar::Quantity, Given::String(text)) => Quantity::parse(text.trim()).err().map(bad_quantity),
        (Scalar::Quantity, _) => Some(bad_quantity(QuantityError::Format)),
        _ => Some(mismatch(given, name_of(scalar))),
    }
}

/// The error of a value where something else is declared.
pub(super) fn mismatch(given: Given<'_>, go_type: String) -> Mismatch {
    let numeric = go_type.starts_with("int") || go_type == "float64";
    let value = match given {
        Given::Bool => "bool".into(),
        Given::Integer(value) if numeric => format!("number {value}"),
        Given::Number(value) if numeric => format!("number {value:?}"),
        Given::Integer(_) | Given::Number(_) => "number".into(),
        Given::String(_) => "string".into(),
        Given::Array => "array".into(),
        Given::Object => "object".into(),
    };
    Mismatch::Type { value, go_type }
}

fn bad_quantity(error: QuantityError) -> Mismatch {
    Mismatch::Own(error.to_string())
}

fn bad_base64(text: &str) -> Option<Mismatch> {
    let error = base64::engine::general_purpose::STANDARD.decode(text).err()?;
    let position = match error {
        base64::DecodeError::InvalidByte(position, _) | base64::DecodeError::InvalidLastSymbol(position, _) => position,
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => text.len(),
    };
    Some(Mismatch::Own(format!("illegal base64 data at input byte {position}")))
}

/// A type as Go prints it: `int32`, `[]v1.Container`, `map[string]string`. Named strings print as `string`.
pub(super) fn go_type(ty: Type<'_>) -> String {
    match ty.shape() {
        Shape::Scalar(scalar) => name_of(*scalar),
        Shape::Struct(object) => {
            let mut parts = object.name.rsplit('.');
            let (name, package) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            format!("{package}.{name}")
        }
        Shape::Map(map) => match ty.at(map.element).shape() {
            Shape::Scalar(Scalar::Quantity) => "v1.ResourceList".into(),
            _ => format!("map[string]{}", go_type(ty.at(map.element))),
        },
        Shape::List(list) => format!("[]{}", go_type(ty.at(list.item))),
        Shape::Any(_) => "interface {}".into(),
    }
}

fn name_of(scalar: Scalar) -> String {
    let name = match scalar {
        // Times are read as strings first, int-or-string as an int32 unless it is a string.
        Scalar::String | Scalar::Time | Scalar::MicroTime => "string",
        Scalar::Bytes => "[]uint8",
        Scalar::Int32 | Scalar::IntOrString => "int32",
        Scalar::Int64 => "int64",
        Scalar::Double => "float64",
        Scalar::Bool => "bool",
        Scalar::Quantity => "resource.Quantity",
    };
    name.into()
}
