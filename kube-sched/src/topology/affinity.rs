//! Plugin InterPodAffinity: pods that want to be near some others, or far from them.

use std::collections::HashMap;

use super::term::{Term, Terms};
use crate::plugins::SCORE_MAX;
use crate::pod::PodInfo;
use crate::snapshot::{NodeInfo, Snapshot};
use crate::verdict::Rejection;

pub(crate) const NAME: &str = "InterPodAffinity";

/// What required affinity of placed pods is worth to a pod they mean. Source: `hardPodAffinityWeight`.
const HARD_AFFINITY_WEIGHT: i64 = 1;

/// Numbers by topology key, then by domain: looked up with a node's own labels, without copying them.
type Domains = HashMap<String, HashMap<String, i64>>;

/// Affinity and anti-affinity of one pod, and that of the placed pods towards it. Source: plugin InterPodAffinity.
#[derive(Debug, Default)]
pub(crate) struct Affinity {
    /// The keys of required affinity, and how many pods that all terms mean each domain has.
    near_keys: Vec<String>,
    near: Domains,
    /// No pod is meant anywhere, but the pod means itself: the first of its kind goes anywhere.
    first_of_its_kind: bool,
    /// Domains with pods that its anti-affinity means.
    far_keys: Vec<String>,
    far: Domains,
    /// Domains in which a placed pod's anti-affinity means it.
    unwelcome: Domains,
    /// What each domain is worth.
    worth: Domains,
}

impl Affinity {
    /// `None` if neither the pod nor any placed one asks for anything of the kind.
    pub(crate) fn prepare(pod: &PodInfo, cluster: &Snapshot, gone: &dyn Fn(&PodInfo) -> bool) -> Option<Self> {
        let terms = pod.shape.terms();
        if terms.is_empty() && cluster.affine().next().is_none() {
            return None;
        }
        let mut affinity =
            Self { near_keys: keys(&terms.affinity), far_keys: keys(&terms.anti_affinity), ..Self::default() };
        affinity.count_what_others_ask(pod, cluster, gone);
        if !terms.is_empty() {
            affinity.count_what_it_asks(terms, cluster, gone);
        }
        let means_itself = terms.affinity.iter().all(|term| term.means(pod, cluster));
        affinity.first_of_its_kind = affinity.near.is_empty() && means_itself;
        let idle = terms.is_empty() && affinity.unwelcome.is_empty() && affinity.worth.is_empty();
        (!idle).then_some(affinity)
    }

    fn count_what_others_ask(&mut self, pod: &PodInfo, cluster: &Snapshot, gone: &dyn Fn(&PodInfo) -> bool) {
        for (placed, node) in cluster.affine().filter(|(placed, _)| !gone(placed)) {
            let terms = placed.shape.terms();
            let meaning = |term: &&Term| term.means(pod, cluster);
            for term in terms.anti_affinity.iter().filter(meaning) {
                add(&mut self.unwelcome, node, &term.key, 1);
            }
            for term in terms.affinity.iter().filter(meaning) {
                add(&mut self.worth, node, &term.key, HARD_AFFINITY_WEIGHT);
            }
            for term in terms.preferred.iter().filter(meaning) {
                add(&mut self.worth, node, &term.key, term.weight);
            }
        }
    }

    fn count_what_it_asks(&mut self, terms: &Terms, cluster: &Snapshot, gone: &dyn Fn(&PodInfo) -> bool) {
        for (_, node) in cluster.nodes() {
            for placed in node.pods().iter().filter(|placed| !gone(placed)) {
                if !terms.affinity.is_empty() && terms.affinity.iter().all(|term| term.means(placed, cluster)) {
                    terms.affinity.iter().for_each(|term| add(&mut self.near, node, &term.key, 1));
                }
                for term in terms.anti_affinity.iter().filter(|term| term.means(placed, cluster)) {
                    add(&mut self.far, node, &term.key, 1);
                }
                for term in terms.preferred.iter().filter(|term| term.means(placed, cluster)) {
                    add(&mut self.worth, node, &term.key, term.weight);
                }
            }
        }
    }

    pub(crate) fn check(&self, node: &NodeInfo) -> Result<(), Rejection> {
        if !self.is_near(node) {
            return Err(Rejection::for_good(NAME, "node(s) didn't match pod affinity rules"));
        }
        if self.far_keys.iter().any(|key| at(&self.far, node, key) > 0) {
            return Err(Rejection::for_now(NAME, "node(s) didn't match pod anti-affinity rules"));
        }
        if in_any(&self.unwelcome, node) {
            return Err(Rejection::for_now(NAME, "node(s) didn't satisfy existing pods anti-affinity rules"));
        }
        Ok(())
    }

    fn is_near(&self, node: &NodeInfo) -> bool {
        self.near_keys.iter().all(|key| node.labels().contains_key(key))
            && (self.first_of_its_kind || self.near_keys.iter().all(|key| at(&self.near, node, key) > 0))
    }

    /// Scaled between the least and the most that any of the nodes is worth.
    pub(crate) fn rate(&self, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
        if self.worth.is_empty() {
            return None;
        }
        let worth = |node: &&NodeInfo| -> i64 { self.worth.keys().map(|key| at(&self.worth, node, key)).sum() };
        let worths: Vec<i64> = nodes.iter().map(worth).collect();
        let (least, most) = (worths.iter().copied().min()?, worths.iter().copied().max()?);
        let scaled = |worth: i64| if most == least { 0 } else { SCORE_MAX * (worth - least) / (most - least) };
        Some(worths.into_iter().map(scaled).collect())
    }
}

fn keys(terms: &[Term]) -> Vec<String> {
    terms.iter().map(|term| term.key.clone()).collect()
}

fn add(domains: &mut Domains, node: &NodeInfo, key: &str, amount: i64) {
    let Some(value) = node.labels().get(key) else { return };
    if !domains.contains_key(key) {
        domains.insert(key.to_owned(), HashMap::new());
    }
    let Some(values) = domains.get_mut(key) else { return };
    match values.get_mut(value) {
        Some(held) => *held += amount,
        None => drop(values.insert(value.clone(), amount)),
    }
}

fn at(domains: &Domains, node: &NodeInfo, key: &str) -> i64 {
    let value = || domains.get(key)?.get(node.labels().get(key)?).copied();
    value().unwrap_or(0)
}

fn in_any(domains: &Domains, node: &NodeInfo) -> bool {
    domains.keys().any(|key| at(domains, node, key) > 0)
}
