//! StatefulSets: ordinals come in order, within bounds, and go one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_controllers::pods;
use coracle_core::World;
use coracle_core::object::controller_of;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;

use super::{is_disrupted, newly_ending, portion, require};
use crate::simulation::{Invariant, Step};

/// Watches over ordinals.
#[derive(Debug, Default)]
pub struct StatefulSets {
    /// When last something happened to a set that its controller may not know of yet: a loss, or another wish; by uid.
    stirred: BTreeMap<String, Timestamp>,
}

impl Invariant for StatefulSets {
    fn after(&mut self, step: &Step<'_>) -> Result<(), String> {
        if let Some(set) = step.object::<StatefulSet>() {
            let before = step.previous::<StatefulSet>();
            if before.and_then(|before| before.metadata.generation) != set.metadata.generation {
                self.stirred.insert(set.metadata.uid.clone().unwrap_or_default(), step.now);
            }
            return Ok(());
        }
        let owner = step.event.object.controller().and_then(|owner| step.before.by_uid(&owner.uid));
        match owner.and_then(|owner| owner.shared::<StatefulSet>()) {
            Some(set) if step.event.object.get::<Pod>().is_some() => self.pod(&set, step),
            _ => Ok(()),
        }
    }

    fn at_end(&self, world: &World) -> Result<(), String> {
        world.list::<StatefulSet>().try_for_each(|set| complete(&set, world))
    }
}

impl StatefulSets {
    fn pod(&mut self, set: &StatefulSet, step: &Step<'_>) -> Result<(), String> {
        let uid = set.metadata.uid.clone().unwrap_or_default();
        let view = View { set, world: step.world, now: step.now };
        let known = !step.lately(self.stirred.get(&uid).copied());
        let Some(pod) = step.object::<Pod>().or_else(|| step.previous()) else { return Ok(()) };
        let Some(ordinal) = ordinal_of(pod) else { return Ok(()) };
        if step.event.previous.is_none() {
            let (first, end) = view.bounds();
            require(!known || (first..end).contains(&ordinal), || {
                format!("{} comes, ordinals are {first}..{end}", step.event.object.key())
            })?;
            let waiting = (first..ordinal).find(|lower| view.ordered() && !view.is_available(*lower));
            return require(!known || waiting.is_none(), || {
                format!("{} comes before ordinal {waiting:?} is available", step.event.object.key())
            });
        }
        let lost = |had: &dyn Fn(&Pod) -> bool| {
            step.previous::<Pod>().is_some_and(had) && !step.object::<Pod>().is_some_and(had)
        };
        let unavailable = lost(&|pod| view.available(pod));
        // Who does not know yet that it is not ready any more may take it as available a moment later.
        let unready = lost(&|pod| pods::is_active(pod) && pods::is_ready(pod));
        if (unavailable || unready) && newly_ending(step).is_none_or(is_disrupted) {
            self.stirred.insert(uid, step.now);
            return Ok(());
        }
        if unavailable { view.gone(ordinal, known, step) } else { Ok(()) }
    }
}

/// A StatefulSet with its pods.
struct View<'a> {
    set: &'a StatefulSet,
    world: &'a World,
    now: Timestamp,
}

impl View<'_> {
    fn bounds(&self) -> (i32, i32) {
        let Some(spec) = &self.set.spec else { return (0, 0) };
        let first = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0);
        (first, first + spec.replicas.unwrap_or(1))
    }

    fn ordered(&self) -> bool {
        self.set.spec.as_ref().is_none_or(|spec| spec.pod_management_policy.as_deref() != Some("Parallel"))
    }

    fn pods(&self) -> impl Iterator<Item = Arc<Pod>> {
        self.world.owned_by(self.set.metadata.uid.as_deref().unwrap_or(""))
    }

    fn available(&self, pod: &Pod) -> bool {
        let seconds = self.set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
        pods::is_active(pod) && pods::is_available(pod, seconds, self.now)
    }

    fn is_available(&self, ordinal: i32) -> bool {
        self.pods().any(|pod| ordinal_of(&pod) == Some(ordinal) && self.available(&pod))
    }

    /// A pod was taken down: for an update within bounds only few at once, and beyond them one by one from the top.
    fn gone(&self, ordinal: i32, known: bool, step: &Step<'_>) -> Result<(), String> {
        let (first, end) = self.bounds();
        let within = (first..end).contains(&ordinal);
        if !known || !self.ordered() && !within {
            return Ok(());
        }
        // An update goes from the top, in parallel sets too; only there others may come up below meanwhile.
        let lowest = if self.ordered() { first } else { ordinal };
        let missing = (lowest..end).filter(|ordinal| !self.is_available(*ordinal)).count();
        let missing = i32::try_from(missing).unwrap_or(i32::MAX);
        let rolling = self.set.spec.as_ref().and_then(|spec| spec.update_strategy.clone()?.rolling_update);
        let most = portion(rolling.unwrap_or_default().max_unavailable.as_ref(), "0%", end - first, true).max(1);
        let most = if within { most } else { 0 };
        require(missing <= most, || {
            format!("{} is taken down: {missing} are unavailable, {most} may be", step.event.object.key())
        })
    }
}

fn ordinal_of(pod: &Pod) -> Option<i32> {
    pod.metadata.name.as_deref()?.rsplit_once('-')?.1.parse().ok()
}

/// Whether a StatefulSet is as it asks to be.
fn complete(set: &StatefulSet, world: &World) -> Result<(), String> {
    let name = set.metadata.name.as_deref().unwrap_or("");
    let view = View { set, world, now: Timestamp::MAX };
    let (first, end) = view.bounds();
    let mut ordinals: Vec<_> = view.pods().filter_map(|pod| ordinal_of(&pod)).collect();
    ordinals.sort_unstable();
    require(ordinals == (first..end).collect::<Vec<_>>(), || format!("StatefulSet {name} has ordinals {ordinals:?}"))?;
    let status = set.status.clone().unwrap_or_default();
    let counts = [Some(status.replicas), status.ready_replicas, status.available_replicas].map(|it| it.unwrap_or(0));
    require(status.observed_generation == set.metadata.generation && counts == [end - first; 3], || {
        format!("StatefulSet {name} wants {}, has {counts:?} (all, ready, available)", end - first)
    })?;
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.clone()).unwrap_or_default();
    let partition = strategy.rolling_update.and_then(|rolling| rolling.partition).unwrap_or(0).max(first);
    if strategy.type_.as_deref() == Some("OnDelete") {
        return Ok(());
    }
    let hash =
        |pod: &Pod| controller_of(&pod.metadata).and(pod.metadata.labels.clone()?.remove("controller-revision-hash"));
    let old =
        view.pods().filter(|pod| ordinal_of(pod) >= Some(partition) && hash(pod) != status.update_revision).count();
    require(old == 0, || format!("StatefulSet {name} has {old} pods of an old revision"))
}
