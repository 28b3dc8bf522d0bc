//! The state of a memory store as a value: no locks, no waiting.

use std::mem;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;

use super::log::{Entry, Log};
use crate::{At, Change, Conflict, Error, Item, Key, KeyRange, Outcome, Page, Result, Revision, Version, Write};

/// The last thing that happened to a key.
#[derive(Debug, Clone)]
struct Head {
    /// `None`: the key was deleted, and there is history left in which it was not.
    value: Option<Bytes>,
    revision: Revision,
}

/// All keys now, and the changes that led here. Cloning takes constant time.
///
/// Older versions live nowhere but in the log: every change holds what it replaced, and so leads to the change before.
/// One key's way, the log compacted at 3 later on:
///
/// ```text
/// log   3: put a=1 (before 0)   5: put a=2 (before 3)   8: delete a (before 5)
/// heads a -> deleted at 8
/// read at 9: deleted   at 7: 8 replaced a=2 of 5   at 4: 5 replaced a=1 of 3   at 2: 3 replaced nothing
/// ```
///
/// When the log forgets the delete at 8, nothing can be read before it any more, and the head goes too.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    heads: OrdMap<Key, Head>,
    pub(super) log: Log,
}

impl State {
    /// Performs one write.
    pub(super) fn write(&mut self, write: Write) -> Outcome {
        let revision = self.log.newest().next();
        let Some(head) = self.heads.get_mut(&write.key) else {
            return self.write_new(write, revision);
        };
        if !write.may_replace(head.value.as_ref().map(|_| head.revision)) {
            return Err(conflict(write, head.value.clone(), head.revision));
        }
        let old = mem::replace(head, Head { value: write.value.clone(), revision });
        let before = old.revision;
        let previous = old.value.map(|value| Version { value, revision: before });
        let change = Change { key: write.key, value: write.value, previous, revision };
        self.log.push(Entry { change: Arc::new(change), before });
        Ok(revision)
    }

    fn write_new(&mut self, write: Write, revision: Revision) -> Outcome {
        if !write.may_replace(None) {
            return Err(conflict(write, None, Revision::ZERO));
        }
        self.heads.insert(write.key.clone(), Head { value: write.value.clone(), revision });
        let change = Change { key: write.key, value: write.value, previous: None, revision };
        self.log.push(Entry { change: Arc::new(change), before: Revision::ZERO });
        Ok(revision)
    }

    /// Forgets the changes up to `before`, and the keys of which nothing can be read any more.
    pub(super) fn compact(&mut self, before: Revision) -> Result<()> {
        self.check_reached(before)?;
        while self.log.oldest() < before {
            self.forget_oldest();
        }
        Ok(())
    }

    /// Forgets the oldest change.
    pub(super) fn forget_oldest(&mut self) {
        let Some(Entry { change, .. }) = self.log.pop() else { return };
        let gone = change.deleted() && self.heads.get(&change.key).is_some_and(|head| head.revision == change.revision);
        if gone {
            self.heads.remove(&change.key);
        }
    }

    /// See [`Store::range`](crate::Store::range).
    pub(super) fn range(&self, range: &KeyRange, at: At, limit: usize) -> Result<Page> {
        let revision = match at {
            At::Latest => self.log.newest(),
            At::Revision(revision) => revision,
        };
        self.check_kept(revision)?;
        if range.is_empty() {
            return Ok(Page { items: Vec::new(), remaining: 0, revision });
        }
        let end = range.end().map_or(Bound::Unbounded, Bound::Excluded);
        let heads = self.heads.range::<_, Key>((Bound::Included(range.start()), end));
        let mut versions = heads.filter_map(|(key, head)| Some((key, self.version(head, revision)?)));
        let item = |(key, (value, revision)): (&Key, (&Bytes, Revision))| Item {
            key: key.clone(),
            value: value.clone(),
            revision,
        };
        let items = versions.by_ref().take(limit).map(item).collect();
        Ok(Page { items, remaining: versions.count() as u64, revision })
    }

    /// What a key held at `revision`. Takes a step for each change to the key since.
    fn version<'a>(&'a self, head: &'a Head, revision: Revision) -> Option<(&'a Bytes, Revision)> {
        let (mut value, mut changed) = (head.value.as_ref(), head.revision);
        while changed > revision {
            let entry = self.log.get(changed)?;
            value = entry.change.previous.as_ref().map(|version| &version.value);
            changed = entry.before;
        }
        value.map(|value| (value, changed))
    }

    /// Fails unless the state at `revision` can be told.
    pub(super) fn check_kept(&self, revision: Revision) -> Result<()> {
        let oldest = self.log.oldest();
        if revision < oldest {
            return Err(Error::Compacted { asked: revision, oldest });
        }
        self.check_reached(revision)
    }

    fn check_reached(&self, revision: Revision) -> Result<()> {
        let newest = self.log.newest();
        if revision > newest { Err(Error::Ahead { asked: revision, newest }) } else { Ok(()) }
    }

    /// How many keys there are, deleted ones that can still be read included.
    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.heads.len()
    }
}

fn conflict(write: Write, value: Option<Bytes>, revision: Revision) -> Conflict {
    Conflict { key: write.key, expected: write.expect, actual: value.map(|value| Version { value, revision }) }
}
