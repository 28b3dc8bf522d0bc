//! A new object.

use coracle_core::{AnyResource, Body, Effect, ObjectKey, Revision, Status};
use coracle_store::Expect;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Call, Overtaken, Pipeline, Prepared, encode};
use crate::admission::Operation;
use crate::certificates::request::{note_requester, validate};

/// Characters that `generateName` is extended by. Source: apiserver `names.SimpleNameGenerator`.
const SUFFIX_LENGTH: usize = 5;
/// Longest prefix that is kept, so that the name stays below 63 characters.
const PREFIX_LENGTH_MAX: usize = 63 - SUFFIX_LENGTH;

impl Pipeline {
    pub(super) async fn create(&self, call: &mut Call<'_>, body: &mut Body) -> Result<Prepared, Status> {
        let value = call.take(body)?;
        self.create_value(call, value).await
    }

    pub(super) async fn create_value(
        &self,
        call: &mut Call<'_>,
        mut value: Box<dyn AnyResource>,
    ) -> Result<Prepared, Status> {
        call.refuse_terminating()?;
        check_place(call, value.metadata_mut())?;
        let generated = self.stamp(call, value.metadata_mut())?;
        match call.rules {
            Some(rules) => (rules.default)(value.as_any_mut()),
            None => call.prepare_custom_create(&mut value)?,
        }
        self.admit(call, Operation::Create, None, &mut *value).await?;
        if let Some(rules) = call.rules {
            (rules.prepare_create)(value.as_any_mut());
        }
        if let Some(request) = value.as_any_mut().downcast_mut() {
            note_requester(request, call.user);
        }
        self.allocator.assign(&call.world, &self.entropy, &mut *value, None)?;
        let mut errors = match call.rules {
            Some(rules) => (rules.validate)(value.as_any()),
            None => call.validate_custom(&*value, None),
        };
        if let Some(request) = value.as_any().downcast_ref() {
            validate(request, &mut errors);
        }
        call.refuse_invalid(errors, value.metadata())?;
        self.allow_creation(call).await?;
        self.refuse_escalation(call, None, &*value).await?;
        self.review(call, Operation::Create, None, Some(&*value)).await?;
        call.own(None, &mut *value, self.clock.now())?;
        let kind = call.kind.clone();
        let overtaken = if generated { Overtaken::Collided(kind) } else { Overtaken::Taken(kind) };
        let key = ObjectKey::of(value.metadata());
        if call.world.object(&call.stored.storage, key.as_str()).is_some() {
            return Err(overtaken.status(key.name()));
        }
        let stored = encode(&mut *value)?;
        call.submit(value, stored, Expect::Absent, Effect::Created, Some(overtaken))
    }

    /// What the server alone decides: name, uid, time of birth. Says whether the name was generated.
    fn stamp(&self, call: &Call<'_>, metadata: &mut ObjectMeta) -> Result<bool, Status> {
        if metadata.resource_version.as_deref().is_some_and(|version| !version.is_empty() && version != "0") {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        metadata.resource_version = None;
        metadata.self_link = None;
        metadata.deletion_timestamp = None;
        metadata.deletion_grace_period_seconds = None;
        metadata.generation = None;
        metadata.uid = Some(self.entropy.uid());
        metadata.creation_timestamp = Some(self.clock.time());
        let unnamed = metadata.name.as_deref().unwrap_or("").is_empty();
        let Some(prefix) = metadata.generate_name.clone().filter(|prefix| unnamed && !prefix.is_empty()) else {
            return Ok(false);
        };
        let prefix: String = prefix.chars().take(PREFIX_LENGTH_MAX).collect();
        // A taken suffix is drawn again at once; one taken by a concurrent writer is told to the client, as upstream does.
        for _ in 0..8 {
            let name = format!("{prefix}{}", self.entropy.suffix(SUFFIX_LENGTH));
            let key = ObjectKey::new(metadata.namespace.as_deref().unwrap_or(""), &name);
            let free = call.world.object(&call.stored.storage, key.as_str()).is_none();
            metadata.name = Some(name);
            if free {
                break;
            }
        }
        Ok(true)
    }
}

impl Call<'_> {
    pub(super) fn refuse_invalid(
        &self,
        errors: coracle_core::field::Errors,
        metadata: &ObjectMeta,
    ) -> Result<(), Status> {
        if errors.is_empty() {
            return Ok(());
        }
        Err(Status::invalid(
            (&self.kind.group, &self.kind.kind),
            metadata.name.as_deref().unwrap_or(""),
            errors.to_causes(),
        ))
    }
}

/// Whether the body's place is the path's place; the body may leave it out.
pub(super) fn check_place(call: &Call<'_>, metadata: &mut ObjectMeta) -> Result<(), Status> {
    let target = call.target;
    let namespace = metadata.namespace.as_deref().unwrap_or("");
    if call.kind.namespaced {
        if namespace.is_empty() {
            metadata.namespace = Some(target.namespace.clone().into_owned());
        } else if namespace != target.namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    } else if !namespace.is_empty() {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let name = metadata.name.as_deref().unwrap_or("");
    if !target.name.is_empty() && name.is_empty() {
        metadata.name = Some(target.name.clone().into_owned());
    } else if !target.name.is_empty() && name != target.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    Ok(())
}

/// The revision that a `resourceVersion` names; none if it is empty or zero.
pub(super) fn revision_of(metadata: &ObjectMeta) -> Option<&str> {
    metadata.resource_version.as_deref().filter(|version| !version.is_empty() && *version != Revision::ZERO.to_string())
}
