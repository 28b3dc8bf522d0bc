//! JSON text to messages, without a value in between: what the JSON parser meets is written at once.
//!
//! Members of a message that Go inlines are written as one message each (`2: {1: ..}` `2: {5: ..}`), which readers merge.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserializer;
use serde::de::{Deserialize as _, DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::table::{Field, Id, Message, Node, Tables, Union};
use super::wire::{FIXED64, close, open, put_bytes, put_int, put_message, put_tag};
use crate::schema::Scalar;

/// Appends the message that a JSON object is. Members that the message does not have are left out, as Go does.
pub(super) fn message(tables: &Tables, id: Id, json: &[u8], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Members { tables, message: tables.message(id), out }.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Writes the members of an object.
struct Members<'a> {
    tables: &'a Tables,
    message: &'a Message,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { tables, message, out } = self;
        while let Some(field) = members.next_key_seed(FieldOf(message))? {
            match field {
                Some(Field { path, node, .. }) => members.next_value_seed(Value { tables, node, path, out })?,
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads a member's name.
struct FieldOf<'a>(&'a Message);

impl<'de, 'a> DeserializeSeed<'de> for FieldOf<'a> {
    type Value = Option<&'a Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for FieldOf<'a> {
    type Value = Option<&'a Field>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field(name))
    }
}

/// Writes a string.
struct Text<'a> {
    number: u32,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Text<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        put_bytes(self.out, self.number, text.as_bytes());
        Ok(())
    }
}

/// Begins an entry of a map with its key, and says where it begins.
struct Entry<'a> {
    number: u32,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Entry<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        let start = open(self.out, self.number);
        Text { number: 1, out: self.out }.deserialize(deserializer).map(|()| start)
    }
}

/// Writes a value, with its number. Nothing for null.
struct Value<'a> {
    tables: &'a Tables,
    node: &'a Node,
    path: &'a [u32],
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { tables, node, path, out } = self;
        match (path, node) {
            ([outer, path @ ..], _) if path.first().is_some_and(|inner| *inner != 0) => {
                put_message(out, *outer, |out| Value { tables, node, path, out }.deserialize(deserializer))
            }
            (_, Node::Raw) => {
                let json = <&RawValue>::deserialize(deserializer)?.get();
                if json != "null" {
                    raw(out, number(path), json);
                }
                Ok(())
            }
            _ => deserializer.deserialize_any(Value { tables, node, path, out }),
        }
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Node::Scalar(scalar) => write!(formatter, "{scalar:?}"),
            Node::List(_) | Node::Strings => formatter.write_str("a list"),
            Node::Union(_) => formatter.write_str("a schema"),
            Node::Map(_) | Node::Message(_) | Node::Raw => formatter.write_str("an object"),
        }
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        let number = number(self.path);
        match self.node {
            Node::Scalar(Scalar::Bool) => put_int(self.out, number, value.into()),
            Node::Union(Union::Bool) => put_message(self.out, number, |out| {
                put_int(out, 1, value.into());
                Ok(())
            })?,
            _ => return Err(E::invalid_type(Unexpected::Bool(value), &self)),
        }
        Ok(())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        let number = number(self.path);
        match self.node {
            Node::Scalar(Scalar::Int32 | Scalar::Int64) => put_int(self.out, number, value),
            Node::Scalar(Scalar::Double) => put_double(self.out, number, value as f64),
            Node::Scalar(Scalar::IntOrString) => int_or_string(self.out, number, 0, value, ""),
            Node::Scalar(Scalar::Quantity) => raw(self.out, number, &value.to_string()),
            _ => return Err(E::invalid_type(Unexpected::Signed(value), &self)),
        }
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        let number = number(self.path);
        match self.node {
            Node::Scalar(Scalar::Double) => put_double(self.out, number, value),
            Node::Scalar(Scalar::Quantity) => raw(self.out, number, &value.to_string()),
            _ => return Err(E::invalid_type(Unexpected::Float(value), &self)),
        }
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let (out, number) = (&mut *self.out, number(self.path));
        let Node::Scalar(scalar) = self.node else { return Err(E::invalid_type(Unexpected::Str(text), &self)) };
        match scalar {
            Scalar::String => put_bytes(out, number, text.as_bytes()),
            Scalar::Bytes => put_bytes(out, number, &STANDARD.decode(text).map_err(E::custom)?),
            Scalar::Quantity => raw(out, number, text),
            Scalar::IntOrString => int_or_string(out, number, 1, 0, text),
            Scalar::Time | Scalar::MicroTime => {
                let time: Timestamp = text.parse().map_err(E::custom)?;
                let micros = time.subsec_microsecond().rem_euclid(1_000_000);
                let nanos = if *scalar == Scalar::Time { 0 } else { micros * 1_000 };
                timestamp(out, number, time.as_nanosecond().div_euclid(1_000_000_000) as i64, nanos);
            }
            _ => return Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { tables, node, path, out } = self;
        match node {
            Node::List(node) => {
                while items.next_element_seed(Item { tables, node, number: number(path), out })?.is_some() {}
                Ok(())
            }
            Node::Strings => put_message(out, number(path), |out| {
                while items.next_element_seed(Text { number: 1, out })?.is_some() {}
                Ok(())
            }),
            Node::Union(Union::Strings) => put_message(out, number(path), |out| {
                while items.next_element_seed(Text { number: 2, out })?.is_some() {}
                Ok(())
            }),
            Node::Union(Union::Array) => put_message(out, number(path), |out| {
                let Some(schema) = tables.json_schema().map(Node::Message) else { return Ok(()) };
                while items.next_element_seed(Item { tables, node: &schema, number: 2, out })?.is_some() {}
                Ok(())
            }),
            _ => Err(A::Error::invalid_type(Unexpected::Seq, &Value { tables, node, path, out })),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { tables, node, path, out } = self;
        match node {
            Node::Message(id) => put_message(out, number(path), |out| {
                Members { tables, message: tables.message(*id), out }.visit_map(members)
            }),
            Node::Map(node) => {
                while let Some(start) = members.next_key_seed(Entry { number: number(path), out })? {
                    members.next_value_seed(Item { tables, node, number: 2, out })?;
                    close(out, start);
                }
                Ok(())
            }
            Node::Union(union) => put_message(out, number(path), |out| {
                if *union == Union::Bool {
                    put_int(out, 1, 1);
                }
                let Some(id) = tables.json_schema() else { return Ok(()) };
                put_message(out, union.schema_number(), |out| {
                    Members { tables, message: tables.message(id), out }.visit_map(members)
                })
            }),
            _ => Err(A::Error::invalid_type(Unexpected::Map, &Value { tables, node, path, out })),
        }
    }
}

/// Writes an item of a list or map, where null is the zero value: it takes a place.
struct Item<'a> {
    tables: &'a Tables,
    node: &'a Node,
    number: u32,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { tables, node, number, out } = self;
        let before = out.len();
        Value { tables, node, path: &[number], out }.deserialize(deserializer)?;
        if out.len() == before
            && !matches!(node, Node::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Double | Scalar::Bool))
        {
            put_bytes(out, number, b"");
        }
        Ok(())
    }
}

/// The innermost number of a path whose outer messages are written.
fn number(path: &[u32]) -> u32 {
    path.first().copied().unwrap_or_default()
}

/// A message whose field 1 is text.
fn raw(out: &mut Vec<u8>, number: u32, text: &str) {
    let start = open(out, number);
    put_bytes(out, 1, text.as_bytes());
    close(out, start);
}

fn put_double(out: &mut Vec<u8>, number: u32, value: f64) {
    put_tag(out, number, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Source: apimachinery `intstr.IntOrString`.
fn int_or_string(out: &mut Vec<u8>, number: u32, kind: i64, int: i64, text: &str) {
    let start = open(out, number);
    put_int(out, 1, kind);
    put_int(out, 2, int);
    put_bytes(out, 3, text.as_bytes());
    close(out, start);
}

/// Source: apimachinery `metav1.Timestamp`.
fn timestamp(out: &mut Vec<u8>, number: u32, seconds: i64, nanos: i32) {
    let start = open(out, number);
    put_int(out, 1, seconds);
    put_int(out, 2, nanos.into());
    close(out, start);
}
