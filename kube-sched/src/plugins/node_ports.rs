//! Plugin NodePorts: a host port serves one pod per node.

use std::sync::Arc;

use super::{Check, Filter};
use crate::shape::Shape;
use crate::verdict::Rejection;

/// Rejects nodes on which a wanted host port is taken. Source: plugin NodePorts.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodePorts;

impl Filter for NodePorts {
    fn name(&self) -> &'static str {
        "NodePorts"
    }

    fn prepare(&self, shape: &Arc<Shape>) -> Option<Check> {
        if shape.host_ports.is_empty() {
            return None;
        }
        let shape = shape.clone();
        Some(Box::new(move |node| {
            let taken = |wanted| node.host_ports.iter().any(|held| held.collides(wanted));
            if shape.host_ports.iter().any(taken) {
                let reason = "node(s) didn't have free ports for the requested pod ports";
                return Err(Rejection::for_now("NodePorts", reason));
            }
            Ok(())
        }))
    }
}
