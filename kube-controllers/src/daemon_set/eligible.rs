//! Which nodes a set wants a pod on, and where one may stay. Source: `NodeShouldRunDaemonPod`.

use std::collections::BTreeMap;

use coracle_core::placement::{chooses, tolerates};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, NodeSelector, PodSpec, Taint, Toleration};

use super::daemon::default_tolerations;
use super::template;

/// What a set wants with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// A pod is wanted there.
    pub(super) runs: bool,
    /// A pod that is there already may stay.
    pub(super) stays: bool,
}

impl Fit {
    pub(super) const NEVER: Self = Self { runs: false, stays: false };
    const ALWAYS: Self = Self { runs: true, stays: true };
}

/// What a set asks of nodes, looked up once for all of them.
pub(super) struct Eligibility<'a> {
    node_name: &'a str,
    labels: Option<&'a BTreeMap<String, String>>,
    required: Option<&'a NodeSelector>,
    tolerations: Vec<&'a Toleration>,
}

impl<'a> Eligibility<'a> {
    pub(super) fn of(set: &'a DaemonSet) -> Self {
        let Some(spec) = &template(set).spec else {
            return Self { node_name: "", labels: None, required: None, tolerations: Vec::new() };
        };
        let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
        let mut tolerations: Vec<&Toleration> = spec.tolerations.iter().flatten().collect();
        tolerations.extend(default_tolerations(is_on_host_network(spec)));
        Self {
            node_name: spec.node_name.as_deref().unwrap_or(""),
            labels: spec.node_selector.as_ref(),
            required: affinity.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref()),
            tolerations,
        }
    }

    pub(super) fn fit(&self, node: &Node) -> Fit {
        if !self.is_chosen(node) {
            return Fit::NEVER;
        }
        let borne = |taint: &Taint| self.tolerations.iter().any(|toleration| tolerates(toleration, taint));
        let driven_off =
            |effects: &[&str]| taints(node).any(|taint| effects.contains(&taint.effect.as_str()) && !borne(taint));
        if driven_off(&["NoExecute"]) { Fit::NEVER } else { Fit { runs: !driven_off(&["NoSchedule"]), ..Fit::ALWAYS } }
    }

    fn is_chosen(&self, node: &Node) -> bool {
        let name = node.metadata.name.as_deref().unwrap_or("");
        let label = |key: &str| node.metadata.labels.as_ref()?.get(key).map(String::as_str);
        (self.node_name.is_empty() || self.node_name == name)
            && self.labels.is_none_or(|labels| labels.iter().all(|(key, value)| label(key) == Some(value)))
            && self.required.is_none_or(|it| it.node_selector_terms.iter().any(|term| chooses(term, name, &label)))
    }
}

pub(super) fn is_on_host_network(spec: &PodSpec) -> bool {
    spec.host_network == Some(true)
}

/// Whether two versions of a node are the same to every set.
pub(super) fn look_alike(one: &Node, other: &Node) -> bool {
    one.metadata.labels == other.metadata.labels && taints(one).eq(taints(other))
}

fn taints(node: &Node) -> impl Iterator<Item = &Taint> {
    node.spec.iter().flat_map(|spec| spec.taints.iter().flatten())
}
