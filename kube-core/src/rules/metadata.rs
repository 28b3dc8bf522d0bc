//! The rules of every object's metadata.

use super::check::{items, text};
use super::same;
use crate::field::{Errors, Json, Path, format};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference};

/// What is wrong with a name; `prefix` says it is a `generateName`, to which a random end will be added.
pub type NameRule = fn(name: &str, prefix: bool) -> format::Messages;

/// The rule for most kinds: at most 253 of lower-case letters, digits, `-` and `.`.
pub fn dns_subdomain(name: &str, prefix: bool) -> format::Messages {
    with_masked_dash(name, prefix, format::dns1123_subdomain)
}

/// The rule for namespaces and Services: at most 63 of lower-case letters, digits and `-`.
pub fn dns_label(name: &str, prefix: bool) -> format::Messages {
    with_masked_dash(name, prefix, format::dns1123_label)
}

/// The rule for RBAC kinds and a few more: anything that is safe in a URL path.
pub fn path_segment(name: &str, prefix: bool) -> format::Messages {
    if prefix { format::path_segment_prefix(name) } else { format::path_segment(name) }
}

/// A prefix may end in a dash, since something follows it.
fn with_masked_dash(name: &str, prefix: bool, check: fn(&str) -> format::Messages) -> format::Messages {
    match name.strip_suffix('-') {
        Some(rest) if prefix && !rest.is_empty() => {
            let kept: String = rest.chars().take(rest.chars().count().saturating_sub(1)).collect();
            check(&(kept + "a"))
        }
        _ => check(name),
    }
}

/// Before a create: an object begins alive, whatever its writer says.
pub fn prepare_create(meta: &mut ObjectMeta) {
    meta.deletion_timestamp = None;
    meta.deletion_grace_period_seconds = None;
    meta.self_link = None;
}

/// Before an update: what a writer left out or may not touch stays as it was. Source: `registry/rest/update.go`.
pub fn prepare_update(new: &mut ObjectMeta, old: &ObjectMeta) {
    if text(&new.uid).is_empty() {
        new.uid = old.uid.clone();
    }
    new.creation_timestamp = old.creation_timestamp.clone();
    if old.deletion_timestamp.is_some() {
        new.deletion_timestamp = old.deletion_timestamp.clone();
    }
    if new.deletion_grace_period_seconds.is_none() {
        new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    }
    new.self_link = None;
    new.generation = old.generation;
}

/// Checks the metadata of a new object.
pub fn validate(meta: &ObjectMeta, namespaced: bool, name_rule: NameRule, path: &Path, errors: &mut Errors) {
    let (name, generate_name, namespace) = (text(&meta.name), text(&meta.generate_name), text(&meta.namespace));
    if !generate_name.is_empty() {
        errors.invalid_each(&path.field("generateName"), generate_name, name_rule(generate_name, true));
    }
    if name.is_empty() {
        errors.required(&path.field("name"), "name or generateName is required");
    } else {
        errors.invalid_each(&path.field("name"), name, name_rule(name, false));
    }
    match (namespaced, namespace) {
        (true, "") => errors.required(&path.field("namespace"), ""),
        (true, _) => errors.dns_label(&path.field("namespace"), namespace),
        (false, "") => {}
        (false, _) => errors.forbidden(&path.field("namespace"), "not allowed on this type"),
    }
    errors.non_negative(&path.field("generation"), meta.generation);
    validate_changeable(meta, path, errors);
    validate_finalizers(items(&meta.finalizers), &path.field("finalizers"), errors);
}

/// Checks the metadata of a changed object.
pub fn validate_update(new: &ObjectMeta, old: &ObjectMeta, path: &Path, errors: &mut Errors) {
    if old.deletion_timestamp.is_some() {
        validate_no_new_finalizers(items(&new.finalizers), items(&old.finalizers), &path.field("finalizers"), errors);
    }
    if text(&new.resource_version).is_empty() {
        errors.invalid(&path.field("resourceVersion"), "", "must be specified for an update");
    }
    if new.generation.unwrap_or(0) < old.generation.unwrap_or(0) {
        errors.invalid(&path.field("generation"), new.generation.unwrap_or(0), "must not be decremented");
    }
    for (name, new, old) in
        [("name", &new.name, &old.name), ("namespace", &new.namespace, &old.namespace), ("uid", &new.uid, &old.uid)]
    {
        errors.immutable(&path.field(name), new, old);
    }
    errors.immutable(&path.field("creationTimestamp"), &new.creation_timestamp, &old.creation_timestamp);
    errors.immutable(&path.field("deletionTimestamp"), &new.deletion_timestamp, &old.deletion_timestamp);
    errors.immutable(
        &path.field("deletionGracePeriodSeconds"),
        &new.deletion_grace_period_seconds,
        &old.deletion_grace_period_seconds,
    );
    validate_changeable(new, path, errors);
}

/// Checks that finalizers are standard ones or have a domain, which only the kinds of the core server ask.
pub fn validate_finalizer_domains(meta: &ObjectMeta, path: &Path, errors: &mut Errors) {
    for (index, finalizer) in items(&meta.finalizers).iter().enumerate() {
        validate_finalizer_domain(finalizer, &path.field("finalizers").index(index), errors);
    }
}

/// Checks metadata inside a template, where only labels and annotations may be given.
pub fn validate_template(meta: &ObjectMeta, path: &Path, errors: &mut Errors) {
    errors.annotations(&path.field("annotations"), &meta.annotations);
    errors.labels(&path.field("labels"), &meta.labels);
    let bare = ObjectMeta { labels: meta.labels.clone(), annotations: meta.annotations.clone(), ..Default::default() };
    if !same(&bare, meta) {
        for (name, given) in [
            ("name", meta.name.is_some()),
            ("generateName", meta.generate_name.is_some()),
            ("namespace", meta.namespace.is_some()),
            ("uid", meta.uid.is_some()),
            ("resourceVersion", meta.resource_version.is_some()),
            ("ownerReferences", meta.owner_references.is_some()),
            ("finalizers", meta.finalizers.is_some()),
        ] {
            if given {
                errors.forbidden(&path.field(name), "cannot be set");
            }
        }
    }
}

fn validate_changeable(meta: &ObjectMeta, path: &Path, errors: &mut Errors) {
    errors.labels(&path.field("labels"), &meta.labels);
    errors.annotations(&path.field("annotations"), &meta.annotations);
    validate_owner_references(items(&meta.owner_references), &path.field("ownerReferences"), errors);
    validate_managed_fields(items(&meta.managed_fields), &path.field("managedFields"), errors);
}

fn validate_owner_references(references: &[OwnerReference], path: &Path, errors: &mut Errors) {
    let mut first_controller: Option<&OwnerReference> = None;
    for reference in references {
        validate_owner_reference(reference, path, errors);
        if reference.controller != Some(true) {
            continue;
        }
        match first_controller {
            None => first_controller = Some(reference),
            Some(first) => errors.invalid(
                path,
                Json(references),
                format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {}/{} and {}/{}",
                    first.kind, first.name, reference.kind, reference.name
                ),
            ),
        }
    }
}

fn validate_owner_reference(reference: &OwnerReference, path: &Path, errors: &mut Errors) {
    let version = reference.api_version.rsplit('/').next().unwrap_or("");
    if version.is_empty() || reference.api_version.matches('/').count() > 1 {
        errors.invalid(&path.field("apiVersion"), &reference.api_version, "version must not be empty");
    }
    for (name, value) in [("kind", &reference.kind), ("name", &reference.name), ("uid", &reference.uid)] {
        if value.is_empty() {
            errors.invalid(&path.field(name), value, "must not be empty");
        }
    }
    if reference.api_version == "v1" && reference.kind == "Event" {
        errors.invalid(path, Json(reference), "/v1, Kind=Event is disallowed from being an owner");
    }
}

const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

/// Finalizers that need no domain: `kubernetes`, `orphan`, `foregroundDeletion`.
pub(super) fn validate_finalizer_domain(finalizer: &str, path: &Path, errors: &mut Errors) {
    if !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer) {
        errors.invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified");
    }
}

fn validate_finalizers(finalizers: &[String], path: &Path, errors: &mut Errors) {
    for finalizer in finalizers {
        errors.qualified_name(path, finalizer);
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        errors.invalid(path, Json(finalizers), "finalizer orphan and foregroundDeletion cannot be both set");
    }
}

fn validate_no_new_finalizers(new: &[String], old: &[String], path: &Path, errors: &mut Errors) {
    let mut added: Vec<_> = new.iter().filter(|finalizer| !old.contains(finalizer)).collect();
    added.sort_unstable();
    added.dedup();
    if !added.is_empty() {
        let listed: Vec<_> = added.into_iter().map(|finalizer| crate::field::quote(finalizer)).collect();
        let message = "no new finalizers can be added if the object is being deleted, found new finalizers";
        errors.forbidden(path, format!("{message} []string{{{}}}", listed.join(", ")));
    }
}

fn validate_managed_fields(entries: &[ManagedFieldsEntry], path: &Path, errors: &mut Errors) {
    for (index, entry) in entries.iter().enumerate() {
        let path = path.index(index);
        if !matches!(text(&entry.operation), "Apply" | "Update") {
            errors.invalid(&path.field("operation"), text(&entry.operation), "must be `Apply` or `Update`");
        }
        if !matches!(text(&entry.fields_type), "" | "FieldsV1") {
            errors.invalid(&path.field("fieldsType"), text(&entry.fields_type), "must be `FieldsV1`");
        }
        if text(&entry.manager).len() > 128 {
            errors.too_long(&path.field("manager"), 128);
        }
        if text(&entry.subresource).len() > 256 {
            errors.too_long(&path.field("subresource"), 256);
        }
    }
}
