//! How long to wait before trying again: doubling up to a limit, forgotten after a good while.

use std::time::Duration;

use jiff::Timestamp;

use super::span::{after, between};

/// A growing wait. The first attempt after trouble comes at once; later ones wait `initial`, twice that, and so on up to `max`.
/// A quiet time of twice `max` forgets it. Source: client-go `flowcontrol.Backoff`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackOff {
    initial: Duration,
    max: Duration,
    wait: Duration,
    updated: Option<Timestamp>,
}

impl BackOff {
    /// For containers that end and images that cannot be pulled: 10 s to 300 s, forgotten after 600 s.
    pub const CRASH: Self = Self::new(Duration::from_secs(10), Duration::from_secs(300));
    /// For volumes and sandboxes: 500 ms to 122 s. Source: kubelet `exponentialbackoff`.
    pub const MOUNT: Self = Self::new(Duration::from_millis(500), Duration::from_secs(122));

    /// A wait that has not begun.
    #[must_use]
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, wait: Duration::ZERO, updated: None }
    }

    /// When the next attempt is due after trouble at `trouble`; `None` if at once.
    #[must_use]
    pub fn due(&self, trouble: Timestamp) -> Option<Timestamp> {
        (!self.forgotten(trouble)).then(|| after(trouble, self.wait))
    }

    /// When the wait that began with the last attempt is over; `None` if there was none.
    #[must_use]
    pub fn pending(&self) -> Option<Timestamp> {
        self.updated.map(|updated| after(updated, self.wait))
    }

    /// Notes an attempt at `now` after trouble at `trouble`: the next wait is longer.
    pub fn grow(&mut self, trouble: Timestamp, now: Timestamp) {
        self.wait = if self.forgotten(trouble) { self.initial } else { (self.wait * 2).min(self.max) };
        self.updated = Some(now);
    }

    fn forgotten(&self, trouble: Timestamp) -> bool {
        self.updated.is_none_or(|updated| between(updated, trouble) > self.max * 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_are_forgotten_after_ten_good_minutes() {
        let mut back_off = BackOff::CRASH;
        let mut now = Timestamp::UNIX_EPOCH;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let due = back_off.due(now).unwrap_or(now);
            waits.push(between(now, due).as_secs());
            back_off.grow(now, due);
            now = after(due, Duration::from_secs(1));
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert!(back_off.due(after(now, Duration::from_secs(590))).is_some());
        assert!(back_off.due(after(now, Duration::from_secs(601))).is_none());
    }
}
