//! Kubernetes' protobuf form, as typed clients of Go speak it.

use coracle_core::protobuf::{CONTENT_TYPE, Envelope, encode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::harness::{Answer, CONFIG_MAPS, Cluster, pod};

const PODS: &str = "/api/v1/namespaces/default/pods";
const SPEAKS: [(&str, &str); 2] =
    [("content-type", CONTENT_TYPE), ("accept", "application/vnd.kubernetes.protobuf,application/json")];

fn decode(bytes: &[u8]) -> Value {
    let envelope = Envelope::read(bytes).unwrap_or_else(|error| panic!("{error}: {bytes:?}"));
    serde_json::from_slice(&envelope.to_json().unwrap()).unwrap()
}

async fn ask(cluster: &Cluster, method: &str, target: &str, body: Option<&Value>) -> (Answer, Value) {
    let body = body.map(|body| encode(body.to_string().as_bytes()).unwrap());
    let answer = cluster.ask(method, target, &SPEAKS, body.unwrap_or_default()).await;
    assert_eq!(answer.headers["content-type"], CONTENT_TYPE, "{:?}", answer.body);
    let object = decode(&answer.body);
    (answer, object)
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}})
}

#[tokio::test]
async fn objects_and_lists_are_those_of_json() {
    let cluster = Cluster::start().await;
    let (answer, created) = ask(&cluster, "POST", CONFIG_MAPS, Some(&config_map("a"))).await;
    assert_eq!((answer.code, &created["data"]), (201, &json!({"a": "b"})));
    assert_eq!(created, cluster.get(&format!("{CONFIG_MAPS}/a")).await.json());
    cluster.post(PODS, &pod("web", "node-a")).await;
    for target in [format!("{PODS}/web"), PODS.to_owned(), "/api/v1/configmaps?limit=1".to_owned()] {
        let (answer, told) = ask(&cluster, "GET", &target, None).await;
        let mut expected = cluster.get(&target).await.json();
        // Items of a list have no kind of their own in protobuf.
        for object in expected.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
            object.as_object_mut().unwrap().retain(|name, _| name != "apiVersion" && name != "kind");
        }
        assert_eq!((answer.code, told), (200, expected), "{target}");
    }
}

#[tokio::test]
async fn updates_and_deletions() {
    let cluster = Cluster::start().await;
    let (_, mut object) = ask(&cluster, "POST", CONFIG_MAPS, Some(&config_map("a"))).await;
    object["data"] = json!({"c": "d"});
    let (answer, updated) = ask(&cluster, "PUT", &format!("{CONFIG_MAPS}/a"), Some(&object)).await;
    assert_eq!((answer.code, &updated["data"]), (200, &json!({"c": "d"})));
    let wrong = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "x"}});
    let (answer, refused) = ask(&cluster, "DELETE", &format!("{CONFIG_MAPS}/a"), Some(&wrong)).await;
    assert_eq!((answer.code, &refused["reason"]), (409, &json!("Conflict")), "{refused}");
    let right =
        json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": object["metadata"]["uid"]}});
    let (answer, gone) = ask(&cluster, "DELETE", &format!("{CONFIG_MAPS}/a"), Some(&right)).await;
    assert_eq!((answer.code, &gone["status"]), (200, &json!("Success")), "{gone}");
}

#[tokio::test]
async fn refusals_are_in_protobuf_too() {
    let cluster = Cluster::start().await;
    let (answer, refused) = ask(&cluster, "GET", &format!("{PODS}/none"), None).await;
    assert_eq!((answer.code, &refused["message"]), (404, &json!("pods \"none\" not found")));
    let broken = cluster.ask("POST", PODS, &SPEAKS, "k8s\0\x12\x01\x0a").await;
    let refused = decode(&broken.body);
    let message = "Pod in version \"v1\" cannot be handled as a Pod: unexpected EOF";
    assert_eq!((broken.code, &refused["message"]), (400, &json!(message)));
}

#[tokio::test]
async fn a_kind_of_another_type_is_refused_as_in_json() {
    let cluster = Cluster::start().await;
    let (answer, refused) = ask(&cluster, "POST", PODS, Some(&config_map("a"))).await;
    let json = cluster.ask("POST", PODS, &[("content-type", "application/json")], &config_map("a").to_string()).await;
    assert_eq!((answer.code, &refused["message"]), (json.code, &json.json()["message"]));
}

#[tokio::test]
async fn partial_metadata_has_a_protobuf_form() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", &[]).await;
    let accept = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let list = decode(&cluster.ask("GET", CONFIG_MAPS, &[("accept", accept)], "").await.body);
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["metadata"]["name"], "a");
    let tables = "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1";
    assert_eq!(cluster.ask("GET", CONFIG_MAPS, &[("accept", tables)], "").await.code, 406);
}

/// The next frame of a watch: what happened, and the object.
async fn frame(response: &mut http::Response<coracle_api::http::body::Body>) -> (String, Value) {
    let frame = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    let (length, message) = frame.split_at(4);
    assert_eq!(u32::from_be_bytes(length.try_into().unwrap()) as usize, message.len());
    let word_length = usize::from(message[1]);
    let word = String::from_utf8(message[2..2 + word_length].to_vec()).unwrap();
    let start = message.windows(4).position(|window| window == b"k8s\0").unwrap();
    (word, decode(&message[start..]))
}

#[tokio::test]
async fn watches_are_framed_by_length() {
    let cluster = Cluster::start().await;
    cluster.config_map("a", &[("x", "z")]).await;
    let accept = [("accept", "application/vnd.kubernetes.protobuf;stream=watch")];
    let query = "watch=true&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let mut response = cluster.send("GET", &format!("{CONFIG_MAPS}?{query}"), &accept, "").await;
    assert_eq!(response.headers()["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
    let (word, object) = frame(&mut response).await;
    assert_eq!((word.as_str(), object), ("ADDED", cluster.get(&format!("{CONFIG_MAPS}/a")).await.json()));
    let (word, bookmark) = frame(&mut response).await;
    assert_eq!((word.as_str(), &bookmark["kind"]), ("BOOKMARK", &json!("ConfigMap")));
    cluster.label(&format!("{CONFIG_MAPS}/a"), "x", Some("y")).await;
    let (word, object) = frame(&mut response).await;
    assert_eq!((word.as_str(), &object["metadata"]["labels"]["x"]), ("MODIFIED", &json!("y")));
}
