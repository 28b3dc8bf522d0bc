//! A new version of an object.

use std::sync::Arc;

use coracle_core::field::{Errors, Path};
use coracle_core::{AnyResource, Body, Effect, Object, Status};
use coracle_store::Expect;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::create::{check_place, revision_of};
use super::ledger::Draft;
use super::{Call, Overtaken, Pipeline, Prepared, encode};
use crate::admission::Operation;

impl Pipeline {
    /// A whole new version, as the client has it.
    pub(super) async fn replace(&self, call: &mut Call<'_>, body: &Body) -> Result<Prepared, Status> {
        let mut value = call.decode(body)?;
        check_place(call, value.metadata_mut())?;
        let Some(existing) = call.current() else {
            let creates = call.options.create_missing && call.target.subresource.is_empty();
            return if creates { self.create_value(call, value).await } else { Err(call.not_found()) };
        };
        if call.rules.is_none() && revision_of(value.metadata()).is_none() {
            // Custom resources cannot be replaced blindly. Source: `customResourceStrategy.AllowUnconditionalUpdate`.
            let mut errors = Errors::new();
            errors.invalid(&Path::new("metadata").field("resourceVersion"), 0, "must be specified for an update");
            call.refuse_invalid(errors, value.metadata())?;
        }
        let stale = revision_of(value.metadata()).map(|_| Overtaken::Stale(call.kind.clone()));
        check_version(call, value.metadata(), &existing)?;
        self.update(call, &existing, value, stale).await
    }

    /// The common end of every change of an existing object. `stale` is the answer if another writer comes first; without
    /// one the request is prepared again.
    pub(super) async fn update(
        &self,
        call: &mut Call<'_>,
        existing: &Arc<Object>,
        mut value: Box<dyn AnyResource>,
        stale: Option<Overtaken>,
    ) -> Result<Prepared, Status> {
        check_place(call, value.metadata_mut())?;
        keep_system_fields(value.metadata_mut(), existing.metadata());
        prepare(call, existing, &mut value)?;
        self.admit(call, Operation::Update, Some(existing), &mut *value).await?;
        self.allocator.assign(&call.world, &self.entropy, &mut *value, Some(existing))?;
        call.refuse_invalid(validate(call, existing, &*value), value.metadata())?;
        self.refuse_escalation(call, Some(existing), &*value).await?;
        self.review(call, Operation::Update, Some(existing), Some(&*value)).await?;
        call.own(Some(existing), &mut *value, self.clock.now())?;
        let stored = encode(&mut *value)?;
        if is_over(&*value) {
            return Ok(self.remove(call, existing, stale));
        }
        if (stored == existing.stored() || only_times_differ(existing, &stored)) && !call.is_outdated {
            return Ok(call.done(existing.clone(), Effect::Unchanged));
        }
        call.submit(value, stored, Expect::Revision(existing.revision()), Effect::Updated, stale)
    }

    /// The object goes for good.
    pub(super) fn remove(&self, call: &mut Call<'_>, existing: &Arc<Object>, stale: Option<Overtaken>) -> Prepared {
        if call.options.dry_run {
            return call.done(existing.clone(), Effect::Deleted);
        }
        let expect = Expect::Revision(existing.revision());
        let draft = Draft { place: existing.reference(), kind: call.stored.clone(), version: None, expect };
        call.draft(draft, Effect::Deleted, stale)
    }
}

/// Defaults, and what this subresource may not touch put back.
fn prepare(call: &Call<'_>, existing: &Object, value: &mut Box<dyn AnyResource>) -> Result<(), Status> {
    let old = existing.value().as_any();
    let Some(rules) = call.rules else { return call.prepare_custom_update(value, existing) };
    (rules.default)(value.as_any_mut());
    match &*call.target.subresource {
        "" | "scale" => (rules.prepare_update)(value.as_any_mut(), old),
        "status" => (rules.prepare_status_update)(value.as_any_mut(), old),
        part => {
            super::subresource::keep_rest(part, &mut **value, old);
            // What has generations gets a new one however its spec is changed.
            if let Some(generation) = existing.metadata().generation
                && (rules.spec_changed)(value.as_any(), old)
            {
                value.metadata_mut().generation = Some(generation + 1);
            }
        }
    }
    Ok(())
}

fn validate(call: &Call<'_>, existing: &Object, value: &dyn AnyResource) -> Errors {
    let (new, old) = (value.as_any(), existing.value().as_any());
    match (call.rules, &*call.target.subresource) {
        (None, _) => call.validate_custom(value, Some(existing)),
        (Some(rules), "status") => (rules.validate_status_update)(new, old),
        (Some(rules), "" | "scale") => (rules.validate_update)(new, old),
        (Some(rules), part) => (rules.validate_part_update)(part, new, old),
    }
}

/// Whether the client's version is still the newest, and of the same object.
pub(super) fn check_version(call: &Call<'_>, metadata: &ObjectMeta, existing: &Object) -> Result<(), Status> {
    let (resource, name) = (call.kind.group_resource(), &call.target.name);
    if let Some(uid) = metadata.uid.as_deref().filter(|uid| !uid.is_empty() && *uid != existing.uid()) {
        let found = existing.uid();
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {found}");
        return Err(Status::conflict(&resource, name, why));
    }
    match revision_of(metadata) {
        Some(version) if version != existing.revision().to_string() => Err(Status::stale(&resource, name)),
        _ => Ok(()),
    }
}

/// Only the server writes these.
fn keep_system_fields(new: &mut ObjectMeta, old: &ObjectMeta) {
    new.uid.clone_from(&old.uid);
    new.creation_timestamp.clone_from(&old.creation_timestamp);
    new.deletion_timestamp.clone_from(&old.deletion_timestamp);
    new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    new.generation = old.generation;
    new.self_link = None;
    // Unconditional writes are of the version they were prepared against; encoding drops it again.
    new.resource_version.clone_from(&old.resource_version);
}

/// Whether a new version is the old one but for the times at which fields were last owned: then nothing need be written.
fn only_times_differ(existing: &Object, stored: &[u8]) -> bool {
    // Times are of one length, so most versions are told apart at once.
    stored.len() == existing.stored().len()
        && existing.metadata().managed_fields.is_some()
        && match (serde_json::from_slice(existing.stored()), serde_json::from_slice(stored)) {
            (Ok(old), Ok(new)) => coracle_core::apply::same_but_times(&old, &new),
            _ => false,
        }
}

/// Whether deletion was asked for and nothing holds the object any longer.
fn is_over(value: &dyn AnyResource) -> bool {
    let metadata = value.metadata();
    metadata.deletion_timestamp.is_some()
        && metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
        && metadata.deletion_grace_period_seconds.unwrap_or(0) == 0
        && !super::delete::has_spec_finalizers(value)
}
