//! The trait an embedder implements to drive a kind of their own, or a built-in one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coracle_core::{ObjectKey, Resource, Status};

use crate::context::Context;
use crate::watches::Watches;

/// Drives one kind towards what its spec asks. Async, because yours may call the outside world.
///
/// The driver calls it whenever something it watches has changed, never twice at once for the same object, and only when the
/// world shows this controller's own last writes. A call must reach the goal from wherever it starts: nothing is remembered.
#[async_trait]
pub trait Controller: Send + Sync + 'static {
    /// The kind whose objects are reconciled.
    type Kind: Resource;

    /// The name in logs and events, such as `replicaset-controller`.
    fn name(&self) -> &'static str;

    /// What else wakes an object, beside changes of the object itself.
    fn watches(&self, on: &mut Watches<Self::Kind>) {
        let _ = on;
    }

    /// Takes one object a step further.
    ///
    /// # Errors
    /// Any error makes the driver try again later, with growing delay.
    async fn reconcile(&self, object: Arc<Self::Kind>, context: &Context) -> Result<Next, Error>;

    /// The object does not exist, or no longer. Does nothing by default.
    ///
    /// # Errors
    /// Any error makes the driver try again later, with growing delay.
    async fn gone(&self, key: &ObjectKey, context: &Context) -> Result<Next, Error> {
        let _ = (key, context);
        Ok(Next::default())
    }
}

/// When to look at the object again, if nothing wakes it before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// Default: only when something changes.
    pub after: Option<Duration>,
    /// For how long not to look, whatever changes: for objects that cost much to look at. Default: none.
    pub rest: Duration,
}

impl Next {
    /// Look again after a while, even if nothing changes.
    #[must_use]
    pub const fn after(delay: Duration) -> Self {
        Self { after: Some(delay), rest: Duration::ZERO }
    }

    /// Look again only when something changes.
    #[must_use]
    pub const fn on_change() -> Self {
        Self { after: None, rest: Duration::ZERO }
    }
}

/// Why a reconciliation did not get to its end. The driver calls again, later and later.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster is no longer as it was when this was decided: decide again, soon.
    #[error("decided on what has changed since: {0}")]
    Stale(Status),
    /// The cluster refused a request.
    #[error(transparent)]
    Refused(Status),
    /// Anything else that went wrong, inside or outside.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps an error of any kind.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Whether to decide again soon and without alarm: another writer just came first.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        matches!(self, Self::Stale(_))
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        if status.is_conflict() || status.is_not_found() || status.is_already_exists() {
            Self::Stale(status)
        } else {
            Self::Refused(status)
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::other(error)
    }
}
