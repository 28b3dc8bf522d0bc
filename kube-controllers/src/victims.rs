//! Which pods go first when there are too many. Source: `controller.ActivePodsWithRanks`.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use crate::pods;

/// How dear a pod is; the least dear go first, field by field.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Worth<'a> {
    assigned: bool,
    phase: u8,
    ready: bool,
    deletion_cost: i32,
    /// More siblings on the same node: goes first.
    siblings: Reverse<usize>,
    /// Not known for how long, or only shortly ready: goes first. The binary logarithm of the time in nanoseconds, so that pods
    /// of about the same age are equal and chance spreads the loss over failure domains.
    ready_for: i64,
    /// Of containers, then of sidecars.
    restarts: Reverse<(i32, i32)>,
    age: i64,
    /// The chance among equals. Upstream draws it before looking at restarts, which makes its relation no order.
    uid: &'a str,
}

/// The `count` pods that go first. `siblings` counts pods of the same application by node.
#[must_use]
pub fn choose(pods: &[Arc<Pod>], siblings: &HashMap<String, usize>, count: usize, now: Timestamp) -> Vec<Arc<Pod>> {
    let mut ranked: Vec<_> = pods.iter().map(|pod| (worth(pod, siblings, now), pod)).collect();
    ranked.sort_by(|(one, _), (other, _)| one.cmp(other));
    ranked.into_iter().take(count).map(|(_, pod)| pod.clone()).collect()
}

fn worth<'a>(pod: &'a Pod, siblings: &HashMap<String, usize>, now: Timestamp) -> Worth<'a> {
    let node = pods::node_name(pod);
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    Worth {
        assigned: !node.is_empty(),
        phase: match pods::phase(pod) {
            "Running" => 2,
            "Unknown" => 1,
            _ => 0,
        },
        ready: pods::is_ready(pod),
        deletion_cost: deletion_cost(pod),
        siblings: Reverse(siblings.get(node).copied().unwrap_or(0)),
        ready_for: logarithm(pods::ready_since(pod), now),
        restarts: Reverse(restarts(pod)),
        age: logarithm(created, now),
        uid: pod.metadata.uid.as_deref().unwrap_or(""),
    }
}

/// What `controller.kubernetes.io/pod-deletion-cost` says; default 0.
fn deletion_cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    let cost = annotations.and_then(|annotations| annotations.get("controller.kubernetes.io/pod-deletion-cost"));
    cost.and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

/// How often the container that fell most often was started again, and the same of sidecars. Source: `maxContainerRestarts`.
fn restarts(pod: &Pod) -> (i32, i32) {
    let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
    let is_sidecar = |name: &str| {
        let mut first = spec.into_iter().flat_map(|spec| spec.init_containers.iter().flatten());
        first.any(|container| container.name == name && container.restart_policy.as_deref() == Some("Always"))
    };
    let containers = status.into_iter().flat_map(|status| status.container_statuses.iter().flatten());
    let sidecars = status.into_iter().flat_map(|status| status.init_container_statuses.iter().flatten());
    let sidecars = sidecars.filter(|container| is_sidecar(&container.name));
    let most = |counts: &mut dyn Iterator<Item = i32>| counts.max().unwrap_or(0);
    (most(&mut containers.map(|it| it.restart_count)), most(&mut sidecars.map(|it| it.restart_count)))
}

/// The binary logarithm of the nanoseconds since; -1 if there are none, -2 if it is not known since when.
fn logarithm(since: Option<Timestamp>, now: Timestamp) -> i64 {
    let Some(since) = since else { return -2 };
    let nanoseconds = now.duration_since(since).as_nanos();
    nanoseconds.checked_ilog2().map_or(-1, i64::from)
}
