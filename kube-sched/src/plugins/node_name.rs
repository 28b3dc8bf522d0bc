//! Plugin NodeName: a pod that names its node waits for no other.

use std::sync::Arc;

use super::{Check, Filter};
use crate::shape::Shape;

/// Pods that name their node never come to the scheduler, so this filter only keeps its place in the order of plugins.
/// Source: plugin NodeName.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeName;

impl Filter for NodeName {
    fn name(&self) -> &'static str {
        "NodeName"
    }

    fn prepare(&self, _shape: &Arc<Shape>) -> Option<Check> {
        None
    }
}
