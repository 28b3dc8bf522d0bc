//! The store's contract and its words.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Changes, Conflict, Key, KeyRange, Result, Revision};

/// An ordered, versioned key-value log. Bring your own: run [`conformance`](crate::conformance) against it.
///
/// Writes are independent: there is no transaction over several keys. Kubernetes never needs one (each of its writes is
/// a compare-and-swap of one object), every object needs a resourceVersion of its own so that a watch can resume between
/// any two changes, and one write maps to the one shape of transaction that etcd serves to API servers. What batches are
/// for is durability: many writes, one trip to the disk.
///
/// A `commit` future that is dropped before it is ready has committed all of its batch or nothing of it, and has settled
/// which before a later `commit` answers.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The keys in `range` as they stood `at` a revision, in key order, at most `limit` of them.
    ///
    /// Further pages are read at the first one's revision, from [`KeyRange::after`] its last key. A limit of zero counts.
    /// Fails with `Compacted` or `Ahead` if that revision cannot be read.
    async fn range(&self, range: KeyRange, at: At, limit: usize) -> Result<Page>;

    /// Every write stands alone: in order, each takes a new revision, greater than all before, or fails by itself and
    /// changes nothing. The batch is made durable together. One outcome per write, in the order of `writes`.
    ///
    /// Fails only if the store itself does; then nothing may be assumed of any write in the batch.
    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Outcome>>;

    /// Every change in `range` after `after`: in order, none twice, none missing.
    ///
    /// Fails with `Compacted` if history that old is gone: at once, or later if the reader falls behind compaction.
    /// A reader that has taken all changes in its range is never behind. Fails with `Ahead` if `after` is ahead.
    fn changes(&self, range: KeyRange, after: Revision) -> Result<Changes>;

    /// Forgets history before `before`; older reads then fail with `Compacted`. What stands at `before` stays readable.
    ///
    /// History that is already forgotten may be forgotten again. Fails with `Ahead` if `before` is ahead.
    async fn compact(&self, before: Revision) -> Result<()>;

    /// The newest revision: at least that of every commit that was answered before.
    async fn revision(&self) -> Result<Revision> {
        Ok(self.range(KeyRange::all(), At::Latest, 0).await?.revision)
    }
}

/// What became of one write: its revision, or why it changed nothing.
pub type Outcome = Result<Revision, Conflict>;

/// Which state of the store to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The newest, with all that was committed before the read began.
    Latest,
    /// As it stood right after this revision.
    Revision(Revision),
}

/// A value, and the revision at which it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The value.
    pub value: Bytes,
    /// The revision of the write.
    pub revision: Revision,
}

/// A key that is present, and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Bytes,
    /// The revision of the last write to the key.
    pub revision: Revision,
}

/// Some of a range's items, at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In key order.
    pub items: Vec<Item>,
    /// How many more items the range holds, beyond these. Counting them takes a store time: page with generous limits.
    pub remaining: u64,
    /// The revision read at: here the changes to these items begin, and here further pages are read.
    pub revision: Revision,
}

/// One change to one key, if it is as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: Key,
    /// The new value; `None` deletes the key.
    pub value: Option<Bytes>,
    /// What must hold of the key for the write to happen.
    pub expect: Expect,
}

impl Write {
    /// Sets `key` to `value`, whatever it holds.
    pub fn put(key: impl Into<Key>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: Some(value.into()), expect: Expect::Anything }
    }

    /// Deletes `key`, if present.
    pub fn delete(key: impl Into<Key>) -> Self {
        Self { key: key.into(), value: None, expect: Expect::Present }
    }

    /// The same write under an expectation.
    #[must_use]
    pub fn expecting(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }

    /// Whether the write may happen to a key last written at `actual` (`None`: absent).
    ///
    /// There is nothing to delete of an absent key, so a delete fails on it whatever it expects: each write that
    /// succeeds is exactly one change.
    pub fn may_replace(&self, actual: Option<Revision>) -> bool {
        match (self.expect, actual) {
            (_, None) if self.value.is_none() => false,
            (Expect::Anything, _) | (Expect::Absent, None) | (Expect::Present, Some(_)) => true,
            (Expect::Revision(expected), Some(actual)) => expected == actual,
            (Expect::Absent, Some(_)) | (Expect::Present | Expect::Revision(_), None) => false,
        }
    }
}

/// What a write expects of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Present or absent, all the same.
    Anything,
    /// Not there: create it.
    Absent,
    /// There, at whatever revision.
    Present,
    /// Last written at this revision.
    Revision(Revision),
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str("anything to delete"),
            Self::Absent => f.write_str("it to be absent"),
            Self::Present => f.write_str("it to be present"),
            Self::Revision(revision) => write!(f, "revision {revision}"),
        }
    }
}

/// One entry of the log: `key` went from `previous` to `value` at `revision`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key that changed.
    pub key: Key,
    /// The new value; `None` if the key was deleted.
    pub value: Option<Bytes>,
    /// What the key held before; `None` if it was absent. So readers can say what was deleted.
    pub previous: Option<Version>,
    /// The revision of this change.
    pub revision: Revision,
}

impl Change {
    /// Whether the key was absent before.
    pub fn created(&self) -> bool {
        self.previous.is_none()
    }

    /// Whether the key is absent now.
    pub fn deleted(&self) -> bool {
        self.value.is_none()
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for Arc<S> {
    async fn range(&self, range: KeyRange, at: At, limit: usize) -> Result<Page> {
        (**self).range(range, at, limit).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Outcome>> {
        (**self).commit(writes).await
    }

    fn changes(&self, range: KeyRange, after: Revision) -> Result<Changes> {
        (**self).changes(range, after)
    }

    async fn compact(&self, before: Revision) -> Result<()> {
        (**self).compact(before).await
    }

    async fn revision(&self) -> Result<Revision> {
        (**self).revision().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expect: Expect, put: [bool; 3], delete: [bool; 3]) {
        let states = [None, Some(Revision(1)), Some(Revision(2))];
        let write = Write::put("a", "1").expecting(expect);
        assert_eq!(states.map(|actual| write.may_replace(actual)), put, "put, {expect:?}");
        let write = Write::delete("a").expecting(expect);
        assert_eq!(states.map(|actual| write.may_replace(actual)), delete, "delete, {expect:?}");
    }

    /// Of a key that is absent, at revision 1, at revision 2.
    #[test]
    fn expectations() {
        check(Expect::Anything, [true, true, true], [false, true, true]);
        check(Expect::Present, [false, true, true], [false, true, true]);
        check(Expect::Absent, [true, false, false], [false, false, false]);
        check(Expect::Revision(Revision(1)), [false, true, false], [false, true, false]);
    }
}
