//! Which pod is next, and what the others wait for.
//!
//! ```text
//!            ┌──────────── gates lifted ── gated
//!            ▼
//!  new ──► active ──pop──► in flight ──done──► (bound)
//!            ▲                 │ wait                     ▲ pop, if nobody is active
//!            │ time            ▼                          │
//!            └── back-off ◄── unschedulable: woken by a change that may help, or after five minutes
//! ```
//!
//! Changes that happen while a pod is in flight are kept and asked about when it comes back, so none is missed. Time is an
//! argument everywhere; [`Queue::next_wakeup`] says when there is something to do without a change.
//! Source: `pkg/scheduler/backend/queue`.

mod log;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use smallvec::SmallVec;

use crate::decision::Scheduler;
use crate::pod::PodInfo;
use crate::snapshot::{Change, Snapshot};
use log::ChangeLog;

/// The first wait after a failure; it doubles with each one. Source: `podInitialBackoffSeconds`.
pub const BACKOFF_MIN: SignedDuration = SignedDuration::from_secs(1);
/// The longest wait after a failure. Source: `podMaxBackoffSeconds`.
pub const BACKOFF_MAX: SignedDuration = SignedDuration::from_secs(10);
/// After so long a pod is tried again whatever happened. Source: `DefaultPodMaxInUnschedulablePodsDuration`.
pub const UNSCHEDULABLE_MAX: SignedDuration = SignedDuration::from_mins(5);

/// The pods of one scheduler that have no node yet.
#[derive(Debug)]
pub struct Queue {
    scheduler: Arc<str>,
    entries: HashMap<Arc<str>, Entry>,
    /// The most important first, then the longest waiting.
    active: BTreeMap<(Reverse<i32>, Timestamp, u64), Arc<str>>,
    /// By the time from which they may be tried again.
    backing_off: BTreeMap<(Timestamp, u64), Arc<str>>,
    /// By the time since when they wait.
    unschedulable: BTreeMap<(Timestamp, u64), Arc<str>>,
    /// Those again, by the address of their shape: pods of one shape wait for the same.
    groups: BTreeMap<usize, Group>,
    log: ChangeLog,
    arrivals: u64,
}

#[derive(Debug)]
struct Entry {
    pod: Arc<PodInfo>,
    place: Place,
    /// Its number among all arrivals, so that equals keep their order.
    arrival: u64,
    /// Since when it is where it is, or was when it was last tried.
    since: Timestamp,
    attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Gated,
    Active,
    /// Until then. Early is fine if nobody else is there, unless the failure was an error.
    BackingOff {
        until: Timestamp,
        error: bool,
    },
    Unschedulable,
    /// Since this position of the log. `changed` if it asks for something else by now.
    InFlight {
        position: u64,
        changed: bool,
    },
}

/// Unschedulable pods of one shape.
#[derive(Debug)]
struct Group {
    members: BTreeSet<Arc<str>>,
    rejected_by: SmallVec<[&'static str; 4]>,
}

/// How many pods are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Ready to be tried.
    pub active: usize,
    /// Waiting for their back-off to end.
    pub backing_off: usize,
    /// Waiting for a change that may help.
    pub unschedulable: usize,
    /// Held back by scheduling gates.
    pub gated: usize,
    /// Being decided about or bound.
    pub in_flight: usize,
}

impl Queue {
    /// The queue of the scheduler that pods name `scheduler`.
    #[must_use]
    pub fn new(scheduler: &str) -> Self {
        Self {
            scheduler: scheduler.into(),
            entries: HashMap::new(),
            active: BTreeMap::new(),
            backing_off: BTreeMap::new(),
            unschedulable: BTreeMap::new(),
            groups: BTreeMap::new(),
            log: ChangeLog::default(),
            arrivals: 0,
        }
    }

    /// Takes in a change of the cluster: pods come and go, and some that wait are woken.
    pub fn apply(&mut self, change: &Change, scheduler: &dyn Scheduler, cluster: &Snapshot, now: Timestamp) {
        match change {
            Change::Nothing => {}
            Change::Waiting(pod) => self.add(pod.clone(), now),
            Change::Gone(id) => self.remove(id),
            Change::Bound(pod, _) => {
                self.remove(&pod.id().clone());
                self.wake(change, scheduler, cluster, now);
            }
            _ => self.wake(change, scheduler, cluster, now),
        }
    }

    /// A pod came, or has a new version. Versions that ask the same change nothing; a pod that asks for something else is tried
    /// anew. Pods of other schedulers are left alone.
    pub fn add(&mut self, pod: Arc<PodInfo>, now: Timestamp) {
        if pod.scheduler_name() != &*self.scheduler || pod.is_terminating() {
            return;
        }
        let id = pod.id().clone();
        let Some(entry) = self.entries.get_mut(&id) else {
            self.arrivals += 1;
            let place = if pod.is_gated() { Place::Gated } else { Place::Active };
            let entry = Entry { pod, place: Place::Gated, arrival: self.arrivals, since: now, attempts: 0 };
            self.entries.insert(id.clone(), entry);
            return self.put(&id, place);
        };
        let same = entry.pod.asks_the_same(&pod);
        if let Place::InFlight { changed, .. } = &mut entry.place {
            *changed |= !same;
            entry.pod = pod;
            return;
        }
        if same {
            entry.pod = pod;
            return;
        }
        self.take(&id);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.pod = pod;
        let place = match entry.place {
            _ if entry.pod.is_gated() => Place::Gated,
            Place::Unschedulable => after_backoff(entry, now),
            Place::Gated => Place::Active,
            place => place,
        };
        self.put(&id, place);
    }

    /// A pod is deleted, bound by someone, or over.
    pub fn remove(&mut self, id: &Arc<str>) {
        self.take(id);
        self.entries.remove(id);
    }

    /// The next pod to be decided about. It is in flight until [`Queue::done`], [`Queue::wait`] or [`Queue::retry`].
    pub fn pop(&mut self, now: Timestamp) -> Option<Arc<PodInfo>> {
        self.flush(now);
        let id = match self.active.first_key_value() {
            Some((_, id)) => id.clone(),
            None => self.early()?,
        };
        self.take(&id);
        let position = self.log.enter();
        let entry = self.entries.get_mut(&id)?;
        entry.attempts += 1;
        entry.place = Place::InFlight { position, changed: false };
        Some(entry.pod.clone())
    }

    /// A pod in flight has its node: it is bound.
    pub fn done(&mut self, pod: &PodInfo) {
        self.remove(&pod.id().clone());
    }

    /// A pod in flight fits nowhere, because of these plugins. If one of the changes meanwhile may have helped, it is tried again
    /// after its back-off, else when one does.
    pub fn wait(
        &mut self,
        pod: &PodInfo,
        rejected_by: &[&'static str],
        scheduler: &dyn Scheduler,
        cluster: &Snapshot,
        now: Timestamp,
    ) {
        let Some((position, changed)) = self.land(pod.id(), now) else { return };
        let helps = |change: &Change| scheduler.may_help(change, pod, rejected_by, cluster);
        let woken = changed || self.log.any_since(position, helps);
        self.log.leave(position);
        let Some(entry) = self.entries.get(pod.id()) else { return };
        let place = if woken { after_backoff(entry, now) } else { Place::Unschedulable };
        self.put(pod.id(), place);
        if place == Place::Unschedulable {
            self.group(pod, rejected_by);
        }
    }

    /// A pod in flight could not be bound, or its scheduler failed: it is tried again after its back-off.
    pub fn retry(&mut self, pod: &PodInfo, now: Timestamp) {
        let Some((position, _)) = self.land(pod.id(), now) else { return };
        self.log.leave(position);
        let Some(entry) = self.entries.get(pod.id()) else { return };
        let until = now.saturating_add(backoff(entry.attempts)).unwrap_or(now);
        self.put(pod.id(), Place::BackingOff { until, error: true });
    }

    /// When [`Queue::pop`] may have a pod although nothing changes; the past if it has one now. `None`: not before a change.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Timestamp> {
        if !self.active.is_empty() {
            return Some(Timestamp::MIN);
        }
        let backed_off = self.backing_off.keys().next().map(|(until, _)| *until);
        let given_up =
            self.unschedulable.keys().next().and_then(|(since, _)| since.checked_add(UNSCHEDULABLE_MAX).ok());
        let early = self.early().map(|_| Timestamp::MIN);
        [backed_off, given_up, early].into_iter().flatten().min()
    }

    /// How many pods are where.
    #[must_use]
    pub fn depth(&self) -> Depth {
        let (active, backing_off, unschedulable) =
            (self.active.len(), self.backing_off.len(), self.unschedulable.len());
        let in_flight = self.log.readers();
        let gated = self.entries.len().saturating_sub(active + backing_off + unschedulable + in_flight);
        Depth { active, backing_off, unschedulable, gated, in_flight }
    }

    /// The pod of an id, wherever it is.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<PodInfo>> {
        self.entries.get(id).map(|entry| &entry.pod)
    }

    /// Wakes the unschedulable pods that a change may help, shape by shape.
    fn wake(&mut self, change: &Change, scheduler: &dyn Scheduler, cluster: &Snapshot, now: Timestamp) {
        self.log.append(change);
        let entries = &self.entries;
        let helped = self.groups.iter().filter(|(_, group)| {
            let sample = group.members.first().and_then(|id| entries.get(id));
            sample.is_some_and(|sample| scheduler.may_help(change, &sample.pod, &group.rejected_by, cluster))
        });
        let helped: Vec<_> = helped.flat_map(|(_, group)| group.members.iter().cloned()).collect();
        for id in helped {
            self.take(&id);
            if let Some(place) = self.entries.get(&id).map(|entry| after_backoff(entry, now)) {
                self.put(&id, place);
            }
        }
    }

    /// Moves on those whose time has come.
    fn flush(&mut self, now: Timestamp) {
        while let Some(((until, _), id)) = self.backing_off.first_key_value() {
            if *until > now {
                break;
            }
            let id = id.clone();
            self.take(&id);
            self.put(&id, Place::Active);
        }
        while let Some(((since, _), id)) = self.unschedulable.first_key_value() {
            if since.checked_add(UNSCHEDULABLE_MAX).is_ok_and(|until| until > now) {
                break;
            }
            let id = id.clone();
            self.take(&id);
            self.put(&id, Place::Active);
        }
    }

    /// Someone whose back-off is not over, but nobody is before them.
    fn early(&self) -> Option<Arc<str>> {
        let patient = |id: &&Arc<str>| {
            let place = self.entries.get(&***id).map(|entry| entry.place);
            matches!(place, Some(Place::BackingOff { error: false, .. }))
        };
        self.backing_off.values().find(patient).cloned()
    }

    /// Ends a flight; returns where the log stood at its start, and whether the pod asks for something else by now.
    fn land(&mut self, id: &Arc<str>, now: Timestamp) -> Option<(u64, bool)> {
        let entry = self.entries.get_mut(id)?;
        let Place::InFlight { position, changed } = entry.place else { return None };
        entry.since = now;
        Some((position, changed))
    }

    fn group(&mut self, pod: &PodInfo, rejected_by: &[&'static str]) {
        let group = self.groups.entry(group_of(pod));
        let group = group.or_insert_with(|| Group { members: BTreeSet::new(), rejected_by: SmallVec::new() });
        group.members.insert(pod.id().clone());
        for plugin in rejected_by {
            if !group.rejected_by.contains(plugin) {
                group.rejected_by.push(plugin);
            }
        }
    }

    /// Takes a pod out of the list it is in; its entry stays.
    fn take(&mut self, id: &Arc<str>) {
        let Some(entry) = self.entries.get(id) else { return };
        match entry.place {
            Place::Gated => {}
            Place::InFlight { position, .. } => self.log.leave(position),
            Place::Active => {
                self.active.remove(&(Reverse(entry.pod.priority()), entry.since, entry.arrival));
            }
            Place::BackingOff { until, .. } => {
                self.backing_off.remove(&(until, entry.arrival));
            }
            Place::Unschedulable => {
                self.unschedulable.remove(&(entry.since, entry.arrival));
                let key = group_of(&entry.pod);
                if let Some(group) = self.groups.get_mut(&key) {
                    group.members.remove(id);
                    if group.members.is_empty() {
                        self.groups.remove(&key);
                    }
                }
            }
        }
    }

    /// Puts a pod that is in no list into one.
    fn put(&mut self, id: &Arc<str>, place: Place) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.place = if place == Place::Active && entry.pod.is_gated() { Place::Gated } else { place };
        match entry.place {
            Place::Active => {
                self.active.insert((Reverse(entry.pod.priority()), entry.since, entry.arrival), id.clone());
            }
            Place::BackingOff { until, .. } => {
                self.backing_off.insert((until, entry.arrival), id.clone());
            }
            Place::Unschedulable => {
                self.unschedulable.insert((entry.since, entry.arrival), id.clone());
            }
            Place::Gated | Place::InFlight { .. } => {}
        }
    }
}

/// The shape's address. The pod's own handle keeps it from being given to another shape.
fn group_of(pod: &PodInfo) -> usize {
    Arc::as_ptr(&pod.shape).addr()
}

/// Active, or backing off if the last failure is too fresh.
fn after_backoff(entry: &Entry, now: Timestamp) -> Place {
    let until = entry.since.saturating_add(backoff(entry.attempts)).unwrap_or(now);
    if until <= now { Place::Active } else { Place::BackingOff { until, error: false } }
}

/// How long to wait after so many attempts.
fn backoff(attempts: u32) -> SignedDuration {
    if attempts == 0 {
        return SignedDuration::ZERO;
    }
    let doubled = BACKOFF_MIN.checked_mul(1 << (attempts - 1).min(8));
    doubled.unwrap_or(BACKOFF_MAX).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests;
