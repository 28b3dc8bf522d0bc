//! More machines for pods that fit nowhere, fewer when they are not needed. Source: `kubernetes/autoscaler`
//! cluster-autoscaler `core/`.
//!
//! What it knows of nodes that are not needed stands on the nodes, as upstream's taints: `DeletionCandidateOfClusterAutoscaler`
//! since when a node has not been needed, `ToBeDeletedByClusterAutoscaler` while it is being emptied.

mod down;
#[cfg(test)]
mod tests;
mod up;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use coracle_core::{Event, GroupResource, ObjectKey, ObjectRef, Request, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;

use super::{Cloud, MakeWhatIf, NodeGroup};
use crate::context::Context;
use crate::controller::{Error, Next};
use crate::erased::ErasedController;
use crate::plan::{Plan, carry_out};
use crate::pods;
use crate::portion::since;

pub(super) use down::TO_BE_DELETED;

const CONTROLLER: &str = "cluster-autoscaler";

/// What the cluster autoscaler can be told. The defaults are upstream's.
#[derive(Clone, Copy, Debug)]
pub struct AutoscalerSettings {
    /// How often it looks at most. Default 10 s.
    pub scan_interval: Duration,
    /// A node may go when the pods on it request less than this part of it. Default 0.5.
    pub utilization_threshold: f64,
    /// For how long a node must not have been needed before it goes. Default 10 min.
    pub unneeded_time: Duration,
    /// For how long it tries to empty a node before it leaves it in peace. Default 10 min.
    pub drain_time: Duration,
}

impl Default for AutoscalerSettings {
    fn default() -> Self {
        Self {
            scan_interval: Duration::from_secs(10),
            utilization_threshold: 0.5,
            unneeded_time: Duration::from_secs(600),
            drain_time: Duration::from_secs(600),
        }
    }
}

/// Grows and shrinks the node groups of a cloud by demand.
pub struct ClusterAutoscaler {
    cloud: Arc<dyn Cloud>,
    what_if: MakeWhatIf,
    settings: AutoscalerSettings,
    last_scan: Mutex<Option<Timestamp>>,
}

impl ClusterAutoscaler {
    /// An autoscaler of a cloud's groups that tries its ideas in copies of the cluster.
    #[must_use]
    pub fn new(cloud: Arc<dyn Cloud>, what_if: MakeWhatIf, settings: AutoscalerSettings) -> Self {
        Self { cloud, what_if, settings, last_scan: Mutex::default() }
    }

    /// How long until the next look; nothing if it may be taken now, which then counts as the last.
    fn rest(&self, now: Timestamp) -> Option<Duration> {
        let mut last = self.last_scan.lock().unwrap_or_else(PoisonError::into_inner);
        let left = last.map_or(Duration::ZERO, |last| self.settings.scan_interval.saturating_sub(since(last, now)));
        if left.is_zero() {
            *last = Some(now);
            return None;
        }
        Some(left)
    }

    async fn scan(&self, context: &Context) -> Result<Next, Error> {
        let (groups, world, now) = (self.cloud.groups().await?, context.world(), context.now());
        if groups.is_empty() {
            return Ok(Next::on_change());
        }
        let waiting: Vec<_> = world.list::<Pod>().filter(|pod| is_waiting(pod)).collect();
        let growth = up::grow(&groups, waiting, &world, &self.what_if);
        for (group, machines) in &growth.orders {
            self.cloud.grow(group, *machines).await?;
        }
        growth.tell(&groups).into_iter().for_each(|happening| context.record(happening));
        if !growth.is_settled {
            return Ok(Next::after(self.settings.scan_interval));
        }
        let shrinking = down::shrink(&groups, &world, &self.what_if, &self.settings, now);
        self.empty(&shrinking, context).await?;
        let mut plan = Plan::nothing();
        plan.look_again(shrinking.look_again);
        for happening in shrinking.tell {
            plan.tell(happening);
        }
        plan.together(shrinking.marks);
        carry_out(plan, context).await
    }

    /// Evicts pods, and ends machines that have none left.
    async fn empty(&self, shrinking: &down::Shrinking, context: &Context) -> Result<(), Error> {
        let evictions = shrinking.evict.iter().map(|pod| Request::evict(pod, DeleteOptions::default())).collect();
        // A disruption budget that is spent now may have room at the next look.
        let _refused_ones_are_tried_again = context.execute_all(evictions).await;
        for node in &shrinking.end {
            self.cloud.end(node).await?;
            context.delete::<Node>(node).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl ErasedController for ClusterAutoscaler {
    fn name(&self) -> &'static str {
        CONTROLLER
    }

    fn collections(&self) -> Option<Vec<GroupResource>> {
        Some(vec![GroupResource::of::<Pod>(), GroupResource::of::<Node>()])
    }

    fn all(&self, _world: &World, out: &mut Vec<ObjectRef>) {
        out.push(everything());
    }

    fn keys(&self, event: &Event, _world: &World, out: &mut Vec<ObjectRef>) {
        let matters = match event.object.get::<Pod>() {
            Some(pod) => event.deleted || pods::is_terminal(pod) || is_waiting(pod),
            None => event.deleted || event.previous.is_none(),
        };
        out.extend(matters.then(everything));
    }

    async fn reconcile(&self, _at: &ObjectRef, context: &Context) -> Result<Next, Error> {
        match self.rest(context.now()) {
            Some(rest) => Ok(Next::after(rest)),
            None => self.scan(context).await,
        }
    }
}

/// It always looks at the whole cluster, under the name of the object in which upstream tells how it is.
fn everything() -> ObjectRef {
    let key = ObjectKey::new("kube-system", "cluster-autoscaler-status");
    ObjectRef { resource: GroupResource::new("", "configmaps"), key }
}

/// Whether the scheduler has found no place for a pod. Pods of DaemonSets wait for one node only.
fn is_waiting(pod: &Pod) -> bool {
    let unschedulable = pods::condition(pod, "PodScheduled")
        .is_some_and(|it| it.status == "False" && it.reason.as_deref() == Some("Unschedulable"));
    unschedulable && pods::node_name(pod).is_empty() && pods::is_active(pod) && !is_daemon(pod)
}

fn is_daemon(pod: &Pod) -> bool {
    coracle_core::object::controller_of(&pod.metadata).is_some_and(|owner| owner.kind == "DaemonSet")
}

/// A node as a group would make it, under a name.
fn instance(group: &NodeGroup, name: &str) -> Node {
    let mut node = group.template.clone();
    node.metadata.name = Some(name.to_owned());
    node.metadata.labels.get_or_insert_default().insert("kubernetes.io/hostname".to_owned(), name.to_owned());
    node
}

impl fmt::Debug for ClusterAutoscaler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ClusterAutoscaler of {}", self.cloud.name())
    }
}
