//! The forms in which a client may read objects: as JSON of a version, as bare metadata, or as rows of a table.

use std::borrow::Cow;
use std::sync::Arc;

use coracle_core::{Kind, Object, Revision, Status, convert, protobuf};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::Value;

use super::list::Listing;
use crate::table;

/// What each row of a table carries beside its cells. Source: apimachinery `metav1.IncludeObjectPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// The object's metadata.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

/// What is shown of each object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Everything.
    #[default]
    Full,
    /// The metadata only.
    Metadata,
    /// The cells that `kubectl get` prints.
    Table(IncludeObject),
}

/// A version and a shape.
#[derive(Clone, Debug)]
pub struct Form {
    /// The kind in the version asked.
    pub kind: Arc<Kind>,
    /// What is shown.
    pub shape: Shape,
    /// Whether watches frame events in protobuf. The text that the functions here write is JSON all the same.
    pub protobuf: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartialObject<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: &'a ObjectMeta,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta<'a> {
    resource_version: String,
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    continue_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_item_count: Option<u64>,
}

impl Form {
    /// Appends one object as a whole document.
    ///
    /// # Errors
    /// 500 if the object cannot be encoded.
    pub fn write_object(&self, object: &Object, now: Timestamp, out: &mut Vec<u8>) -> Result<(), Status> {
        match self.shape {
            Shape::Table(_) => self.write_table(Some(object), object.revision(), true, now, out),
            _ => self.write_item(object, now, out),
        }
    }

    /// Appends one object as an element of a list: an object, bare metadata, or a row.
    ///
    /// # Errors
    /// 500 if the object cannot be encoded.
    pub fn write_item(&self, object: &Object, now: Timestamp, out: &mut Vec<u8>) -> Result<(), Status> {
        match self.shape {
            Shape::Full => write_version(&self.kind, object, out),
            Shape::Metadata => write_json(&partial(object), out),
            Shape::Table(include) => self.write_row(object, include, now, out),
        }
    }

    /// One object as a protobuf document. In the version it is kept in it is encoded once, whoever asks.
    ///
    /// # Errors
    /// 500 if the object cannot be encoded.
    pub fn protobuf<'a>(&self, object: &'a Object, now: Timestamp) -> Result<Cow<'a, [u8]>, Status> {
        if self.shape == Shape::Full && is_as_kept(&self.kind, object) {
            return object.protobuf().map(Cow::Borrowed).map_err(Status::internal);
        }
        let mut json = Vec::with_capacity(object.stored().len() + 64);
        self.write_item(object, now, &mut json)?;
        protobuf::encode(&json).map(Cow::Owned).map_err(Status::internal)
    }

    /// Appends the beginning of a list: everything before its first item. Items follow, with commas between, then
    /// [`LIST_END`].
    ///
    /// # Errors
    /// 500 if it cannot be encoded.
    pub fn write_list_start(&self, listing: &Listing, out: &mut Vec<u8>) -> Result<(), Status> {
        let metadata = ListMeta {
            resource_version: listing.revision.to_string(),
            continue_token: listing.continue_token.as_deref(),
            remaining_item_count: listing.remaining,
        };
        match self.shape {
            Shape::Table(_) => return self.write_table_start(&metadata, true, out),
            Shape::Metadata => out
                .extend_from_slice(br#"{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":"#),
            Shape::Full => {
                let (kind, version) = (self.kind.list_kind(), self.kind.api_version());
                let head = format!(r#"{{"kind":"{kind}","apiVersion":"{version}","metadata":"#);
                out.extend_from_slice(head.as_bytes());
            }
        }
        write_json(&metadata, out)?;
        out.extend_from_slice(br#","items":["#);
        Ok(())
    }

    /// Appends a table of at most one row.
    ///
    /// # Errors
    /// 500 if it cannot be encoded.
    pub(super) fn write_table(
        &self,
        object: Option<&Object>,
        revision: Revision,
        with_columns: bool,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Result<(), Status> {
        let metadata =
            ListMeta { resource_version: revision.to_string(), continue_token: None, remaining_item_count: None };
        self.write_table_start(&metadata, with_columns, out)?;
        if let Some(object) = object {
            self.write_item(object, now, out)?;
        }
        out.extend_from_slice(LIST_END);
        Ok(())
    }

    fn write_table_start(&self, metadata: &ListMeta<'_>, with_columns: bool, out: &mut Vec<u8>) -> Result<(), Status> {
        out.extend_from_slice(br#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":"#);
        write_json(metadata, out)?;
        out.extend_from_slice(br#","columnDefinitions":"#);
        write_json(&with_columns.then(|| table::columns_of(&self.kind)), out)?;
        out.extend_from_slice(br#","rows":["#);
        Ok(())
    }

    fn write_row(
        &self,
        object: &Object,
        include: IncludeObject,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Result<(), Status> {
        out.extend_from_slice(br#"{"cells":"#);
        write_json(&table::cells_of(&self.kind, object, now), out)?;
        if let Some(conditions) = table::conditions(object) {
            out.extend_from_slice(br#","conditions":"#);
            write_json(&conditions, out)?;
        }
        out.extend_from_slice(br#","object":"#);
        match include {
            IncludeObject::None => out.extend_from_slice(b"null"),
            IncludeObject::Metadata => write_json(&partial(object), out)?,
            IncludeObject::Object => write_version(&self.kind, object, out)?,
        }
        out.push(b'}');
        Ok(())
    }
}

/// The end of every list, table and watch document.
pub const LIST_END: &[u8] = b"]}";

fn partial(object: &Object) -> PartialObject<'_> {
    PartialObject { kind: "PartialObjectMetadata", api_version: "meta.k8s.io/v1", metadata: object.metadata() }
}

/// Whether an object reads the same in a version as in the one it is kept in. Answers that are never kept do.
fn is_as_kept(kind: &Kind, object: &Object) -> bool {
    (kind.is_storage_version() && kind.custom.is_none())
        || object.kind().storage != kind.storage
        || !object.kind().is_storage_version()
}

/// Appends an object in a version.
fn write_version(kind: &Kind, object: &Object, out: &mut Vec<u8>) -> Result<(), Status> {
    if is_as_kept(kind, object) {
        object.write_json(out);
        return Ok(());
    }
    // Most objects of custom kinds are kept as their schema would complete them: they are read whole once.
    let schema = kind.custom.as_ref().filter(|_| kind.is_storage_version());
    let known = schema.and_then(|schema| object.is_complete(schema));
    if known == Some(true) {
        object.write_json(out);
        return Ok(());
    }
    let mut value: Value = serde_json::from_slice(&object.json()).map_err(Status::internal)?;
    let before = schema.filter(|_| known.is_none()).map(|schema| (schema, value.clone()));
    convert::from_storage(kind, &mut value);
    if let Some((schema, before)) = before {
        object.note_complete(schema, before == value);
    }
    write_json(&value, out)
}

/// Appends JSON.
pub(crate) fn write_json(value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), Status> {
    serde_json::to_writer(out, value).map_err(Status::internal)
}
