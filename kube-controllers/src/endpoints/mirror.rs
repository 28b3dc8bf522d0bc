//! Endpoints that are made by hand, as slices: for readers who know only these. Source: `pkg/controller/endpointslicemirroring`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use coracle_core::{Happening, ObjectKey, Request, Severity, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointSubset, Endpoints, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::selector;
use super::slices::{MANAGED_BY, SERVICE_NAME, label, same};
use crate::ownership::controller_reference;
use crate::plan::Plan;
use crate::planner::Planner;
use crate::watches::Watches;

/// The name in events.
const REPORTER: &str = "endpoint-slice-mirroring-controller";
const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// Addresses of one subset that are mirrored. Source: `--mirroring-max-endpoints-per-subset`.
const SUBSET_ADDRESSES_MAX: usize = 1000;
/// Marks Endpoints that are not to be mirrored.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// Marks objects of old that leaders are elected by.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// Annotations that tell of the Endpoints themselves.
const OWN_ANNOTATIONS: [&str; 2] =
    ["endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration"];

/// Keeps a slice for each family and set of ports of Endpoints whose Service selects no pods.
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointSliceMirroring;

/// What there is of one Endpoints object.
#[derive(Debug)]
pub struct Observed {
    service: Option<Arc<Service>>,
    slices: Vec<Arc<EndpointSlice>>,
}

/// Endpoints by address, of one family and one set of ports.
type Groups = BTreeMap<(&'static str, String), (Vec<EndpointPort>, BTreeMap<String, Endpoint>)>;

impl Planner for EndpointSliceMirroring {
    type Kind = Endpoints;
    type Observed = Observed;

    fn name(&self) -> &'static str {
        "endpointslicemirroring-controller"
    }

    fn watches(&self, on: &mut Watches<Endpoints>) {
        on.map(|service: &Service, _: &World| vec![ObjectKey::of(&service.metadata)]).map(endpoints_of);
    }

    fn observe(&self, endpoints: &Endpoints, world: &World) -> Observed {
        let key = ObjectKey::of(&endpoints.metadata);
        Observed { service: world.get(key.namespace(), key.name()), slices: slices_of(&key, world) }
    }

    fn plan(&self, endpoints: &Endpoints, observed: Observed, _now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        if endpoints.metadata.deletion_timestamp.is_some() {
            return plan;
        }
        let mirrors = is_mirrored(endpoints) && observed.service.is_some_and(|service| selector(&service).is_none());
        let groups = if mirrors { groups(endpoints, &mut plan) } else { Groups::new() };
        let mut known = observed.slices;
        let mut requests = Vec::new();
        for ((family, _), (ports, members)) in groups {
            let is_it = |slice: &Arc<EndpointSlice>| {
                slice.address_type == family && slice.ports.as_deref().unwrap_or(&[]) == ports
            };
            let before = known.iter().position(is_it).map(|index| known.swap_remove(index));
            let wanted = slice(endpoints, family, ports, members.into_values().collect(), before.as_deref());
            match before {
                None => requests.push(Request::create(wanted)),
                Some(before) if !same(&before, &wanted) => requests.push(Request::update(wanted)),
                Some(_) => {}
            }
        }
        requests.extend(known.iter().map(|slice| Request::delete(&**slice)));
        plan.together(requests);
        plan
    }

    fn plan_gone(&self, key: &ObjectKey, world: &World, _now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        plan.together(slices_of(key, world).iter().map(|slice| Request::delete(&**slice)));
        plan
    }
}

/// The slices that mirror these Endpoints.
fn slices_of(key: &ObjectKey, world: &World) -> Vec<Arc<EndpointSlice>> {
    let slices = world.list_in::<EndpointSlice>(key.namespace());
    let own = |slice: &Arc<EndpointSlice>| {
        label(&slice.metadata, MANAGED_BY) == Some(MANAGER) && label(&slice.metadata, SERVICE_NAME) == Some(key.name())
    };
    slices.filter(own).collect()
}

/// The Endpoints that a slice of this controller mirrors.
fn endpoints_of(slice: &EndpointSlice, _: &World) -> Vec<ObjectKey> {
    let own = label(&slice.metadata, MANAGED_BY) == Some(MANAGER);
    let name = label(&slice.metadata, SERVICE_NAME).filter(|_| own);
    let namespace = slice.metadata.namespace.as_deref().unwrap_or("");
    name.map(|name| ObjectKey::new(namespace, name)).into_iter().collect()
}

fn is_mirrored(endpoints: &Endpoints) -> bool {
    let annotations = endpoints.metadata.annotations.as_ref();
    label(&endpoints.metadata, SKIP) != Some("true")
        && annotations.is_none_or(|annotations| !annotations.contains_key(LEADER))
}

/// The addresses of all subsets by family and ports; tells of those that are left out.
fn groups(endpoints: &Endpoints, plan: &mut Plan) -> Groups {
    let (mut groups, mut invalid, mut skipped) = (Groups::new(), 0, 0);
    for subset in endpoints.subsets.iter().flatten() {
        let ports = ports(subset);
        let key = format!("{:?}", ports.iter().map(|port| (port.port, &port.name, &port.protocol)).collect::<Vec<_>>());
        let ready = subset.addresses.iter().flatten().map(|address| (address, true));
        let unready = subset.not_ready_addresses.iter().flatten().map(|address| (address, false));
        let mut added = 0;
        for (address, ready) in ready.chain(unready) {
            if added >= SUBSET_ADDRESSES_MAX {
                skipped += 1;
            } else if let Some((family, endpoint)) = endpoint(address, ready) {
                added += 1;
                let group = groups.entry((family, key.clone())).or_insert_with(|| (ports.clone(), BTreeMap::new()));
                group.1.entry(endpoint.addresses.concat()).or_insert(endpoint);
            } else {
                invalid += 1;
            }
        }
    }
    if invalid > 0 {
        let note = format!("Skipped {invalid} invalid IP addresses when mirroring to EndpointSlices");
        plan.tell(Happening::new(REPORTER, endpoints, Severity::Warning, "InvalidIPAddress", note));
    }
    if skipped > 0 {
        let note = format!(
            "A max of {SUBSET_ADDRESSES_MAX} addresses can be mirrored to EndpointSlices per Endpoints subset. {} \
             addresses were skipped",
            skipped + invalid
        );
        plan.tell(Happening::new(REPORTER, endpoints, Severity::Warning, "TooManyAddressesToMirror", note));
    }
    groups
}

fn ports(subset: &EndpointSubset) -> Vec<EndpointPort> {
    let ports = subset.ports.iter().flatten().map(|port| EndpointPort {
        name: Some(port.name.clone().unwrap_or_default()),
        port: Some(port.port),
        protocol: Some(super::protocol(port.protocol.as_deref()).to_owned()),
        app_protocol: port.app_protocol.clone(),
    });
    ports.collect()
}

/// Source: `addressToEndpoint`.
fn endpoint(address: &EndpointAddress, ready: bool) -> Option<(&'static str, Endpoint)> {
    let ip: IpAddr = address.ip.parse().ok()?;
    let endpoint = Endpoint {
        addresses: vec![ip.to_string()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        target_ref: address.target_ref.clone(),
        node_name: address.node_name.clone(),
        hostname: address.hostname.clone().filter(|hostname| !hostname.is_empty()),
        ..Endpoint::default()
    };
    Some((if ip.is_ipv4() { "IPv4" } else { "IPv6" }, endpoint))
}

/// Source: `newEndpointSlice`.
fn slice(
    endpoints: &Endpoints,
    family: &'static str,
    ports: Vec<EndpointPort>,
    members: Vec<Endpoint>,
    before: Option<&EndpointSlice>,
) -> EndpointSlice {
    let from = &endpoints.metadata;
    let name = from.name.clone().unwrap_or_default();
    let mut labels = from.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME.to_owned(), name.clone());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    let mut annotations = from.annotations.clone().unwrap_or_default();
    annotations.retain(|key, _| !OWN_ANNOTATIONS.contains(&key.as_str()));
    let metadata = before.map_or_else(
        || ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: from.namespace.clone(),
            owner_references: Some(vec![controller_reference(endpoints)]),
            ..ObjectMeta::default()
        },
        |before| before.metadata.clone(),
    );
    EndpointSlice {
        metadata: ObjectMeta {
            labels: Some(labels),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..metadata
        },
        address_type: family.to_owned(),
        endpoints: Some(members),
        ports: Some(ports),
    }
}
