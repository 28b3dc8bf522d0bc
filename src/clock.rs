//! The two clocks a cluster can have. This is the only place that asks the system for the time.

use coracle_core::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is where the cluster's time is made")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that starts at a given time and goes on as tokio's clock does: with tokio's time paused, it jumps from one timer to
/// the next, and a year takes as long as what happens in it.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    epoch: Timestamp,
    start: Instant,
}

impl VirtualClock {
    /// The time at which simulations start, unless told otherwise: 2026-01-01T00:00:00Z, in seconds since 1970.
    pub const EPOCH_SECONDS: i64 = 1_767_225_600;

    /// A clock that shows `epoch` now. Must be called inside a tokio runtime.
    #[must_use]
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self { epoch, start: Instant::now() }
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::starting_at(Timestamp::from_second(Self::EPOCH_SECONDS).unwrap_or(Timestamp::UNIX_EPOCH))
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.start.elapsed()).unwrap_or(SignedDuration::MAX);
        self.epoch.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}
