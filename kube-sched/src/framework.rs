//! The default scheduler: filters, scores, and the choice among the best.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::decision::{Decision, Scheduler};
use crate::plugins::{
    BalancedAllocation, Filter, Fit, ImageLocality, LeastAllocated, NodeAffinity, NodeName, NodePorts,
    NodeUnschedulable, Score, TaintToleration, node_affinity,
};
use crate::pod::PodInfo;
use crate::preemption;
use crate::ranking::{Prepared, Raw, checks};
use crate::rankings::Rankings;
use crate::shape::Shape;
use crate::snapshot::{Change, NodeIndex, NodeInfo, Snapshot};
use crate::topology::{self, Topology};
use crate::verdict::{Reason, Rejection, Unschedulable};

/// Which plugins a [`Framework`] asks, in order.
#[derive(Debug, Default)]
pub struct Plugins {
    /// The first one that rejects a node gives the reason.
    pub filters: Vec<Box<dyn Filter>>,
    /// Their weighted sum decides.
    pub scores: Vec<Box<dyn Score>>,
}

impl Plugins {
    /// Upstream's default profile, as far as nodes alone decide. Source: `default_plugins.go`.
    #[must_use]
    pub fn standard() -> Self {
        let filters: [Box<dyn Filter>; 6] = [
            Box::new(NodeUnschedulable),
            Box::new(NodeName),
            Box::new(TaintToleration),
            Box::new(NodeAffinity),
            Box::new(NodePorts),
            Box::new(Fit),
        ];
        let scores: [Box<dyn Score>; 5] = [
            Box::new(TaintToleration),
            Box::new(NodeAffinity),
            Box::new(LeastAllocated),
            Box::new(BalancedAllocation),
            Box::new(ImageLocality),
        ];
        Self { filters: filters.into(), scores: scores.into() }
    }

    pub(crate) fn stamp(&self, shape: &Shape, cluster: &Snapshot) -> u64 {
        self.scores.iter().fold(0, |stamp, score| stamp.wrapping_mul(31).wrapping_add(score.stamp(shape, cluster)))
    }
}

/// How many nodes are looked at for one pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// All of them. Since the answer is kept per shape and only changed nodes are looked at again, this is cheaper than
    /// sampling as soon as pods have siblings, and it always finds the best node.
    #[default]
    All,
    /// Until upstream's number of feasible nodes is found: all of up to 100 nodes, then `50 - nodes / 125` percent (at
    /// least 5), and never fewer than 100. Source: `numFeasibleNodesToFind`.
    Adaptive,
    /// Until this percentage of nodes is found feasible, and at least 100.
    /// Source: `KubeSchedulerConfiguration.percentageOfNodesToScore`.
    Percent(u8),
}

impl Sampling {
    /// How many feasible nodes suffice.
    #[must_use]
    pub fn enough(self, nodes: usize) -> usize {
        const FEW: usize = 100;
        let percent = match self {
            Self::All => 100,
            Self::Adaptive => 50usize.saturating_sub(nodes / 125).max(5),
            Self::Percent(percent) => usize::from(percent),
        };
        if nodes < FEW || percent >= 100 { nodes } else { (nodes * percent / 100).max(FEW) }
    }
}

/// The default [`Scheduler`]: upstream's default profile, with all nodes ranked per shape of pod.
pub struct Framework {
    plugins: Plugins,
    sampling: Sampling,
    preempts: bool,
    rankings: Rankings,
    random: SmallRng,
    next_start: usize,
}

impl std::fmt::Debug for Framework {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("Framework");
        debug.field("plugins", &self.plugins).field("sampling", &self.sampling).finish_non_exhaustive()
    }
}

/// A node that takes the pod.
struct Candidate<'a> {
    index: NodeIndex,
    node: &'a NodeInfo,
    fixed: i64,
    raw: Raw,
}

/// Why no node takes a pod, and which ones might if they held less.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    pub(crate) why: Unschedulable,
    /// How many nodes might.
    pub(crate) resolvable_count: usize,
    /// Which; left empty if no pod anywhere is less important.
    pub(crate) resolvable: Vec<NodeIndex>,
}

/// What came of looking at nodes.
#[derive(Default)]
struct Looked<'a> {
    candidates: Vec<Candidate<'a>>,
    rejections: Vec<(Rejection, usize)>,
    resolvable: Vec<NodeIndex>,
}

impl Looked<'_> {
    fn reject(&mut self, index: NodeIndex, rejection: Rejection) {
        if rejection.resolvable {
            self.resolvable.push(index);
        }
        match self.rejections.iter_mut().find(|(known, _)| *known == rejection) {
            Some((_, count)) => *count += 1,
            None => self.rejections.push((rejection, 1)),
        }
    }
}

impl Framework {
    /// The default profile. Ties between nodes are broken at random from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(Plugins::standard(), seed)
    }

    /// Other plugins.
    #[must_use]
    pub fn with(plugins: Plugins, seed: u64) -> Self {
        Self {
            plugins,
            sampling: Sampling::All,
            preempts: true,
            rankings: Rankings::default(),
            random: SmallRng::seed_from_u64(seed),
            next_start: 0,
        }
    }

    /// The same with another number of nodes looked at. Default: all.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// The same without making room for pods by removing less important ones. Default: with.
    #[must_use]
    pub fn without_preemption(mut self) -> Self {
        self.preempts = false;
        self
    }

    /// The plugins.
    #[must_use]
    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// A node that takes the pod, as it is and as it will be. Source: `RunFilterPluginsWithNominatedPods`.
    fn place(
        &mut self,
        pod: &PodInfo,
        cluster: &Snapshot,
        reserved: &BTreeMap<NodeIndex, NodeInfo>,
    ) -> Result<NodeIndex, Box<Refused>> {
        let index = self.place_now(pod, cluster)?;
        match reserved.get(&index) {
            Some(fuller) if !self.takes(pod, fuller) => self.place_beside(pod, cluster, reserved),
            _ => Ok(index),
        }
    }

    /// The best node was cleared for others: looks at all of them, and leaves theirs alone where both do not fit.
    fn place_beside(
        &mut self,
        pod: &PodInfo,
        cluster: &Snapshot,
        reserved: &BTreeMap<NodeIndex, NodeInfo>,
    ) -> Result<NodeIndex, Box<Refused>> {
        let topology = Topology::prepare(pod, cluster);
        let prepared = Prepared::new(&self.plugins, &pod.shape, cluster);
        let mut looked = look(cluster.nodes(), &prepared, topology.as_ref(), usize::MAX).0;
        for candidate in std::mem::take(&mut looked.candidates) {
            match reserved.get(&candidate.index).map_or(Ok(()), |fuller| prepared.check(fuller)) {
                Ok(()) => looked.candidates.push(candidate),
                Err(rejection) => looked.reject(candidate.index, rejection),
            }
        }
        self.choose(looked, &prepared, topology.as_ref(), cluster)
    }

    fn place_now(&mut self, pod: &PodInfo, cluster: &Snapshot) -> Result<NodeIndex, Box<Refused>> {
        let topology = Topology::prepare(pod, cluster);
        if let Some((plugin, reason)) = topology.as_ref().and_then(Topology::refusal) {
            return Err(refuse_anywhere(plugin, reason, cluster));
        }
        if let Some(named) = node_affinity::named_nodes(&pod.shape) {
            return self.place_named(pod, &named, cluster, topology.as_ref());
        }
        if self.sampling != Sampling::All {
            let enough = self.sampling.enough(cluster.node_count());
            return self.place_by_looking(pod, cluster, topology.as_ref(), enough);
        }
        let Some(topology) = topology else { return self.place_by_ranking(pod, cluster) };
        let ranking = self.rankings.current(&self.plugins, &pod.shape, cluster);
        let mut looked = Looked { rejections: ranking.rejections().collect(), ..Looked::default() };
        for (index, fixed, raw) in ranking.feasible() {
            let Some(node) = cluster.node(index) else { continue };
            match topology.check(node) {
                Ok(()) => looked.candidates.push(Candidate { index, node, fixed, raw: raw.clone() }),
                Err(rejection) => looked.reject(index, rejection),
            }
        }
        if looked.candidates.is_empty() {
            looked.resolvable.extend(ranking.resolvable());
            return Err(refuse(looked, cluster));
        }
        let totals = totals(&looked.candidates, ranking.prepared(), Some(&topology));
        draw(&looked.candidates, &totals, &mut self.random).ok_or_else(|| refuse(looked, cluster))
    }

    /// The usual way: nothing about other pods, and the nodes are ranked already.
    fn place_by_ranking(&mut self, pod: &PodInfo, cluster: &Snapshot) -> Result<NodeIndex, Box<Refused>> {
        let ranking = self.rankings.current(&self.plugins, &pod.shape, cluster);
        let Some(best) = ranking.best() else {
            let rejections = ranking.rejections().collect();
            let victims = self.preempts && cluster.has_less_important(pod.priority());
            let resolvable = if victims { ranking.resolvable().collect() } else { Vec::new() };
            return Err(refuse(Looked { rejections, resolvable, ..Looked::default() }, cluster));
        };
        let nth = match best.count() {
            1 => 0,
            count => self.random.random_range(0..count),
        };
        best.nth(nth).ok_or_else(|| refuse(Looked::default(), cluster))
    }

    /// The pod names its nodes, as those of a DaemonSet do: nobody else is looked at.
    fn place_named(
        &mut self,
        pod: &PodInfo,
        named: &BTreeSet<&str>,
        cluster: &Snapshot,
        topology: Option<&Topology>,
    ) -> Result<NodeIndex, Box<Refused>> {
        if named.is_empty() {
            return Err(refuse_anywhere(node_affinity::NAME, Reason::Text("pod affinity terms conflict"), cluster));
        }
        let prepared = Prepared::new(&self.plugins, &pod.shape, cluster);
        let nodes = named.iter().filter_map(|name| cluster.index_of(name));
        let nodes: Vec<_> = nodes.filter_map(|index| Some((index, cluster.node(index)?))).collect();
        let others = cluster.node_count() - nodes.len();
        let mut looked = look(nodes.into_iter(), &prepared, topology, usize::MAX).0;
        if others > 0 {
            let rejection = Rejection::for_good(node_affinity::NAME, "node(s) didn't satisfy plugin(s) [NodeAffinity]");
            looked.rejections.push((rejection, others));
        }
        self.choose(looked, &prepared, topology, cluster)
    }

    /// The plain way: look at one node after the other, from where the last pod left off, until there are enough.
    fn place_by_looking(
        &mut self,
        pod: &PodInfo,
        cluster: &Snapshot,
        topology: Option<&Topology>,
        enough: usize,
    ) -> Result<NodeIndex, Box<Refused>> {
        let prepared = Prepared::new(&self.plugins, &pod.shape, cluster);
        let places = cluster.places();
        let start = self.next_start % places.max(1);
        let order = (start..places).chain(0..start).filter_map(|at| NodeIndex::try_from(at).ok());
        let nodes = order.filter_map(|index| Some((index, cluster.node(index)?)));
        let (looked, steps) = look(nodes, &prepared, topology, enough);
        self.next_start = (start + steps) % places.max(1);
        self.choose(looked, &prepared, topology, cluster)
    }

    fn choose(
        &mut self,
        looked: Looked<'_>,
        prepared: &Prepared,
        topology: Option<&Topology>,
        cluster: &Snapshot,
    ) -> Result<NodeIndex, Box<Refused>> {
        let totals = totals(&looked.candidates, prepared, topology);
        draw(&looked.candidates, &totals, &mut self.random).ok_or_else(|| refuse(looked, cluster))
    }

    /// Every node's best score in sum, without anything kept: what the ranking must agree with.
    #[cfg(test)]
    pub(crate) fn plain_totals(&self, pod: &PodInfo, cluster: &Snapshot) -> BTreeMap<NodeIndex, i64> {
        let topology = Topology::prepare(pod, cluster);
        let prepared = Prepared::new(&self.plugins, &pod.shape, cluster);
        let looked = look(cluster.nodes(), &prepared, topology.as_ref(), usize::MAX).0;
        let totals = totals(&looked.candidates, &prepared, topology.as_ref());
        looked.candidates.iter().map(|candidate| candidate.index).zip(totals).collect()
    }
}

/// Looks at nodes in turn; returns also how many it looked at.
fn look<'a>(
    nodes: impl Iterator<Item = (NodeIndex, &'a NodeInfo)>,
    prepared: &Prepared,
    topology: Option<&Topology>,
    enough: usize,
) -> (Looked<'a>, usize) {
    let mut looked = Looked::default();
    let mut steps = 0;
    for (index, node) in nodes {
        steps += 1;
        let verdict = prepared.check(node).and_then(|()| topology.map_or(Ok(()), |topology| topology.check(node)));
        if let Err(rejection) = verdict {
            looked.reject(index, rejection);
            continue;
        }
        let (fixed, raw) = prepared.rate(node);
        looked.candidates.push(Candidate { index, node, fixed, raw });
        if looked.candidates.len() >= enough {
            break;
        }
    }
    (looked, steps)
}

fn totals(candidates: &[Candidate<'_>], prepared: &Prepared, topology: Option<&Topology>) -> Vec<i64> {
    let largest = prepared.largest(candidates.iter().map(|candidate| &candidate.raw));
    let own = candidates.iter().map(|candidate| candidate.fixed + prepared.scale(&candidate.raw, &largest));
    let Some(topology) = topology else { return own.collect() };
    let nodes: Vec<_> = candidates.iter().map(|candidate| candidate.node).collect();
    own.zip(topology.rate(&nodes)).map(|(own, others)| own + others).collect()
}

/// One of the best at random, all with the same chance.
fn draw(candidates: &[Candidate<'_>], totals: &[i64], random: &mut SmallRng) -> Option<NodeIndex> {
    let best = totals.iter().max()?;
    let ties = || candidates.iter().zip(totals).filter(|(_, total)| *total == best);
    let count = ties().count();
    let nth = if count == 1 { 0 } else { random.random_range(0..count) };
    ties().nth(nth).map(|(candidate, _)| candidate.index)
}

/// The reason has nothing to do with single nodes.
fn refuse_anywhere(plugin: &'static str, reason: Reason, cluster: &Snapshot) -> Box<Refused> {
    let why =
        Unschedulable { nodes: cluster.node_count(), pod_level: Some((plugin, reason)), ..Unschedulable::default() };
    Box::new(Refused { why, ..Refused::default() })
}

fn refuse(looked: Looked<'_>, cluster: &Snapshot) -> Box<Refused> {
    let nodes = cluster.node_count();
    let resolvable = looked.rejections.iter().filter(|(rejection, _)| rejection.resolvable);
    let resolvable_count = resolvable.map(|(_, count)| count).sum();
    let why = Unschedulable { nodes, rejections: looked.rejections, ..Unschedulable::default() };
    Box::new(Refused { why, resolvable_count, resolvable: looked.resolvable })
}

impl Scheduler for Framework {
    fn schedule(&mut self, pod: &PodInfo, cluster: &Snapshot) -> Decision {
        let reserved = cluster.reserved(pod);
        let mut refused = match self.place(pod, cluster, &reserved) {
            Ok(index) => match cluster.node(index) {
                Some(node) => return Decision::Bind { node: node.name().clone() },
                None => return Decision::Wait(Unschedulable::default()),
            },
            Err(refused) => refused,
        };
        if !self.preempts {
            return Decision::Wait(refused.why);
        }
        if !cluster.has_less_important(pod.priority()) {
            refused.resolvable.clear();
        }
        let checks = checks(&self.plugins, &pod.shape);
        let check = |node: &NodeInfo| checks.iter().try_for_each(|check| check(node));
        match preemption::find(pod, cluster, &refused, &reserved, check) {
            Ok(found) => Decision::Preempt { node: found.node, victims: found.victims, why: refused.why },
            Err(preemption) => {
                refused.why.preemption = preemption;
                Decision::Wait(refused.why)
            }
        }
    }

    /// A node that came, changed or got room helps exactly those pods that it would take now.
    fn may_help(&self, change: &Change, pod: &PodInfo, rejected_by: &[&'static str], cluster: &Snapshot) -> bool {
        let by_others = rejected_by.iter().any(|plugin| topology::PLUGINS.contains(plugin));
        match change {
            Change::Node(index) | Change::Freed(_, index) => {
                by_others || cluster.node(*index).is_some_and(|node| self.takes(pod, node))
            }
            Change::Bound(..) | Change::NodeGone | Change::Namespace | Change::Storage => by_others,
            Change::Nothing | Change::Waiting(_) | Change::Gone(_) => false,
        }
    }
}

impl Framework {
    fn takes(&self, pod: &PodInfo, node: &NodeInfo) -> bool {
        checks(&self.plugins, &pod.shape).iter().all(|check| check(node).is_ok())
    }
}
