//! A store that remembers every commit and can replay them.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::{At, Changes, Error, Expect, KeyRange, Outcome, Page, Result, Revision, Store, Write};

/// Writes per commit of a replay.
const REPLAY_BATCH: usize = 256;

/// A store that remembers every commit made through it. Memory grows until the recording is [taken](Self::take).
#[derive(Debug)]
pub struct Recorded<S> {
    inner: S,
    commits: Mutex<Vec<Commit>>,
}

/// One commit, as its caller saw it.
#[derive(Debug, Clone)]
pub struct Commit {
    /// What was asked.
    pub writes: Vec<Write>,
    /// What was answered; `None` if the caller left before.
    pub answer: Option<Result<Vec<Outcome>>>,
}

/// Commits, in the order of their answers.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// All commits, refused ones too.
    pub commits: Vec<Commit>,
}

impl<S> Recorded<S> {
    /// Records what is committed to `inner` through this store.
    pub fn new(inner: S) -> Self {
        Self { inner, commits: Mutex::default() }
    }

    /// Everything since the beginning, or since the last time it was taken.
    pub fn take(&self) -> Recording {
        Recording { commits: mem::take(&mut *self.lock()) }
    }

    /// The store behind, whose own commits are not recorded.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Commit>> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    /// The writes that happened, in the order in which they did, each with its revision.
    pub fn writes(&self) -> Vec<(Revision, Write)> {
        let answered = self.commits.iter().filter_map(|commit| match &commit.answer {
            Some(Ok(outcomes)) => Some(commit.writes.iter().zip(outcomes)),
            Some(Err(_)) | None => None,
        });
        let happened = answered.flatten().filter_map(|(write, outcome)| Some((*outcome.as_ref().ok()?, write.clone())));
        let mut writes: Vec<_> = happened.collect();
        writes.sort_by_key(|(revision, _)| *revision);
        writes
    }

    /// How many commits failed or lost their caller: whether they happened is unknown, and a replay leaves them out.
    pub fn unknown(&self) -> usize {
        self.commits.iter().filter(|commit| !matches!(commit.answer, Some(Ok(_)))).count()
    }

    /// Makes the same changes to `store`, in the same order. If it was empty as the first store was, it ends equal.
    ///
    /// Fails as the store does, and with `Broken` by a [`Conflict`](crate::Conflict) if it lacks a key to delete.
    pub async fn replay(&self, store: &dyn Store) -> Result<()> {
        let writes = self.writes().into_iter().map(|(_, write)| {
            let expect = if write.value.is_some() { Expect::Anything } else { Expect::Present };
            write.expecting(expect)
        });
        for batch in writes.collect::<Vec<_>>().chunks(REPLAY_BATCH) {
            for outcome in store.commit(batch.to_vec()).await? {
                outcome.map_err(Error::broken)?;
            }
        }
        Ok(())
    }
}

/// A commit under way. Recorded when it ends, by an answer or because its caller left.
struct UnderWay<'a> {
    commits: &'a Mutex<Vec<Commit>>,
    commit: Commit,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let commit = Commit { writes: mem::take(&mut self.commit.writes), answer: self.commit.answer.take() };
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).push(commit);
    }
}

#[async_trait]
impl<S: Store> Store for Recorded<S> {
    async fn range(&self, range: KeyRange, at: At, limit: usize) -> Result<Page> {
        self.inner.range(range, at, limit).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Outcome>> {
        let mut under_way =
            UnderWay { commits: &self.commits, commit: Commit { writes: writes.clone(), answer: None } };
        let answer = self.inner.commit(writes).await;
        under_way.commit.answer = Some(answer.clone());
        answer
    }

    fn changes(&self, range: KeyRange, after: Revision) -> Result<Changes> {
        self.inner.changes(range, after)
    }

    async fn compact(&self, before: Revision) -> Result<()> {
        self.inner.compact(before).await
    }

    async fn revision(&self) -> Result<Revision> {
        self.inner.revision().await
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::Memory;
    use crate::faulty::{Faults, Faulty};

    fn content(store: &dyn Store) -> Page {
        block_on(store.range(KeyRange::all(), At::Latest, usize::MAX)).unwrap()
    }

    #[test]
    fn replays_to_the_same_content() {
        let store = Recorded::new(Memory::default());
        for round in 0..40 {
            let expect = if round % 3 == 0 { Expect::Absent } else { Expect::Anything };
            let put = Write::put(format!("{}", round % 7), round.to_string()).expecting(expect);
            block_on(store.commit(vec![put, Write::delete(format!("{}", round % 5))])).unwrap();
        }
        let recording = store.take();
        let copy = Memory::default();
        block_on(recording.replay(&copy)).unwrap();
        assert_eq!(content(&copy), content(&store));
        assert_eq!((recording.commits.len(), recording.unknown()), (40, 0));
        assert!(store.take().commits.is_empty());
        assert!(block_on(Recording::default().replay(&copy)).is_ok());
    }

    #[test]
    fn unknown_outcomes_are_counted() {
        let faulty = Faulty::new(Memory::default(), 1);
        faulty.set(Faults { fail_after: 1.0, ..Faults::default() });
        let store = Recorded::new(faulty);
        assert!(block_on(store.commit(vec![Write::put("a", "1")])).is_err());
        drop(store.commit(vec![Write::put("a", "1")]));
        let recording = store.take();
        assert_eq!((recording.unknown(), recording.writes().len()), (1, 0));
    }
}
