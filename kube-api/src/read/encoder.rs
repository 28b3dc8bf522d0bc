//! Watch events, encoded once for all watchers of the same form.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use coracle_core::{Object, Revision, Status, protobuf};
use jiff::Timestamp;

use super::form::{Form, Shape};

/// Lines that an encoder remembers. A watcher that is further behind encodes for itself.
const LINES_MAX: usize = 512;
/// Bytes of lines that an encoder remembers.
const LINES_BYTES_MAX: usize = 2 << 20;

/// What a watch event tells. Source: apimachinery `watch.EventType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventType {
    /// The object came into view.
    Added,
    /// The object in view changed.
    Modified,
    /// The object left the view.
    Deleted,
}

impl EventType {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// The encoders in use, one per kind, version, shape and media.
#[derive(Debug, Default)]
pub struct Encoders(Mutex<HashMap<FormKey, Weak<Encoder>>>);

type FormKey = (String, String, String, Shape, bool);

impl Encoders {
    /// The encoder that all watchers of a form share.
    pub(super) fn of(&self, form: Form) -> Arc<Encoder> {
        let kind = &form.kind;
        let key =
            (kind.group.to_string(), kind.version.to_string(), kind.plural.to_string(), form.shape, form.protobuf);
        let mut encoders = lock(&self.0);
        let current = encoders.get(&key).and_then(Weak::upgrade);
        if let Some(current) = current.filter(|current| Arc::ptr_eq(&current.form.kind, kind)) {
            return current;
        }
        encoders.retain(|_, encoder| encoder.strong_count() > 0);
        let encoder = Arc::new(Encoder { form, lines: Mutex::default() });
        encoders.insert(key, Arc::downgrade(&encoder));
        encoder
    }
}

/// Encodes the events of one form, and remembers the newest lines for the other watchers. In protobuf a line is a frame.
#[derive(Debug)]
pub(super) struct Encoder {
    form: Form,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    by_event: BTreeMap<(Revision, EventType), Bytes>,
    bytes: usize,
}

impl Encoder {
    /// The line of a change, from the others if one of them had it first.
    pub(super) fn line(
        self: &Arc<Self>,
        event: EventType,
        object: &Object,
        first: bool,
        now: Timestamp,
    ) -> Result<Bytes, Status> {
        // A table names its columns to each watcher once, so a first line cannot be shared.
        let personal = first && matches!(self.form.shape, Shape::Table(_));
        if personal || Arc::strong_count(self) == 1 {
            return self.encode(event, object, first, now);
        }
        let mut lines = lock(&self.lines);
        let key = (object.revision(), event);
        if let Some(line) = lines.by_event.get(&key) {
            return Ok(line.clone());
        }
        let line = self.encode(event, object, first, now)?;
        lines.remember(key, line.clone());
        Ok(line)
    }

    fn encode(&self, event: EventType, object: &Object, first: bool, now: Timestamp) -> Result<Bytes, Status> {
        if self.form.protobuf {
            return Ok(protobuf::watch_frame(event.as_str(), &self.form.protobuf(object, now)?).into());
        }
        let mut out = Vec::with_capacity(object.stored().len() + 96);
        out.extend_from_slice(br#"{"type":""#);
        out.extend_from_slice(event.as_str().as_bytes());
        out.extend_from_slice(br#"","object":"#);
        match self.form.shape {
            Shape::Table(_) => self.form.write_table(Some(object), object.revision(), first, now, &mut out)?,
            _ => self.form.write_item(object, now, &mut out)?,
        }
        out.extend_from_slice(b"}\n");
        Ok(out.into())
    }

    /// The line that says how far a watch is.
    pub(super) fn bookmark(&self, revision: Revision, ends_initial_events: bool) -> Result<Bytes, Status> {
        let mut object = match self.form.shape {
            Shape::Full => {
                let (kind, version) = (&self.form.kind.kind, self.form.kind.api_version());
                serde_json::json!({"kind": kind, "apiVersion": version, "metadata": {"creationTimestamp": null}})
            }
            Shape::Metadata => serde_json::json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"creationTimestamp": null},
            }),
            Shape::Table(_) => serde_json::json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {},
                "columnDefinitions": null, "rows": [],
            }),
        };
        if let Some(metadata) = object.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
            if ends_initial_events {
                let annotations = serde_json::json!({"k8s.io/initial-events-end": "true"});
                metadata.insert("annotations".to_owned(), annotations);
            }
        }
        self.line_of("BOOKMARK", &object)
    }

    /// The line that ends a watch with a refusal.
    pub(super) fn error(&self, status: &Status) -> Bytes {
        self.line_of("ERROR", status.as_api()).unwrap_or_default()
    }

    fn line_of(&self, word: &str, object: &impl serde::Serialize) -> Result<Bytes, Status> {
        let mut json = Vec::new();
        super::form::write_json(object, &mut json)?;
        if self.form.protobuf {
            let object = protobuf::encode(&json).map_err(Status::internal)?;
            return Ok(protobuf::watch_frame(word, &object).into());
        }
        Ok([br#"{"type":""#, word.as_bytes(), br#"","object":"#, &json, b"}\n"].concat().into())
    }
}

impl Lines {
    fn remember(&mut self, key: (Revision, EventType), line: Bytes) {
        self.bytes += line.len();
        self.by_event.insert(key, line);
        while self.by_event.len() > LINES_MAX || self.bytes > LINES_BYTES_MAX {
            let Some((_, oldest)) = self.by_event.pop_first() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.len());
        }
    }
}

/// A poisoned lock only means that another thread panicked between two complete steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
