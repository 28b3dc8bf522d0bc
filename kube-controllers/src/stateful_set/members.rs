//! Which pods a set has: one place per ordinal in range, and those that are too many.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::identity::ordinal;
use crate::pods;

/// The ordinals that are asked for. Default: one, from 0.
pub(super) fn range(set: &StatefulSet) -> Range<i64> {
    let spec = set.spec.as_ref();
    let start = spec.and_then(|spec| spec.ordinals.as_ref()?.start).unwrap_or(0);
    let replicas = spec.and_then(|spec| spec.replicas).unwrap_or(1);
    i64::from(start)..i64::from(start) + i64::from(replicas.max(0))
}

/// A place in range, and who is there.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) ordinal: i64,
    /// How many places come before this one.
    pub(super) index: i64,
    pub(super) pod: Option<Arc<Pod>>,
}

/// The places in range in order, and the pods out of range with their ordinals, highest first.
pub(super) fn assign(set: &StatefulSet, pods: &[Arc<Pod>]) -> (Vec<Place>, Vec<(i64, Arc<Pod>)>) {
    let known = pods.iter().filter_map(|pod| Some((ordinal(set, &pod.metadata)?, pod.clone())));
    let mut known: BTreeMap<i64, Arc<Pod>> = known.collect();
    let places = range(set).zip(0..).map(|(ordinal, index)| Place { ordinal, index, pod: known.remove(&ordinal) });
    let places = places.collect();
    (places, known.into_iter().rev().collect())
}

/// Source: `isRunningAndReady`.
pub(super) fn is_running_and_ready(pod: &Pod) -> bool {
    pods::phase(pod) == "Running" && pods::is_ready(pod)
}

/// Whether a pod serves nobody, or soon will not. Source: `isUnavailable`.
pub(super) fn is_unavailable(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    pod.metadata.deletion_timestamp.is_some() || !pods::is_available(pod, min_ready_seconds, now)
}

/// Whether a pod fails to run, by what its node or the scheduler says: not merely on its way, nor running and unready.
pub(super) fn is_broken(pod: &Pod) -> bool {
    let unschedulable =
        pods::condition(pod, "PodScheduled").is_some_and(|it| it.reason.as_deref() == Some("Unschedulable"));
    let status = pod.status.iter();
    let mut containers =
        status.flat_map(|it| it.init_container_statuses.iter().flatten().chain(it.container_statuses.iter().flatten()));
    unschedulable || containers.any(waits_in_vain)
}

/// Source: the kubelet's reasons; the two named here are steps on the way.
fn waits_in_vain(container: &ContainerStatus) -> bool {
    let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref()).unwrap_or("");
    !matches!(reason, "" | "ContainerCreating" | "PodInitializing")
}
