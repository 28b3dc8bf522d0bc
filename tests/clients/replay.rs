//! What Helm, k9s and client-go's informers ask, word for word, and what their code looks at in the answers: clients that
//! cannot be installed everywhere. In process, since what matters is between the request line and the end of the body.
//!
//! Sources: client-go `discovery`, `tools/cache/reflector.go`, `metadata`, `tools/leaderelection`; kubectl `cmd/get`; Helm 3
//! `pkg/storage/driver/secrets.go`, `pkg/kube/client.go`; k9s `internal/client`, `internal/dao`.

use coracle::{Cluster, Node};
use coracle_core::protobuf::Envelope;
use futures::StreamExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const ANYTHING: &str = "application/json, */*";
/// Of client-go's typed clients in components.
const TYPED: &str = "application/vnd.kubernetes.protobuf,application/json";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const DISCOVERS: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;\
    g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
/// Of client-go from 1.35 on, which would rather not have what the server's peers serve.
const DISCOVERS_HERE: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList;profile=nopeer,\
    application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;\
    v=v2beta1;as=APIGroupDiscoveryList,application/json";
const DISCOVERS_AS_1_26: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,\
    application/json";
const METADATA: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,\
    application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const METADATA_LIST: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
    application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
const OPENAPI_2: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// A request, and what its answer must be.
struct Step<'a> {
    method: &'a str,
    target: &'a str,
    accept: &'a str,
    /// Content type and body; without a type there is no body.
    sends: (&'a str, Value),
    code: u16,
    content_type: &'a str,
    /// What stands where in the answer (JSON pointers); `true` for whatever is there, and `null` for nothing.
    has: &'a [(&'a str, Value)],
}

fn get<'a>(target: &'a str, accept: &'a str, content_type: &'a str, has: &'a [(&'a str, Value)]) -> Step<'a> {
    Step { method: "GET", target, accept, sends: ("", Value::Null), code: 200, content_type, has }
}

fn send<'a>(
    (method, target): (&'a str, &'a str),
    sends: (&'a str, Value),
    code: u16,
    has: &'a [(&'a str, Value)],
) -> Step<'a> {
    Step { method, target, accept: ANYTHING, sends, code, content_type: JSON, has }
}

async fn ask(client: &Client, step: &Step<'_>) -> http::Response<Body> {
    let mut request = Request::builder().method(step.method).uri(step.target).header("accept", step.accept);
    let (content_type, body) = &step.sends;
    let mut bytes = Vec::new();
    if !content_type.is_empty() {
        request = request.header("content-type", *content_type);
        bytes = match *content_type {
            PROTOBUF => coracle_core::protobuf::encode(body.to_string().as_bytes()).unwrap(),
            _ => body.to_string().into_bytes(),
        };
    }
    client.send(request.body(Body::from(bytes)).unwrap()).await.unwrap()
}

/// The answer as JSON, whatever its form; nothing if it is in a form that this test does not read.
fn value(content_type: &str, body: &[u8]) -> Value {
    match content_type {
        PROTOBUF => serde_json::from_slice(&Envelope::read(body).unwrap().to_json().unwrap()).unwrap(),
        other if other.starts_with(JSON) => serde_json::from_slice(body).unwrap(),
        _ => Value::Null,
    }
}

async fn check(client: &Client, step: Step<'_>) -> Value {
    let (head, body) = ask(client, &step).await.into_parts();
    let about = format!("{} {} accepting {}", step.method, step.target, step.accept);
    let body = body.collect().await.unwrap().to_bytes();
    let content_type = head.headers["content-type"].to_str().unwrap();
    let shown = String::from_utf8_lossy(&body[..body.len().min(1_000)]);
    assert_eq!((head.status.as_u16(), content_type), (step.code, step.content_type), "{about}\n{shown}");
    let value = value(content_type, &body);
    for (pointer, expected) in step.has {
        let found = value.pointer(pointer).cloned().unwrap_or_default();
        let fits = if *expected == Value::Bool(true) { !found.is_null() } else { found == *expected };
        assert!(fits, "{about}\n{pointer} is {found}, not {expected}\n{shown}");
    }
    value
}

/// The first events of a watch in JSON: types, and names or, for a bookmark, whether it ends the initial events.
async fn events(client: &Client, target: &str, accept: &str, count: usize) -> Vec<(String, String)> {
    let step = get(target, accept, JSON, &[]);
    let mut body = ask(client, &step).await.into_body().into_data_stream();
    let (mut text, mut seen) = (Vec::new(), Vec::new());
    while seen.len() < count {
        text.extend_from_slice(&body.next().await.unwrap().unwrap());
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let event: Value = serde_json::from_slice(&text.drain(..=end).collect::<Vec<_>>()).unwrap();
            let metadata = &event["object"]["metadata"];
            let end = metadata["annotations"]["k8s.io/initial-events-end"].as_str().map(|_| "end");
            let name = end.or(metadata["name"].as_str()).unwrap_or("").to_owned();
            seen.push((event["type"].as_str().unwrap().to_owned(), name));
        }
    }
    seen
}

async fn cluster() -> (Cluster, Client) {
    let cluster = Cluster::builder().nodes(1, Node::simulated()).start().await.unwrap();
    let client = cluster.kube_client();
    (cluster, client)
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"of": "replay"}}, "data": {"a": "b"}})
}

#[tokio::test]
async fn discovery_and_schemas() {
    let (_cluster, client) = cluster().await;
    let aggregated = |accept| get("/apis?timeout=32s", accept, AGGREGATED, &[]);
    for accept in [DISCOVERS, DISCOVERS_HERE] {
        let found = check(&client, aggregated(accept)).await;
        assert_eq!(found["kind"], "APIGroupDiscoveryList");
        let apps = found["items"].as_array().unwrap().iter().find(|item| item["metadata"]["name"] == "apps").unwrap();
        assert_eq!(apps["versions"][0]["freshness"], "Current");
        let core = check(&client, get("/api?timeout=32s", accept, AGGREGATED, &[])).await;
        assert_eq!(core["items"][0]["versions"][0]["version"], "v1");
    }
    for accept in [DISCOVERS_AS_1_26, ANYTHING] {
        check(&client, get("/apis?timeout=32s", accept, JSON, &[("/kind", "APIGroupList".into())])).await;
        let has = [("/kind", "APIVersions".into()), ("/versions/0", "v1".into())];
        check(&client, get("/api?timeout=32s", accept, JSON, &has)).await;
    }
    let has = [("/kind", "APIResourceList".into()), ("/groupVersion", "apps/v1".into())];
    check(&client, get("/apis/apps/v1?timeout=32s", ANYTHING, JSON, &has)).await;
    check(&client, get("/version?timeout=32s", ANYTHING, JSON, &[("/minor", "36".into())])).await;
    // k9s asks whether there are metrics.
    let pods = [("/resources/1/kind", "PodMetrics".into())];
    check(&client, get("/apis/metrics.k8s.io/v1beta1?timeout=32s", ANYTHING, JSON, &pods)).await;

    let answered = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    check(&client, get("/openapi/v2?timeout=32s", OPENAPI_2, answered, &[])).await;
    check(&client, get("/openapi/v2", ANYTHING, JSON, &[("/swagger", "2.0".into())])).await;
    let index =
        check(&client, get("/openapi/v3?timeout=32s", ANYTHING, JSON, &[("/paths/apis~1apps~1v1", true.into())])).await;
    let address = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    let step = get(address, JSON, JSON, &[]);
    let answer = ask(&client, &step).await;
    assert_eq!(answer.headers()["cache-control"], "public, immutable");
    let hash = address.split_once("?hash=").unwrap().1;
    assert_eq!(answer.headers()["etag"], format!("\"{hash}\""));
    let known = Request::get(address).header("if-none-match", answer.headers()["etag"].clone());
    assert_eq!(client.send(known.body(Body::empty()).unwrap()).await.unwrap().status(), 304);
}

#[tokio::test]
async fn informers() {
    let (_cluster, client) = cluster().await;
    let place = "/api/v1/namespaces/default/configmaps";
    for name in ["a", "b", "c"] {
        let has = [("/metadata/uid", true.into()), ("/kind", "ConfigMap".into())];
        let step = Step {
            accept: TYPED,
            content_type: PROTOBUF,
            ..send(("POST", place), (PROTOBUF, config_map(name)), 201, &has)
        };
        check(&client, step).await;
    }
    // A list of whatever the server has at hand is not cut into pages.
    let target = format!("{place}?labelSelector=of%3Dreplay&limit=2&resourceVersion=0");
    let has = [("/items/2/metadata/name", "c".into()), ("/metadata/continue", Value::Null)];
    for (accept, content_type) in [(TYPED, PROTOBUF), (JSON, JSON)] {
        let list = check(&client, get(&target, accept, content_type, &has)).await;
        let revision = list["metadata"]["resourceVersion"].as_str().unwrap();
        let watch = format!(
            "{place}?allowWatchBookmarks=true&labelSelector=of%3Dreplay&resourceVersion={revision}\
             &timeout=8m10s&timeoutSeconds=490&watch=true"
        );
        check(&client, send(("PATCH", &format!("{place}/a")), (MERGE, json!({"data": {"x": accept}})), 200, &[])).await;
        assert_eq!(events(&client, &watch, JSON, 1).await, [("MODIFIED".to_owned(), "a".to_owned())]);
    }
    let watch_list = format!(
        "{place}?allowWatchBookmarks=true&labelSelector=of%3Dreplay&resourceVersionMatch=NotOlderThan\
         &sendInitialEvents=true&timeout=8m10s&timeoutSeconds=490&watch=true"
    );
    for target in [watch_list.clone(), format!("{watch_list}&resourceVersion=1")] {
        let seen = events(&client, &target, JSON, 4).await;
        let expected = [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c"), ("BOOKMARK", "end")];
        assert_eq!(seen, expected.map(|(word, name)| (word.to_owned(), name.to_owned())));
    }
    let framed = ask(&client, &get(&watch_list, TYPED, PROTOBUF, &[])).await;
    assert_eq!(framed.headers()["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
    // Metadata informers: garbage collectors, namespace controllers.
    let has = [("/kind", "PartialObjectMetadata".into()), ("/metadata/name", "a".into()), ("/data", Value::Null)];
    check(&client, get(&format!("{place}/a"), METADATA, PROTOBUF, &has)).await;
    let has = [("/kind", "PartialObjectMetadataList".into()), ("/items/0/metadata/name", "a".into())];
    check(&client, get(&format!("{place}?limit=500&labelSelector=of"), METADATA_LIST, PROTOBUF, &has)).await;
    // A watch of a past that is gone says so in an event; one of no revision at all is refused.
    let gone = Step { code: 422, ..get("/api/v1/pods?watch=true&resourceVersion=x", JSON, JSON, &[]) };
    check(&client, gone).await;
    // A client that would like CBOR takes what there is.
    check(&client, get(place, "application/cbor;q=1,application/json;q=0.9", JSON, &[])).await;
    let refused = Step { content_type: JSON, ..send(("POST", place), ("application/cbor", json!(0)), 415, &[]) };
    check(&client, refused).await;
}

#[tokio::test]
async fn tables() {
    let (_cluster, client) = cluster().await;
    let has = [("/kind", "Table".into()), ("/apiVersion", "meta.k8s.io/v1".into())];
    let nodes = "/api/v1/nodes?limit=500";
    let table = check(&client, get(nodes, TABLE, JSON, &has)).await;
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    // k9s wants the objects beside the cells.
    let has = [("/rows/0/object/kind", "Node".into()), ("/columnDefinitions/0/name", "Name".into())];
    check(&client, get("/api/v1/nodes?includeObject=Object", TABLE, JSON, &has)).await;
    // What has no table comes as it is.
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}}});
    let place = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let has = [("/status/allowed", true.into())];
    for accept in [ANYTHING, TABLE] {
        check(&client, Step { accept, ..send(("POST", place), (JSON, review.clone()), 201, &has) }).await;
    }
}

/// Helm's record of a release.
fn release(version: u32, status: &str) -> Value {
    let labels = json!({"modifiedAt": "1767225600", "name": "web", "owner": "helm", "status": status, "version": version.to_string()});
    json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": format!("sh.helm.release.v1.web.v{version}"), "labels": labels},
        "data": {"release": "SDRzSUFBQT0="}, "type": "helm.sh/release.v1"})
}

#[tokio::test]
async fn helm_installs_upgrades_and_uninstalls() {
    let (_cluster, client) = cluster().await;
    let secrets = "/api/v1/namespaces/default/secrets";
    let first = format!("{secrets}/sh.helm.release.v1.web.v1");
    let history = format!("{secrets}?labelSelector=name%3Dweb%2Cowner%3Dhelm");
    check(&client, get(&history, ANYTHING, JSON, &[("/items", json!([]))])).await;
    let created = send(("POST", secrets), (JSON, release(1, "pending-install")), 201, &[]);
    check(&client, created).await;
    let again = [("/reason", "AlreadyExists".into())];
    check(&client, send(("POST", secrets), (JSON, release(1, "pending-install")), 409, &again)).await;

    // The objects of the chart: looked for, created, read back as a table for `helm status`.
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let web = format!("{deployments}/web");
    let labels = json!({"app.kubernetes.io/managed-by": "Helm"});
    let pod = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": pod});
    let metadata = json!({"name": "web", "namespace": "default", "labels": labels});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec});
    check(&client, Step { code: 404, ..get(&web, JSON, JSON, &[("/reason", "NotFound".into())]) }).await;
    let create = format!("{deployments}?fieldManager=helm");
    check(
        &client,
        send(("POST", &create), (JSON, deployment.clone()), 201, &[("/spec/strategy/type", "RollingUpdate".into())]),
    )
    .await;
    let named =
        format!("{deployments}?fieldSelector=metadata.name%3Dweb&resourceVersion=0&watch=true&timeoutSeconds=300");
    assert_eq!(events(&client, &named, JSON, 1).await, [("ADDED".to_owned(), "web".to_owned())]);
    check(&client, get(&web, TABLE, JSON, &[("/rows/0/cells/0", "web".into())])).await;
    // `helm install --wait` of Helm 4 asks by server-side apply; Helm 3 by a three-way strategic patch.
    let patch = json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "c"}],
        "containers": [{"name": "c", "image": "i:2"}]}}}});
    let has = [("/spec/template/spec/containers/0/image", "i:2".into()), ("/metadata/generation", 2.into())];
    check(&client, send(("PATCH", &format!("{web}?fieldManager=helm")), (STRATEGIC, patch), 200, &has)).await;
    let apply = format!("{web}?fieldManager=helm&fieldValidation=Strict&force=true");
    check(&client, send(("PATCH", &apply), (APPLY, deployment), 200, &[])).await;

    let mut superseded = release(1, "superseded");
    superseded["metadata"]["resourceVersion"] = Value::Null;
    check(&client, send(("PUT", &first), (JSON, superseded), 200, &[("/type", "helm.sh/release.v1".into())])).await;
    check(&client, send(("POST", secrets), (JSON, release(2, "deployed")), 201, &[])).await;
    let deployed = format!("{history}%2Cstatus%3Ddeployed");
    let has = [("/items/0/metadata/name", "sh.helm.release.v1.web.v2".into()), ("/items/1", Value::Null)];
    check(&client, get(&deployed, ANYTHING, JSON, &has)).await;

    let background = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
    check(&client, send(("DELETE", &web), (JSON, background), 200, &[("/status", "Success".into())])).await;
    for version in ["v1", "v2"] {
        let release = format!("{secrets}/sh.helm.release.v1.web.{version}");
        check(&client, send(("DELETE", &release), ("", Value::Null), 200, &[])).await;
    }
}

#[tokio::test]
async fn leaders_are_elected_and_events_told() {
    let (_cluster, client) = cluster().await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let spec = json!({"holderIdentity": "me", "leaseDurationSeconds": 15, "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:00.000000Z", "leaseTransitions": 0});
    let lease =
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "leader"}, "spec": spec});
    let typed = |step| Step { accept: TYPED, content_type: PROTOBUF, ..step };
    let mut held = check(&client, typed(send(("POST", leases), (PROTOBUF, lease), 201, &[]))).await;
    held["spec"]["renewTime"] = "2026-01-01T00:00:02.000000Z".into();
    let leader = format!("{leases}/leader");
    check(&client, typed(send(("PUT", &leader), (PROTOBUF, held.clone()), 200, &[]))).await;
    let conflict = [("/reason", "Conflict".into())];
    check(&client, typed(send(("PUT", &leader), (PROTOBUF, held), 409, &conflict))).await;

    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "web.1", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "web", "apiVersion": "v1"}, "reason": "Seen",
        "message": "hello", "source": {"component": "replay"}, "count": 1, "type": "Normal",
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "eventTime": null});
    let events = "/api/v1/namespaces/default/events";
    check(&client, typed(send(("POST", events), (PROTOBUF, event), 201, &[("/count", 1.into())]))).await;
    let again = json!({"count": 2, "lastTimestamp": "2026-01-01T00:00:01Z"});
    check(&client, send(("PATCH", &format!("{events}/web.1")), (STRATEGIC, again), 200, &[("/count", 2.into())])).await;
    let about = format!("{events}?fieldSelector=involvedObject.name%3Dweb%2CinvolvedObject.kind%3DPod");
    check(&client, get(&about, TYPED, PROTOBUF, &[("/items/0/reason", "Seen".into())])).await;
}
