//! kube-rs over a socket, with the kubeconfig that everyone else gets. In process it is toured in `tests/cluster/ecosystem.rs`.

use std::path::Path;

use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _};
use kube::api::{
    AttachParams, DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams, PropagationPolicy, WatchEvent,
    WatchParams,
};
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt as _, discovery};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::k8s_openapi::api::core::v1::{ConfigMap, Pod};

use super::{ECHO, Served};

fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn map(name: &str, parity: &str) -> ConfigMap {
    from(json!({"metadata": {"name": name, "labels": {"parity": parity}}, "data": {"a": "b"}}))
}

/// A refusal's code and reason.
fn refused<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String) {
    match result.unwrap_err() {
        kube::Error::Api(status) => (status.code, status.reason),
        other => panic!("{other}"),
    }
}

async fn client(served: &Served) -> Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(served.directory.join("kubeconfig")).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

async fn discovers(client: &Client) {
    assert_eq!(client.apiserver_version().await.unwrap().minor, "36");
    for found in [
        discovery::Discovery::new(client.clone()).run().await.unwrap(),
        discovery::Discovery::new(client.clone()).run_aggregated().await.unwrap(),
    ] {
        let group = found.get("apps").unwrap();
        let (resource, capabilities) = group.recommended_kind("Deployment").unwrap();
        assert_eq!((&*resource.plural, capabilities.subresources.len()), ("deployments", 2));
    }
}

async fn reads_and_writes(maps: &Api<ConfigMap>) {
    for number in 0..5 {
        let map = map(&format!("map-{number}"), if number % 2 == 0 { "even" } else { "odd" });
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    assert_eq!(
        refused(maps.create(&PostParams::default(), &map("map-0", "even")).await),
        (409, "AlreadyExists".into())
    );
    let names =
        |list: &kube::core::ObjectList<ConfigMap>| -> Vec<String> { list.iter().map(|map| map.name_any()).collect() };
    let odd = maps.list(&ListParams::default().labels("parity=odd")).await.unwrap();
    assert_eq!(names(&odd), ["map-1", "map-3"]);
    let mut params = ListParams::default().labels("parity").limit(2);
    let mut seen = Vec::new();
    loop {
        let page = maps.list(&params).await.unwrap();
        seen.extend(names(&page));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    let json = Patch::<Value>::Json(from(json!([{"op": "remove", "path": "/data/a"}])));
    assert!(maps.patch("map-0", &PatchParams::default(), &json).await.unwrap().data.is_none_or(|data| data.is_empty()));
    let apply = |value: &str| Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": value}}));
    maps.patch("map-1", &PatchParams::apply("one"), &apply("one")).await.unwrap();
    let conflict = maps.patch("map-1", &PatchParams::apply("two"), &apply("two")).await;
    assert_eq!(refused(conflict), (409, "Conflict".into()));
    maps.patch("map-1", &PatchParams::apply("two").force(), &apply("two")).await.unwrap();
    maps.delete_collection(&DeleteParams::default(), &ListParams::default().labels("parity=even")).await.unwrap();
    assert_eq!(maps.list_metadata(&ListParams::default().labels("parity")).await.unwrap().items.len(), 2);
}

async fn watches(maps: &Api<ConfigMap>) {
    let begin = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let params = WatchParams::default().labels("parity=watched");
    let mut events = maps.watch(&params, &begin).await.unwrap().boxed();
    let created = maps.create(&PostParams::default(), &map("w", "watched")).await.unwrap();
    maps.delete("w", &DeleteParams::default()).await.unwrap();
    assert!(matches!(events.try_next().await.unwrap(), Some(WatchEvent::Added(map)) if map.name_any() == "w"));
    assert!(matches!(events.try_next().await.unwrap(), Some(WatchEvent::Deleted(_))));
    let mut resumed = maps.watch(&params, &created.resource_version().unwrap()).await.unwrap().boxed();
    assert!(matches!(resumed.try_next().await.unwrap(), Some(WatchEvent::Deleted(_))));
}

async fn scales(client: &Client) {
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let labels = json!({"app": "web"});
    let container = json!({"name": "c", "image": "i", "command": ["sleep", "1000"]});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}});
    let spec = json!({"replicas": 0, "selector": {"matchLabels": labels}, "template": pod});
    let deployment = from(json!({"metadata": {"name": "web"}, "spec": spec}));
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    let scale = Patch::Merge(json!({"spec": {"replicas": 1}}));
    deployments.patch_scale("web", &PatchParams::default(), &scale).await.unwrap();
    let available = kube::runtime::conditions::is_deployment_completed();
    kube::runtime::wait::await_condition(deployments.clone(), "web", available).await.unwrap();
    let foreground =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    deployments.delete("web", &foreground).await.unwrap();
}

async fn streams(client: &Client) {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let script = "echo one; echo two; exec sleep 1000";
    let container = json!({"name": "c", "image": "i", "command": ["sh", "-c", script]});
    let spec = json!({"terminationGracePeriodSeconds": 1, "containers": [container]});
    let pod = from(json!({"metadata": {"name": "shell"}, "spec": spec}));
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let running = kube::runtime::conditions::is_pod_running();
    kube::runtime::wait::await_condition(pods.clone(), "shell", running).await.unwrap();
    let params = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream("shell", &params).await.unwrap().lines();
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("one"));
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("two"));

    let params = AttachParams::default().stdin(true).stderr(false);
    let command = ["sh", "-c", "read line; echo got $line; exit 3"];
    let mut process = pods.exec("shell", command, &params).await.unwrap();
    process.stdin().unwrap().write_all(b"it\n").await.unwrap();
    let mut printed = String::new();
    process.stdout().unwrap().read_to_string(&mut printed).await.unwrap();
    assert_eq!(printed, "got it\n");
    let status = process.take_status().unwrap().await.unwrap();
    assert_eq!(status.reason.as_deref(), Some("NonZeroExitCode"));
}

async fn forwards(client: &Client) {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let echo = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(ECHO)).unwrap();
    pods.create(&PostParams::default(), &serde_saphyr::from_str(&echo).unwrap()).await.unwrap();
    kube::runtime::wait::await_condition(pods.clone(), "echo", kube::runtime::conditions::is_pod_running())
        .await
        .unwrap();
    let params = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream("echo", &params).await.unwrap().lines();
    assert_eq!(lines.try_next().await.unwrap().as_deref(), Some("listening"));
    let mut forwarder = pods.portforward("echo", &[8080]).await.unwrap();
    let mut connection = forwarder.take_stream(8080).unwrap();
    connection.write_all(b"hello\n").await.unwrap();
    let mut heard = [0; 12];
    connection.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"heard hello\n");
    drop(connection);
    forwarder.join().await.unwrap();
}

async fn custom_resources(client: &Client) {
    use coracle::k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}}}}});
    let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    let names = json!({"plural": "boats", "kind": "Boat"});
    let spec = json!({"group": "rust.example.dev", "scope": "Namespaced", "names": names, "versions": [version]});
    let name = "boats.rust.example.dev";
    let definition = from(json!({"metadata": {"name": name}, "spec": spec}));
    definitions.create(&PostParams::default(), &definition).await.unwrap();
    let established = kube::runtime::conditions::is_crd_established();
    kube::runtime::wait::await_condition(definitions.clone(), name, established).await.unwrap();
    let kind = kube::core::GroupVersionKind::gvk("rust.example.dev", "v1", "Boat");
    let (resource, _) = discovery::pinned_kind(client, &kind).await.unwrap();
    let boats: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
    let boat = |size: u32| DynamicObject::new("coracle", &resource).data(json!({"spec": {"size": size}}));
    assert_eq!(refused(boats.create(&PostParams::default(), &boat(0)).await), (422, "Invalid".into()));
    boats.create(&PostParams::default(), &boat(1)).await.unwrap();
    let applied = boats.patch("coracle", &PatchParams::apply("me").force(), &Patch::Apply(boat(2))).await.unwrap();
    assert_eq!(applied.data["spec"]["size"], 2);
    definitions.delete(name, &DeleteParams::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kube_rs() {
    let served = Served::start().await;
    let client = client(&served).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    discovers(&client).await;
    reads_and_writes(&maps).await;
    watches(&maps).await;
    scales(&client).await;
    streams(&client).await;
    custom_resources(&client).await;
    forwards(&client).await;
    drop((maps, client));
    served.end().await;
}
