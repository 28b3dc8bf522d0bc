//! Priority and fairness: no client starves another, whatever it asks.
//!
//! A request goes to the priority level that its FlowSchema names. Each level has seats of its own; where they are taken,
//! requests wait in queues that share the seats evenly, and each flow (a user, a namespace) is dealt a few of the queues.
//!
//! | module | what it holds |
//! |---|---|
//! | `schemas`, `hand` | which schema a request matches, which queues its flow is dealt |
//! | `queues` | who begins, waits or is refused |
//! | `shares`, `demand` | how many seats each level has |
//! | `work`, `watches` | how many seats a request takes |
//! | `config`, `level` | the objects made ready; a level behind its lock |
//! | `defaults`, [`keep`] | what every server has; the task that keeps it, and tells of dangling schemas |
//! | `tally`, `retry_after`, `tell` | numbers; when to come back; `/metrics` and `/debug/api_priority_and_fairness` |
//!
//! All but `level` and this module are plain functions and values. Source: `apiserver/pkg/util/flowcontrol`, KEP-1040.

mod config;
mod defaults;
mod demand;
mod hand;
pub mod keep;
mod level;
mod queues;
mod retry_after;
mod schemas;
mod shares;
mod tally;
mod tell;
#[cfg(test)]
mod tests;
mod watches;
mod work;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use coracle_core::{User, World};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use self::config::Config;
pub(crate) use self::config::Marks;
use self::demand::PERIOD;
pub(crate) use self::level::Seat;
use self::level::Ticket;
use self::watches::Watches;
pub(crate) use self::watches::Watching;
use crate::http::query::Query;
use crate::http::request_info::RequestInfo;

/// The longest that a request may wait, whatever its client grants. Source: `getRequestWaitContext`.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Divides the attention of a server. Shared by the server and the task that follows the objects ([`keep::run`]).
#[derive(Debug)]
pub struct Fairness {
    seats: usize,
    config: ArcSwap<Config>,
    watches: Arc<Watches>,
    began: Instant,
    /// When levels lend anew, in milliseconds since it began.
    due_milliseconds: AtomicU64,
    /// Held while limits change, never while anybody waits.
    changing: Mutex<()>,
}

/// What fairness looks at.
pub(crate) struct Arrival<'a> {
    pub(crate) user: &'a User,
    pub(crate) info: &'a RequestInfo,
    pub(crate) query: &'a Query,
    pub(crate) world: &'a World,
}

/// A request that may go on.
pub(crate) struct Admitted {
    pub(crate) marks: Marks,
    /// Kept until the answer was sent; by a watch until it was told what is there.
    pub(crate) seat: Seat,
    /// Kept by a watch for as long as it lasts.
    pub(crate) watching: Option<Watching>,
}

/// A request that may not.
pub(crate) struct Refused {
    pub(crate) marks: Marks,
    /// When to come back.
    pub(crate) seconds: u64,
}

impl Fairness {
    /// Divides so many seats: requests at a time that are not exempt, where most take one seat. Until it hears of objects
    /// there are the two levels that every server has.
    #[must_use]
    pub fn new(seats: usize) -> Self {
        let fairness = Self {
            seats,
            config: ArcSwap::default(),
            watches: Arc::default(),
            began: Instant::now(),
            due_milliseconds: AtomicU64::new(0),
            changing: Mutex::default(),
        };
        fairness.digest(&World::default());
        fairness
    }

    /// Goes on by what a world says.
    pub fn digest(&self, world: &World) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let config = Config::of(world, &self.config.load(), self.seats, now);
        config.balance(now);
        self.config.store(Arc::new(config));
        self.set_due(now);
    }

    /// Lets a request in, at once or after a while; `granted` is how long it may wait.
    pub(crate) async fn admit(&self, arrival: &Arrival<'_>, granted: Duration) -> Option<Result<Admitted, Refused>> {
        let Arrival { user, info, query, world } = arrival;
        let now = Instant::now();
        self.balance_if_due(now);
        let config = self.config.load_full();
        let route = config.route(user, info)?;
        let work = work::estimate(info, query, world, route.seats_max, || self.watches.interested(info));
        let writes = !matches!(&*info.verb, "get" | "list" | "watch");
        let ticket = Ticket::new(route.schema.clone(), info.verb == "watch", writes);
        let marks = route.marks.clone();
        let seat = match route.level.arrive(route.flow(user, info), work, ticket, now) {
            Ok((seat, None)) => Some(seat),
            Ok((seat, Some(woken))) => self.wait(&seat, woken, now + granted.min(WAIT_MAX)).await.then_some(seat),
            Err(_refusal) => None,
        };
        let Some(seat) = seat else {
            return Some(Err(Refused { marks, seconds: route.level.retry_after(Instant::now()) }));
        };
        Some(Ok(Admitted { marks, seat, watching: self.watches.count(info) }))
    }

    /// Waits for seats; tells whether there were any in time. Who waits also sees to it that levels lend in time.
    async fn wait(&self, seat: &Seat, mut woken: oneshot::Receiver<()>, deadline: Instant) -> bool {
        loop {
            let wake_up = deadline.min(self.due());
            tokio::select! {
                biased;
                _heard = &mut woken => return true,
                () = sleep_until(wake_up) => {}
            }
            let now = Instant::now();
            self.balance_if_due(now);
            if now >= deadline {
                return !seat.expire();
            }
        }
    }

    fn due(&self) -> Instant {
        self.began + Duration::from_millis(self.due_milliseconds.load(Ordering::Relaxed))
    }

    fn set_due(&self, now: Instant) {
        let due = now.saturating_duration_since(self.began) + PERIOD;
        self.due_milliseconds.store(due.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Lets levels lend and borrow, once in a period. Nobody is woken for it: while nothing is asked, nothing is lent.
    fn balance_if_due(&self, now: Instant) {
        if now < self.due() {
            return;
        }
        // Whoever holds it does just this, or more.
        let Ok(_changing) = self.changing.try_lock() else { return };
        if now >= self.due() {
            self.set_due(now);
            self.config.load().balance(now);
        }
    }

    /// How many requests that read, and that write, are under way.
    pub(crate) fn under_way(&self) -> (usize, usize) {
        let (mut reads, mut writes) = (0, 0);
        for level in self.config.load().levels.values() {
            for (_, request) in level.lock().queues.requests().filter(|(_, request)| request.began.is_some()) {
                *(if request.ticket.writes { &mut writes } else { &mut reads }) += 1;
            }
        }
        (reads, writes)
    }
}
