//! What a pod for a node looks like, and which node a pod is for. Source: `daemonset_util.go`.

use std::sync::LazyLock;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    Affinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Toleration,
};

use super::eligible::is_on_host_network;
use super::template;
use crate::history::{REVISION_HASH, made_from};
use crate::ownership::controller_reference;
use crate::pods;

const GENERATION: &str = "deprecated.daemonset.template.generation";
const POD_GENERATION: &str = "pod-template-generation";

/// Taints that daemons bear: key, effect, and whether only pods on the host's network do.
const BORNE: [(&str, &str, bool); 7] = [
    ("node.kubernetes.io/not-ready", "NoExecute", false),
    ("node.kubernetes.io/unreachable", "NoExecute", false),
    ("node.kubernetes.io/disk-pressure", "NoSchedule", false),
    ("node.kubernetes.io/memory-pressure", "NoSchedule", false),
    ("node.kubernetes.io/pid-pressure", "NoSchedule", false),
    ("node.kubernetes.io/unschedulable", "NoSchedule", false),
    ("node.kubernetes.io/network-unavailable", "NoSchedule", true),
];

/// The tolerations that every daemon has beside its own. Source: `AddOrUpdateDaemonPodTolerations`.
pub(super) fn default_tolerations<'a>(on_host_network: bool) -> impl Iterator<Item = &'a Toleration> {
    static TOLERATIONS: LazyLock<Vec<(Toleration, bool)>> =
        LazyLock::new(|| BORNE.into_iter().map(toleration).collect());
    let apply = TOLERATIONS.iter().filter(move |(_, host)| on_host_network || !host);
    apply.map(|(toleration, _)| toleration)
}

fn toleration((key, effect, host): (&str, &str, bool)) -> (Toleration, bool) {
    let toleration = Toleration {
        key: Some(key.to_owned()),
        operator: Some("Exists".to_owned()),
        effect: Some(effect.to_owned()),
        ..Toleration::default()
    };
    (toleration, host)
}

/// A pod for a node; the scheduler binds it there. Source: `CreatePodTemplate`.
pub(super) fn new_pod(set: &DaemonSet, hash: &str, node: &str) -> Pod {
    let mut pod = pods::from_template(template(set), &set.metadata, controller_reference(set));
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(REVISION_HASH.to_owned(), hash.to_owned());
    if let Some(generation) = generation(set) {
        labels.insert(POD_GENERATION.to_owned(), generation.to_owned());
    }
    let spec = pod.spec.get_or_insert_default();
    tolerate(spec);
    pin(spec.affinity.get_or_insert_default(), node);
    pod
}

/// The node that a pod runs on or is meant for; `None` for a pod that somebody else made. Source: `GetTargetNodeName`.
pub(super) fn target(pod: &Pod) -> Option<&str> {
    let spec = pod.spec.as_ref()?;
    if let Some(node) = spec.node_name.as_deref().filter(|node| !node.is_empty()) {
        return Some(node);
    }
    let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &affinity.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let fields = terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    let mut pins = fields.filter(|field| field.key == "metadata.name" && field.operator == "In");
    pins.find_map(|field| match field.values.as_deref() {
        Some([node]) => Some(node.as_str()),
        _ => None,
    })
}

/// Whether a pod is of the present revision. Source: `IsPodUpdated`.
pub(super) fn is_updated(set: &DaemonSet, pod: &Pod, hash: &str) -> bool {
    let labelled = pod.metadata.labels.as_ref().and_then(|labels| labels.get(POD_GENERATION));
    made_from(&pod.metadata) == hash || generation(set).is_some_and(|it| labelled.is_some_and(|label| label == it))
}

fn generation(set: &DaemonSet) -> Option<&str> {
    let annotations = set.metadata.annotations.as_ref();
    let generation = annotations.and_then(|annotations| annotations.get(GENERATION))?;
    generation.parse::<i64>().is_ok().then_some(generation)
}

fn tolerate(spec: &mut PodSpec) {
    let defaults = default_tolerations(is_on_host_network(spec));
    let tolerations = spec.tolerations.get_or_insert_default();
    for toleration in defaults {
        let same = |known: &&mut Toleration| {
            (&known.key, &known.operator, &known.effect) == (&toleration.key, &toleration.operator, &toleration.effect)
                && known.value.as_deref().unwrap_or("").is_empty()
        };
        match tolerations.iter_mut().find(same) {
            Some(known) => known.clone_from(toleration),
            None => tolerations.push(toleration.clone()),
        }
    }
}

/// Replaces what is required of a node by its name: this node was found to fit. Source:
/// `ReplaceDaemonSetPodNodeNameNodeAffinity`.
fn pin(affinity: &mut Affinity, node: &str) {
    let name = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let term = NodeSelectorTerm { match_fields: Some(vec![name]), match_expressions: None };
    let affinity = affinity.node_affinity.get_or_insert_default();
    affinity.required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: vec![term] });
}
