//! Whole clusters against the clock: `cargo bench --bench cluster`.
//!
//! Times depend on the machine; compare rows of one run with each other, or with the same row of another commit.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]

use std::sync::Arc;

use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::k8s_openapi::api::core::v1::{ConfigMap, Pod};
use coracle::{Cluster, Node, Request};
use divan::Bencher;
use divan::counter::ItemsCount;
use futures::StreamExt as _;
use kube::api::PostParams;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

fn map(number: usize) -> ConfigMap {
    from(json!({"metadata": {"name": format!("map-{number}"), "namespace": "default"}, "data": {"key": "value"}}))
}

fn pod(number: usize) -> Pod {
    let container =
        json!({"name": "c", "image": "nginx", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}});
    let metadata = json!({"name": format!("pod-{number}"), "namespace": "default", "labels": {"app": "web"}});
    from(json!({"metadata": metadata, "spec": {"containers": [container]}}))
}

/// From `start()` to an API that answers and takes pods.
#[divan::bench]
fn start(bencher: Bencher) {
    let runtime = runtime();
    bencher.bench_local(|| runtime.block_on(Cluster::builder().start()).unwrap());
}

/// From `start()` to the first simulated pod running.
#[divan::bench]
fn start_to_first_pod_running(bencher: Bencher) {
    let runtime = runtime();
    bencher.bench_local(|| {
        runtime.block_on(async {
            let cluster = Cluster::builder().nodes(1, Node::simulated()).start().await.unwrap();
            let pods = cluster.api().namespaced::<Pod>("default");
            pods.create(pod(0)).await.unwrap();
            let running =
                |pod: Option<&Pod>| pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()) == Some("Running");
            pods.until("pod-0", running).await.unwrap();
            cluster
        })
    });
}

/// Creates in process, one request after another.
#[divan::bench(sample_count = 5)]
fn create_config_maps_one_by_one(bencher: Bencher) {
    let runtime = runtime();
    bencher
        .counter(ItemsCount::new(10_000_usize))
        .with_inputs(|| runtime.block_on(Cluster::builder().start()).unwrap())
        .bench_local_values(|cluster| {
            runtime.block_on(async {
                let maps = cluster.api().namespaced::<ConfigMap>("default");
                for number in 0..10_000 {
                    maps.create(map(number)).await.unwrap();
                }
            });
            cluster
        });
}

/// Creates in process, a hundred at a time, as controllers do.
#[divan::bench(sample_count = 5)]
fn create_pods_in_batches(bencher: Bencher) {
    let runtime = runtime();
    bencher
        .counter(ItemsCount::new(10_000_usize))
        .with_inputs(|| runtime.block_on(Cluster::builder().start()).unwrap())
        .bench_local_values(|cluster| {
            runtime.block_on(async {
                let api = cluster.api();
                for batch in 0..100 {
                    let requests = (0..100).map(|number| Request::create(pod(batch * 100 + number))).collect();
                    api.execute_all(requests).await.into_iter().for_each(|answer| drop(answer.unwrap()));
                }
            });
            cluster
        });
}

/// Creates over TLS, fifty clients at a time, with the ecosystem's client on the same cores.
#[divan::bench(sample_count = 3)]
fn create_config_maps_over_tls(bencher: Bencher) {
    let runtime = runtime();
    let inputs = || {
        runtime.block_on(async {
            let cluster = Cluster::builder().serve("127.0.0.1:0".parse().unwrap()).start().await.unwrap();
            let path = std::env::temp_dir().join(format!("coracle-bench-{}", std::process::id()));
            cluster.write_kubeconfig(&path).unwrap();
            let config = kube::config::Kubeconfig::read_from(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await.unwrap();
            (cluster, kube::Client::try_from(config).unwrap())
        })
    };
    bencher.counter(ItemsCount::new(5_000_usize)).with_inputs(inputs).bench_local_values(|(cluster, client)| {
        runtime.block_on(async {
            let maps: Arc<kube::Api<ConfigMap>> = Arc::new(kube::Api::default_namespaced(client));
            let creates = futures::stream::iter(0..5_000).map(|number| {
                let maps = maps.clone();
                async move { maps.create(&PostParams::default(), &map(number)).await.unwrap() }
            });
            creates.buffer_unordered(50).for_each(|_| async {}).await;
        });
        cluster
    });
}

/// A Deployment of so many pods on simulated nodes, from apply to the last one ready.
#[divan::bench(args = [1_000, 10_000], sample_count = 3)]
fn deployment_to_ready(bencher: Bencher, pods: i32) {
    let runtime = runtime();
    let nodes = usize::try_from(pods / 10).unwrap();
    let inputs = || runtime.block_on(Cluster::builder().nodes(nodes, Node::simulated()).start()).unwrap();
    bencher.counter(ItemsCount::new(usize::try_from(pods).unwrap())).with_inputs(inputs).bench_local_values(
        |cluster| {
            runtime.block_on(async {
                let labels = json!({"app": "big"});
                let template =
                    json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
                let spec = json!({"replicas": pods, "selector": {"matchLabels": labels}, "template": template});
                let deployments = cluster.api().namespaced::<Deployment>("default");
                deployments.create(from(json!({"metadata": {"name": "big"}, "spec": spec}))).await.unwrap();
                let ready =
                    |big: Option<&Deployment>| big.and_then(|big| big.status.as_ref()?.ready_replicas) == Some(pods);
                deployments.until("big", ready).await.unwrap();
            });
            cluster
        },
    );
}
