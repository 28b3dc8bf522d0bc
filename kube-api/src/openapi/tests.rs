use std::collections::BTreeSet;

use coracle_core::Kinds;
use serde_json::Value;

use super::*;

fn json(document: &Document) -> Value {
    serde_json::from_slice(&document.bytes).unwrap()
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" => drop(found.insert(target.clone())),
                    _ => references(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn check_references(document: &Value) {
    let mut found = BTreeSet::new();
    references(document, &mut found);
    assert!(!found.is_empty());
    for target in found {
        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target} leads nowhere");
    }
}

#[test]
fn every_group_version_is_described_and_every_reference_resolves() {
    let open_api = OpenApi::new(Kinds::builtin());
    let index = json(&open_api.v3_index());
    for kind in Kinds::builtin().iter() {
        let path = if kind.group.is_empty() { "api" } else { "apis" };
        let path = format!("{path}/{}", kind.api_version());
        let document = open_api.v3(&path).unwrap();
        let url = index["paths"][&path]["serverRelativeURL"].as_str().unwrap();
        assert_eq!(url, format!("/openapi/v3/{path}?hash={}", document.hash));
        let gvk = serde_json::json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
        let document = json(&document);
        let definition = &document["components"]["schemas"][&*kind.definition];
        let known = definition["x-kubernetes-group-version-kind"].as_array();
        assert!(known.is_some_and(|known| known.contains(&gvk)), "{path} {}", kind.kind);
    }
    for path in index["paths"].as_object().unwrap().keys() {
        check_references(&json(&open_api.v3(path).unwrap()));
    }
    assert!(open_api.v3("apis/nothing/v1").is_none());
}

#[test]
fn operation_ids_are_unique() {
    let document = json(&OpenApi::new(Kinds::builtin()).v2());
    let mut seen = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters") {
            let id = operation["operationId"].as_str().unwrap();
            assert!(seen.insert(id.to_owned()), "{method} {path}: {id}");
        }
    }
    for id in [
        "listCoreV1NamespacedPod",
        "listCoreV1PodForAllNamespaces",
        "deleteCoreV1CollectionNamespacedPod",
        "replaceAppsV1NamespacedDeploymentScale",
        "connectCoreV1GetNamespacedPodExec",
        "readRbacAuthorizationV1ClusterRole",
    ] {
        assert!(seen.contains(id), "{id}");
    }
    check_references(&document);
}

/// What `kubectl apply` looks for before it merges on its own side, and before it trusts the server's validation.
#[test]
fn kubectl_finds_what_it_needs_to_apply() {
    let document = json(&OpenApi::new(Kinds::builtin()).v3("apis/apps/v1").unwrap());
    let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
    assert!(patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object());
    let parameters = patch["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
    let containers = &document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["x-kubernetes-list-map-keys"], serde_json::json!(["name"]));
    assert!(containers["description"].as_str().unwrap().contains("List of containers"));
    assert_eq!(containers["items"]["$ref"], "#/components/schemas/io.k8s.api.core.v1.Container");
}

#[test]
fn custom_kinds_are_described_by_their_schema() {
    let mut kind = Kinds::builtin().get("", "v1", "configmaps").unwrap().as_ref().clone();
    (kind.group, kind.kind, kind.plural) = ("e.com".into(), "Website".into(), "websites".into());
    kind.definition = "com.e.v1.Website".into();
    let schema = serde_json::json!({"type": "object", "properties": {"spec": {"type": "object"}}});
    let kinds = Kinds::default().with(kind.clone());
    let open = json(&OpenApi::new(kinds.clone()).v3("apis/e.com/v1").unwrap());
    let described = json(&OpenApi::new(kinds).with_schema(&kind, schema).v3("apis/e.com/v1").unwrap());
    check_references(&open);
    check_references(&described);
    let website = "/components/schemas/com.e.v1.Website";
    assert_eq!(open.pointer(website).unwrap()["x-kubernetes-preserve-unknown-fields"], true);
    assert_eq!(described.pointer(website).unwrap()["properties"]["spec"]["type"], "object");
    assert_eq!(described.pointer(website).unwrap()["x-kubernetes-group-version-kind"][0]["kind"], "Website");
    let patch = &described["paths"]["/apis/e.com/v1/namespaces/{namespace}/websites/{name}"]["patch"];
    assert!(patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_null());
}

#[test]
fn the_same_kinds_give_the_same_hash() {
    let hash = || OpenApi::new(Kinds::builtin()).v3("apis/batch/v1").unwrap().hash;
    assert_eq!(hash(), hash());
    assert_ne!(hash(), OpenApi::new(Kinds::builtin()).v3("apis/apps/v1").unwrap().hash);
}
