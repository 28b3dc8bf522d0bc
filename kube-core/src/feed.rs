//! The running copy of the world, and how everyone hears what changed: one bounded journal per collection, many cursors.
//!
//! A reader is a cursor and a waker, never a queue: ten thousand watchers of one collection share the same events, a slow
//! one costs nothing, and one that falls a whole journal behind is told so ([`Lagged`]) and starts again from the world.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use arc_swap::ArcSwap;

use crate::Revision;
use crate::kind::GroupResource;
use crate::object::Object;
use crate::world::World;

/// Events that each journal keeps. A reader that falls further behind is [`Lagged`].
pub const JOURNAL_EVENTS_MAX: usize = 16_384;

/// One change as a reader sees it.
#[derive(Clone, Debug)]
pub struct Event {
    /// The revision of the change.
    pub revision: Revision,
    /// The version that is there now; for a deletion the last one, at the revision of the deletion.
    pub object: Arc<Object>,
    /// The version that was there before.
    pub previous: Option<Arc<Object>>,
    /// Whether the object is gone.
    pub deleted: bool,
}

/// The reader fell behind, or asked for history that is not kept: read the world again and go on from its revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("changes after revision {asked} are no longer kept, the oldest kept follow {oldest}")]
pub struct Lagged {
    /// The revision after which changes were asked.
    pub asked: Revision,
    /// The revision after which changes are kept.
    pub oldest: Revision,
}

/// The running copy of the world. One writer publishes, everyone reads.
#[derive(Debug)]
pub struct Feed {
    world: ArcSwap<World>,
    /// Journals by collection, and one of everything under `None`.
    journals: Mutex<BTreeMap<Option<GroupResource>, Arc<Journal>>>,
    waiting: Mutex<Vec<(Revision, Waker)>>,
}

#[derive(Debug)]
struct Journal(Mutex<Entries>);

#[derive(Debug)]
struct Entries {
    events: VecDeque<Arc<Event>>,
    /// Position of the first kept event since the beginning.
    first: u64,
    /// All events after this revision are kept.
    oldest: Revision,
    /// Who waits for the next event, by subscription.
    wakers: BTreeMap<u64, Waker>,
    subscriptions: u64,
}

impl Feed {
    /// A feed that starts from a world; only later changes can be subscribed to.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self { world: ArcSwap::from_pointee(world), journals: Mutex::default(), waiting: Mutex::default() }
    }

    /// The newest published world.
    #[must_use]
    pub fn world(&self) -> Arc<World> {
        self.world.load_full()
    }

    /// Publishes the next world and the events that led to it, in order. For the one writer.
    pub fn publish(&self, world: World, events: Vec<Event>) {
        let before = self.world.load().revision();
        let revision = world.revision();
        let mut wakers = Vec::new();
        {
            // Held throughout, so that no subscription sees the new world without its events or the other way round.
            let mut journals = lock(&self.journals);
            self.world.store(Arc::new(world));
            for event in events.into_iter().map(Arc::new) {
                let resource = event.object.kind().storage.clone();
                for name in [Some(resource), None] {
                    let journal = journals.entry(name).or_insert_with(|| Arc::new(Journal::starting_at(before)));
                    wakers.extend(journal.append(event.clone()).into_values());
                }
            }
        }
        lock(&self.waiting).retain(|(awaited, waker)| {
            let wake = *awaited <= revision;
            if wake {
                waker.wake_by_ref();
            }
            !wake
        });
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until the world has reached a revision.
    pub async fn reached(&self, revision: Revision) -> Arc<World> {
        poll_fn(|context| {
            let world = self.world();
            if world.revision() >= revision {
                return Poll::Ready(world);
            }
            lock(&self.waiting).push((revision, context.waker().clone()));
            let world = self.world();
            if world.revision() >= revision { Poll::Ready(world) } else { Poll::Pending }
        })
        .await
    }

    /// Drops the changes that are kept: a reader who has not read them all is [`Lagged`]. To give memory back, and to try out
    /// readers. For the one writer.
    pub fn forget(&self) {
        let now = self.world.load().revision();
        let wakers: Vec<_> = lock(&self.journals).values().flat_map(|journal| journal.forget(now)).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Changes of one collection, or of everything, after a revision.
    ///
    /// # Errors
    /// [`Lagged`] if changes that old are not kept here.
    pub fn subscribe(&self, resource: Option<&GroupResource>, after: Revision) -> Result<Subscription, Lagged> {
        let mut journals = lock(&self.journals);
        let now = self.world.load().revision();
        let journal = journals.entry(resource.cloned()).or_insert_with(|| Arc::new(Journal::starting_at(now)));
        let next = journal.position_after(after)?;
        Ok(Subscription::new(journal, next))
    }

    /// The newest world and all changes after it, without a gap.
    #[must_use]
    pub fn follow(&self, resource: Option<&GroupResource>) -> (Arc<World>, Subscription) {
        let mut journals = lock(&self.journals);
        let world = self.world();
        let journal =
            journals.entry(resource.cloned()).or_insert_with(|| Arc::new(Journal::starting_at(world.revision())));
        let subscription = Subscription::new(journal, journal.end());
        (world, subscription)
    }
}

impl Journal {
    fn starting_at(oldest: Revision) -> Self {
        Self(Mutex::new(Entries {
            events: VecDeque::new(),
            first: 0,
            oldest,
            wakers: BTreeMap::new(),
            subscriptions: 0,
        }))
    }

    fn append(&self, event: Arc<Event>) -> BTreeMap<u64, Waker> {
        let mut entries = lock(&self.0);
        if entries.events.len() >= JOURNAL_EVENTS_MAX
            && let Some(dropped) = entries.events.pop_front()
        {
            entries.first += 1;
            entries.oldest = dropped.revision;
        }
        entries.events.push_back(event);
        std::mem::take(&mut entries.wakers)
    }

    fn forget(&self, now: Revision) -> Vec<Waker> {
        let mut entries = lock(&self.0);
        // One position is skipped, so that also those are told who have read everything: what they miss may never have been here.
        entries.first += entries.events.len() as u64 + 1;
        entries.events.clear();
        entries.oldest = now;
        std::mem::take(&mut entries.wakers).into_values().collect()
    }

    fn position_after(&self, after: Revision) -> Result<u64, Lagged> {
        let entries = lock(&self.0);
        if after < entries.oldest {
            return Err(Lagged { asked: after, oldest: entries.oldest });
        }
        let skipped = entries.events.partition_point(|event| event.revision <= after);
        Ok(entries.first + skipped as u64)
    }

    fn end(&self) -> u64 {
        let entries = lock(&self.0);
        entries.first + entries.events.len() as u64
    }
}

/// A reader's place in a journal. Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct Subscription {
    journal: Arc<Journal>,
    id: u64,
    next: u64,
}

impl Subscription {
    fn new(journal: &Arc<Journal>, next: u64) -> Self {
        let mut entries = lock(&journal.0);
        entries.subscriptions += 1;
        Self { journal: journal.clone(), id: entries.subscriptions, next }
    }

    /// What has happened since the last call, at most `limit` events, without waiting.
    ///
    /// # Errors
    /// [`Lagged`] if the reader fell behind.
    pub fn ready(&mut self, limit: usize) -> Result<Vec<Arc<Event>>, Lagged> {
        self.take(&mut lock(&self.journal.clone().0), limit)
    }

    /// Waits for something to happen, then returns all of it, at most `limit` events.
    ///
    /// # Errors
    /// [`Lagged`] if the reader fell behind.
    pub async fn next(&mut self, limit: usize) -> Result<Vec<Arc<Event>>, Lagged> {
        poll_fn(|context| self.poll_next(context, limit)).await
    }

    /// [`Subscription::next`] as a poll.
    ///
    /// # Errors
    /// [`Lagged`] if the reader fell behind.
    pub fn poll_next(&mut self, context: &mut Context<'_>, limit: usize) -> Poll<Result<Vec<Arc<Event>>, Lagged>> {
        let journal = self.journal.clone();
        let mut entries = lock(&journal.0);
        match self.take(&mut entries, limit) {
            Ok(events) if events.is_empty() => {
                entries.wakers.insert(self.id, context.waker().clone());
                Poll::Pending
            }
            taken => Poll::Ready(taken),
        }
    }

    fn take(&mut self, entries: &mut MutexGuard<'_, Entries>, limit: usize) -> Result<Vec<Arc<Event>>, Lagged> {
        let Some(skipped) = self.next.checked_sub(entries.first) else {
            return Err(Lagged { asked: Revision::ZERO, oldest: entries.oldest });
        };
        let start = usize::try_from(skipped).unwrap_or(usize::MAX);
        let events: Vec<_> = entries.events.iter().skip(start).take(limit).cloned().collect();
        self.next += events.len() as u64;
        Ok(events)
    }
}

/// Waits for a change in any of several collections, for readers who then look at the world: what happened is passed over,
/// also by those that fell behind.
pub async fn any_changed(subscriptions: &mut [Subscription]) {
    poll_fn(|context| {
        let mut woken = false;
        for subscription in subscriptions.iter_mut() {
            let Poll::Ready(events) = subscription.poll_next(context, usize::MAX) else { continue };
            woken = true;
            if events.is_err() {
                subscription.next = subscription.journal.end();
            }
        }
        if woken { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.journal.0).wakers.remove(&self.id);
    }
}

/// A poisoned lock only means that another thread panicked between two complete steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;
    use crate::Kinds;

    /// Publishes a new pod.
    fn publish(feed: &Feed, name: &str) {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"namespace": "a", "name": name}})).unwrap();
        let mut world = World::clone(&feed.world());
        let object = world.insert(pod).unwrap();
        let event = Event { revision: world.revision(), object, previous: None, deleted: false };
        feed.publish(world, vec![event]);
    }

    fn is_woken(followed: &mut [Subscription]) -> bool {
        pin!(any_changed(followed)).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_change_wakes_once_also_who_fell_behind() {
        let feed = Feed::new(World::new(Kinds::builtin()));
        let mut followed = [feed.follow(Some(&GroupResource::of::<Pod>())).1];
        assert!(!is_woken(&mut followed));
        publish(&feed, "read");
        assert!(is_woken(&mut followed));
        assert!(!is_woken(&mut followed));
        publish(&feed, "missed");
        feed.forget();
        assert!(is_woken(&mut followed));
        assert!(!is_woken(&mut followed), "who fell behind starts again from now");
    }
}
