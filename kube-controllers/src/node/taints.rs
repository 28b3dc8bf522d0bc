//! The taints that follow from a node's conditions. Source: `doNoScheduleTaintingPass`, `processTaintBaseEviction`.

use coracle_core::Request;
use coracle_core::request::Target;
use coracle_core::time::whole_seconds;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Taint};

use super::lifecycle::condition;
use super::zones::Pace;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Condition, status, and the taint that follows from it.
const BY_CONDITION: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

/// Makes the taints of a node follow from its conditions; others stay. `None` if they already do. A node that already drives pods
/// away goes on to, whatever the pace, unless none may.
pub(super) fn correction(node: &Node, pace: Pace, now: Timestamp) -> Option<Request> {
    let mut wanted = wanted(node);
    if pace == Pace::Nowhere || pace != Pace::Now && !taints(node).any(drives) {
        wanted.retain(|(_, effect)| *effect != "NoExecute");
    }
    let present: Vec<_> = taints(node).filter(|taint| is_ours(taint)).map(key).collect();
    let missing: Vec<_> = wanted.iter().filter(|taint| !present.contains(taint)).copied().collect();
    if missing.is_empty() && present.iter().all(|taint| wanted.contains(taint)) {
        return None;
    }
    let missing: Vec<_> = missing.into_iter().map(|(key, effect)| taint(key, effect, now)).collect();
    let keep = move |taint: &Taint| !is_ours(taint) || wanted.contains(&key(taint));
    let edit = move |node: &mut Node| {
        let taints = node.spec.get_or_insert_default().taints.get_or_insert_default();
        taints.retain(|known| keep(known) && !missing.iter().any(|other| key(other) == key(known)));
        taints.extend(missing.iter().cloned());
        Ok(())
    };
    Some(Request::edit(Target::of(node), edit))
}

fn wanted(node: &Node) -> Vec<(&'static str, &'static str)> {
    let holds = |(kind, status, _): &&(&str, &str, &str)| condition(node, kind).is_some_and(|it| it.status == *status);
    let mut wanted = Vec::new();
    for (kind, _, key) in BY_CONDITION.iter().filter(holds) {
        wanted.push((*key, "NoSchedule"));
        if *kind == "Ready" {
            wanted.push((*key, "NoExecute"));
        }
    }
    if node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true)) {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    wanted
}

/// Whether a taint is one that this controller adds and removes.
fn is_ours(taint: &Taint) -> bool {
    let keys = || BY_CONDITION.iter().map(|(_, _, key)| *key).chain([UNSCHEDULABLE]);
    match taint.effect.as_str() {
        "NoSchedule" => keys().any(|key| key == taint.key),
        _ => drives(taint),
    }
}

/// Whether it is one that drives pods away from a node in trouble.
pub(super) fn drives(taint: &Taint) -> bool {
    taint.effect == "NoExecute" && [NOT_READY, UNREACHABLE].contains(&taint.key.as_str())
}

fn key(taint: &Taint) -> (&str, &str) {
    (&taint.key, &taint.effect)
}

fn taint(key: &str, effect: &str, now: Timestamp) -> Taint {
    let time_added = Some(whole_seconds(now));
    Taint { key: key.to_owned(), effect: effect.to_owned(), time_added, value: None }
}

/// The taints of a node.
pub(super) fn taints(node: &Node) -> impl Iterator<Item = &Taint> {
    node.spec.iter().flat_map(|spec| spec.taints.iter().flatten())
}
