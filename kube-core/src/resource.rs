//! Any Kubernetes object behind one small face, so that one pipeline serves every kind.
//!
//! All decoding of built-in kinds happens through [`Codec`]s made in this crate: every further place that instantiates a
//! `Deserializer` over `Pod` costs seconds of build time.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// An object whose type is known only at run time. Implemented for every kube-rs `Resource` that can be encoded.
pub trait AnyResource: Any + Debug + Send + Sync {
    /// The standard metadata.
    fn metadata(&self) -> &ObjectMeta;
    /// The standard metadata, to be changed.
    fn metadata_mut(&mut self) -> &mut ObjectMeta;
    /// The object as JSON, with `apiVersion`, `kind` and `metadata` first.
    ///
    /// # Errors
    /// Only if the type's own `Serialize` fails.
    fn encode(&self) -> Result<Vec<u8>, serde_json::Error>;
    /// A deep copy.
    fn duplicate(&self) -> Box<dyn AnyResource>;
    /// For downcasts.
    fn as_any(&self) -> &dyn Any;
    /// For downcasts that change.
    fn as_any_mut(&mut self) -> &mut dyn Any;
    /// For shared downcasts.
    fn into_any_arc(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
    /// For owned downcasts.
    fn into_any_box(self: Box<Self>) -> Box<dyn Any>;
    /// Becomes another value of the same type. Says whether it is of the same type; if not, nothing changes.
    fn assign(&mut self, other: Box<dyn AnyResource>) -> bool;
}

impl<K> AnyResource for K
where
    K: kube_core::Resource + Serialize + Clone + Debug + Send + Sync + 'static,
{
    fn metadata(&self) -> &ObjectMeta {
        self.meta()
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        self.meta_mut()
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    fn duplicate(&self) -> Box<dyn AnyResource> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn into_any_arc(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn into_any_box(self: Box<Self>) -> Box<dyn Any> {
        self
    }

    fn assign(&mut self, other: Box<dyn AnyResource>) -> bool {
        match other.into_any_box().downcast() {
            Ok(other) => {
                *self = *other;
                true
            }
            Err(_) => false,
        }
    }
}

/// A kind known as a Rust type: the bound of every typed call. Holds for k8s-openapi's kinds and for
/// `#[derive(CustomResource)]` types alike.
pub trait Resource: kube_core::Resource<DynamicType = ()> + AnyResource + Serialize + Clone {}

impl<K> Resource for K where K: kube_core::Resource<DynamicType = ()> + AnyResource + Serialize + Clone {}

/// How one kind's bytes become an object. One function pointer, made where the type is known.
#[derive(Clone, Copy)]
pub struct Codec {
    decode: Decode,
}

type Decode = fn(&[u8]) -> Result<Box<dyn AnyResource>, serde_json::Error>;

impl Codec {
    /// The codec of a Rust type.
    #[must_use]
    pub const fn of<K: AnyResource + DeserializeOwned>() -> Self {
        Self { decode: decode_boxed::<K> }
    }

    /// Decodes one object.
    ///
    /// # Errors
    /// If the bytes are not JSON of this type.
    pub fn decode(&self, json: &[u8]) -> Result<Box<dyn AnyResource>, serde_json::Error> {
        (self.decode)(json)
    }
}

impl Debug for Codec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Codec")
    }
}

fn decode_boxed<K: AnyResource + DeserializeOwned>(json: &[u8]) -> Result<Box<dyn AnyResource>, serde_json::Error> {
    Ok(Box::new(serde_json::from_slice::<K>(json)?))
}
