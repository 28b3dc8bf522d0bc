//! Small arithmetic: numbers that may be percentages, and time gone by.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// A number, or a percentage of `total`. Source: apimachinery `GetScaledValueFromIntOrPercent`.
pub(crate) fn scaled(value: &IntOrString, total: i32, round_up: bool) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let percent = text.strip_suffix('%').and_then(|number| number.parse::<i64>().ok()).unwrap_or(0);
            let hundredths = percent * i64::from(total) + if round_up { 99 } else { 0 };
            i32::try_from(hundredths / 100).unwrap_or(i32::MAX)
        }
    }
}

/// Time between two instants, never negative.
pub(crate) fn since(earlier: Timestamp, now: Timestamp) -> Duration {
    let elapsed: SignedDuration = now.duration_since(earlier);
    Duration::try_from(elapsed).unwrap_or_default()
}
