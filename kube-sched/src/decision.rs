//! The door to schedulers: one pod in, one decision out.

use std::sync::Arc;

use crate::pod::PodInfo;
use crate::snapshot::{Change, Snapshot};
use crate::verdict::Unschedulable;

/// Places one pod. [`Framework`](crate::Framework) is the default; embedders bring their own.
pub trait Scheduler: Send + 'static {
    /// Decides about a pod. Changes nothing: whoever asked assumes the decision in the snapshot, and carries it out.
    fn schedule(&mut self, pod: &PodInfo, cluster: &Snapshot) -> Decision;

    /// Whether a change may have made room for a pod that these plugins rejected. Asked once per shape of waiting pods, so a
    /// scheduler that reads more of a pod than its shape answers for all of them. Default: any change but those of waiting
    /// pods.
    fn may_help(&self, change: &Change, _pod: &PodInfo, _rejected_by: &[&'static str], _cluster: &Snapshot) -> bool {
        !matches!(change, Change::Nothing | Change::Waiting(_) | Change::Gone(_))
    }
}

/// What is to become of a pod.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It goes to a node.
    Bind {
        /// The node's name.
        node: Arc<str>,
    },
    /// No node takes it now.
    Wait(Unschedulable),
    /// A node will take it once less important pods are gone: delete them, note the node as
    /// `status.nominatedNodeName`, and let the pod wait as for [`Decision::Wait`].
    Preempt {
        /// The node's name.
        node: Arc<str>,
        /// Who makes room, the most important first.
        victims: Vec<Arc<PodInfo>>,
        /// Why it does not fit as things are.
        why: Unschedulable,
    },
}
