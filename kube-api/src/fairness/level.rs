//! One priority level at work: its decisions behind a lock that is never held while anybody waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::demand::Demand;
use super::queues::{Queues, Refusal, Request, Shape};
use super::retry_after::RetryAfter;
use super::shares::{Bounds, Claim};
use super::tally::Tally;
use super::work::Work;

/// A priority level.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) name: Arc<str>,
    pub(super) is_exempt: bool,
    began: Instant,
    state: Mutex<State>,
}

/// What a level knows.
#[derive(Debug)]
pub(super) struct State {
    pub(super) queues: Queues<Ticket>,
    pub(super) demand: Demand,
    pub(super) bounds: Bounds,
    pub(super) retry_after: RetryAfter,
    /// What happened, by FlowSchema.
    pub(super) tallies: BTreeMap<Arc<str>, Tally>,
}

/// What a level keeps of a request.
#[derive(Debug)]
pub(super) struct Ticket {
    /// The name of the FlowSchema it matched.
    pub(super) schema: Arc<str>,
    pub(super) is_watch: bool,
    pub(super) writes: bool,
    /// Wakes it when it has its seats.
    wake: Option<oneshot::Sender<()>>,
}

impl Ticket {
    pub(super) fn new(schema: Arc<str>, is_watch: bool, writes: bool) -> Self {
        Self { schema, is_watch, writes, wake: None }
    }
}

/// The seats of a request, or its place in a queue; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    level: Arc<Level>,
    id: u64,
}

/// Whom to wake once the lock is free.
#[must_use]
struct Woken(Vec<oneshot::Sender<()>>);

impl Woken {
    fn wake(self) {
        for one in self.0 {
            // Who is gone gives its seats back as it goes.
            let _heard = one.send(());
        }
    }
}

impl Level {
    pub(super) fn new(name: Arc<str>, shape: Shape, now: Instant) -> Arc<Self> {
        let state = State {
            queues: Queues::new(shape, 0, now),
            demand: Demand::new(now),
            bounds: Bounds::default(),
            retry_after: RetryAfter::default(),
            tallies: BTreeMap::new(),
        };
        Arc::new(Self { name, is_exempt: shape == Shape::Exempt, began: now, state: Mutex::new(state) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock only means that another thread panicked between two complete steps.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something, and gives the seats that are free then to those who wait.
    fn act<R>(&self, now: Instant, action: impl FnOnce(&mut State) -> R) -> R {
        let (done, woken) = {
            let mut state = self.lock();
            let done = action(&mut state);
            (done, state.settle(now))
        };
        woken.wake();
        done
    }

    pub(super) fn reshape(&self, shape: Shape, bounds: Bounds, now: Instant) {
        self.act(now, |state| {
            state.queues.reshape(shape, now);
            state.bounds = bounds;
        });
    }

    pub(super) fn set_limit(&self, seats: usize, now: Instant) {
        self.act(now, |state| state.queues.set_limit(seats, now));
    }

    /// Ends a period of lending; tells what the level needed in it.
    pub(super) fn claim(&self, now: Instant) -> Claim {
        let mut state = self.lock();
        let past = state.demand.end_period(now);
        Claim { bounds: state.bounds, is_exempt: self.is_exempt, high: past.high, smoothed: past.smoothed }
    }

    /// Takes in a request. It has its seats, or waits until it hears of them.
    pub(super) fn arrive(
        self: &Arc<Self>,
        flow: u64,
        work: Work,
        ticket: Ticket,
        now: Instant,
    ) -> Result<(Seat, Option<oneshot::Receiver<()>>), Refusal> {
        let mut state = self.lock();
        let schema = ticket.schema.clone();
        let arrived = state.queues.arrive(flow, work, ticket, now);
        let id = arrived.inspect_err(|refusal| state.tally(&schema).reject(*refusal))?;
        if state.skips_queues(id, now) {
            return Ok((Seat { level: self.clone(), id }, None));
        }
        let woken = state.settle(now);
        let waiting = state.queues.request_mut(id).filter(|request| request.began.is_none());
        let waits = waiting.map(|request| {
            let (wake, waits) = oneshot::channel();
            request.ticket.wake = Some(wake);
            waits
        });
        drop(state);
        woken.wake();
        Ok((Seat { level: self.clone(), id }, waits))
    }

    /// Takes out a request; if `only_waiting`, not one that has its seats. Tells whether it did.
    fn leave(self: &Arc<Self>, id: u64, only_waiting: bool) -> bool {
        let now = Instant::now();
        let gone = self.act(now, |state| {
            let has_seats = state.queues.request_mut(id)?.began.is_some();
            if has_seats && only_waiting {
                return None;
            }
            let gone = state.queues.leave(id, now)?;
            note_gone(&mut state.tallies, &gone, now);
            Some(gone)
        });
        let Some(gone) = gone else { return false };
        if gone.began.is_some() && !gone.work.linger.is_zero() {
            self.linger(gone.work);
        }
        true
    }

    /// Watchers are told after the answer: the seats are free when that is done.
    fn linger(self: &Arc<Self>, work: Work) {
        let level = self.clone();
        let release = move || {
            let now = Instant::now();
            level.act(now, |state| state.queues.release(work.seats_max(), now));
        };
        // Without a runtime nobody waits any more.
        let Ok(runtime) = Handle::try_current() else { return release() };
        runtime.spawn(async move {
            tokio::time::sleep(work.linger).await;
            release();
        });
    }

    /// Seconds after which a refused request should come back.
    pub(super) fn retry_after(&self, now: Instant) -> u64 {
        let second = now.saturating_duration_since(self.began).as_secs();
        self.lock().retry_after.refuse(second)
    }
}

impl State {
    fn tally(&mut self, schema: &Arc<str>) -> &mut Tally {
        self.tallies.entry(schema.clone()).or_default()
    }

    /// Whether a request began as it came: then nobody else does.
    fn skips_queues(&mut self, id: u64, now: Instant) -> bool {
        let Self { queues, tallies, .. } = self;
        let Some(request) = queues.request_mut(id).filter(|request| request.began.is_some()) else { return false };
        note_began(tallies, request);
        self.demand.set(self.queues.demand(), now);
        true
    }

    /// Gives free seats to those who wait.
    fn settle(&mut self, now: Instant) -> Woken {
        let mut woken = Vec::new();
        let Self { queues, tallies, .. } = self;
        queues.dispatch(now, |request| {
            note_began(tallies, request);
            woken.extend(request.ticket.wake.take());
        });
        self.demand.set(self.queues.demand(), now);
        Woken(woken)
    }
}

fn note_began(tallies: &mut BTreeMap<Arc<str>, Tally>, request: &Request<Ticket>) {
    let tally = tallies.entry(request.ticket.schema.clone()).or_default();
    tally.begin(request.work, request.began.map(|began| began.saturating_duration_since(request.arrived)));
}

fn note_gone(tallies: &mut BTreeMap<Arc<str>, Tally>, request: &Request<Ticket>, now: Instant) {
    let tally = tallies.entry(request.ticket.schema.clone()).or_default();
    match request.began {
        Some(began) => tally.end(request.ticket.is_watch, now.saturating_duration_since(began)),
        None => {
            tally.reject(Refusal::TimeOut);
            tally.give_up(now.saturating_duration_since(request.arrived));
        }
    }
}

impl Seat {
    /// Gives up waiting; tells whether the request had no seats yet.
    pub(super) fn expire(&self) -> bool {
        self.level.leave(self.id, true)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.level.leave(self.id, false);
    }
}
