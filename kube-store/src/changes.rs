//! A reader's place in the history.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::{Change, Error, Result};

/// Changes that were ready together, in order. Never empty. All readers share each change.
pub type Batch = Vec<Arc<Change>>;

/// Where changes come from: what a store implements to be read.
pub trait ChangeSource: Send {
    /// The next changes, or `Pending` if none is ready.
    ///
    /// With a waker, `Pending` promises to wake it (and may forget an earlier one) once the answer is another. Without
    /// one, the waker given last stays in place: someone else may be waiting for it.
    fn poll(&mut self, waker: Option<&Waker>) -> Poll<Result<Batch>>;
}

/// Every change in a range after a revision: in order, none twice, none missing. Never ends but by an error, which is
/// then its answer forever.
///
/// A reader pulls, at its own pace: alone and synchronously with [`try_next`](Self::try_next), so that whoever committed
/// can pass the change on without a task switch, or waiting with [`next`](Self::next). Dropping it leaves nothing behind.
pub struct Changes {
    source: Box<dyn ChangeSource>,
    failed: Option<Error>,
}

impl Changes {
    /// A reader of `source`.
    pub fn new(source: impl ChangeSource + 'static) -> Self {
        Self { source: Box::new(source), failed: None }
    }

    /// The changes that are ready now; `None` if there are none. Leaves a waiting [`poll_next`](Self::poll_next) waiting.
    pub fn try_next(&mut self) -> Result<Option<Batch>> {
        match self.poll(None) {
            Poll::Ready(batch) => batch.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// The next changes, once there are some. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Batch> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The next changes, or `Pending`; the task is then woken when there are some.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Batch>> {
        self.poll(Some(context.waker()))
    }

    fn poll(&mut self, waker: Option<&Waker>) -> Poll<Result<Batch>> {
        if let Some(error) = &self.failed {
            return Poll::Ready(Err(error.clone()));
        }
        self.source.poll(waker).map_err(|error| self.failed.insert(error).clone())
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").field("failed", &self.failed).finish_non_exhaustive()
    }
}
