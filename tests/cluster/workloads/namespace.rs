//! Row "namespace deletion in order": pods go before everything else.

use coracle::k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};

use super::*;

#[tokio::test(start_paused = true)]
async fn pods_go_first() {
    let lab = Lab::new(1).await;
    lab.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}").await;
    let accounts = lab.api.namespaced::<ServiceAccount>("shop");
    accounts.until("default", |account| account.is_some()).await.unwrap();
    lab.apply(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: shop}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, finalizers: [example.dev/hold]}
spec: {containers: [{name: c, image: 'web:v1'}]}
",
    )
    .await;
    let pods = lab.api.namespaced::<Pod>("shop");
    let maps = lab.api.namespaced::<ConfigMap>("shop");
    let namespaces = lab.api.all::<Namespace>();
    pods.until("web", |pod| pod.is_some_and(|pod| mood(pod) == "ready")).await.unwrap();
    namespaces.delete("shop").await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(maps.get("settings").is_ok(), "what a pod may still need is there");
    let shop = namespaces.get("shop").unwrap();
    let said = |kind: &str| {
        let conditions = shop.status.as_ref().unwrap().conditions.clone().unwrap_or_default();
        let found = conditions.into_iter().find(|it| it.type_ == kind).unwrap();
        format!("{} {}", found.status, found.message.unwrap_or_default())
    };
    let remaining = said("NamespaceContentRemaining");
    assert!(remaining.contains("pods. has 1 resource instances"), "{remaining}");
    assert_eq!(
        said("NamespaceFinalizersRemaining"),
        "True Some content in the namespace has finalizers remaining: example.dev/hold in 1 resource instances"
    );
    pods.edit("web", |pod| pod.metadata.finalizers = None).await.unwrap();
    namespaces.until("shop", |shop| shop.is_none()).await.unwrap();
    assert!(maps.get("settings").is_err());
}
