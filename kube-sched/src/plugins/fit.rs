//! Plugin NodeResourcesFit: a node takes what it has room for, and the emptiest the most gladly.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{Check, Filter, Rate, SCORE_MAX, Score};
use crate::shape::Shape;
use crate::snapshot::{NodeInfo, Snapshot};
use crate::verdict::{Reason, Rejection};

const NAME: &str = "NodeResourcesFit";

/// Rejects nodes with too little room for what the pod asks, or with too many pods. Source: plugin NodeResourcesFit, `fitsRequest`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fit;

impl Filter for Fit {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&self, shape: &Arc<Shape>) -> Option<Check> {
        let shape = shape.clone();
        Some(Box::new(move |node| if has_room(&shape, node) { Ok(()) } else { Err(shortage(&shape, node)) }))
    }
}

fn has_room(shape: &Shape, node: &NodeInfo) -> bool {
    let (request, allocatable, requested) = (&shape.request, &node.allocatable, &node.requested);
    let fits = |asked: i64, allocatable: i64, requested: i64| asked <= 0 || asked <= allocatable - requested;
    pod_count(node) < node.pods_max
        && fits(request.milli_cpu, allocatable.milli_cpu, requested.milli_cpu)
        && fits(request.memory_bytes, allocatable.memory_bytes, requested.memory_bytes)
        && fits(request.ephemeral_bytes, allocatable.ephemeral_bytes, requested.ephemeral_bytes)
        && request.scalars.iter().all(|(name, asked)| fits(*asked, allocatable.scalar(name), requested.scalar(name)))
}

fn pod_count(node: &NodeInfo) -> i64 {
    i64::try_from(node.pods().len()).unwrap_or(i64::MAX)
}

/// What is short. More than the whole node has is short whatever pods leave.
fn shortage(shape: &Shape, node: &NodeInfo) -> Rejection {
    let mut reasons = SmallVec::new();
    let mut resolvable = true;
    if pod_count(node) >= node.pods_max {
        reasons.push(Reason::Text("Too many pods"));
    }
    let mut look = |asked: i64, allocatable: i64, requested: i64, reason: &dyn Fn() -> Reason| {
        if asked > 0 && asked > allocatable - requested {
            reasons.push(reason());
            resolvable &= asked <= allocatable;
        }
    };
    let (request, allocatable, requested) = (&shape.request, &node.allocatable, &node.requested);
    look(request.milli_cpu, allocatable.milli_cpu, requested.milli_cpu, &|| Reason::Text("Insufficient cpu"));
    look(request.memory_bytes, allocatable.memory_bytes, requested.memory_bytes, &|| {
        Reason::Text("Insufficient memory")
    });
    look(request.ephemeral_bytes, allocatable.ephemeral_bytes, requested.ephemeral_bytes, &|| {
        Reason::Text("Insufficient ephemeral-storage")
    });
    for (name, asked) in &request.scalars {
        look(*asked, allocatable.scalar(name), requested.scalar(name), &|| Reason::Insufficient(name.clone()));
    }
    Rejection { plugin: NAME, reasons, resolvable }
}

/// Prefers nodes with the largest share of cpu and memory left once the pod is there. Source: plugin NodeResourcesFit with
/// its default strategy LeastAllocated, `leastResourceScorer`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastAllocated;

impl Score for LeastAllocated {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&self, shape: &Arc<Shape>, _cluster: &Snapshot) -> Option<Rate> {
        let (milli_cpu, memory_bytes) = shape.scoring_request;
        Some(Box::new(move |node| {
            let (held_cpu, held_memory) = node.scoring_requested;
            let cpu = share_left(held_cpu + milli_cpu, node.allocatable.milli_cpu);
            let memory = share_left(held_memory + memory_bytes, node.allocatable.memory_bytes);
            match (cpu, memory) {
                (Some(cpu), Some(memory)) => i64::midpoint(cpu, memory),
                (one, other) => one.or(other).unwrap_or(0),
            }
        }))
    }
}

/// In hundredths; `None` if there is none of it at all.
fn share_left(requested: i64, capacity: i64) -> Option<i64> {
    match capacity {
        0 => None,
        _ if requested > capacity => Some(0),
        _ => Some((capacity - requested) * SCORE_MAX / capacity),
    }
}
