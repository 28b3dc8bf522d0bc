//! What another API server serves, as rows beside our own.

use std::borrow::Cow;

use coracle_core::custom::CustomObject;
use coracle_core::{Codec, GroupResource, Kind, Kinds, Subresource};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use serde::Deserialize;
use serde_json::Value;

/// Verbs that mean something in discovery.
const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceList {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Resource {
    name: String,
    singular_name: String,
    namespaced: bool,
    group: String,
    version: String,
    kind: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
    categories: Vec<String>,
}

/// Adds the rows of an `APIResourceList`.
pub(super) fn merge(kinds: Kinds, service: &APIService, document: &Value) -> Kinds {
    let Ok(list) = ResourceList::deserialize(document) else { return kinds };
    let spec = service.spec.clone().unwrap_or_default();
    let (group, version) = (spec.group.unwrap_or_default(), spec.version.unwrap_or_default());
    let (below, whole): (Vec<_>, Vec<_>) = list.resources.iter().partition(|resource| resource.name.contains('/'));
    let rows = whole.into_iter().map(|resource| row(&group, &version, resource, &below));
    rows.fold(kinds, Kinds::with)
}

fn row(group: &str, version: &str, resource: &Resource, below: &[&Resource]) -> Kind {
    let owned = |text: &str| Cow::Owned(text.to_owned());
    let texts = |list: &[String]| list.iter().map(|text| owned(text)).collect();
    let or = |text: &str, other: &str| if text.is_empty() { owned(other) } else { owned(text) };
    let subresources = below.iter().filter_map(|below| {
        let name = below.name.strip_prefix(&resource.name)?.strip_prefix('/')?;
        let body = (or(&below.group, group), or(&below.version, version), owned(&below.kind));
        Some(Subresource { name: owned(name), verbs: verbs(&below.verbs), body })
    });
    Kind {
        group: owned(group),
        version: owned(version),
        kind: owned(&resource.kind),
        plural: owned(&resource.name),
        singular: owned(&resource.singular_name),
        namespaced: resource.namespaced,
        verbs: verbs(&resource.verbs),
        short_names: texts(&resource.short_names),
        categories: texts(&resource.categories),
        subresources: subresources.collect(),
        storage: GroupResource::new(group.to_owned(), resource.name.clone()),
        storage_version: owned(version),
        definition: Cow::Borrowed(""),
        codec: Codec::of::<CustomObject>(),
        custom: None,
    }
}

fn verbs(given: &[String]) -> Cow<'static, [&'static str]> {
    VERBS.into_iter().filter(|verb| given.iter().any(|given| given == verb)).collect()
}
