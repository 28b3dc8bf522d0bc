//! One pod in its node's hands.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use coracle_core::event::reference_to;
use coracle_core::{Object, ObjectKey, ObjectRef, Revision};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Pod, PodStatus};

use crate::environment::references;
use crate::pod::admission::Demand;
use crate::pod::observation::{Cause, Ending, Life, Retry};
use crate::pod::resize::{self, Pending, Resize};
use crate::pod::span::{after, seconds};
use crate::pod::status::{self, Place};
use crate::pod::{ContainerObservation, Member, PodObservation, Tell, members, restart};
use crate::probe::Prober;
use crate::runtime::ContainerId;

/// All that a node keeps of one pod.
pub(super) struct Worker {
    pub(super) uid: Arc<str>,
    /// When this node took the pod in hand; what ran before was found running.
    pub(super) taken_in: Timestamp,
    pub(super) key: ObjectKey,
    pub(super) pod: Arc<Pod>,
    pub(super) revision: Revision,
    pub(super) members: Vec<Member>,
    pub(super) seen: PodObservation,
    pub(super) demand: Demand,
    /// Whether it asks for other resources than it was given.
    pub(super) asks_resize: bool,
    pub(super) probers: Vec<Option<(ContainerId, Prober)>>,
    pub(super) references: Vec<ObjectRef>,
    /// The host's side of each volume, once they are made.
    pub(super) host_paths: BTreeMap<String, PathBuf>,
    /// The status to be written, if it differs from what is there.
    pub(super) unwritten: Option<PodStatus>,
    pub(super) delete_sent: bool,
    /// When to write again what could not be written.
    pub(super) write_again: Option<Timestamp>,
    /// The moment for which a timer is set.
    pub(super) timer: Option<Timestamp>,
    /// The pod was over before this node took it in: what its status says is all there is to know.
    pub(super) frozen: bool,
    regarding: Vec<Option<Arc<ObjectReference>>>,
}

impl Worker {
    pub(super) fn new(object: &Object, pod: Arc<Pod>, now: Timestamp) -> Self {
        let mut members = members(&pod);
        let asks_resize = resize::keep(&mut members, |name| resize::remembered(&pod, name));
        let mut seen = PodObservation::of(members.len());
        let started = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
        seen.started_at = Some(started.map_or(now, |time| time.0));
        Self {
            uid: object.uid().into(),
            taken_in: now,
            key: object.key(),
            revision: object.revision(),
            demand: if asks_resize { Demand::of(&resize::as_given(&pod, &members)) } else { Demand::of(&pod) },
            asks_resize,
            references: references(&pod),
            frozen: status::is_terminal(&pod),
            probers: members.iter().map(|_| None).collect(),
            regarding: vec![None; members.len() + 1],
            members,
            seen,
            pod,
            host_paths: BTreeMap::new(),
            unwritten: None,
            delete_sent: false,
            write_again: None,
            timer: None,
        }
    }

    /// Takes in a newer version of the pod; answers whether there may be something to do about it.
    pub(super) fn update(&mut self, object: &Object, pod: Arc<Pod>, now: Timestamp) -> bool {
        let old = std::mem::replace(&mut self.pod, pod);
        self.revision = object.revision();
        let metadata = (&old.metadata.labels, &old.metadata.annotations);
        let relabelled = metadata != (&self.pod.metadata.labels, &self.pod.metadata.annotations);
        let respecified = old.spec != self.pod.spec;
        if respecified {
            self.respecify();
        }
        if relabelled && self.shows_itself() {
            self.seen.volumes.stale = true;
        }
        self.notice(now);
        let marked = old.metadata.deletion_timestamp != self.pod.metadata.deletion_timestamp
            || old.metadata.deletion_grace_period_seconds != self.pod.metadata.deletion_grace_period_seconds;
        respecified || relabelled || marked || old.status != self.pod.status
    }

    fn respecify(&mut self) {
        let before = std::mem::replace(&mut self.members, members(&self.pod));
        let given = |name: &str| before.iter().find(|member| member.spec.name == name);
        let given = |name: &str| Some(given(name)?.spec.resources.clone().unwrap_or_default());
        self.asks_resize = resize::keep(&mut self.members, given);
        if !self.asks_resize {
            self.seen.resize.pending = None;
        }
        self.seen.containers.resize_with(self.members.len(), ContainerObservation::default);
        self.probers.resize_with(self.members.len(), || None);
        self.regarding = vec![None; self.members.len() + 1];
        self.retry_what_waits();
    }

    /// Gives the pod what it asks for, or notes why not; returns what people are told of it.
    pub(super) fn give(&mut self, verdict: Result<(), Pending>) -> Option<Tell> {
        let generation = self.pod.metadata.generation.unwrap_or_default();
        let asked = members(&self.pod);
        match verdict {
            Ok(()) => {
                self.members = asked;
                self.demand = Demand::of(&self.pod);
                self.asks_resize = false;
                self.seen.resize = Resize { pending: None, under_way: Some(generation) };
                Some(resize::tell("Started", &self.members, generation, None))
            }
            Err(pending) if self.seen.resize.pending.as_ref() == Some(&pending) => None,
            Err(pending) => {
                let tell = resize::tell(pending.reason, &asked, generation, Some(&pending.message));
                self.seen.resize.pending = Some(pending);
                Some(tell)
            }
        }
    }

    /// Something that containers may wait for has changed.
    pub(super) fn retry_what_waits(&mut self) {
        for container in &mut self.seen.containers {
            if let Life::Waiting(waiting) = &mut container.life
                && waiting.retry == Retry::OnChange
            {
                waiting.retry = Retry::Now;
            }
        }
    }

    /// A ConfigMap or Secret that the pod uses has changed.
    pub(super) fn sources_changed(&mut self) {
        self.seen.volumes.stale = self.seen.volumes.ready;
        self.seen.volumes.retry_at = None;
        self.retry_what_waits();
    }

    /// Whether a volume shows labels or annotations.
    fn shows_itself(&self) -> bool {
        let volumes = self.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        volumes.into_iter().any(|volume| volume.downward_api.is_some() || volume.projected.is_some())
    }

    /// Sees in the object that the pod is to end.
    pub(super) fn notice(&mut self, now: Timestamp) {
        let metadata = &self.pod.metadata;
        if metadata.deletion_timestamp.is_some() {
            let grace = metadata.deletion_grace_period_seconds.unwrap_or(0);
            self.end(Cause::Deleted, after(now, seconds(grace)), grace == 0);
        } else if status::is_terminal(&self.pod)
            && self.seen.ending.is_none()
            && self.seen.rejected.is_none()
            && !restart::is_over(&self.pod, &self.members, &self.seen)
        {
            self.end(Cause::Terminal, after(now, self.grace()), false);
        }
    }

    /// The pod ends for a reason; an earlier deadline stays.
    pub(super) fn end(&mut self, cause: Cause, deadline: Timestamp, force: bool) {
        let deadline = self.seen.ending.map_or(deadline, |ending| ending.deadline.min(deadline));
        let cause = match self.seen.ending.map(|ending| ending.cause) {
            Some(Cause::Gone) => Cause::Gone,
            _ => cause,
        };
        self.seen.ending = Some(Ending { cause, deadline, force });
    }

    /// The grace that the pod gives its containers.
    pub(super) fn grace(&self) -> std::time::Duration {
        seconds(self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30))
    }

    /// Whether what the pod has may still change.
    pub(super) fn may_be_resized(&self) -> bool {
        self.asks_resize && self.seen.ending.is_none() && self.takes_room()
    }

    /// Whether the pod still takes of the node.
    pub(super) fn takes_room(&self) -> bool {
        let ended = self.seen.ending.is_some() && self.seen.is_quiet();
        !ended
            && self.seen.rejected.is_none()
            && !self.frozen
            && !restart::is_over(&self.pod, &self.members, &self.seen)
    }

    /// Looks whether the status as things are differs from the one that is there.
    pub(super) fn compare(&mut self, place: &Place, now: Timestamp) -> bool {
        if self.frozen {
            return false;
        }
        let generated = status::generate(&self.pod, &self.members, &self.seen, place, now);
        let mut merged = self.pod.status.clone().unwrap_or_default();
        status::merge(&mut merged, &generated);
        self.unwritten = (self.pod.status.as_ref() != Some(&merged)).then_some(generated);
        self.unwritten.is_some()
    }

    /// The reference that an Event about the pod, or one of its containers, carries.
    pub(super) fn regarding(&mut self, container: Option<usize>) -> Arc<ObjectReference> {
        let place = container.map_or(0, |index| index + 1);
        if let Some(Some(reference)) = self.regarding.get(place) {
            return reference.clone();
        }
        let member = container.and_then(|index| self.members.get(index));
        let field_path = member.map(Member::field_path);
        let reference = Arc::new(ObjectReference { field_path, ..reference_to(&*self.pod) });
        if let Some(slot) = self.regarding.get_mut(place) {
            *slot = Some(reference.clone());
        }
        reference
    }
}
