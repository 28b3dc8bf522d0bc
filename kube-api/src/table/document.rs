//! The Table document: columns once, then a row per object, written straight into one buffer.

use std::sync::Arc;

use coracle_core::{Kind, Object, convert};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use serde::Serialize;
use serde_json::{Value, json};

use super::{CustomColumns, cells, columns, pod};

/// How much of each object a row carries beside its cells. Source: meta/v1 TableOptions.includeObject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// Its metadata, as a PartialObjectMetadata. The default.
    #[default]
    Metadata,
    /// All of it, in the version asked for.
    Object,
}

impl IncludeObject {
    /// Reads the query parameter `includeObject`; `None` if it is none of the three.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "None" => Some(Self::None),
            "" | "Metadata" => Some(Self::Metadata),
            "Object" => Some(Self::Object),
            _ => None,
        }
    }
}

/// How a table is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    /// The kind and version asked for.
    pub kind: &'a Kind,
    /// The columns of a custom kind. Default: those of `kind`.
    pub custom: Option<&'a CustomColumns>,
    /// What each row carries beside its cells.
    pub include_object: IncludeObject,
    /// Whether the columns are described. A watch describes them in its first event only.
    pub headers: bool,
}

impl<'a> Layout<'a> {
    /// All of a built-in kind's columns, described, with the objects' metadata.
    #[must_use]
    pub fn of(kind: &'a Kind) -> Self {
        Self { kind, custom: None, include_object: IncludeObject::default(), headers: true }
    }
}

/// The `meta.k8s.io/v1` Table of some objects, as JSON. `list` is the metadata of the list they come from; for a single object
/// (also one that a watch shows) it holds that object's `resourceVersion` and nothing else.
///
/// # Errors
/// If an object cannot be encoded, which does not happen to one that was decoded.
pub fn table<'a>(
    layout: &Layout<'_>,
    list: &ListMeta,
    objects: impl IntoIterator<Item = &'a Arc<Object>>,
    now: Timestamp,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = Vec::with_capacity(4096);
    json.extend_from_slice(br#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":"#);
    write(&mut json, list)?;
    json.extend_from_slice(br#","columnDefinitions":"#);
    match layout.custom {
        _ if !layout.headers => json.extend_from_slice(b"null"),
        Some(custom) => write(&mut json, &custom.columns())?,
        None => write(&mut json, columns(layout.kind))?,
    }
    json.extend_from_slice(br#","rows":["#);
    for (index, object) in objects.into_iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write_row(&mut json, layout, object, now)?;
    }
    json.extend_from_slice(b"]}");
    Ok(json)
}

fn write_row(json: &mut Vec<u8>, layout: &Layout<'_>, object: &Object, now: Timestamp) -> Result<(), serde_json::Error> {
    json.extend_from_slice(br#"{"cells":"#);
    let cells = layout.custom.map_or_else(|| cells(object, now), |custom| custom.cells(object, now));
    write(json, &cells)?;
    if let Some((reason, message)) = object.get::<Pod>().and_then(pod::completion) {
        json.extend_from_slice(br#","conditions":"#);
        write(json, &json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))?;
    }
    json.extend_from_slice(br#","object":"#);
    match layout.include_object {
        IncludeObject::None => json.extend_from_slice(b"null"),
        IncludeObject::Metadata => {
            json.extend_from_slice(br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#);
            write(json, object.metadata())?;
            json.push(b'}');
        }
        IncludeObject::Object => write_object(json, layout.kind, object)?,
    }
    json.push(b'}');
    Ok(())
}

/// The object in the version asked for; usually that is the one it is kept in.
fn write_object(json: &mut Vec<u8>, kind: &Kind, object: &Object) -> Result<(), serde_json::Error> {
    if kind.is_storage_version() {
        object.write_json(json);
        return Ok(());
    }
    let mut value: Value = serde_json::from_slice(&object.json())?;
    convert::from_storage(kind, &mut value);
    write(json, &value)
}

fn write(json: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<(), serde_json::Error> {
    serde_json::to_writer(json, value)
}
