//! What goes wrong, and what the caller does next.

use std::sync::Arc;

use crate::{Expect, Key, Revision, Version};

/// The result of asking a store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The store did not answer the question.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// History that old is gone: read the range at its latest, then follow changes from that page's revision.
    #[error("revision {asked} is compacted, the oldest kept is {oldest}")]
    Compacted {
        /// What the caller asked for.
        asked: Revision,
        /// The oldest revision that can still be read.
        oldest: Revision,
    },
    /// The store has not come that far. Only another store can have given out this revision: start over from a range.
    #[error("revision {asked} is ahead of the store, the newest is {newest}")]
    Ahead {
        /// What the caller asked for.
        asked: Revision,
        /// The newest revision there is.
        newest: Revision,
    },
    /// The store was shut down: stop.
    #[error("the store is closed")]
    Closed,
    /// The store is broken or out of reach. What was being written may or may not be there: read before writing again.
    #[error("the store failed")]
    Broken(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A broken store, by its cause.
    pub fn broken(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Broken(Arc::from(cause.into()))
    }
}

/// A write's expectation did not hold, so it changed nothing: decide again, from `actual`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {}, the write expects {expected}", describe(actual.as_ref()))]
pub struct Conflict {
    /// The key that was to be written.
    pub key: Key,
    /// What the write expected. A delete that expects anything expects its key to be present.
    pub expected: Expect,
    /// What the key holds: `None` if it is absent.
    pub actual: Option<Version>,
}

fn describe(actual: Option<&Version>) -> String {
    actual.map_or_else(|| "absent".to_owned(), |version| format!("at revision {}", version.revision))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_carry_the_numbers() {
        let compacted = Error::Compacted { asked: Revision(3), oldest: Revision(7) };
        assert_eq!(compacted.to_string(), "revision 3 is compacted, the oldest kept is 7");
        let mut conflict = Conflict { key: "/a".into(), expected: Expect::Revision(Revision(5)), actual: None };
        assert_eq!(conflict.to_string(), "/a is absent, the write expects revision 5");
        conflict.actual = Some(Version { value: "1".into(), revision: Revision(7) });
        conflict.expected = Expect::Absent;
        assert_eq!(conflict.to_string(), "/a is at revision 7, the write expects it to be absent");
    }

    #[test]
    fn a_broken_store_keeps_its_cause() {
        let error = Error::broken(std::io::Error::other("disk full"));
        assert_eq!(std::error::Error::source(&error).map(ToString::to_string), Some("disk full".to_owned()));
    }
}
