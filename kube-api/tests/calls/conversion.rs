//! Conversion webhooks.

use expect_test::{Expect, expect};
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::cluster::{Cluster, rules};
use crate::hooks::{Asked, Hooks, Reply, allow};

/// `v1` has `host` and `port`, `v2` has them in one.
fn definition(hooks: &Hooks, storage: &str) -> Value {
    let version = |name: &str, fields: Value| {
        let spec = json!({"type": "object", "properties": fields});
        let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
        json!({"name": name, "served": true, "storage": name == storage, "schema": schema, "subresources": {"status": {}}})
    };
    let text = json!({"type": "string"});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "sites.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "sites", "kind": "Site"},
            "versions": [
                version("v1", json!({"host": text, "port": {"type": "string", "default": "80"}})),
                version("v2", json!({"hostPort": text})),
            ],
            "conversion": {"strategy": "Webhook", "webhook": {
                "conversionReviewVersions": ["v1"],
                "clientConfig": {"service": {"namespace": "default", "name": "hook", "port": hooks.address.port(), "path": "/convert"}, "caBundle": hooks.bundle()},
            }},
        },
    })
}

/// What a good webhook makes of an object.
fn converted(object: &Value, wanted: &str) -> Value {
    let mut new = object.clone();
    new["apiVersion"] = wanted.into();
    let text = |name: &str| object["spec"][name].as_str().unwrap_or("").to_owned();
    new["spec"] = match wanted {
        "example.com/v2" => json!({"hostPort": format!("{}:{}", text("host"), text("port"))}),
        _ => {
            let both = text("hostPort");
            let (host, port) = both.split_once(':').unwrap_or((&both, "80"));
            json!({"host": host, "port": port})
        }
    };
    new
}

fn convert(asked: &Value, change: impl Fn(&mut Value)) -> Reply {
    let request = &asked["request"];
    let wanted = request["desiredAPIVersion"].as_str().unwrap();
    let objects = request["objects"].as_array().unwrap().iter().map(|object| converted(object, wanted));
    let mut objects: Value = objects.collect();
    change(&mut objects);
    let response = json!({"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": objects});
    Reply::Json(json!({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": response}))
}

fn site(version: &str, name: &str, spec: Value) -> String {
    let kind = json!({"apiVersion": format!("example.com/{version}"), "kind": "Site", "metadata": {"name": name}, "spec": spec});
    kind.to_string()
}

const V1: &str = "/apis/example.com/v1/namespaces/default/sites";
const V2: &str = "/apis/example.com/v2/namespaces/default/sites";

/// A cluster that serves sites, kept as `v1`.
async fn cluster(hooks: &Hooks) -> Cluster {
    let cluster = Cluster::start().await;
    cluster.service().await;
    cluster.create(&definition(hooks, "v1").to_string()).await.good();
    while cluster.ask("GET", V1, "").await.code != 200 {
        tokio::task::yield_now().await;
    }
    cluster
}

#[tokio::test]
async fn every_version_reads_and_writes_every_object() {
    let hooks = Hooks::start(|asked| match asked.path.starts_with("/convert") {
        true => convert(&asked.body, |_| ()),
        false => Reply::Json(allow(&asked.body, json!({}))),
    })
    .await;
    let cluster = cluster(&hooks).await;
    cluster.ask("POST", V1, &site("v1", "a", json!({"host": "a.com"}))).await.good();
    assert_eq!(hooks.take().len(), 0, "the version that is kept needs no webhook");
    let created = cluster.ask("POST", V2, &site("v2", "b", json!({"hostPort": "b.com:81"}))).await.good();
    assert_eq!(
        (&created["apiVersion"], &created["spec"]),
        (&json!("example.com/v2"), &json!({"hostPort": "b.com:81"}))
    );
    assert_eq!(cluster.ask("GET", &format!("{V1}/b"), "").await.good()["spec"], json!({"host": "b.com", "port": "81"}));
    hooks.take();
    let list = cluster.ask("GET", V2, "").await.good();
    let specs: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|item| &item["spec"]["hostPort"]).collect();
    assert_eq!(specs, ["a.com:80", "b.com:81"]);
    let asked = hooks.take();
    assert_eq!(asked.len(), 1, "a list in one call");
    assert_eq!((&*asked[0].path, &asked[0].body["kind"]), ("/convert?timeout=30s", &json!("ConversionReview")));
    let request = &asked[0].body["request"];
    assert_eq!(
        (&request["desiredAPIVersion"], request["objects"].as_array().unwrap().len()),
        (&json!("example.com/v2"), 2)
    );
    let patched = cluster.ask("PATCH", &format!("{V2}/a"), r#"{"spec": {"hostPort": "a.org:82"}}"#).await.good();
    assert_eq!((&patched["spec"]["hostPort"], &patched["metadata"]["generation"]), (&json!("a.org:82"), &json!(2)));
    let read = cluster.ask("GET", &format!("{V1}/a"), "").await.good();
    assert_eq!((&read["spec"], &read["metadata"]["generation"]), (&json!({"host": "a.org", "port": "82"}), &json!(2)));
    cluster.ask("PATCH", &format!("{V2}/a/status"), r#"{"status": {"ready": true}}"#).await.good();
    // Webhooks that want another version than the one asked get it.
    cluster.configure("Validating", "x", &hooks, &[&rules("[UPDATE]", "example.com", "v1", "[sites]")]).await.good();
    hooks.take();
    cluster.ask("PATCH", &format!("{V2}/a"), r#"{"metadata": {"labels": {"a": "b"}}}"#).await.good();
    let asked = hooks.take().into_iter().find(|asked| asked.path.starts_with("/x")).unwrap();
    assert_eq!(asked.body["request"]["object"]["spec"], json!({"host": "a.org", "port": "82"}));
    assert_eq!(asked.body["request"]["oldObject"]["spec"], json!({"host": "a.org", "port": "82"}));
    cluster.ask("DELETE", &format!("{V2}/a"), "").await.good();
}

#[tokio::test]
async fn a_watch_is_in_the_version_it_asks_for() {
    let hooks = Hooks::start(|asked| convert(&asked.body, |_| ())).await;
    let cluster = cluster(&hooks).await;
    cluster.ask("POST", V1, &site("v1", "a", json!({"host": "a.com"}))).await.good();
    let response = cluster
        .send(
            "GET",
            &format!("{V2}?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"),
            &[],
            "",
        )
        .await;
    let mut lines = response.into_body().into_data_stream();
    let mut next = async || -> Value { serde_json::from_slice(&lines.next().await.unwrap().unwrap()).unwrap() };
    let first = next().await;
    assert_eq!((&first["type"], &first["object"]["spec"]["hostPort"]), (&json!("ADDED"), &json!("a.com:80")));
    let mark = next().await;
    assert_eq!(
        (&mark["type"], &mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"]),
        (&json!("BOOKMARK"), &json!("true"))
    );
    cluster.ask("PATCH", &format!("{V1}/a"), r#"{"spec": {"port": "90"}}"#).await.good();
    let second = next().await;
    assert_eq!((&second["type"], &second["object"]["spec"]["hostPort"]), (&json!("MODIFIED"), &json!("a.com:90")));
}

#[tokio::test]
async fn a_new_storage_version_moves_objects_as_they_are_written() {
    let hooks = Hooks::start(|asked| convert(&asked.body, |_| ())).await;
    let cluster = cluster(&hooks).await;
    cluster.ask("POST", V1, &site("v1", "a", json!({"host": "a.com"}))).await.good();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/sites.example.com";
    let versions = definition(&hooks, "v2")["spec"]["versions"].clone();
    let changed = cluster.ask("PATCH", path, &json!({"spec": {"versions": versions}}).to_string()).await.good();
    assert_eq!(changed["status"]["storedVersions"], json!(["v1", "v2"]));
    let kept = |cluster: &Cluster| {
        let world = cluster.gateway.feed().world();
        let sites = coracle_core::GroupResource::new("example.com", "sites");
        let object = world.objects(&sites).next().unwrap().clone();
        serde_json::from_slice::<Value>(object.stored()).unwrap()["apiVersion"].clone()
    };
    assert_eq!(kept(&cluster), "example.com/v1");
    assert_eq!(cluster.ask("GET", &format!("{V2}/a"), "").await.good()["spec"]["hostPort"], "a.com:80");
    // A write that changes nothing still renews what is kept: this is how migration works.
    let now = cluster.ask("GET", &format!("{V1}/a"), "").await.good();
    let written = cluster.ask("PUT", &format!("{V1}/a"), &now.to_string()).await.good();
    assert_ne!(written["metadata"]["resourceVersion"], now["metadata"]["resourceVersion"]);
    assert_eq!(kept(&cluster), "example.com/v2");
    let again = cluster.ask("PUT", &format!("{V1}/a"), &written.to_string()).await.good();
    assert_eq!(written["metadata"]["resourceVersion"], again["metadata"]["resourceVersion"]);
    let refused = cluster.ask("PATCH", &format!("{path}/status"), r#"{"status": {"storedVersions": ["v1"]}}"#).await;
    assert_eq!(refused.code, 422);
    cluster.ask("PATCH", &format!("{path}/status"), r#"{"status": {"storedVersions": ["v2"]}}"#).await.good();
}

/// Reads an object in another version while the webhook answers like this.
async fn check(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static, expected: Expect) {
    let hooks = Hooks::start(answer).await;
    let cluster = cluster(&hooks).await;
    cluster.ask("POST", V1, &site("v1", "a", json!({"host": "a.com"}))).await.good();
    let (code, message) = cluster.ask("GET", &format!("{V2}/a"), "").await.refused();
    let uid = hooks.take().first().map(|asked| asked.body["request"]["uid"].as_str().unwrap_or("?").to_owned());
    expected.assert_eq(&format!("{code} {}", message.replace(&uid.unwrap_or_else(|| "?".to_owned()), "UID")));
}

#[tokio::test]
async fn lies_and_failures() {
    check(|_| Reply::Raw(404, String::new(), None), expect![[r#"500 conversion webhook for example.com/v1, Kind=Site failed: the server could not find the requested resource"#]]).await;
    check(|asked| convert(&asked.body, |objects| objects[0]["apiVersion"] = "example.com/v3".into()), expect![[r#"500 conversion webhook for example.com/v1, Kind=Site returned invalid converted object at index 0: invalid groupVersion (expected example.com/v2, received example.com/v3)"#]]).await;
    check(|asked| convert(&asked.body, |objects| objects[0]["kind"] = "Shop".into()), expect![[r#"500 conversion webhook for example.com/v1, Kind=Site returned invalid converted object at index 0: invalid kind (expected Site, received Shop)"#]]).await;
    check(|asked| convert(&asked.body, |objects| objects[0]["metadata"]["name"] = "b".into()), expect![[r#"500 conversion webhook for example.com/v1, Kind=Site returned invalid converted object at index 0: must have the same name: a != b"#]]).await;
    check(|asked| convert(&asked.body, |objects| objects[0]["metadata"] = Value::Null), expect!["500 conversion webhook for example.com/v1, Kind=Site returned invalid converted object at index 0: must have the same name: a != "]).await;
    check(
        |asked| convert(&asked.body, |objects| *objects = json!([])),
        expect![[r#"500 conversion webhook for example.com/v1, Kind=Site returned 0 objects, expected 1"#]],
    )
    .await;
    let failing = |asked: &Asked| {
        let response =
            json!({"uid": asked.body["request"]["uid"], "result": {"status": "Failure", "message": "no idea"}});
        Reply::Json(json!({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": response}))
    };
    check(failing, expect![[r#"500 conversion webhook for example.com/v1, Kind=Site failed: no idea"#]]).await;
    let other = |_: &Asked| {
        Reply::Json(
            json!({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": {"uid": "x"}}),
        )
    };
    check(
        other,
        expect![[
            r#"500 conversion webhook for example.com/v1, Kind=Site failed: expected response.uid="UID", got "x""#
        ]],
    )
    .await;
}
