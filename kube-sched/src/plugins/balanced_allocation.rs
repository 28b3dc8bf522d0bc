//! Plugin NodeResourcesBalancedAllocation: cpu and memory should run out together.

use std::sync::Arc;

use super::{Rate, SCORE_MAX, Score};
use crate::shape::Shape;
use crate::snapshot::Snapshot;

/// Prefers nodes whose use of cpu and memory becomes more even by the pod: 75 if it stays as it is, up to 100 if it improves,
/// down to 50 if it worsens. Best-effort pods are indifferent. Source: plugin NodeResourcesBalancedAllocation,
/// `balancedResourceScorer` as of v1.36.
#[derive(Clone, Copy, Debug, Default)]
pub struct BalancedAllocation;

impl Score for BalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn prepare(&self, shape: &Arc<Shape>, _cluster: &Snapshot) -> Option<Rate> {
        let (milli_cpu, memory_bytes) = (shape.request.milli_cpu, shape.request.memory_bytes);
        if milli_cpu == 0 && memory_bytes == 0 {
            return None;
        }
        Some(Box::new(move |node| {
            let (held, allocatable) = (&node.requested, &node.allocatable);
            let (cpu, memory) = (allocatable.milli_cpu, allocatable.memory_bytes);
            let before = evenness((held.milli_cpu, cpu), (held.memory_bytes, memory));
            let after = evenness((held.milli_cpu + milli_cpu, cpu), (held.memory_bytes + memory_bytes, memory));
            SCORE_MAX / 2 + (SCORE_MAX / 2 + after - before) / 2
        }))
    }
}

/// How alike two `(requested, allocatable)` shares are. A resource the node has none of does not count.
fn evenness(cpu: (i64, i64), memory: (i64, i64)) -> i64 {
    #[expect(clippy::cast_precision_loss, reason = "upstream's arithmetic")]
    let share = |(requested, allocatable): (i64, i64)| (requested as f64 / allocatable as f64).min(1.0);
    let deviation = if cpu.1 == 0 || memory.1 == 0 { 0.0 } else { ((share(cpu) - share(memory)) / 2.0).abs() };
    #[expect(clippy::cast_possible_truncation, reason = "upstream's arithmetic, between 50 and 100")]
    let evenness = ((1.0 - deviation) * 100.0) as i64;
    evenness
}
