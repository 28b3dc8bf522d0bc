//! Pods that may not stay: a taint `NoExecute` drives away those that do not tolerate it, or no longer.

use std::time::Duration;

use coracle_core::{Event, Happening, ObjectKey, Request, Severity, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Taint, Toleration};

use super::taints::taints;
use crate::disruption::disrupted;
use crate::plan::Plan;
use crate::planner::Planner;
use crate::pods;
use crate::portion::since;
use crate::watches::Watches;
use coracle_core::placement::tolerates;

const CONTROLLER: &str = "taint-eviction-controller";

/// Deletes pods from nodes whose taints they do not tolerate.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaintEviction;

impl Planner for TaintEviction {
    type Kind = Pod;
    /// The node's taints of effect `NoExecute`.
    type Observed = Vec<Taint>;

    fn name(&self) -> &'static str {
        CONTROLLER
    }

    fn watches(&self, on: &mut Watches<Pod>) {
        on.only(|before, pod| {
            !pods::node_name(pod).is_empty() && !before.is_some_and(|before| bears_the_same(before, pod))
        });
        on.changes::<Node>(pods_on_tainted);
    }

    fn observe(&self, pod: &Pod, world: &World) -> Vec<Taint> {
        let node = world.get::<Node>("", pods::node_name(pod));
        node.map(|node| driving(&node).cloned().collect()).unwrap_or_default()
    }

    fn plan(&self, pod: &Pod, taints: Vec<Taint>, now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        if taints.is_empty() || pod.metadata.deletion_timestamp.is_some() {
            return plan;
        }
        match stay(pod, &taints) {
            Stay::Forever => {}
            Stay::For(tolerated) => {
                let left = tolerated.saturating_sub(since(driven_since(pod, &taints), now));
                if left.is_zero() {
                    evict(pod, now, &mut plan);
                } else {
                    plan.look_again(Some(left));
                }
            }
        }
        plan
    }
}

/// Whether both versions are on the same node and tolerate the same.
fn bears_the_same(one: &Pod, other: &Pod) -> bool {
    fn borne(pod: &Pod) -> Option<(&str, Option<&Vec<Toleration>>)> {
        Some((pods::node_name(pod), pod.spec.as_ref()?.tolerations.as_ref()))
    }
    borne(one) == borne(other)
}

enum Stay {
    Forever,
    For(Duration),
}

/// How long a pod tolerates taints: not at all if it does not tolerate one of them, else as long as the least patient says of the
/// tolerations that it uses, which are the first for each taint. Source: `processPodOnNode`, `GetMatchingTolerations`.
fn stay(pod: &Pod, taints: &[Taint]) -> Stay {
    let tolerations = || pod.spec.iter().flat_map(|spec| spec.tolerations.iter().flatten());
    let first = |taint: &Taint| tolerations().find(|toleration| tolerates(toleration, taint));
    let Some(used) = taints.iter().map(first).collect::<Option<Vec<&Toleration>>>() else {
        return Stay::For(Duration::ZERO);
    };
    let seconds = used.iter().filter_map(|toleration| toleration.toleration_seconds).min();
    seconds.map_or(Stay::Forever, |seconds| Stay::For(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
}

/// Since when the pod has borne all these taints.
fn driven_since(pod: &Pod, taints: &[Taint]) -> Timestamp {
    let tainted = taints.iter().filter_map(|taint| taint.time_added.as_ref()).map(|time| time.0).max();
    let placed = pods::condition(pod, "PodScheduled").and_then(|placed| placed.last_transition_time.as_ref());
    let placed = placed.or(pod.metadata.creation_timestamp.as_ref()).map(|time| time.0);
    tainted.max(placed).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn evict(pod: &Pod, now: Timestamp, plan: &mut Plan) {
    let key = ObjectKey::of(&pod.metadata);
    let note = format!("Marking for deletion Pod {key}");
    plan.tell(Happening::new(CONTROLLER, pod, Severity::Normal, "TaintManagerEviction", note));
    let why = "Taint manager: deleting due to NoExecute taint";
    plan.together(disrupted(pod, "DeletionByTaintManager", why, None, now).map(Request::update_status));
    plan.then(Request::delete(pod));
}

fn driving(node: &Node) -> impl Iterator<Item = &Taint> {
    taints(node).filter(|taint| taint.effect == "NoExecute")
}

/// The pods on a node whose taints have changed.
fn pods_on_tainted(event: &Event, world: &World) -> Vec<ObjectKey> {
    let before = event.previous.as_ref().and_then(|previous| previous.get::<Node>());
    let now = event.object.get::<Node>().filter(|_| !event.deleted);
    let (before, now) = (before.into_iter().flat_map(driving), now.into_iter().flat_map(driving));
    if before.eq(now) {
        return Vec::new();
    }
    world.pods_on(event.object.name()).map(|pod| pod.key()).collect()
}
