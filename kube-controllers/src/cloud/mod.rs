//! What a cluster asks of the cloud it runs in: machines that come and go by demand, and addresses for Services.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | [`Cloud`]: the door that an embedder implements |
//! | `autoscaler/` | more machines for pods that fit nowhere, fewer when they are not needed |
//! | `nodes.rs` | what nodes say of their machines; nodes whose machine is gone go too |
//! | `load_balancers.rs` | Services of type LoadBalancer |
//!
//! Source: `k8s.io/cloud-provider`, `kubernetes/autoscaler` cluster-autoscaler.

mod autoscaler;
mod load_balancers;
mod nodes;

use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::{Status, World};
use k8s_openapi::api::core::v1::{LoadBalancerStatus, Node, NodeAddress, Pod, Service};

use crate::erased::{ErasedController, erase};

pub use autoscaler::{AutoscalerSettings, ClusterAutoscaler};
pub use load_balancers::LoadBalancers;
pub use nodes::CloudNodes;

/// The cloud that a cluster runs in. Every call may be made again with the same arguments, and then changes nothing more.
#[async_trait]
pub trait Cloud: Send + Sync + 'static {
    /// What its provider ids begin with: `simulated` for `simulated://small-0`.
    fn name(&self) -> &str;

    /// The groups of machines that may grow and shrink. None means that nothing is scaled.
    async fn groups(&self) -> Result<Vec<NodeGroup>, Status>;

    /// Orders so many more machines of a group. They are in [`NodeGroup::machines`] at once, and become nodes when they run.
    async fn grow(&self, group: &str, machines: usize) -> Result<(), Status>;

    /// Ends the machine of a node for good. Ending what is gone is no error.
    async fn end(&self, node: &Node) -> Result<(), Status>;

    /// The machine of a node; `None` if it is gone, or was never this cloud's.
    async fn machine(&self, node: &Node) -> Result<Option<Machine>, Status>;

    /// Leads traffic for a Service to these nodes; answers where it is to be sent.
    async fn balance(&self, service: &Service, nodes: &[Arc<Node>]) -> Result<LoadBalancerStatus, Status>;

    /// Gives back what a Service was given.
    async fn release(&self, service: &Service) -> Result<(), Status>;
}

/// Machines that are alike.
#[derive(Clone, Debug)]
pub struct NodeGroup {
    /// Its name.
    pub name: String,
    /// Fewer machines than this it never has.
    pub min: usize,
    /// More machines than this it never has.
    pub max: usize,
    /// The names of the nodes that its machines are or will be.
    pub machines: Vec<String>,
    /// A node as one more machine would register it.
    pub template: Node,
}

/// What a cloud knows of a machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// Names it within the cloud, such as `simulated://small-0`.
    pub provider_id: String,
    /// Where it stands, closely.
    pub zone: Option<String>,
    /// Where it stands, at large.
    pub region: Option<String>,
    /// What kind of machine it is.
    pub instance_type: Option<String>,
    /// Addresses of kinds that the node itself does not tell, such as `ExternalIP`.
    pub addresses: Vec<NodeAddress>,
}

/// A copy of the cluster in which nodes and pods can be moved without consequence: how an autoscaler tries what it thinks of.
pub trait WhatIf: Send {
    /// There is one more node.
    fn add(&mut self, node: Node);
    /// There is one node less; its pods are nowhere.
    fn remove(&mut self, node: &str);
    /// Places pods one after the other, as the scheduler would; answers those that fit nowhere.
    fn place(&mut self, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>>;
}

/// Makes a copy of the cluster to try things in.
pub type MakeWhatIf = Arc<dyn Fn(&World) -> Box<dyn WhatIf> + Send + Sync>;

/// All controllers that deal with a cloud.
#[must_use]
pub fn controllers(
    cloud: &Arc<dyn Cloud>,
    what_if: MakeWhatIf,
    settings: AutoscalerSettings,
) -> Vec<Box<dyn ErasedController>> {
    vec![
        Box::new(ClusterAutoscaler::new(cloud.clone(), what_if, settings)),
        erase(CloudNodes::new(cloud.clone())),
        erase(LoadBalancers::new(cloud.clone())),
    ]
}

fn is_ready(node: &Node) -> bool {
    let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
