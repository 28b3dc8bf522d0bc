//! A custom kind from its Rust type: `#[derive(CustomResource)]` becomes a row of the kinds table.

use coracle_core::{Codec, Kind, Resource, custom};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_core::CustomResourceExt;
use serde::de::DeserializeOwned;

/// A kind that an embedder brings as a Rust type. It is served as any definition is, by its schema; inside the process its
/// objects are values of the type.
pub trait CustomKind: Resource + DeserializeOwned + CustomResourceExt {}

impl<K: Resource + DeserializeOwned + CustomResourceExt> CustomKind for K {}

/// The rows of a custom kind, one per version, and its definition. Only the type's own version is decoded as the type.
pub(crate) fn rows<K: CustomKind>() -> (Vec<Kind>, CustomResourceDefinition) {
    let definition = K::crd();
    let mut rows = custom::rows(&definition);
    if let Some(own) = rows.iter_mut().find(|row| row.version == K::version(&())) {
        own.codec = Codec::of::<K>();
    }
    (rows, definition)
}
