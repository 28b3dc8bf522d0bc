//! Nodes that fall silent: their conditions become unknown, their pods unready, and they are tainted.

use std::sync::Arc;
use std::time::Duration;

use coracle_core::time::whole_seconds;
use coracle_core::{Happening, Object, ObjectKey, Request, Severity, World};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::taints;
use super::zones::{Pace, Zone, is_well};
use crate::plan::Plan;
use crate::planner::Planner;
use crate::pods;
use crate::portion::since;
use crate::watches::Watches;

const CONTROLLER: &str = "node-controller";

/// The namespace of the leases by which nodes say that they live.
const LEASES: &str = "kube-node-lease";

/// How long a node may take to say anything at all. Source: `--node-startup-grace-period`.
const STARTUP_GRACE: Duration = Duration::from_secs(60);

/// Conditions that nobody knows of a silent node.
const UNKNOWN_WHEN_SILENT: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// Watches over nodes.
#[derive(Clone, Copy, Debug)]
pub struct NodeLifecycle {
    grace: Duration,
}

impl NodeLifecycle {
    /// Takes a node for lost when it has been silent for this long. Usual: 50 s. Source: `--node-monitor-grace-period`.
    #[must_use]
    pub const fn new(grace: Duration) -> Self {
        Self { grace }
    }
}

impl Default for NodeLifecycle {
    fn default() -> Self {
        Self::new(Duration::from_secs(50))
    }
}

/// What there is of one node.
#[derive(Debug)]
pub struct Observed {
    lease: Option<Arc<Lease>>,
    /// Pods that claim to be ready on a node that nobody hears of.
    ready_pods: Vec<Arc<Pod>>,
    /// The node's surroundings, if it is not well.
    zone: Option<Zone>,
}

impl Planner for NodeLifecycle {
    type Kind = Node;
    type Observed = Observed;

    fn name(&self) -> &'static str {
        CONTROLLER
    }

    /// When the last node that was well no longer is, those that were tainted before are not to be emptied either.
    fn watches(&self, on: &mut Watches<Node>) {
        on.changes::<Node>(|event, world| {
            let well = |object: &Object| object.get::<Node>().is_some_and(is_well);
            let lost = event.previous.as_deref().is_some_and(well) && (event.deleted || !well(&event.object));
            let nodes = || world.list::<Node>();
            if !lost || nodes().any(|node| is_well(&node)) {
                return Vec::new();
            }
            nodes().map(|node| ObjectKey::of(&node.metadata)).collect()
        });
    }

    fn observe(&self, node: &Node, world: &World) -> Observed {
        let name = node.metadata.name.as_deref().unwrap_or("");
        let silent = ready(node).filter(|ready| ready.status == "Unknown");
        let pods = world.pods_on(name).filter(|_| silent.is_some()).filter_map(|pod| pod.shared::<Pod>());
        let ready_pods = pods.filter(|pod| silent.is_some_and(|silent| was_ready_before(pod, silent))).collect();
        let zone = (ready(node).is_some() && !is_well(node)).then(|| Zone::of(node, world));
        Observed { lease: world.get(LEASES, name), ready_pods, zone }
    }

    fn plan(&self, node: &Node, observed: Observed, now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        let heard = last_heard(node, observed.lease.as_deref());
        let silence = heard.map_or(Duration::ZERO, |heard| since(heard, now));
        let grace = if ready(node).is_some() { self.grace } else { STARTUP_GRACE };
        if silence > grace {
            if let Some(silenced) = silenced(node, now) {
                plan.then(Request::update_status(silenced));
                if is_well(node) {
                    let name = node.metadata.name.as_deref().unwrap_or("");
                    let note = format!("Node {name} status is now: NodeNotReady");
                    plan.tell(Happening::new(CONTROLLER, node, Severity::Normal, "NodeNotReady", note));
                }
                return plan;
            }
        } else {
            plan.look_again(Some(grace - silence + Duration::from_millis(1)));
        }
        let pace = observed.zone.map_or(Pace::Now, |zone| zone.pace(now));
        if pace == Pace::Nowhere || !taints::taints(node).any(taints::drives) {
            plan.look_again(pace.ends());
        }
        plan.together(taints::correction(node, pace, now));
        plan.together(observed.ready_pods.iter().map(|pod| Request::update_status(unready(pod, now))));
        for pod in &observed.ready_pods {
            plan.tell(Happening::new(CONTROLLER, &**pod, Severity::Warning, "NodeNotReady", "Node is not ready"));
        }
        plan
    }
}

pub(super) fn ready(node: &Node) -> Option<&NodeCondition> {
    condition(node, "Ready")
}

pub(super) fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// When the node last gave a sign of life: by its lease, by its status, or by coming into being.
fn last_heard(node: &Node, lease: Option<&Lease>) -> Option<Timestamp> {
    let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref()).map(|time| time.0);
    let reported = ready(node).and_then(|ready| ready.last_heartbeat_time.as_ref()).map(|time| time.0);
    let created = node.metadata.creation_timestamp.as_ref().map(|time| time.0);
    renewed.max(reported).or(created)
}

/// The node with unknown conditions; `None` if they are so already. Source: `tryUpdateNodeHealth`.
fn silenced(node: &Node, now: Timestamp) -> Option<Node> {
    let mut after = node.clone();
    let created = node.metadata.creation_timestamp.clone();
    let conditions = after.status.get_or_insert_default().conditions.get_or_insert_default();
    for kind in UNKNOWN_WHEN_SILENT {
        match conditions.iter_mut().find(|condition| condition.type_ == kind) {
            None => conditions.push(NodeCondition {
                type_: kind.to_owned(),
                status: "Unknown".to_owned(),
                reason: Some("NodeStatusNeverUpdated".to_owned()),
                message: Some("Kubelet never posted node status.".to_owned()),
                last_heartbeat_time: created.clone(),
                last_transition_time: Some(whole_seconds(now)),
            }),
            Some(condition) if condition.status != "Unknown" => {
                condition.status = "Unknown".to_owned();
                condition.reason = Some("NodeStatusUnknown".to_owned());
                condition.message = Some("Kubelet stopped posting node status.".to_owned());
                condition.last_transition_time = Some(whole_seconds(now));
            }
            Some(_) => {}
        }
    }
    (after != *node).then_some(after)
}

/// Whether the pod is ready, and was before its node fell silent. One that became ready since then was reported by a node that
/// speaks again and will soon say so itself: to contradict it would be to quarrel with it until then.
fn was_ready_before(pod: &Pod, silent: &NodeCondition) -> bool {
    let since = |time: &Option<Time>| time.as_ref().map(|time| time.0);
    let ready = pods::condition(pod, "Ready").filter(|ready| ready.status == "True");
    ready.is_some_and(|ready| since(&ready.last_transition_time) < since(&silent.last_transition_time))
}

/// The pod as one that traffic should not go to. Source: `MarkPodsNotReady`.
///
/// Only for silent nodes: one that speaks, even of trouble, reports its pods itself.
fn unready(pod: &Pod, now: Timestamp) -> Pod {
    let mut after = pod.clone();
    let status = after.status.get_or_insert_default();
    for condition in status.conditions.iter_mut().flatten().filter(|condition| condition.type_ == "Ready") {
        condition.status = "False".to_owned();
        condition.last_transition_time = Some(whole_seconds(now));
    }
    after
}
