//! What a pod costs as clusters grow, and what an idle cluster costs: `cargo bench --bench scale [pods...]`.
//!
//! One Deployment of so many pods on simulated nodes is created, rolled and deleted; then the cluster with all its pods is left
//! alone for a minute. A row is one cluster in a thread of its own; the cost per pod should be the same in every row.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and measures real time"
)]

use std::time::{Duration, Instant};

use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::k8s_openapi::api::core::v1::Pod;
use coracle::{Api, Cluster, Node};
use mimalloc::MiMalloc;
use serde_json::{Value, json};

/// As a program with many objects wants it: that of glibc takes twice as long to free what 30,000 pods held.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Pods per node: a node holds at most 110, and while a Deployment rolls there are more than it asks for.
const PODS_PER_NODE: usize = 80;
/// For how long an idle cluster is watched.
const IDLE: Duration = Duration::from_secs(60);

fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn deployment(pods: i32) -> Deployment {
    let labels = json!({"app": "big"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i:v1"}]}});
    let spec = json!({"replicas": pods, "selector": {"matchLabels": labels}, "template": template});
    from(json!({"metadata": {"name": "big"}, "spec": spec}))
}

/// Waits until every pod is of the newest template and available.
async fn complete(deployments: &Api<Deployment>, pods: i32) {
    let complete = |big: Option<&Deployment>| {
        big.is_some_and(|big| {
            let status = big.status.clone().unwrap_or_default();
            let counts = [status.replicas, status.updated_replicas, status.available_replicas];
            status.observed_generation == big.metadata.generation && counts == [Some(pods); 3]
        })
    };
    deployments.until("big", complete).await.unwrap();
}

/// Processor time of this process so far.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Fields 14 and 15 of the whole, in ticks of 10 ms; the second field is in brackets and may hold anything.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

struct Lap(Instant, Duration);

impl Lap {
    fn start() -> Self {
        Self(Instant::now(), processor_time())
    }

    fn say(&self, what: &str, pods: i32) {
        let (wall, processor) = (self.0.elapsed(), processor_time() - self.1);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(pods);
        println!(
            "{pods:>8} pods {what:<8} {:>8.2} s, {:>7.1} us each; processor {:>8.2} s, {:>7.1} us each; {} MiB",
            wall.as_secs_f64(),
            each(wall),
            processor.as_secs_f64(),
            each(processor),
            resident_mib(),
        );
    }
}

async fn row(pods: i32) {
    let nodes = usize::try_from(pods).unwrap().div_ceil(PODS_PER_NODE);
    let cluster = Cluster::builder().seed(1).nodes(nodes, Node::simulated()).start().await.unwrap();
    let deployments = cluster.api().namespaced::<Deployment>("default");
    let lap = Lap::start();
    deployments.create(deployment(pods)).await.unwrap();
    complete(&deployments, pods).await;
    lap.say("created", pods);

    // What is still under way, such as Events and slices of endpoints, comes to an end.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let lap = Lap::start();
    tokio::time::sleep(IDLE).await;
    lap.say("idle", pods);

    let lap = Lap::start();
    let roll = |big: &mut Deployment| {
        let containers =
            big.spec.as_mut().and_then(|spec| spec.template.spec.as_mut()).map(|spec| &mut spec.containers);
        containers.into_iter().flatten().for_each(|container| container.image = Some("i:v2".to_owned()));
    };
    deployments.edit("big", roll).await.unwrap();
    complete(&deployments, pods).await;
    lap.say("rolled", pods);

    let lap = Lap::start();
    deployments.delete("big").await.unwrap();
    let all = cluster.api().namespaced::<Pod>("default");
    all.until("nobody", |_| cluster.world().count(&coracle::GroupResource::of::<Pod>()) == 0).await.unwrap();
    lap.say("deleted", pods);
    cluster.shutdown().await;
}

fn main() {
    let asked: Vec<i32> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let rows = if asked.is_empty() { vec![1_000, 10_000, 100_000] } else { asked };
    for pods in rows {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(row(pods));
    }
}
