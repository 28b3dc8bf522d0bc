//! A pod as the scheduler holds it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::shape::{Shape, Shapes};

/// A pod with what the scheduler has read from it once. The pod itself is shared with the rest of the cluster.
#[derive(Clone, Debug)]
pub struct PodInfo {
    /// The newest version.
    pub pod: Arc<Pod>,
    /// What it asks of a node.
    pub shape: Arc<Shape>,
    id: Arc<str>,
}

impl PodInfo {
    /// Reads a pod.
    pub fn new(pod: Arc<Pod>, shapes: &mut Shapes) -> Self {
        let shape = shapes.of(&pod);
        let id = id_of(&pod);
        Self { pod, shape, id }
    }

    /// The pod's uid, or `namespace/name` if it has none.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or("")
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or("")
    }

    /// The spec, if it has one.
    #[must_use]
    pub fn spec(&self) -> Option<&PodSpec> {
        self.pod.spec.as_ref()
    }

    /// The priority; zero by default.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.shape.priority
    }

    /// Who is to place it; `default-scheduler` by default.
    #[must_use]
    pub fn scheduler_name(&self) -> &str {
        let name = self.spec().and_then(|spec| spec.scheduler_name.as_deref());
        name.filter(|name| !name.is_empty()).unwrap_or(crate::DEFAULT_SCHEDULER)
    }

    /// The node that was cleared for it, if it says so.
    #[must_use]
    pub fn nominated_node(&self) -> Option<&str> {
        let status = self.pod.status.as_ref();
        status.and_then(|status| status.nominated_node_name.as_deref()).filter(|node| !node.is_empty())
    }

    /// Whether someone still holds it back. Source: plugin SchedulingGates.
    #[must_use]
    pub fn is_gated(&self) -> bool {
        let gates = self.spec().and_then(|spec| spec.scheduling_gates.as_ref());
        gates.is_some_and(|gates| !gates.is_empty())
    }

    /// Whether its deletion was asked for.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }

    /// Whether both versions ask the same: then the newer one need not be tried again.
    pub(crate) fn asks_the_same(&self, other: &Self) -> bool {
        let labels = || self.pod.metadata.labels == other.pod.metadata.labels;
        Arc::ptr_eq(&self.shape, &other.shape) && self.is_gated() == other.is_gated() && labels()
    }
}

/// The node a pod is bound to.
pub(crate) fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|node| !node.is_empty())
}

/// Whether a pod's containers are over for good, so that it holds nothing on its node.
pub(crate) fn is_over(pod: &Pod) -> bool {
    matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"))
}

/// What tells pods apart in time: the uid.
pub(crate) fn id_of(pod: &Pod) -> Arc<str> {
    let metadata = &pod.metadata;
    match metadata.uid.as_deref().filter(|uid| !uid.is_empty()) {
        Some(uid) => uid.into(),
        None => {
            format!("{}/{}", metadata.namespace.as_deref().unwrap_or(""), metadata.name.as_deref().unwrap_or("")).into()
        }
    }
}
