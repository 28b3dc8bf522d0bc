//! A definition becomes rows of the kinds table, one per served version.

use std::borrow::Cow;
use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};

use super::names::has_condition;
use super::object::CustomObject;
use super::version::Version;
use crate::kind::{GroupResource, Kind, Kinds, Subresource};
use crate::resource::Codec;

const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const READ_WRITE: &[&str] = &["get", "patch", "update"];

/// The collection that a definition defines.
#[must_use]
pub fn place_of(definition: &CustomResourceDefinition) -> GroupResource {
    GroupResource::new(definition.spec.group.clone(), definition.spec.names.plural.clone())
}

/// Whether the kind of a definition is to be served.
#[must_use]
pub fn is_established(definition: &CustomResourceDefinition) -> bool {
    has_condition(definition, "Established")
}

/// The rows of a definition: one per served version, and the storage version's even if that is not served (without verbs).
#[must_use]
pub fn rows(definition: &CustomResourceDefinition) -> Vec<Kind> {
    let versions = definition.spec.versions.iter();
    versions.filter(|version| version.served || version.storage).map(|version| row(definition, version)).collect()
}

fn row(definition: &CustomResourceDefinition, version: &CustomResourceDefinitionVersion) -> Kind {
    let spec = &definition.spec;
    let accepted = definition.status.as_ref().and_then(|status| status.accepted_names.as_ref());
    let names = accepted.filter(|names| !names.plural.is_empty()).unwrap_or(&spec.names);
    let storage_version = spec.versions.iter().find(|version| version.storage).unwrap_or(version);
    let owned = |text: &str| Cow::Owned(text.to_owned());
    let list = |names: &Option<Vec<String>>| names.iter().flatten().map(|name| owned(name)).collect();
    let singular = names.singular.clone().filter(|name| !name.is_empty());
    Kind {
        group: owned(&spec.group),
        version: owned(&version.name),
        kind: owned(&spec.names.kind),
        plural: owned(&spec.names.plural),
        singular: Cow::Owned(singular.unwrap_or_else(|| spec.names.kind.to_lowercase())),
        namespaced: spec.scope == "Namespaced",
        verbs: Cow::Borrowed(if version.served { VERBS } else { &[] }),
        short_names: list(&names.short_names),
        categories: list(&names.categories),
        subresources: Cow::Owned(subresources(definition, version)),
        storage: place_of(definition),
        storage_version: owned(&storage_version.name),
        definition: Cow::Owned(definition_name(&spec.group, &version.name, &spec.names.kind)),
        codec: Codec::of::<CustomObject>(),
        custom: Some(Arc::new(Version::new(definition, version))),
    }
}

/// The schema's name: the group back to front, as upstream's `com.example.v1.Website`.
fn definition_name(group: &str, version: &str, kind: &str) -> String {
    let group: Vec<&str> = group.split('.').rev().collect();
    format!("{}.{version}.{kind}", group.join("."))
}

fn subresources(definition: &CustomResourceDefinition, version: &CustomResourceDefinitionVersion) -> Vec<Subresource> {
    let Some(below) = &version.subresources else { return Vec::new() };
    let own = [&definition.spec.group, &version.name, &definition.spec.names.kind].map(|name| Cow::Owned(name.clone()));
    let scale = ["autoscaling", "v1", "Scale"].map(Cow::Borrowed);
    let make = |name, [group, version, kind]: [Cow<'static, str>; 3]| Subresource {
        name: Cow::Borrowed(name),
        verbs: Cow::Borrowed(READ_WRITE),
        body: (group, version, kind),
    };
    let status = below.status.is_some().then(|| make("status", own));
    status.into_iter().chain(below.scale.is_some().then(|| make("scale", scale))).collect()
}

/// The kinds after a definition changed from `old` to `new`. `base` are the built-in kinds, which no definition replaces, and
/// kinds known as Rust types, whose definitions keep their type.
#[must_use]
pub fn after_change(
    kinds: &Kinds,
    base: &Kinds,
    old: Option<&CustomResourceDefinition>,
    new: Option<&CustomResourceDefinition>,
) -> Option<Kinds> {
    let definition = new.or(old)?;
    let place = place_of(definition);
    let is_builtin = |row: &Arc<Kind>| row.group_resource() == place && row.custom.is_none();
    if base.iter().any(is_builtin) || old.zip(new).is_some_and(|(old, new)| is_same_service(old, new)) {
        return None;
    }
    let without = kinds.clone().without(&place);
    let Some(definition) = new else { return Some(without) };
    if !is_established(definition) {
        let typed = base.iter().filter(|row| row.group_resource() == place);
        return Some(typed.fold(without, |kinds, row| kinds.with(Kind::clone(row))));
    }
    let rows = rows(definition).into_iter().map(|mut row| {
        if let Some(typed) = base.get(&row.group, &row.version, &row.plural) {
            row.codec = typed.codec;
        }
        row
    });
    Some(rows.fold(without, Kinds::with))
}

/// Whether a change leaves what is served as it is.
fn is_same_service(old: &CustomResourceDefinition, new: &CustomResourceDefinition) -> bool {
    let names = |definition: &CustomResourceDefinition| {
        definition.status.as_ref().and_then(|status| status.accepted_names.clone()).unwrap_or_default()
    };
    let is_ending = |definition: &CustomResourceDefinition| definition.metadata.deletion_timestamp.is_some();
    old.spec == new.spec
        && is_established(old) == is_established(new)
        && is_ending(old) == is_ending(new)
        && names(old) == names(new)
}
