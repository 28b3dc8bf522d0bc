//! In-place resize: what a pod asks for, what its node gives it, and what its containers run with. What a node has given stands
//! in the members; what runs, in the run's own copy of its container.
//! Source: kubelet `allocation/allocation_manager.go`, `kuberuntime` `computePodResizeAction`, `events/event_utils.go`.

use std::sync::Arc;

use coracle_core::Severity;
use coracle_core::quota::Amounts;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use serde_json::json;

use super::event::Tell;
use super::member::{Member, Role};

/// How the resize of a pod goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resize {
    /// Why the node does not give what is asked for, if so.
    pub pending: Option<Pending>,
    /// The generation whose amounts were given and are not yet all in force.
    pub under_way: Option<i64>,
}

/// Why a node does not give a pod what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// `Deferred` if it may later, `Infeasible` if it never can.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// How the resize of one running container goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// Nothing is being done.
    #[default]
    Idle,
    /// The runtime was told.
    Busy,
    /// The runtime failed; it is told again from then on.
    Failed(String, jiff::Timestamp),
}

/// Whether both ask for the same amounts, however these are spelt.
#[must_use]
pub fn same(one: &Container, other: &Container) -> bool {
    let amounts = |container: &Container| {
        let resources = container.resources.as_ref();
        let requests = Amounts::of(resources.and_then(|resources| resources.requests.as_ref()));
        (requests, Amounts::of(resources.and_then(|resources| resources.limits.as_ref())))
    };
    one.resources == other.resources || amounts(one) == amounts(other)
}

/// Leaves containers what they were given, whatever their pod asks now; says whether it asks for something else.
pub fn keep(members: &mut [Member], given: impl Fn(&str) -> Option<ResourceRequirements>) -> bool {
    let mut asks = false;
    for member in members.iter_mut().filter(|member| is_resizable(member)) {
        let Some(given) = given(&member.spec.name) else { continue };
        let kept = Container { resources: Some(given), ..(*member.spec).clone() };
        if !same(&kept, &member.spec) {
            member.spec = Arc::new(kept);
            asks = true;
        }
    }
    asks
}

/// What a pod's status remembers that a running container was given.
#[must_use]
pub fn remembered(pod: &Pod, container: &str) -> Option<ResourceRequirements> {
    let status = pod.status.as_ref()?;
    let mut statuses = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    let status = statuses.find(|status| status.name == container)?;
    let requests = Some(status.allocated_resources.clone()?);
    Some(ResourceRequirements { requests, ..status.resources.clone()? })
}

/// The pod with what its containers were given in place of what they ask for.
#[must_use]
pub fn as_given(pod: &Pod, members: &[Member]) -> Pod {
    let mut pod = pod.clone();
    let spec = pod.spec.get_or_insert_default();
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        if let Some(member) = members.iter().find(|member| member.spec.name == container.name) {
            container.resources.clone_from(&member.spec.resources);
        }
    }
    pod
}

fn is_resizable(member: &Member) -> bool {
    matches!(member.role, Role::Main | Role::Sidecar)
}

/// Whether a container has to start again to get other amounts.
#[must_use]
pub fn restarts(runs: &Container, given: &Container) -> bool {
    let amount = |container: &Container, name: &str| {
        let resources = container.resources.clone().unwrap_or_default();
        let of = |list| Amounts::of(Option::as_ref(&list)).get(name);
        (of(resources.requests), of(resources.limits))
    };
    let policies = given.resize_policy.iter().flatten();
    let mut strict = policies.filter(|policy| policy.restart_policy == "RestartContainer");
    strict.any(|policy| amount(runs, &policy.resource_name) != amount(given, &policy.resource_name))
}

/// Tells how a resize goes, with the amounts it is about.
#[must_use]
pub fn tell(how: &str, members: &[Member], generation: i64, error: Option<&str>) -> Tell {
    let (severity, reason, words) = match how {
        "Deferred" => (Severity::Warning, "ResizeDeferred", "Pod resize Deferred"),
        "Infeasible" => (Severity::Warning, "ResizeInfeasible", "Pod resize Infeasible"),
        "Error" => (Severity::Warning, "ResizeError", "Pod resize error"),
        "Started" => (Severity::Normal, "ResizeStarted", "Pod resize started"),
        _ => (Severity::Normal, "ResizeCompleted", "Pod resize completed"),
    };
    let note = format!("{words}: {{{}}}", summary(members, generation, error).join(","));
    Tell { container: None, severity, reason, note }
}

/// The fields of a summary in upstream's order.
fn summary(members: &[Member], generation: i64, error: Option<&str>) -> Vec<String> {
    let list = |field: &str, roles: &[Role]| {
        let chosen = members.iter().filter(|member| roles.contains(&member.role));
        let chosen = chosen.map(|member| {
            let resources = member.spec.resources.clone().unwrap_or_default();
            json!({"name": member.spec.name, "resources": resources}).to_string()
        });
        let list = chosen.collect::<Vec<_>>().join(",");
        (!list.is_empty()).then(|| format!("\"{field}\":[{list}]"))
    };
    let fields = [
        list("initContainers", &[Role::Init, Role::Sidecar]),
        list("containers", &[Role::Main]),
        Some(format!("\"generation\":{generation}")),
        error.map(|error| format!("\"error\":{}", json!(error))),
    ];
    fields.into_iter().flatten().collect()
}
