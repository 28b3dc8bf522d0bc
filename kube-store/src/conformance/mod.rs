//! The checks every store passes: the contract of [`Store`], executable.
//!
//! Each check is a function over an empty store of its own. It asserts what the contract says and returns the store's own
//! errors. Nothing here needs a runtime or a clock: waiting means waiting for a change that must come.
//!
//! ```
//! # use std::sync::Arc;
//! use coracle_store::{Memory, Store, conformance};
//!
//! let fresh = async || Arc::new(Memory::default()) as Arc<dyn Store>;
//! futures::executor::block_on(conformance::run(fresh)).unwrap();
//! ```

mod changes;
mod reads;
mod writes;

use std::sync::Arc;

use futures::future::BoxFuture;

pub use self::changes::*;
pub use self::reads::*;
pub use self::writes::*;
use crate::{At, Change, Changes, Error, KeyRange, Outcome, Result, Revision, Store, Write};

/// A check. Panics if the store breaks the contract, fails if the store fails. The store is empty, and its own.
pub type Check = for<'a> fn(&'a dyn Store) -> BoxFuture<'a, Result<()>>;

macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        /// Every check, by name.
        pub const CHECKS: &[(&str, Check)] = &[$((stringify!($name), |store| Box::pin($name(store)))),*];
    };
}

checks! {
    revisions_grow, expectations, outcomes_stand_alone, empty_batch, deletes_and_creations, odd_keys, large_values,
    dropped_commits, ranges, pages_at_one_revision, old_revisions, compaction, unreachable_revisions, changes_tell_all,
    changes_from_any_revision, readers_wait, dropped_waits, concurrent_writers, slow_readers, many_readers,
}

/// Runs every check, each against a store that `fresh` makes, new and empty.
///
/// Panics at the first broken promise, the check's name printed; fails with the check's name if the store fails.
pub async fn run<F: AsyncFn() -> Arc<dyn Store>>(fresh: F) -> Result<(), Failure> {
    for (check, run) in CHECKS {
        let named = NamePanic(check);
        run(&*fresh().await).await.map_err(|error| Failure { check, error })?;
        drop(named);
    }
    Ok(())
}

/// The store failed during a check.
#[derive(Debug, thiserror::Error)]
#[error("conformance check {check} could not run")]
pub struct Failure {
    /// The check's name.
    pub check: &'static str,
    /// The store's error.
    #[source]
    pub error: Error,
}

struct NamePanic(&'static str);

impl Drop for NamePanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("conformance check failed: {}", self.0);
        }
    }
}

/// Commits one write.
async fn commit(store: &dyn Store, write: Write) -> Result<Outcome> {
    let mut outcomes = store.commit(vec![write]).await?;
    assert_eq!(outcomes.len(), 1, "one outcome per write");
    outcomes.pop().ok_or(Error::Closed)
}

/// Commits writes that must all succeed, and returns their revisions.
async fn commit_all(store: &dyn Store, writes: Vec<Write>) -> Result<Vec<Revision>> {
    let count = writes.len();
    let outcomes = store.commit(writes).await?;
    assert_eq!(outcomes.len(), count, "one outcome per write");
    let conflict = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
    assert_eq!(conflict, None, "no write has reason to conflict");
    Ok(outcomes.into_iter().filter_map(Result::ok).collect())
}

/// Commits a write that must succeed.
async fn succeed(store: &dyn Store, write: Write) -> Result<Revision> {
    Ok(commit_all(store, vec![write]).await?.into_iter().fold(Revision::ZERO, Revision::max))
}

/// Keys and values of a range, as text.
async fn content(store: &dyn Store, range: KeyRange, at: At) -> Result<Vec<(String, String)>> {
    let page = store.range(range, at, usize::MAX).await?;
    assert_eq!(page.remaining, 0, "nothing remains without a limit");
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Ok(page.items.iter().map(|item| (text(item.key.as_bytes()), text(&item.value))).collect())
}

/// Reads on until the change made at `last`, which must be in the reader's range.
async fn read_to(changes: &mut Changes, last: Revision) -> Result<Vec<Arc<Change>>> {
    let mut read: Vec<Arc<Change>> = Vec::new();
    while read.last().is_none_or(|change| change.revision < last) {
        let batch = changes.next().await?;
        assert!(!batch.is_empty(), "no batch is empty");
        read.extend(batch);
    }
    assert!(read.is_sorted_by(|a, b| a.revision < b.revision), "changes come in order, each once");
    assert_eq!(read.last().map(|change| change.revision), Some(last), "nothing comes that was not committed");
    Ok(read)
}
