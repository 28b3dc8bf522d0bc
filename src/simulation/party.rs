//! One part of the cluster behind a line of its own: it hears late, may be cut off, and may be stopped between any two requests.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use coracle_core::{Clock, Entropy, Feed, Gateway, Happening, Request, Response, Revision, Status};
use tokio::sync::Notify;

use super::replica::Replica;

/// A gateway with a bad line.
pub(super) struct Party {
    inner: Arc<dyn Gateway>,
    replica: Replica,
    chance: Arc<Entropy>,
    lag: Duration,
    /// Requests until the part is stopped; `None` for as many as it likes.
    left: Mutex<Option<usize>>,
    asked: AtomicUsize,
    stopped: Arc<Notify>,
    connected: AtomicBool,
    /// Wakes in the order of waiting, which a `watch` channel does not.
    mended: Notify,
}

impl Party {
    /// A line on which changes take up to `lag`. `stopped` is told when the requests of [`Party::stop_after`] are used up.
    pub(super) fn new(inner: &Arc<dyn Gateway>, chance: &Arc<Entropy>, lag: Duration, stopped: &Arc<Notify>) -> Self {
        Self {
            replica: Replica::of(inner.feed()),
            inner: inner.clone(),
            chance: chance.clone(),
            lag,
            left: Mutex::new(None),
            asked: AtomicUsize::new(0),
            stopped: stopped.clone(),
            connected: AtomicBool::new(true),
            mended: Notify::new(),
        }
    }

    /// Lets so many more requests through; then the part hears no answer any more, and is to be ended.
    pub(super) fn stop_after(&self, requests: usize) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(requests);
    }

    /// Cuts the line, or mends it.
    pub(super) fn connect(&self, connected: bool) {
        self.connected.store(connected, Ordering::Relaxed);
        if connected {
            self.mended.notify_waiters();
        }
    }

    /// Makes every reader that is behind look at everything again.
    pub(super) fn forget(&self) {
        self.replica.feed().forget();
    }

    /// Carries changes over the line, forever.
    pub(super) async fn pump(self: Arc<Self>) {
        let (_, mut news) = self.inner.feed().follow(None);
        loop {
            let _lost_or_not = news.next(usize::MAX).await;
            let late = u64::try_from(self.lag.as_millis()).unwrap_or(u64::MAX);
            // Most changes come at once.
            if late > 0 && self.chance.below(4) == 0 {
                tokio::time::sleep(Duration::from_millis(self.chance.below(late))).await;
            }
            self.mended().await;
            self.replica.catch_up(self.inner.feed().world().revision());
        }
    }

    fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    async fn mended(&self) {
        while !self.is_connected() {
            self.mended.notified().await;
        }
    }

    /// Requests so far.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many of so many requests may go, and whether the part ends with them.
    fn let_through(&self, wanted: usize) -> (usize, bool) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(allowed) = *left else { return (wanted, false) };
        *left = Some(allowed.saturating_sub(wanted));
        (wanted.min(allowed), wanted >= allowed)
    }
}

#[async_trait]
impl Gateway for Party {
    async fn execute(&self, request: Request) -> Result<Response, Status> {
        let answer = self.execute_all(vec![request]).await.pop();
        answer.unwrap_or_else(|| Err(Status::internal("no answer")))
    }

    async fn execute_all(&self, mut requests: Vec<Request>) -> Vec<Result<Response, Status>> {
        if requests.is_empty() {
            return Vec::new();
        }
        let wanted = requests.len();
        let lost = |_| Err(Status::internal("simulated: the connection was lost"));
        if !self.is_connected() {
            self.mended().await;
            return (0..wanted).map(lost).collect();
        }
        let (allowed, ends) = self.let_through(wanted);
        self.asked.fetch_add(allowed, Ordering::Relaxed);
        requests.truncate(allowed);
        let answers = self.inner.execute_all(requests).await;
        if ends {
            self.stopped.notify_one();
            return std::future::pending().await;
        }
        if !self.is_connected() {
            self.mended().await;
            return (0..wanted).map(lost).collect();
        }
        let objects = answers.iter().flatten().filter_map(|answer| answer.object.as_ref());
        let newest = objects.map(|object| object.revision()).max().unwrap_or(Revision::ZERO);
        // The world has the effect of a request when its answer is there: also at the end of this line.
        self.replica.catch_up(newest);
        answers
    }

    fn feed(&self) -> &Arc<Feed> {
        self.replica.feed()
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        self.inner.clock()
    }

    fn entropy(&self) -> &Arc<Entropy> {
        self.inner.entropy()
    }

    fn record(&self, happening: Happening) {
        self.inner.record(happening);
    }
}
