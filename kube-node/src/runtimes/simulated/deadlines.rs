//! One timer for all siblings: deadlines in order, and one task that sleeps until the next one while there is any.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// When something happens; the number keeps those of one instant apart, in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deadline(Instant, u64);

impl Deadline {
    /// So long from now.
    pub(super) fn after(time: Duration) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        /// A century: farther away than any simulation, near enough to be added to any instant.
        const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        Self(Instant::now() + time.min(FAR), MADE.fetch_add(1, Ordering::Relaxed))
    }
}

type Fire = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(super) struct Deadlines {
    waiting: Mutex<Waiting>,
    earlier: Notify,
}

#[derive(Default)]
struct Waiting {
    queue: BTreeMap<Deadline, Fire>,
    /// Whether there is a task that sleeps.
    sleeping: bool,
}

impl Deadlines {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(self: &Arc<Self>, deadline: Deadline, fire: Fire) {
        let mut waiting = self.waiting();
        waiting.queue.insert(deadline, fire);
        let first = waiting.queue.first_key_value().is_some_and(|(first, _)| *first == deadline);
        if !std::mem::replace(&mut waiting.sleeping, true) {
            tokio::spawn(Sleeper { deadlines: Arc::clone(self), done: false }.sleep());
        } else if first {
            self.earlier.notify_one();
        }
    }

    pub(super) fn cancel(&self, deadline: Deadline) {
        self.waiting().queue.remove(&deadline);
    }

    /// What is due, or when something will be; `None` if nothing ever will: then no task sleeps.
    fn due(&self) -> Option<Result<Fire, Instant>> {
        let mut waiting = self.waiting();
        let Some(Deadline(at, _)) = waiting.queue.first_key_value().map(|(deadline, _)| *deadline) else {
            waiting.sleeping = false;
            return None;
        };
        if at > Instant::now() {
            return Some(Err(at));
        }
        waiting.queue.pop_first().map(|(_, fire)| Ok(fire))
    }
}

/// The sleeping task. If its tokio runtime ends before it does, the next deadline starts another.
struct Sleeper {
    deadlines: Arc<Deadlines>,
    done: bool,
}

impl Sleeper {
    async fn sleep(mut self) {
        while let Some(due) = self.deadlines.due() {
            match due {
                Ok(fire) => fire(),
                Err(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.deadlines.earlier.notified() => {}
                },
            }
        }
        // It said itself that it stops sleeping, and another may sleep by now.
        self.done = true;
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if !self.done {
            self.deadlines.waiting().sleeping = false;
        }
    }
}
