//! What simulated containers use: what the pod's annotations say now, else what the embedder's function says, else nobody knows.

use async_trait::async_trait;
use coracle_core::quantity::Quantity;
use k8s_openapi::api::core::v1::Pod;

use super::SimulatedRuntime;
use crate::runtime::{ContainerId, RuntimeError, Stats, Usage};

/// Annotation: how much CPU each container of the pod uses, such as `250m`. May change while it runs.
pub const CPU_USAGE: &str = "coracle.dev/cpu-usage";
/// Annotation: how much memory each container of the pod uses, such as `64Mi`. May change while it runs.
pub const MEMORY_USAGE: &str = "coracle.dev/memory-usage";

#[async_trait]
impl Stats for SimulatedRuntime {
    async fn usage(&self, pod: &Pod, id: &ContainerId) -> Result<Option<Usage>, RuntimeError> {
        let (status, _) = self.node.book.container(id)?;
        let told = self.family.how.uses.as_ref().map(|uses| uses(pod, &status.name));
        let annotation = |name: &str| {
            let text = pod.metadata.annotations.as_ref()?.get(name)?;
            Quantity::parse(text).ok().filter(|amount| !amount.is_negative())
        };
        let (cpu, memory) = (annotation(CPU_USAGE), annotation(MEMORY_USAGE));
        if told.is_none() && cpu.is_none() && memory.is_none() {
            return Ok(None);
        }
        let mut usage = told.unwrap_or_default();
        if let Some(cpu) = cpu {
            usage.cpu_nano_cores = u64::try_from(cpu.nano()).unwrap_or(u64::MAX);
        }
        if let Some(memory) = memory {
            usage.memory_bytes = memory.value().unsigned_abs();
        }
        Ok(Some(usage))
    }
}
