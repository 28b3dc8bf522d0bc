//! Lists: pages of one revision, revisions of the past, forms.

use std::io::Read as _;

use coracle_core::Revision;
use coracle_store::Store as _;
use serde_json::{Value, json};

use crate::harness::{CONFIG_MAPS, Cluster, pod};

async fn five() -> Cluster {
    let cluster = Cluster::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        cluster.config_map(name, &[("in", name)]).await;
    }
    cluster
}

fn token(list: &Value) -> String {
    list["metadata"]["continue"].as_str().unwrap_or_default().to_owned()
}

/// The rest of a list begun at `first` shows that list's revision, whatever happened since.
async fn check_rest(cluster: &Cluster, first: &Value) {
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    let second = cluster.get(&format!("{CONFIG_MAPS}?limit=2&continue={}", token(first))).await;
    assert_eq!(second.names(), ["c", "d"]);
    let second = second.json();
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(second["metadata"]["remainingItemCount"], 1);
    assert_eq!(second["items"][0]["metadata"]["labels"], json!({"in": "c"}));
    let third = cluster.get(&format!("{CONFIG_MAPS}?limit=2&continue={}", token(&second))).await;
    assert_eq!(third.names(), ["e"]);
    assert_eq!(token(&third.json()), "");
    assert_eq!(third.json()["metadata"]["remainingItemCount"], Value::Null);
}

#[tokio::test]
async fn pages_show_one_revision() {
    let cluster = five().await;
    let first = cluster.get(&format!("{CONFIG_MAPS}?limit=2")).await;
    assert_eq!(first.names(), ["a", "b"]);
    let first = first.json();
    check_rest(&cluster, &first).await;
    cluster.config_map("bb", &[]).await;
    cluster.config_map("f", &[]).await;
    cluster.label(&format!("{CONFIG_MAPS}/c"), "in", Some("changed")).await;
    assert_eq!(cluster.ask("DELETE", &format!("{CONFIG_MAPS}/d"), &[], "").await.code, 200);
    cluster.config_map("d", &[]).await;
    // From the journal, then from the store by a server whose journal begins later.
    check_rest(&cluster, &first).await;
    check_rest(&Cluster::over(cluster.store.clone()).await, &first).await;
}

#[tokio::test]
async fn pages_of_forgotten_revisions_can_go_on_as_it_is_now() {
    let cluster = five().await;
    let first = cluster.get(&format!("{CONFIG_MAPS}?limit=2")).await.json();
    cluster.config_map("cc", &[]).await;
    cluster.store.compact(cluster.revision()).await.unwrap();
    let expired = cluster.get(&format!("{CONFIG_MAPS}?limit=2&continue={}", token(&first))).await;
    let status = expired.json();
    assert_eq!((expired.code, &status["reason"]), (410, &json!("Expired")));
    assert!(status["message"].as_str().unwrap().starts_with("The provided continue parameter is too old to display"));
    let rest = cluster.get(&format!("{CONFIG_MAPS}?limit=2&continue={}", token(&status))).await;
    assert_eq!(rest.names(), ["c", "cc"]);
    let rest = rest.json();
    assert_eq!(rest["metadata"]["resourceVersion"], cluster.revision().to_string());
    assert_eq!(cluster.get(&format!("{CONFIG_MAPS}?continue={}", token(&rest))).await.names(), ["d", "e"]);
}

#[tokio::test]
async fn selectors_hide_how_many_remain() {
    let cluster = five().await;
    let page = cluster.get(&format!("{CONFIG_MAPS}?limit=1&labelSelector=in+in+(b,d)")).await;
    assert_eq!(page.names(), ["b"]);
    let page = page.json();
    assert_eq!(page["metadata"]["remainingItemCount"], Value::Null);
    let next = cluster.get(&format!("{CONFIG_MAPS}?limit=1&labelSelector=in+in+(b,d)&continue={}", token(&page))).await;
    assert_eq!(next.names(), ["d"]);
}

/// `expected`: names, or a code.
async fn check_version(cluster: &Cluster, query: &str, expected: Result<&[&str], u16>) {
    let answer = cluster.get(&format!("{CONFIG_MAPS}?{query}")).await;
    match expected {
        Ok(names) => assert_eq!(answer.names(), names, "{query}"),
        Err(code) => assert_eq!(answer.code, code, "{query}: {:?}", answer.body),
    }
}

#[tokio::test(start_paused = true)]
async fn resource_versions() {
    let cluster = five().await;
    let newest = cluster.revision();
    let third = Revision(newest.0 - 2);
    let all: &[&str] = &["a", "b", "c", "d", "e"];
    check_version(&cluster, "resourceVersion=0", Ok(all)).await;
    check_version(&cluster, &format!("resourceVersion={third}"), Ok(all)).await;
    let exact = format!("resourceVersion={third}&resourceVersionMatch=Exact");
    check_version(&cluster, &exact, Ok(&["a", "b", "c"])).await;
    check_version(&cluster, &format!("resourceVersion={third}&limit=2"), Ok(&["a", "b"])).await;
    check_version(&cluster, &format!("resourceVersion={third}&resourceVersionMatch=NotOlderThan"), Ok(all)).await;
    check_version(&cluster, "resourceVersion=99999", Err(504)).await;
    check_version(&cluster, "resourceVersion=99999&resourceVersionMatch=Exact", Err(504)).await;
    check_version(&cluster, "resourceVersionMatch=Exact", Err(422)).await;
    check_version(&cluster, "resourceVersion=x", Err(422)).await;
    check_version(&cluster, "continue=x", Err(400)).await;
    cluster.store.compact(newest).await.unwrap();
    check_version(&cluster, &exact, Err(410)).await;
    let refused = cluster.get(&format!("{CONFIG_MAPS}?{exact}")).await.json();
    assert_eq!(refused["message"], "The resourceVersion for the provided list is too old.");
}

#[tokio::test]
async fn other_versions_of_a_kind() {
    let cluster = Cluster::start().await;
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"}, "reason": "Started",
        "message": "hello", "type": "Normal", "involvedObject": {"kind": "Pod", "namespace": "default", "name": "web"},
    });
    cluster.post("/api/v1/namespaces/default/events", &event).await;
    let path = "/apis/events.k8s.io/v1/namespaces/default/events";
    let list = cluster.get(&format!("{path}?fieldSelector=regarding.name%3Dweb")).await.json();
    assert_eq!(list["apiVersion"], "events.k8s.io/v1");
    let event = &list["items"][0];
    assert_eq!((&event["apiVersion"], &event["note"]), (&json!("events.k8s.io/v1"), &json!("hello")));
    assert_eq!(event["regarding"]["name"], "web");
}

#[tokio::test]
async fn tables_and_metadata() {
    let cluster = Cluster::start().await;
    cluster.post("/api/v1/namespaces/default/pods", &pod("web", "n1")).await;
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")];
    let pods = "/api/v1/namespaces/default/pods";
    for target in [pods.to_owned(), format!("{pods}/web")] {
        let value = cluster.ask("GET", &target, &table, "").await.json();
        assert_eq!((&value["kind"], &value["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
        assert_eq!(value["rows"][0]["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(value["rows"][0]["object"]["metadata"]["name"], "web");
        let columns = value["columnDefinitions"].as_array().unwrap().len();
        assert_eq!(value["rows"][0]["cells"].as_array().unwrap().len(), columns);
        assert_eq!(
            (&value["columnDefinitions"][0]["name"], &value["rows"][0]["cells"][0]),
            (&json!("Name"), &json!("web"))
        );
    }
    let whole = cluster.ask("GET", &format!("{pods}?includeObject=Object"), &table, "").await.json();
    assert_eq!(whole["rows"][0]["object"]["kind"], "Pod");
    let partial = [("accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")];
    let partial = cluster.ask("GET", pods, &partial, "").await.json();
    assert_eq!(partial["kind"], "PartialObjectMetadataList");
    assert_eq!(partial["items"][0]["spec"], Value::Null);
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {}});
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io"), ("content-type", "application/json")];
    assert_eq!(cluster.ask("POST", reviews, &table, &review.to_string()).await.code, 406);
}

#[tokio::test]
async fn large_lists_are_streamed_and_compressed_if_asked() {
    let cluster = Cluster::start().await;
    for number in 0..40 {
        let data = "x".repeat(8 << 10);
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("map-{number:02}")},
            "data": {"text": data},
        });
        cluster.post(CONFIG_MAPS, &map).await;
    }
    let plain = cluster.get(CONFIG_MAPS).await;
    assert_eq!(plain.names().len(), 40);
    assert!(!plain.headers.contains_key("content-encoding"));
    let small = cluster.ask("GET", CONFIG_MAPS, &[("accept-encoding", "gzip")], "").await;
    assert_eq!(small.headers["content-encoding"], "gzip");
    assert!(small.body.len() < plain.body.len() / 10);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&small.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
}
