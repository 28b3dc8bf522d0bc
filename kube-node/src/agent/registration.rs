//! What the node object and its lease say. Source: kubelet `nodestatus`, `kubelet_node_status.go`, component-helpers `lease`.

use std::sync::Arc;

use coracle_core::time::whole_seconds;
use coracle_core::{Gateway, Request, Status, Target};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{self as core, NodeAddress, NodeCondition, NodeSpec, NodeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};

use super::Node;
use super::machine::architecture;

/// Where leases of nodes are.
const LEASES: &str = "kube-node-lease";
/// For how long a lease holds. Source: kubelet `nodeLeaseDurationSeconds`.
const LEASE_SECONDS: i32 = 40;

/// Creates the node object, or takes over the one that is there.
pub(super) async fn register(node: &Node, gateway: &dyn Gateway) -> Result<(), Status> {
    let now = gateway.clock().now();
    let object = object(node, now);
    match gateway.execute(Request::create(object.clone())).await {
        Err(status) if !status.is_already_exists() => return Err(status),
        Err(_) => {
            let labels = object.metadata.labels.clone().unwrap_or_default();
            let edit = move |found: &mut core::Node| {
                found.metadata.labels.get_or_insert_default().extend(labels.clone());
                Ok(())
            };
            gateway.execute(Request::edit(Target::named::<core::Node>("", &node.name), edit)).await?;
        }
        Ok(_) => {}
    }
    gateway.execute(status(node, None, now)).await.map(|_| ())
}

/// The node object as it is first created.
pub(super) fn object(node: &Node, now: Timestamp) -> core::Node {
    let well_known = [
        ("kubernetes.io/hostname", &*node.name),
        ("kubernetes.io/os", std::env::consts::OS),
        ("kubernetes.io/arch", architecture()),
        ("beta.kubernetes.io/os", std::env::consts::OS),
        ("beta.kubernetes.io/arch", architecture()),
    ];
    let mut labels = node.labels.clone();
    for (key, value) in well_known {
        labels.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    core::Node {
        metadata: ObjectMeta { name: Some(node.name.to_string()), labels: Some(labels), ..ObjectMeta::default() },
        spec: Some(NodeSpec { taints: (!node.taints.is_empty()).then(|| node.taints.clone()), ..NodeSpec::default() }),
        status: Some(fresh_status(node, None, now)),
    }
}

/// Writes the node's status; `stopping` makes it not ready, and says why.
pub(super) fn status(node: &Node, stopping: Option<&'static str>, now: Timestamp) -> Request {
    let fresh = fresh_status(node, stopping, now);
    let edit = move |found: &mut core::Node| {
        let status = found.status.get_or_insert_default();
        let old = status.conditions.take().unwrap_or_default();
        let mut fresh = fresh.clone();
        for condition in fresh.conditions.iter_mut().flatten() {
            let same = old.iter().find(|old| old.type_ == condition.type_ && old.status == condition.status);
            if let Some(same) = same {
                condition.last_transition_time.clone_from(&same.last_transition_time);
            }
        }
        let own: Vec<String> = fresh.conditions.iter().flatten().map(|one| one.type_.clone()).collect();
        let others = old.into_iter().filter(|condition| !own.contains(&condition.type_));
        status.conditions = Some(fresh.conditions.into_iter().flatten().chain(others).collect());
        // Addresses of other kinds are the cloud's.
        let mut addresses = fresh.addresses.unwrap_or_default();
        let others = status.addresses.take().unwrap_or_default();
        let is_other = |one: &NodeAddress| matches!(&*one.type_, "ExternalIP" | "ExternalDNS" | "InternalDNS");
        addresses.extend(others.into_iter().filter(is_other));
        status.addresses = Some(addresses);
        status.capacity = fresh.capacity;
        status.allocatable = fresh.allocatable;
        status.node_info = fresh.node_info;
        Ok(())
    };
    Request::edit(Target::named::<core::Node>("", &node.name).below("status"), edit)
}

/// Whether the node object says that the node is ready.
pub(super) fn is_ready(node: &core::Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn fresh_status(node: &Node, stopping: Option<&'static str>, now: Timestamp) -> NodeStatus {
    let address = |kind: &str, address: &str| NodeAddress { type_: kind.to_owned(), address: address.to_owned() };
    let internal = node.addresses.iter().map(|one| address("InternalIP", one));
    NodeStatus {
        addresses: Some(internal.chain([address("Hostname", &node.name)]).collect()),
        capacity: Some(node.capacity.clone()),
        allocatable: Some(node.capacity.clone()),
        conditions: Some(conditions(stopping, now)),
        node_info: Some(node.machine.info(node.runtime.name())),
        ..NodeStatus::default()
    }
}

fn conditions(stopping: Option<&'static str>, now: Timestamp) -> Vec<NodeCondition> {
    let ready = match stopping {
        None => ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        Some(why) => ("Ready", "False", "KubeletNotReady", why),
    };
    let rows = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ready,
    ];
    let now = whole_seconds(now);
    let condition = |(kind, status, reason, message): (&str, &str, &str, &str)| NodeCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_heartbeat_time: Some(now.clone()),
        last_transition_time: Some(now.clone()),
    };
    rows.into_iter().map(condition).collect()
}

/// Renews a node's lease.
pub(super) fn renew(name: &str, now: Timestamp) -> Request {
    let edit = move |lease: &mut Lease| {
        lease.spec.get_or_insert_default().renew_time = Some(MicroTime(now));
        Ok(())
    };
    Request::edit(Target::named::<Lease>(LEASES, name), edit)
}

/// Creates a node's lease, which goes when the node object goes.
pub(super) fn lease(name: &Arc<str>, gateway: &dyn Gateway) -> Request {
    let node = gateway.feed().world().get::<core::Node>("", name);
    let owner = node.and_then(|node| node.metadata.uid.clone()).map(|uid| OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.to_string(),
        uid,
        ..OwnerReference::default()
    });
    let spec = LeaseSpec {
        holder_identity: Some(name.to_string()),
        lease_duration_seconds: Some(LEASE_SECONDS),
        renew_time: Some(gateway.clock().micro_time()),
        ..LeaseSpec::default()
    };
    Request::create(Lease {
        metadata: ObjectMeta {
            name: Some(name.to_string()),
            namespace: Some(LEASES.to_owned()),
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
    })
}
