//! What one object uses of the resources that quotas can limit. Source: `pkg/quota/v1/evaluator/core`.

use std::any::Any;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::resource::v1::{DeviceRequest, ResourceClaim};

use super::amounts::Amounts;
use super::pod::{PodAmounts, pod_limits, pod_requests};
use crate::kind::GroupResource;

/// Collections that quotas have counted under their own names since before `count/...`.
const COUNTED: [&str; 6] =
    ["configmaps", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas", "secrets", "services"];
/// Compute resources that quotas limit under their own names, and as `requests.` and `limits.`.
const COMPUTE: [(&str, &str, &str); 3] = [
    ("cpu", "requests.cpu", "limits.cpu"),
    ("memory", "requests.memory", "limits.memory"),
    ("ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage"),
];
/// Compute resources that every container must state if a quota limits them.
const REQUIRED: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// What an object of a collection uses.
pub(super) fn usage(resource: &GroupResource, value: &dyn Any) -> Amounts {
    let mut used = Amounts::default();
    let dot = if resource.group.is_empty() { "" } else { "." };
    used.set_count(format!("count/{}{dot}{}", resource.resource, resource.group), 1);
    if resource.group.is_empty() && COUNTED.contains(&&*resource.resource) {
        used.set_count(resource.resource.clone(), 1);
    }
    if let Some(pod) = value.downcast_ref::<Pod>() {
        of_pod(pod, &mut used);
    } else if let Some(service) = value.downcast_ref::<Service>() {
        of_service(service, &mut used);
    } else if let Some(claim) = value.downcast_ref::<PersistentVolumeClaim>() {
        of_claim(claim, &mut used);
    } else if let Some(claim) = value.downcast_ref::<ResourceClaim>() {
        let requests = claim.spec.devices.iter().flat_map(|devices| devices.requests.iter().flatten());
        requests.for_each(|request| used.add(&of_devices(request)));
    }
    used
}

/// Pods that ended are still counted as objects, but hold nothing any more.
fn of_pod(pod: &Pod, used: &mut Amounts) {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return;
    }
    used.set_count("pods", 1);
    let options = PodAmounts { held: true, overhead: true };
    used.add(&compute(&pod_requests(pod, options), &pod_limits(pod, options)));
}

/// Requests and limits under the names that quotas have for them.
fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut used = Amounts::default();
    for (name, request_name, limit_name) in COMPUTE {
        if let Some(request) = requests.get(name) {
            used.set(name, request);
            used.set(request_name, request);
        }
        if let Some(limit) = limits.get(name) {
            used.set(limit_name, limit);
        }
    }
    for (name, request) in requests.iter() {
        let huge = name.starts_with("hugepages-");
        if huge {
            used.set(name.to_owned(), request);
        }
        if huge || is_extended(name) {
            used.set(format!("requests.{name}"), request);
        }
    }
    used
}

/// Whether a resource is of somebody's own making: it has a domain, and not Kubernetes' own.
#[must_use]
pub fn is_extended(name: &str) -> bool {
    name.split_once('/').is_some_and(|(domain, _)| !domain.ends_with("kubernetes.io") && !name.starts_with("requests."))
}

fn of_service(service: &Service, used: &mut Amounts) {
    let Some(spec) = &service.spec else { return };
    let ports = || spec.ports.iter().flatten();
    let (node_ports, load_balancers) = match spec.type_.as_deref() {
        Some("NodePort") => (ports().count(), 0),
        Some("LoadBalancer") if spec.allocate_load_balancer_node_ports == Some(false) => {
            (ports().filter(|port| port.node_port.is_some_and(|port| port != 0)).count(), 1)
        }
        Some("LoadBalancer") => (ports().count(), 1),
        _ => (0, 0),
    };
    used.set_count("services.nodeports", node_ports);
    used.set_count("services.loadbalancers", load_balancers);
}

fn of_claim(claim: &PersistentVolumeClaim, used: &mut Amounts) {
    let Some(spec) = &claim.spec else { return };
    let class = spec.storage_class_name.as_deref().filter(|class| !class.is_empty());
    let in_class = |what: &str| class.map(|class| format!("{class}.storageclass.storage.k8s.io/{what}"));
    if let Some(name) = in_class("persistentvolumeclaims") {
        used.set_count(name, 1);
    }
    let mut storage = Amounts::of(spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()));
    // A claim that is being expanded may have been given more than it asks for by now.
    storage.raise_to(&Amounts::of(claim.status.as_ref().and_then(|status| status.allocated_resources.as_ref())));
    let Some(amount) = storage.get("storage") else { return };
    used.set("requests.storage", amount);
    if let Some(name) = in_class("requests.storage") {
        used.set(name, amount);
    }
}

/// Devices by class: of alternatives the most of each class, and as many as can be given where all are asked for.
fn of_devices(request: &DeviceRequest) -> Amounts {
    const GIVEN_MAX: i64 = 32;
    let asked = |class: &str, mode: Option<&str>, count: Option<i64>| {
        let count = match mode {
            Some("All") => GIVEN_MAX,
            _ => count.unwrap_or(1),
        };
        let mut devices = Amounts::default();
        devices.set_count(
            format!("{class}.deviceclass.resource.k8s.io/devices"),
            usize::try_from(count).unwrap_or_default(),
        );
        devices
    };
    let mut devices = Amounts::default();
    for choice in request.first_available.iter().flatten() {
        let mode = choice.allocation_mode.as_deref();
        devices.raise_to(&asked(&choice.device_class_name, mode, choice.count));
    }
    if let Some(exactly) = &request.exactly {
        devices.raise_to(&asked(&exactly.device_class_name, exactly.allocation_mode.as_deref(), exactly.count));
    }
    devices
}

/// What the containers of a pod must state of these resources and do not: `limits.cpu for: a; memory for: a,b`.
pub(super) fn missing(pod: &Pod, limited: impl Fn(&str) -> bool) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let states = |resources: Option<&k8s_openapi::api::core::v1::ResourceRequirements>| {
        let requests = Amounts::of(resources.and_then(|it| it.requests.as_ref()));
        compute(&requests, &Amounts::of(resources.and_then(|it| it.limits.as_ref())))
    };
    let of_pod = states(spec.resources.as_ref());
    let containers: Vec<_> = spec.containers.iter().chain(spec.init_containers.iter().flatten()).collect();
    let mut required = REQUIRED;
    required.sort_unstable();
    let silent = required.into_iter().filter(|name| limited(name) && of_pod.get(name).is_none()).filter_map(|name| {
        let silent = containers.iter().filter(|container| states(container.resources.as_ref()).get(name).is_none());
        let mut names: Vec<_> = silent.map(|container| container.name.as_str()).collect();
        names.sort_unstable();
        (!names.is_empty()).then(|| format!("{name} for: {}", names.join(",")))
    });
    let silent: Vec<_> = silent.collect();
    (!silent.is_empty()).then(|| silent.join("; "))
}
