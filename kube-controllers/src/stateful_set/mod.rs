//! StatefulSets: pods that are somebody, each with a number, a name and volumes of its own. Source:
//! `pkg/controller/statefulset`.
//!
//! | file | what it decides |
//! |---|---|
//! | `identity` | who is who: ordinals, names, labels, volumes |
//! | `claims` | who makes and who owns the claims for volumes |
//! | `members` | which pods are in range, which are too many, what each is like |
//! | `manage` | in what order pods come and go |
//! | `update` | which pods make room for the new revision |
//! | `status` | what is told about it |

mod claims;
mod identity;
mod manage;
mod members;
#[cfg(test)]
mod properties;
mod status;
#[cfg(test)]
mod tests;
mod update;

use std::sync::{Arc, LazyLock};

use coracle_core::object::controller_of;
use coracle_core::selector::Selector;
use coracle_core::{Event, ObjectKey, World};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodTemplateSpec};

use crate::history::{self, History};
use crate::ownership::{Claims, candidates, claim};
use crate::plan::Plan;
use crate::planner::Planner;
use crate::watches::Watches;
use claims::VolumeClaims;
use manage::Management;

/// The name in logs and events.
const CONTROLLER: &str = "statefulset-controller";

/// Where a set's revisions carry their hash. Source: `history.ControllerRevisionHashLabel`.
const HASH_LABEL: &str = "controller.kubernetes.io/hash";

/// Pods made or deleted by one plan at most. Source: `MaxBatchSize`.
const BATCH_MAX: usize = 500;

/// Manages the pods of StatefulSets.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatefulSets;

/// What there is of one StatefulSet.
#[derive(Debug)]
pub struct Observed {
    /// Its pods, and adoptions and releases to be made.
    pods: Claims<Pod>,
    history: History,
    volumes: VolumeClaims,
}

impl Planner for StatefulSets {
    type Kind = StatefulSet;
    type Observed = Observed;

    fn name(&self) -> &'static str {
        CONTROLLER
    }

    fn watches(&self, on: &mut Watches<StatefulSet>) {
        on.owned::<Pod>().map::<Pod>(adopters).changes::<PersistentVolumeClaim>(waiting);
        history::watch(on);
    }

    fn observe(&self, set: &StatefulSet, world: &World) -> Observed {
        let members = candidates(&set.metadata, world).filter(|pod: &Arc<Pod>| is_member(set, pod));
        let pods = claim(set, &selector(set), members);
        let collisions = set.status.as_ref().and_then(|status| status.collision_count);
        let history = history::observe(set, &selector(set), template(set), collisions, HASH_LABEL, world);
        let outside = pods.kept.iter().filter_map(|pod| identity::ordinal(set, &pod.metadata));
        let volumes = VolumeClaims::observe(set, members::range(set).chain(outside), world);
        Observed { pods, history, volumes }
    }

    fn plan(&self, set: &StatefulSet, observed: Observed, now: Timestamp) -> Plan {
        let Observed { pods, mut history, volumes } = observed;
        let mut plan = Plan::nothing();
        let changes = pods.changes.into_iter().chain(std::mem::take(&mut history.changes));
        if plan.together(changes).is_empty() {
            Management::new(set, pods.kept, history, &volumes, now).finish(&mut plan);
        }
        plan
    }
}

fn selector(set: &StatefulSet) -> Selector {
    let selector = set.spec.as_ref().map(|spec| &spec.selector);
    Selector::from_label_selector(selector).unwrap_or(Selector::nothing())
}

/// What pods are made from at present.
fn template(set: &StatefulSet) -> &PodTemplateSpec {
    static NONE: LazyLock<PodTemplateSpec> = LazyLock::new(PodTemplateSpec::default);
    set.spec.as_ref().map_or(&NONE, |spec| &spec.template)
}

fn is_member(set: &StatefulSet, pod: &Pod) -> bool {
    identity::ordinal(set, &pod.metadata).is_some()
}

/// Who might adopt an orphan.
fn adopters(pod: &Pod, world: &World) -> Vec<ObjectKey> {
    if controller_of(&pod.metadata).is_some() {
        return Vec::new();
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
    let labels = pod.metadata.labels.as_ref();
    let adopts = |set: &Arc<StatefulSet>| is_member(set, pod) && selector(set).matches_optional(labels);
    world.list_in(namespace).filter(adopts).map(|set| ObjectKey::of(&set.metadata)).collect()
}

/// Whose pods wait for the end of this claim, to have one of their own.
fn waiting(event: &Event, world: &World) -> Vec<ObjectKey> {
    if !event.deleted {
        return Vec::new();
    }
    let name = event.object.name();
    let claims = |set: &Arc<StatefulSet>| {
        let own = identity::claim_templates(set).filter_map(|template| template.metadata.name.as_deref());
        let mut rests = own.filter_map(|own| name.strip_prefix(own)?.strip_prefix('-'));
        rests.any(|rest| rest.starts_with(identity::name_of(&set.metadata)))
    };
    let sets = world.list_in::<StatefulSet>(event.object.namespace()).filter(claims);
    sets.map(|set| ObjectKey::of(&set.metadata)).collect()
}
