//! What a write costs before it reaches the store, on a pod of 3 kB: `cargo bench -p coracle-core --bench patch`.

#![allow(clippy::expect_used, reason = "a bench may fail loudly")]

use coracle_core::apply::{self, FieldSet, Manager};
use coracle_core::schema::Schema;
use coracle_core::{patch, protobuf, strict};
use serde_json::{Value, json};

fn main() {
    divan::main();
}

fn container(name: &str) -> Value {
    json!({
        "name": name,
        "image": format!("registry.example.com/team/{name}:1.27.3@sha256:{}", "0123456789abcdef".repeat(4)),
        "imagePullPolicy": "IfNotPresent",
        "args": ["--listen=0.0.0.0:8080", "--log-format=json", "--log-level=info"],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
            {"name": "REGION", "value": "eu-central-1"},
            {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "web", "key": "password"}}},
        ],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}, {"name": "metrics", "containerPort": 9090, "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [{"name": "config", "mountPath": "/etc/web", "readOnly": true}, {"name": "tmp", "mountPath": "/tmp"}],
    })
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-7d4b9c5f6d-x2x7k",
            "namespace": "shop",
            "labels": {"app.kubernetes.io/name": "web", "app.kubernetes.io/part-of": "shop", "pod-template-hash": "7d4b9c5f6d"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9090"},
        },
        "spec": {
            "containers": [container("web"), container("proxy")],
            "volumes": [{"name": "config", "configMap": {"name": "web", "defaultMode": 420}}, {"name": "tmp", "emptyDir": {}}],
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
            "serviceAccountName": "web",
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
        },
    })
}

fn schema() -> Schema {
    Schema::of_kind("v1", "Pod").expect("pods are built in")
}

fn manager(name: &str) -> Manager<'_> {
    Manager { name, api_version: "v1", subresource: "", now: "2026-01-01T00:00:00Z".parse().expect("a time") }
}

fn applied() -> Value {
    apply::apply(&schema(), None, &pod(), &manager("kubectl"), false, &FieldSet::default()).expect("a sound pod")
}

/// The yardstick: what decoding alone costs.
#[divan::bench]
fn decode_to_value(bencher: divan::Bencher<'_, '_>) {
    let body = pod().to_string();
    bencher.bench_local(|| serde_json::from_str::<Value>(divan::black_box(&body)));
}

/// A pod as lists and watches of typed clients carry it.
#[divan::bench]
fn json_to_protobuf(bencher: divan::Bencher<'_, '_>) {
    let body = pod().to_string();
    bencher
        .counter(divan::counter::BytesCount::of_str(&body))
        .bench_local(|| protobuf::encode(divan::black_box(body.as_bytes())));
}

/// A pod as typed clients send it.
#[divan::bench]
fn protobuf_to_json(bencher: divan::Bencher<'_, '_>) {
    let body = protobuf::encode(pod().to_string().as_bytes()).expect("a sound pod");
    bencher.bench_local(|| protobuf::Envelope::read(divan::black_box(&body)).and_then(|pod| pod.to_json()));
}

#[divan::bench]
fn strict(bencher: divan::Bencher<'_, '_>) {
    let (schema, body) = (schema(), pod().to_string());
    bencher
        .counter(divan::counter::BytesCount::of_str(&body))
        .bench_local(|| strict::check(&schema, divan::black_box(body.as_bytes())));
}

#[divan::bench]
fn strategic_patch(bencher: divan::Bencher<'_, '_>) {
    let (schema, pod) = (schema(), pod());
    let patch = json!({"spec": {"containers": [{"name": "web", "image": "nginx:2", "env": [{"name": "REGION", "value": "x"}]}]}});
    bencher
        .with_inputs(|| (pod.clone(), patch.clone()))
        .bench_local_values(|(pod, patch)| patch::strategic(&schema, pod, patch));
}

#[divan::bench]
fn apply_anew(bencher: divan::Bencher<'_, '_>) {
    let (schema, pod) = (schema(), pod());
    bencher.bench_local(|| apply::apply(&schema, None, &pod, &manager("kubectl"), false, &FieldSet::default()));
}

#[divan::bench]
fn apply_again_with_a_new_image(bencher: divan::Bencher<'_, '_>) {
    let (schema, live, mut next) = (schema(), applied(), pod());
    if let Some(image) = next.pointer_mut("/spec/containers/0/image") {
        *image = json!("nginx:2");
    }
    bencher.bench_local(|| apply::apply(&schema, Some(&live), &next, &manager("kubectl"), false, &FieldSet::default()));
}

#[divan::bench]
fn track_an_update(bencher: divan::Bencher<'_, '_>) {
    let (schema, live) = (schema(), applied());
    let mut next = live.clone();
    if let Some(image) = next.pointer_mut("/spec/containers/0/image") {
        *image = json!("nginx:2");
    }
    bencher.with_inputs(|| next.clone()).bench_local_values(|next| {
        apply::track_update(&schema, Some(&live), next, &manager("edit"), &FieldSet::default())
    });
}
