//! How many pods a rollout may have too many or too few.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::portion::scaled;

/// The numbers of one Deployment that bound its rollout, in pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Whether old and new overlap; otherwise all old pods end before the first new one starts.
    pub(super) rolling: bool,
    /// Pods asked for.
    pub(super) replicas: i32,
    /// Pods above that, for a while.
    pub(super) surge_max: i32,
    /// Pods below that, for a while.
    pub(super) unavailable_max: i32,
}

impl Sizes {
    pub(super) fn of(deployment: &Deployment) -> Self {
        let spec = deployment.spec.as_ref();
        let replicas = spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let strategy = spec.and_then(|spec| spec.strategy.as_ref());
        let rolling = strategy.is_none_or(|strategy| strategy.type_.as_deref() != Some("Recreate"));
        if !rolling {
            return Self { rolling, replicas, surge_max: 0, unavailable_max: 0 };
        }
        let update = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let quarter = IntOrString::String("25%".to_owned());
        let surge = update.and_then(|update| update.max_surge.as_ref()).unwrap_or(&quarter);
        let unavailable = update.and_then(|update| update.max_unavailable.as_ref()).unwrap_or(&quarter);
        let (surge_max, unavailable_max) = fence_posts(surge, unavailable, replicas);
        Self { rolling, replicas, surge_max, unavailable_max }
    }

    /// Pods that must be available at any time.
    pub(super) fn available_min(self) -> i32 {
        if self.rolling { self.replicas - self.unavailable_max } else { 0 }
    }

    /// Pods there may be at any time.
    pub(super) fn total_max(self) -> i32 {
        self.replicas + self.surge_max
    }
}

/// Surge is rounded up, unavailability down; if both come out as zero, one pod may be unavailable, or nothing would ever move.
/// Source: `ResolveFenceposts`, `MaxUnavailable`.
fn fence_posts(surge: &IntOrString, unavailable: &IntOrString, replicas: i32) -> (i32, i32) {
    let surge = scaled(surge, replicas, true);
    let unavailable = scaled(unavailable, replicas, false);
    let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
    (surge, unavailable.min(replicas))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fence_posts_round_away_from_trouble() {
        let value = |text: &str| text.parse().map_or_else(|_| IntOrString::String(text.to_owned()), IntOrString::Int);
        for (surge, unavailable, replicas, expected) in [
            ("25%", "25%", 10, (3, 2)),
            ("25%", "25%", 1, (1, 0)),
            ("0", "0%", 10, (0, 1)),
            ("0", "100%", 3, (0, 3)),
            ("0", "5", 3, (0, 3)),
            ("1", "0", 3, (1, 0)),
            ("25%", "25%", 0, (0, 0)),
        ] {
            assert_eq!(fence_posts(&value(surge), &value(unavailable), replicas), expected, "{surge} {unavailable}");
        }
    }
}
