//! Plugin NodeUnschedulable: a closed node takes no new pods.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Taint;

use super::{Check, Filter};
use crate::shape::Shape;
use crate::verdict::Rejection;
use coracle_core::placement::tolerates;

/// Rejects closed (cordoned) nodes, unless the pod tolerates `node.kubernetes.io/unschedulable:NoSchedule`.
/// Source: plugin NodeUnschedulable.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeUnschedulable;

impl Filter for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn prepare(&self, shape: &Arc<Shape>) -> Option<Check> {
        let taint = Taint {
            key: "node.kubernetes.io/unschedulable".to_owned(),
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        };
        if shape.tolerations.iter().any(|toleration| tolerates(toleration, &taint)) {
            return None;
        }
        Some(Box::new(|node| match node.is_unschedulable() {
            true => Err(Rejection::for_good("NodeUnschedulable", "node(s) were unschedulable")),
            false => Ok(()),
        }))
    }
}
