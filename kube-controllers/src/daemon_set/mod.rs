//! DaemonSets: one pod on every node that fits. Source: `pkg/controller/daemon`.
//!
//! | file | what it decides |
//! |---|---|
//! | `eligible` | which nodes a set wants a pod on, and where one may stay |
//! | `daemon` | what a pod for a node looks like, and which node a pod is for |
//! | `nodes` | every node beside its pods |
//! | `manage` | which pods are missing, and which are too many |
//! | `rolling` | which pods make room for the new revision, or get a second one beside them |
//! | `backoff` | how often a pod that fails is replaced |
//! | `status` | what is told about it |

mod backoff;
mod daemon;
mod eligible;
mod manage;
mod nodes;
#[cfg(test)]
mod properties;
mod rolling;
mod status;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use coracle_core::object::controller_of;
use coracle_core::selector::Selector;
use coracle_core::{Event, Happening, ObjectKey, Severity, World};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod, PodTemplateSpec};

use crate::history::{self, History, REVISION_HASH};
use crate::ownership::{Claims, candidates, claim};
use crate::plan::Plan;
use crate::planner::Planner;
use crate::watches::Watches;
use backoff::Backoff;
use eligible::{Eligibility, Fit};
use manage::Management;

/// The name in logs and events.
const CONTROLLER: &str = "daemonset-controller";

/// Pods made or deleted by one plan at most. Source: `BurstReplicas`.
const BURST_MAX: usize = 250;

/// Manages the pods of DaemonSets.
///
/// Remembers one thing, as upstream does: how often pods failed of late, by set and node. Forgetting it does no harm.
#[derive(Debug, Default)]
pub struct DaemonSets {
    backoff: Backoff,
}

/// What there is of one DaemonSet.
#[derive(Debug)]
pub struct Observed {
    /// Its pods, and adoptions and releases to be made.
    pods: Claims<Pod>,
    history: History,
    /// Every node, and what the set wants with it.
    nodes: Vec<(Arc<Node>, Fit)>,
}

impl DaemonSets {
    /// The planner, with no failures in mind.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Planner for DaemonSets {
    type Kind = DaemonSet;
    type Observed = Observed;

    fn name(&self) -> &'static str {
        CONTROLLER
    }

    fn watches(&self, on: &mut Watches<DaemonSet>) {
        on.owned::<Pod>().map::<Pod>(adopters).changes::<Node>(affected);
        history::watch(on);
    }

    fn observe(&self, set: &DaemonSet, world: &World) -> Observed {
        let pods = claim(set, &selector(set), candidates(&set.metadata, world));
        let collisions = set.status.as_ref().and_then(|status| status.collision_count);
        let history = history::observe(set, &selector(set), template(set), collisions, REVISION_HASH, world);
        let eligibility = Eligibility::of(set);
        let nodes = world.list::<Node>().map(|node| {
            let fit = eligibility.fit(&node);
            (node, fit)
        });
        Observed { pods, history, nodes: nodes.collect() }
    }

    fn plan(&self, set: &DaemonSet, observed: Observed, now: Timestamp) -> Plan {
        let Observed { pods, mut history, nodes } = observed;
        let mut plan = Plan::nothing();
        if selector(set).is_everything() {
            const WHY: &str = "This daemon set is selecting all pods. A non-empty selector is required.";
            plan.tell(Happening::new(CONTROLLER, set, Severity::Warning, "SelectingAll", WHY));
            return plan;
        }
        // The history of a set that is being deleted may be gone already, so nothing can be said about it.
        if set.metadata.deletion_timestamp.is_some() {
            return plan;
        }
        let changes = pods.changes.into_iter().chain(std::mem::take(&mut history.changes));
        if plan.together(changes).is_empty() {
            Management::new(set, &pods.kept, history, &nodes, &self.backoff, now).finish(&mut plan);
        }
        plan
    }
}

fn selector(set: &DaemonSet) -> Selector {
    let selector = set.spec.as_ref().map(|spec| &spec.selector);
    Selector::from_label_selector(selector).unwrap_or(Selector::nothing())
}

/// What pods are made from at present.
fn template(set: &DaemonSet) -> &PodTemplateSpec {
    static NONE: LazyLock<PodTemplateSpec> = LazyLock::new(PodTemplateSpec::default);
    set.spec.as_ref().map_or(&NONE, |spec| &spec.template)
}

/// Who might adopt an orphan.
fn adopters(pod: &Pod, world: &World) -> Vec<ObjectKey> {
    if controller_of(&pod.metadata).is_some() {
        return Vec::new();
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
    let labels = pod.metadata.labels.as_ref();
    let selects = |set: &Arc<DaemonSet>| selector(set).matches_optional(labels);
    world.list_in(namespace).filter(selects).map(|set| ObjectKey::of(&set.metadata)).collect()
}

/// Which sets a change of a node is news for. Most changes are heartbeats, and news for nobody.
fn affected(event: &Event, world: &World) -> Vec<ObjectKey> {
    let (after, before) =
        (event.object.get::<Node>(), event.previous.as_deref().and_then(|object| object.get::<Node>()));
    let after = after.filter(|_| !event.deleted);
    if let (Some(before), Some(after)) = (before, after)
        && eligible::look_alike(before, after)
    {
        return Vec::new();
    }
    let is_news = |set: &Arc<DaemonSet>| {
        let eligibility = Eligibility::of(set);
        let fit = |node: Option<&Node>| node.map_or(Fit::NEVER, |node| eligibility.fit(node));
        fit(before) != fit(after)
    };
    world.list::<DaemonSet>().filter(is_news).map(|set| ObjectKey::of(&set.metadata)).collect()
}
