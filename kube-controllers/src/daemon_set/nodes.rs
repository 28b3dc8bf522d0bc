//! Every node beside the pods that are on it or meant for it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};

use super::daemon::{is_updated, target};
use super::eligible::Fit;
use crate::pods;

/// One node, as one set sees it.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    pub(super) name: &'a str,
    pub(super) fit: Fit,
    /// The set's pods there: bound ones before others, then the oldest first.
    pub(super) pods: Vec<&'a Arc<Pod>>,
}

/// What is on a node in mid-rollout.
#[derive(Debug)]
pub(super) enum Sitting<'a> {
    /// At most one pod of each kind.
    Orderly { new: Option<&'a Arc<Pod>>, old: Option<&'a Arc<Pod>> },
    /// More than there should be.
    Crowded,
}

/// Every node in order of names, and the pods that are meant for nodes that do not exist.
pub(super) fn seat<'a>(nodes: &'a [(Arc<Node>, Fit)], pods: &'a [Arc<Pod>]) -> (Vec<Seat<'a>>, Vec<&'a Arc<Pod>>) {
    let mut by_node: HashMap<&str, Vec<&Arc<Pod>>> = HashMap::new();
    for pod in pods.iter().filter(|pod| !is_over(pod)) {
        if let Some(node) = target(pod) {
            by_node.entry(node).or_default().push(pod);
        }
    }
    let seats = nodes.iter().map(|(node, fit)| {
        let name = node.metadata.name.as_deref().unwrap_or("");
        let mut pods = by_node.remove(name).unwrap_or_default();
        pods.sort_by_key(|pod| order(pod));
        Seat { name, fit: *fit, pods }
    });
    let seats = seats.collect();
    let mut homeless: Vec<_> = by_node.into_values().flatten().collect();
    homeless.sort_by_key(|pod| order(pod));
    (seats, homeless)
}

impl<'a> Seat<'a> {
    /// What is there and stays there. Source: `findUpdatedPodsOnNode`.
    pub(super) fn sitting(&self, set: &DaemonSet, hash: &str) -> Sitting<'a> {
        let (mut new, mut old) = (None, None);
        for pod in self.pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()) {
            let place = if is_updated(set, pod, hash) { &mut new } else { &mut old };
            if place.replace(*pod).is_some() {
                return Sitting::Crowded;
            }
        }
        Sitting::Orderly { new, old }
    }
}

/// Whether a pod has ended and is only kept by somebody's finalizer.
fn is_over(pod: &Pod) -> bool {
    pods::is_terminal(pod) && pod.metadata.deletion_timestamp.is_some()
}

/// Source: `podByCreationTimestampAndPhase`.
fn order(pod: &Pod) -> (Reverse<bool>, Option<Timestamp>, &str) {
    let created = pod.metadata.creation_timestamp.as_ref().map(|created| created.0);
    (Reverse(!pods::node_name(pod).is_empty()), created, pod.metadata.name.as_deref().unwrap_or(""))
}
