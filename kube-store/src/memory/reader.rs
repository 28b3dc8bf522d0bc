//! One reader's cursor into the history.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::readers::{Parked, ReaderId, Signal};
use super::{Inner, Shared};
use crate::{Batch, ChangeSource, Error, KeyRange, Result, Revision};

/// Changes in one batch, at most.
const BATCH_MAX: usize = 1024;

/// Changes looked at in one go, at most: about 50 us under the lock.
const SCAN_MAX: usize = 4096;

/// A cursor. It is parked when nothing is left to read: then the next change in its range signals it, and changes
/// elsewhere neither cost it anything nor leave it behind.
pub(super) struct Reader {
    shared: Arc<Shared>,
    id: ReaderId,
    range: KeyRange,
    /// All changes in the range up to here are read. Stale while parked.
    position: Revision,
    parked: bool,
    signal: Arc<Signal>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, id: ReaderId, range: KeyRange, position: Revision) -> Self {
        Self { shared, id, range, position, parked: false, signal: Arc::default() }
    }

    /// Whether nothing has happened since the reader parked; the waker, if any, is in place then.
    fn is_still_parked(&mut self, waker: Option<&Waker>) -> bool {
        if self.parked && self.signal.first().is_none() {
            let Some(waker) = waker else { return true };
            let replaced = self.shared.lock().readers.set_waker(&self.id, waker);
            drop(replaced);
        }
        // Looked at again: between the first look and the lock, the store may have taken the reader off the list.
        if let Some(first) = self.signal.first() {
            self.signal.clear();
            self.parked = false;
            self.position = Revision(first.0 - 1);
        }
        self.parked
    }

    /// Looks at the next few changes. Goes on if none of them is in the range and more follow.
    fn scan(&mut self, waker: Option<&Waker>) -> ControlFlow<Poll<Result<Batch>>> {
        let shared = Arc::clone(&self.shared);
        let mut inner = shared.lock();
        let inner = &mut *inner;
        if inner.closed {
            return ControlFlow::Break(Poll::Ready(Err(Error::Closed)));
        }
        if let Err(error) = inner.state.check_kept(self.position) {
            return ControlFlow::Break(Poll::Ready(Err(error)));
        }
        let batch = self.collect(inner);
        let caught_up = self.position == inner.state.log.newest();
        if caught_up {
            let waker = waker.filter(|_| batch.is_empty()).cloned();
            let parked = Parked { range: self.range.clone(), signal: Arc::clone(&self.signal), waker };
            inner.readers.park(&self.id, parked);
            self.parked = true;
        }
        match (batch.is_empty(), caught_up) {
            (false, _) => ControlFlow::Break(Poll::Ready(Ok(batch))),
            (true, true) => ControlFlow::Break(Poll::Pending),
            (true, false) => ControlFlow::Continue(()),
        }
    }

    fn collect(&mut self, inner: &Inner) -> Batch {
        let mut batch = Batch::new();
        for entry in inner.state.log.after(self.position).take(SCAN_MAX) {
            if batch.len() == BATCH_MAX {
                break;
            }
            self.position = entry.change.revision;
            if self.range.contains(&entry.change.key) {
                batch.push(Arc::clone(&entry.change));
            }
        }
        batch
    }
}

impl ChangeSource for Reader {
    fn poll(&mut self, waker: Option<&Waker>) -> Poll<Result<Batch>> {
        if self.is_still_parked(waker) {
            return Poll::Pending;
        }
        loop {
            if let ControlFlow::Break(answer) = self.scan(waker) {
                return answer;
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let left = self.shared.lock().readers.leave(&self.id);
        drop(left);
    }
}
