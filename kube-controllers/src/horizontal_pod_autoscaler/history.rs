//! What was recommended and done lately: all that an autoscaler remembers.

use std::time::Duration;

use jiff::Timestamp;

use crate::portion::since;

/// Nothing asks for what is older: the longest window that validation lets pass. Source: `MaxStabilizationWindowSeconds`.
const MEMORY: Duration = Duration::from_secs(3600);

/// Recommendations and changes of size, each with its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    recommendations: Vec<(Timestamp, i32)>,
    changes: Vec<(Timestamp, i32)>,
}

impl History {
    /// The first look at an autoscaler takes the size it finds for a recommendation.
    pub(super) fn begin(&mut self, replicas: i32, now: Timestamp) {
        if self.recommendations.is_empty() {
            self.recommendations.push((now, replicas));
        }
    }

    /// Remembers a recommendation.
    pub(super) fn recommended(&mut self, replicas: i32, now: Timestamp) {
        self.recommendations.retain(|(at, _)| since(*at, now) <= MEMORY);
        self.recommendations.push((now, replicas));
    }

    /// Remembers a change of size by so many replicas.
    pub(super) fn scaled(&mut self, change: i32, now: Timestamp) {
        self.changes.retain(|(at, _)| since(*at, now) <= MEMORY);
        self.changes.push((now, change));
    }

    /// What was recommended within a time.
    pub(super) fn recommendations(&self, within: Duration, now: Timestamp) -> impl Iterator<Item = i32> {
        self.recommendations.iter().filter(move |(at, _)| since(*at, now) < within).map(|(_, replicas)| *replicas)
    }

    /// By how much the size has changed within a time.
    pub(super) fn change(&self, within: Duration, now: Timestamp) -> i32 {
        self.changes.iter().filter(|(at, _)| since(*at, now) < within).map(|(_, change)| change).sum()
    }
}
