//! What must always hold, and the witness who looks at every revision.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use coracle_core::{Clock, Event, Feed, GroupResource, Revision, Subscription, World};
use coracle_store::{Faulty, Memory};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use tokio::time::Instant;

use super::replica::advance;

/// Changes that a failure shows.
const TOLD_MAX: usize = 60;

/// One change, as an [`Invariant`] sees it.
#[derive(Debug)]
pub struct Step<'a> {
    /// The change.
    pub event: &'a Event,
    /// The cluster right before it.
    pub before: &'a World,
    /// The cluster right after it.
    pub world: &'a World,
    /// What time it is in the cluster.
    pub now: Timestamp,
    /// When last a commit happened whose writer was told that it failed. A writer may then do the same once more.
    pub answer_lost: Option<Timestamp>,
    /// How long news may take to reach a controller and to be acted on, by the trouble there is: what happened since may not be known
    /// to those who act.
    pub known_after: Duration,
}

impl Step<'_> {
    /// The object as it is now, if it is a `K` and there.
    #[must_use]
    pub fn object<K: 'static>(&self) -> Option<&K> {
        self.event.object.get().filter(|_| !self.event.deleted)
    }

    /// The object as it was, if it was a `K` and there.
    #[must_use]
    pub fn previous<K: 'static>(&self) -> Option<&K> {
        self.event.previous.as_ref()?.get()
    }

    /// Whether something happened so short a time ago that it may not be known to everybody.
    #[must_use]
    pub fn lately(&self, at: Option<Timestamp>) -> bool {
        at.is_some_and(|at| {
            Duration::try_from(self.now.duration_since(at)).is_ok_and(|since| since <= self.known_after)
        })
    }
}

/// Something that must hold at every revision, and something that must hold when all is over.
pub trait Invariant: Send {
    /// Looks at one change.
    ///
    /// # Errors
    /// What is wrong.
    fn after(&mut self, step: &Step<'_>) -> Result<(), String> {
        let _ = step;
        Ok(())
    }

    /// Looks at the cluster when trouble is over and everybody had time to settle. Asked again for a while until it holds.
    ///
    /// # Errors
    /// What is not yet as it should be.
    fn at_end(&self, world: &World) -> Result<(), String> {
        let _ = world;
        Ok(())
    }
}

/// Reads every change in order and asks every invariant about it.
pub(super) struct Witness {
    source: Arc<Feed>,
    clock: Arc<dyn Clock>,
    store: Arc<Faulty<Memory>>,
    world: World,
    changes: Subscription,
    invariants: Vec<Box<dyn Invariant>>,
    hash: DefaultHasher,
    writes: u64,
    told: VecDeque<String>,
    lost: (u64, Option<Timestamp>),
    known_after: Duration,
    /// When something was written last.
    pub(super) heard: Instant,
    /// When something was written last that was no heartbeat.
    pub(super) stirred: Instant,
}

impl Witness {
    pub(super) fn new(
        source: &Arc<Feed>,
        clock: &Arc<dyn Clock>,
        store: &Arc<Faulty<Memory>>,
        invariants: Vec<Box<dyn Invariant>>,
        known_after: Duration,
    ) -> Self {
        let (world, changes) = source.follow(None);
        Self {
            source: source.clone(),
            clock: clock.clone(),
            store: store.clone(),
            world: World::clone(&world),
            changes,
            invariants,
            hash: DefaultHasher::new(),
            writes: 0,
            told: VecDeque::new(),
            lost: (0, None),
            known_after,
            heard: Instant::now(),
            stirred: Instant::now(),
        }
    }

    /// Looks until something is wrong; says what.
    pub(super) async fn look(&mut self) -> String {
        loop {
            let Ok(events) = self.changes.next(usize::MAX).await else {
                return "the witness fell behind: too much is written at once".to_owned();
            };
            for event in events {
                if let Err(wrong) = self.take(&event) {
                    return wrong;
                }
            }
        }
    }

    fn take(&mut self, event: &Arc<Event>) -> Result<(), String> {
        let now = self.clock.now();
        let failed = self.store.counts().failed_after;
        if failed > self.lost.0 {
            self.lost = (failed, Some(now));
        }
        self.note(event, now);
        let before = self.world.clone();
        advance(&mut self.world, event, &self.source);
        let (answer_lost, known_after) = (self.lost.1, self.known_after);
        let step = Step { event, before: &before, world: &self.world, now, answer_lost, known_after };
        self.invariants.iter_mut().try_for_each(|invariant| invariant.after(&step))
    }

    fn note(&mut self, event: &Event, now: Timestamp) {
        let object = &event.object;
        let collection = &object.kind().storage;
        (event.revision, object.key(), event.deleted, &object.stored()[..]).hash(&mut self.hash);
        self.writes += 1;
        self.heard = Instant::now();
        if *collection == GroupResource::of::<Lease>() {
            return;
        }
        if *collection != GroupResource::of::<Node>() {
            self.stirred = Instant::now();
        }
        let what = match (event.deleted, &event.previous) {
            (true, _) => "-",
            (false, None) => "+",
            (false, Some(_)) => " ",
        };
        let line = format!("{now:.3} {} {what} {}", event.revision, object.reference());
        tracing::debug!(line, object = %String::from_utf8_lossy(object.stored()), "change");
        self.told.push_back(line);
        if self.told.len() > TOLD_MAX {
            self.told.pop_front();
        }
    }

    /// What is not yet as it should be in the end.
    pub(super) fn unsettled(&self) -> Option<String> {
        self.invariants.iter().find_map(|invariant| invariant.at_end(&self.world).err())
    }

    pub(super) fn history(&self) -> (u64, u64) {
        (self.hash.finish(), self.writes)
    }

    pub(super) fn revision(&self) -> Revision {
        self.world.revision()
    }

    pub(super) fn last_changes(&mut self) -> Vec<String> {
        self.told.drain(..).collect()
    }
}
