//! Plugin NodeAffinity: pods choose nodes by labels, or by name.

use std::collections::BTreeSet;
use std::sync::Arc;

use coracle_core::placement;
use k8s_openapi::api::core::v1::NodeSelectorTerm;

use super::{Check, Filter, Rate, Scale, Score};
use crate::shape::Shape;
use crate::snapshot::{NodeInfo, Snapshot};
use crate::verdict::Rejection;

pub(crate) const NAME: &str = "NodeAffinity";

/// Rejects nodes that the pod's node selector or required node affinity does not choose; prefers nodes by the weights of
/// preferred terms. Weight 2. Source: plugin NodeAffinity.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeAffinity;

impl Filter for NodeAffinity {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&self, shape: &Arc<Shape>) -> Option<Check> {
        if shape.node_selector.is_empty() && shape.required_node_terms().is_none() {
            return None;
        }
        let shape = shape.clone();
        Some(Box::new(move |node| {
            if chooses(&shape, node) {
                Ok(())
            } else {
                Err(Rejection::for_good(NAME, "node(s) didn't match Pod's node affinity/selector"))
            }
        }))
    }
}

impl Score for NodeAffinity {
    fn name(&self) -> &'static str {
        NAME
    }

    fn weight(&self) -> i64 {
        2
    }

    fn scale(&self) -> Scale {
        Scale::Up
    }

    fn prepare(&self, shape: &Arc<Shape>, _cluster: &Snapshot) -> Option<Rate> {
        let affinity = shape.affinity.as_ref()?.node_affinity.as_ref()?;
        let preferred = affinity.preferred_during_scheduling_ignored_during_execution.clone()?;
        if preferred.is_empty() {
            return None;
        }
        Some(Box::new(move |node| {
            let matching = preferred.iter().filter(|term| term_matches(&term.preference, node));
            matching.map(|term| i64::from(term.weight)).sum()
        }))
    }
}

/// Whether the node selector and the required node affinity choose a node.
pub(crate) fn chooses(shape: &Shape, node: &NodeInfo) -> bool {
    let labels = node.labels();
    shape.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        && shape.required_node_terms().is_none_or(|terms| terms.iter().any(|term| term_matches(term, node)))
}

fn term_matches(term: &NodeSelectorTerm, node: &NodeInfo) -> bool {
    placement::chooses(term, node.name(), &|key| node.labels().get(key).map(String::as_str))
}

/// The nodes that required affinity names outright (`metadata.name In [...]` in every term), as DaemonSet pods do; `None` if
/// it leaves the name open. An empty set means that the terms contradict themselves.
pub(crate) fn named_nodes(shape: &Shape) -> Option<BTreeSet<&str>> {
    let terms = shape.required_node_terms().filter(|terms| !terms.is_empty())?;
    let mut names = BTreeSet::new();
    for term in terms {
        let fields = term.match_fields.iter().flatten();
        let pins = fields.filter(|field| field.key == "metadata.name" && field.operator == "In");
        let sets = pins.map(|field| field.values.iter().flatten().map(String::as_str).collect::<BTreeSet<_>>());
        names.extend(sets.reduce(|one, other| &one & &other)?);
    }
    Some(names)
}
