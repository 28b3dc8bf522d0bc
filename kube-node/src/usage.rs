//! What pods use, as far as the runtimes of this process' nodes can tell.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use coracle_core::metrics::PodUsage;
use coracle_core::quantity::{Format, Quantity};
use coracle_core::{Metrics, Status};
use k8s_openapi::api::core::v1::{Container, Pod};

use crate::agent::Router;
use crate::runtime::Usage;
use crate::streams::locate;

#[async_trait]
impl Metrics for Router {
    /// Containers that do not run use nothing that could be told; a pod without any that runs is unknown.
    async fn pod(&self, pod: &Pod) -> Result<Option<PodUsage>, Status> {
        let (mut containers, mut window) = (BTreeMap::new(), Duration::ZERO);
        for container in lasting_containers(pod) {
            let Ok((address, id)) = locate(self, pod, &container.name, false, true).await else { continue };
            let Some(stats) = address.runtime.stats() else { continue };
            let Some(usage) = stats.usage(pod, &id).await.map_err(Status::internal)? else { continue };
            window = window.max(usage.window);
            containers.insert(container.name.clone(), resources(usage));
        }
        Ok((!containers.is_empty()).then(|| PodUsage { at: self.now(), window, containers }))
    }
}

fn resources(usage: Usage) -> BTreeMap<String, Quantity> {
    let cpu = Quantity::from_nano(usage.cpu_nano_cores.into(), Format::DecimalSi);
    let memory = Quantity::new(i64::try_from(usage.memory_bytes).unwrap_or(i64::MAX), Format::BinarySi);
    [("cpu".to_owned(), cpu), ("memory".to_owned(), memory)].into()
}

/// The containers that run as long as the pod does: sidecars too.
fn lasting_containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let sidecars = init.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    pod.spec.iter().flat_map(|spec| &spec.containers).chain(sidecars)
}
