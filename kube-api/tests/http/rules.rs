//! Every rule of the manifests beside the repository, in each version of each definition, and every validation of their policies:
//! something that it accepts and something that it refuses. One without such a pair fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::custom::until;
use crate::harness::Cluster;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const JSON: (&str, &str) = ("content-type", "application/json");

fn manifests(kinds: &[&str]) -> Vec<Value> {
    let mut found = Vec::new();
    crate::manifests::files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/manifests"), &mut found);
    found.sort();
    let read = |path: PathBuf| -> Vec<Value> {
        serde_saphyr::from_multiple(&std::fs::read_to_string(&path).unwrap()).unwrap()
    };
    let documents = found.into_iter().flat_map(read);
    documents.filter(|document| kinds.iter().any(|kind| document["kind"] == *kind)).collect()
}

/// Every place of a schema that has rules, with the messages of its rules.
fn places(schema: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    if schema["x-kubernetes-validations"].is_array() {
        found.push((path.to_owned(), schema.clone()));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        places(property, &format!("{path}.{name}"), found);
    }
    for (part, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[part].is_object() {
            places(&schema[part], &format!("{path}{mark}"), found);
        }
    }
}

/// The beginning of a message, a good value and a bad one.
type Pair = (String, Value, Value);

fn pairs() -> Vec<Pair> {
    let many = format!("[{}]", vec!["{}"; 64].join(", "));
    let text = include_str!("rules.yaml").replace("LONG", &"a".repeat(254)).replace("MANY", &many);
    serde_saphyr::from_str(&text).unwrap()
}

/// Rules that are never asked about what they refuse, because the schema beside them refuses it first.
const SHADOWED: [(&str, &str); 1] = [("type must be one of", "Unsupported value: \"Regex\"")];

/// A definition whose objects have such a value.
fn definition(plural: &str, schema: &Value) -> Value {
    let schema = json!({"type": "object", "properties": {"value": schema}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.test.io")},
        "spec": {
            "group": "test.io", "scope": "Cluster", "names": {"plural": plural, "kind": plural},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

#[tokio::test]
async fn each_rule_accepts_and_refuses() {
    let (cluster, pairs) = (Cluster::start().await, pairs());
    let gateway = cluster.gateway.clone();
    tokio::spawn(async move { coracle_api::custom::run(&*gateway).await });
    let definitions = manifests(&["CustomResourceDefinition"]);
    let mut found = Vec::new();
    for (crd, version) in definitions
        .iter()
        .flat_map(|crd| crd["spec"]["versions"].as_array().unwrap().iter().map(move |version| (crd, version)))
    {
        let name = format!("{} {}", crd["metadata"]["name"], version["name"]);
        places(&version["schema"]["openAPIV3Schema"], &name, &mut found);
    }
    // The same place of another version, or under another path, has the same answers.
    let mut distinct: BTreeMap<String, (&str, &Value, usize)> = BTreeMap::new();
    for (path, schema) in &found {
        distinct.entry(schema.to_string()).or_insert((path, schema, 0)).2 += 1;
    }
    let (mut used, mut checked) = (BTreeSet::new(), 0);
    for (index, (path, schema, times)) in distinct.into_values().enumerate() {
        let plural = format!("n{index}s");
        cluster.post(DEFINITIONS, &definition(&plural, schema)).await;
        until(&cluster, |world| world.kinds().get("test.io", "v1", &plural).is_some()).await;
        let collection = format!("/apis/test.io/v1/{plural}");
        for (rule_index, rule) in schema["x-kubernetes-validations"].as_array().unwrap().iter().enumerate() {
            let message = rule["message"].as_str().unwrap();
            let known: Vec<_> = pairs.iter().filter(|(begins, ..)| message.starts_with(begins.as_str())).collect();
            let [(begins, good, bad)] = known[..] else { panic!("{} pairs for {message:?} at {path}", known.len()) };
            let object = |value: &Value| {
                let metadata = json!({"name": format!("o{rule_index}")});
                json!({"apiVersion": "test.io/v1", "kind": plural, "metadata": metadata, "value": value}).to_string()
            };
            let created = cluster.ask("POST", &collection, &[JSON], object(good)).await;
            assert_eq!(created.code, 201, "{message} at {path}: {}", created.json());
            let one = format!("{collection}/o{rule_index}");
            let mut changed: Value = serde_json::from_str(&object(bad)).unwrap();
            changed["metadata"]["resourceVersion"] = created.json()["metadata"]["resourceVersion"].take();
            let refused = cluster.ask("PUT", &one, &[JSON], changed.to_string()).await;
            let told = refused.json()["message"].as_str().unwrap_or_default().to_owned();
            let shadow = SHADOWED.iter().find(|(begins, _)| message.starts_with(begins));
            let wanted = shadow.map_or(message, |(_, wanted)| wanted);
            assert!(refused.code == 422 && told.contains(wanted), "{message} at {path}: {} {told}", refused.code);
            used.insert(begins.as_str());
            checked += times;
        }
    }
    let rules = found.iter().map(|(_, schema)| schema["x-kubernetes-validations"].as_array().unwrap().len());
    assert_eq!(checked, rules.sum::<usize>());
    let unused = pairs.iter().map(|(begins, ..)| begins.as_str()).filter(|begins| !used.contains(begins));
    let unused: Vec<_> = unused.filter(|_| !found.is_empty()).collect();
    assert!(unused.is_empty(), "pairs of no rule: {unused:?}");
}

const CLASSES: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gatewayclasses.gateway.networking.k8s.io";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/web";

/// A policy, which of its validations, an object, a change of it that is good, and one that is not.
const POLICIES: [(&str, usize, &str, &str, &str); 3] = [
    ("demo-policy.example.com", 0, DEPLOYMENT, r#"{"spec": {"replicas": 5}}"#, r#"{"spec": {"replicas": 6}}"#),
    (
        "safe-upgrades.gateway.networking.k8s.io",
        0,
        CLASSES,
        r#"{"metadata": {"labels": {"a": "b"}}}"#,
        r#"{"metadata": {"annotations": {"gateway.networking.k8s.io/channel": "experimental"}}}"#,
    ),
    (
        "safe-upgrades.gateway.networking.k8s.io",
        1,
        CLASSES,
        r#"{"metadata": {"annotations": {"gateway.networking.k8s.io/bundle-version": "v1.7.0"}}}"#,
        r#"{"metadata": {"annotations": {"gateway.networking.k8s.io/bundle-version": "v0.0.0-dev"}}}"#,
    ),
];

#[tokio::test]
async fn each_policy_accepts_and_refuses() {
    const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";
    let cluster = Cluster::admitting().await;
    let policies = manifests(&["ValidatingAdmissionPolicy"]);
    if policies.is_empty() {
        return;
    }
    for crd in manifests(&["CustomResourceDefinition"]) {
        cluster.post(DEFINITIONS, &crd).await;
    }
    cluster.label("/api/v1/namespaces/default", "environment", Some("test")).await;
    let labels = json!({"a": "b"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"selector": {"matchLabels": labels}, "template": template});
    let deployment = json!({"metadata": {"name": "web"}, "spec": spec});
    cluster.post("/apis/apps/v1/namespaces/default/deployments", &deployment).await;
    for policy in &policies {
        cluster.post(&format!("{ADMISSION}/validatingadmissionpolicies"), policy).await;
    }
    for binding in manifests(&["ValidatingAdmissionPolicyBinding"]) {
        cluster.post(&format!("{ADMISSION}/validatingadmissionpolicybindings"), &binding).await;
    }
    let mut count = 0;
    for policy in &policies {
        let name = policy["metadata"]["name"].as_str().unwrap();
        for (index, validation) in policy["spec"]["validations"].as_array().unwrap().iter().enumerate() {
            let row = POLICIES.iter().find(|row| row.0 == name && row.1 == index);
            let (_, _, path, good, bad) = row.unwrap_or_else(|| panic!("no pair for {name} {index}"));
            let patch = async |body: &str| {
                cluster.ask("PATCH", path, &[("content-type", "application/merge-patch+json")], body).await
            };
            let accepted = patch(good).await;
            assert_eq!(accepted.code, 200, "{}", accepted.json());
            let refused = patch(bad).await;
            let told = refused.json()["message"].as_str().unwrap_or_default().to_owned();
            let message = validation["message"].as_str().unwrap_or_else(|| validation["expression"].as_str().unwrap());
            assert!(refused.code == 422 && told.contains(message), "{} {told}", refused.code);
            count += 1;
        }
    }
    assert_eq!(count, POLICIES.len());
}
