//! Values. JSON is never copied: lists and maps of it are borrowed and read along their declared form, one step at a time.
//!
//! - this file: what values are, and how JSON is read as one
//! - `compare`: equality and order
//! - `collections`: lists and maps
//! - `json`: values as JSON

mod collections;
mod compare;
mod json;

pub use collections::{Fields, Key, List, Map};
pub(super) use compare::{compare, contains, equal};

use std::ops::Deref;
use std::sync::Arc;

use base64::Engine as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::library::{Opaque, parse_duration};
use super::shape::{Form, Shape};

/// A value of an expression. Cloning it is cheap.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that is not negative.
    Uint(u64),
    /// A number with a point.
    Double(f64),
    /// Text.
    String(Text<'a>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A moment.
    Timestamp(Timestamp),
    /// A span of time in nanoseconds.
    Duration(i64),
    /// A list.
    List(List<'a>),
    /// A map or an object.
    Map(Map<'a>),
    /// Something that may not be there.
    Optional(Option<Arc<Value<'a>>>),
    /// A type, by its name.
    Type(Text<'a>),
    /// What only functions can look into.
    Opaque(Arc<Opaque>),
}

/// Text, borrowed or shared.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// Text of the data or of the expression.
    Borrowed(&'a str),
    /// Text that was made.
    Shared(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::String(Text::Shared(text.into()))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(Text::Borrowed(text))
    }
}

impl<'a> Value<'a> {
    /// JSON as its declared form says; without one, as it is.
    #[must_use]
    pub fn of(json: &'a Json, shape: Option<&'a Shape>) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (shape.map(|shape| &shape.form), number.as_i64()) {
                (Some(Form::Double), _) | (_, None) => whole_or_double(number.as_f64().unwrap_or(0.0), shape),
                (_, Some(value)) => Self::Int(value),
            },
            Json::String(text) => text_of(text, shape),
            Json::Array(items) => Self::List(List::Json(items, shape)),
            Json::Object(fields) => Self::Map(Map::Json(fields, shape)),
        }
    }

    /// A list that was made.
    #[must_use]
    pub fn list(items: Vec<Value<'a>>) -> Self {
        Self::List(List::Made(Arc::new(items)))
    }

    /// An optional with a value.
    #[must_use]
    pub fn some(value: Value<'a>) -> Self {
        Self::Optional(Some(Arc::new(value)))
    }

    /// An optional without a value.
    #[must_use]
    pub const fn none() -> Self {
        Self::Optional(None)
    }

    /// The text, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The name of the value's type, as `type()` gives it.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::List(_) => "list",
            Self::Map(map) => map.type_name(),
            Self::Optional(_) => "optional_type",
            Self::Type(_) => "type",
            Self::Opaque(opaque) => opaque.type_name(),
        }
    }

    /// The size as costs count it: characters, items, entries; one for everything else.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::String(text) => text.chars().count() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::List(list) => list.len() as u64,
            Self::Map(map) => map.len() as u64,
            Self::Opaque(opaque) => opaque.size(),
            _ => 1,
        }
    }
}

/// Whole numbers of integer places may be written with a point.
fn whole_or_double<'a>(value: f64, shape: Option<&Shape>) -> Value<'a> {
    let is_int = shape.is_some_and(|shape| matches!(shape.form, Form::Int));
    if is_int { Value::Int(value as i64) } else { Value::Double(value) }
}

/// A string whose format has a type of its own; one that does not keep its format stays text.
fn text_of<'a>(text: &'a str, shape: Option<&Shape>) -> Value<'a> {
    let read = shape.and_then(|shape| match shape.form {
        Form::Bytes => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
            Some(Value::Bytes(bytes.into()))
        }
        Form::DateTime => text.parse().ok().map(Value::Timestamp),
        Form::Date => {
            let day: jiff::civil::Date = text.parse().ok()?;
            day.to_zoned(TimeZone::UTC).ok().map(|moment| Value::Timestamp(moment.timestamp()))
        }
        Form::Duration => parse_duration(text).map(Value::Duration),
        _ => None,
    });
    read.unwrap_or(Value::String(Text::Borrowed(text)))
}
