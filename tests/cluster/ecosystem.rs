//! The ecosystem's own client and controller runtime, unmodified, against a cluster in process.

use std::sync::Arc;
use std::time::Duration;

use coracle::k8s_openapi::api::core::v1::{ConfigMap, Pod};
use coracle::{Cluster, Node};
use futures::StreamExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::{Controller, watcher};
use kube::{Client, CustomResource, Resource as _, ResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "example.dev", version = "v1", kind = "Greeting", namespaced, status = "GreetingStatus")]
struct GreetingSpec {
    text: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct GreetingStatus {
    written: bool,
}

async fn cluster() -> Cluster {
    Cluster::builder().kind::<Greeting>().nodes(1, Node::simulated()).start().await.unwrap()
}

#[tokio::test]
async fn kube_rs_reads_writes_and_watches() {
    let cluster = cluster().await;
    let pods: Api<Pod> = Api::default_namespaced(cluster.kube_client());
    let watch = pods.watch(&kube::api::WatchParams::default(), "0").await.unwrap();
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}}))
    .unwrap();
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let mut watch = watch.boxed();
    loop {
        if let kube::api::WatchEvent::Modified(pod) = watch.next().await.unwrap().unwrap()
            && pod.status.unwrap().phase.as_deref() == Some("Running")
        {
            break;
        }
    }
    let params = ListParams::default().labels("app=web").fields("status.phase=Running");
    assert_eq!(pods.list(&params).await.unwrap().items.len(), 1);
    let patch = Patch::Strategic(json!({"metadata": {"labels": {"tier": "front"}}}));
    let patched = pods.patch("p", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.labels()["tier"], "front");
    assert!(matches!(pods.get("q").await, Err(kube::Error::Api(status)) if status.code == 404));
}

async fn reconcile(greeting: Arc<Greeting>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let namespace = greeting.namespace().unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(Client::clone(&client), &namespace);
    let map = ConfigMap {
        metadata: kube::api::ObjectMeta {
            name: Some(greeting.name_any()),
            owner_references: Some(vec![greeting.controller_owner_ref(&()).unwrap()]),
            ..Default::default()
        },
        data: Some([("text".to_owned(), greeting.spec.text.clone())].into()),
        ..Default::default()
    };
    let params = PatchParams::apply("greeter").force();
    maps.patch(&greeting.name_any(), &params, &Patch::Apply(&map)).await?;
    let greetings: Api<Greeting> = Api::namespaced(Client::clone(&client), &namespace);
    let status = json!({"status": {"written": true}});
    greetings.patch_status(&greeting.name_any(), &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(Action::await_change())
}

#[tokio::test]
async fn an_unmodified_kube_rs_controller_runs_in_process() {
    let cluster = cluster().await;
    let client = cluster.kube_client();
    let greetings: Api<Greeting> = Api::default_namespaced(client.clone());
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let controller = Controller::new(greetings.clone(), watcher::Config::default())
        .owns(maps.clone(), watcher::Config::default())
        .run(reconcile, |_, _, _| Action::requeue(Duration::from_secs(1)), Arc::new(client))
        .for_each(|_| futures::future::ready(()));
    let running = tokio::spawn(controller);

    let hello = Greeting::new("hello", GreetingSpec { text: "hi".to_owned() });
    greetings.create(&PostParams::default(), &hello).await.unwrap();
    let api = cluster.api().namespaced::<Greeting>("default");
    let written = |greeting: Option<&Greeting>| greeting.and_then(|one| one.status.as_ref()).is_some_and(|s| s.written);
    api.until("hello", written).await.unwrap();
    let maps_here = cluster.api().namespaced::<ConfigMap>("default");
    assert_eq!(maps_here.get("hello").unwrap().data.as_ref().unwrap()["text"], "hi");

    // What someone deletes comes back, and what was owned goes with its owner.
    maps.delete("hello", &Default::default()).await.unwrap();
    maps_here.until("hello", |map| map.is_some()).await.unwrap();
    greetings.delete("hello", &Default::default()).await.unwrap();
    maps_here.until("hello", |map| map.is_none()).await.unwrap();
    running.abort();
}
