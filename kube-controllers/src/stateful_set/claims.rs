//! Volumes that outlive their pods: who makes the claims, and who owns them, and so whose end ends them. Source:
//! `stateful_pod_control.go`, KEP-1847.

use std::collections::HashMap;
use std::sync::Arc;

use coracle_core::{Happening, ObjectRef, Request, Resource, Severity, World};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::CONTROLLER;
use super::identity::{claim_name, claim_templates, name_of, new_claim, pod_name};
use crate::ownership::controller_reference;
use crate::plan::{Announcement, Plan, Wish};

/// The claims of one set that exist, by name.
#[derive(Debug, Default)]
pub(super) struct VolumeClaims(HashMap<String, Arc<PersistentVolumeClaim>>);

/// Whose end is the end of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeper {
    Nobody,
    Set,
    Pod,
}

impl VolumeClaims {
    /// The claims of these ordinals.
    pub(super) fn observe(set: &StatefulSet, ordinals: impl Iterator<Item = i64>, world: &World) -> Self {
        if claim_templates(set).next().is_none() {
            return Self::default();
        }
        let namespace = set.metadata.namespace.as_deref().unwrap_or("");
        let names = ordinals.flat_map(|ordinal| claim_templates(set).map(move |claim| claim_name(set, claim, ordinal)));
        Self(names.filter_map(|name| world.get(namespace, &name).map(|claim| (name, claim))).collect())
    }

    /// Whether the pod of an ordinal must wait until a former claim of its name is gone. That is told, unless claims are meant to
    /// go with their pods. Source: `PodClaimIsStale`, `createPersistentVolumeClaims`.
    pub(super) fn is_blocked(&self, set: &StatefulSet, ordinal: i64, plan: &mut Plan) -> bool {
        let pod = pod_name(set, ordinal);
        let leaving = self.of(set, ordinal).find(|claim| claim.metadata.deletion_timestamp.is_some());
        if policy(set).0 {
            let stale = |claim: &PersistentVolumeClaim| owners(claim).any(|owner| is_pod(owner, &pod));
            return leaving.is_some() || self.of(set, ordinal).any(stale);
        }
        if let Some(claim) = leaving {
            plan.tell(wait(set, &pod, claim));
        }
        leaving.is_some()
    }

    /// Makes the claims that a pod in range lacks.
    pub(super) fn missing(&self, set: &StatefulSet, ordinal: i64) -> Vec<Wish> {
        let pod = pod_name(set, ordinal);
        let lacking = claim_templates(set).filter(|template| !self.0.contains_key(&claim_name(set, template, ordinal)));
        lacking.map(|template| creation(set, template, ordinal, &pod)).collect()
    }

    /// Makes the owners of a pod's claims follow from the set's retention policy; `pod` is `None` if it is yet to be made.
    pub(super) fn keep(&self, set: &StatefulSet, ordinal: i64, pod: Option<&Pod>, in_range: bool, plan: &mut Plan) {
        let keeper = keeper(set, in_range);
        let name = pod_name(set, ordinal);
        for claim in self.of(set, ordinal).filter(|claim| !is_kept(claim, set, &name, pod, keeper)) {
            let contested = is_contested(claim, set, &name, pod);
            if contested {
                plan.tell(contest(set, claim));
            }
            let wanted = match keeper {
                _ if contested => None,
                Keeper::Nobody => None,
                Keeper::Set => Some(controller_reference(set)),
                Keeper::Pod => pod.map(controller_reference),
            };
            plan.then(change_owner(set, &name, claim, wanted));
        }
    }

    fn of(&self, set: &StatefulSet, ordinal: i64) -> impl Iterator<Item = &PersistentVolumeClaim> {
        claim_templates(set).filter_map(move |template| self.0.get(&claim_name(set, template, ordinal)).map(|it| &**it))
    }
}

/// Whether claims are deleted with a pod that is scaled away, and with the set. Default: neither.
fn policy(set: &StatefulSet) -> (bool, bool) {
    let policy = set.spec.as_ref().and_then(|spec| spec.persistent_volume_claim_retention_policy.as_ref());
    let deletes = |what: Option<&String>| what.is_some_and(|what| what == "Delete");
    policy
        .map_or((false, false), |policy| (deletes(policy.when_scaled.as_ref()), deletes(policy.when_deleted.as_ref())))
}

fn keeper(set: &StatefulSet, in_range: bool) -> Keeper {
    match policy(set) {
        (true, _) if !in_range => Keeper::Pod,
        (_, true) => Keeper::Set,
        _ => Keeper::Nobody,
    }
}

fn creation(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i64, pod: &str) -> Wish {
    let mut claim = new_claim(set, template, ordinal);
    if keeper(set, true) == Keeper::Set {
        claim.metadata.owner_references.get_or_insert_default().push(controller_reference(set));
    }
    let (claim_name, set_name) = (name_of(&claim.metadata), name_of(&set.metadata));
    let announcement = Announcement::about(CONTROLLER, set)
        .done("SuccessfulCreate", format!("create Claim {claim_name} Pod {pod} in StatefulSet {set_name} success"))
        .failed(
            "FailedCreate",
            format!("create Claim {claim_name} for Pod {pod} in StatefulSet {set_name} failed error: {{}}"),
        );
    Wish::from(Request::create(claim)).announced(announcement)
}

/// Source: `isClaimOwnerUpToDate`. A claim of a former set or pod of the same name is left to the garbage collector.
fn is_kept(claim: &PersistentVolumeClaim, set: &StatefulSet, name: &str, pod: Option<&Pod>, keeper: Keeper) -> bool {
    if owners(claim).any(|owner| is_former(owner, set, name, pod)) {
        return true;
    }
    let by_set = owners(claim).any(|owner| is_uid(owner, &set.metadata));
    let by_pod = pod.is_some_and(|pod| owners(claim).any(|owner| is_uid(owner, &pod.metadata)));
    if is_contested(claim, set, name, pod) {
        return !by_set && !by_pod;
    }
    let ours = owners(claim).filter(|owner| is_set(owner, set) || is_pod(owner, name));
    ours.into_iter().all(|owner| owner.controller == Some(true))
        && by_set == (keeper == Keeper::Set)
        && by_pod == (keeper == Keeper::Pod)
}

/// Whether somebody else controls the claim. Source: `hasUnexpectedController`.
fn is_contested(claim: &PersistentVolumeClaim, set: &StatefulSet, name: &str, pod: Option<&Pod>) -> bool {
    let foreign = |owner: &OwnerReference| {
        is_former(owner, set, name, pod)
            || (owner.controller == Some(true) && !is_set(owner, set) && !is_pod(owner, name))
    };
    policy(set) != (false, false) && owners(claim).any(foreign)
}

/// Whether an owner has the name of the set or the pod, but was another one.
fn is_former(owner: &OwnerReference, set: &StatefulSet, name: &str, pod: Option<&Pod>) -> bool {
    (is_set(owner, set) && !is_uid(owner, &set.metadata))
        || (is_pod(owner, name) && pod.is_none_or(|pod| !is_uid(owner, &pod.metadata)))
}

fn wait(set: &StatefulSet, pod: &str, claim: &PersistentVolumeClaim) -> Happening {
    let (set_name, claim) = (name_of(&set.metadata), name_of(&claim.metadata));
    let note = format!("create Pod {pod} in StatefulSet {set_name} failed error: pvc {claim} is being deleted");
    Happening::new(CONTROLLER, set, Severity::Warning, "FailedCreate", note)
}

fn contest(set: &StatefulSet, claim: &PersistentVolumeClaim) -> Happening {
    let note = format!(
        "PersistentVolumeClaim {} has a conflicting OwnerReference that acts as a manging controller, the retention policy is \
         ignored for this claim",
        name_of(&claim.metadata)
    );
    Happening::new(CONTROLLER, set, Severity::Warning, "ConflictingController", note)
}

/// Takes the set and the pod from a claim's owners and puts the wanted one in. Source: `updateClaimOwnerRefForSetAndPod`.
fn change_owner(
    set: &StatefulSet,
    pod: &str,
    claim: &PersistentVolumeClaim,
    wanted: Option<OwnerReference>,
) -> Request {
    let (set, pod) = (name_of(&set.metadata).to_owned(), pod.to_owned());
    Request::edit_metadata(&ObjectRef::of(claim), move |metadata| {
        let owners = metadata.owner_references.get_or_insert_default();
        owners.retain(|owner| !is_set_named(owner, &set) && !is_pod(owner, &pod));
        owners.extend(wanted.clone());
        if owners.is_empty() {
            metadata.owner_references = None;
        }
        Ok(())
    })
}

fn owners(claim: &PersistentVolumeClaim) -> impl Iterator<Item = &OwnerReference> {
    claim.metadata.owner_references.iter().flatten()
}

fn is_uid(owner: &OwnerReference, of: &ObjectMeta) -> bool {
    of.uid.as_ref() == Some(&owner.uid)
}

fn is_set(owner: &OwnerReference, set: &StatefulSet) -> bool {
    is_set_named(owner, name_of(&set.metadata))
}

fn is_set_named(owner: &OwnerReference, name: &str) -> bool {
    is_named::<StatefulSet>(owner, name)
}

fn is_pod(owner: &OwnerReference, name: &str) -> bool {
    is_named::<Pod>(owner, name)
}

fn is_named<K: Resource>(owner: &OwnerReference, name: &str) -> bool {
    owner.kind == K::kind(&()) && owner.api_version == K::api_version(&()) && owner.name == name
}
