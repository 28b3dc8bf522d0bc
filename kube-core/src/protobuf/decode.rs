//! Messages to JSON, as Go would write what it read: zeros that Go leaves out are left out, and so are unknown fields.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::table::{Field, Id, Message, Node, Path, Tables, Union};
use super::wire::{Reader, Wire};
use super::{Error, MAGIC, envelope};
use crate::schema::Scalar;

/// How deeply messages may be nested. The JSON parser behind has a limit of the same order.
const DEPTH_MAX: usize = 100;

/// Reads messages, at some depth.
#[derive(Clone, Copy)]
pub(super) struct Decoder<'a> {
    pub(super) tables: &'a Tables,
    pub(super) depth: usize,
}

impl Decoder<'_> {
    /// Reads a message into an object, which may hold a part of it already.
    pub(super) fn message(self, id: Id, data: &[u8], object: &mut Map<String, Value>) -> Result<(), Error> {
        self.deeper()?.fill(self.tables.message(id), Path::default(), data, object)
    }

    fn deeper(self) -> Result<Self, Error> {
        let depth = self.depth + 1;
        if depth > DEPTH_MAX { Err(Error::TooDeep) } else { Ok(Self { depth, ..self }) }
    }

    fn fill(self, message: &Message, outer: Path, data: &[u8], object: &mut Map<String, Value>) -> Result<(), Error> {
        let mut reader = Reader(data);
        while let Some((number, wire)) = reader.field()? {
            let mut path = outer;
            let Some(place) = path.iter_mut().find(|place| **place == 0) else { continue };
            *place = number;
            match (message.at(path), wire) {
                (Some(field), _) => self.put(field, wire, object)?,
                (None, Wire::Bytes(data)) if message.is_inlined(path) => self.fill(message, path, data, object)?,
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn put(self, field: &Field, wire: Wire<'_>, object: &mut Map<String, Value>) -> Result<(), Error> {
        let wrong = || Error::WrongType { wire: wire.kind(), field: field.name };
        let fails = |failure| match failure {
            Failure::Type => wrong(),
            Failure::Other(error) => error,
        };
        match (&field.node, wire) {
            (Node::List(item), _) => {
                let list = object.entry(field.name).or_insert_with(|| json!([]));
                self.extend(item, wire, list.as_array_mut().ok_or_else(wrong)?).map_err(fails)
            }
            (Node::Map(element), Wire::Bytes(data)) => {
                let map = object.entry(field.name).or_insert_with(|| json!({}));
                let (key, value) = self.entry(element, data).map_err(fails)?;
                map.as_object_mut().ok_or_else(wrong)?.insert(key, value);
                Ok(())
            }
            (Node::Message(id), Wire::Bytes(data)) => {
                let part = object.entry(field.name).or_insert_with(|| json!({}));
                self.message(*id, data, part.as_object_mut().ok_or_else(wrong)?)
            }
            (node, _) => {
                match self.value(node, wire).map_err(fails)? {
                    Some(value) if !(field.omits_zero && is_zero(&value)) => object.insert(field.name.into(), value),
                    _ => object.remove(field.name),
                };
                Ok(())
            }
        }
    }

    /// One more item, or several numbers packed together.
    fn extend(self, item: &Node, wire: Wire<'_>, list: &mut Vec<Value>) -> Result<(), Failure> {
        match (item, wire) {
            (Node::Scalar(Scalar::Int32 | Scalar::Int64 | Scalar::Bool), Wire::Bytes(packed)) => {
                let mut reader = Reader(packed);
                while !reader.0.is_empty() {
                    list.extend(self.value(item, Wire::Varint(reader.varint()?))?);
                }
            }
            _ => list.push(self.value(item, wire)?.unwrap_or_default()),
        }
        Ok(())
    }

    /// An entry of a map; what it lacks is empty.
    fn entry(self, element: &Node, data: &[u8]) -> Result<(String, Value), Failure> {
        let (mut key, mut value) = (String::new(), Wire::Bytes(b""));
        let mut reader = Reader(data);
        while let Some((number, wire)) = reader.field()? {
            match (number, wire) {
                (1, Wire::Bytes(bytes)) => key = text(bytes),
                (1, _) => return Err(Failure::Type),
                (2, _) => value = wire,
                _ => {}
            }
        }
        Ok((key, self.value(element, value)?.unwrap_or_default()))
    }

    /// A value; `None` for what is null in JSON.
    fn value(self, node: &Node, wire: Wire<'_>) -> Result<Option<Value>, Failure> {
        let data = match (node, wire) {
            (Node::Scalar(scalar), _) => return scalar_value(*scalar, wire),
            (_, Wire::Bytes(data)) => data,
            _ => return Err(Failure::Type),
        };
        match node {
            Node::Message(id) => {
                let mut object = Map::new();
                self.message(*id, data, &mut object)?;
                Ok(Some(object.into()))
            }
            Node::Raw => self.raw(bytes_at(1, data)?.unwrap_or_default()),
            Node::Strings => Ok(Some(strings(1, data)?)),
            Node::Union(union) => self.union(*union, data),
            // Lists are never items of lists or maps.
            Node::Scalar(_) | Node::List(_) | Node::Map(_) => Err(Failure::Type),
        }
    }

    /// JSON inside a message, or another whole protobuf object.
    fn raw(self, data: &[u8]) -> Result<Option<Value>, Failure> {
        if data.is_empty() {
            return Ok(None);
        }
        if data.starts_with(MAGIC) {
            return Ok(Some(envelope::Envelope::read(data)?.value(self.deeper()?)?));
        }
        Ok(Some(serde_json::from_slice(data).map_err(Error::from)?))
    }

    fn union(self, union: Union, data: &[u8]) -> Result<Option<Value>, Failure> {
        let Some(id) = self.tables.json_schema() else { return Ok(None) };
        let schema = |data| {
            let mut object = Map::new();
            self.message(id, data, &mut object).map(|()| Value::Object(object))
        };
        let (mut one, mut allows, mut several) = (None, false, Vec::new());
        let mut reader = Reader(data);
        while let Some((number, wire)) = reader.field()? {
            match (number, wire) {
                (1, Wire::Varint(value)) if union == Union::Bool => allows = value != 0,
                (number, Wire::Bytes(data)) if number == union.schema_number() => one = Some(schema(data)?),
                (2, Wire::Bytes(data)) if union == Union::Array => several.push(schema(data)?),
                (2, Wire::Bytes(data)) => several.push(text(data).into()),
                (1 | 2, _) => return Err(Failure::Type),
                _ => {}
            }
        }
        let several = (!several.is_empty()).then_some(Value::Array(several));
        Ok(several.or(one).or_else(|| (union == Union::Bool).then_some(allows.into())))
    }
}

/// Why a value is none.
enum Failure {
    /// Its wire type is another.
    Type,
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

fn scalar_value(scalar: Scalar, wire: Wire<'_>) -> Result<Option<Value>, Failure> {
    Ok(Some(match (scalar, wire) {
        (Scalar::Int32, Wire::Varint(value)) => (value as i32).into(),
        (Scalar::Int64, Wire::Varint(value)) => value.cast_signed().into(),
        (Scalar::Bool, Wire::Varint(value)) => (value != 0).into(),
        (Scalar::Double, Wire::Fixed64(bits)) => double(f64::from_bits(bits)),
        (Scalar::String, Wire::Bytes(data)) => text(data).into(),
        (Scalar::Bytes, Wire::Bytes(data)) => STANDARD.encode(data).into(),
        (Scalar::Quantity, Wire::Bytes(data)) => match bytes_at(1, data)?.unwrap_or_default() {
            b"" => "0".into(),
            quantity => text(quantity).into(),
        },
        (Scalar::IntOrString, Wire::Bytes(data)) => int_or_string(data)?,
        (Scalar::Time | Scalar::MicroTime, Wire::Bytes(b"")) => return Ok(None),
        (Scalar::Time, Wire::Bytes(data)) => {
            let (seconds, _) = seconds_and_nanos(data)?;
            date(seconds, 0)?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
        }
        (Scalar::MicroTime, Wire::Bytes(data)) => {
            let (seconds, nanos) = seconds_and_nanos(data)?;
            date(seconds, nanos)?.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string().into()
        }
        _ => return Err(Failure::Type),
    }))
}

/// Go writes whole numbers without a fraction.
fn double(value: f64) -> Value {
    let is_whole = value.fract() == 0.0 && value.abs() < 1e15;
    if is_whole { (value as i64).into() } else { value.into() }
}

fn date(seconds: i64, nanos: i32) -> Result<Timestamp, Error> {
    let time = Timestamp::new(seconds, nanos).map_err(|_| Error::TimeOutOfRange(seconds))?;
    // Years before 1 have a sign, which RFC 3339 has not.
    if seconds < -62_135_596_800 { Err(Error::TimeOutOfRange(seconds)) } else { Ok(time) }
}

fn seconds_and_nanos(data: &[u8]) -> Result<(i64, i32), Failure> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader(data);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Varint(value)) => seconds = value.cast_signed(),
            (2, Wire::Varint(value)) => nanos = value as i32,
            (1 | 2, _) => return Err(Failure::Type),
            _ => {}
        }
    }
    Ok((seconds, nanos))
}

fn int_or_string(data: &[u8]) -> Result<Value, Failure> {
    let (mut is_string, mut int, mut string) = (false, 0, String::new());
    let mut reader = Reader(data);
    while let Some((number, wire)) = reader.field()? {
        match (number, wire) {
            (1, Wire::Varint(value)) => is_string = value == 1,
            (2, Wire::Varint(value)) => int = value as i32,
            (3, Wire::Bytes(value)) => string = text(value),
            (1..=3, _) => return Err(Failure::Type),
            _ => {}
        }
    }
    Ok(if is_string { string.into() } else { int.into() })
}

fn strings(wanted: u32, data: &[u8]) -> Result<Value, Failure> {
    let mut found = Vec::new();
    let mut reader = Reader(data);
    while let Some((number, wire)) = reader.field()? {
        match wire {
            Wire::Bytes(value) if number == wanted => found.push(text(value).into()),
            _ if number == wanted => return Err(Failure::Type),
            _ => {}
        }
    }
    Ok(Value::Array(found))
}

/// The field of that number, the last if there are several.
fn bytes_at(wanted: u32, data: &[u8]) -> Result<Option<&[u8]>, Failure> {
    let mut found = None;
    let mut reader = Reader(data);
    while let Some((number, wire)) = reader.field()? {
        match wire {
            Wire::Bytes(value) if number == wanted => found = Some(value),
            _ if number == wanted => return Err(Failure::Type),
            _ => {}
        }
    }
    Ok(found)
}

/// A string. Go does not check it either, and its JSON has the replacement character for what is no character.
fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        _ => false,
    }
}
