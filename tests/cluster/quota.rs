//! A quota in a whole cluster: what it refuses, who is told, and how room is made.

use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use coracle::k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use coracle::{Cluster, Node};
use serde_json::{Value, json};

fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn used(quota: &ResourceQuota) -> Option<&str> {
    let status = quota.status.as_ref()?;
    Some(&status.used.as_ref()?.get("pods")?.0)
}

/// Why replicas are missing, as the Deployment tells it.
fn failure(deployment: Option<&Deployment>) -> Option<String> {
    let conditions = deployment?.status.as_ref()?.conditions.as_ref()?;
    let failure = conditions.iter().find(|condition| condition.type_ == "ReplicaFailure")?;
    Some(format!("{}: {}", failure.reason.as_deref()?, failure.message.as_deref()?))
}

fn available(deployment: Option<&Deployment>) -> Option<i32> {
    deployment?.status.as_ref()?.available_replicas
}

#[tokio::test(start_paused = true)]
async fn a_deployment_gets_what_the_quota_leaves() {
    let builder = Cluster::builder().seed(1).virtual_time();
    let cluster = builder.nodes(2, Node::simulated()).start().await.unwrap();
    let quotas = cluster.api().namespaced::<ResourceQuota>("default");
    let deployments = cluster.api().namespaced::<Deployment>("default");
    let hard = json!({"pods": "2", "count/deployments.apps": "1"});
    quotas.create(from(json!({"metadata": {"name": "q"}, "spec": {"hard": hard}}))).await.unwrap();
    let labels = json!({"app": "web"});
    let deployment = |name: &str| {
        from::<Deployment>(json!({"metadata": {"name": name}, "spec": {
            "replicas": 4,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}},
        }}))
    };
    deployments.create(deployment("web")).await.unwrap();
    let second = deployments.create(deployment("web-2")).await.unwrap_err();
    assert_eq!(
        second.message(),
        "deployments.apps \"web-2\" is forbidden: exceeded quota: q, requested: count/deployments.apps=1, used: \
         count/deployments.apps=1, limited: count/deployments.apps=1"
    );

    deployments.until("web", |web| failure(web).is_some() && available(web) == Some(2)).await.unwrap();
    let told = failure(deployments.get("web").ok().as_deref()).unwrap();
    assert!(told.starts_with("FailedCreate: pods \"web-"), "{told}");
    assert!(
        told.ends_with("is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"),
        "{told}"
    );
    assert_eq!(cluster.api().namespaced::<Pod>("default").list().len(), 2);
    quotas.until("q", |quota| quota.and_then(used) == Some("2")).await.unwrap();

    quotas
        .edit("q", |quota| {
            let hard = quota.spec.as_mut().unwrap().hard.as_mut().unwrap();
            hard.insert("pods".to_owned(), Quantity("4".to_owned()));
        })
        .await
        .unwrap();
    deployments.until("web", |web| failure(web).is_none() && available(web) == Some(4)).await.unwrap();
    quotas.until("q", |quota| quota.and_then(used) == Some("4")).await.unwrap();
    deployments.delete("web").await.unwrap();
    quotas.until("q", |quota| quota.and_then(used) == Some("0")).await.unwrap();
}
