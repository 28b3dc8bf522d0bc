//! How many pods a second find their node, everything included but the API server: reading the pod, queue, decision,
//! assumption, and the event of the binding.
//!
//! `ranked` is the default, `plain` looks at every node for every pod, `sampled` at as many as upstream does.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use coracle_sched::{Change, DEFAULT_SCHEDULER, Decision, Framework, PodInfo, Queue, Sampling, Scheduler, Snapshot};
use divan::Bencher;
use divan::counter::ItemsCount;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

fn main() {
    divan::main();
}

/// How the framework looks at nodes.
const RANKED: Sampling = Sampling::All;
const PLAIN: Sampling = Sampling::Percent(100);
const SAMPLED: Sampling = Sampling::Adaptive;

struct Input {
    nodes: Vec<Arc<Node>>,
    pods: Vec<Arc<Pod>>,
}

fn node(name: &str, zone: &str, allocatable: Value) -> Arc<Node> {
    let labels = json!({"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone});
    let node = json!({"metadata": {"name": name, "labels": labels}, "status": {"allocatable": allocatable}});
    Arc::new(serde_json::from_value(node).unwrap())
}

fn pod(index: usize, labels: Value, requests: Value, spec: Value) -> Arc<Pod> {
    let (name, uid) = (format!("pod-{index}"), format!("{index:08x}-0000-4000-8000-000000000000"));
    let container =
        json!({"name": "pause", "image": "registry.k8s.io/pause:3.10.1", "resources": {"requests": requests}});
    let mut pod = json!({
        "metadata": {"namespace": "default", "name": name, "uid": uid, "labels": labels},
        "spec": {"containers": [container], "schedulerName": DEFAULT_SCHEDULER},
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        pod["spec"][key] = value.clone();
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

/// scheduler_perf's SchedulingBasic: nodes of 4 cpu, 32Gi, 110 pods; pods of 100m, 500Mi.
fn basic(nodes: usize, pods: usize) -> Input {
    with_spec(nodes, pods, &json!({}))
}

fn with_spec(nodes: usize, pods: usize, spec: &Value) -> Input {
    let allocatable = json!({"cpu": "4", "memory": "32Gi", "pods": "110"});
    let requests = json!({"cpu": "100m", "memory": "500Mi"});
    Input {
        nodes: (0..nodes)
            .map(|index| node(&format!("node-{index}"), &format!("moon-{}", index % 3), allocatable.clone()))
            .collect(),
        pods: (0..pods).map(|index| pod(index, json!({"color": "blue"}), requests.clone(), spec.clone())).collect(),
    }
}

/// The trace of a GPU cluster, if it is there. A share of a GPU counts in thousandths.
fn openb() -> Option<Input> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces/openb");
    let rows = |file: &str| -> Option<Vec<BTreeMap<String, String>>> {
        let text = std::fs::read_to_string(folder.join(file)).ok()?;
        let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
        let names: Vec<String> = lines.next()?.collect();
        Some(lines.map(|line| names.iter().cloned().zip(line).collect()).collect())
    };
    let gpus = |row: &BTreeMap<String, String>, count: &str| row[count].parse::<i64>().unwrap() * 1000;
    let amounts = |row: &BTreeMap<String, String>, gpu_milli: i64| {
        let (cpu, memory) = (format!("{}m", row["cpu_milli"]), format!("{}Mi", row["memory_mib"]));
        let mut list = json!({"cpu": cpu, "memory": memory, "pods": "1000"});
        if gpu_milli > 0 {
            list["example.com/gpu-milli"] = json!(gpu_milli.to_string());
        }
        list
    };
    let nodes = rows("openb_node_list_all_node.csv")?;
    let nodes = nodes.iter().map(|row| node(&row["sn"], "a", amounts(row, gpus(row, "gpu")))).collect();
    let asked = |row: &BTreeMap<String, String>| match row["num_gpu"].as_str() {
        "1" => row["gpu_milli"].parse().unwrap(),
        _ => gpus(row, "num_gpu"),
    };
    let pods = rows("openb_pod_list_default.csv")?;
    let pods = pods.iter().enumerate().map(|(index, row)| pod(index, json!({}), amounts(row, asked(row)), json!({})));
    Some(Input { nodes, pods: pods.collect() })
}

/// Places every pod of an input; returns how many found a node.
fn run(mut cluster: Snapshot, pods: &[Arc<Pod>], sampling: Sampling) -> usize {
    let (mut queue, mut scheduler) = (Queue::new(DEFAULT_SCHEDULER), Framework::new(1).sampling(sampling));
    let now = Timestamp::UNIX_EPOCH;
    for pod in pods {
        let change = cluster.set_pod(pod.clone());
        queue.apply(&change, &scheduler, &cluster, now);
    }
    let mut bound = 0;
    while let Some(pod) = queue.pop(now) {
        match scheduler.schedule(&pod, &cluster) {
            Decision::Bind { node } => {
                cluster.assume(&pod, &node);
                let change = Change::Bound(pod.clone(), cluster.index_of(&node).unwrap());
                queue.apply(&change, &scheduler, &cluster, now);
                bound += 1;
            }
            Decision::Wait(why) | Decision::Preempt { why, .. } => {
                wait(&mut queue, &pod, &why.plugins(), &scheduler, &cluster, now)
            }
        }
    }
    bound
}

fn wait(
    queue: &mut Queue,
    pod: &PodInfo,
    plugins: &[&'static str],
    scheduler: &Framework,
    cluster: &Snapshot,
    now: Timestamp,
) {
    queue.wait(pod, plugins, scheduler, cluster, now);
}

fn measure(bencher: Bencher<'_, '_>, input: &Input, sampling: Sampling) {
    let build = || {
        let mut cluster = Snapshot::new();
        input.nodes.iter().for_each(|node| drop(cluster.set_node(node.clone())));
        cluster
    };
    let bencher = bencher.counter(ItemsCount::new(input.pods.len())).with_inputs(build);
    bencher.bench_local_values(|cluster| run(cluster, &input.pods, sampling));
}

#[divan::bench(args = [RANKED, SAMPLED, PLAIN], sample_count = 5, sample_size = 1)]
fn basic_1000_nodes_10000_pods(bencher: Bencher<'_, '_>, sampling: Sampling) {
    measure(bencher, &basic(1000, 10_000), sampling);
}

#[divan::bench(args = [RANKED, SAMPLED, PLAIN], sample_count = 3, sample_size = 1)]
fn basic_5000_nodes_10000_pods(bencher: Bencher<'_, '_>, sampling: Sampling) {
    measure(bencher, &basic(5000, 10_000), sampling);
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn basic_100000_nodes_100000_pods(bencher: Bencher<'_, '_>) {
    measure(bencher, &basic(100_000, 100_000), RANKED);
}

/// Nine of ten fit nowhere.
#[divan::bench(sample_count = 3, sample_size = 1)]
fn full_1000_nodes_400000_pods(bencher: Bencher<'_, '_>) {
    measure(bencher, &basic(1000, 400_000), RANKED);
}

#[divan::bench(args = [RANKED, SAMPLED, PLAIN], sample_count = 3, sample_size = 1)]
fn openb_1523_nodes_8152_pods(bencher: Bencher<'_, '_>, sampling: Sampling) {
    let Some(input) = openb() else { return };
    measure(bencher, &input, sampling);
}

#[divan::bench(args = [RANKED, PLAIN], sample_count = 2, sample_size = 1)]
fn spread_by_zone_5000_nodes_1000_pods(bencher: Bencher<'_, '_>, sampling: Sampling) {
    let constraint = json!({"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 5, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"color": "blue"}}});
    measure(bencher, &with_spec(5000, 1000, &json!({"topologySpreadConstraints": [constraint]})), sampling);
}

#[divan::bench(args = [RANKED, PLAIN], sample_count = 2, sample_size = 1)]
fn apart_by_host_5000_nodes_1000_pods(bencher: Bencher<'_, '_>, sampling: Sampling) {
    let term = json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"color": "blue"}}});
    let affinity = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}});
    measure(bencher, &with_spec(5000, 1000, &json!({"affinity": affinity})), sampling);
}
