//! How often a pod that fails is replaced: at once, then after a second, two, four, up to a quarter of an hour. Source:
//! `failedPodsBackoff`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;

use crate::portion::since;

const DELAY_MIN: Duration = Duration::from_secs(1);
const DELAY_MAX: Duration = Duration::from_secs(15 * 60);

/// Failures by set, generation and node. A failure is forgotten when nothing has failed there for twice the longest delay.
#[derive(Debug, Default)]
pub(super) struct Backoff(Mutex<HashMap<Key, Failure>>);

type Key = (String, i64, String);

#[derive(Clone, Copy, Debug)]
struct Failure {
    delay: Duration,
    at: Timestamp,
}

impl Backoff {
    /// How long a failed pod of this set must still stay on a node; if not at all, the next one must stay for longer.
    pub(super) fn wait(&self, set: &DaemonSet, node: &str, now: Timestamp) -> Option<Duration> {
        let generation = set.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
        let key = (set.metadata.uid.clone().unwrap_or_default(), generation, node.to_owned());
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = failures.get(&key).filter(|failure| !failure.is_forgotten(now)).copied();
        let delay = match known {
            None => DELAY_MIN,
            Some(failure) => {
                let left = failure.delay.saturating_sub(since(failure.at, now));
                if !left.is_zero() {
                    return Some(left);
                }
                (failure.delay * 2).min(DELAY_MAX)
            }
        };
        failures.insert(key, Failure { delay, at: now });
        None
    }

    /// Forgets what is long ago.
    pub(super) fn forget(&self, now: Timestamp) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, failure| !failure.is_forgotten(now));
    }
}

impl Failure {
    fn is_forgotten(&self, now: Timestamp) -> bool {
        since(self.at, now) > DELAY_MAX * 2
    }
}
