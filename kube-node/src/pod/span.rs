//! Arithmetic of moments that cannot overflow.

use std::time::Duration;

use jiff::Timestamp;

/// The moment a while after another one; the end of time if that is too far.
#[must_use]
pub fn after(moment: Timestamp, while_: Duration) -> Timestamp {
    moment.checked_add(while_).unwrap_or(Timestamp::MAX)
}

/// How long it is from one moment to a later one; zero if it is not later.
#[must_use]
pub fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or(Duration::ZERO)
}

/// A number of seconds as the API gives it; negative numbers count as zero.
#[must_use]
pub fn seconds(number: impl Into<i64>) -> Duration {
    Duration::from_secs(u64::try_from(number.into()).unwrap_or(0))
}

/// The earlier of two moments of which each may be missing.
#[must_use]
pub fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
