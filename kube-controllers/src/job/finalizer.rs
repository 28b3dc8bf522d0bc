//! The finalizer that keeps a pod until its Job has counted it, who adopts and who loses pods, and pods that no Job will ever
//! count.

use std::sync::Arc;

use coracle_core::object::controller_of;
use coracle_core::selector::Selector;
use coracle_core::{Event, GroupResource, ObjectKey, ObjectRef, Request, Status, World};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::ending::finished;
use super::is_ours;
use crate::ownership::{Claims, controller_reference, is_controlled_by, remove_owner};
use crate::plan::{Plan, Wish};
use crate::planner::Planner;
use crate::watches::Watches;

/// Source: batch/v1 `JobTrackingFinalizer`.
pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// Whether a pod carries the finalizer.
pub(super) fn is_on(metadata: &ObjectMeta) -> bool {
    metadata.finalizers.iter().flatten().any(|finalizer| finalizer == TRACKING)
}

/// Puts the finalizer on.
pub(super) fn put_on(metadata: &mut ObjectMeta) {
    if !is_on(metadata) {
        metadata.finalizers.get_or_insert_default().push(TRACKING.to_owned());
    }
}

fn take_off(metadata: &mut ObjectMeta) {
    if let Some(finalizers) = &mut metadata.finalizers {
        finalizers.retain(|finalizer| finalizer != TRACKING);
        if finalizers.is_empty() {
            metadata.finalizers = None;
        }
    }
}

/// Takes the finalizer off this very pod.
pub(super) fn removal(pod: &Pod) -> Request {
    edit(pod, |metadata| {
        take_off(metadata);
        Ok(())
    })
}

fn edit(pod: &Pod, edit: impl Fn(&mut ObjectMeta) -> Result<(), Status> + Send + Sync + 'static) -> Request {
    let uid = pod.metadata.uid.clone();
    Request::edit_metadata(
        &ObjectRef::of(pod),
        move |metadata| {
            if metadata.uid == uid { edit(metadata) } else { Ok(()) }
        },
    )
}

/// Which pods are the Job's. Unlike other owners' pods, they get and lose a finalizer with their owner.
pub(super) fn claim(job: &Job, candidates: impl Iterator<Item = Arc<Pod>>) -> Claims<Pod> {
    let selected_by = selector(job);
    let mut claims = Claims { kept: Vec::new(), changes: Vec::new() };
    let leaving = job.metadata.deletion_timestamp.is_some();
    for pod in candidates {
        let selected = selected_by.matches_optional(pod.metadata.labels.as_ref());
        match controller_of(&pod.metadata) {
            Some(_) if !is_controlled_by(&pod.metadata, &job.metadata) => {}
            Some(_) if selected => claims.kept.push(pod),
            Some(_) if !leaving => claims.changes.push(release(&pod, job)),
            None if selected && !leaving && pod.metadata.deletion_timestamp.is_none() => {
                claims.changes.push(adopt(&pod, job));
            }
            _ => {}
        }
    }
    claims
}

fn adopt(pod: &Pod, job: &Job) -> Wish {
    let reference = controller_reference(job);
    let adoption = move |metadata: &mut ObjectMeta| {
        if controller_of(metadata).is_some_and(|other| other.uid != reference.uid) {
            let name = metadata.name.clone().unwrap_or_default();
            return Err(Status::conflict(&GroupResource::of::<Pod>(), &name, "it is no orphan"));
        }
        let owners = metadata.owner_references.get_or_insert_default();
        owners.retain(|other| other.uid != reference.uid);
        owners.push(reference.clone());
        put_on(metadata);
        Ok(())
    };
    edit(pod, adoption).into()
}

fn release(pod: &Pod, job: &Job) -> Wish {
    let owner = job.metadata.uid.clone().unwrap_or_default();
    let release = move |metadata: &mut ObjectMeta| {
        remove_owner(metadata, &owner);
        take_off(metadata);
        Ok(())
    };
    edit(pod, release).into()
}

/// Takes the finalizer off pods whose Job is gone or over: nobody will count them. Source: `syncOrphanPod`.
///
/// A controller of pods, not of Jobs, so that pods are found whenever their Job went, even while nobody looked.
#[derive(Clone, Copy, Debug, Default)]
pub struct UncountedPods;

impl Planner for UncountedPods {
    type Kind = Pod;
    /// Whether a Job may still count the pod.
    type Observed = bool;

    fn name(&self) -> &'static str {
        "job-orphan-pod-controller"
    }

    fn watches(&self, on: &mut Watches<Pod>) {
        on.only(|_, pod| is_on(&pod.metadata));
        on.changes::<Job>(pods_of_gone);
    }

    fn observe(&self, pod: &Pod, world: &World) -> bool {
        if !is_on(&pod.metadata) {
            return true;
        }
        match controller_of(&pod.metadata) {
            Some(owner) if owner.kind == "Job" && owner.api_version == "batch/v1" => {
                let owner = world.by_uid(&owner.uid).and_then(|owner| owner.get::<Job>());
                owner.is_some_and(|job| !is_ours(job) || finished(job).is_none())
            }
            Some(_) => true,
            None => {
                let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
                let adopts = |job: Arc<Job>| {
                    job.metadata.deletion_timestamp.is_none()
                        && finished(&job).is_none()
                        && selector(&job).matches_optional(pod.metadata.labels.as_ref())
                };
                world.list_in::<Job>(namespace).any(adopts)
            }
        }
    }

    fn plan(&self, pod: &Pod, may_be_counted: bool, _now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        if !may_be_counted {
            plan.then(removal(pod));
        }
        plan
    }
}

fn pods_of_gone(event: &Event, world: &World) -> Vec<ObjectKey> {
    let pods = world.dependents(event.object.uid()).filter(|_| event.deleted);
    pods.filter(|object| object.get::<Pod>().is_some()).map(|pod| pod.key()).collect()
}

/// Whom a Job selects.
pub(super) fn selector(job: &Job) -> Selector {
    let selector = job.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    Selector::from_label_selector(selector).unwrap_or(Selector::nothing())
}
