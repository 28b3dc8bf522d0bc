//! What decides about nodes by looking beyond them: spreading, affinity and anti-affinity between pods, and volumes.
//!
//! These plugins cannot be asked per shape and node, so they are prepared for each pod that needs them: counts per topology
//! domain are taken once, then each feasible node is one look-up. Pods that ask nothing of the kind skip all of this, unless
//! some placed pod keeps others away.

mod affinity;
mod spread;
mod term;
pub(crate) mod volumes;

use crate::pod::PodInfo;
use crate::snapshot::{NodeInfo, Snapshot};
use crate::verdict::{Reason, Rejection};

use affinity::Affinity;
use spread::Spread;
pub(crate) use term::{PodTerms, Terms};
use volumes::Volumes;

/// The plugins in here, by name.
pub(crate) const PLUGINS: [&str; 5] =
    [spread::NAME, affinity::NAME, volumes::BINDING, volumes::ZONE, volumes::RESTRICTIONS];

/// What the pods and volumes of the whole cluster mean for one pod.
#[derive(Debug)]
pub(crate) struct Topology {
    spread: Option<Spread>,
    affinity: Option<Affinity>,
    volumes: Option<Volumes>,
}

impl Topology {
    /// Counts; `None` if other pods mean nothing to this one, and it has no claims.
    pub(crate) fn prepare(pod: &PodInfo, cluster: &Snapshot) -> Option<Self> {
        Self::prepare_without(pod, cluster, &|_| false)
    }

    /// As if some pods were gone.
    pub(crate) fn prepare_without(pod: &PodInfo, cluster: &Snapshot, gone: &dyn Fn(&PodInfo) -> bool) -> Option<Self> {
        let spread = Spread::prepare(pod, cluster, gone);
        let affinity = Affinity::prepare(pod, cluster, gone);
        let volumes = Volumes::prepare(pod, cluster, gone);
        let any = spread.is_some() || affinity.is_some() || volumes.is_some();
        any.then_some(Self { spread, affinity, volumes })
    }

    /// Why the pod can go nowhere, whatever the node.
    pub(crate) fn refusal(&self) -> Option<(&'static str, Reason)> {
        Some((volumes::BINDING, self.volumes.as_ref()?.refusal()?.clone()))
    }

    /// Whether a node takes the pod.
    pub(crate) fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        self.volumes.as_ref().map_or(Ok(()), |volumes| volumes.check(node))?;
        self.spread.as_ref().map_or(Ok(()), |spread| spread.check(node))?;
        self.affinity.as_ref().map_or(Ok(()), |affinity| affinity.check(node))
    }

    /// What each of the feasible nodes gets, weights included.
    pub(crate) fn rate(&self, nodes: &[&NodeInfo]) -> Vec<i64> {
        let mut totals = vec![0; nodes.len()];
        let spread = self.spread.as_ref().and_then(|spread| spread.rate(nodes));
        let affinity = self.affinity.as_ref().and_then(|affinity| affinity.rate(nodes));
        for scores in [spread, affinity].into_iter().flatten() {
            for (total, score) in totals.iter_mut().zip(scores) {
                *total += WEIGHT * score;
            }
        }
        totals
    }
}

/// Both plugins weigh the same. Source: `default_plugins.go`.
const WEIGHT: i64 = 2;

#[cfg(test)]
mod tests;
