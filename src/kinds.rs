//! A custom kind from its Rust type: `#[derive(CustomResource)]` becomes a row of the kinds table.

use std::borrow::Cow;

use coracle_core::{Codec, GroupResource, Kind, Resource, Subresource};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_core::CustomResourceExt;
use serde::de::DeserializeOwned;

/// A kind that an embedder brings as a Rust type: the type decodes, defaults and prunes its objects.
pub trait CustomKind: Resource + DeserializeOwned + CustomResourceExt {}

impl<K: Resource + DeserializeOwned + CustomResourceExt> CustomKind for K {}

const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const READ_WRITE: &[&str] = &["get", "patch", "update"];

/// The row of a custom kind, and its definition as the API shows it.
pub(crate) fn row<K: CustomKind>() -> (Kind, CustomResourceDefinition) {
    let definition = K::crd();
    let names = &definition.spec.names;
    let (group, version, kind) = (K::group(&()), K::version(&()), K::kind(&()));
    let served = definition.spec.versions.iter().find(|served| served.name == version);
    let has_status = served.and_then(|served| served.subresources.as_ref()).is_some_and(|sub| sub.status.is_some());
    let status = Subresource {
        name: Cow::Borrowed("status"),
        verbs: Cow::Borrowed(READ_WRITE),
        body: (group.clone(), version.clone(), kind.clone()),
    };
    let texts = |names: &Option<Vec<String>>| names.iter().flatten().cloned().map(Cow::Owned).collect::<Vec<_>>();
    let singular = names.singular.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| kind.to_lowercase());
    let row = Kind {
        definition: Cow::Owned(format!("{group}.{version}.{kind}")),
        singular: Cow::Owned(singular),
        plural: K::plural(&()),
        namespaced: definition.spec.scope == "Namespaced",
        verbs: Cow::Borrowed(VERBS),
        short_names: Cow::Owned(texts(&names.short_names)),
        categories: Cow::Owned(texts(&names.categories)),
        subresources: Cow::Owned(if has_status { vec![status] } else { Vec::new() }),
        storage: GroupResource::new(group.clone(), K::plural(&())),
        storage_version: version.clone(),
        codec: Codec::of::<K>(),
        group,
        version,
        kind,
    };
    (row, definition)
}
