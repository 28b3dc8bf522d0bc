//! All nodes sorted by how gladly they take the pods of one shape, kept up as nodes change.
//!
//! Scores of most plugins are numbers of a node alone. Those that are scaled by the largest among the feasible nodes (see
//! [`Scale`]) are kept raw: nodes with the same raw numbers form a *tier*, whose scaled part is the same for all of them. So
//! the best node is the best of some tier's best, whatever the scale is now. There are few tiers: one, without soft taints and
//! preferences. Placing a pod then costs one look at each node that changed since the last one: usually the node that got it.
//!
//! ```text
//! tier (0 soft taints, preference 10): score 187: [n4, n7]  score 160: [n1]
//! tier (1 soft taint,  preference 10): score 190: [n2]
//! rejected: 2 x "Insufficient cpu": n3, n5
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::framework::Plugins;
use crate::plugins::{Check, Rate, Scale};
use crate::shape::Shape;
use crate::snapshot::{NodeIndex, NodeInfo, Snapshot};
use crate::verdict::Rejection;

/// Raw numbers of the scaled plugins, in their order.
pub(crate) type Raw = SmallVec<[i64; 2]>;

/// The plugins, prepared for one shape.
pub(crate) struct Prepared {
    checks: Vec<Check>,
    /// Weighted plugins whose numbers are scores.
    fixed: Vec<(i64, Rate)>,
    /// The other ones; `None` rates all nodes zero.
    scaled: Vec<(i64, Scale, Option<Rate>)>,
}

impl Prepared {
    pub(crate) fn new(plugins: &Plugins, shape: &Arc<Shape>, cluster: &Snapshot) -> Self {
        let mut prepared = Self { checks: checks(plugins, shape), fixed: Vec::new(), scaled: Vec::new() };
        for score in &plugins.scores {
            match (score.scale(), score.prepare(shape, cluster)) {
                (Scale::AsIs, Some(rate)) => prepared.fixed.push((score.weight(), rate)),
                (Scale::AsIs, None) | (Scale::Up, None) => {}
                (scale, rate) => prepared.scaled.push((score.weight(), scale, rate)),
            }
        }
        prepared
    }

    /// Whether a node takes the pod; else the first filter that rejects it.
    pub(crate) fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        self.checks.iter().try_for_each(|check| check(node))
    }

    /// What the unscaled plugins give in sum, and the raw numbers of the scaled ones.
    pub(crate) fn rate(&self, node: &NodeInfo) -> (i64, Raw) {
        let fixed = self.fixed.iter().map(|(weight, rate)| weight * rate(node)).sum();
        let raw = self.scaled.iter().map(|(_, _, rate)| rate.as_ref().map_or(0, |rate| rate(node)));
        (fixed, raw.collect())
    }

    /// The largest raw numbers of all.
    pub(crate) fn largest<'a>(&self, raws: impl Iterator<Item = &'a Raw>) -> Raw {
        let mut largest: Raw = self.scaled.iter().map(|_| 0).collect();
        for raw in raws {
            for (largest, raw) in largest.iter_mut().zip(raw) {
                *largest = (*largest).max(*raw);
            }
        }
        largest
    }

    /// What the scaled plugins give in sum.
    pub(crate) fn scale(&self, raw: &Raw, largest: &Raw) -> i64 {
        let numbers = raw.iter().zip(largest);
        let scores = self.scaled.iter().zip(numbers);
        scores.map(|((weight, scale, _), (raw, largest))| weight * scale.apply(*raw, *largest)).sum()
    }
}

/// The filters that have something to say about a shape.
pub(crate) fn checks(plugins: &Plugins, shape: &Arc<Shape>) -> Vec<Check> {
    plugins.filters.iter().filter_map(|filter| filter.prepare(shape)).collect()
}

/// The nodes of one snapshot, ranked for one shape.
pub(crate) struct Ranking {
    prepared: Prepared,
    slots: Vec<Slot>,
    tiers: Vec<Tier>,
    rejections: Vec<(Rejection, usize)>,
    /// Up to where in the snapshot's journal this is current.
    seen: u64,
    /// What the score plugins' stamps were.
    stamp: u64,
    snapshot: Arc<()>,
}

/// Where a node stands.
#[derive(Clone, Copy)]
enum Slot {
    Absent,
    Rejected { rejection: u32 },
    Ranked { tier: u32, score: i64, at: u32 },
}

/// Feasible nodes with the same raw numbers, by score.
struct Tier {
    raw: Raw,
    by_score: BTreeMap<i64, Vec<NodeIndex>>,
}

impl Ranking {
    pub(crate) fn new(plugins: &Plugins, shape: &Arc<Shape>, cluster: &Snapshot) -> Self {
        let mut ranking = Self {
            prepared: Prepared::new(plugins, shape, cluster),
            slots: Vec::new(),
            tiers: Vec::new(),
            rejections: Vec::new(),
            seen: cluster.now(),
            stamp: plugins.stamp(shape, cluster),
            snapshot: cluster.identity().clone(),
        };
        ranking.rank_all(cluster);
        ranking
    }

    /// Brings this up to date, from scratch where that is cheaper or necessary.
    pub(crate) fn refresh(&mut self, plugins: &Plugins, shape: &Arc<Shape>, cluster: &Snapshot) {
        if !cluster.is(&self.snapshot) || plugins.stamp(shape, cluster) != self.stamp {
            *self = Self::new(plugins, shape, cluster);
            return;
        }
        match cluster.changed_since(self.seen) {
            Some(changed) => changed.for_each(|index| self.rank(index, cluster)),
            None => self.rank_all(cluster),
        }
        self.seen = cluster.now();
    }

    /// The nodes that tie for the best place: groups of equals, to be drawn from without copying them.
    pub(crate) fn best(&self) -> Option<Best<'_>> {
        let largest = self.prepared.largest(self.live().map(|tier| &tier.raw));
        let mut best = Best { total: i64::MIN, groups: SmallVec::new() };
        for tier in self.live() {
            let Some((score, nodes)) = tier.by_score.last_key_value() else { continue };
            let total = score + self.prepared.scale(&tier.raw, &largest);
            if total > best.total {
                best = Best { total, groups: SmallVec::new() };
            }
            if total == best.total {
                best.groups.push(nodes);
            }
        }
        (!best.groups.is_empty()).then_some(best)
    }

    /// Every feasible node with its numbers.
    pub(crate) fn feasible(&self) -> impl Iterator<Item = (NodeIndex, i64, &Raw)> {
        self.tiers.iter().flat_map(|tier| {
            let nodes = tier.by_score.iter();
            nodes.flat_map(|(score, nodes)| nodes.iter().map(|node| (*node, *score, &tier.raw)))
        })
    }

    /// How many nodes each rejection holds for.
    pub(crate) fn rejections(&self) -> impl Iterator<Item = (Rejection, usize)> {
        self.rejections.iter().filter(|(_, count)| *count > 0).cloned()
    }

    /// The nodes that fewer pods on them could make feasible.
    pub(crate) fn resolvable(&self) -> impl Iterator<Item = NodeIndex> {
        (0..)
            .zip(&self.slots)
            .filter(|(_, slot)| match slot {
                Slot::Rejected { rejection } => {
                    self.rejections.get(*rejection as usize).is_some_and(|(rejection, _)| rejection.resolvable)
                }
                _ => false,
            })
            .map(|(index, _)| index)
    }

    pub(crate) fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// How many nodes this remembers something about.
    pub(crate) fn size(&self) -> usize {
        self.slots.len()
    }

    fn live(&self) -> impl Iterator<Item = &Tier> {
        self.tiers.iter().filter(|tier| !tier.by_score.is_empty())
    }

    fn rank_all(&mut self, cluster: &Snapshot) {
        self.slots.clear();
        self.tiers.clear();
        self.rejections.clear();
        self.slots.resize(cluster.places(), Slot::Absent);
        for (index, _) in cluster.nodes() {
            self.rank(index, cluster);
        }
    }

    /// Looks at one node again.
    fn rank(&mut self, index: NodeIndex, cluster: &Snapshot) {
        let slot = match cluster.node(index).map(|node| (node, self.prepared.check(node))) {
            None => Slot::Absent,
            Some((_, Err(rejection))) => self.reject(rejection),
            Some((node, Ok(()))) => {
                let (score, raw) = self.prepared.rate(node);
                if self.stands_at(index, score, &raw) {
                    return;
                }
                self.remove(index);
                self.insert(index, score, raw);
                return;
            }
        };
        self.remove(index);
        self.put(index, slot);
    }

    fn stands_at(&self, index: NodeIndex, score: i64, raw: &Raw) -> bool {
        match self.slots.get(index as usize) {
            Some(Slot::Ranked { tier, score: held, .. }) if *held == score => {
                self.tiers.get(*tier as usize).is_some_and(|tier| tier.raw == *raw)
            }
            _ => false,
        }
    }

    fn reject(&mut self, rejection: Rejection) -> Slot {
        let known = self.rejections.iter().position(|(known, _)| *known == rejection);
        let at = known.unwrap_or_else(|| {
            self.rejections.push((rejection, 0));
            self.rejections.len() - 1
        });
        if let Some((_, count)) = self.rejections.get_mut(at) {
            *count += 1;
        }
        Slot::Rejected { rejection: narrow(at) }
    }

    fn insert(&mut self, index: NodeIndex, score: i64, raw: Raw) {
        let known = self.tiers.iter().position(|tier| tier.raw == raw);
        let at = known.unwrap_or_else(|| {
            self.tiers.push(Tier { raw, by_score: BTreeMap::new() });
            self.tiers.len() - 1
        });
        let Some(tier) = self.tiers.get_mut(at) else { return };
        let nodes = tier.by_score.entry(score).or_default();
        nodes.push(index);
        let slot = Slot::Ranked { tier: narrow(at), score, at: narrow(nodes.len() - 1) };
        self.put(index, slot);
    }

    fn remove(&mut self, index: NodeIndex) {
        let Some(slot) = self.slots.get(index as usize).copied() else { return };
        self.put(index, Slot::Absent);
        match slot {
            Slot::Absent => {}
            Slot::Rejected { rejection } => {
                if let Some((_, count)) = self.rejections.get_mut(rejection as usize) {
                    *count -= 1;
                }
            }
            Slot::Ranked { tier, score, at } => self.unrank(tier, score, at),
        }
    }

    fn unrank(&mut self, tier: u32, score: i64, at: u32) {
        let Some(by_score) = self.tiers.get_mut(tier as usize).map(|tier| &mut tier.by_score) else { return };
        let Some(nodes) = by_score.get_mut(&score) else { return };
        nodes.swap_remove(at as usize);
        if nodes.is_empty() {
            by_score.remove(&score);
        } else if let Some(moved) = nodes.get(at as usize).copied() {
            self.put(moved, Slot::Ranked { tier, score, at });
        }
    }

    fn put(&mut self, index: NodeIndex, slot: Slot) {
        let at = index as usize;
        if at >= self.slots.len() {
            self.slots.resize(at + 1, Slot::Absent);
        }
        if let Some(held) = self.slots.get_mut(at) {
            *held = slot;
        }
    }
}

fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Groups of nodes that tie for the best place.
pub(crate) struct Best<'a> {
    total: i64,
    groups: SmallVec<[&'a Vec<NodeIndex>; 1]>,
}

impl Best<'_> {
    /// How many nodes tie.
    pub(crate) fn count(&self) -> usize {
        self.groups.iter().map(|group| group.len()).sum()
    }

    /// One of them.
    pub(crate) fn nth(&self, mut nth: usize) -> Option<NodeIndex> {
        for group in &self.groups {
            match group.get(nth) {
                Some(node) => return Some(*node),
                None => nth -= group.len(),
            }
        }
        None
    }
}
