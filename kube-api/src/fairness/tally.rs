//! What happened to the requests of a FlowSchema at its level.

use std::collections::BTreeMap;
use std::time::Duration;

use super::queues::Refusal;
use super::work::Work;
use crate::http::exposition::Histogram;

/// Bounds of `apiserver_flowcontrol_request_wait_duration_seconds` and `..._request_execution_seconds`.
const SECONDS: &[f64] = &[0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0];
/// Bounds of `apiserver_flowcontrol_work_estimated_seats`.
const SEATS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 100.0];

/// Counts since the level is there.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) dispatched: u64,
    pub(super) rejected: BTreeMap<Refusal, u64>,
    /// Seconds in a queue of those who got seats, and of those who gave up.
    pub(super) waited: Histogram,
    pub(super) gave_up: Histogram,
    /// Seconds with seats, of watches and of all others.
    pub(super) watches: Histogram,
    pub(super) regular: Histogram,
    pub(super) seats: Histogram,
}

impl Default for Tally {
    fn default() -> Self {
        let [waited, gave_up, watches, regular] = std::array::from_fn(|_| Histogram::new(SECONDS));
        let seats = Histogram::new(SEATS);
        Self { dispatched: 0, rejected: BTreeMap::new(), waited, gave_up, watches, regular, seats }
    }
}

impl Tally {
    pub(super) fn begin(&mut self, work: Work, waited: Option<Duration>) {
        self.dispatched += 1;
        self.seats.observe(work.seats_max() as f64);
        self.waited.observe(waited.unwrap_or_default().as_secs_f64());
    }

    pub(super) fn end(&mut self, is_watch: bool, took: Duration) {
        let histogram = if is_watch { &mut self.watches } else { &mut self.regular };
        histogram.observe(took.as_secs_f64());
    }

    pub(super) fn reject(&mut self, refusal: Refusal) {
        *self.rejected.entry(refusal).or_default() += 1;
    }

    pub(super) fn give_up(&mut self, waited: Duration) {
        self.gave_up.observe(waited.as_secs_f64());
    }
}
