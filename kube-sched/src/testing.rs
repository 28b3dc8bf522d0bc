//! Nodes and pods from one line of text, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Map, Value, json};

/// `"n1 cpu=4 memory=8Gi pods=10 zone:a taint:key=value:NoSchedule closed image:web:1=100"`: resources, labels, and the rest.
/// Without resources: 4 cpu, 32Gi, 110 pods. Every node has its name as `kubernetes.io/hostname`.
pub(crate) fn node(text: &str) -> Arc<Node> {
    let (name, words) = name_and_words(text);
    let mut labels = BTreeMap::from([("kubernetes.io/hostname".to_owned(), name.to_owned())]);
    let mut allocatable = Map::from_iter(
        [("cpu", "4"), ("memory", "32Gi"), ("pods", "110")].map(|(name, amount)| (name.to_owned(), json!(amount))),
    );
    let (mut taints, mut images, mut closed) = (Vec::new(), Vec::new(), false);
    for word in words {
        if word == "closed" {
            closed = true;
        } else if let Some(taint) = word.strip_prefix("taint:") {
            let (key_value, effect) = taint.rsplit_once(':').unwrap();
            let (key, value) = key_value.split_once('=').unwrap_or((key_value, ""));
            taints.push(json!({"key": key, "value": value, "effect": effect}));
        } else if let Some(image) = word.strip_prefix("image:") {
            let (name, megabytes) = image.split_once('=').unwrap();
            images.push(json!({"names": [name], "sizeBytes": megabytes.parse::<i64>().unwrap() * 1024 * 1024}));
        } else if let Some((resource, amount)) = word.split_once('=') {
            allocatable.insert(resource.to_owned(), json!(amount));
        } else {
            let (key, value) = word.split_once(':').unwrap();
            labels.insert(key.to_owned(), value.to_owned());
        }
    }
    let node = json!({
        "metadata": {"name": name, "labels": labels}, "spec": {"taints": taints, "unschedulable": closed},
        "status": {"allocatable": allocatable, "images": images},
    });
    Arc::new(serde_json::from_value(node).unwrap())
}

/// `"p1 cpu=1 memory=1Gi app:web on=n1 priority=3 port=80 image=web:1 phase=Failed nominated=n2"`, and more of the spec as JSON.
pub(crate) fn pod_with(text: &str, spec: Value) -> Arc<Pod> {
    let (name, words) = name_and_words(text);
    let (mut labels, mut requests, mut ports) = (BTreeMap::new(), Map::new(), Vec::new());
    let mut whole = json!({"metadata": {"namespace": "default", "name": name, "uid": name}, "spec": {}, "status": {}});
    let mut image = "";
    for word in words {
        match word.split_once('=') {
            Some(("on", node)) => whole["spec"]["nodeName"] = json!(node),
            Some(("priority", priority)) => whole["spec"]["priority"] = json!(priority.parse::<i32>().unwrap()),
            Some(("port", port)) => ports.push(json!({"containerPort": 1, "hostPort": port.parse::<i32>().unwrap()})),
            Some(("image", name)) => image = name,
            Some(("nominated", node)) => whole["status"]["nominatedNodeName"] = json!(node),
            Some(("phase", phase)) => whole["status"]["phase"] = json!(phase),
            Some(("namespace", namespace)) => whole["metadata"]["namespace"] = json!(namespace),
            Some((resource, amount)) => {
                requests.insert(resource.to_owned(), json!(amount));
            }
            None if word == "terminating" => whole["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"),
            None => {
                let (key, value) = word.split_once(':').unwrap();
                labels.insert(key, value);
            }
        }
    }
    whole["metadata"]["labels"] = json!(labels);
    let container = json!({"name": "c", "image": image, "ports": ports, "resources": {"requests": requests}});
    whole["spec"]["containers"] = json!([container]);
    for (key, value) in spec.as_object().into_iter().flatten() {
        whole["spec"][key] = value.clone();
    }
    Arc::new(serde_json::from_value(whole).unwrap())
}

pub(crate) fn pod(text: &str) -> Arc<Pod> {
    pod_with(text, json!({}))
}

/// A snapshot of these nodes and placed pods.
pub(crate) fn cluster(nodes: &[&str], pods: &[Arc<Pod>]) -> crate::Snapshot {
    let mut cluster = crate::Snapshot::new();
    nodes.iter().for_each(|text| drop(cluster.set_node(node(text))));
    pods.iter().for_each(|pod| drop(cluster.set_pod(pod.clone())));
    cluster
}

fn name_and_words(text: &str) -> (&str, impl Iterator<Item = &str>) {
    let mut words = text.split_whitespace();
    (words.next().unwrap(), words)
}
