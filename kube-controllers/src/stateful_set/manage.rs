//! In what order pods come and go. Source: `updateStatefulSet`, `processReplica`, `processCondemned`.
//!
//! Ordered management takes one step at a time and waits until all before it is well: up from the lowest ordinal, down from
//! the highest. Parallel management does everything at once, and leaves waiting to rolling updates.

use std::sync::Arc;

use coracle_core::Request;
use coracle_core::request::Target;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};

use super::claims::VolumeClaims;
use super::identity::{is_labelled, label, name_of, new_pod, pod_name};
use super::members::{self, Place};
use super::{BATCH_MAX, CONTROLLER, template, update};
use crate::history::{History, made_from};
use crate::plan::{Announcement, Plan, Wish};
use crate::pods;

/// One look at one set, and what follows from it.
pub(super) struct Management<'a> {
    pub(super) set: &'a StatefulSet,
    pub(super) now: Timestamp,
    /// The set's pods as they were found.
    pub(super) pods: Vec<Arc<Pod>>,
    pub(super) places: Vec<Place>,
    /// Pods out of range with their ordinals, highest first.
    pub(super) condemned: Vec<(i64, Arc<Pod>)>,
    pub(super) history: History,
    /// The name of the revision that the rollout comes from, and its template if that is not the present one.
    pub(super) current: (String, Option<PodTemplateSpec>),
    volumes: &'a VolumeClaims,
    /// Claims for volumes to be made.
    claiming: Vec<Wish>,
    creating: Vec<Wish>,
    pub(super) deleting: Vec<Arc<Pod>>,
    /// Changes of what there is: labels of pods, owners of claims.
    fixes: Plan,
}

impl<'a> Management<'a> {
    pub(super) fn new(
        set: &'a StatefulSet,
        pods: Vec<Arc<Pod>>,
        history: History,
        volumes: &'a VolumeClaims,
        now: Timestamp,
    ) -> Self {
        let (places, condemned) = members::assign(set, &pods);
        let current = current(set, &history);
        let (claiming, creating, deleting) = Default::default();
        let fixes = Plan::nothing();
        Self { set, now, pods, places, condemned, history, current, volumes, claiming, creating, deleting, fixes }
    }

    /// Decides everything and writes it into the plan.
    pub(super) fn finish(mut self, plan: &mut Plan) {
        if self.set.metadata.deletion_timestamp.is_some() {
            // Its history may be gone already; then nothing can be said about revisions.
            if self.history.present.wish.is_none() {
                self.report(0, plan);
            }
            return;
        }
        plan.together(self.history.present.wish.take());
        let mut making_room = 0;
        if self.fill_places() && self.dismiss() {
            let before = self.deleting.len();
            update::make_room(&mut self);
            let gone = self.deleting.iter().skip(before);
            making_room = gone.filter(|pod| made_from(&pod.metadata) == self.current.0).count();
        }
        self.deleting.truncate(BATCH_MAX);
        self.creating.truncate(BATCH_MAX);
        plan.slow_start(std::mem::take(&mut self.claiming));
        plan.steps.append(&mut self.fixes.steps);
        plan.together(self.deleting.iter().map(|pod| deletion(self.set, pod)));
        plan.slow_start(std::mem::take(&mut self.creating));
        plan.together(self.unused_revisions());
        self.report(making_room, plan);
        plan.look_again(self.next_available());
    }

    /// Sees to every place in range. Says whether the set may go on to what is out of range.
    fn fill_places(&mut self) -> bool {
        let places = std::mem::take(&mut self.places);
        let stopped = places.iter().any(|place| !self.fill(place) && self.is_ordered());
        self.places = places;
        !stopped
    }

    /// Sees to one place. Says whether all is well there.
    fn fill(&mut self, place: &Place) -> bool {
        let Some(pod) = &place.pod else {
            self.create(place);
            return false;
        };
        let leaving = pod.metadata.deletion_timestamp.is_some();
        if pods::is_terminal(pod) {
            if !leaving {
                self.deleting.push(pod.clone());
            }
            return false;
        }
        if pods::phase(pod) == "Pending" {
            self.claiming.extend(self.volumes.missing(self.set, place.ordinal));
        }
        if self.is_ordered() && members::is_unavailable(pod, self.min_ready_seconds(), self.now) {
            if !leaving && update::is_stuck(self, place, pod) {
                self.deleting.push(pod.clone());
            }
            return false;
        }
        if !is_labelled(pod) {
            self.fixes.then(relabelling(self.set, pod, place.ordinal));
        }
        self.volumes.keep(self.set, place.ordinal, Some(pod), true, &mut self.fixes);
        true
    }

    fn create(&mut self, place: &Place) {
        if self.volumes.is_blocked(self.set, place.ordinal, &mut self.fixes) {
            return;
        }
        self.claiming.extend(self.volumes.missing(self.set, place.ordinal));
        self.volumes.keep(self.set, place.ordinal, None, true, &mut self.fixes);
        let (template, revision) = self.recipe(place);
        let pod = new_pod(self.set, template, revision, place.ordinal);
        self.creating.push(creation(self.set, pod));
    }

    /// What a new pod is made from: below the partition still the revision that the rollout comes from.
    fn recipe(&self, place: &Place) -> (&PodTemplateSpec, &str) {
        match &self.current {
            (name, Some(template)) if place.index < update::partition(self.set) => (template, name),
            _ => (template(self.set), &self.history.present.name),
        }
    }

    /// Deletes what is out of range. Says whether the set may go on to what is to be renewed.
    fn dismiss(&mut self) -> bool {
        for (ordinal, pod) in &self.condemned {
            self.volumes.keep(self.set, *ordinal, Some(pod), false, &mut self.fixes);
        }
        let (seconds, now, ordered) = (self.min_ready_seconds(), self.now, self.is_ordered());
        let unavailable = |pod: &Pod| members::is_unavailable(pod, seconds, now);
        let lowest_unavailable = self.condemned.iter().rev().find(|(_, pod)| unavailable(pod)).map(|(at, _)| *at);
        for (ordinal, pod) in &self.condemned {
            let waits = ordered && unavailable(pod) && lowest_unavailable != Some(*ordinal);
            if pod.metadata.deletion_timestamp.is_none() && !waits {
                self.deleting.push(pod.clone());
            }
            if ordered {
                return false;
            }
        }
        true
    }

    pub(super) fn is_ordered(&self) -> bool {
        let policy = self.set.spec.as_ref().and_then(|spec| spec.pod_management_policy.as_deref());
        policy != Some("Parallel")
    }

    pub(super) fn min_ready_seconds(&self) -> i32 {
        self.set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
    }

    /// Revisions that nothing needs, beyond the limit. Default limit: 10. Source: `truncateHistory`.
    fn unused_revisions(&self) -> Vec<Wish> {
        let limit = self.set.spec.as_ref().and_then(|spec| spec.revision_history_limit).unwrap_or(10);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if self.history.revisions.len() <= limit {
            return Vec::new();
        }
        let names: std::collections::HashSet<&str> = self.pods.iter().map(|pod| made_from(&pod.metadata)).collect();
        let in_use = |name: &str| name == self.current.0 || name == self.history.present.name || names.contains(name);
        let revisions = &self.history.revisions;
        let unused = revisions.iter().filter(|revision| !in_use(name_of(&revision.metadata))).count();
        self.history.forget(unused.saturating_sub(limit), |revision| in_use(name_of(&revision.metadata)))
    }
}

/// The revision that the rollout comes from: the one that the status names, if it is still known.
fn current(set: &StatefulSet, history: &History) -> (String, Option<PodTemplateSpec>) {
    let named = set.status.as_ref().and_then(|status| status.current_revision.as_deref());
    let named = named.filter(|name| *name != history.present.name);
    match named.and_then(|name| Some((name, history.template(name)?))) {
        Some((name, template)) => (name.to_owned(), Some(template)),
        None => (history.present.name.clone(), None),
    }
}

fn creation(set: &StatefulSet, pod: Pod) -> Wish {
    let announcement = announcement(set, name_of(&pod.metadata), "create", "SuccessfulCreate", "FailedCreate");
    Wish::from(Request::create(pod)).announced(announcement)
}

fn deletion(set: &StatefulSet, pod: &Pod) -> Wish {
    let announcement = announcement(set, name_of(&pod.metadata), "delete", "SuccessfulDelete", "FailedDelete");
    Wish::from(Request::delete(pod)).announced(announcement)
}

fn relabelling(set: &StatefulSet, pod: &Pod, ordinal: i64) -> Wish {
    let name = pod_name(set, ordinal);
    let announcement = announcement(set, &name, "update", "SuccessfulUpdate", "FailedUpdate");
    let edit = move |pod: &mut Pod| {
        label(pod.metadata.labels.get_or_insert_default(), &name, ordinal);
        Ok(())
    };
    Wish::from(Request::edit(Target::of(pod), edit)).announced(announcement)
}

/// Source: `recordPodEvent`.
fn announcement(set: &StatefulSet, pod: &str, verb: &str, done: &'static str, failed: &'static str) -> Announcement {
    let what = format!("{verb} Pod {pod} in StatefulSet {}", name_of(&set.metadata));
    Announcement::about(CONTROLLER, set)
        .done(done, format!("{what} successful"))
        .failed(failed, format!("{what} failed error: {{}}"))
}
