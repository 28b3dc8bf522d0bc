//! Plugin PodTopologySpread: pods of a kind in about equal numbers per zone, node or other domain.

use std::collections::HashMap;

use coracle_core::selector::{Operator, Requirement, Selector};
use k8s_openapi::api::core::v1::TopologySpreadConstraint;

use super::term::NO_LABELS;
use crate::plugins::SCORE_MAX;
use crate::plugins::node_affinity::chooses;
use crate::plugins::taint_toleration::node_is_tolerated;
use crate::pod::PodInfo;
use crate::shape::Shape;
use crate::snapshot::{NodeInfo, Snapshot};
use crate::verdict::Rejection;

pub(crate) const NAME: &str = "PodTopologySpread";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// The spread constraints of one pod, with what each domain has. Source: plugin PodTopologySpread.
#[derive(Debug)]
pub(crate) struct Spread {
    hard: Vec<Constraint>,
    soft: Vec<Constraint>,
}

#[derive(Debug)]
struct Constraint {
    key: String,
    max_skew: i64,
    /// Whether the pod itself will count.
    counts_itself: i64,
    /// Matching pods by domain; every eligible domain is in here.
    domains: HashMap<String, i64>,
    /// The smallest number, or zero while there are fewer domains than wanted.
    least: i64,
    honors_affinity: bool,
    honors_taints: bool,
}

impl Spread {
    /// `None` if the pod has no constraints.
    pub(crate) fn prepare(pod: &PodInfo, cluster: &Snapshot, gone: &dyn Fn(&PodInfo) -> bool) -> Option<Self> {
        let constraints = &pod.shape.spread;
        if constraints.is_empty() {
            return None;
        }
        let count = |hard: bool| {
            let chosen: Vec<_> = constraints
                .iter()
                .filter(|constraint| (constraint.when_unsatisfiable == "DoNotSchedule") == hard)
                .collect();
            let keys: Vec<_> = chosen.iter().map(|constraint| constraint.topology_key.as_str()).collect();
            chosen.iter().map(|constraint| Constraint::count(constraint, &keys, pod, cluster, gone)).collect()
        };
        Some(Self { hard: count(true), soft: count(false) })
    }

    pub(crate) fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        for constraint in &self.hard {
            let Some(domain) = node.labels().get(&constraint.key) else {
                let reason = "node(s) didn't match pod topology spread constraints (missing required label)";
                return Err(Rejection::for_good(NAME, reason));
            };
            let count = constraint.domains.get(domain).copied().unwrap_or(0);
            if count + constraint.counts_itself - constraint.least > constraint.max_skew {
                return Err(Rejection::for_now(NAME, "node(s) didn't match pod topology spread constraints"));
            }
        }
        Ok(())
    }

    /// The fewer matching pods its domains have, the better a node is. Nodes outside of all domains get nothing.
    pub(crate) fn rate(&self, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
        if self.soft.is_empty() {
            return None;
        }
        let in_domains = |node: &NodeInfo| self.soft.iter().all(|soft| node.labels().contains_key(&soft.key));
        let inside: Vec<&NodeInfo> = nodes.iter().copied().filter(|node| in_domains(node)).collect();
        let weights: Vec<f64> = self.soft.iter().map(|soft| soft.weight(&inside)).collect();
        let raw = |node: &NodeInfo| -> Option<i64> {
            in_domains(node).then(|| {
                let parts = self.soft.iter().zip(&weights).map(|(soft, weight)| soft.cost(node, *weight));
                round(parts.sum())
            })
        };
        let raws: Vec<Option<i64>> = nodes.iter().map(|node| raw(node)).collect();
        let least = raws.iter().flatten().min().copied().unwrap_or(0);
        let most = raws.iter().flatten().max().copied().unwrap_or(0);
        let scaled = |raw: i64| if most == 0 { SCORE_MAX } else { SCORE_MAX * (most + least - raw) / most };
        Some(raws.into_iter().map(|raw| raw.map_or(0, scaled)).collect())
    }
}

impl Constraint {
    fn count(
        constraint: &TopologySpreadConstraint,
        keys: &[&str],
        pod: &PodInfo,
        cluster: &Snapshot,
        gone: &dyn Fn(&PodInfo) -> bool,
    ) -> Self {
        let selector = selector(constraint, pod);
        let honors =
            |policy: &Option<String>, default: bool| policy.as_ref().map_or(default, |policy| policy == "Honor");
        let mut counted = Self {
            key: constraint.topology_key.clone(),
            max_skew: i64::from(constraint.max_skew),
            counts_itself: i64::from(selector.matches_optional(pod.pod.metadata.labels.as_ref())),
            domains: HashMap::new(),
            least: 0,
            honors_affinity: honors(&constraint.node_affinity_policy, true),
            honors_taints: honors(&constraint.node_taints_policy, false),
        };
        let counts = |placed: &PodInfo| {
            !placed.is_terminating()
                && placed.namespace() == pod.namespace()
                && selector.matches_optional(placed.pod.metadata.labels.as_ref())
                && !gone(placed)
        };
        // An empty selector means everything elsewhere, but counts nothing here.
        let counts_any = !selector.is_everything() && !selector.is_nothing();
        for (_, node) in cluster.nodes() {
            let has_keys = keys.iter().all(|key| node.labels().contains_key(*key));
            let Some(domain) = node.labels().get(&counted.key).filter(|_| has_keys) else { continue };
            if !counted.is_eligible(node, &pod.shape) {
                continue;
            }
            let found = if counts_any { node.pods().iter().filter(|placed| counts(placed)).count() } else { 0 };
            *counted.domains.entry(domain.clone()).or_default() += i64::try_from(found).unwrap_or(i64::MAX);
        }
        let wanted = usize::try_from(constraint.min_domains.unwrap_or(1)).unwrap_or(1);
        if counted.domains.len() >= wanted {
            counted.least = counted.domains.values().min().copied().unwrap_or(0);
        }
        counted
    }

    fn is_eligible(&self, node: &NodeInfo, shape: &Shape) -> bool {
        (!self.honors_affinity || chooses(shape, node))
            && (!self.honors_taints || node_is_tolerated(&shape.tolerations, node))
    }

    /// Many domains make each one count more.
    fn weight(&self, inside: &[&NodeInfo]) -> f64 {
        let size = if self.key == HOSTNAME {
            inside.len()
        } else {
            let domains: std::collections::HashSet<_> =
                inside.iter().filter_map(|node| node.labels().get(&self.key)).collect();
            domains.len()
        };
        #[expect(clippy::cast_precision_loss, reason = "upstream's arithmetic")]
        let weight = ((size + 2) as f64).ln();
        weight
    }

    fn cost(&self, node: &NodeInfo, weight: f64) -> f64 {
        let domain = node.labels().get(&self.key);
        let count = domain.and_then(|domain| self.domains.get(domain)).copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "upstream's arithmetic")]
        let cost = count as f64 * weight + (self.max_skew - 1) as f64;
        cost
    }
}

#[expect(clippy::cast_possible_truncation, reason = "upstream's arithmetic, far from the bounds")]
fn round(cost: f64) -> i64 {
    cost.round() as i64
}

/// The selector, narrowed to the pod's own values of `matchLabelKeys`.
fn selector(constraint: &TopologySpreadConstraint, pod: &PodInfo) -> Selector {
    let selector = Selector::from_label_selector(constraint.label_selector.as_ref()).unwrap_or(Selector::nothing());
    let labels = pod.pod.metadata.labels.as_ref().unwrap_or(&NO_LABELS);
    let keys = constraint.match_label_keys.iter().flatten();
    let same = keys.filter_map(|key| Requirement::new(key, Operator::In, vec![labels.get(key)?.clone()]).ok());
    let same: Vec<_> = same.collect();
    if same.is_empty() || selector.is_nothing() {
        return selector;
    }
    Selector::new(selector.requirements().iter().cloned().chain(same).collect())
}
