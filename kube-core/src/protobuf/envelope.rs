//! What stands around a message: objects, lists, frames of a watch. Source: apimachinery `runtime.Unknown`.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::decode::Decoder;
use super::encode::message as put_json;
use super::table::{Id, Node, Tables, tables};
use super::wire::{Reader, Wire, close, open, put_bytes, put_message};
use super::{Error, MAGIC};

/// A body, opened: the kind that it says it is, and the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Group and version; may be empty.
    pub api_version: String,
    /// The kind; may be empty.
    pub kind: String,
    message: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Opens a body.
    ///
    /// # Errors
    /// If the bytes are no envelope.
    pub fn read(body: &'a [u8]) -> Result<Self, Error> {
        let mut reader = match body.strip_prefix(MAGIC) {
            _ if body.is_empty() => return Err(Error::EmptyData),
            None => return Err(Error::NotProtobuf),
            Some([]) => return Err(Error::EmptyBody),
            Some(rest) => Reader(rest),
        };
        let mut envelope = Self { api_version: String::new(), kind: String::new(), message: b"" };
        while let Some((number, wire)) = reader.field()? {
            match (number, wire) {
                (1, Wire::Bytes(data)) => envelope.read_type(data)?,
                (2, Wire::Bytes(data)) => envelope.message = data,
                (1, _) => return Err(Error::WrongType { wire: wire.kind(), field: "TypeMeta" }),
                (2, _) => return Err(Error::WrongType { wire: wire.kind(), field: "Raw" }),
                _ => {}
            }
        }
        Ok(envelope)
    }

    fn read_type(&mut self, data: &[u8]) -> Result<(), Error> {
        let mut reader = Reader(data);
        while let Some((number, wire)) = reader.field()? {
            match (number, wire) {
                (1, Wire::Bytes(data)) => self.api_version = String::from_utf8_lossy(data).into_owned(),
                (2, Wire::Bytes(data)) => self.kind = String::from_utf8_lossy(data).into_owned(),
                (1, _) => return Err(Error::WrongType { wire: wire.kind(), field: "APIVersion" }),
                (2, _) => return Err(Error::WrongType { wire: wire.kind(), field: "Kind" }),
                _ => {}
            }
        }
        Ok(())
    }

    /// With another kind where it says none. Source: apimachinery `copyKindDefaults`.
    #[must_use]
    pub fn or_kind(mut self, api_version: &str, kind: &str) -> Self {
        if self.kind.is_empty() {
            kind.clone_into(&mut self.kind);
        }
        if self.api_version.is_empty() {
            api_version.clone_into(&mut self.api_version);
        }
        self
    }

    /// The object as JSON text, with its `apiVersion` and `kind`.
    ///
    /// # Errors
    /// If the kind is not known, or the message is not one of that kind.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let value = self.value(Decoder { tables: tables(), depth: 0 })?;
        Ok(serde_json::to_vec(&value)?)
    }

    pub(super) fn value(&self, decoder: Decoder<'_>) -> Result<Value, Error> {
        let id = id_of(decoder.tables, &self.api_version, &self.kind)?;
        let mut object = Map::new();
        object.insert("apiVersion".to_owned(), self.api_version.clone().into());
        object.insert("kind".to_owned(), self.kind.clone().into());
        decoder.message(id, self.message, &mut object)?;
        Ok(object.into())
    }
}

fn id_of(tables: &Tables, api_version: &str, kind: &str) -> Result<Id, Error> {
    let unknown = || Error::UnknownKind { api_version: api_version.to_owned(), kind: kind.to_owned() };
    tables.of_kind(api_version, kind).ok_or_else(unknown)
}

/// The protobuf form of an object that is given as JSON text, with its `apiVersion` and `kind`.
///
/// # Errors
/// If the kind has no such form, or the JSON is not of the kind's type.
pub fn encode(json: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(json.len());
    let (start, _) = begin(json, &mut out)?;
    finish(&mut out, start);
    Ok(out)
}

/// Writes everything but the end, and says where the message begins, and which it is.
fn begin(json: &[u8], out: &mut Vec<u8>) -> Result<(usize, Id), Error> {
    let (api_version, kind) = type_of(json)?;
    let id = id_of(tables(), &api_version, &kind)?;
    out.extend_from_slice(MAGIC);
    put_message(out, 1, |out| {
        put_bytes(out, 1, api_version.as_bytes());
        put_bytes(out, 2, kind.as_bytes());
        Ok::<_, Error>(())
    })?;
    let start = open(out, 2);
    put_json(tables(), id, json, out)?;
    Ok((start, id))
}

fn finish(out: &mut Vec<u8>, start: usize) {
    close(out, start);
    // Content encoding and type: always written, always empty.
    put_bytes(out, 3, b"");
    put_bytes(out, 4, b"");
}

/// Writes a list item by item, so that no text of the whole list is needed.
#[derive(Debug)]
pub struct ListWriter {
    out: Vec<u8>,
    start: usize,
    number: u32,
}

impl ListWriter {
    /// Begins with the list's JSON text, which has its `apiVersion`, `kind` and `metadata`, and may have items.
    ///
    /// # Errors
    /// If it is no list of a kind that has a protobuf form.
    pub fn new(list: &[u8]) -> Result<Self, Error> {
        let mut out = Vec::new();
        let (start, id) = begin(list, &mut out)?;
        let unknown = || Error::UnknownKind { api_version: String::new(), kind: "List".to_owned() };
        let items = tables().message(id).field("items").ok_or_else(unknown)?;
        let Node::List(item) = &items.node else { return Err(unknown()) };
        let (Node::Message(_), [number, ..]) = (&**item, items.path) else { return Err(unknown()) };
        Ok(Self { out, start, number })
    }

    /// Adds an item, given in its protobuf form.
    ///
    /// # Errors
    /// If the bytes are no envelope.
    pub fn push(&mut self, item: &[u8]) -> Result<(), Error> {
        put_bytes(&mut self.out, self.number, message_of(item)?);
        Ok(())
    }

    /// The whole list.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        finish(&mut self.out, self.start);
        self.out
    }
}

/// What is in an envelope, whatever kind it says it is.
fn message_of(body: &[u8]) -> Result<&[u8], Error> {
    let mut reader = Reader(body.strip_prefix(MAGIC).ok_or(Error::NotProtobuf)?);
    while let Some((number, wire)) = reader.field()? {
        if let (2, Wire::Bytes(message)) = (number, wire) {
            return Ok(message);
        }
    }
    Ok(b"")
}

/// A frame of a watch: what happened (`ADDED`...) to an object in its protobuf form, with the length in front.
/// Source: apimachinery `protobuf.LengthDelimitedFramer`, `metav1.WatchEvent`.
#[must_use]
pub fn watch_frame(what: &str, object: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(object.len() + 32);
    out.extend_from_slice(&[0; 4]);
    put_bytes(&mut out, 1, what.as_bytes());
    let start = open(&mut out, 2);
    put_bytes(&mut out, 1, object);
    close(&mut out, start);
    let length = u32::try_from(out.len() - 4).unwrap_or(u32::MAX);
    out.iter_mut().zip(length.to_be_bytes()).for_each(|(place, byte)| *place = byte);
    out
}

/// `apiVersion` and `kind` of an object. They are its first members nearly always, and reading ends with them.
fn type_of(json: &[u8]) -> Result<(String, String), Error> {
    let mut head = Head::default();
    let read = serde_json::Deserializer::from_slice(json).deserialize_map(&mut head);
    match (head.api_version, head.kind) {
        (Some(api_version), Some(kind)) => Ok((api_version, kind)),
        (api_version, kind) => {
            read?;
            let (api_version, kind) = (api_version.unwrap_or_default(), kind.unwrap_or_default());
            Err(Error::UnknownKind { api_version, kind })
        }
    }
}

#[derive(Default)]
struct Head {
    api_version: Option<String>,
    kind: Option<String>,
}

impl<'de> Visitor<'de> for &mut Head {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while self.api_version.is_none() || self.kind.is_none() {
            match members.next_key::<String>()?.as_deref() {
                Some("apiVersion") => self.api_version = Some(members.next_value()?),
                Some("kind") => self.kind = Some(members.next_value()?),
                Some(_) => drop(members.next_value::<IgnoredAny>()?),
                None => return Ok(()),
            }
        }
        Ok(())
    }
}
