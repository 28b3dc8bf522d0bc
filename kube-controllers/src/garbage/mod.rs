//! Garbage collection: dependents follow their owners, in the background, in the foreground, or not at all. Source:
//! `pkg/controller/garbagecollector`.
//!
//! It needs no graph of its own: the world finds the dependents of an object by uid, and every decision looks at one object,
//! its owners and its dependents. `graph` draws the whole, for people and for tests.

mod graph;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use coracle_core::{Event, GroupResource, Happening, Object, ObjectKey, ObjectRef, Request, Severity, World};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, OwnerReference, Preconditions};

use crate::context::Context;
use crate::controller::{Error, Next};
use crate::erased::ErasedController;
use crate::ownership::remove_owner;
use crate::plan::{Plan, carry_out};

pub use graph::owner_graph;

const CONTROLLER: &str = "garbage-collector-controller";
const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Collects what has lost its owners, whatever kind it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct GarbageCollector;

#[async_trait]
impl ErasedController for GarbageCollector {
    fn name(&self) -> &'static str {
        CONTROLLER
    }

    fn collections(&self) -> Option<Vec<GroupResource>> {
        None
    }

    fn all(&self, world: &World, out: &mut Vec<ObjectRef>) {
        let objects = world.resources().flat_map(|resource| world.objects(resource));
        out.extend(objects.filter(|object| concerns(object)).map(|object| object.reference()));
    }

    fn keys(&self, event: &Event, world: &World, out: &mut Vec<ObjectRef>) {
        wake(event, world, out);
    }

    async fn reconcile(&self, at: &ObjectRef, context: &Context) -> Result<Next, Error> {
        let plan = context.world().at(at).map(|object| plan(object, &context.world())).unwrap_or_default();
        carry_out(plan, context).await
    }
}

/// Whether there may be something to do about an object.
fn concerns(object: &Object) -> bool {
    has_owners(object) || waits_for_dependents(object) || orphans_dependents(object)
}

/// Whom a change concerns: the object, its dependents if it is gone or waits for them, and its owners if they wait for it.
fn wake(event: &Event, world: &World, out: &mut Vec<ObjectRef>) {
    let object = &event.object;
    if event.deleted {
        out.extend(world.dependents(object.uid()).map(|dependent| dependent.reference()));
    } else {
        let same = |previous: &Object| {
            let (before, after) = (previous.metadata(), object.metadata());
            before.owner_references == after.owner_references
                && before.finalizers == after.finalizers
                && before.deletion_timestamp.is_some() == after.deletion_timestamp.is_some()
        };
        if event.previous.as_deref().is_some_and(same) || !concerns(object) && event.previous.is_none() {
            return;
        }
        out.push(object.reference());
        if waits_for_dependents(object) {
            // All of them follow at once, also those that it does not wait for.
            out.extend(world.dependents(object.uid()).map(|dependent| dependent.reference()));
        }
    }
    let versions = [Some(&**object), event.previous.as_deref()];
    let references = versions.into_iter().flatten().flat_map(owners);
    let owners = references.filter_map(|owner| world.by_uid(&owner.uid));
    out.extend(owners.filter(|owner| waits_for_dependents(owner)).map(|owner| owner.reference()));
}

/// What is to be done about one object. Source: `attemptToDeleteItem`, `processDeletingDependentsItem`, `orphanDependents`.
#[must_use]
pub fn plan(object: &Object, world: &World) -> Plan {
    let mut plan = Plan::nothing();
    if orphans_dependents(object) {
        orphan(object, world, &mut plan);
    } else if waits_for_dependents(object) {
        if blocking(object, world).next().is_none() {
            plan.then(without_finalizer(object, FOREGROUND));
        }
    } else if !object.is_terminating() && has_owners(object) {
        follow_owners(object, world, &mut plan);
    }
    plan
}

/// The owners of an object, by what they mean for it.
#[derive(Default)]
struct Owners<'a> {
    /// There: they hold the object.
    solid: Vec<&'a OwnerReference>,
    /// Gone, or never there.
    absent: Vec<&'a OwnerReference>,
    /// Being deleted, and waiting for their dependents.
    waiting: Vec<&'a OwnerReference>,
    /// One is of a kind that nobody knows, or namespaced while the object is not: nothing is decided then.
    undecided: bool,
}

fn follow_owners(object: &Object, world: &World, plan: &mut Plan) {
    tell_of_foreign_owners(object, world, plan);
    let found = classify(object, world);
    if found.undecided {
        return;
    }
    let lost: Vec<_> = found.absent.iter().chain(&found.waiting).map(|owner| owner.uid.clone()).collect();
    if !found.solid.is_empty() {
        if !lost.is_empty() {
            plan.then(without_owners(object, lost));
        }
        return;
    }
    let mut dependents = world.dependents(object.uid()).peekable();
    let policy = if !found.waiting.is_empty() && dependents.peek().is_some() {
        // A dependent that waits for this object, directly or not, would wait for ever: it must not be held up.
        if dependents.any(|dependent| waits_for_dependents(dependent)) {
            plan.then(unblocked(object));
        }
        "Foreground"
    } else {
        policy_of(object)
    };
    plan.then(deletion(object, policy, plan.is_empty()));
}

fn classify<'a>(object: &'a Object, world: &World) -> Owners<'a> {
    let mut found = Owners::default();
    for reference in owners(object) {
        match owner_of(object, reference, world) {
            Owner::Unknown => found.undecided = true,
            Owner::Absent => found.absent.push(reference),
            Owner::Present(owner) if waits_for_dependents(owner) => found.waiting.push(reference),
            Owner::Present(_) => found.solid.push(reference),
        }
    }
    found
}

enum Owner<'a> {
    Present(&'a Object),
    Absent,
    Unknown,
}

/// An owner is found by kind and name, in the object's own namespace if it is namespaced; another uid is another object.
fn owner_of<'a>(object: &Object, reference: &OwnerReference, world: &'a World) -> Owner<'a> {
    let Some(kind) = world.kinds().by_kind(&reference.api_version, &reference.kind) else { return Owner::Unknown };
    if kind.namespaced && !object.kind().namespaced {
        return Owner::Unknown;
    }
    let namespace = if kind.namespaced { object.namespace() } else { "" };
    let key = ObjectKey::new(namespace, &reference.name);
    match world.object(&kind.storage, key.as_str()) {
        Some(owner) if owner.uid() == reference.uid => Owner::Present(owner),
        _ => Owner::Absent,
    }
}

/// An owner in another namespace counts as absent, and one in a namespace cannot own what is in none; people are told. Source:
/// `addDependentToOwners`.
fn tell_of_foreign_owners(object: &Object, world: &World, plan: &mut Plan) {
    let (namespace, kind) = (object.namespace(), object.kind());
    let is_foreign = |owner: &Object| !owner.namespace().is_empty() && owner.namespace() != namespace;
    for reference in owners(object).filter(|owner| world.by_uid(&owner.uid).is_some_and(|owner| is_foreign(owner))) {
        let regarding = ObjectReference {
            api_version: Some(kind.api_version()),
            kind: Some(kind.kind.to_string()),
            name: Some(object.name().to_owned()),
            namespace: Some(namespace.to_owned()),
            uid: Some(object.uid().to_owned()),
            ..ObjectReference::default()
        };
        let owner = format!(
            "[{}/{}, namespace: {namespace}, name: {}, uid: {}]",
            reference.api_version, reference.kind, reference.name, reference.uid
        );
        plan.tell(Happening {
            regarding: regarding.into(),
            severity: Severity::Warning,
            reason: "OwnerRefInvalidNamespace",
            note: format!("ownerRef {owner} does not exist in namespace {namespace:?}"),
            reporter: CONTROLLER,
            host: "".into(),
            action: "",
        });
    }
}

/// Lets the dependents go their own way, then lets the object go.
fn orphan(object: &Object, world: &World, plan: &mut Plan) {
    let uid = object.uid();
    plan.together(world.dependents(uid).map(|dependent| without_owners(dependent, vec![uid.to_owned()])));
    plan.then(without_finalizer(object, ORPHAN));
}

/// Dependents that hold up the end of an object.
fn blocking<'a>(object: &'a Object, world: &'a World) -> impl Iterator<Item = &'a Object> {
    let blocks = |owner: &OwnerReference| owner.uid == object.uid() && owner.block_owner_deletion == Some(true);
    world.dependents(object.uid()).map(|dependent| &**dependent).filter(move |dependent| owners(dependent).any(blocks))
}

fn owners(object: &Object) -> impl Iterator<Item = &OwnerReference> {
    object.metadata().owner_references.iter().flatten()
}

fn has_owners(object: &Object) -> bool {
    owners(object).next().is_some()
}

fn has_finalizer(object: &Object, finalizer: &str) -> bool {
    object.metadata().finalizers.iter().flatten().any(|known| known == finalizer)
}

fn waits_for_dependents(object: &Object) -> bool {
    object.is_terminating() && has_finalizer(object, FOREGROUND)
}

fn orphans_dependents(object: &Object) -> bool {
    object.is_terminating() && has_finalizer(object, ORPHAN)
}

/// An object says by its finalizers how it wants to be deleted.
fn policy_of(object: &Object) -> &'static str {
    match object {
        _ if has_finalizer(object, ORPHAN) => "Orphan",
        _ if has_finalizer(object, FOREGROUND) => "Foreground",
        _ => "Background",
    }
}

/// Deletes this very version, so that an owner that came back in between is not overlooked; or, after an own edit, any version.
fn deletion(object: &Object, policy: &str, this_version: bool) -> Request {
    let version = this_version.then(|| object.revision().to_string());
    let preconditions = Preconditions { uid: None, resource_version: version };
    let propagation_policy = Some(policy.to_owned());
    let options = DeleteOptions { preconditions: Some(preconditions), propagation_policy, ..DeleteOptions::default() };
    Request::delete_object(object, options)
}

fn without_owners(object: &Object, owners: Vec<String>) -> Request {
    edit(object, move |metadata| owners.iter().for_each(|uid| remove_owner(metadata, uid)))
}

fn unblocked(object: &Object) -> Request {
    edit(object, |metadata| {
        for owner in metadata.owner_references.iter_mut().flatten() {
            owner.block_owner_deletion = Some(false);
        }
    })
}

fn without_finalizer(object: &Object, finalizer: &'static str) -> Request {
    edit(object, move |metadata| {
        if let Some(finalizers) = &mut metadata.finalizers {
            finalizers.retain(|known| known != finalizer);
        }
    })
}

/// Edits this very object; another one of the same name is left alone.
fn edit(object: &Object, edit: impl Fn(&mut ObjectMeta) + Send + Sync + 'static) -> Request {
    let uid = object.uid().to_owned();
    Request::edit_metadata(&object.reference(), move |metadata| {
        if metadata.uid.as_ref() == Some(&uid) {
            edit(metadata);
        }
        Ok(())
    })
}
