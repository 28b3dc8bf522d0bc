//! What processes use, from `/proc`: the CPU time of a container's whole session, and its memory.
//!
//! CPU is a rate, so it takes two looks; nobody looks without being asked, so each look is kept for the next. The first one
//! tells the average since the container started.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::{ProcessRuntime, session};
use crate::pod::span::between;
use crate::runtime::{ContainerId, ContainerState, RuntimeError, Stats, Usage};

/// A rate over less is not worth telling: until then the last one holds. Source: metrics-server `--metric-resolution`.
const WINDOW_MIN: Duration = Duration::from_secs(10);

/// What was seen of one container.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Option<Reading>>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Timestamp,
    /// CPU time spent until then.
    spent: Duration,
    /// The rate that was told then.
    told: Usage,
}

impl Meter {
    /// What is told of a container that has spent so much CPU time in all.
    fn read(&self, spent: Duration, memory_bytes: u64, started_at: Timestamp, now: Timestamp) -> Usage {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, before, told) = match *last {
            Some(reading) => (reading.at, reading.spent, Some(reading.told)),
            None => (started_at, Duration::ZERO, None),
        };
        let window = between(since, now);
        if let Some(told) = told.filter(|_| window < WINDOW_MIN) {
            return Usage { memory_bytes, ..told };
        }
        let rate = spent.saturating_sub(before).as_nanos() * 1_000_000_000 / window.as_nanos().max(1);
        let told = Usage { cpu_nano_cores: u64::try_from(rate).unwrap_or(u64::MAX), memory_bytes, window };
        *last = Some(Reading { at: now, spent, told });
        told
    }
}

#[async_trait]
impl Stats for ProcessRuntime {
    async fn usage(&self, _pod: &Pod, id: &ContainerId) -> Result<Option<Usage>, RuntimeError> {
        let (status, kept) = self.shared.book.container(id)?;
        let (Some(leader), ContainerState::Running { started_at }) = (&kept.leader, status.state) else {
            return Ok(None);
        };
        let (spent, memory_bytes) = session::usage(leader.pid());
        Ok(Some(kept.meter.read(spent, memory_bytes, started_at, self.shared.times.now())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_takes_two_looks_that_are_apart() {
        let meter = Meter::default();
        let start: Timestamp = "2030-01-01T12:00:00Z".parse().unwrap();
        let look = |seconds: u64, spent_millis: u64| {
            let now = start + Duration::from_secs(seconds);
            let usage = meter.read(Duration::from_millis(spent_millis), 1, start, now);
            (usage.cpu_nano_cores / 1_000_000, usage.window.as_secs())
        };
        assert_eq!(look(20, 10_000), (500, 20), "since the start");
        assert_eq!(look(25, 15_000), (500, 20), "too soon");
        assert_eq!(look(40, 15_000), (250, 20));
        assert_eq!(look(50, 15_000), (0, 10));
    }
}
