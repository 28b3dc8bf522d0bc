//! Who waits for which keys.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use crate::{Change, Key, KeyRange, Revision};

/// One reader's name, and the bucket it is found in.
#[derive(Debug, Clone)]
pub(super) struct ReaderId {
    number: u64,
    prefix: Key,
}

/// What a parked reader and the store share: the first change in its range since it parked, zero while there is none.
#[derive(Debug, Default)]
pub(super) struct Signal(AtomicU64);

impl Signal {
    /// The first change since the reader parked.
    pub(super) fn first(&self) -> Option<Revision> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            first => Some(Revision(first)),
        }
    }

    /// Clears the signal; the reader parks again later.
    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }
}

/// A reader that has seen every change in its range.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) range: KeyRange,
    pub(super) signal: Arc<Signal>,
    pub(super) waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Bucket {
    /// How many readers belong here, parked or not.
    readers: usize,
    parked: HashMap<u64, Parked>,
}

/// The readers, by the longest prefix that all keys of their range share.
///
/// A change looks into one bucket for each length of prefix in use, a handful, so readers of other keys cost it nothing.
/// Readers that were told and have not come back cost nothing either: they are not parked.
#[derive(Debug, Default)]
pub(super) struct Readers {
    buckets: HashMap<Key, Bucket>,
    /// How many buckets have a prefix of this length.
    lengths: BTreeMap<usize, usize>,
    last: u64,
}

impl Readers {
    /// Admits a reader of `range`, not parked yet.
    pub(super) fn join(&mut self, range: &KeyRange) -> ReaderId {
        self.last += 1;
        let prefix = range.common_prefix();
        let bucket = self.buckets.entry(prefix.clone()).or_default();
        bucket.readers += 1;
        if bucket.readers == 1 {
            *self.lengths.entry(prefix.as_bytes().len()).or_default() += 1;
        }
        ReaderId { number: self.last, prefix }
    }

    /// Lets a reader go; nothing of it stays. What it left here is the caller's to drop, outside the lock: a waker may
    /// own the task that owns another reader.
    #[must_use]
    pub(super) fn leave(&mut self, id: &ReaderId) -> Option<Parked> {
        let bucket = self.buckets.get_mut(&id.prefix)?;
        let parked = bucket.parked.remove(&id.number);
        bucket.readers -= 1;
        if bucket.readers == 0 {
            self.buckets.remove(&id.prefix);
            self.forget_length(id.prefix.as_bytes().len());
        }
        parked
    }

    fn forget_length(&mut self, length: usize) {
        if let Entry::Occupied(mut buckets) = self.lengths.entry(length) {
            *buckets.get_mut() -= 1;
            if *buckets.get() == 0 {
                buckets.remove();
            }
        }
    }

    /// Parks a reader that has seen every change so far.
    pub(super) fn park(&mut self, id: &ReaderId, parked: Parked) {
        if let Some(bucket) = self.buckets.get_mut(&id.prefix) {
            bucket.parked.insert(id.number, parked);
        }
    }

    /// Sets the waker of a reader, if it is still parked. The one before is the caller's to drop, outside the lock.
    #[must_use]
    pub(super) fn set_waker(&mut self, id: &ReaderId, waker: &Waker) -> Option<Waker> {
        let parked = self.buckets.get_mut(&id.prefix)?.parked.get_mut(&id.number)?;
        parked.waker.replace(waker.clone())
    }

    /// Tells the parked readers of the key about its change. Wakers are collected, to be woken outside the lock.
    pub(super) fn touch(&mut self, change: &Change, wakers: &mut Vec<Waker>) {
        let key = change.key.as_bytes();
        for length in self.lengths.keys() {
            let bucket = key.get(..*length).and_then(|prefix| self.buckets.get_mut(prefix));
            let Some(bucket) = bucket.filter(|bucket| !bucket.parked.is_empty()) else { continue };
            let hit = bucket.parked.extract_if(|_, parked| parked.range.contains(&change.key));
            wakers.extend(hit.filter_map(|(_, parked)| parked.tell(change.revision)));
        }
    }

    /// Tells all parked readers to look, whatever their range.
    pub(super) fn touch_all(&mut self, wakers: &mut Vec<Waker>) {
        let parked = self.buckets.values_mut().flat_map(|bucket| bucket.parked.drain());
        wakers.extend(parked.filter_map(|(_, parked)| parked.tell(Revision(u64::MAX))));
    }

    /// How many readers there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.lengths.values().sum::<usize>(), self.buckets.len());
        self.buckets.values().map(|bucket| bucket.readers).sum()
    }
}

impl Parked {
    fn tell(self, first: Revision) -> Option<Waker> {
        self.signal.0.store(first.0, Ordering::Release);
        self.waker
    }
}
