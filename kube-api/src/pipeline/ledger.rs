//! Where versions become history: commits to the store, and the intake that turns the store's changes into the world.
//!
//! Whoever commits also takes in what is ready, on the spot. A committed value waits in `handed` for its own change to come back, so that it is never decoded again; changes by
//! other writers of the same store are decoded once, here.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;

use bytes::Bytes;
use coracle_core::{
    AnyResource, Event, Feed, GroupResource, Kind, Kinds, Object, ObjectKey, ObjectRef, Revision, World, custom,
};
use coracle_store::{At, Batch, Change, Changes, Expect, Key, KeyRange, Store, Write};
use futures::FutureExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::group::{self, Door};

/// All objects are kept below this prefix: `/registry/<group or core>/<plural>/<namespace>/<name>`.
pub const PREFIX: &str = "/registry/";

/// The key under which the store keeps an object.
#[must_use]
pub fn store_key(place: &ObjectRef) -> Key {
    Key::from(format!("{}{}", collection_prefix(&place.resource), place.key))
}

/// The prefix of a collection's keys.
#[must_use]
pub fn collection_prefix(resource: &GroupResource) -> String {
    let group = if resource.group.is_empty() { "core" } else { &resource.group };
    format!("{PREFIX}{group}/{}/", resource.resource)
}

/// The object that a store key names.
#[must_use]
pub fn place_of(key: &Key) -> Option<ObjectRef> {
    let (group, rest) = key.as_str()?.strip_prefix(PREFIX)?.split_once('/')?;
    let (resource, key) = rest.split_once('/')?;
    let group = if group == "core" { "" } else { group };
    let resource = GroupResource::new(group.to_owned(), resource.to_owned());
    Some(ObjectRef { resource, key: ObjectKey::from(key) })
}

/// A version that is ready to be committed.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) place: ObjectRef,
    pub(crate) kind: Arc<Kind>,
    /// The new version and its bytes; `None` deletes.
    pub(crate) version: Option<(Box<dyn AnyResource>, Bytes)>,
    pub(crate) expect: Expect,
}

/// What came of a draft.
pub(crate) type Outcome = Result<Arc<Object>, Refused>;

/// Why a draft was not committed.
#[derive(Clone, Debug)]
pub(crate) enum Refused {
    /// The object was not as expected; this is what the store holds.
    Conflict { exists: bool },
    /// The store failed, and the write may or may not have happened.
    Unknown(coracle_store::Error),
}

/// The store, the world that is read from it, and the way from one to the other.
pub struct Ledger {
    store: Arc<dyn Store>,
    feed: Arc<Feed>,
    intake: Mutex<Intake>,
    door: Door,
}

struct Intake {
    changes: Changes,
    world: World,
    /// The kinds that there are without definitions, and those known as Rust types.
    base: Kinds,
    handed: HashMap<Key, Vec<Handed>>,
    tickets: u64,
}

/// A version on its way through the store.
struct Handed {
    ticket: u64,
    kind: Arc<Kind>,
    version: Option<(Box<dyn AnyResource>, Bytes)>,
    slot: Slot,
}

/// Where a writer finds its own version once it has come back.
type Slot = Arc<OnceLock<Arc<Object>>>;

impl std::fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Ledger at {}", self.feed.world().revision())
    }
}

impl Ledger {
    /// Reads everything the store holds and follows it from there.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn open(store: Arc<dyn Store>, kinds: Kinds) -> Result<Self, coracle_store::Error> {
        let page = store.range(KeyRange::prefix(PREFIX), At::Latest, usize::MAX).await?;
        let changes = store.changes(KeyRange::prefix(PREFIX), page.revision)?;
        let world = World::new(kinds.clone());
        let mut intake = Intake { changes, world, base: kinds, handed: HashMap::new(), tickets: 0 };
        intake.fill(page);
        let feed = Arc::new(Feed::new(intake.world.clone()));
        let intake = Mutex::new(intake);
        Ok(Self { store, feed, intake, door: Door::default() })
    }

    /// The world and its journals.
    #[must_use]
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// The store, for reads of the past.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Changes the kinds that there are without definitions. Those of definitions follow the definitions by themselves.
    pub fn set_kinds(&self, kinds: Kinds) {
        let mut intake = self.lock();
        intake.base = kinds.clone();
        intake.world.set_kinds(kinds);
        intake.define_all();
        self.feed.publish(intake.world.clone(), Vec::new());
    }

    /// Commits drafts together with those of other writers who are ready now, each draft standing alone. When this returns,
    /// the world has what was committed.
    pub(crate) async fn commit(self: &Arc<Self>, drafts: Vec<Draft>) -> Vec<Outcome> {
        if drafts.is_empty() {
            return Vec::new();
        }
        let (commit, mine) = self.door.join(drafts, |drafts| {
            let ledger = self.clone();
            let commit = async move {
                group::turn_of_the_others().await;
                ledger.write(group::close(&drafts)).await.into()
            };
            commit.boxed()
        });
        let outcomes = commit.await;
        outcomes.get(mine).map(<[Outcome]>::to_vec).unwrap_or_default()
    }

    async fn write(&self, drafts: Vec<Draft>) -> Vec<Outcome> {
        let mut writes = Vec::with_capacity(drafts.len());
        let mut awaited = Awaited { ledger: self, waits: Vec::with_capacity(drafts.len()) };
        {
            let mut intake = self.lock();
            for draft in drafts {
                let (write, wait) = intake.hand(draft);
                writes.push(write);
                awaited.waits.push(wait);
            }
        }
        let outcomes = match self.store.commit(writes).await {
            Ok(outcomes) => outcomes,
            Err(error) => return awaited.waits.iter().map(|_| Err(Refused::Unknown(error.clone()))).collect(),
        };
        self.take_in();
        let mut results = Vec::with_capacity(outcomes.len());
        for (outcome, wait) in outcomes.into_iter().zip(&awaited.waits) {
            results.push(match outcome {
                Ok(revision) => self.arrived(wait, revision).await,
                Err(conflict) => Err(Refused::Conflict { exists: conflict.actual.is_some() }),
            });
        }
        results
    }

    /// Takes in changes by other writers of the store, for as long as it lives. One task runs this.
    pub async fn follow(&self) {
        let mut failed = None;
        loop {
            if let Some(error) = failed.take() {
                self.recover(error).await;
            }
            failed = poll_fn(|context| {
                let mut intake = self.lock();
                loop {
                    match intake.changes.poll_next(context) {
                        Poll::Ready(Ok(batch)) => self.publish(&mut intake, &batch),
                        Poll::Ready(Err(error)) => return Poll::Ready(Some(error)),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            })
            .await;
        }
    }

    async fn arrived(&self, wait: &Wait, revision: Revision) -> Outcome {
        if wait.slot.get().is_none() {
            self.feed.reached(revision).await;
        }
        // After a gap in the changes the version was read anew, not claimed.
        let read = || place_of(&wait.key).and_then(|place| self.feed.world().at(&place).cloned());
        let found = wait.slot.get().cloned().or_else(|| read().filter(|object| object.revision() == revision));
        let lost = || coracle_store::Error::broken(format!("the change {revision} of {} did not come back", wait.key));
        found.ok_or_else(|| Refused::Unknown(lost()))
    }

    fn take_in(&self) {
        let mut intake = self.lock();
        // A broken stream is left for `follow`, which meets the same error and recovers.
        while let Ok(Some(batch)) = intake.changes.try_next() {
            self.publish(&mut intake, &batch);
        }
    }

    fn publish(&self, intake: &mut Intake, batch: &Batch) {
        let events = batch.iter().filter_map(|change| intake.apply(change)).collect();
        self.feed.publish(intake.world.clone(), events);
    }

    /// After a gap in the changes: reads the store again and tells the difference as events.
    async fn recover(&self, error: coracle_store::Error) {
        tracing::warn!(%error, "the store's changes broke off, reading it again");
        let page = match self.store.range(KeyRange::prefix(PREFIX), At::Latest, usize::MAX).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "the store cannot be read");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                return;
            }
        };
        let changes = match self.store.changes(KeyRange::prefix(PREFIX), page.revision) {
            Ok(changes) => changes,
            Err(error) => {
                tracing::error!(%error, "the store's changes cannot be read");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                return;
            }
        };
        let mut intake = self.lock();
        intake.changes = changes;
        let events = intake.replace(page);
        self.feed.publish(intake.world.clone(), events);
    }

    fn lock(&self) -> MutexGuard<'_, Intake> {
        // Poisoned only if a decoder panicked between two changes; the world is whole at every such point.
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The versions of one commit on their way. Whatever has not come back when the writer is done, or gave up and dropped its
/// request, is handed over no longer: if it comes back after all, it is decoded like anybody else's.
struct Awaited<'a> {
    ledger: &'a Ledger,
    waits: Vec<Wait>,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let mut intake = self.ledger.lock();
        self.waits.iter().filter(|wait| wait.slot.get().is_none()).for_each(|wait| intake.withdraw(wait));
    }
}

/// What a writer waits for.
struct Wait {
    key: Key,
    ticket: u64,
    slot: Slot,
}

impl Intake {
    fn hand(&mut self, draft: Draft) -> (Write, Wait) {
        let key = store_key(&draft.place);
        let value = draft.version.as_ref().map(|(_, bytes)| bytes.clone());
        let write = Write { key: key.clone(), value, expect: draft.expect };
        self.tickets += 1;
        let (ticket, slot) = (self.tickets, Slot::default());
        let handed = Handed { ticket, kind: draft.kind, version: draft.version, slot: slot.clone() };
        self.handed.entry(key.clone()).or_default().push(handed);
        (write, Wait { key, ticket, slot })
    }

    fn withdraw(&mut self, wait: &Wait) {
        if let Some(handed) = self.handed.get_mut(&wait.key) {
            handed.retain(|handed| handed.ticket != wait.ticket);
            if handed.is_empty() {
                self.handed.remove(&wait.key);
            }
        }
    }

    /// The local writer's version that a change carries, if it is one.
    fn claim(&mut self, change: &Change) -> Option<Handed> {
        let waiting = self.handed.get_mut(&change.key)?;
        let same = |handed: &Handed| handed.version.as_ref().map(|(_, bytes)| bytes) == change.value.as_ref();
        let handed = waiting.remove(waiting.iter().position(same)?);
        if waiting.is_empty() {
            self.handed.remove(&change.key);
        }
        Some(handed)
    }

    fn apply(&mut self, change: &Arc<Change>) -> Option<Event> {
        let handed = self.claim(change);
        let (slot, local) = match handed {
            Some(Handed { kind, version, slot, .. }) => (Some(slot), version.map(|version| (kind, version))),
            None => (None, None),
        };
        let event = match (&change.value, local) {
            (Some(_), Some((kind, (value, stored)))) => {
                self.put(Arc::new(Object::committed(kind, value, stored, change.revision)))
            }
            (Some(value), None) => {
                decode(&self.world, &change.key, value.clone(), change.revision).map(|object| self.put(object))?
            }
            (None, _) => self.remove(&place_of(&change.key)?, change.revision)?,
        };
        if let Some(slot) = slot {
            let _first = slot.set(event.object.clone());
        }
        Some(event)
    }

    /// Takes in all that a store holds, definitions first: they say what the rest is.
    fn fill(&mut self, mut page: coracle_store::Page) {
        page.items.sort_by_key(|item| !is_definition(&item.key));
        for item in page.items {
            if let Some(object) = decode(&self.world, &item.key, item.value, item.revision) {
                self.put(object);
            }
        }
        self.world.reach(page.revision);
    }

    fn put(&mut self, object: Arc<Object>) -> Event {
        let previous = self.world.put(object.clone());
        self.define(previous.as_deref(), Some(&object));
        Event { revision: object.revision(), object, previous, deleted: false }
    }

    fn remove(&mut self, place: &ObjectRef, revision: Revision) -> Option<Event> {
        let previous = self.world.remove(&place.resource, &place.key, revision)?;
        self.define(Some(&previous), None);
        let object = Arc::new(previous.at(revision));
        Some(Event { revision, object, previous: Some(previous), deleted: true })
    }

    /// Keeps the kinds in step with the definitions.
    fn define(&mut self, old: Option<&Object>, new: Option<&Object>) {
        fn definition(object: Option<&Object>) -> Option<&CustomResourceDefinition> {
            object?.get()
        }
        let kinds = custom::after_change(self.world.kinds(), &self.base, definition(old), definition(new));
        if let Some(kinds) = kinds {
            self.world.set_kinds(kinds);
        }
    }

    fn define_all(&mut self) {
        let resource = GroupResource::of::<CustomResourceDefinition>();
        let definitions: Vec<_> = self.world.objects(&resource).cloned().collect();
        definitions.iter().for_each(|definition| self.define(None, Some(definition)));
    }

    fn replace(&mut self, mut page: coracle_store::Page) -> Vec<Event> {
        page.items.sort_by_key(|item| !is_definition(&item.key));
        let mut events = Vec::new();
        let mut kept = std::collections::BTreeSet::new();
        for item in page.items {
            let Some(place) = place_of(&item.key) else { continue };
            let known = self.world.at(&place).is_some_and(|object| object.revision() == item.revision);
            kept.insert(place);
            if !known && let Some(object) = decode(&self.world, &item.key, item.value, item.revision) {
                events.push(self.put(object));
            }
        }
        let resources: Vec<_> = self.world.resources().cloned().collect();
        for resource in resources {
            let gone: Vec<_> = self.world.objects(&resource).map(|object| object.reference()).collect();
            let gone = gone.into_iter().filter(|place| !kept.contains(place));
            events.extend(gone.filter_map(|place| self.remove(&place, page.revision)).collect::<Vec<_>>());
        }
        self.world.reach(page.revision);
        events.sort_by_key(|event| event.revision);
        events
    }
}

fn is_definition(key: &Key) -> bool {
    place_of(key).is_some_and(|place| place.resource == GroupResource::of::<CustomResourceDefinition>())
}

/// Decodes what another writer stored. What cannot be read is reported and left out: one bad object must not hide the rest.
fn decode(world: &World, key: &Key, value: Bytes, revision: Revision) -> Option<Arc<Object>> {
    let kind = place_of(key).and_then(|place| world.kinds().storage(&place.resource).cloned());
    let Some(kind) = kind else {
        tracing::error!(%key, "the store holds an object of a kind that is not served");
        return None;
    };
    match Object::decode(kind, value, revision) {
        Ok(object) => Some(Arc::new(object)),
        Err(error) => {
            tracing::error!(%key, %error, "the store holds an object that cannot be read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use coracle_store::{Faults, Faulty, Memory, Recorded};
    use futures::future::join_all;
    use futures::poll;
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn draft(kinds: &Kinds, name: &str) -> Draft {
        let json =
            format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"a"}}}}"#);
        let kind = kinds.of::<ConfigMap>().unwrap().clone();
        let value = kind.codec.decode(json.as_bytes()).unwrap();
        let place = ObjectRef { resource: kind.storage.clone(), key: ObjectKey::new("a", name) };
        Draft { place, kind, version: Some((value, json.into())), expect: Expect::Absent }
    }

    async fn recorded() -> (Arc<Recorded<Memory>>, Arc<Ledger>) {
        let store = Arc::new(Recorded::new(Memory::default()));
        let ledger = Ledger::open(store.clone(), Kinds::builtin()).await.unwrap();
        (store, Arc::new(ledger))
    }

    /// How many writes each commit had since the last call.
    fn commits(store: &Recorded<Memory>) -> Vec<usize> {
        store.take().commits.iter().map(|commit| commit.writes.len()).collect()
    }

    #[tokio::test]
    async fn who_is_ready_at_the_same_moment_shares_a_commit() {
        let (store, ledger) = recorded().await;
        let kinds = Kinds::builtin();
        let write = |names: &[&str]| ledger.commit(names.iter().map(|name| draft(&kinds, name)).collect());
        let answers = join_all([write(&["a"]), write(&["b", "c"]), write(&[]), write(&["a"])]).await;
        let answers: Vec<Vec<_>> =
            answers.iter().map(|own| own.iter().map(|one| one.as_ref().ok().map(|it| it.name())).collect()).collect();
        assert_eq!(answers, [vec![Some("a")], vec![Some("b"), Some("c")], vec![], vec![None]], "each its own");
        assert_eq!(commits(&store), [4]);
        write(&["d"]).await;
        write(&["e"]).await;
        assert_eq!(commits(&store), [1, 1]);
    }

    #[tokio::test]
    async fn a_writer_that_gives_up_takes_nobody_along() {
        let (store, ledger) = recorded().await;
        let kinds = Kinds::builtin();
        let write = |name: &str| Box::pin(ledger.commit(vec![draft(&kinds, name)]));
        let (mut first, mut second) = (write("first"), write("second"));
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        drop(first);
        assert!(matches!(second.await.as_slice(), [Ok(_)]));
        assert_eq!(commits(&store), [2], "who went too late is written");
        let mut alone = write("alone");
        assert!(poll!(&mut alone).is_pending());
        drop(alone);
        write("next").await;
        assert_eq!(commits(&store), [1], "nobody waits for the others any more");
    }

    /// Refused, failed before and after the write: nothing of a commit that is over stays behind.
    #[tokio::test]
    async fn nothing_is_handed_over_that_nobody_waits_for() {
        let store = Arc::new(Faulty::new(Memory::default(), 1));
        let ledger = Arc::new(Ledger::open(store.clone(), Kinds::builtin()).await.unwrap());
        let kinds = Kinds::builtin();
        for faults in [
            Faults { fail_before: 1.0, ..Faults::default() },
            Faults { fail_after: 1.0, ..Faults::default() },
            Faults::default(),
        ] {
            store.set(faults);
            let answers = ledger.commit(vec![draft(&kinds, "m")]).await;
            assert!(matches!(answers.as_slice(), [Err(_)]), "the last finds what the second left");
            assert!(ledger.lock().handed.is_empty());
        }
        assert!(ledger.feed().world().get::<ConfigMap>("a", "m").is_some(), "the write with the lost answer is seen");
    }
}
