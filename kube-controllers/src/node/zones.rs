//! How fast nodes in trouble may be emptied: one every ten seconds in a zone that is mostly well, slower or not at all in one that
//! is not, and nowhere if no node at all is well, since then it is more likely that nobody is heard. Source: `handleDisruption`,
//! `ComputeZoneState`.

use std::time::Duration;

use coracle_core::World;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;

use super::lifecycle::ready;
use super::taints::{drives, taints};
use crate::portion::since;

/// From one node to the next. Source: `--node-eviction-rate`, 0.1 in a second.
const PAUSE: Duration = Duration::from_secs(10);
/// The same in a large zone that is not well. Source: `--secondary-node-eviction-rate`, 0.01 in a second.
const LONG_PAUSE: Duration = Duration::from_secs(100);
/// A zone of more nodes is large; a smaller one that is not well is left alone. Source: `--large-cluster-size-threshold`.
const LARGE: usize = 50;
/// A zone is not well if so many of its nodes are not, in percent, and more than two. Source: `--unhealthy-zone-threshold`.
const UNWELL_PERCENT: usize = 55;
/// Nodes with this label do not count. Source: core/v1 `LabelNodeDisruptionExclusion`.
const EXCLUDED: &str = "node.kubernetes.io/exclude-disruption";

/// When a node in trouble may be emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// At once.
    Now,
    /// After a while.
    After(Duration),
    /// Not as its zone is.
    Held,
    /// Not, and none that was tainted before either: no node is well.
    Nowhere,
}

impl Pace {
    /// In how long it may be another.
    pub(super) const fn ends(self) -> Option<Duration> {
        match self {
            Self::Now => None,
            Self::After(left) => Some(left),
            Self::Held | Self::Nowhere => Some(PAUSE),
        }
    }
}

/// The zone of a node, and whether any node of the cluster is well.
#[derive(Debug, Default)]
pub(super) struct Zone {
    well: usize,
    unwell: usize,
    others_well: bool,
    /// When a node of it was tainted last. The taints tell, so nothing has to be remembered.
    tainted: Option<Timestamp>,
}

impl Zone {
    pub(super) fn of(node: &Node, world: &World) -> Self {
        let mut zone = Self::default();
        for other in world.list::<Node>().filter(|other| label(other, EXCLUDED).is_none()) {
            let is_well = is_well(&other);
            if place(&other) != place(node) {
                zone.others_well |= is_well;
                continue;
            }
            *(if is_well { &mut zone.well } else { &mut zone.unwell }) += 1;
            let driven = taints(&other).filter(|taint| drives(taint)).filter_map(|taint| taint.time_added.as_ref());
            zone.tainted = zone.tainted.max(driven.map(|time| time.0).max());
        }
        zone
    }

    pub(super) fn pace(&self, now: Timestamp) -> Pace {
        let all = self.well + self.unwell;
        if self.well == 0 && !self.others_well && all > 0 {
            return Pace::Nowhere;
        }
        let is_well = self.well == 0 || self.unwell <= 2 || self.unwell * 100 < all * UNWELL_PERCENT;
        let pause = match is_well {
            true => PAUSE,
            false if all > LARGE => LONG_PAUSE,
            false => return Pace::Held,
        };
        match self.tainted.map_or(Duration::ZERO, |last| pause.saturating_sub(since(last, now))) {
            Duration::ZERO => Pace::Now,
            left => Pace::After(left),
        }
    }
}

/// Whether a node says, or lately said, that it is ready.
pub(super) fn is_well(node: &Node) -> bool {
    ready(node).is_some_and(|ready| ready.status == "True")
}

fn place(node: &Node) -> (Option<&str>, Option<&str>) {
    (label(node, "topology.kubernetes.io/region"), label(node, "topology.kubernetes.io/zone"))
}

fn label<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Small, noon};

    /// A node `n0` in zone `a` that is not well, among `well` and `unwell` others there, some tainted `ago` seconds ago, and
    /// `elsewhere` well ones in zone `b`.
    fn pace([well, unwell, elsewhere]: [usize; 3], ago: Option<i64>) -> Pace {
        let mut small = Small::new("");
        let taints = ago.map_or(String::new(), |seconds| {
            let at = crate::testing::ago(seconds).0;
            format!("{{key: node.kubernetes.io/unreachable, effect: NoExecute, timeAdded: '{at}'}}")
        });
        for number in 0..=well + unwell + elsewhere {
            let ready = if (1..=unwell).contains(&number) || number == 0 { "Unknown" } else { "True" };
            let zone = if number > well + unwell { "b" } else { "a" };
            let taints = if number == 1 { taints.as_str() } else { "" };
            small.add(&format!(
                "{{kind: Node, metadata: {{name: n{number}, labels: {{topology.kubernetes.io/zone: {zone}}}}}, \
                 spec: {{taints: [{taints}]}}, status: {{conditions: [{{type: Ready, status: '{ready}'}}]}}}}"
            ));
        }
        Zone::of(&small.get::<Node>("n0"), &small.world).pace(noon())
    }

    #[test]
    fn zones_in_trouble_are_emptied_slowly_or_not_at_all() {
        assert_eq!(pace([3, 0, 0], None), Pace::Now);
        assert_eq!(pace([3, 1, 0], Some(4)), Pace::After(Duration::from_secs(6)));
        assert_eq!(pace([3, 1, 0], Some(10)), Pace::Now);
        // Two are not yet trouble, three of four are.
        assert_eq!(pace([1, 1, 0], None), Pace::Now);
        assert_eq!(pace([1, 2, 5], None), Pace::Held);
        assert_eq!(pace([3, 2, 0], None), Pace::Now);
        // Large ones are slowed down.
        assert_eq!(pace([20, 40, 0], Some(10)), Pace::After(Duration::from_secs(90)));
        // A zone that is lost is emptied as long as another one is there.
        assert_eq!(pace([0, 4, 1], None), Pace::Now);
        assert_eq!(pace([0, 4, 0], None), Pace::Nowhere);
        assert_eq!(pace([0, 0, 0], None), Pace::Nowhere);
    }
}
