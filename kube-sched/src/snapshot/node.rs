//! One node as filters and scores read it.

use std::sync::Arc;

use coracle_core::selector::Labels;
use k8s_openapi::api::core::v1::{Node, Taint};

use crate::pod::PodInfo;
use crate::resources::{ResourceList, Resources};
use crate::shape::HostPort;

/// A node, what it can hold and what it holds.
#[derive(Clone, Debug, Default)]
pub struct NodeInfo {
    pub(super) node: Option<Arc<Node>>,
    pub(super) name: Arc<str>,
    /// What all pods together may ask for.
    pub allocatable: Resources,
    /// How many pods it may hold.
    pub pods_max: i64,
    /// What its pods ask for, assumed ones included.
    pub requested: Resources,
    /// What its pods count as when scored: milli-cpu and bytes of memory.
    pub scoring_requested: (i64, i64),
    /// The host ports its pods use.
    pub host_ports: Vec<HostPort>,
    /// Its images, sorted.
    pub images: Vec<Arc<str>>,
    pub(super) pods: Vec<Arc<PodInfo>>,
}

impl NodeInfo {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether there is such a node. Pods may name one that is not there yet, or no longer.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.node.is_some()
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        static NONE: Labels = Labels::new();
        self.node.as_ref().and_then(|node| node.metadata.labels.as_ref()).unwrap_or(&NONE)
    }

    /// The taints.
    #[must_use]
    pub fn taints(&self) -> &[Taint] {
        let spec = self.node.as_ref().and_then(|node| node.spec.as_ref());
        spec.and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
    }

    /// The node itself.
    #[must_use]
    pub fn object(&self) -> Option<&Node> {
        self.node.as_deref()
    }

    /// Whether someone closed the node to new pods.
    #[must_use]
    pub fn is_unschedulable(&self) -> bool {
        let spec = self.node.as_ref().and_then(|node| node.spec.as_ref());
        spec.is_some_and(|spec| spec.unschedulable == Some(true))
    }

    /// The pods on it, assumed ones included, in no order.
    #[must_use]
    pub fn pods(&self) -> &[Arc<PodInfo>] {
        &self.pods
    }

    /// The node without some of its pods: what it would be after a preemption. Costs a copy.
    #[must_use]
    pub fn without(&self, keep: impl Fn(&PodInfo) -> bool) -> Self {
        let mut node = self.clone();
        for pod in self.pods.iter().filter(|pod| !keep(pod)) {
            node.release(pod);
        }
        node.pods.retain(|pod| keep(pod));
        node
    }

    /// The node with one pod more. Costs nothing but the pod's amounts.
    pub fn hold(&mut self, pod: Arc<PodInfo>) {
        self.requested.add(&pod.shape.request, 1);
        let (milli_cpu, memory_bytes) = pod.shape.scoring_request;
        self.scoring_requested.0 += milli_cpu;
        self.scoring_requested.1 += memory_bytes;
        self.host_ports.extend_from_slice(&pod.shape.host_ports);
        self.pods.push(pod);
    }

    /// Takes away a pod's amounts, not the pod.
    pub(super) fn release(&mut self, pod: &PodInfo) {
        self.requested.add(&pod.shape.request, -1);
        let (milli_cpu, memory_bytes) = pod.shape.scoring_request;
        self.scoring_requested.0 -= milli_cpu;
        self.scoring_requested.1 -= memory_bytes;
        for port in &pod.shape.host_ports {
            if let Some(at) = self.host_ports.iter().position(|held| held == port) {
                self.host_ports.swap_remove(at);
            }
        }
    }

    pub(super) fn set_node(&mut self, node: Arc<Node>) {
        static NOTHING: ResourceList = ResourceList::new();
        let list = node.status.as_ref().and_then(|status| status.allocatable.as_ref()).unwrap_or(&NOTHING);
        self.allocatable = Resources::of(list);
        self.pods_max = pods_max(list);
        self.node = Some(node);
    }

    pub(super) fn unset_node(&mut self) {
        self.node = None;
        self.allocatable = Resources::default();
        self.pods_max = 0;
        self.images = Vec::new();
    }
}

fn pods_max(list: &ResourceList) -> i64 {
    let quantity = list.get("pods").and_then(|text| coracle_core::quantity::Quantity::parse(&text.0).ok());
    quantity.map_or(0, |quantity| quantity.value())
}

/// Whether two versions of a node are the same to the scheduler: heartbeats and conditions are not its business.
pub(super) fn looks_the_same(one: &Node, other: &Node) -> bool {
    let spec = |node: &Node| {
        let spec = node.spec.as_ref();
        (spec.and_then(|spec| spec.unschedulable).unwrap_or(false), spec.and_then(|spec| spec.taints.clone()))
    };
    let allocatable = |node: &Node| node.status.as_ref().and_then(|status| status.allocatable.clone());
    spec(one) == spec(other) && one.metadata.labels == other.metadata.labels && allocatable(one) == allocatable(other)
}
