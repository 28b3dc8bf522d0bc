//! What a node shows of itself over HTTP, as far as a node in process has it. Source: kubelet `server/server.go`.

use coracle_core::{Status, World};
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::Router;

/// What an HTTP server shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its media type.
    pub content_type: &'static str,
    /// All of it.
    pub text: String,
}

type Show = fn(&World, &str) -> String;

/// The pages by path.
const PAGES: [(&str, &str, Show); 3] = [
    ("/healthz", "text/plain; charset=utf-8", |_, _| "ok".to_owned()),
    ("/metrics", "text/plain; version=0.0.4; charset=utf-8", metrics),
    ("/pods", "application/json", pods),
];

impl Router {
    /// A page of a node of this process; `None` if there is no such page.
    ///
    /// # Errors
    /// 500 if the node does not run in this process.
    pub fn page(&self, node: &str, path: &str) -> Result<Option<Page>, Status> {
        let elsewhere = || Status::internal(format!("node {node:?} does not run in this process"));
        self.address(node).ok_or_else(elsewhere)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let row = PAGES.iter().find(|(known, ..)| *known == path);
        let world = self.gateway.feed().world();
        Ok(row.map(|(_, content_type, show)| Page { content_type, text: show(&world, node) }))
    }
}

fn pods(world: &World, node: &str) -> String {
    let pods: Vec<&Pod> = world.pods_on(node).filter_map(|pod| pod.get()).collect();
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}).to_string()
}

/// Source: kubelet `metrics/metrics.go`.
fn metrics(world: &World, node: &str) -> String {
    let statuses = || world.pods_on(node).filter_map(|pod| pod.get::<Pod>()?.status.as_ref());
    let pods = statuses().filter(|status| status.phase.as_deref() == Some("Running")).count();
    let containers = statuses().flat_map(|status| status.container_statuses.iter().flatten());
    let running = containers.filter(|one| one.state.as_ref().is_some_and(|state| state.running.is_some())).count();
    format!(
        "# TYPE kubelet_node_name gauge\nkubelet_node_name{{node={node:?}}} 1\n\
         # TYPE kubelet_running_containers gauge\nkubelet_running_containers{{container_state=\"running\"}} {running}\n\
         # TYPE kubelet_running_pods gauge\nkubelet_running_pods {pods}\n"
    )
}
