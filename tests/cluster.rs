//! Whole clusters, in process.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use coracle::Cluster;
use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::json;

fn node(name: &str) -> Node {
    let capacity = json!({"cpu": "8", "memory": "32Gi", "pods": "110"});
    serde_json::from_value(json!({"metadata": {"name": name}, "status": {"capacity": capacity, "allocatable": capacity,
        "conditions": [{"type": "Ready", "status": "True"}]}})).unwrap()
}

#[tokio::test(start_paused = true)]
async fn tmp() {
    let cluster = Cluster::builder().seed(1).virtual_time().start().await.unwrap();
    let api = cluster.api();
    for name in ["n1", "n2", "n3"] {
        api.all::<Node>().create(node(name)).await.unwrap();
        api.all::<Node>().replace_status(node(name)).await.unwrap();
    }
    let web: Deployment = serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": {"replicas": 3,
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})).unwrap();
    api.namespaced::<Deployment>("default").create(web).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    for pod in api.namespaced::<Pod>("default").list() {
        println!("{:?} {:?} {:?}", pod.metadata.name, pod.spec.as_ref().unwrap().node_name, pod.status);
    }
    for m in cluster.controllers() { println!("{m:?}"); }
    for e in api.all::<coracle::k8s_openapi::api::core::v1::Event>().list() { println!("{:?} {:?}", e.reason, e.message); }
    panic!();
}
