//! EndpointSlices: at most a hundred endpoints each, and as few of them rewritten as possible.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::{Event, ObjectKey, Request, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::hints::hints;
use super::{
    HEADLESS, addresses, hostname, is_headless, is_ipv6, is_reachable, publishes_not_ready, reference_to, resolved,
    selected, selector, services_of, services_of_change, spec_of,
};
use crate::ownership::controller_reference;
use crate::plan::{Announcement, Plan, Wish};
use crate::planner::Planner;
use crate::pods;
use crate::watches::Watches;

/// Endpoints in a slice at most. Source: `--max-endpoints-per-slice`.
const SLICE_ENDPOINTS_MAX: usize = 100;

pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
/// The name in events.
const REPORTER: &str = "endpoint-slice-controller";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Keeps the EndpointSlices of Services that select pods.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointSlices;

/// What there is of one Service.
#[derive(Debug)]
pub struct Observed {
    /// Pods that traffic may go to, each with the zone of its node.
    pods: Vec<(Arc<Pod>, Option<String>)>,
    /// Slices of this Service that this controller made.
    slices: Vec<Arc<EndpointSlice>>,
}

/// The endpoints that share their ports, by pod key.
type Group = BTreeMap<String, Endpoint>;

impl Planner for EndpointSlices {
    type Kind = Service;
    type Observed = Observed;

    fn name(&self) -> &'static str {
        "endpointslice-controller"
    }

    fn watches(&self, on: &mut Watches<Service>) {
        on.changes::<Pod>(services_of_change).map(service_of_slice).changes::<Node>(services_on);
    }

    fn observe(&self, service: &Service, world: &World) -> Observed {
        let any = publishes_not_ready(service);
        let pods = selected(service, world).into_iter().filter(|pod| is_reachable(pod, true));
        let placed = pods.filter_map(|pod| match pods::node_name(&pod) {
            "" => Some((pod, None)),
            name => match world.get::<Node>("", name) {
                Some(node) => Some((pod, zone_of(&node).map(str::to_owned))),
                // A pod on a node that nobody knows (yet) is not to be trusted.
                None => any.then_some((pod, None)),
            },
        });
        let uid = service.metadata.uid.as_deref().unwrap_or("");
        let own = |slice: &Arc<EndpointSlice>| {
            label(&slice.metadata, MANAGED_BY) == Some(MANAGER) && slice.metadata.deletion_timestamp.is_none()
        };
        Observed { pods: placed.collect(), slices: world.owned_by(uid).filter(own).collect() }
    }

    fn plan(&self, service: &Service, observed: Observed, _now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        if selector(service).is_none() {
            // From now on they are somebody else's, as they are.
            return plan;
        }
        let types = address_types(service);
        let (wanted, others): (Vec<_>, Vec<_>) =
            observed.slices.into_iter().partition(|slice| types.contains(&slice.address_type.as_str()));
        plan.together(others.iter().map(|slice| deletion(service, slice)));
        for address_type in types {
            let slices = wanted.iter().filter(|slice| slice.address_type == address_type).cloned().collect();
            let groups = groups_of(service, &observed.pods, address_type);
            Packing::new(service, address_type).pack(groups, slices).request(&mut plan);
        }
        plan
    }
}

/// The families a Service has addresses of. Source: `getAddressTypesForService`.
fn address_types(service: &Service) -> Vec<&'static str> {
    let spec = spec_of(service);
    let families = spec.into_iter().flat_map(|spec| spec.ip_families.iter().flatten());
    let types: Vec<_> = families.map(|family| if family == "IPv6" { "IPv6" } else { "IPv4" }).collect();
    let address = spec.and_then(|spec| spec.cluster_ip.as_deref()).unwrap_or("");
    match types.is_empty() {
        false => types,
        true if is_ipv6(address) => vec!["IPv6"],
        true => vec!["IPv4"],
    }
}

/// The endpoints of a Service by the ports they have.
fn groups_of(
    service: &Service,
    pods: &[(Arc<Pod>, Option<String>)],
    address_type: &str,
) -> Vec<(Vec<EndpointPort>, Group)> {
    let mut groups: Vec<(Vec<EndpointPort>, Group)> = Vec::new();
    for (pod, zone) in pods {
        let of_type = addresses(pod).filter(|address| is_ipv6(address) == (address_type == "IPv6"));
        let of_type: Vec<_> = of_type.map(str::to_owned).collect();
        if of_type.is_empty() {
            continue;
        }
        let ports = ports_of(service, pod);
        let index = groups.iter().position(|(known, _)| *known == ports).unwrap_or_else(|| {
            groups.push((ports, Group::new()));
            groups.len() - 1
        });
        let endpoint = endpoint_of(service, pod, zone.clone(), of_type);
        if let Some((_, group)) = groups.get_mut(index) {
            group.insert(pod.metadata.uid.clone().unwrap_or_default(), endpoint);
        }
    }
    groups
}

fn ports_of(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let ports = resolved(service, pod).map(|(port, number)| EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(number),
        protocol: Some(super::protocol(port.protocol.as_deref()).to_owned()),
        app_protocol: port.app_protocol.clone(),
    });
    ports.collect()
}

/// Source: `podToEndpoint`.
fn endpoint_of(service: &Service, pod: &Pod, zone: Option<String>, addresses: Vec<String>) -> Endpoint {
    let serving = pods::is_ready(pod);
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let ready = publishes_not_ready(service) || (serving && !terminating);
    let endpoint = Endpoint {
        addresses,
        conditions: Some(EndpointConditions {
            ready: Some(ready),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: hostname(pod, service).cloned(),
        node_name: Some(pods::node_name(pod).to_owned()).filter(|node| !node.is_empty()),
        target_ref: Some(reference_to(pod)),
        zone,
        ..Endpoint::default()
    };
    Endpoint { hints: hints(service, &endpoint), ..endpoint }
}

/// Endpoints on their way into slices. Source: `reconcileByPortMapping`.
struct Packing<'a> {
    service: &'a Service,
    address_type: &'static str,
    /// Each as it was, if it was there, and as it shall be.
    slices: Vec<(Option<Arc<EndpointSlice>>, EndpointSlice)>,
    unneeded: Vec<Arc<EndpointSlice>>,
}

impl<'a> Packing<'a> {
    fn new(service: &'a Service, address_type: &'static str) -> Self {
        Self { service, address_type, slices: Vec::new(), unneeded: Vec::new() }
    }

    fn pack(mut self, groups: Vec<(Vec<EndpointPort>, Group)>, mut known: Vec<Arc<EndpointSlice>>) -> Self {
        for (ports, group) in groups {
            let same = |slice: &mut Arc<EndpointSlice>| slice.ports.as_deref().unwrap_or(&[]) == ports;
            let slices = known.extract_if(.., same).collect();
            self.pack_group(&ports, group, slices);
        }
        self.unneeded.extend(known);
        if self.slices.is_empty() {
            // People see that someone has looked.
            let placeholder = self.new_slice(Vec::new(), None);
            self.slices.push((None, placeholder));
        }
        self
    }

    fn pack_group(&mut self, ports: &[EndpointPort], mut group: Group, known: Vec<Arc<EndpointSlice>>) {
        let mut slices: Vec<_> = known.into_iter().map(|slice| self.freshen(slice, &mut group)).collect();
        let mut rest: Vec<_> = group.into_values().collect();
        // First into slices that are to be written anyway, the fullest first.
        let room = |slice: &EndpointSlice| SLICE_ENDPOINTS_MAX - count(slice).min(SLICE_ENDPOINTS_MAX);
        slices.sort_by_key(|(before, after)| (before.as_deref() == Some(after), room(after)));
        let written = slices.partition_point(|(before, after)| before.as_deref() != Some(after));
        for (_, slice) in slices.iter_mut().take(written) {
            let taken = room(slice).min(rest.len());
            slice.endpoints.get_or_insert_default().extend(rest.drain(..taken));
        }
        // Then into new ones, as long as they become full; what is left over into the fullest other one that has room for all of it.
        let whole = rest.len() / SLICE_ENDPOINTS_MAX * SLICE_ENDPOINTS_MAX;
        let mut left_over = rest.split_off(whole);
        if !left_over.is_empty()
            && let Some((_, slice)) = slices.iter_mut().skip(written).find(|(_, slice)| room(slice) >= left_over.len())
        {
            slice.endpoints.get_or_insert_default().append(&mut left_over);
        }
        rest.append(&mut left_over);
        while !rest.is_empty() {
            let endpoints = rest.drain(..rest.len().min(SLICE_ENDPOINTS_MAX)).collect();
            slices.push((None, self.new_slice(endpoints, Some(ports.to_vec()))));
        }
        for (before, after) in slices {
            match before {
                Some(before) if count(&after) == 0 => self.unneeded.push(before),
                before => self.slices.push((before, after)),
            }
        }
    }

    /// The slice with those of its endpoints that are still wanted, as they are now; they are taken out of `group`.
    fn freshen(&self, slice: Arc<EndpointSlice>, group: &mut Group) -> (Option<Arc<EndpointSlice>>, EndpointSlice) {
        let mut after = self.relabelled(&slice);
        let uid =
            |endpoint: &Endpoint| endpoint.target_ref.as_ref().and_then(|pod| pod.uid.clone()).unwrap_or_default();
        let known = after.endpoints.take().unwrap_or_default();
        after.endpoints = Some(known.iter().filter_map(|endpoint| group.remove(&uid(endpoint))).collect());
        (Some(slice), after)
    }

    fn new_slice(&self, endpoints: Vec<Endpoint>, ports: Option<Vec<EndpointPort>>) -> EndpointSlice {
        let address_type = self.address_type.to_owned();
        EndpointSlice { address_type, endpoints: Some(endpoints), metadata: self.metadata(), ports }
    }

    fn relabelled(&self, slice: &EndpointSlice) -> EndpointSlice {
        let mut after = slice.clone();
        after.metadata.labels = self.metadata().labels;
        after
    }

    /// Source: `newEndpointSlice`, `setEndpointSliceLabels`.
    fn metadata(&self) -> ObjectMeta {
        let service = &self.service.metadata;
        let name = service.name.clone().unwrap_or_default();
        let mut labels = service.labels.clone().unwrap_or_default();
        labels.remove(HEADLESS);
        if is_headless(self.service) {
            labels.insert(HEADLESS.to_owned(), String::new());
        }
        labels.insert(SERVICE_NAME.to_owned(), name.clone());
        labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
        ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: service.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![controller_reference(self.service)]),
            ..ObjectMeta::default()
        }
    }

    /// Source: `finalize`.
    fn request(mut self, plan: &mut Plan) {
        let leaving = self.service.metadata.deletion_timestamp.is_some();
        for index in 0..self.slices.len() {
            self.reuse(index);
        }
        let requests = self.slices.into_iter().filter_map(|(before, after)| match before {
            None => (!leaving).then(|| creation(self.service, after)),
            Some(before) if same(&before, &after) => None,
            Some(_) => Some(update(self.service, after)),
        });
        let deletions = self.unneeded.iter().map(|slice| deletion(self.service, slice));
        plan.together(requests.chain(deletions).collect::<Vec<_>>());
    }

    /// Makes a slice that nobody needs into one that is to be created, so that readers see one change instead of two.
    fn reuse(&mut self, index: usize) {
        let Some((before @ None, after)) = self.slices.get_mut(index) else { return };
        let Some(spare) = self.unneeded.pop() else { return };
        let labels = after.metadata.labels.take();
        after.metadata = ObjectMeta { labels, ..spare.metadata.clone() };
        *before = Some(spare);
    }
}

fn creation(service: &Service, slice: EndpointSlice) -> Wish {
    Wish::from(Request::create(slice)).announced(announcement(service, "create"))
}

fn update(service: &Service, slice: EndpointSlice) -> Wish {
    let what = format!("update {}", slice.metadata.name.as_deref().unwrap_or(""));
    Wish::from(Request::update(slice)).announced(announcement(service, &what))
}

fn deletion(service: &Service, slice: &EndpointSlice) -> Wish {
    let what = format!("delete {}", slice.metadata.name.as_deref().unwrap_or(""));
    Wish::from(Request::delete(slice)).announced(announcement(service, &what))
}

fn announcement(service: &Service, what: &str) -> Announcement {
    let place = ObjectKey::of(&service.metadata);
    let note = format!(
        "Error updating Endpoint Slices for Service {place}: failed to {what} EndpointSlice for Service {place}: {{}}"
    );
    Announcement::about(REPORTER, service).failed("FailedToUpdateEndpointSlices", note)
}

fn count(slice: &EndpointSlice) -> usize {
    slice.endpoints.as_ref().map_or(0, Vec::len)
}

/// Whether two versions say the same; absent and empty lists do.
pub(super) fn same(one: &EndpointSlice, other: &EndpointSlice) -> bool {
    fn list<T>(list: Option<&Vec<T>>) -> &[T] {
        list.map_or(&[], Vec::as_slice)
    }
    one.metadata == other.metadata
        && list(one.endpoints.as_ref()) == list(other.endpoints.as_ref())
        && list(one.ports.as_ref()) == list(other.ports.as_ref())
}

pub(super) fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}

fn zone_of(node: &Node) -> Option<&str> {
    label(&node.metadata, ZONE).filter(|zone| !zone.is_empty())
}

/// The Service that a slice of this controller belongs to.
fn service_of_slice(slice: &EndpointSlice, _: &World) -> Vec<ObjectKey> {
    let own = label(&slice.metadata, MANAGED_BY) == Some(MANAGER);
    let service = label(&slice.metadata, SERVICE_NAME).filter(|_| own);
    let namespace = slice.metadata.namespace.as_deref().unwrap_or("");
    service.map(|service| ObjectKey::new(namespace, service)).into_iter().collect()
}

/// The Services with pods on a node that has come, gone, or moved to another zone.
fn services_on(event: &Event, world: &World) -> Vec<ObjectKey> {
    let zone = |node: &Node| zone_of(node).map(str::to_owned);
    let now = event.object.get::<Node>().map(zone);
    let before = event.previous.as_ref().and_then(|previous| previous.get::<Node>()).map(zone);
    if !event.deleted && now == before {
        return Vec::new();
    }
    let pods = world.pods_on(event.object.name()).filter_map(|pod| pod.get::<Pod>());
    pods.flat_map(|pod| services_of(pod, world)).collect()
}
