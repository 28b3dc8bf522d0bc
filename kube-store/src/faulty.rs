//! A store that fails as real ones do, by a seed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::{At, Batch, ChangeSource, Changes, Error, Expect, KeyRange, Outcome, Page, Result, Revision, Store, Write};

/// How often what goes wrong, as probabilities from 0 to 1. Default: nothing does.
///
/// All of it keeps the contract of [`Store`]: a caller that copes with any store copes with this.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Faults {
    /// A commit fails and nothing was written.
    pub fail_before: f64,
    /// A commit fails although some of it, from its first write on, maybe all, was written: its outcome is unknown.
    pub fail_after: f64,
    /// Before a write that expects a revision, a rival writes the key's own value once more: the write conflicts.
    pub rival: f64,
    /// A range or compaction fails.
    pub fail_read: f64,
    /// A batch of changes that is ready is held back until the reader asks once more.
    pub delay: f64,
    /// A reader with changes ready fails instead, and has to follow anew from the last revision it saw.
    pub break_changes: f64,
    /// Readers hear nothing at all, until this is lifted.
    pub stall: bool,
}

/// How often what went wrong so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commits of which nothing was written.
    pub failed_before: u64,
    /// Commits whose outcome is unknown.
    pub failed_after: u64,
    /// Rivals sent ahead.
    pub rivals: u64,
    /// Ranges and compactions that failed.
    pub failed_reads: u64,
    /// Batches held back.
    pub delays: u64,
    /// Readers broken.
    pub broken_changes: u64,
}

/// A store whose faults are rolled by a seed: the same calls in the same order meet the same faults.
pub struct Faulty<S> {
    inner: S,
    dice: Arc<Dice>,
}

struct Dice(Mutex<DiceState>);

struct DiceState {
    faults: Faults,
    counts: Counts,
    random: SmallRng,
    /// Readers to wake when the stall is lifted.
    stalled: Vec<Waker>,
}

impl<S> Faulty<S> {
    /// A store that fails as `inner` does, until [`set`](Self::set) says otherwise.
    pub fn new(inner: S, seed: u64) -> Self {
        let state = DiceState {
            faults: Faults::default(),
            counts: Counts::default(),
            random: SmallRng::seed_from_u64(seed),
            stalled: Vec::new(),
        };
        Self { inner, dice: Arc::new(Dice(Mutex::new(state))) }
    }

    /// From now on, these faults, also for readers that are there already.
    pub fn set(&self, faults: Faults) {
        let mut dice = self.dice.lock();
        dice.faults = faults;
        let stalled = if faults.stall { Vec::new() } else { std::mem::take(&mut dice.stalled) };
        drop(dice);
        stalled.into_iter().for_each(Waker::wake);
    }

    /// What went wrong so far.
    pub fn counts(&self) -> Counts {
        self.dice.lock().counts
    }

    /// The store behind, which does not fail.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl Dice {
    fn lock(&self) -> MutexGuard<'_, DiceState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a fault happens now; if so, it is counted.
    fn roll(&self, fault: fn(&Faults) -> f64, count: fn(&mut Counts) -> &mut u64) -> bool {
        let dice = &mut *self.lock();
        let hit = dice.random.random::<f64>() < fault(&dice.faults);
        *count(&mut dice.counts) += u64::from(hit);
        hit
    }

    fn read(&self) -> Result<()> {
        let hit = self.roll(|faults| faults.fail_read, |counts| &mut counts.failed_reads);
        if hit { Err(injected("read")) } else { Ok(()) }
    }

    /// Keeps the waker if readers are to hear nothing.
    fn stalls(&self, waker: Option<&Waker>) -> bool {
        let mut dice = self.lock();
        if let Some(waker) = waker.filter(|_| dice.faults.stall)
            && !dice.stalled.iter().any(|stalled| stalled.will_wake(waker))
        {
            dice.stalled.push(waker.clone());
        }
        dice.faults.stall
    }
}

fn injected(what: &str) -> Error {
    Error::broken(format!("injected fault: {what}"))
}

impl<S: Store> Faulty<S> {
    /// Writes what the key holds once more, if the write would succeed now.
    async fn send_rival(&self, write: &Write) -> Result<()> {
        let Expect::Revision(expected) = write.expect else { return Ok(()) };
        if !self.dice.roll(|faults| faults.rival, |counts| &mut counts.rivals) {
            return Ok(());
        }
        let page = self.inner.range(KeyRange::single(write.key.clone()), At::Latest, 1).await?;
        let held = page.items.into_iter().find(|item| item.revision == expected);
        let rival = held.map(|item| Write::put(item.key, item.value).expecting(write.expect));
        self.inner.commit(rival.into_iter().collect()).await.map(drop)
    }
}

#[async_trait]
impl<S: Store> Store for Faulty<S> {
    async fn range(&self, range: KeyRange, at: At, limit: usize) -> Result<Page> {
        self.dice.read()?;
        self.inner.range(range, at, limit).await
    }

    async fn commit(&self, mut writes: Vec<Write>) -> Result<Vec<Outcome>> {
        if self.dice.roll(|faults| faults.fail_before, |counts| &mut counts.failed_before) {
            return Err(injected("commit, nothing written"));
        }
        for write in &writes {
            self.send_rival(write).await?;
        }
        if self.dice.roll(|faults| faults.fail_after, |counts| &mut counts.failed_after) {
            let written = self.dice.lock().random.random_range(1..=writes.len().max(1));
            writes.truncate(written);
            self.inner.commit(writes).await?;
            return Err(injected("commit, outcome unknown"));
        }
        self.inner.commit(writes).await
    }

    fn changes(&self, range: KeyRange, after: Revision) -> Result<Changes> {
        let inner = self.inner.changes(range, after)?;
        Ok(Changes::new(FaultyReader { inner, held: None, dice: Arc::clone(&self.dice) }))
    }

    async fn compact(&self, before: Revision) -> Result<()> {
        self.dice.read()?;
        self.inner.compact(before).await
    }

    async fn revision(&self) -> Result<Revision> {
        self.dice.read()?;
        self.inner.revision().await
    }
}

struct FaultyReader {
    inner: Changes,
    /// A batch that was held back.
    held: Option<Batch>,
    dice: Arc<Dice>,
}

impl FaultyReader {
    fn poll_inner(&mut self, waker: Option<&Waker>) -> Poll<Result<Batch>> {
        match (self.held.take(), waker) {
            (Some(batch), _) => Poll::Ready(Ok(batch)),
            (None, Some(waker)) => self.inner.poll_next(&mut std::task::Context::from_waker(waker)),
            (None, None) => self.inner.try_next().transpose().map_or(Poll::Pending, Poll::Ready),
        }
    }
}

impl ChangeSource for FaultyReader {
    fn poll(&mut self, waker: Option<&Waker>) -> Poll<Result<Batch>> {
        if self.dice.stalls(waker) {
            return Poll::Pending;
        }
        let Poll::Ready(batch) = self.poll_inner(waker)? else { return Poll::Pending };
        if self.dice.roll(|faults| faults.break_changes, |counts| &mut counts.broken_changes) {
            return Poll::Ready(Err(injected("changes")));
        }
        if self.dice.roll(|faults| faults.delay, |counts| &mut counts.delays) {
            self.held = Some(batch);
            waker.into_iter().for_each(Waker::wake_by_ref);
            return Poll::Pending;
        }
        Poll::Ready(Ok(batch))
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::Memory;

    fn store(faults: Faults) -> Faulty<Memory> {
        let store = Faulty::new(Memory::default(), 7);
        store.set(faults);
        store
    }

    fn keys_written(store: &Faulty<Memory>) -> u64 {
        block_on(store.inner().range(KeyRange::all(), At::Latest, 0)).unwrap().remaining
    }

    fn three() -> Vec<Write> {
        ["a", "b", "c"].map(|key| Write::put(key, "1")).into()
    }

    #[test]
    fn fails_before_and_after_writing() {
        let before = store(Faults { fail_before: 1.0, ..Faults::default() });
        assert!(block_on(before.commit(three())).is_err());
        assert_eq!((keys_written(&before), before.counts().failed_before), (0, 1));

        let after = store(Faults { fail_after: 1.0, ..Faults::default() });
        assert!(block_on(after.commit(three())).is_err());
        assert!((1..=3).contains(&keys_written(&after)));
        assert_eq!(after.counts().failed_after, 1);
    }

    #[test]
    fn a_rival_makes_an_honest_conflict() {
        let store = store(Faults { rival: 1.0, ..Faults::default() });
        let first = block_on(store.commit(vec![Write::put("a", "1")])).unwrap().remove(0).unwrap();
        let second = Write::put("a", "2").expecting(Expect::Revision(first));
        let conflict = block_on(store.commit(vec![second])).unwrap().remove(0).unwrap_err();
        let actual = conflict.actual.unwrap();
        assert_eq!((actual.value.as_ref(), actual.revision), (b"1".as_slice(), Revision(2)));
    }

    #[test]
    fn stalled_readers_hear_nothing_until_it_is_lifted() {
        let store = store(Faults { stall: true, ..Faults::default() });
        let mut changes = store.changes(KeyRange::all(), Revision::ZERO).unwrap();
        block_on(store.commit(three())).unwrap();
        assert_eq!(changes.try_next().unwrap(), None);
        let lifted = async { store.set(Faults::default()) };
        assert_eq!(block_on(futures::future::join(changes.next(), lifted)).0.unwrap().len(), 3);
    }

    #[test]
    fn delays_keep_and_breaks_end() {
        let store = store(Faults { delay: 1.0, ..Faults::default() });
        let mut changes = store.changes(KeyRange::all(), Revision::ZERO).unwrap();
        block_on(store.commit(three())).unwrap();
        assert_eq!(changes.try_next().unwrap(), None);
        store.set(Faults { break_changes: 1.0, ..Faults::default() });
        assert!(changes.try_next().is_err());
        store.set(Faults { delay: 0.5, ..Faults::default() });
        let mut changes = store.changes(KeyRange::all(), Revision::ZERO).unwrap();
        assert_eq!(block_on(changes.next()).unwrap().len(), 3);
    }

    #[test]
    fn the_seed_decides() {
        let run = || {
            let store = store(Faults { fail_before: 0.3, fail_after: 0.3, fail_read: 0.3, ..Faults::default() });
            let answers = (0..50).map(|_| block_on(store.commit(three())).is_ok()).collect::<Vec<_>>();
            let reads = (0..50).map(|_| block_on(store.revision()).ok()).collect::<Vec<_>>();
            (answers, reads, store.counts())
        };
        assert_eq!(run(), run());
        assert!(run().2.failed_before > 0 && run().2.failed_after > 0 && run().2.failed_reads > 0);
    }

    /// A client that retries and resumes loses nothing, whatever fails: the contract holds under faults.
    #[test]
    fn a_careful_client_misses_nothing() {
        let often = Faults {
            fail_before: 0.2,
            fail_after: 0.2,
            rival: 0.2,
            delay: 0.3,
            break_changes: 0.2,
            ..Faults::default()
        };
        for seed in 0..50 {
            let store = Faulty::new(Memory::default(), seed);
            store.set(often);
            let (mut seen, mut last) = (Vec::new(), Revision::ZERO);
            let mut changes = store.changes(KeyRange::all(), last).unwrap();
            for number in 0..100 {
                let expect = if last == Revision::ZERO { Expect::Absent } else { Expect::Revision(last) };
                drop(block_on(store.commit(vec![Write::put("a", number.to_string()).expecting(expect)])));
                match changes.try_next() {
                    Ok(batch) => seen.extend(batch.unwrap_or_default().iter().map(|change| change.revision)),
                    Err(_) => changes = store.changes(KeyRange::all(), last).unwrap(),
                }
                last = seen.last().copied().unwrap_or_default();
            }
            assert_eq!(seen, (1..=last.0).map(Revision).collect::<Vec<_>>(), "seed {seed}");
            assert!(last.0 > 20, "seed {seed} gets on: {:?}", store.counts());
        }
    }
}
