//! Deployments: one ReplicaSet per pod template, and an orderly way from the old ones to the new. Source:
//! `pkg/controller/deployment`.
//!
//! | file | what it decides |
//! |---|---|
//! | `strategy` | how many pods may be too many or too few |
//! | `rollout` | which ReplicaSet is new, which are old, and what is to change about each |
//! | `revision` | how revisions are counted and remembered |
//! | `rolling` | up with the new, down with the old, a few at a time |
//! | `scale` | another size in mid-rollout: everyone in proportion |
//! | `status` | what is told about it |

mod revision;
mod rolling;
mod rollout;
mod scale;
mod status;
mod strategy;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use coracle_core::object::controller_of;
use coracle_core::selector::Selector;
use coracle_core::{Event, GroupResource, Happening, ObjectKey, Request, Severity, World};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;

use crate::ownership::{Claims, candidates, claim};
use crate::plan::Plan;
use crate::planner::Planner;
use crate::pods;
use crate::watches::Watches;
use rollout::{Fresh, Rollout};
use strategy::Sizes;

/// The name in logs and events.
const CONTROLLER: &str = "deployment-controller";

/// Rolls out Deployments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deployments;

/// What there is of one Deployment.
#[derive(Debug)]
pub struct Observed {
    /// Its ReplicaSets, and adoptions and releases to be made.
    claims: Claims<ReplicaSet>,
    /// Uids of ReplicaSets with pods that have not ended; only filled for the strategy `Recreate`.
    running: Vec<String>,
    /// The name that a new ReplicaSet would get, if one is needed.
    fresh: Option<Fresh>,
}

impl Planner for Deployments {
    type Kind = Deployment;
    type Observed = Observed;

    fn name(&self) -> &'static str {
        CONTROLLER
    }

    fn watches(&self, on: &mut Watches<Deployment>) {
        on.owned::<ReplicaSet>().map::<ReplicaSet>(adopters).changes::<Pod>(recreated);
    }

    fn observe(&self, deployment: &Deployment, world: &World) -> Observed {
        let claims = claim(deployment, &selector(deployment), candidates(&deployment.metadata, world));
        let running = if Sizes::of(deployment).rolling { Vec::new() } else { running(&claims.kept, world) };
        let fresh = rollout::fresh(deployment, &claims.kept, world);
        Observed { claims, running, fresh }
    }

    fn plan(&self, deployment: &Deployment, observed: Observed, now: Timestamp) -> Plan {
        if selector(deployment).is_everything() {
            return refuse_to_select_all(deployment);
        }
        let mut plan = Plan::nothing();
        if plan.together(observed.claims.changes).is_empty() {
            let mut rollout = Rollout::new(deployment, observed.claims.kept, observed.fresh, now);
            advance(&mut rollout, &observed.running);
            rollout.finish(&mut plan);
        }
        plan
    }
}

/// One step on the way. Source: `syncDeployment`.
fn advance(rollout: &mut Rollout<'_>, running: &[String]) {
    if rollout.deployment.metadata.deletion_timestamp.is_some() {
        return rollout.summarize();
    }
    rollout.note_pause();
    if rollout.is_paused() {
        rollout.remember_revision();
        rollout.scale();
        rollout.forget_old();
        rollout.summarize();
    } else if rollout.is_resized() {
        rollout.remember_revision();
        rollout.scale();
        rollout.summarize();
    } else if rollout.sizes.rolling {
        rollout.ensure_new();
        roll(rollout);
        rollout.summarize_progress();
    } else {
        recreate(rollout, running);
        rollout.summarize_progress();
    }
}

/// Source: `rolloutRolling`.
fn roll(rollout: &mut Rollout<'_>) {
    let moved = rollout.is_creating() || rollout.scale_new() || rollout.scale_down_old();
    if !moved && rollout.is_complete() {
        rollout.forget_old();
    }
}

/// Down with the old; the new only when the last old pod has ended. Source: `rolloutRecreate`.
fn recreate(rollout: &mut Rollout<'_>, running: &[String]) {
    rollout.remember_revision();
    if rollout.stop_old() || rollout.old_still_run(running) {
        return;
    }
    rollout.ensure_new();
    let moved = rollout.is_creating() || rollout.scale_new();
    if !moved && rollout.is_complete() {
        rollout.forget_old();
    }
}

fn selector(deployment: &Deployment) -> Selector {
    let selector = deployment.spec.as_ref().map(|spec| &spec.selector);
    Selector::from_label_selector(selector).unwrap_or(Selector::nothing())
}

fn refuse_to_select_all(deployment: &Deployment) -> Plan {
    const WHY: &str = "This deployment is selecting all pods. A non-empty selector is required.";
    let mut plan = Plan::nothing();
    plan.tell(Happening::new(CONTROLLER, deployment, Severity::Warning, "SelectingAll", WHY));
    let mut deployment = deployment.clone();
    let status = deployment.status.get_or_insert_default();
    if status.observed_generation < deployment.metadata.generation {
        status.observed_generation = deployment.metadata.generation;
        plan.then(Request::update_status(deployment));
    }
    plan
}

/// Who might adopt an orphaned ReplicaSet.
fn adopters(replica_set: &ReplicaSet, world: &World) -> Vec<ObjectKey> {
    if controller_of(&replica_set.metadata).is_some() {
        return Vec::new();
    }
    let namespace = replica_set.metadata.namespace.as_deref().unwrap_or("");
    let labels = replica_set.metadata.labels.as_ref();
    let selects = |deployment: &Arc<Deployment>| selector(deployment).matches_optional(labels);
    world.list_in(namespace).filter(selects).map(|deployment| ObjectKey::of(&deployment.metadata)).collect()
}

/// Whose `Recreate` waits for the end of this pod.
fn recreated(event: &Event, world: &World) -> Vec<ObjectKey> {
    let ended = |pod: &Pod| event.deleted || pods::is_terminal(pod);
    let waiting = || {
        let pod = event.object.get::<Pod>().filter(|pod| ended(pod))?;
        let replica_set = world.by_uid(&controller_of(&pod.metadata)?.uid)?;
        let owner = world.by_uid(&replica_set.controller()?.uid)?;
        let deployment = owner.get::<Deployment>().filter(|deployment| !Sizes::of(deployment).rolling)?;
        Some(ObjectKey::of(&deployment.metadata))
    };
    waiting().into_iter().collect()
}

fn running(replica_sets: &[Arc<ReplicaSet>], world: &World) -> Vec<String> {
    let uids = replica_sets.iter().filter_map(|replica_set| replica_set.metadata.uid.clone());
    uids.filter(|uid| world.owned_by::<Pod>(uid).any(|pod| !pods::is_terminal(&pod))).collect()
}

/// The collection of ReplicaSets.
fn replica_sets() -> GroupResource {
    GroupResource::of::<ReplicaSet>()
}
