//! The end of an object: at once, after its grace, or when its finalizers are done.

use std::sync::Arc;
use std::time::Duration;

use coracle_core::{Action, AnyResource, Effect, Object, Request, Response, Status, Target};
use coracle_store::Expect;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, StatusCause};

use super::{Call, Pipeline, Prepared, encode};
use crate::admission::Operation;
use crate::read::fields;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

impl Pipeline {
    pub(super) async fn delete(&self, call: &mut Call<'_>, options: &DeleteOptions) -> Result<Prepared, Status> {
        let existing = call.existing()?;
        check_options(options)?;
        check_preconditions(call, options, &existing)?;
        call.deletion = Some(options.clone());
        self.review(call, Operation::Delete, Some(&existing), None).await?;
        let grace = grace_seconds(&existing, options);
        let metadata = existing.metadata();
        if let Some(current) = metadata.deletion_grace_period_seconds.filter(|_| existing.is_terminating()) {
            // A second deletion may shorten the grace, never prolong it.
            let shorter = options.grace_period_seconds.is_some_and(|asked| asked < current);
            if current > 0 && !shorter {
                return Ok(call.done(existing, Effect::Terminating));
            }
        }
        let mut value = existing.value().duplicate();
        let finalizers = finalizers_after(metadata, options, &existing);
        value.metadata_mut().finalizers = (!finalizers.is_empty()).then_some(finalizers);
        let held = value.metadata().finalizers.is_some() || has_spec_finalizers(&*value);
        if grace == 0 && !held {
            return Ok(self.remove(call, &existing, None));
        }
        self.mark(value.metadata_mut(), grace);
        mark_namespace(&mut *value);
        crate::custom::mark_terminating(&mut *value, self.clock.now());
        let stored = encode(&mut *value)?;
        if stored == existing.stored() {
            return Ok(call.done(existing, Effect::Terminating));
        }
        call.submit(value, stored, Expect::Revision(existing.revision()), Effect::Terminating, None)
    }

    fn mark(&self, metadata: &mut ObjectMeta, grace_seconds: i64) {
        let grace = Duration::from_secs(grace_seconds.unsigned_abs());
        let deadline = self.clock.now().checked_add(grace).unwrap_or(self.clock.now());
        if metadata.deletion_timestamp.is_none() {
            metadata.generation = metadata.generation.map(|generation| generation + 1);
        }
        let earlier = metadata.deletion_timestamp.as_ref().is_some_and(|set| set.0 <= deadline);
        if !earlier {
            metadata.deletion_timestamp = Some(coracle_core::time::whole_seconds(deadline));
        }
        metadata.deletion_grace_period_seconds = Some(grace_seconds);
    }

    pub(super) async fn delete_collection(&self, request: Request) -> Result<Response, Status> {
        let Request { target, action, options, user } = request;
        let Action::DeleteCollection { options: delete, labels, fields } = action else {
            return Err(Status::method_not_allowed());
        };
        let call = self.call_collection(&target)?;
        for requirement in fields.requirements() {
            fields::getter(&call.0, &requirement.path)?;
        }
        let field = |object: &Object, path: &str| {
            let getter = fields::getter(&call.0, path).ok()?;
            getter.text(object).map(std::borrow::Cow::into_owned).map(std::borrow::Cow::Owned)
        };
        let chosen: Vec<Arc<Object>> = call
            .1
            .objects_in(&call.0.storage, &target.namespace)
            .filter(|object| labels.matches_optional(object.metadata().labels.as_ref()))
            .filter(|object| fields.matches(&|path| field(object, path)))
            .cloned()
            .collect();
        let mut response =
            Response { object: None, objects: Vec::new(), effect: Effect::Deleted, warnings: Vec::new() };
        for object in chosen {
            let place = Target {
                namespace: object.namespace().to_owned().into(),
                name: object.name().to_owned().into(),
                ..target.clone()
            };
            let request = Request {
                target: place,
                action: Action::Delete(delete.clone()),
                options: options.clone(),
                user: user.clone(),
            };
            match Box::pin(self.run(request)).await {
                Ok(answer) => response.objects.extend(answer.object),
                Err(status) if status.is_not_found() => {}
                Err(status) => return Err(status),
            }
        }
        Ok(response)
    }

    fn call_collection(&self, target: &Target) -> Result<(Arc<coracle_core::Kind>, Arc<coracle_core::World>), Status> {
        let world = self.ledger.feed().world();
        let kinds = world.kinds();
        let kind = match &target.version {
            Some(version) => kinds.get(&target.resource.group, version, &target.resource.resource),
            None => kinds.storage(&target.resource),
        };
        let kind = kind.cloned().ok_or_else(Status::no_such_path)?;
        Ok((kind, world))
    }
}

fn check_options(options: &DeleteOptions) -> Result<(), Status> {
    let refuse = |field: &str, value: &str, why: &str| {
        let message = format!("Invalid value: {value}: {why}");
        let cause = StatusCause {
            field: Some(field.to_owned()),
            message: Some(message.clone()),
            reason: Some("FieldValueInvalid".to_owned()),
        };
        let text = format!("DeleteOptions.meta.k8s.io \"\" is invalid: {field}: {message}");
        Err(Status::new(coracle_core::Reason::Invalid, text).with_causes(vec![cause]))
    };
    match options.propagation_policy.as_deref() {
        Some(policy) if options.orphan_dependents.is_some() => refuse(
            "propagationPolicy",
            &format!("{policy:?}"),
            "orphanDependents and deletionPropagation cannot be both set",
        ),
        Some("Orphan" | "Background" | "Foreground") | None => Ok(()),
        Some(policy) => {
            let message =
                format!("Unsupported value: {policy:?}: supported values: \"Background\", \"Foreground\", \"Orphan\"");
            let text = format!("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: {message}");
            Err(Status::new(coracle_core::Reason::Invalid, text))
        }
    }
}

fn check_preconditions(call: &Call<'_>, options: &DeleteOptions, existing: &Object) -> Result<(), Status> {
    let Some(preconditions) = &options.preconditions else { return Ok(()) };
    let refuse = |why: String| Err(Status::conflict(&call.kind.group_resource(), &call.target.name, why));
    let found = existing.uid();
    if let Some(uid) = preconditions.uid.as_deref().filter(|uid| *uid != found) {
        return refuse(format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"));
    }
    let found = existing.revision().to_string();
    if let Some(version) = preconditions.resource_version.as_deref().filter(|version| *version != found) {
        return refuse(format!(
            "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {found}"
        ));
    }
    Ok(())
}

/// Only pods have a grace: none before they are bound or after they ended. Source: `podStrategy.CheckGracefulDelete`.
fn grace_seconds(existing: &Object, options: &DeleteOptions) -> i64 {
    let Some(pod) = existing.get::<Pod>() else { return 0 };
    let Some(spec) = &pod.spec else { return 0 };
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if spec.node_name.as_deref().unwrap_or("").is_empty() || matches!(phase, Some("Succeeded" | "Failed")) {
        return 0;
    }
    let asked = options.grace_period_seconds.or(spec.termination_grace_period_seconds).unwrap_or(30);
    // Negative means "kill at once, politely": one second.
    if asked < 0 { 1 } else { asked }
}

/// Which finalizers the deletion leaves on the object. Source: apiserver `registry.deletionFinalizersForGarbageCollection`.
fn finalizers_after(metadata: &ObjectMeta, options: &DeleteOptions, existing: &Object) -> Vec<String> {
    let mut finalizers = metadata.finalizers.clone().unwrap_or_default();
    if let Some(finalizer) = crate::custom::finalizer_of(existing)
        && !existing.is_terminating()
        && !finalizers.iter().any(|held| held == finalizer)
    {
        finalizers.push(finalizer.to_owned());
    }
    let holds = |name: &str| metadata.finalizers.iter().flatten().any(|finalizer| finalizer == name);
    let policy = options.propagation_policy.as_deref();
    let orphan = match (options.orphan_dependents, policy) {
        (Some(orphan), _) => orphan,
        (None, Some(policy)) => policy == "Orphan",
        (None, None) if holds(ORPHAN) => true,
        (None, None) if holds(FOREGROUND) => false,
        (None, None) => orphans_by_default(existing),
    };
    let foreground = match policy {
        Some(policy) => policy == "Foreground",
        None => options.orphan_dependents.is_none() && holds(FOREGROUND),
    };
    finalizers.retain(|finalizer| finalizer != ORPHAN && finalizer != FOREGROUND);
    if orphan {
        finalizers.push(ORPHAN.to_owned());
    }
    if foreground {
        finalizers.push(FOREGROUND.to_owned());
    }
    finalizers
}

/// The oldest kinds leave their dependents behind unless told otherwise.
fn orphans_by_default(existing: &Object) -> bool {
    existing.get::<Job>().is_some() || existing.get::<ReplicationController>().is_some()
}

/// Namespaces have finalizers of their own in the spec.
pub(super) fn has_spec_finalizers(value: &dyn AnyResource) -> bool {
    let namespace = value.as_any().downcast_ref::<Namespace>();
    let finalizers = namespace.and_then(|namespace| namespace.spec.as_ref()?.finalizers.as_ref());
    finalizers.is_some_and(|finalizers| !finalizers.is_empty())
}

fn mark_namespace(value: &mut dyn AnyResource) {
    if let Some(namespace) = value.as_any_mut().downcast_mut::<Namespace>() {
        namespace.status.get_or_insert_default().phase = Some("Terminating".to_owned());
    }
}
