//! Nodes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeStatus, NodeSystemInfo};
use serde_json::Value;

use super::age::age;
use super::column::{AGE, NAME, field, string, text};
use super::text::{NONE, UNKNOWN, or, plain};
use super::{Printer, printer, row};

pub(super) static NODE: Printer = printer!(
    Node,
    node,
    [
        NAME,
        string("Status", text("The status of the node")),
        string("Roles", text("The roles of the node")),
        AGE,
        string("Version", field("core.v1.NodeSystemInfo", "kubeletVersion")),
        string("Internal-IP", field("core.v1.NodeStatus", "addresses")).wide(),
        string("External-IP", field("core.v1.NodeStatus", "addresses")).wide(),
        string("OS-Image", field("core.v1.NodeSystemInfo", "osImage")).wide(),
        string("Kernel-Version", field("core.v1.NodeSystemInfo", "kernelVersion")).wide(),
        string("Container-Runtime", field("core.v1.NodeSystemInfo", "containerRuntimeVersion")).wide(),
    ]
);

fn node(node: &Node, now: Timestamp) -> Vec<Value> {
    let (no_status, no_info) = (NodeStatus::default(), NodeSystemInfo::default());
    let status = node.status.as_ref().unwrap_or(&no_status);
    let info = status.node_info.as_ref().unwrap_or(&no_info);
    row![
        plain(&node.metadata.name),
        readiness(node, status),
        or(&roles(node), NONE),
        age(&node.metadata, now),
        info.kubelet_version.as_str(),
        address(status, "InternalIP"),
        address(status, "ExternalIP"),
        or(&info.os_image, UNKNOWN),
        or(&info.kernel_version, UNKNOWN),
        or(&info.container_runtime_version, UNKNOWN),
    ]
}

fn readiness(node: &Node, status: &NodeStatus) -> String {
    let ready = status.conditions.iter().flatten().rfind(|condition| condition.type_ == "Ready");
    let readiness = match ready.map(|ready| ready.status.as_str()) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let is_cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    if is_cordoned { format!("{readiness},SchedulingDisabled") } else { readiness.to_owned() }
}

/// What the labels `node-role.kubernetes.io/<role>` and `kubernetes.io/role` say.
fn roles(node: &Node) -> String {
    let role = |(key, value): (&'_ String, &'_ String)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) => Some(role.to_owned()),
        None => (key == "kubernetes.io/role").then(|| value.clone()),
    };
    let roles: BTreeSet<_> = node.metadata.labels.iter().flatten().filter_map(role).collect();
    roles.into_iter().filter(|role| !role.is_empty()).collect::<Vec<_>>().join(",")
}

fn address<'a>(status: &'a NodeStatus, kind: &str) -> &'a str {
    status.addresses.iter().flatten().find(|address| address.type_ == kind).map_or(NONE, |address| &address.address)
}
