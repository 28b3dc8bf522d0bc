//! The ecosystem's client, unchanged, without a socket.

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt};

use crate::harness::Cluster;

fn map(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() }, ..ConfigMap::default() }
}

#[tokio::test]
async fn objects_come_and_go() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let created = maps.create(&PostParams::default(), &map("a")).await.unwrap();
    assert_eq!(created.namespace().as_deref(), Some("default"));
    assert!(created.uid().is_some() && created.resource_version().is_some());
    let refused = maps.create(&PostParams::default(), &map("a")).await.unwrap_err();
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    assert_eq!((status.code, &*status.reason), (409, "AlreadyExists"));
    assert_eq!(status.message, "configmaps \"a\" already exists");

    let mut changed = maps.get("a").await.unwrap();
    changed.data = Some([("k".to_owned(), "v".to_owned())].into());
    let changed = maps.replace("a", &PostParams::default(), &changed).await.unwrap();
    assert!(changed.resource_version() > created.resource_version());
    let stale = maps.replace("a", &PostParams::default(), &created).await.unwrap_err();
    assert!(matches!(&stale, kube::Error::Api(status) if status.code == 409 && status.reason == "Conflict"), "{stale}");

    let apply = PatchParams::apply("test").force();
    let wish =
        serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"x": "y"}});
    let applied = maps.patch("b", &apply, &Patch::Apply(&wish)).await.unwrap();
    assert_eq!(applied.data.unwrap()["x"], "y");
    let merged = maps
        .patch("b", &PatchParams::default(), &Patch::Merge(serde_json::json!({"data": {"x": null, "z": "1"}})))
        .await
        .unwrap();
    assert_eq!(merged.data.unwrap().into_iter().collect::<Vec<_>>(), [("z".to_owned(), "1".to_owned())]);

    let list = maps.list(&ListParams::default()).await.unwrap();
    assert_eq!(list.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["a", "b"]);
    let gone = maps.delete("a", &DeleteParams::default()).await.unwrap().right().unwrap();
    assert!(gone.is_success());
    assert!(maps.get_opt("a").await.unwrap().is_none());
    let deleted = maps.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    assert_eq!(deleted.left().unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let before = cluster.revision();
    maps.create(&PostParams { dry_run: true, ..PostParams::default() }, &map("a")).await.unwrap();
    assert_eq!(cluster.revision(), before);
    assert!(maps.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn watchers_follow() {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    let first = maps.create(&PostParams::default(), &map("a")).await.unwrap();
    let version = first.resource_version().unwrap();
    let mut events = maps.watch(&WatchParams::default(), &version).await.unwrap().boxed();
    maps.create(&PostParams::default(), &map("b")).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let event = events.try_next().await.unwrap().unwrap();
    assert!(matches!(&event, WatchEvent::Added(map) if map.name_any() == "b"), "{event:?}");
    let event = events.try_next().await.unwrap().unwrap();
    assert!(matches!(&event, WatchEvent::Deleted(map) if map.name_any() == "a"), "{event:?}");
}

async fn check_informer(config: watcher::Config) {
    let cluster = Cluster::start().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
    for name in ["a", "b", "c"] {
        maps.create(&PostParams::default(), &map(name)).await.unwrap();
    }
    let mut seen = watcher(maps.clone(), config).applied_objects().boxed();
    for name in ["a", "b", "c"] {
        assert_eq!(seen.try_next().await.unwrap().unwrap().name_any(), name);
    }
    maps.create(&PostParams::default(), &map("d")).await.unwrap();
    assert_eq!(seen.try_next().await.unwrap().unwrap().name_any(), "d");
}

#[tokio::test]
async fn informers_that_list_in_pages_and_watch() {
    check_informer(watcher::Config::default().page_size(2)).await;
}

#[tokio::test]
async fn informers_that_stream_their_list() {
    check_informer(watcher::Config::default().streaming_lists()).await;
}
