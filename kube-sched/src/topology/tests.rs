//! Tables of pods among pods: nodes, placed pods and a pod, and what each node says or gets.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::Topology;
use crate::Snapshot;
use crate::testing::{cluster, pod, pod_with};

const NODES: [&str; 4] = ["n1 zone:a", "n2 zone:a", "n3 zone:b", "n4"];

fn said(cluster: &Snapshot, asks: &crate::PodInfo) -> Vec<String> {
    let Some(topology) = Topology::prepare(asks, cluster) else { return Vec::new() };
    let texts = cluster
        .nodes()
        .map(|(_, node)| topology.check(node).map_or_else(|why| why.reasons[0].to_string(), |()| "ok".into()));
    texts.collect()
}

#[track_caller]
fn check(placed: &[Arc<Pod>], asks: &Arc<Pod>, expected: &[&str]) {
    let mut cluster = cluster(&NODES, placed);
    let asks = cluster.read(asks.clone());
    assert_eq!(said(&cluster, &asks), expected);
}

#[track_caller]
fn rate(placed: &[Arc<Pod>], asks: &Arc<Pod>, expected: &[i64]) {
    let mut cluster = cluster(&NODES, placed);
    let asks = cluster.read(asks.clone());
    let nodes: Vec<_> = cluster.nodes().map(|(_, node)| node).collect();
    let rated = Topology::prepare(&asks, &cluster).map(|topology| topology.rate(&nodes)).unwrap_or_default();
    assert_eq!(rated, expected.iter().map(|score| 2 * score).collect::<Vec<_>>());
}

fn selector(app: &str) -> Value {
    json!({"matchLabels": {"app": app}})
}

fn spread(key: &str, skew: i32, action: &str, more: Value) -> Value {
    let mut constraint =
        json!({"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": action, "labelSelector": selector("web")});
    for (key, value) in more.as_object().into_iter().flatten() {
        constraint[key] = value.clone();
    }
    json!({"topologySpreadConstraints": [constraint]})
}

fn term(kind: &str, key: &str, app: &str) -> Value {
    let term = json!({"topologyKey": key, "labelSelector": selector(app)});
    json!({"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}})
}

fn preferred(kind: &str, key: &str, app: &str) -> Value {
    let term = json!({"weight": 10, "podAffinityTerm": {"topologyKey": key, "labelSelector": selector(app)}});
    json!({"affinity": {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}})
}

const SKEWED: &str = "node(s) didn't match pod topology spread constraints";
const UNLABELLED: &str = "node(s) didn't match pod topology spread constraints (missing required label)";
const NOT_NEAR: &str = "node(s) didn't match pod affinity rules";
const TOO_NEAR: &str = "node(s) didn't match pod anti-affinity rules";
const UNWELCOME: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

#[test]
fn pods_that_ask_nothing_skip_all_of_this() {
    check(&[pod("a on=n1 app:web")], &pod("p app:web"), &[]);
    check(&[pod_with("a on=n1", term("podAntiAffinity", "zone", "other"))], &pod("p app:web"), &[]);
}

#[test]
fn hard_spreading_keeps_within_the_skew() {
    let asks = |more| pod_with("p app:web", spread("zone", 1, "DoNotSchedule", more));
    check(&[], &asks(json!({})), &["ok", "ok", "ok", UNLABELLED]);
    check(&[pod("a on=n1 app:web")], &asks(json!({})), &[SKEWED, SKEWED, "ok", UNLABELLED]);
    // Terminating pods, other namespaces and other labels do not count.
    let others = [pod("a on=n1 app:web terminating"), pod("b on=n1 app:web namespace=x"), pod("c on=n1 app:db")];
    check(&others, &asks(json!({})), &["ok", "ok", "ok", UNLABELLED]);
    // Fewer domains than wanted: the least is zero.
    let each = [pod("a on=n1 app:web"), pod("b on=n3 app:web")];
    check(&each, &asks(json!({})), &["ok", "ok", "ok", UNLABELLED]);
    check(&each, &asks(json!({"minDomains": 3})), &[SKEWED, SKEWED, SKEWED, UNLABELLED]);
    // Only nodes that the pod may go to count, unless it says otherwise.
    let mut spec = spread("zone", 1, "DoNotSchedule", json!({}));
    spec["nodeSelector"] = json!({"zone": "a"});
    check(&[pod("a on=n1 app:web")], &pod_with("p app:web", spec.clone()), &["ok", "ok", "ok", UNLABELLED]);
    spec["topologySpreadConstraints"][0]["nodeAffinityPolicy"] = json!("Ignore");
    check(&[pod("a on=n1 app:web")], &pod_with("p app:web", spec), &[SKEWED, SKEWED, "ok", UNLABELLED]);
    // Values of matchLabelKeys narrow the selector.
    let keyed = pod_with("p app:web hash:2", spread("zone", 1, "DoNotSchedule", json!({"matchLabelKeys": ["hash"]})));
    check(&[pod("a on=n1 app:web hash:1")], &keyed, &["ok", "ok", "ok", UNLABELLED]);
    check(&[pod("a on=n1 app:web hash:2")], &keyed, &[SKEWED, SKEWED, "ok", UNLABELLED]);
}

#[test]
fn soft_spreading_prefers_emptier_domains() {
    let asks = pod_with("p app:web", spread("zone", 1, "ScheduleAnyway", json!({})));
    rate(&[], &asks, &[100, 100, 100, 0]);
    rate(&[pod("a on=n1 app:web"), pod("b on=n2 app:web")], &asks, &[0, 0, 100, 0]);
    let per_node = pod_with("p app:web", spread("kubernetes.io/hostname", 1, "ScheduleAnyway", json!({})));
    rate(&[pod("a on=n1 app:web")], &per_node, &[0, 100, 100, 100]);
}

#[test]
fn required_affinity_wants_company() {
    let asks = pod_with("p app:web", term("podAffinity", "zone", "db"));
    check(&[pod("a on=n1 app:db")], &asks, &["ok", "ok", NOT_NEAR, NOT_NEAR]);
    check(&[], &asks, &[NOT_NEAR; 4]);
    // The first of its kind goes anywhere that has the key.
    let own = pod_with("p app:web", term("podAffinity", "zone", "web"));
    check(&[], &own, &["ok", "ok", "ok", NOT_NEAR]);
    check(&[pod("a on=n3 app:web")], &own, &[NOT_NEAR, NOT_NEAR, "ok", NOT_NEAR]);
    check(&[pod("a on=n3 app:web namespace=x")], &own, &["ok", "ok", "ok", NOT_NEAR]);
}

#[test]
fn anti_affinity_holds_both_ways() {
    let asks = pod_with("p app:web", term("podAntiAffinity", "zone", "web"));
    check(&[pod("a on=n1 app:web")], &asks, &[TOO_NEAR, TOO_NEAR, "ok", "ok"]);
    let placed = pod_with("a on=n3 app:db", term("podAntiAffinity", "zone", "web"));
    check(std::slice::from_ref(&placed), &pod("p app:web"), &["ok", "ok", UNWELCOME, "ok"]);
    check(&[placed], &pod("p app:web namespace=x"), &[]);
}

#[test]
fn namespaces_are_chosen_by_name_or_label() {
    let mut spec = term("podAntiAffinity", "zone", "web");
    let set = |spec: &mut Value, key: &str, value: Value| {
        spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0][key] = value;
    };
    set(&mut spec, "namespaces", json!(["x"]));
    check(&[pod("a on=n1 app:web namespace=x")], &pod_with("p", spec.clone()), &[TOO_NEAR, TOO_NEAR, "ok", "ok"]);
    check(&[pod("a on=n1 app:web")], &pod_with("p", spec.clone()), &["ok"; 4]);
    set(&mut spec, "namespaces", json!([]));
    set(&mut spec, "namespaceSelector", json!({}));
    check(&[pod("a on=n1 app:web namespace=y")], &pod_with("p", spec.clone()), &[TOO_NEAR, TOO_NEAR, "ok", "ok"]);
    set(&mut spec, "namespaceSelector", json!({"matchLabels": {"team": "red"}}));
    let mut cluster = cluster(&NODES, &[pod("a on=n1 app:web namespace=red")]);
    let asks = cluster.read(pod_with("p", spec));
    assert_eq!(said(&cluster, &asks), ["ok"; 4]);
    let namespace = json!({"metadata": {"name": "red", "labels": {"team": "red"}}});
    cluster.set_namespace(&serde_json::from_value(namespace).unwrap());
    assert_eq!(said(&cluster, &asks), [TOO_NEAR, TOO_NEAR, "ok", "ok"]);
}

#[test]
fn preferred_terms_of_both_sides_are_weighed() {
    rate(&[pod("a on=n1 app:db")], &pod_with("p", preferred("podAffinity", "zone", "db")), &[100, 100, 0, 0]);
    rate(&[pod("a on=n1 app:db")], &pod_with("p", preferred("podAntiAffinity", "zone", "db")), &[0, 0, 100, 100]);
    rate(&[pod_with("a on=n3", preferred("podAffinity", "zone", "web"))], &pod("p app:web"), &[0, 0, 100, 0]);
    rate(&[pod_with("a on=n3 app:x", term("podAffinity", "zone", "web"))], &pod("p app:web"), &[0, 0, 100, 0]);
}
