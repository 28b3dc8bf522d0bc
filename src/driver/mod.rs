//! Runs controllers: hears every change once, wakes whom it concerns, and calls them, with retries and back-off.
//!
//! One dispatcher reads the feed and asks each interested controller which of its objects a change wakes; each controller has
//! a queue and a task. A controller that panics loses that one call, not its task.

mod queue;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coracle_controllers::{Context, ErasedController, Error, Next};
use coracle_core::{Event, Gateway, GroupResource, ObjectRef, World};
use futures::stream::{FuturesUnordered, StreamExt as _};
use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::Notify;
use tokio::time::Instant;

use self::queue::{Outcome, Queue};
use crate::parts::Group;

/// Changes the dispatcher takes at once.
const BATCH_MAX: usize = 1_024;
/// Objects a controller works on at once. Built-in planners never wait for anything but commits.
const WORKING_MAX: usize = 16;

/// What a controller has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Its name.
    pub controller: &'static str,
    /// Calls that went well.
    pub good: u64,
    /// Calls that found the world changed under them and were repeated.
    pub stale: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Objects that wait for it now.
    pub waiting: usize,
}

/// The running controllers.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    workers: Vec<Arc<Worker>>,
}

struct Worker {
    controller: Box<dyn ErasedController>,
    queue: Mutex<Queue<ObjectRef>>,
    woken: Notify,
    good: AtomicU64,
    stale: AtomicU64,
    failed: AtomicU64,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.controller.name())
    }
}

impl Driver {
    /// Starts controllers; they run until their group is stopped.
    pub(crate) fn start(
        controllers: Vec<Box<dyn ErasedController>>,
        gateway: &Arc<dyn Gateway>,
        group: &Group,
    ) -> Self {
        let workers: Vec<_> = controllers.into_iter().map(|controller| Arc::new(Worker::new(controller))).collect();
        for worker in &workers {
            let context = Context::new(gateway.clone(), worker.controller.name());
            group.spawn(worker.clone().run(context));
        }
        group.spawn(dispatch(workers.clone(), gateway.clone()));
        Self { workers }
    }

    /// What each controller has done.
    pub(crate) fn metrics(&self) -> Vec<Metrics> {
        self.workers.iter().map(|worker| worker.metrics()).collect()
    }
}

/// Hears every change and wakes whom it concerns.
async fn dispatch(workers: Vec<Arc<Worker>>, gateway: Arc<dyn Gateway>) {
    let interest = Interest::of(&workers);
    loop {
        let (world, mut changes) = gateway.feed().follow(None);
        workers.iter().for_each(|worker| worker.wake_all(&world));
        loop {
            let Ok(events) = changes.next(BATCH_MAX).await else {
                tracing::warn!("the controllers fell behind the changes and look at everything again");
                break;
            };
            let world = gateway.feed().world();
            events.iter().for_each(|event| interest.tell(event, &world));
        }
    }
}

/// Which controllers want to hear of which collections.
struct Interest {
    some: BTreeMap<GroupResource, Vec<Arc<Worker>>>,
    everything: Vec<Arc<Worker>>,
}

impl Interest {
    fn of(workers: &[Arc<Worker>]) -> Self {
        let mut interest = Self { some: BTreeMap::new(), everything: Vec::new() };
        for worker in workers {
            match worker.controller.collections() {
                None => interest.everything.push(worker.clone()),
                Some(collections) => {
                    for collection in collections {
                        interest.some.entry(collection).or_default().push(worker.clone());
                    }
                }
            }
        }
        interest
    }

    fn tell(&self, event: &Event, world: &World) {
        let some = self.some.get(&event.object.kind().storage).into_iter().flatten();
        for worker in some.chain(&self.everything) {
            let mut keys = Vec::new();
            worker.controller.keys(event, world, &mut keys);
            worker.wake(keys);
        }
    }
}

type Call<'a> = BoxFuture<'a, (ObjectRef, Result<Next, Error>)>;

impl Worker {
    fn new(controller: Box<dyn ErasedController>) -> Self {
        Self {
            controller,
            queue: Mutex::default(),
            woken: Notify::new(),
            good: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    fn wake(&self, keys: Vec<ObjectRef>) {
        if !keys.is_empty() {
            let mut queue = self.queue();
            keys.into_iter().for_each(|key| queue.add(key));
            drop(queue);
            self.woken.notify_one();
        }
    }

    fn wake_all(&self, world: &World) {
        let mut keys = Vec::new();
        self.controller.all(world, &mut keys);
        self.wake(keys);
    }

    async fn run(self: Arc<Self>, context: Context) {
        let mut working = FuturesUnordered::new();
        loop {
            while working.len() < WORKING_MAX {
                let Some(key) = self.queue().take(Instant::now()) else { break };
                working.push(self.call(key, &context));
            }
            let due = self.queue().next_due();
            tokio::select! {
                biased;
                Some((key, result)) = working.next() => self.finish(&key, result),
                () = self.woken.notified(), if working.len() < WORKING_MAX => {}
                () = until(due), if working.len() < WORKING_MAX => {}
            }
        }
    }

    fn call<'a>(&'a self, key: ObjectRef, context: &'a Context) -> Call<'a> {
        async move {
            let call = AssertUnwindSafe(self.controller.reconcile(&key, context)).catch_unwind().await;
            let result = call.unwrap_or_else(|panic| Err(Error::other(describe_panic(&*panic))));
            (key, result)
        }
        .boxed()
    }

    fn finish(&self, key: &ObjectRef, result: Result<Next, Error>) {
        let controller = self.controller.name();
        let (outcome, counter) = match result {
            Ok(next) => (Outcome::Good(next), &self.good),
            Err(error) if error.is_stale() => {
                tracing::debug!(controller, %key, %error, "decides again");
                (Outcome::Failed, &self.stale)
            }
            Err(error) => {
                tracing::warn!(controller, %key, %error, "failed and tries again later");
                (Outcome::Failed, &self.failed)
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.queue().done(key, outcome, Instant::now());
    }

    fn metrics(&self) -> Metrics {
        Metrics {
            controller: self.controller.name(),
            good: self.good.load(Ordering::Relaxed),
            stale: self.stale.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            waiting: self.queue().len(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<ObjectRef>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until a time; forever without one.
pub(crate) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The delay until a cluster time; nothing if it has come.
pub(crate) fn delay_until(at: jiff::Timestamp, now: jiff::Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}

fn describe_panic(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the controller panicked: {}", text.unwrap_or_else(|| "without a message".to_owned()))
}
