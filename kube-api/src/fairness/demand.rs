//! How many seats a level could use, over time. Source: `fairqueuing.Integrator`, `flowcontrol.seatDemandStats`.

use std::time::Duration;

use tokio::time::Instant;

/// How often levels lend and borrow anew.
pub(super) const PERIOD: Duration = Duration::from_secs(10);
/// What of an old high demand is left after a period: half of it after five minutes.
const DECAY: f64 = 0.977;

/// The demand of a level: as it is, integrated over the current period, and smoothed over past ones.
#[derive(Debug)]
pub(super) struct Demand {
    now: f64,
    since: Instant,
    began: Instant,
    sum: f64,
    sum_of_squares: f64,
    highest: f64,
    past: Past,
}

/// What periods before were like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Past {
    /// The highest demand of the last one.
    pub(super) high: usize,
    /// The average of the last one.
    pub(super) average: f64,
    /// The standard deviation of the last one.
    pub(super) deviation: f64,
    /// Rises at once, falls slowly.
    pub(super) smoothed: f64,
}

impl Demand {
    pub(super) fn new(now: Instant) -> Self {
        let (sum, sum_of_squares, highest) = (0.0, 0.0, 0.0);
        Self { now: 0.0, since: now, began: now, sum, sum_of_squares, highest, past: Past::default() }
    }

    /// The demand is so many seats from now on.
    pub(super) fn set(&mut self, seats: usize, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since).as_secs_f64();
        self.sum += self.now * elapsed;
        self.sum_of_squares += self.now * self.now * elapsed;
        self.since = now;
        self.now = seats as f64;
        self.highest = self.highest.max(self.now);
    }

    /// Ends a period; what nobody asked for in several periods is one.
    pub(super) fn end_period(&mut self, now: Instant) -> Past {
        self.set(self.now as usize, now);
        let elapsed = now.saturating_duration_since(self.began);
        self.past.high = self.highest as usize;
        if !elapsed.is_zero() {
            let seconds = elapsed.as_secs_f64();
            let average = self.sum / seconds;
            let deviation = (self.sum_of_squares / seconds - average * average).max(0.0).sqrt();
            let periods = (seconds / PERIOD.as_secs_f64()).floor().max(1.0);
            let left = DECAY.powf(periods);
            let usual = average + deviation;
            let smoothed = usual.max(left * self.past.smoothed + (1.0 - left) * usual);
            self.past = Past { average, deviation, smoothed, ..self.past };
        }
        (self.sum, self.sum_of_squares, self.highest, self.began) = (0.0, 0.0, self.now, now);
        self.past
    }

    pub(super) fn past(&self) -> Past {
        self.past
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demand_rises_at_once_and_falls_slowly() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut demand = Demand::new(start);
        demand.set(10, at(0));
        demand.set(0, at(5));
        let past = demand.end_period(at(10));
        assert_eq!(past, Past { high: 10, average: 5.0, deviation: 5.0, smoothed: 10.0 });
        let past = demand.end_period(at(20));
        assert_eq!((past.high, past.average), (0, 0.0));
        assert!((past.smoothed - 9.77).abs() < 0.001, "{past:?}");
        let past = demand.end_period(at(310));
        assert!((4.5..5.5).contains(&past.smoothed), "after five minutes half is left: {past:?}");
    }
}
