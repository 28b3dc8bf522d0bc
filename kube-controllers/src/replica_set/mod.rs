//! ReplicaSets and ReplicationControllers: as many pods as asked. Source: `pkg/controller/replicaset`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use coracle_core::object::controller_of;
use coracle_core::selector::Selector;
use coracle_core::time::whole_seconds;
use coracle_core::{ObjectKey, Request, Resource, Status, World};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{
    Pod, PodTemplateSpec, ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus,
};

use crate::ownership::{Claims, candidates, claim, controller_reference};
use crate::plan::{Announcement, Plan, Wish};
use crate::planner::Planner;
use crate::pods;
use crate::victims;
use crate::watches::Watches;

/// Pods made or deleted by one plan at most. Source: `BurstReplicas`.
pub const BURST_MAX: usize = 500;
/// The same for sets so large that all their pods would be looked at too often for so few: a quarter of what is there, up to this.
const BURST_OF_MANY_MAX: usize = 4_000;

/// A kind that keeps a number of equal pods.
pub trait Replicated: Resource {
    /// The name in logs and events.
    const CONTROLLER: &'static str;
    /// Whether the status counts pods on their way out.
    const COUNTS_TERMINATING: bool;
    /// How many pods are asked for. Default 1.
    fn replicas(&self) -> i32;
    /// For how long a pod must be ready to count as available. Default 0 s.
    fn min_ready_seconds(&self) -> i32;
    /// Which pods are meant.
    fn selector(&self) -> Selector;
    /// What the pods are made from.
    fn template(&self) -> Option<&PodTemplateSpec>;
    /// The status as it is.
    fn current_status(&self) -> ReplicaSetStatus;
    /// The same object with another status.
    #[must_use]
    fn with_status(&self, status: ReplicaSetStatus) -> Self;
}

/// Keeps the pods of a [`Replicated`] kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replicas<K>(std::marker::PhantomData<fn() -> K>);

impl<K> Replicas<K> {
    /// The planner.
    #[must_use]
    pub const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// What there is of the pods of one object.
#[derive(Debug)]
pub struct Observed {
    /// Pods that count, and adoptions and releases to be made.
    claims: Claims<Pod>,
    /// Controlled pods that are on their way out.
    terminating: usize,
    /// Pods of the same application by node; only filled if pods must go.
    siblings: HashMap<String, usize>,
}

impl<K: Replicated> Planner for Replicas<K> {
    type Kind = K;
    type Observed = Observed;

    fn name(&self) -> &'static str {
        K::CONTROLLER
    }

    fn watches(&self, on: &mut Watches<K>) {
        on.owned::<Pod>().map::<Pod>(adopters::<K>);
    }

    fn observe(&self, owner: &K, world: &World) -> Observed {
        let selector = owner.selector();
        let metadata = owner.metadata();
        let active = candidates::<Pod>(metadata, world).filter(|pod| pods::is_active(pod));
        let claims = claim(owner, &selector, active);
        let own = world.owned_by::<Pod>(metadata.uid.as_deref().unwrap_or(""));
        let terminating = own
            .filter(|pod| pods::is_terminating(pod) && selector.matches_optional(pod.metadata.labels.as_ref()))
            .count();
        let too_many = claims.kept.len() > desired(owner);
        let siblings = if too_many { siblings_by_node(owner, world) } else { HashMap::new() };
        Observed { claims, terminating, siblings }
    }

    fn plan(&self, owner: &K, observed: Observed, now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        if !plan.together(observed.claims.changes).is_empty() {
            // What is adopted or released wakes this object again, and only then are its pods known.
            return plan;
        }
        let active = observed.claims.kept;
        if owner.metadata().deletion_timestamp.is_none() {
            manage(owner, &active, &observed.siblings, now, &mut plan);
        }
        let status = status_of(owner, &active, observed.terminating, now);
        let before = owner.current_status();
        plan.if_failed({
            let (owner, status, active) = (owner.clone(), status.clone(), active.len());
            move |refusal| tell_failure(&owner, status, active, refusal, now)
        });
        if status != before {
            plan.then(Request::update_status(owner.with_status(status)));
        }
        plan.look_again(next_available(owner, &active, now));
        plan
    }
}

/// Who might adopt an orphan.
fn adopters<K: Replicated>(pod: &Pod, world: &World) -> Vec<ObjectKey> {
    if controller_of(&pod.metadata).is_some() {
        return Vec::new();
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
    let selects = |owner: &Arc<K>| owner.selector().matches_optional(pod.metadata.labels.as_ref());
    world.list_in::<K>(namespace).filter(selects).map(|owner| ObjectKey::of(owner.metadata())).collect()
}

fn desired<K: Replicated>(owner: &K) -> usize {
    usize::try_from(owner.replicas()).unwrap_or(0)
}

/// Active pods by node of all objects of this kind that have the same controller, such as all ReplicaSets of a Deployment.
fn siblings_by_node<K: Replicated>(owner: &K, world: &World) -> HashMap<String, usize> {
    let family: Vec<Arc<K>> = match controller_of(owner.metadata()) {
        Some(parent) => world.owned_by::<K>(&parent.uid).collect(),
        None => vec![Arc::new(owner.clone())],
    };
    let uids = family.iter().filter_map(|member| member.metadata().uid.as_deref());
    let mut count = HashMap::new();
    for pod in uids.flat_map(|uid| world.owned_by::<Pod>(uid)).filter(|pod| pods::is_active(pod)) {
        *count.entry(pods::node_name(&pod).to_owned()).or_default() += 1;
    }
    count
}

fn manage<K: Replicated>(
    owner: &K,
    active: &[Arc<Pod>],
    siblings: &HashMap<String, usize>,
    now: Timestamp,
    plan: &mut Plan,
) {
    let (have, want) = (active.len(), desired(owner));
    let burst = (have / 4).clamp(BURST_MAX, BURST_OF_MANY_MAX);
    if have < want {
        let missing = (want - have).min(burst);
        plan.slow_start((0..missing).filter_map(|_| creation(owner)).collect());
    } else if have > want {
        let victims = victims::choose(active, siblings, (have - want).min(burst), now);
        plan.together(victims.iter().map(|pod| deletion(owner, pod)));
    }
}

fn creation<K: Replicated>(owner: &K) -> Option<Wish> {
    let pod = pods::from_template(owner.template()?, owner.metadata(), controller_reference(owner));
    let announcement = Announcement::about(K::CONTROLLER, owner)
        .done("SuccessfulCreate", "Created pod: {}")
        .failed("FailedCreate", "Error creating: {}");
    Some(Wish::from(Request::create(pod)).announced(announcement))
}

fn deletion<K: Replicated>(owner: &K, pod: &Pod) -> Wish {
    let name = pod.metadata.name.as_deref().unwrap_or("");
    let announcement = Announcement::about(K::CONTROLLER, owner)
        .done("SuccessfulDelete", format!("Deleted pod: {name}"))
        .failed("FailedDelete", "Error deleting: {}");
    Wish::from(Request::delete(pod)).announced(announcement)
}

/// The status that all goes well. Source: `calculateStatus`.
fn status_of<K: Replicated>(owner: &K, active: &[Arc<Pod>], terminating: usize, now: Timestamp) -> ReplicaSetStatus {
    let count = |counts: &dyn Fn(&Pod) -> bool| count_of(active.iter().filter(|pod| counts(pod)).count());
    let template = owner.template().and_then(|template| template.metadata.as_ref());
    let labels = template.and_then(|metadata| metadata.labels.as_ref());
    let full = Selector::from_labels(labels.into_iter().flatten());
    let mut status = owner.current_status();
    status.replicas = count_of(active.len());
    status.fully_labeled_replicas = nonzero(count(&|pod| full.matches_optional(pod.metadata.labels.as_ref())));
    status.ready_replicas = nonzero(count(&pods::is_ready));
    status.available_replicas = nonzero(count(&|pod| pods::is_available(pod, owner.min_ready_seconds(), now)));
    status.terminating_replicas = K::COUNTS_TERMINATING.then(|| count_of(terminating));
    status.observed_generation = owner.metadata().generation.or(status.observed_generation);
    set_failure(&mut status, None);
    status
}

/// The status that tells of a failure. A failure told already is not told anew.
fn tell_failure<K: Replicated>(
    owner: &K,
    mut status: ReplicaSetStatus,
    active: usize,
    refusal: &Status,
    now: Timestamp,
) -> Option<Request> {
    let before = owner.current_status();
    status.conditions.clone_from(&before.conditions);
    let told = before.conditions.iter().flatten().any(|condition| condition.type_ == REPLICA_FAILURE);
    let (reason, message) = match active.cmp(&desired(owner)) {
        std::cmp::Ordering::Less => ("FailedCreate", refusal.message().to_owned()),
        std::cmp::Ordering::Equal => return None,
        std::cmp::Ordering::Greater => ("FailedDelete", format!("unable to delete pods: {}", refusal.message())),
    };
    if !told {
        set_failure(
            &mut status,
            Some(ReplicaSetCondition {
                type_: REPLICA_FAILURE.to_owned(),
                status: "True".to_owned(),
                reason: Some(reason.to_owned()),
                message: Some(message),
                last_transition_time: Some(whole_seconds(now)),
            }),
        );
    }
    (status != before).then(|| Request::update_status(owner.with_status(status)))
}

const REPLICA_FAILURE: &str = "ReplicaFailure";

fn set_failure(status: &mut ReplicaSetStatus, failure: Option<ReplicaSetCondition>) {
    let mut conditions = status.conditions.take().unwrap_or_default();
    conditions.retain(|condition| condition.type_ != REPLICA_FAILURE);
    conditions.extend(failure);
    status.conditions = (!conditions.is_empty()).then_some(conditions);
}

/// When the next ready pod has been ready for long enough.
fn next_available<K: Replicated>(owner: &K, active: &[Arc<Pod>], now: Timestamp) -> Option<Duration> {
    let seconds = owner.min_ready_seconds();
    let waits = active.iter().filter_map(|pod| pods::available_in(pod, seconds, now));
    waits.filter(|wait| !wait.is_zero()).min()
}

fn count_of(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Zero is not written out, as in Go's `omitempty`.
fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

impl Replicated for ReplicaSet {
    const CONTROLLER: &'static str = "replicaset-controller";
    const COUNTS_TERMINATING: bool = true;

    fn replicas(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
    }

    fn min_ready_seconds(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
    }

    fn selector(&self) -> Selector {
        let selector = self.spec.as_ref().map(|spec| &spec.selector);
        Selector::from_label_selector(selector).unwrap_or(Selector::nothing())
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }

    fn current_status(&self) -> ReplicaSetStatus {
        self.status.clone().unwrap_or_default()
    }

    fn with_status(&self, status: ReplicaSetStatus) -> Self {
        Self { status: Some(status), ..self.clone() }
    }
}

impl Replicated for ReplicationController {
    const CONTROLLER: &'static str = "replication-controller";
    const COUNTS_TERMINATING: bool = false;

    fn replicas(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
    }

    fn min_ready_seconds(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
    }

    fn selector(&self) -> Selector {
        let selector = self.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        selector.filter(|labels| !labels.is_empty()).map_or(Selector::nothing(), Selector::from_labels)
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }

    fn current_status(&self) -> ReplicaSetStatus {
        let status = self.status.clone().unwrap_or_default();
        let convert = |condition: ReplicationControllerCondition| ReplicaSetCondition {
            last_transition_time: condition.last_transition_time,
            message: condition.message,
            reason: condition.reason,
            status: condition.status,
            type_: condition.type_,
        };
        ReplicaSetStatus {
            available_replicas: status.available_replicas,
            conditions: status.conditions.map(|conditions| conditions.into_iter().map(convert).collect()),
            fully_labeled_replicas: status.fully_labeled_replicas,
            observed_generation: status.observed_generation,
            ready_replicas: status.ready_replicas,
            replicas: status.replicas,
            terminating_replicas: None,
        }
    }

    fn with_status(&self, status: ReplicaSetStatus) -> Self {
        let convert = |condition: ReplicaSetCondition| ReplicationControllerCondition {
            last_transition_time: condition.last_transition_time,
            message: condition.message,
            reason: condition.reason,
            status: condition.status,
            type_: condition.type_,
        };
        let status = ReplicationControllerStatus {
            available_replicas: status.available_replicas,
            conditions: status.conditions.map(|conditions| conditions.into_iter().map(convert).collect()),
            fully_labeled_replicas: status.fully_labeled_replicas,
            observed_generation: status.observed_generation,
            ready_replicas: status.ready_replicas,
            replicas: status.replicas,
        };
        Self { status: Some(status), ..self.clone() }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
