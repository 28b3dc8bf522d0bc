//! Endpoints: all addresses of a Service in one object, as clients of old times read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::{ObjectKey, Request, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{
    HEADLESS, addresses, hostname, is_headless, is_ipv6, is_reachable, publishes_not_ready, reference_to, resolved,
    selected, selector, services_of_change, spec_of,
};
use crate::plan::{Announcement, Plan, Wish};
use crate::planner::Planner;
use crate::pods;
use crate::watches::Watches;

/// Addresses in one object at most. Source: `maxCapacity`.
const ADDRESSES_MAX: usize = 1000;

/// The name in events, and of whom the objects are managed by.
const MANAGER: &str = "endpoint-controller";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";

/// Keeps the Endpoints of Services that select pods. Endpoints of other Services are made by hand, and left alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct LegacyEndpoints;

impl Planner for LegacyEndpoints {
    type Kind = Service;
    /// The pods of the Service, and its Endpoints.
    type Observed = (Vec<Arc<Pod>>, Option<Arc<Endpoints>>);

    fn name(&self) -> &'static str {
        "endpoints-controller"
    }

    fn watches(&self, on: &mut Watches<Service>) {
        on.changes::<Pod>(services_of_change).map(service_of);
    }

    fn observe(&self, service: &Service, world: &World) -> Self::Observed {
        (
            selected(service, world),
            same_name(service.metadata.namespace.as_deref(), service.metadata.name.as_deref(), world),
        )
    }

    fn plan(&self, service: &Service, (pods, known): Self::Observed, _now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        if selector(service).is_none() {
            return plan;
        }
        let wanted = endpoints(service, &pods, known.as_deref());
        let place = ObjectKey::of(&service.metadata);
        let announcement = |wanted: &Endpoints| Announcement::about(MANAGER, wanted);
        match known {
            None => {
                let note = format!("Failed to create endpoint for service {place}: {{}}");
                let announcement = announcement(&wanted).failed("FailedToCreateEndpoint", note);
                plan.then(Wish::from(Request::create(wanted)).announced(announcement));
            }
            Some(known) if *known != wanted => {
                let note = format!("Failed to update endpoint {place}: {{}}");
                let announcement = announcement(&wanted).failed("FailedToUpdateEndpoint", note);
                plan.then(Wish::from(Request::update(wanted)).announced(announcement));
            }
            Some(_) => {}
        }
        plan
    }

    fn plan_gone(&self, key: &ObjectKey, world: &World, _now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        if let Some(endpoints) = same_name(Some(key.namespace()), Some(key.name()), world) {
            plan.then(Request::delete(&*endpoints));
        }
        plan
    }
}

fn same_name(namespace: Option<&str>, name: Option<&str>, world: &World) -> Option<Arc<Endpoints>> {
    world.get(namespace.unwrap_or(""), name.unwrap_or(""))
}

/// The Service of the same name, if there is one; Endpoints without a Service are nobody's business.
fn service_of(endpoints: &Endpoints, world: &World) -> Vec<ObjectKey> {
    let key = ObjectKey::of(&endpoints.metadata);
    let service = world.get::<Service>(key.namespace(), key.name());
    service.map(|_| key).into_iter().collect()
}

fn endpoints(service: &Service, pods: &[Arc<Pod>], known: Option<&Endpoints>) -> Endpoints {
    let (subsets, truncated) = subsets(service, pods);
    let mut metadata = known.map_or_else(
        || ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        |known| known.metadata.clone(),
    );
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS);
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    metadata.labels = Some(labels);
    if truncated {
        metadata.annotations.get_or_insert_default().insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
    } else if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(OVER_CAPACITY);
    }
    Endpoints { metadata, subsets: Some(subsets).filter(|subsets| !subsets.is_empty()) }
}

/// Addresses by the ports they have, ready and not ready apart; and whether there were too many. Source: `RepackSubsets`.
fn subsets(service: &Service, pods: &[Arc<Pod>]) -> (Vec<EndpointSubset>, bool) {
    let any = publishes_not_ready(service);
    let reachable = pods.iter().filter(|pod| is_reachable(pod, any));
    let mut reachable: Vec<_> = reachable.filter_map(|pod| Some((pod, address_of(service, pod)?))).collect();
    let truncated = reachable.len() > ADDRESSES_MAX;
    if truncated {
        reachable.sort_by_key(|(pod, _)| !pods::is_ready(pod));
        reachable.truncate(ADDRESSES_MAX);
    }
    reachable.sort_by(|(_, one), (_, other)| one.ip.cmp(&other.ip));
    let mut by_ports = BTreeMap::<_, (Vec<EndpointPort>, Vec<_>, Vec<_>)>::new();
    for (pod, address) in reachable {
        let ports = ports_of(service, pod);
        let bare =
            is_headless(service) && spec_of(service).is_some_and(|spec| spec.ports.iter().flatten().next().is_none());
        if ports.is_empty() && !bare {
            continue;
        }
        let order: Vec<_> = ports.iter().map(|port| (port.port, port.name.clone(), port.protocol.clone())).collect();
        let (_, ready, not_ready) = by_ports.entry(order).or_insert_with(|| (ports, Vec::new(), Vec::new()));
        if any || pods::is_ready(pod) { ready.push(address) } else { not_ready.push(address) }
    }
    let subset = |(ports, ready, not_ready)| EndpointSubset {
        addresses: non_empty(ready),
        not_ready_addresses: non_empty(not_ready),
        ports: non_empty(ports),
    };
    (by_ports.into_values().map(subset).collect(), truncated)
}

fn address_of(service: &Service, pod: &Pod) -> Option<EndpointAddress> {
    let spec = spec_of(service);
    let family = spec.and_then(|spec| spec.ip_families.as_ref()?.first()).map(String::as_str);
    let cluster_ip = spec.and_then(|spec| spec.cluster_ip.as_deref()).unwrap_or("");
    let ipv6 = family == Some("IPv6") || family.is_none() && is_ipv6(cluster_ip);
    let ip = addresses(pod).find(|address| is_ipv6(address) == ipv6)?.to_owned();
    let node_name = Some(pods::node_name(pod).to_owned()).filter(|node| !node.is_empty());
    let hostname = hostname(pod, service).cloned();
    Some(EndpointAddress { hostname, ip, node_name, target_ref: Some(reference_to(pod)) })
}

fn ports_of(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let ports = resolved(service, pod).map(|(port, number)| EndpointPort {
        app_protocol: port.app_protocol.clone(),
        name: port.name.clone().filter(|name| !name.is_empty()),
        port: number,
        protocol: Some(super::protocol(port.protocol.as_deref()).to_owned()),
    });
    ports.collect()
}

fn non_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
