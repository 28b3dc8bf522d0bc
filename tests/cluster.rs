//! Whole clusters, in process.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::k8s_openapi::api::core::v1::Pod;
use coracle::{Cluster, Node};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn tmp() {
    let cluster = Cluster::builder().seed(1).virtual_time().nodes(3, Node::simulated()).start().await.unwrap();
    let api = cluster.api();
    let web: Deployment = serde_json::from_value(json!({"metadata": {"name": "web"}, "spec": {"replicas": 3,
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})).unwrap();
    api.namespaced::<Deployment>("default").create(web).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    for pod in api.namespaced::<Pod>("default").list() {
        println!("{}", serde_json::to_string(&*pod).unwrap());
    }
    for m in cluster.controllers() {
        println!("{m:?}");
    }
    for e in api.all::<coracle::k8s_openapi::api::core::v1::Event>().list() {
        println!("{:?} {:?}", e.reason, e.message);
    }
    println!("{:?}", cluster.shutdown().await);
    panic!();
}
