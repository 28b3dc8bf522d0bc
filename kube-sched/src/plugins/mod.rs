//! What decides about single nodes: filters say whether a node takes a pod, scores how gladly.
//!
//! A plugin prepares once per [`Shape`] and then checks often: it returns a closure over nodes, or nothing if the shape asks
//! nothing of it. That a plugin sees the shape and never the pod is what lets its answers be kept for all pods alike.
//! Plugins that look at other pods are in [`crate::topology`].

mod balanced_allocation;
mod fit;
mod image_locality;
pub(crate) mod node_affinity;
mod node_name;
mod node_ports;
mod node_unschedulable;
pub(crate) mod taint_toleration;

use std::fmt::Debug;
use std::sync::Arc;

use crate::shape::Shape;
use crate::snapshot::{NodeInfo, Snapshot};
use crate::verdict::Rejection;

pub use balanced_allocation::BalancedAllocation;
pub use fit::{Fit, LeastAllocated};
pub use image_locality::ImageLocality;
pub use node_affinity::NodeAffinity;
pub use node_name::NodeName;
pub use node_ports::NodePorts;
pub use node_unschedulable::NodeUnschedulable;
pub use taint_toleration::TaintToleration;

/// The best score a plugin gives.
pub const SCORE_MAX: i64 = 100;

/// Whether one node takes the pods of a shape.
pub type Check = Box<dyn Fn(&NodeInfo) -> Result<(), Rejection> + Send + Sync>;

/// How gladly one node takes the pods of a shape.
pub type Rate = Box<dyn Fn(&NodeInfo) -> i64 + Send + Sync>;

/// Says which nodes take a pod.
pub trait Filter: Debug + Send + Sync + 'static {
    /// The name that events and wake-ups use.
    fn name(&self) -> &'static str;
    /// The check for pods of a shape, or `None` if every node passes.
    fn prepare(&self, shape: &Arc<Shape>) -> Option<Check>;
}

/// Says how gladly nodes take a pod.
pub trait Score: Debug + Send + Sync + 'static {
    /// The name that explanations use.
    fn name(&self) -> &'static str;
    /// How much the score counts.
    fn weight(&self) -> i64 {
        1
    }
    /// How raw numbers become scores from 0 to [`SCORE_MAX`].
    fn scale(&self) -> Scale {
        Scale::AsIs
    }
    /// A number that changes whenever [`Score::prepare`] would answer otherwise for the same shape. Zero if it never does.
    fn stamp(&self, _shape: &Shape, _cluster: &Snapshot) -> u64 {
        0
    }
    /// The rating for pods of a shape, or `None` if all nodes are alike.
    fn prepare(&self, shape: &Arc<Shape>, cluster: &Snapshot) -> Option<Rate>;
}

/// How a plugin's raw numbers become scores. Source: plugin helper `DefaultNormalizeScore`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// They are scores.
    AsIs,
    /// In proportion to the largest among the nodes that take the pod.
    Up,
    /// The reverse: the smaller the better.
    Down,
}

impl Scale {
    /// The score of a raw number when the largest is `largest`.
    #[must_use]
    pub fn apply(self, raw: i64, largest: i64) -> i64 {
        match self {
            Self::AsIs => raw,
            Self::Up if largest == 0 => 0,
            Self::Up => SCORE_MAX * raw / largest,
            Self::Down if largest == 0 => SCORE_MAX,
            Self::Down => SCORE_MAX - SCORE_MAX * raw / largest,
        }
    }
}

#[cfg(test)]
mod tests;
