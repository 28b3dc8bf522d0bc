//! Which nodes are not needed, and how they go. Source: cluster-autoscaler `core/scaledown`, `utils/drain`.

use std::sync::Arc;
use std::time::Duration;

use coracle_core::object::controller_of;
use coracle_core::quantity::Quantity;
use coracle_core::selector::Selector;
use coracle_core::{Happening, Request, Severity, Target, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::super::{MakeWhatIf, NodeGroup, is_ready};
use super::{AutoscalerSettings, CONTROLLER, is_daemon};
use crate::pods;
use crate::portion::since;

/// Since when a node has not been needed.
const CANDIDATE: &str = "DeletionCandidateOfClusterAutoscaler";
/// Since when a node is being emptied.
pub(in super::super) const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";
/// Annotation of nodes that stay.
const DISABLED: &str = "cluster-autoscaler.kubernetes.io/scale-down-disabled";
/// Annotation of pods that may, or may not, be moved.
const SAFE: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
/// Annotation of pods that a node runs by itself.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What is to be done about nodes that are not needed.
#[derive(Debug, Default)]
pub(super) struct Shrinking {
    /// Taints that come and go.
    pub(super) marks: Vec<Request>,
    /// Pods that are to move.
    pub(super) evict: Vec<Arc<Pod>>,
    /// Nodes that are empty and go.
    pub(super) end: Vec<Arc<Node>>,
    /// What people are told.
    pub(super) tell: Vec<Happening>,
    /// When something is due.
    pub(super) look_again: Option<Duration>,
}

/// What is to be done about the nodes of all groups.
pub(super) fn shrink(
    groups: &[NodeGroup],
    world: &World,
    make: &MakeWhatIf,
    settings: &AutoscalerSettings,
    now: Timestamp,
) -> Shrinking {
    let mut shrinking = Shrinking::default();
    let mut moving = false;
    for group in groups {
        let nodes: Vec<_> = group.machines.iter().filter_map(|name| world.get::<Node>("", name)).collect();
        let leaving = nodes.iter().filter(|node| since_taint(node, TO_BE_DELETED).is_some()).count();
        let mut spare = group.machines.len().saturating_sub(group.min + leaving);
        for node in &nodes {
            let load = Load::of(node, world);
            if let Some(since) = since_taint(node, TO_BE_DELETED) {
                moving |= !load.movable.is_empty();
                shrinking.drain(node, load, since, settings, now);
                continue;
            }
            // Pods that would be on each other's nodes must not leave both: one node with pods at a time.
            let unneeded = spare > 0
                && (load.movable.is_empty() || !moving)
                && load.is_light(settings)
                && !is_disabled(node)
                && load.can_leave(node, world, make);
            match (unneeded, since_taint(node, CANDIDATE)) {
                (false, None) => {}
                (false, Some(_)) => shrinking.marks.push(mark(node, CANDIDATE, None)),
                (true, None) => {
                    spare -= 1;
                    moving |= !load.movable.is_empty();
                    shrinking.marks.push(mark(node, CANDIDATE, Some((now, "PreferNoSchedule"))));
                    shrinking.again(settings.unneeded_time);
                }
                (true, Some(since)) => {
                    spare -= 1;
                    moving |= !load.movable.is_empty();
                    let left = settings.unneeded_time.saturating_sub(crate::portion::since(since, now));
                    if left.is_zero() {
                        shrinking.marks.push(mark(node, TO_BE_DELETED, Some((now, "NoSchedule"))));
                        shrinking.say(node, "marked the node as toBeDeleted/unschedulable");
                        shrinking.again(settings.scan_interval);
                    } else {
                        shrinking.again(left);
                    }
                }
            }
        }
    }
    shrinking
}

impl Shrinking {
    /// Goes on emptying a node; when that takes too long, leaves it in peace.
    fn drain(
        &mut self,
        node: &Arc<Node>,
        load: Load,
        since_then: Timestamp,
        settings: &AutoscalerSettings,
        now: Timestamp,
    ) {
        if load.movable.is_empty() {
            self.say(node, "node removed by cluster autoscaler");
            self.end.push(node.clone());
        } else if since(since_then, now) > settings.drain_time {
            self.marks.push(mark(node, TO_BE_DELETED, None));
            self.marks.push(mark(node, CANDIDATE, None));
            let note = "failed to drain the node, aborting ScaleDown";
            self.tell.push(Happening::new(CONTROLLER, &**node, Severity::Warning, "ScaleDownFailed", note));
        } else {
            self.evict.extend(load.movable.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()));
            self.again(settings.scan_interval);
        }
    }

    fn say(&mut self, node: &Arc<Node>, note: &str) {
        self.tell.push(Happening::new(CONTROLLER, &**node, Severity::Normal, "ScaleDown", note));
    }

    fn again(&mut self, after: Duration) {
        self.look_again = Some(self.look_again.map_or(after, |known| known.min(after)));
    }
}

/// What is on a node, apart from what belongs to it.
struct Load {
    movable: Vec<Arc<Pod>>,
    /// The larger part of processors and memory that is requested.
    utilization: f64,
}

impl Load {
    fn of(node: &Node, world: &World) -> Self {
        let name = node.metadata.name.as_deref().unwrap_or("");
        let pods = world.pods_on(name).filter_map(|object| object.shared::<Pod>());
        let movable: Vec<_> = pods
            .filter(|pod| !pods::is_terminal(pod) && !is_daemon(pod) && annotation(pod, MIRROR).is_none())
            .collect();
        let part = |resource: &str| {
            let requested: Quantity = movable.iter().map(|pod| requested(pod, resource)).sum();
            let has = node.status.as_ref().and_then(|status| status.allocatable.as_ref()?.get(resource));
            let has = has.and_then(|text| Quantity::try_from(text).ok()).unwrap_or_default();
            if has.is_zero() { 0.0 } else { requested.as_f64() / has.as_f64() }
        };
        let utilization = part("cpu").max(part("memory"));
        Self { movable, utilization }
    }

    fn is_light(&self, settings: &AutoscalerSettings) -> bool {
        self.movable.is_empty() || self.utilization < settings.utilization_threshold
    }

    /// Whether every pod may go, and finds a place on another node.
    fn can_leave(&self, node: &Node, world: &World, make: &MakeWhatIf) -> bool {
        if !is_ready(node) || self.movable.iter().any(|pod| is_held(pod, world)) {
            return false;
        }
        if self.movable.is_empty() {
            return true;
        }
        let mut what_if = make(world);
        what_if.remove(node.metadata.name.as_deref().unwrap_or(""));
        what_if.place(&self.movable).is_empty()
    }
}

/// Whether a pod keeps its node from going. Source: `simulator/drainability`.
fn is_held(pod: &Pod, world: &World) -> bool {
    match annotation(pod, SAFE) {
        Some("true") => return is_guarded(pod, world),
        Some("false") => return true,
        _ => {}
    }
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let is_local = volumes.into_iter().any(|volume| volume.host_path.is_some() || volume.empty_dir.is_some());
    let is_system = pod.metadata.namespace.as_deref() == Some("kube-system") && budgets(pod, world).next().is_none();
    controller_of(&pod.metadata).is_none() || is_local || is_system || is_guarded(pod, world)
}

/// Whether a disruption budget allows no more.
fn is_guarded(pod: &Pod, world: &World) -> bool {
    let allowed = |budget: Arc<PodDisruptionBudget>| {
        budget.status.as_ref().and_then(|status| status.disruptions_allowed).unwrap_or(0)
    };
    budgets(pod, world).any(|budget| allowed(budget) <= 0)
}

fn budgets<'a>(pod: &'a Pod, world: &'a World) -> impl Iterator<Item = Arc<PodDisruptionBudget>> + use<'a> {
    let budgets = world.list_in::<PodDisruptionBudget>(pod.metadata.namespace.as_deref().unwrap_or(""));
    budgets.filter(|budget| {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let selector = Selector::from_label_selector(selector);
        selector.is_ok_and(|selector| selector.matches_optional(pod.metadata.labels.as_ref()))
    })
}

fn requested(pod: &Pod, resource: &str) -> Quantity {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let requests = containers.filter_map(|container| container.resources.as_ref()?.requests.as_ref()?.get(resource));
    requests.filter_map(|text| Quantity::try_from(text).ok()).sum()
}

fn annotation<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

fn is_disabled(node: &Node) -> bool {
    let annotations = node.metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(DISABLED)).is_some_and(|value| value == "true")
}

/// The time that a taint carries, in seconds since 1970.
fn since_taint(node: &Node, key: &str) -> Option<Timestamp> {
    let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let taint = taints.find(|taint| taint.key == key)?;
    Timestamp::from_second(taint.value.as_deref()?.parse().ok()?).ok()
}

/// Puts a taint on a node, or takes it off.
fn mark(node: &Node, key: &'static str, wanted: Option<(Timestamp, &'static str)>) -> Request {
    let taint = wanted.map(|(since, effect)| Taint {
        key: key.to_owned(),
        value: Some(since.as_second().to_string()),
        effect: effect.to_owned(),
        time_added: None,
    });
    Request::edit(Target::of(node), move |node: &mut Node| {
        let taints = node.spec.get_or_insert_default().taints.get_or_insert_default();
        taints.retain(|known| known.key != key);
        taints.extend(taint.clone());
        Ok(())
    })
}
