//! Who is ready to write at the same moment writes together: one commit, one new world, one wake of everyone who listens.
//!
//! The first writer opens a group and lets all tasks that are ready have their turn; those that come to write meanwhile join
//! it. A lone writer pays one trip through the runtime for this, and ten thousand nodes that hear of their pods at once publish
//! ten worlds instead of ten thousand. Databases call it group commit, and share a flush of the disk so.

use std::future::{Future as _, poll_fn};
use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use futures::task::AtomicWaker;

use super::ledger::{Draft, Outcome};

/// Drafts after which a group takes in no more. One writer's own drafts are never parted.
const GROUP_DRAFTS_MAX: usize = 1_024;

/// The commit of a group: whoever of its writers is polled drives it, so that it goes on when any of them gives up.
pub(super) type Commit = Shared<BoxFuture<'static, Arc<[Outcome]>>>;

/// The drafts of a group; `None` once it is closed.
pub(super) type Drafts = Arc<Mutex<Option<Vec<Draft>>>>;

/// The group that can still be joined. It lives as long as a writer of it does.
#[derive(Default)]
pub(super) struct Door(Mutex<Option<Open>>);

struct Open {
    drafts: Drafts,
    commit: WeakShared<BoxFuture<'static, Arc<[Outcome]>>>,
}

impl Door {
    /// Joins the open group, or opens one that `commit` will write. Says which of its outcomes are of these drafts.
    pub(super) fn join(
        &self,
        mut drafts: Vec<Draft>,
        commit: impl FnOnce(Drafts) -> BoxFuture<'static, Arc<[Outcome]>>,
    ) -> (Commit, Range<usize>) {
        let mut open = lock(&self.0);
        if let Some(group) = &*open
            && let Some(commit) = group.commit.upgrade()
            && let Some(waiting) = &mut *lock(&group.drafts)
            && waiting.len() < GROUP_DRAFTS_MAX
        {
            let first = waiting.len();
            waiting.append(&mut drafts);
            return (commit, first..waiting.len());
        }
        let all = 0..drafts.len();
        let drafts = Arc::new(Mutex::new(Some(drafts)));
        let commit = commit(drafts.clone()).shared();
        *open = commit.downgrade().map(|commit| Open { drafts, commit });
        (commit, all)
    }
}

/// Passes when all tasks that are ready have had their turn, however often it is asked before: each writer that joins asks.
pub(super) async fn turn_of_the_others() {
    let turn = Arc::new(Turn::default());
    let waker = Waker::from(turn.clone());
    // The runtime wakes who yields after those that are ready. Its own future would pass as soon as it is asked again.
    let _comes_later = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&waker));
    poll_fn(|context| {
        turn.waiting.register(context.waker());
        if turn.has_come.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[derive(Default)]
struct Turn {
    has_come: AtomicBool,
    waiting: AtomicWaker,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.has_come.store(true, Ordering::Release);
        self.waiting.wake();
    }
}

/// Closes a group: what it has gathered.
pub(super) fn close(drafts: &Drafts) -> Vec<Draft> {
    lock(drafts).take().unwrap_or_default()
}

/// Nothing under these locks can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
