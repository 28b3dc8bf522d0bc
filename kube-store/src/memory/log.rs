//! The changes that are kept, oldest first, each found by its revision.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::{Change, Revision};

/// Entries per segment. Copies of a log share its segments, and a write copies only the last one.
const SEGMENT: u64 = 512;

/// What an entry weighs beside its key and value, in bytes.
const OVERHEAD: usize = 192;

/// One change, and what its key had last been through before.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) change: Arc<Change>,
    /// The revision of the key's last change before this one, be it a delete. Zero if the key had never been.
    pub(super) before: Revision,
}

impl Entry {
    fn weight_bytes(&self) -> usize {
        OVERHEAD + self.change.key.as_bytes().len() + self.change.value.as_ref().map_or(0, |value| value.len())
    }
}

/// The changes after `oldest` up to `newest`, without a gap. Cloning takes constant time.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    /// All of the same length but the last, and the first, which loses its oldest entries.
    segments: Arc<VecDeque<Arc<VecDeque<Entry>>>>,
    oldest: u64,
    newest: u64,
    weight_bytes: usize,
}

impl Log {
    /// The oldest state that can be told: that before the oldest change kept.
    pub(super) fn oldest(&self) -> Revision {
        Revision(self.oldest)
    }

    /// The revision of the newest change.
    pub(super) fn newest(&self) -> Revision {
        Revision(self.newest)
    }

    /// How many changes are kept.
    pub(super) fn len(&self) -> u64 {
        self.newest - self.oldest
    }

    /// What the kept changes weigh, in bytes.
    pub(super) fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    /// Appends the change of the next revision.
    pub(super) fn push(&mut self, entry: Entry) {
        debug_assert_eq!(entry.change.revision, self.newest().next());
        self.newest += 1;
        self.weight_bytes += entry.weight_bytes();
        let segments = Arc::make_mut(&mut self.segments);
        // A segment ends where its revisions do, so that all but the first begin at a multiple of the length.
        if (self.newest - 1).is_multiple_of(SEGMENT) || segments.is_empty() {
            segments.push_back(Arc::default());
        }
        if let Some(last) = segments.back_mut() {
            Arc::make_mut(last).push_back(entry);
        }
    }

    /// The change made at `revision`, if it is kept.
    pub(super) fn get(&self, revision: Revision) -> Option<&Entry> {
        let (segment, index) = self.place(revision.0.checked_sub(1).filter(|after| *after >= self.oldest)?);
        self.segments.get(segment)?.get(index)
    }

    /// The kept changes after `after`, in order.
    pub(super) fn after(&self, after: Revision) -> impl Iterator<Item = &Entry> {
        let (segment, index) = self.place(after.0.max(self.oldest));
        let mut segments = self.segments.iter().skip(segment);
        let first = segments.next().into_iter().flat_map(move |first| first.iter().skip(index));
        first.chain(segments.flat_map(|segment| segment.iter()))
    }

    /// The segment, and the index in it, of the change after `after`, which is no older than the oldest.
    fn place(&self, after: u64) -> (usize, usize) {
        let segment = after / SEGMENT - self.oldest / SEGMENT;
        let index = if segment == 0 { after - self.oldest } else { after % SEGMENT };
        (usize::try_from(segment).unwrap_or(usize::MAX), usize::try_from(index).unwrap_or(usize::MAX))
    }

    /// Forgets the oldest change and returns it.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let segments = Arc::make_mut(&mut self.segments);
        let first = Arc::make_mut(segments.front_mut()?);
        let entry = first.pop_front()?;
        if first.is_empty() {
            segments.pop_front();
        }
        self.oldest += 1;
        self.weight_bytes -= entry.weight_bytes();
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(log: &mut Log) {
        let revision = log.newest().next();
        let change = Change { key: "a".into(), value: Some("1".into()), previous: None, revision };
        log.push(Entry { change: Arc::new(change), before: Revision::ZERO });
    }

    fn check(log: &Log, oldest: u64, newest: u64) {
        assert_eq!((log.oldest().0, log.newest().0, log.len()), (oldest, newest, newest - oldest));
        assert!(log.get(Revision(oldest)).is_none() && log.get(Revision(newest + 1)).is_none());
        for after in [oldest, oldest + 1, (oldest + newest) / 2, newest].into_iter().filter(|after| *after <= newest) {
            let revisions: Vec<u64> = log.after(Revision(after)).map(|entry| entry.change.revision.0).collect();
            assert_eq!(revisions, (after + 1..=newest).collect::<Vec<_>>());
        }
        for revision in oldest + 1..=newest {
            assert_eq!(log.get(Revision(revision)).unwrap().change.revision.0, revision);
        }
    }

    #[test]
    fn keeps_what_lies_between() {
        let mut log = Log::default();
        check(&log, 0, 0);
        for (pushes, pops) in [(1, 0), (511, 0), (0, 1), (1, 511), (1100, 600), (0, 501), (3, 3), (5, 2)] {
            let (oldest, newest) = (log.oldest().0, log.newest().0);
            (0..pushes).for_each(|_| push(&mut log));
            (0..pops).for_each(|_| assert!(log.pop().is_some()));
            check(&log, oldest + pops, newest + pushes);
        }
        let copy = log.clone();
        push(&mut log);
        while log.pop().is_some() {}
        assert_eq!((log.len(), log.weight_bytes()), (0, 0));
        check(&copy, 1618, 1621);
    }
}
