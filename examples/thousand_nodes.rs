//! A thousand simulated nodes and a Deployment of ten thousand pods, from apply to the last one ready.
//!
//! `cargo run --release --example thousand_nodes`

use std::error::Error;
use std::time::{Duration, Instant};

use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::{Cluster, Node};
use serde_json::json;

const NODES: usize = 1_000;
const PODS: i32 = 10_000;

#[tokio::main]
#[allow(clippy::disallowed_methods, reason = "the example measures real time from outside the cluster")]
async fn main() -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let cluster = Cluster::builder().nodes(NODES, Node::simulated()).start().await?;
    println!("{NODES} nodes are there after {:.0?}", began.elapsed());

    let labels = json!({"app": "big"});
    let requests = json!({"requests": {"cpu": "100m", "memory": "64Mi"}});
    let container = json!({"name": "app", "image": "app", "resources": requests});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
    let spec = json!({"replicas": PODS, "selector": {"matchLabels": labels}, "template": template});
    let big: Deployment = serde_json::from_value(json!({"metadata": {"name": "big"}, "spec": spec}))?;

    let deployments = cluster.api().namespaced::<Deployment>("default");
    let began = Instant::now();
    deployments.create(big).await?;
    let ready = |big: Option<&Deployment>| big.and_then(|big| big.status.as_ref()?.ready_replicas).unwrap_or(0);
    let mut progress = tokio::time::interval(Duration::from_millis(250));
    let mut done = std::pin::pin!(deployments.until("big", |big| ready(big) == PODS));
    loop {
        tokio::select! {
            biased;
            result = &mut done => break result.map(|_| ())?,
            _ = progress.tick() => println!("{:>6} of {PODS} pods ready", ready(deployments.get("big").ok().as_deref())),
        }
    }
    let elapsed = began.elapsed();
    let rate = f64::from(PODS) / elapsed.as_secs_f64();
    println!("{PODS} pods are ready after {elapsed:.2?}: {rate:.0} pods a second from apply to ready");
    drop(cluster);
    Ok(())
}
