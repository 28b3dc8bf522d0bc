//! Whatever comes in a body, the server has an answer that blames it, and goes on.

use coracle_core::Entropy;
use serde_json::json;

use crate::harness::{CONFIG_MAPS, Cluster};

const BODIES: u64 = 1_500;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const APPLY: &str = "application/apply-patch+yaml";

/// Who takes bodies: method, path, content types.
const TAKERS: [(&str, &str, &[&str]); 7] = [
    ("POST", CONFIG_MAPS, &["application/json", "application/yaml", PROTOBUF, "text/plain", ""]),
    ("PUT", "/api/v1/namespaces/default/configmaps/m", &["application/json", PROTOBUF]),
    (
        "PATCH",
        "/api/v1/namespaces/default/configmaps/m",
        &["application/json-patch+json", "application/merge-patch+json"],
    ),
    ("PATCH", "/api/v1/namespaces/default/pods/p", &["application/strategic-merge-patch+json", APPLY]),
    ("DELETE", "/api/v1/namespaces/default/configmaps/n", &["application/json", PROTOBUF]),
    ("POST", "/apis/apps/v1/namespaces/default/deployments", &["application/json", "application/yaml", PROTOBUF]),
    ("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &["application/json", "application/yaml"]),
];

/// Bodies that are almost good, to be bent.
fn seeds() -> Vec<Vec<u8>> {
    let pod = json!({"metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {
        "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}], "$patch": "replace"}],
        "$setElementOrder/containers": [{"name": "c"}], "$deleteFromPrimitiveList/x": [1], "$retainKeys": ["containers"],
    }});
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer", "default": 1}},
        "x-kubernetes-validations": [{"rule": "self.a > 0 && [1].all(x, x > 0)"}]});
    let definition = json!({"metadata": {"name": "as.e.com"}, "spec": {"group": "e.com", "scope": "Namespaced",
        "names": {"plural": "as", "kind": "A"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}});
    let patch =
        json!([{"op": "add", "path": "/data/~1x/-1", "value": null}, {"op": "move", "from": "/data", "path": ""}]);
    let options =
        json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "u"}, "gracePeriodSeconds": -1});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": "b"}});
    let mut seeds: Vec<Vec<u8>> =
        [pod, definition, patch, options, map].iter().map(|it| it.to_string().into()).collect();
    seeds.push(b"apiVersion: v1\nkind: &a ConfigMap\nmetadata: {name: *a}\ndata:\n  ? [x]\n  : |\n    y\n".to_vec());
    seeds.push(b"k8s\0\n\x0f\n\x02v1\x12\tConfigMap\x12\x0c\n\x03\n\x01m\x12\x05\n\x01a\x12\x00\x1a\0\"\0".to_vec());
    seeds.push([vec![b'['; 3_000], vec![b']'; 3_000]].concat());
    seeds.push(vec![0xff; 64]);
    seeds
}

/// A body that was cut, doubled in part, or changed in a few places.
fn bend(chance: &Entropy, seed: &[u8]) -> Vec<u8> {
    let mut body = seed.to_vec();
    for _ in 0..chance.below(4) {
        let at = usize::try_from(chance.below(body.len().max(1) as u64)).unwrap();
        match chance.below(4) {
            0 => body.truncate(at),
            1 if !body.is_empty() => body[at] = u8::try_from(chance.below(256)).unwrap(),
            2 => body.insert(at, b"\"{}[],:\0-9e\xc3"[usize::try_from(chance.below(12)).unwrap()]),
            _ => body.extend_from_within(at..),
        }
    }
    body
}

#[tokio::test]
async fn no_body_breaks_the_server() {
    let cluster = Cluster::start().await;
    let (chance, seeds) = (Entropy::seeded(11), seeds());
    for _ in 0..BODIES {
        let pick = |count: usize| usize::try_from(chance.below(count as u64)).unwrap();
        let (method, path, types) = TAKERS[pick(TAKERS.len())];
        let content_type = types[pick(types.len())];
        let body = bend(&chance, &seeds[pick(seeds.len())]);
        let path = if content_type == APPLY { format!("{path}?fieldManager=x&force=true") } else { path.to_owned() };
        let answer = cluster.ask(method, &path, &[("content-type", content_type)], &body).await;
        let about = || format!("{method} {path} {content_type}: {}", body.escape_ascii());
        // Upstream says 500 to an apply whose fields no schema knows.
        let is_upstreams = answer.body.windows(35).any(|words| words == b"failed to create typed patch object");
        assert!(answer.code < 500 || is_upstreams, "{} {:?} to {}", answer.code, answer.body, about());
        assert!(answer.code < 300 || answer.json()["status"] == "Failure", "{:?} to {}", answer.body, about());
    }
    assert_eq!(cluster.get("/readyz").await.code, 200);
}
