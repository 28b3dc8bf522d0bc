//! Custom resource definitions, live: kinds come, change and go while the server runs.

use std::sync::Arc;

use coracle_core::{GroupResource, World};
use coracle_store::{Memory, Store};
use serde_json::{Value, json};

use crate::harness::{Answer, Cluster};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";
const JSON: (&str, &str) = ("content-type", "application/json");
const MERGE: (&str, &str) = ("content-type", "application/merge-patch+json");

async fn start() -> Cluster {
    over(Arc::new(Memory::default())).await
}

async fn over(store: Arc<dyn Store>) -> Cluster {
    let cluster = Cluster::over(store).await;
    let gateway = cluster.gateway.clone();
    tokio::spawn(async move { coracle_api::custom::run(&*gateway).await });
    cluster
}

/// Waits until the world is as wanted.
pub(crate) async fn until(cluster: &Cluster, wanted: impl Fn(&World) -> bool) {
    loop {
        let (world, mut changes) = cluster.gateway.feed().follow(None);
        if wanted(&world) {
            return;
        }
        changes.next(usize::MAX).await.unwrap();
    }
}

fn is_served(world: &World) -> bool {
    world.kinds().get("example.com", "v1", "widgets").is_some()
}

fn definition() -> Value {
    let spec = json!({
        "type": "object",
        "required": ["color"],
        "properties": {
            "color": {"type": "string", "enum": ["red", "blue"]},
            "size": {"type": "integer", "default": 3, "maximum": 10},
            "ports": {
                "type": "array",
                "items": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"}, "port": {"type": "integer"},
                }},
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        },
    });
    let status = json!({"type": "object", "properties": {"size": {"type": "integer"}}});
    let old = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [
                {
                    "name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
                    "subresources": {
                        "status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
                    },
                    "selectableFields": [{"jsonPath": ".spec.color"}],
                    "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                },
                {
                    "name": "v1beta1", "served": true, "storage": false, "deprecated": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": old}}},
                },
            ],
        },
    })
}

fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec})
}

async fn with_widgets() -> Cluster {
    let cluster = start().await;
    cluster.post(DEFINITIONS, &definition()).await;
    until(&cluster, is_served).await;
    cluster
}

fn message(answer: &Answer) -> String {
    answer.json()["message"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_kind_comes_with_its_definition() {
    let cluster = start().await;
    assert_eq!(cluster.get(WIDGETS).await.code, 404);
    cluster.post(DEFINITIONS, &definition()).await;
    until(&cluster, is_served).await;
    let definition = cluster.get(&format!("{DEFINITIONS}/widgets.example.com")).await.json();
    assert_eq!(definition["status"]["acceptedNames"]["listKind"], "WidgetList");
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
    let discovery = cluster.get("/apis/example.com/v1").await.json();
    assert_eq!(discovery["resources"][0]["shortNames"], json!(["wd"]));
    assert_eq!(discovery["resources"][1]["name"], "widgets/status");

    let created = cluster.post(WIDGETS, &widget("a", json!({"color": "red", "what": 1}))).await;
    assert_eq!(created["spec"], json!({"color": "red", "size": 3}));
    assert_eq!(created["metadata"]["generation"], 1);
    assert_eq!(cluster.get(WIDGETS).await.names(), ["a"]);
}

#[tokio::test]
async fn bad_objects_are_refused_in_upstreams_words() {
    let cluster = with_widgets().await;
    for (spec, why) in [
        (json!({}), "spec.color: Required value"),
        (
            json!({"color": "green", "size": "big"}),
            "[spec.color: Unsupported value: \"green\": supported values: \"red\", \"blue\", spec.size: Invalid value: \"string\": \
             spec.size in body must be of type integer: \"string\"]",
        ),
        (
            json!({"color": "red", "size": 11}),
            "spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10",
        ),
        (
            json!({"color": "red", "ports": [{"name": "a"}, {"name": "a"}]}),
            "spec.ports[1]: Duplicate value: {\"name\":\"a\"}",
        ),
    ] {
        let answer = cluster.ask("POST", WIDGETS, &[JSON], &widget("a", spec).to_string()).await;
        assert_eq!(answer.code, 422);
        assert_eq!(message(&answer), format!("Widget.example.com \"a\" is invalid: {why}"));
    }
    let strict = format!("{WIDGETS}?fieldValidation=Strict");
    let unknown = widget("a", json!({"color": "red", "what": 1})).to_string();
    let answer = cluster.ask("POST", &strict, &[JSON], &unknown).await;
    assert_eq!(answer.code, 400);
    assert!(message(&answer).ends_with("strict decoding error: unknown field \"spec.what\""), "{}", message(&answer));
}

#[tokio::test]
async fn status_and_scale_are_apart() {
    let cluster = with_widgets().await;
    let mut object = widget("a", json!({"color": "red"}));
    object["status"] = json!({"size": 9});
    assert_eq!(cluster.post(WIDGETS, &object).await.get("status"), None);
    let (one, status, scale) = (format!("{WIDGETS}/a"), format!("{WIDGETS}/a/status"), format!("{WIDGETS}/a/scale"));
    let patch = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"size": 7}, "status": {"size": 2}}).to_string();
    let answer = cluster.ask("PATCH", &status, &[MERGE], &patch).await.json();
    assert_eq!((&answer["spec"]["size"], &answer["status"]["size"]), (&json!(3), &json!(2)));
    assert_eq!((&answer["metadata"]["generation"], &answer["metadata"]["labels"]), (&json!(1), &Value::Null));
    let answer = cluster.get(&scale).await.json();
    assert_eq!((&answer["spec"]["replicas"], &answer["status"]["replicas"]), (&json!(3), &json!(2)));
    let answer = cluster.ask("PATCH", &scale, &[MERGE], r#"{"spec":{"replicas":5}}"#).await;
    assert_eq!(answer.code, 200, "{}", answer.json());
    let answer = cluster.get(&one).await.json();
    assert_eq!((&answer["spec"]["size"], &answer["metadata"]["generation"]), (&json!(5), &json!(2)));
    let answer = cluster.ask("PATCH", &one, &[("content-type", "application/strategic-merge-patch+json")], "{}").await;
    assert_eq!(answer.code, 415);
}

#[tokio::test]
async fn lists_are_selected_and_printed() {
    let cluster = with_widgets().await;
    for (name, color) in [("a", "red"), ("b", "blue")] {
        cluster.post(WIDGETS, &widget(name, json!({"color": color}))).await;
    }
    assert_eq!(cluster.get(&format!("{WIDGETS}?fieldSelector=spec.color%3Dblue")).await.names(), ["b"]);
    assert_eq!(cluster.get(&format!("{WIDGETS}?fieldSelector=spec.size%3D3")).await.code, 400);
    let accept = ("accept", "application/json;as=Table;g=meta.k8s.io;v=v1");
    let table = cluster.ask("GET", WIDGETS, &[accept], "").await.json();
    assert_eq!(table["columnDefinitions"][1]["name"], "Size");
    assert_eq!(table["rows"][1]["cells"], json!(["b", 3]));
    let old = cluster.get("/apis/example.com/v1beta1/namespaces/default/widgets/a").await;
    assert_eq!(old.headers["warning"], "299 - \"example.com/v1beta1 Widget is deprecated\"");
    assert_eq!(old.json()["apiVersion"], "example.com/v1beta1");
}

#[tokio::test]
async fn keyed_lists_merge_when_applied() {
    let cluster = with_widgets().await;
    let apply = ("content-type", "application/apply-patch+yaml");
    for (manager, port) in [("one", json!({"name": "a", "port": 1})), ("two", json!({"name": "b", "port": 2}))] {
        let body = widget("a", json!({"color": "red", "ports": [port]})).to_string();
        let target = format!("{WIDGETS}/a?fieldManager={manager}");
        let answer = cluster.ask("PATCH", &target, &[apply], &body).await;
        assert!(answer.code < 300, "{}", answer.json());
    }
    let ports = cluster.get(&format!("{WIDGETS}/a")).await.json()["spec"]["ports"].clone();
    assert_eq!(ports, json!([{"name": "a", "port": 1}, {"name": "b", "port": 2}]));
}

#[tokio::test]
async fn a_definition_may_change_under_its_objects() {
    let cluster = with_widgets().await;
    cluster.post(WIDGETS, &widget("a", json!({"color": "red", "size": 9}))).await;
    for _ in 0..2 {
        // The second time it is known to be whole as it is kept.
        let kept = cluster.get(&format!("{WIDGETS}/a")).await.json();
        assert_eq!(kept["spec"], json!({"color": "red", "size": 9}));
        assert_eq!(kept["metadata"]["resourceVersion"], cluster.revision().to_string());
    }
    let mut changed = cluster.get(&format!("{DEFINITIONS}/widgets.example.com")).await.json();
    let properties = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let properties = changed.pointer_mut(properties).unwrap();
    properties["size"]["maximum"] = json!(5);
    properties["shape"] = json!({"type": "string", "default": "round"});
    let target = format!("{DEFINITIONS}/widgets.example.com");
    let answer = cluster.ask("PUT", &target, &[JSON], &changed.to_string()).await;
    assert_eq!((answer.code, &answer.json()["metadata"]["generation"]), (200, &json!(2)));
    // The new default is read without being written; what is out of bounds now may stay as it is.
    let one = format!("{WIDGETS}/a");
    assert_eq!(cluster.get(&one).await.json()["spec"]["shape"], "round");
    let answer = cluster.ask("PATCH", &one, &[MERGE], r#"{"spec":{"color":"blue"}}"#).await;
    assert_eq!(answer.code, 200, "{}", answer.json());
    let answer = cluster.ask("PATCH", &one, &[MERGE], r#"{"spec":{"size":8}}"#).await;
    assert_eq!(answer.code, 422);
    changed["spec"]["scope"] = json!("Cluster");
    changed["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let answer = cluster.ask("PUT", &target, &[JSON], &changed.to_string()).await;
    assert!(
        message(&answer).contains("spec.scope: Invalid value: \"Cluster\": field is immutable"),
        "{}",
        message(&answer)
    );
}

#[tokio::test]
async fn a_kind_goes_with_its_definition_and_its_objects() {
    let cluster = with_widgets().await;
    let mut held = widget("held", json!({"color": "red"}));
    held["metadata"]["finalizers"] = json!(["holds"]);
    cluster.post(WIDGETS, &held).await;
    cluster.post(WIDGETS, &widget("free", json!({"color": "red"}))).await;
    let target = format!("{DEFINITIONS}/widgets.example.com");
    assert_eq!(cluster.ask("DELETE", &target, &[], "").await.code, 200);
    let widgets = GroupResource::new("example.com", "widgets");
    until(&cluster, |world| world.objects(&widgets).count() == 1).await;
    let answer = cluster.ask("POST", WIDGETS, &[JSON], &widget("new", json!({"color": "red"})).to_string()).await;
    assert_eq!(answer.code, 405);
    assert_eq!(message(&answer), "create not allowed while custom resource definition is terminating");
    let released = r#"{"metadata":{"finalizers":null}}"#;
    cluster.ask("PATCH", &format!("{WIDGETS}/held"), &[MERGE], released).await;
    until(&cluster, |world| !is_served(world)).await;
    assert_eq!(cluster.get(&target).await.code, 404);
    assert_eq!(cluster.get("/apis/example.com/v1").await.code, 404);
}

#[tokio::test]
async fn kinds_are_there_again_after_a_restart() {
    let store: Arc<dyn Store> = Arc::new(Memory::default());
    let cluster = over(store.clone()).await;
    cluster.post(DEFINITIONS, &definition()).await;
    until(&cluster, is_served).await;
    cluster.post(WIDGETS, &widget("a", json!({"color": "red"}))).await;
    let again = over(store).await;
    assert_eq!(again.get(WIDGETS).await.names(), ["a"]);
    // Open documents follow the kinds.
    let row = again.gateway.feed().world().kinds().get("example.com", "v1", "widgets").cloned().unwrap();
    let document = coracle_api::openapi::OpenApi::new(again.gateway.feed().world().kinds().clone());
    let document: Value = serde_json::from_slice(&document.v3("apis/example.com/v1").unwrap().bytes).unwrap();
    let described = &document["components"]["schemas"][&*row.definition]["properties"]["spec"]["properties"];
    assert_eq!(described["size"]["maximum"], json!(10.0));
}

#[tokio::test]
async fn rules_are_enforced() {
    let cluster = start().await;
    let mut definition = definition();
    let spec = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap();
    spec["x-kubernetes-validations"] = json!([{"rule": "self.size > 0", "message": "must have a size"}]);
    let mut wrong = definition.clone();
    wrong.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations/0").unwrap()
        ["rule"] = json!("self.sise > 0");
    let answer = cluster.ask("POST", DEFINITIONS, &[JSON], &wrong.to_string()).await;
    assert_eq!(answer.code, 422);
    assert!(
        message(&answer).contains("compilation failed: ERROR: <input>:1:5: undefined field 'sise'"),
        "{}",
        message(&answer)
    );
    let answer = cluster.ask("POST", DEFINITIONS, &[JSON], &definition.to_string()).await;
    assert_eq!(answer.code, 201);
    assert!(!answer.headers.contains_key("warning"));
    until(&cluster, is_served).await;
    let answer =
        cluster.ask("POST", WIDGETS, &[JSON], &widget("a", json!({"color": "red", "size": 0})).to_string()).await;
    assert_eq!(answer.code, 422);
    assert!(message(&answer).ends_with("spec: Invalid value: \"object\": must have a size"), "{}", message(&answer));
    let answer =
        cluster.ask("POST", WIDGETS, &[JSON], &widget("a", json!({"color": "red", "size": 1})).to_string()).await;
    assert_eq!(answer.code, 201);
}
