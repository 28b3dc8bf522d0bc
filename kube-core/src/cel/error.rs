//! Why an expression has no value.

use std::borrow::Cow;

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The expression is wrong for the values it met: `no such key: x`, `no such overload`, `divide by zero`.
    #[error("{0}")]
    Failed(Cow<'static, str>),
    /// Evaluation cost more than it may.
    #[error("operation cancelled: actual cost limit exceeded")]
    TooExpensive,
}

impl Error {
    /// A failure in these words.
    pub fn failed(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Failed(why.into())
    }

    pub(super) fn no_such_key(key: impl std::fmt::Display) -> Self {
        Self::failed(format!("no such key: {key}"))
    }

    pub(super) fn no_such_overload() -> Self {
        Self::failed("no such overload")
    }
}
