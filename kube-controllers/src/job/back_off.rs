//! For how long a Job waits after failures: 10 s, doubled with each failure in a row, 10 min at most. Upstream remembers the
//! failures; here the failed pods, which are kept, tell of them. Source: `backoff_utils.go`.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::view::View;
use crate::pods;
use crate::portion::since;

const FIRST: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_secs(600);

/// How long to wait before the next pod of the Job is made.
pub(super) fn left(view: &View<'_>) -> Duration {
    let ended = |pods: Vec<&Arc<Pod>>| pods.into_iter().map(|pod| ended_at(pod)).collect::<Vec<_>>();
    let succeeded = view.pods.iter().filter(|pod| pods::phase(pod) == "Succeeded").collect();
    // A pod deleted because there were too many, or in suspension, has lost its finalizer before and is no failure.
    let is_failure =
        |pod: &&Arc<Pod>| view.has_failed(pod) && (view.is_tracked(pod) || pod.metadata.deletion_timestamp.is_none());
    let failed = view.pods.iter().filter(is_failure).collect();
    let last_success = ended(succeeded).into_iter().max();
    let in_a_row = |time: &Timestamp| last_success.is_none_or(|success| *time > success);
    let failures: Vec<_> = ended(failed).into_iter().filter(in_a_row).collect();
    let last = failures.iter().max().copied();
    last.map_or(Duration::ZERO, |last| left_after(failures.len(), last, view.now))
}

/// How long to wait after a number of failures in a row.
pub(super) fn left_after(failures: usize, last: Timestamp, now: Timestamp) -> Duration {
    let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
    let factor = 1 << doublings.min(10);
    (FIRST * factor).min(MOST).saturating_sub(since(last, now))
}

/// When a pod ended, as well as it can be told.
pub(super) fn ended_at(pod: &Pod) -> Timestamp {
    let told = containers_ended(pod).or_else(|| unready_since(pod)).or_else(|| deletion_asked(pod));
    told.or_else(|| Some(pod.metadata.creation_timestamp.as_ref()?.0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn containers_ended(pod: &Pod) -> Option<Timestamp> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let ends = statuses.iter().map(|status| Some(status.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0));
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn unready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = pods::condition(pod, "Ready").filter(|ready| ready.status == "False")?;
    Some(ready.last_transition_time.as_ref()?.0)
}

fn deletion_asked(pod: &Pod) -> Option<Timestamp> {
    let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
    pod.metadata.deletion_timestamp.as_ref()?.0.checked_sub(grace).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ago, noon};

    #[test]
    fn the_wait_doubles_up_to_ten_minutes() {
        for (failures, seconds) in [(0, 0), (1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (100, 600)] {
            assert_eq!(left_after(failures, noon(), noon()), Duration::from_secs(seconds), "{failures}");
        }
        assert_eq!(left_after(2, ago(15).0, noon()), Duration::from_secs(5));
        assert_eq!(left_after(2, ago(25).0, noon()), Duration::ZERO);
    }
}
