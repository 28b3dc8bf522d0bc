//! A whole cluster in one program: real processes are deployed, called, killed, healed, scaled, rolled out and rolled back.
//!
//! `cargo run --release --example quickstart`

#[path = "support/client.rs"]
mod client;
#[path = "support/server.rs"]
mod server;

use std::error::Error;

use client::{Caller, ready_pods, say, wait_for};
use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::k8s_openapi::api::core::v1::Pod;
use coracle::node::runtimes::ProcessRuntime;
use coracle::{Cluster, Node};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if server::is_asked_for() {
        return Ok(server::run()?);
    }
    // The image name stands for this very program, which then acts as a small HTTP server.
    let this = std::env::current_exe()?.display().to_string();
    let images = move |image: &str| {
        image.starts_with("coracle.dev/example-server").then(|| vec![this.clone(), server::ARGUMENT.to_owned()])
    };
    let node = Node::new("local", ProcessRuntime::builder().images(images).build()?);
    let cluster = Cluster::builder().node(node).start().await?;
    let api = cluster.api();
    let (pods, deployments) = (api.namespaced::<Pod>("default"), api.namespaced::<Deployment>("default"));

    say("apply examples/manifests/web.yaml");
    let story = client::tell_story(&pods);
    api.apply_yaml(include_str!("manifests/web.yaml")).await?;
    wait_for(&deployments, 3).await?;

    say("call each pod");
    for pod in ready_pods(&pods) {
        println!("  {} says {:?}", client::name(&pod), client::call(&pod).await?);
    }

    say("kill one process with SIGKILL: the same pod starts it again");
    let victim = ready_pods(&pods).into_iter().next().ok_or("no pod is ready")?;
    client::kill(&victim).await?;
    let healed = pods.until(&client::name(&victim), |pod| client::restarts(pod) == 1 && client::is_ready(pod)).await?;
    println!("  {} is ready again, restarted {} time", client::name(&victim), client::restarts(healed.as_deref()));

    say("delete one pod: another takes its place");
    pods.delete(&client::name(&victim)).await?;
    wait_for(&deployments, 3).await?;

    say("scale to 5");
    deployments.edit("web", |web| client::spec(web).replicas = Some(5)).await?;
    wait_for(&deployments, 5).await?;

    say("roll out v2 while a client calls ready pods all the time");
    let caller = Caller::start(&pods);
    deployments.edit("web", |web| client::set_version(web, "v2")).await?;
    wait_for(&deployments, 5).await?;
    let calls = caller.stop().await;
    println!("  {} calls, {} failed, answers: {}", calls.total, calls.failed, calls.versions());
    if calls.failed > 0 {
        return Err("a call failed during the rollout".into());
    }

    say("roll back to v1");
    deployments.edit("web", |web| client::set_version(web, "v1")).await?;
    wait_for(&deployments, 5).await?;

    say("delete the Deployment: no process is left");
    let processes = client::processes(&pods).await?;
    deployments.delete("web").await?;
    client::all_gone(&pods, &processes).await?;
    println!("  {} processes ended", processes.len());
    story.abort();
    cluster.shutdown().await;
    Ok(())
}
