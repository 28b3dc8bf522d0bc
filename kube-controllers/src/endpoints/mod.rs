//! Where the traffic of a Service goes: `slices` for EndpointSlices, `legacy` for Endpoints, `mirror` for
//! slices of Endpoints made by hand. Source: `pkg/controller/endpointslice`, `staging/src/k8s.io/endpointslice`, `pkg/controller/endpoint`.

mod hints;
mod legacy;
mod mirror;
mod slices;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use coracle_core::selector::Selector;
use coracle_core::{Event, ObjectKey, World};
use k8s_openapi::api::core::v1::{ContainerPort, ObjectReference, Pod, Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::pods;

pub use legacy::LegacyEndpoints;
pub use mirror::EndpointSliceMirroring;
pub use slices::EndpointSlices;

/// Marks objects of a Service without an address of its own.
const HEADLESS: &str = "service.kubernetes.io/headless";

/// The labels a Service selects by; `None` if it selects nothing, so that its endpoints are someone else's business.
fn selector(service: &Service) -> Option<Selector> {
    let spec = service.spec.as_ref()?;
    let external = spec.type_.as_deref() == Some("ExternalName");
    spec.selector.as_ref().filter(|labels| !external && !labels.is_empty()).map(Selector::from_labels)
}

/// The pods of a Service, in key order.
fn selected(service: &Service, world: &World) -> Vec<Arc<Pod>> {
    let Some(selector) = selector(service) else { return Vec::new() };
    let namespace = service.metadata.namespace.as_deref().unwrap_or("");
    let pods = world.list_in::<Pod>(namespace);
    pods.filter(|pod| selector.matches_optional(pod.metadata.labels.as_ref())).collect()
}

/// Whether traffic may ever go to a pod: it has an address, has not ended, and, unless `terminating` ones count, stays.
fn is_reachable(pod: &Pod, terminating: bool) -> bool {
    !pods::is_terminal(pod)
        && addresses(pod).next().is_some()
        && (terminating || pod.metadata.deletion_timestamp.is_none())
}

/// The addresses of a pod.
fn addresses(pod: &Pod) -> impl Iterator<Item = &str> {
    let status = pod.status.as_ref();
    let many = status.into_iter().flat_map(|status| status.pod_ips.iter().flatten()).map(|address| &*address.ip);
    let one = status.and_then(|status| status.pod_ip.as_deref()).filter(|ip| !ip.is_empty());
    let lonely = status.is_none_or(|status| status.pod_ips.as_ref().is_none_or(Vec::is_empty));
    many.chain(one.filter(|_| lonely))
}

/// Whether an address is of IPv6.
fn is_ipv6(address: &str) -> bool {
    address.contains(':')
}

fn is_headless(service: &Service) -> bool {
    spec_of(service).is_some_and(|spec| spec.cluster_ip.as_deref() == Some("None"))
}

fn publishes_not_ready(service: &Service) -> bool {
    spec_of(service).is_some_and(|spec| spec.publish_not_ready_addresses == Some(true))
}

fn spec_of(service: &Service) -> Option<&ServiceSpec> {
    service.spec.as_ref()
}

/// The ports of a Service as they are at one pod; those that the pod does not have are left out.
fn resolved<'a>(service: &'a Service, pod: &'a Pod) -> impl Iterator<Item = (&'a ServicePort, i32)> {
    let ports = spec_of(service).into_iter().flat_map(|spec| spec.ports.iter().flatten());
    ports.filter_map(|port| Some((port, resolve(port, pod)?)))
}

/// Source: `podutil.FindPort`.
fn resolve(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        None | Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => named_port(pod, name, protocol(port.protocol.as_deref())),
    }
}

fn named_port(pod: &Pod, name: &str, wanted: &str) -> Option<i32> {
    let spec = pod.spec.as_ref()?;
    let sidecars = spec.init_containers.iter().flatten();
    let sidecars = sidecars.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let mut ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let is_it =
        |port: &&ContainerPort| port.name.as_deref() == Some(name) && protocol(port.protocol.as_deref()) == wanted;
    ports.find(is_it).map(|port| port.container_port)
}

fn protocol(protocol: Option<&str>) -> &str {
    protocol.unwrap_or("TCP")
}

/// The name by which a pod is known below its Service, if it has one.
fn hostname<'a>(pod: &'a Pod, service: &Service) -> Option<&'a String> {
    let spec = pod.spec.as_ref()?;
    let below = spec.subdomain.is_some() && spec.subdomain == service.metadata.name;
    spec.hostname.as_ref().filter(|hostname| below && !hostname.is_empty())
}

fn reference_to(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

/// The Services that a change of a pod concerns; none if nothing about the pod changed that an endpoint shows.
fn services_of_change(event: &Event, world: &World) -> Vec<ObjectKey> {
    let Some(pod) = event.object.get::<Pod>() else { return Vec::new() };
    let previous = event.previous.as_ref().and_then(|previous| previous.get::<Pod>());
    if !event.deleted && previous.is_some_and(|previous| shows_the_same(previous, pod)) {
        return Vec::new();
    }
    let mut services = services_of(pod, world);
    if let Some(previous) = previous.filter(|previous| previous.metadata.labels != pod.metadata.labels) {
        services.extend(services_of(previous, world));
    }
    services
}

fn services_of(pod: &Pod, world: &World) -> Vec<ObjectKey> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
    let selects = |service: &Arc<Service>| {
        selector(service).is_some_and(|selector| selector.matches_optional(pod.metadata.labels.as_ref()))
    };
    world.list_in::<Service>(namespace).filter(selects).map(|service| ObjectKey::of(&service.metadata)).collect()
}

fn shows_the_same(one: &Pod, other: &Pod) -> bool {
    let face = |pod: &Pod| {
        let deleted = pod.metadata.deletion_timestamp.is_some();
        (pods::is_ready(pod), pods::is_terminal(pod), deleted)
    };
    let names = |pod: &Pod| {
        let spec = pod.spec.as_ref();
        spec.map(|spec| (spec.node_name.clone(), spec.hostname.clone(), spec.subdomain.clone()))
    };
    face(one) == face(other)
        && addresses(one).eq(addresses(other))
        && one.metadata.labels == other.metadata.labels
        && one.metadata.uid == other.metadata.uid
        && names(one) == names(other)
}
