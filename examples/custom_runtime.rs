//! Pods that are Rust functions: the image name selects the function; exit codes, restarts, logs and deletion work as ever.
//!
//! `cargo run --example custom_runtime`

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use coracle::k8s_openapi::api::core::v1::Pod;
use coracle::node::runtimes::{FunctionContext, FunctionRuntime};
use coracle::{Api, Cluster, Node};
use serde_json::json;

/// Greets until it is told to stop, then cleans up.
async fn greeter(cx: FunctionContext) -> Result<(), String> {
    let whom = cx.env("WHOM").unwrap_or("nobody").to_owned();
    while !cx.is_cancelled() {
        cx.log(format!("hello {whom}"));
        tokio::select! {
            () = cx.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
    cx.log("goodbye");
    Ok(())
}

/// How often [`second_time_lucky`] was called: functions share whatever the program shares with them.
static CALLS: AtomicU32 = AtomicU32::new(0);

/// Fails the first time it runs, and succeeds when it is started again.
async fn second_time_lucky(_cx: FunctionContext) -> Result<(), String> {
    if CALLS.fetch_add(1, Ordering::Relaxed) == 0 { Err("not yet".to_owned()) } else { Ok(()) }
}

fn pod(name: &str, image: &str) -> Result<Pod, serde_json::Error> {
    let container = json!({"name": "main", "image": image, "env": [{"name": "WHOM", "value": "world"}]});
    let spec = json!({"restartPolicy": "OnFailure", "containers": [container]});
    serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec}))
}

async fn until_phase(pods: &Api<Pod>, name: &str, phase: &str) -> Result<(), Box<dyn Error>> {
    let reached = |pod: Option<&Pod>| pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()) == Some(phase);
    let pod = pods.until(name, reached).await?;
    let statuses = pod.as_ref().and_then(|pod| pod.status.as_ref()?.container_statuses.as_ref());
    let restarts: i32 = statuses.into_iter().flatten().map(|status| status.restart_count).sum();
    println!("{name} is {phase}, restarted {restarts} times");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let functions = FunctionRuntime::new().with("greeter", greeter).with("second-time-lucky", second_time_lucky);
    let cluster = Cluster::builder().node(Node::new("in-process", functions)).start().await?;
    let pods = cluster.api().namespaced::<Pod>("default");

    pods.create(pod("greeter", "greeter")?).await?;
    until_phase(&pods, "greeter", "Running").await?;
    pods.create(pod("lucky", "second-time-lucky")?).await?;
    until_phase(&pods, "lucky", "Succeeded").await?;

    print!("{}", cluster.logs("default", "greeter").await?);
    pods.delete("greeter").await?;
    pods.until("greeter", |pod| pod.is_none()).await?;
    println!("greeter was told to stop, and is gone");
    cluster.shutdown().await;
    Ok(())
}
