//! A store in memory: nothing survives the process, everything else holds.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | [`Memory`], one lock around the state and the readers |
//! | `state.rs` | the keys and what a write or a read does to them |
//! | `log.rs` | the history that is kept |
//! | `reader.rs` | one reader's cursor into the history |
//! | `readers.rs` | who waits for which keys |

mod log;
mod reader;
mod readers;
mod state;
#[cfg(test)]
mod tests;

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use async_trait::async_trait;

use self::reader::Reader;
use self::readers::Readers;
use self::state::State;
use crate::{At, Changes, KeyRange, Outcome, Page, Result, Revision, Store, Write};

/// How much history a store keeps by itself. The oldest goes first, once either limit is passed.
///
/// A commit that passes a limit by itself forgets its own first changes, before any reader sees them: stay well above the
/// largest batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Changes kept. Default 100,000.
    pub changes_max: u64,
    /// Bytes kept: keys and values of the kept changes, and 192 for each. Default 64 MiB.
    pub bytes_max: usize,
}

impl Default for History {
    fn default() -> Self {
        Self { changes_max: 100_000, bytes_max: 64 << 20 }
    }
}

/// A store in memory.
///
/// Its state is persistent in the functional sense: a read takes a copy in constant time and works on it without the
/// lock, and [`fork`](Self::fork) hands such a copy out as a store of its own. A commit is done when its future is first
/// polled. A reader is a cursor into the shared history, so slow readers cost nothing, and fall behind only if the store
/// forgets what they have not read: see [`History`]. Once a commit has answered, its changes are ready for every reader.
/// Dropping the store closes its readers.
#[derive(Debug, Default)]
pub struct Memory {
    shared: Arc<Shared>,
    history: History,
}

/// What a store and its readers share.
#[derive(Debug, Default)]
struct Shared(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: State,
    readers: Readers,
    closed: bool,
}

impl Shared {
    /// The lock is never held across anything that can panic or wait, so a poisoned one is sound.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// An empty store that keeps this much history.
    pub fn with_history(history: History) -> Self {
        Self { shared: Arc::default(), history }
    }

    /// A copy with the same content and history that goes its own way from here: "what if". Takes constant time; the two
    /// share what neither changes. Readers stay with the original.
    #[must_use]
    pub fn fork(&self) -> Self {
        let inner = Inner { state: self.shared.lock().state.clone(), ..Inner::default() };
        Self { shared: Arc::new(Shared(Mutex::new(inner))), history: self.history }
    }
}

#[async_trait]
impl Store for Memory {
    async fn range(&self, range: KeyRange, at: At, limit: usize) -> Result<Page> {
        let state = self.shared.lock().state.clone();
        state.range(&range, at, limit)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Outcome>> {
        let mut wakers = Vec::new();
        let outcomes = self.shared.lock().commit(writes, self.history, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        Ok(outcomes)
    }

    fn changes(&self, range: KeyRange, after: Revision) -> Result<Changes> {
        let mut inner = self.shared.lock();
        inner.state.check_kept(after)?;
        let id = inner.readers.join(&range);
        Ok(Changes::new(Reader::new(Arc::clone(&self.shared), id, range, after)))
    }

    async fn compact(&self, before: Revision) -> Result<()> {
        self.shared.lock().state.compact(before)
    }

    async fn revision(&self) -> Result<Revision> {
        Ok(self.shared.lock().state.log.newest())
    }
}

impl Inner {
    fn commit(&mut self, writes: Vec<Write>, history: History, wakers: &mut Vec<Waker>) -> Vec<Outcome> {
        let before = self.state.log.newest();
        let outcomes = writes.into_iter().map(|write| self.state.write(write)).collect();
        for entry in self.state.log.after(before) {
            self.readers.touch(&entry.change, wakers);
        }
        while self.state.log.len() > history.changes_max || self.state.log.weight_bytes() > history.bytes_max {
            self.state.forget_oldest();
        }
        outcomes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let mut wakers = Vec::new();
        let mut inner = self.shared.lock();
        inner.closed = true;
        inner.readers.touch_all(&mut wakers);
        let state = mem::take(&mut inner.state);
        drop(inner);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}
