//! Deployments: never above surge, never below what must be available, no overlap under `Recreate`, and every rollout ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coracle_controllers::pods;
use coracle_core::World;
use coracle_core::object::controller_of;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;

use super::{is_disrupted, newly_ending, portion, require};
use crate::simulation::{Invariant, Step};

/// Watches over rollouts.
#[derive(Debug, Default)]
pub struct Deployments {
    /// What each Deployment asked for since when, by uid.
    asked: BTreeMap<String, Vec<(Timestamp, Limits)>>,
    /// When last a pod of a Deployment was lost by nobody's will, or recovered, or fewer were asked for, by the Deployment's uid.
    lost: BTreeMap<String, Timestamp>,
    /// Pods that were lost and are there still, by uid.
    unwell: BTreeSet<String>,
    /// When a ReplicaSet was last made smaller, and how many pods its Deployment had available then, by uid.
    shrunk: BTreeMap<String, (Timestamp, i32)>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    total_max: i32,
    available_min: i32,
    recreate: bool,
    paused: bool,
}

impl Limits {
    fn of(deployment: &Deployment) -> Self {
        let spec = deployment.spec.clone().unwrap_or_default();
        let replicas = spec.replicas.unwrap_or(1);
        let strategy = spec.strategy.unwrap_or_default();
        let rolling = strategy.rolling_update.unwrap_or_default();
        let surge = portion(rolling.max_surge.as_ref(), "25%", replicas, true);
        let unavailable = portion(rolling.max_unavailable.as_ref(), "25%", replicas, false);
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        let recreate = strategy.type_.as_deref() == Some("Recreate");
        let paused = spec.paused == Some(true);
        Self { total_max: replicas + surge, available_min: replicas - unavailable, recreate, paused }
    }
}

impl Invariant for Deployments {
    fn after(&mut self, step: &Step<'_>) -> Result<(), String> {
        if let Some(deployment) = step.object::<Deployment>() {
            let uid = deployment.metadata.uid.clone().unwrap_or_default();
            let size = |deployment: &Deployment| deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
            if step.previous::<Deployment>().is_some_and(|before| size(deployment) < size(before)) {
                // In mid-rollout each ReplicaSet gives up its share, whether its pods are available or not. Source: `sync.go` `scale`.
                self.lost.insert(uid.clone(), step.now);
            }
            self.asked.entry(uid).or_default().push((step.now, Limits::of(deployment)));
        }
        if let Some(replica_set) = step.object::<ReplicaSet>() {
            self.resized(replica_set, step)?;
        }
        if step.event.object.get::<Pod>().is_some() {
            self.pod(step)?;
        }
        Ok(())
    }

    fn at_end(&self, world: &World) -> Result<(), String> {
        world.list::<Deployment>().try_for_each(|deployment| complete(&deployment, world))
    }
}

impl Deployments {
    /// What a Deployment may go by: what it asks, and what it asked when news of that may still be on their way.
    fn limits(&mut self, uid: &str, step: &Step<'_>) -> Vec<Limits> {
        let Some(asked) = self.asked.get_mut(uid) else { return Vec::new() };
        // Each wish holds until the next one: the last that is old enough still counts.
        while let [_, (since, _), ..] = asked.as_slice()
            && !step.lately(Some(*since))
        {
            asked.remove(0);
        }
        asked.iter().map(|(_, limits)| *limits).collect()
    }

    fn resized(&mut self, replica_set: &ReplicaSet, step: &Step<'_>) -> Result<(), String> {
        let size = |replica_set: &ReplicaSet| replica_set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let (before, now) = (step.previous::<ReplicaSet>().map_or(0, size), size(replica_set));
        let Some(owner) = controller_of(&replica_set.metadata) else { return Ok(()) };
        if now < before {
            self.shrink(replica_set, &owner.uid, step);
        }
        let limits = self.limits(&owner.uid, step);
        if now <= before || limits.is_empty() || limits.iter().any(|limits| limits.recreate) {
            return Ok(());
        }
        let total: i32 = step.world.owned_by::<ReplicaSet>(&owner.uid).map(|one| size(&one)).sum();
        let most = limits.iter().map(|limits| limits.total_max).max().unwrap_or(0);
        require(total <= most, || format!("Deployment {} asks for {total} pods, at most {most} may be", owner.name))
    }

    /// Notes what a Deployment could go by when it gave up pods. Its ReplicaSet may delete them later, for two decisions at once.
    fn shrink(&mut self, replica_set: &ReplicaSet, deployment: &str, step: &Step<'_>) {
        let Some(deployment) = step.world.by_uid(deployment).and_then(|owner| owner.shared::<Deployment>()) else {
            return;
        };
        let available = count(pods_of(&deployment, step.world).filter(|pod| is_available(&deployment, pod, step.now)));
        let uid = replica_set.metadata.uid.clone().unwrap_or_default();
        let before = self.shrunk.get(&uid).filter(|(at, _)| step.lately(Some(*at)));
        let available = before.map_or(available, |(_, least)| available.min(*least));
        self.shrunk.insert(uid, (step.now, available));
    }

    fn pod(&mut self, step: &Step<'_>) -> Result<(), String> {
        let Some(place) = Place::of(step) else { return Ok(()) };
        let uid = place.deployment.metadata.uid.clone().unwrap_or_default();
        let available = |pod: &Pod| is_available(&place.deployment, pod, step.now);
        let was_available = step.previous::<Pod>().is_some_and(available);
        let is_available = step.object::<Pod>().is_some_and(available);
        let limits = self.limits(&uid, step);
        // The promise is about an update: a Deployment that is paused after the old pods were asked to go, and before there is a new
        // ReplicaSet, gets pods of its newest old one at once. Source: `sync.go` `scale`, `FindActiveOrLatest`.
        let recreate = limits.iter().all(|limits| limits.recreate && !limits.paused);
        if step.event.previous.is_none() && recreate {
            return place.alone(step);
        }
        let pod = step.event.object.uid();
        if step.object::<Pod>().is_some_and(pods::is_ready) && self.unwell.remove(pod) {
            self.lost.insert(uid.clone(), step.now);
        }
        let by_controller = newly_ending(step).is_some_and(|pod| !is_disrupted(pod));
        // Who does not know yet that it is not ready any more may take it as available a moment later.
        let counts = |pod: &Pod| pods::is_active(pod) && pods::is_ready(pod);
        let counted = step.previous::<Pod>().is_some_and(counts) && !step.object::<Pod>().is_some_and(counts);
        if counted && !was_available && !by_controller {
            self.lost.insert(uid.clone(), step.now);
        }
        if !was_available || is_available {
            return Ok(());
        }
        if !by_controller || place.deployment.metadata.deletion_timestamp.is_some() {
            self.lost.insert(uid, step.now);
            self.unwell.insert(pod.to_owned());
            return Ok(());
        }
        let replica_set = place.replica_set.metadata.uid.as_deref().unwrap_or("");
        let (decided, available_then) = self.shrunk.get(replica_set).copied().unwrap_or((step.now, i32::MAX));
        let excused = self
            .lost
            .get(&uid)
            .is_some_and(|lost| *lost >= decided || decided.duration_since(*lost).unsigned_abs() <= step.known_after);
        if excused || limits.iter().any(|limits| limits.recreate) {
            return Ok(());
        }
        // One that has fewer available than it must gives up others only.
        let least = limits.iter().map(|limits| limits.available_min).min().unwrap_or(0).min(available_then);
        // The Deployment gives up pods that are not available yet (`cleanupUnhealthyReplicas`). Their ReplicaSet, which knows of
        // no availability, chooses by readiness, by node, and by the logarithm of how long a pod has been ready
        // (`ActivePodsWithRanks`), and may keep one of those and give up another.
        let confused = |pod: &Pod| {
            let own = controller_of(&pod.metadata).is_some_and(|owner| owner.uid == replica_set);
            own && pods::is_active(pod) && pods::is_ready(pod)
        };
        let left = count(pods_of(&place.deployment, step.world).filter(|pod| available(pod) || confused(pod)));
        require(left >= least, || {
            let pod = step.event.object.key();
            format!("with {pod} gone, Deployment {} has {left} pods available, at least {least} must be", place.name())
        })
    }
}

/// Where a pod belongs.
struct Place {
    replica_set: Arc<ReplicaSet>,
    deployment: Arc<Deployment>,
}

impl Place {
    fn of(step: &Step<'_>) -> Option<Self> {
        let replica_set = step.before.by_uid(&step.event.object.controller()?.uid)?.shared::<ReplicaSet>()?;
        let deployment = step.before.by_uid(&controller_of(&replica_set.metadata)?.uid)?.shared()?;
        Some(Self { replica_set, deployment })
    }

    fn name(&self) -> &str {
        self.deployment.metadata.name.as_deref().unwrap_or("")
    }

    /// Under `Recreate`, a pod comes only when every pod of another template has ended.
    fn alone(&self, step: &Step<'_>) -> Result<(), String> {
        let own = self.replica_set.metadata.uid.as_deref().unwrap_or("");
        let other = |pod: &Arc<Pod>| {
            controller_of(&pod.metadata).is_some_and(|owner| owner.uid != own) && !pods::is_terminal(pod)
        };
        let others = pods_of(&self.deployment, step.world).filter(other).count();
        require(others == 0, || {
            format!("{} of Deployment {} comes while {others} old ones are there", step.event.object.key(), self.name())
        })
    }
}

fn pods_of<'a>(deployment: &'a Deployment, world: &'a World) -> impl Iterator<Item = Arc<Pod>> + 'a {
    let sets = world.owned_by::<ReplicaSet>(deployment.metadata.uid.as_deref().unwrap_or(""));
    sets.flat_map(|set| world.owned_by::<Pod>(set.metadata.uid.as_deref().unwrap_or("")).collect::<Vec<_>>())
}

fn is_available(deployment: &Deployment, pod: &Pod, now: Timestamp) -> bool {
    let seconds = deployment.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    pods::is_active(pod) && pods::is_available(pod, seconds, now)
}

fn count<T>(all: impl Iterator<Item = T>) -> i32 {
    i32::try_from(all.count()).unwrap_or(i32::MAX)
}

/// Whether a Deployment is as it asks to be.
fn complete(deployment: &Deployment, world: &World) -> Result<(), String> {
    let name = deployment.metadata.name.as_deref().unwrap_or("");
    let spec = deployment.spec.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let replicas = spec.replicas.unwrap_or(1);
    let count = |count: Option<i32>| count.unwrap_or(0);
    let counts =
        [status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas].map(count);
    require(status.observed_generation == deployment.metadata.generation && counts == [replicas; 4], || {
        format!("Deployment {name} wants {replicas}, has {counts:?} (all, updated, ready, available)")
    })?;
    let uid = deployment.metadata.uid.as_deref().unwrap_or("");
    let sets: Vec<_> = world.owned_by::<ReplicaSet>(uid).collect();
    let kept = usize::try_from(spec.revision_history_limit.unwrap_or(10)).unwrap_or(0);
    require(sets.len() <= kept + 1, || format!("Deployment {name} keeps {} ReplicaSets", sets.len()))
}
