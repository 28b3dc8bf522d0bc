//! One version of one object: decoded once, encoded once, shared by everyone as an `Arc`.

use std::borrow::Borrow;
use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::Revision;
use crate::custom::Version;
use crate::kind::{GroupResource, Kind};
use crate::protobuf;
use crate::resource::AnyResource;

/// An object's place in its collection: `namespace/name`, or just `name` when cluster-scoped. Sorted as the store sorts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Arc<str>);

impl ObjectKey {
    /// The key of a namespaced object, or of a cluster-scoped one when `namespace` is empty.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        if namespace.is_empty() { Self(name.into()) } else { Self([namespace, "/", name].concat().into()) }
    }

    /// The key that metadata names.
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self::new(metadata.namespace.as_deref().unwrap_or(""), metadata.name.as_deref().unwrap_or(""))
    }

    /// The namespace; empty for cluster-scoped objects.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ObjectKey {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for ObjectKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// An object's place in the whole cluster: its collection and its key there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// The collection.
    pub resource: GroupResource,
    /// The place in it.
    pub key: ObjectKey,
}

impl ObjectRef {
    /// The place of an object of type `K`.
    #[must_use]
    pub fn of<K: crate::Resource>(object: &K) -> Self {
        Self { resource: GroupResource::of::<K>(), key: ObjectKey::of(object.metadata()) }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.resource, self.key)
    }
}

/// One version of one object, with two faces: the decoded value and the bytes the store keeps. Once somebody reads it in
/// protobuf it has that face too.
///
/// The stored bytes carry no `resourceVersion`, because it is known only once they are committed; [`Object::json`] writes it
/// in. The decoded face has it.
#[derive(Clone)]
pub struct Object {
    kind: Arc<Kind>,
    value: Arc<dyn AnyResource>,
    stored: Bytes,
    protobuf: OnceLock<Box<[u8]>>,
    revision: Revision,
    /// For custom kinds: by which schema it was once looked whether anything is missing in the stored bytes, and whether not.
    complete: OnceLock<(Weak<Version>, bool)>,
}

impl Object {
    /// A version as it was committed: `stored` are the bytes of `value` without its `resourceVersion`.
    #[must_use]
    pub fn committed(kind: Arc<Kind>, mut value: Box<dyn AnyResource>, stored: Bytes, revision: Revision) -> Self {
        value.metadata_mut().resource_version = Some(revision.to_string());
        Self { kind, value: Arc::from(value), stored, protobuf: OnceLock::new(), revision, complete: OnceLock::new() }
    }

    /// An object that is only answered, never stored, such as a review. Its `resourceVersion` stays as it is.
    ///
    /// # Errors
    /// If the value cannot be encoded.
    pub fn transient(kind: Arc<Kind>, value: Box<dyn AnyResource>) -> Result<Self, serde_json::Error> {
        let stored = value.encode()?.into();
        let (protobuf, complete) = (OnceLock::new(), OnceLock::new());
        Ok(Self { kind, value: Arc::from(value), stored, protobuf, revision: Revision::ZERO, complete })
    }

    /// Decodes a stored version.
    ///
    /// # Errors
    /// If the bytes are not an object of this kind.
    pub fn decode(kind: Arc<Kind>, stored: Bytes, revision: Revision) -> Result<Self, serde_json::Error> {
        let value = kind.codec.decode(&stored)?;
        Ok(Self::committed(kind, value, stored, revision))
    }

    /// The same content at another revision: how a deletion is shown to watchers.
    #[must_use]
    pub fn at(&self, revision: Revision) -> Self {
        Self::committed(self.kind.clone(), self.value.duplicate(), self.stored.clone(), revision)
    }

    /// The row of this object's kind, in the version it is kept in.
    #[must_use]
    pub fn kind(&self) -> &Arc<Kind> {
        &self.kind
    }

    /// The revision at which this version was written.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The decoded face.
    #[must_use]
    pub fn value(&self) -> &dyn AnyResource {
        &*self.value
    }

    /// The decoded face as the type it is, or `None` if it is another.
    #[must_use]
    pub fn get<K: 'static>(&self) -> Option<&K> {
        self.value.as_any().downcast_ref()
    }

    /// A shared handle to the decoded face, or `None` if it is of another type.
    #[must_use]
    pub fn shared<K: Send + Sync + 'static>(&self) -> Option<Arc<K>> {
        self.value.clone().into_any_arc().downcast().ok()
    }

    /// Standard metadata.
    #[must_use]
    pub fn metadata(&self) -> &ObjectMeta {
        self.value.metadata()
    }

    /// The name; empty only for answers that have none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or("")
    }

    /// The namespace; empty for cluster-scoped objects.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or("")
    }

    /// The uid, unique in time.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata().uid.as_deref().unwrap_or("")
    }

    /// The place in the collection.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        ObjectKey::of(self.metadata())
    }

    /// The place in the cluster.
    #[must_use]
    pub fn reference(&self) -> ObjectRef {
        ObjectRef { resource: self.kind.storage.clone(), key: self.key() }
    }

    /// Whether deletion was asked for and something still holds the object.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }

    /// The bytes as the store keeps them, without `resourceVersion`.
    #[must_use]
    pub fn stored(&self) -> &Bytes {
        &self.stored
    }

    /// Whether the stored bytes are what a schema would complete them to; `None` if nobody has looked.
    #[must_use]
    pub fn is_complete(&self, schema: &Arc<Version>) -> Option<bool> {
        let (known, is_complete) = self.complete.get()?;
        std::ptr::eq(known.as_ptr(), Arc::as_ptr(schema)).then_some(*is_complete)
    }

    /// Notes whether the stored bytes are what a schema would complete them to. The first schema that looks is remembered: it is
    /// the one that the object was written by, unless the definition has changed since.
    pub fn note_complete(&self, schema: &Arc<Version>, is_complete: bool) {
        let _ = self.complete.set((Arc::downgrade(schema), is_complete));
    }

    /// The object as clients read it: a copy of the stored bytes with `resourceVersion` written in.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(self.stored.len() + 40);
        self.write_json(&mut json);
        json
    }

    /// Appends [`Object::json`] to a buffer.
    pub fn write_json(&self, buffer: &mut Vec<u8>) {
        const OPENING: &[u8] = br#""metadata":{"#;
        let start = self.stored.windows(OPENING.len()).position(|window| window == OPENING);
        let split = (self.revision > Revision::ZERO).then_some(start).flatten().map(|start| start + OPENING.len());
        let Some((head, tail)) = split.and_then(|at| self.stored.split_at_checked(at)) else {
            buffer.extend_from_slice(&self.stored);
            return;
        };
        buffer.extend_from_slice(head);
        // Writing to memory cannot fail.
        let _written = write!(buffer, r#""resourceVersion":"{}""#, self.revision);
        if tail.first() != Some(&b'}') {
            buffer.push(b',');
        }
        buffer.extend_from_slice(tail);
    }

    /// The object as clients read it in protobuf, in the version it is kept in. Encoded by the first who asks.
    ///
    /// # Errors
    /// If the kind has no such form.
    pub fn protobuf(&self) -> Result<&[u8], protobuf::Error> {
        if let Some(encoded) = self.protobuf.get() {
            return Ok(encoded);
        }
        let encoded = protobuf::encode(&self.json())?;
        Ok(self.protobuf.get_or_init(|| encoded.into()))
    }

    /// The owner reference with `controller: true`.
    #[must_use]
    pub fn controller(&self) -> Option<&OwnerReference> {
        controller_of(self.metadata())
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {}", self.reference(), self.revision)
    }
}

/// The owner reference with `controller: true`; there is at most one.
#[must_use]
pub fn controller_of(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}
