//! The decisions of one priority level: who begins, who waits in which queue, who is refused. No time and no task of its own.
//!
//! Each queue gets an equal share of the seats, in a virtual time that goes by as fast as seats are given: a queue that used
//! more than its share is served later. Only queues that hold a request exist. Source: `fairqueuing/queueset`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::hand::deal;
use super::work::Work;

/// How long a request is thought to take before that is known.
const ESTIMATED_SERVICE: Duration = Duration::from_millis(3);

/// An amount of work, and the reading of the meter of work done: seats times nanoseconds.
type SeatTime = i128;

/// What a level does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Begins all of them.
    Exempt,
    /// Refuses those for whom there is no seat.
    Reject,
    /// Lets them wait.
    Queue {
        /// How many queues there are.
        queues: u32,
        /// How many of them a flow is dealt.
        hand: u32,
        /// How many may wait in one.
        length_max: usize,
    },
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    ConcurrencyLimit,
    QueueFull,
    TimeOut,
}

impl Refusal {
    /// As metrics tell it.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::ConcurrencyLimit => "concurrency-limit",
            Self::QueueFull => "queue-full",
            Self::TimeOut => "time-out",
        }
    }
}

/// The requests of a level, with a `T` for each that is the caller's own.
#[derive(Debug)]
pub(super) struct Queues<T> {
    shape: Shape,
    /// Seats that may be taken at a time.
    limit: usize,
    requests: BTreeMap<u64, Request<T>>,
    queues: BTreeMap<u32, Queue>,
    /// Requests so far.
    arrivals: u64,
    /// The queue that was served last.
    served: u32,
    /// The work that was given to each queue so far.
    progress: SeatTime,
    /// Up to when `progress` was reckoned.
    reckoned: Instant,
    seats_in_use: usize,
    seats_waiting: usize,
}

/// A request that waits or is carried out.
#[derive(Debug)]
pub(super) struct Request<T> {
    pub(super) ticket: T,
    pub(super) work: Work,
    pub(super) arrived: Instant,
    /// When it got its seats; nothing while it waits.
    pub(super) began: Option<Instant>,
    /// The queue it came through.
    pub(super) queue: Option<u32>,
    /// The meter when it arrived.
    arrived_at: SeatTime,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<u64>,
    waiting_work: SeatTime,
    /// The meter when the next request begins, were all queues served at once.
    next_begins_at: SeatTime,
    executing: usize,
}

/// A queue as others see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct QueueState {
    pub(super) waiting: usize,
    pub(super) executing: usize,
    /// Seats times nanoseconds.
    pub(super) next_begins_at: SeatTime,
    /// Seats times nanoseconds.
    pub(super) waiting_work: SeatTime,
}

impl<T> Queues<T> {
    pub(super) fn new(shape: Shape, limit: usize, now: Instant) -> Self {
        Self {
            shape,
            limit,
            requests: BTreeMap::new(),
            queues: BTreeMap::new(),
            arrivals: 0,
            served: 0,
            progress: 0,
            reckoned: now,
            seats_in_use: 0,
            seats_waiting: 0,
        }
    }

    /// Changes what the level does. Requests in queues that are no longer dealt go on as they are.
    pub(super) fn reshape(&mut self, shape: Shape, now: Instant) {
        self.reckon(now);
        self.shape = shape;
    }

    /// Changes how many seats there are.
    pub(super) fn set_limit(&mut self, limit: usize, now: Instant) {
        self.reckon(now);
        self.limit = limit;
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    #[cfg(test)]
    pub(super) fn seats_in_use(&self) -> usize {
        self.seats_in_use
    }

    /// Seats that are in use or waited for.
    pub(super) fn demand(&self) -> usize {
        self.seats_in_use + self.seats_waiting
    }

    pub(super) fn requests(&self) -> impl Iterator<Item = (u64, &Request<T>)> {
        self.requests.iter().map(|(id, request)| (*id, request))
    }

    pub(super) fn request_mut(&mut self, id: u64) -> Option<&mut Request<T>> {
        self.requests.get_mut(&id)
    }

    pub(super) fn queues(&self) -> impl Iterator<Item = (u32, QueueState)> {
        self.queues.iter().map(|(index, queue)| {
            let Queue { next_begins_at, waiting_work, executing, .. } = *queue;
            (*index, QueueState { waiting: queue.waiting.len(), executing, next_begins_at, waiting_work })
        })
    }

    /// Takes in a request of a flow: gives it seats, or a place in a queue, from where [`Queues::dispatch`] takes it.
    pub(super) fn arrive(&mut self, flow: u64, work: Work, ticket: T, now: Instant) -> Result<u64, Refusal> {
        self.reckon(now);
        let id = self.arrivals;
        let queue = match self.shape {
            Shape::Exempt => None,
            Shape::Reject if self.fits(work.seats_max()) => None,
            Shape::Reject => return Err(Refusal::ConcurrencyLimit),
            Shape::Queue { queues, hand, length_max } => {
                let index = self.shortest(flow, queues, hand);
                let length = self.queues.get(&index).map_or(0, |queue| queue.waiting.len());
                if self.seats_in_use >= self.limit && length >= length_max {
                    return Err(Refusal::QueueFull);
                }
                Some(index)
            }
        };
        self.arrivals += 1;
        let arrived_at = self.progress;
        self.requests.insert(id, Request { ticket, work, arrived: now, began: None, queue, arrived_at });
        match queue {
            Some(index) => self.enqueue(id, index, work),
            None => self.begin(id, now),
        }
        Ok(id)
    }

    /// Gives free seats to those who wait, and tells of each.
    pub(super) fn dispatch(&mut self, now: Instant, mut began: impl FnMut(&mut Request<T>)) {
        self.reckon(now);
        while self.seats_in_use < self.limit {
            let Some((index, id)) = self.next() else { break };
            let Some(work) = self.requests.get(&id).map(|request| request.work) else { break };
            if !self.fits(work.seats_max()) {
                break;
            }
            self.dequeue(id, index, work);
            self.served = index;
            self.begin(id, now);
            if let Some(queue) = self.queues.get_mut(&index) {
                queue.executing += 1;
                queue.next_begins_at += total(work);
            }
            self.bound(index);
            if let Some(request) = self.requests.get_mut(&id) {
                began(request);
            }
        }
    }

    /// Takes out a request that was carried out or gave up waiting. If it had seats and its work goes on after its answer,
    /// they stay taken until [`Queues::release`].
    pub(super) fn leave(&mut self, id: u64, now: Instant) -> Option<Request<T>> {
        self.reckon(now);
        let Request { work, queue, began, .. } = *self.requests.get(&id)?;
        match (began, queue) {
            (None, Some(index)) => self.dequeue(id, index, work),
            (Some(began), Some(index)) => self.note_end(index, work, now.saturating_duration_since(began)),
            _ => {}
        }
        if began.is_some() && work.linger.is_zero() {
            self.seats_in_use -= work.seats_max();
        }
        let gone = self.requests.remove(&id);
        if let Some(index) = queue {
            self.bound(index);
            let is_idle = |queue: &Queue| queue.waiting.is_empty() && queue.executing == 0;
            if self.queues.get(&index).is_some_and(is_idle) {
                self.queues.remove(&index);
            }
        }
        gone
    }

    /// Frees seats that stayed taken.
    pub(super) fn release(&mut self, seats: usize, now: Instant) {
        self.reckon(now);
        self.seats_in_use = self.seats_in_use.saturating_sub(seats);
    }

    /// Lets the meter go on: all queues that hold a request share the seats that are given.
    fn reckon(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.reckoned);
        self.reckoned = now;
        let queues = self.queues.len() as SeatTime;
        if queues > 0 {
            self.progress += seat_time(self.demand().min(self.limit), elapsed) / queues;
        }
    }

    /// The queue of a flow's hand with the least work. Where the search begins goes round, so that flows whose hands overlap
    /// do not prefer the same one.
    fn shortest(&self, flow: u64, queues: u32, hand: u32) -> u32 {
        let cards = deal(flow, queues, hand);
        let skipped = (self.arrivals % u64::from(hand.max(1))) as usize;
        let in_turn = cards.clone().skip(skipped).chain(cards.take(skipped));
        let work = |index: &u32| self.queues.get(index).map_or(0, |queue| queue.waiting_work);
        in_turn.min_by_key(work).unwrap_or(0)
    }

    /// The queue whose next request would end first, and that request; going round where several would.
    fn next(&self) -> Option<(u32, u64)> {
        let others = self.queues.range(self.served.saturating_add(1)..);
        let in_turn = others.chain(self.queues.range(..=self.served));
        let heads = in_turn.filter_map(|(index, queue)| {
            let id = *queue.waiting.front()?;
            Some((queue.next_begins_at + total(self.requests.get(&id)?.work), *index, id))
        });
        heads.min_by_key(|(ends_at, ..)| *ends_at).map(|(_, index, id)| (index, id))
    }

    fn fits(&self, seats: usize) -> bool {
        match self.shape {
            Shape::Exempt => true,
            // What is wider than the level gets it for itself.
            _ if seats > self.limit => self.seats_in_use == 0,
            _ => self.seats_in_use + seats <= self.limit,
        }
    }

    fn begin(&mut self, id: u64, now: Instant) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.began = Some(now);
            self.seats_in_use += request.work.seats_max();
        }
    }

    fn enqueue(&mut self, id: u64, index: u32, work: Work) {
        let progress = self.progress;
        let fresh = || Queue { next_begins_at: progress, ..Queue::default() };
        let queue = self.queues.entry(index).or_insert_with(fresh);
        queue.waiting.push_back(id);
        queue.waiting_work += total(work);
        self.seats_waiting += work.seats_max();
        self.bound(index);
    }

    fn dequeue(&mut self, id: u64, index: u32, work: Work) {
        let Some(queue) = self.queues.get_mut(&index) else { return };
        if queue.waiting.front() == Some(&id) {
            queue.waiting.pop_front();
        } else {
            queue.waiting.retain(|waiting| *waiting != id);
        }
        queue.waiting_work -= total(work);
        self.seats_waiting -= work.seats_max();
    }

    /// A queue pays for the time its request took, not for the time it was thought to take.
    fn note_end(&mut self, index: u32, work: Work, took: Duration) {
        if let Some(queue) = self.queues.get_mut(&index) {
            queue.executing -= 1;
            queue.next_begins_at += seat_time(work.seats, took) - seat_time(work.seats, ESTIMATED_SERVICE);
        }
    }

    /// Nobody begins before arriving, in virtual time either: a queue that does not use its share does not save it up.
    fn bound(&mut self, index: u32) {
        let Some(queue) = self.queues.get_mut(&index) else { return };
        let oldest = queue.waiting.front().and_then(|id| self.requests.get(id));
        if let Some(oldest) = oldest {
            queue.next_begins_at = queue.next_begins_at.max(oldest.arrived_at);
        }
    }
}

/// All of a request's work, as far as it can be told beforehand.
fn total(work: Work) -> SeatTime {
    seat_time(work.seats, ESTIMATED_SERVICE) + seat_time(work.final_seats, work.linger)
}

fn seat_time(seats: usize, time: Duration) -> SeatTime {
    let nanoseconds = SeatTime::try_from(time.as_nanos()).unwrap_or(SeatTime::MAX);
    nanoseconds.saturating_mul(seats as SeatTime)
}
