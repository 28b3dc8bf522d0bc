//! Services, what stands behind them, and the ways to them.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Endpoints, Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{EndpointPort, EndpointSlice};
use k8s_openapi::api::networking::v1::{
    IPAddress, Ingress, IngressClass, IngressRule, IngressSpec, NetworkPolicy, ServiceCIDR,
};
use serde_json::Value;

use super::age::age;
use super::column::{AGE, NAME, field, string, text};
use super::text::{NONE, UNKNOWN, UNSET, first, given, label_selector, labels, load_balancer, or, plain};
use super::{Printer, printer, row};

/// How many endpoints, ports or hosts are shown before the rest is only counted.
const SHOWN: usize = 3;

pub(super) static SERVICE: Printer = printer!(
    Service,
    service,
    [
        NAME,
        string("Type", field("core.v1.ServiceSpec", "type")),
        string("Cluster-IP", field("core.v1.ServiceSpec", "clusterIP")),
        string("External-IP", field("core.v1.ServiceSpec", "externalIPs")),
        string("Port(s)", field("core.v1.ServiceSpec", "ports")),
        AGE,
        string("Selector", field("core.v1.ServiceSpec", "selector")).wide(),
    ]
);

fn service(service: &Service, now: Timestamp) -> Vec<Value> {
    let no_spec = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&no_spec);
    let ports: Vec<_> = spec.ports.iter().flatten().map(service_port).collect();
    row![
        plain(&service.metadata.name),
        plain(&spec.type_),
        spec.cluster_ips.iter().flatten().next().map_or(NONE, String::as_str),
        external_addresses(service, spec),
        or(&ports.join(","), NONE),
        age(&service.metadata, now),
        labels(spec.selector.as_ref()),
    ]
}

fn service_port(port: &ServicePort) -> String {
    let protocol = plain(&port.protocol);
    match port.node_port {
        Some(node_port) if node_port > 0 => format!("{}:{node_port}/{protocol}", port.port),
        _ => format!("{}/{protocol}", port.port),
    }
}

fn external_addresses(service: &Service, spec: &ServiceSpec) -> String {
    let given = spec.external_ips.iter().flatten().map(String::as_str);
    match plain(&spec.type_) {
        "ClusterIP" | "NodePort" => or(&given.collect::<Vec<_>>().join(","), NONE).to_owned(),
        "LoadBalancer" => {
            let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
            let ingresses = status.and_then(|status| status.ingress.as_ref()).into_iter().flatten();
            let mut addresses = load_balancer(ingresses.map(|ingress| (&ingress.ip, &ingress.hostname)));
            addresses.extend(given);
            or(&addresses.join(","), "<pending>").to_owned()
        }
        "ExternalName" => plain(&spec.external_name).to_owned(),
        _ => UNKNOWN.to_owned(),
    }
}

pub(super) static ENDPOINTS: Printer =
    printer!(Endpoints, endpoints, [NAME, string("Endpoints", field("core.v1.Endpoints", "subsets")), AGE]);

fn endpoints(endpoints: &Endpoints, now: Timestamp) -> Vec<Value> {
    let mut addresses = Vec::new();
    for subset in endpoints.subsets.iter().flatten() {
        let ips = || subset.addresses.iter().flatten().map(|address| address.ip.as_str());
        match subset.ports.as_deref().unwrap_or_default() {
            [] => addresses.extend(ips().map(str::to_owned)),
            ports => addresses.extend(ports.iter().flat_map(|port| ips().map(|ip| host_port(ip, port.port)))),
        }
    }
    let shown = if endpoints.subsets.iter().flatten().next().is_none() {
        NONE.to_owned()
    } else {
        first(&addresses, SHOWN, ",")
    };
    row![plain(&endpoints.metadata.name), shown, age(&endpoints.metadata, now)]
}

fn host_port(ip: &str, port: i32) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

pub(super) static ENDPOINT_SLICE: Printer = printer!(
    EndpointSlice,
    endpoint_slice,
    [
        NAME,
        string("AddressType", field("discovery.v1.EndpointSlice", "addressType")),
        string("Ports", field("discovery.v1.EndpointSlice", "ports")),
        string("Endpoints", field("discovery.v1.EndpointSlice", "endpoints")),
        AGE,
    ]
);

fn endpoint_slice(slice: &EndpointSlice, now: Timestamp) -> Vec<Value> {
    let port = |port: &EndpointPort| match port.port {
        Some(number) => number.to_string(),
        None => given(&port.name, "*").to_owned(),
    };
    let ports: Vec<_> = slice.ports.iter().flatten().map(port).collect();
    let addresses: Vec<_> =
        slice.endpoints.iter().flatten().flat_map(|endpoint| &endpoint.addresses).cloned().collect();
    row![
        plain(&slice.metadata.name),
        slice.address_type.as_str(),
        or(&first(&ports, SHOWN, ","), UNSET),
        or(&first(&addresses, SHOWN, ","), UNSET),
        age(&slice.metadata, now),
    ]
}

pub(super) static INGRESS: Printer = printer!(
    Ingress,
    ingress,
    [
        NAME,
        string("Class", text("The name of the IngressClass resource that should be used for additional configuration")),
        string("Hosts", text("Hosts that incoming requests are matched against before the ingress rule")),
        string("Address", text("Address is a list containing ingress points for the load-balancer")),
        string("Ports", text("Ports of TLS configurations that open")),
        AGE,
    ]
);

fn ingress(ingress: &Ingress, now: Timestamp) -> Vec<Value> {
    let no_spec = IngressSpec::default();
    let spec = ingress.spec.as_ref().unwrap_or(&no_spec);
    let status = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let points = status.and_then(|status| status.ingress.as_ref()).into_iter().flatten();
    row![
        plain(&ingress.metadata.name),
        given(&spec.ingress_class_name, NONE),
        hosts(spec.rules.as_deref().unwrap_or_default()),
        load_balancer(points.map(|point| (&point.ip, &point.hostname))).join(","),
        if spec.tls.as_ref().is_some_and(|tls| !tls.is_empty()) { "80, 443" } else { "80" },
        age(&ingress.metadata, now),
    ]
}

/// The first hosts. Rules without a host count among those not shown, as upstream counts them.
fn hosts(rules: &[IngressRule]) -> String {
    let mut hosts = Vec::new();
    let mut has_more = false;
    for rule in rules {
        has_more |= hosts.len() == SHOWN;
        if !has_more && !plain(&rule.host).is_empty() {
            hosts.push(plain(&rule.host));
        }
    }
    match (hosts.join(","), has_more) {
        (hosts, _) if hosts.is_empty() => "*".to_owned(),
        (hosts, true) => format!("{hosts} + {} more...", rules.len().saturating_sub(SHOWN)),
        (hosts, false) => hosts,
    }
}

pub(super) static INGRESS_CLASS: Printer = printer!(
    IngressClass,
    ingress_class,
    [
        NAME,
        string("Controller", text("Controller that is responsible for handling this class")),
        string("Parameters", text("A reference to a resource with additional parameters")),
        AGE,
    ]
);

fn ingress_class(class: &IngressClass, now: Timestamp) -> Vec<Value> {
    let spec = class.spec.as_ref();
    let parameters = spec.and_then(|spec| spec.parameters.as_ref()).map(|parameters| {
        let group = parameters.api_group.as_ref().map_or_else(String::new, |group| format!(".{group}"));
        format!("{}{group}/{}", parameters.kind, parameters.name)
    });
    row![
        plain(&class.metadata.name),
        spec.map_or("", |spec| plain(&spec.controller)),
        parameters.unwrap_or_else(|| NONE.to_owned()),
        age(&class.metadata, now),
    ]
}

pub(super) static NETWORK_POLICY: Printer = printer!(
    NetworkPolicy,
    network_policy,
    [NAME, string("Pod-Selector", field("networking.v1.NetworkPolicySpec", "podSelector")), AGE]
);

fn network_policy(policy: &NetworkPolicy, now: Timestamp) -> Vec<Value> {
    let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
    row![plain(&policy.metadata.name), label_selector(selector), age(&policy.metadata, now)]
}

pub(super) static SERVICE_CIDR: Printer =
    printer!(ServiceCIDR, service_cidr, [NAME, string("CIDRs", field("networking.v1.ServiceCIDRSpec", "cidrs")), AGE]);

fn service_cidr(ranges: &ServiceCIDR, now: Timestamp) -> Vec<Value> {
    let cidrs = ranges.spec.as_ref().and_then(|spec| spec.cidrs.as_ref());
    row![
        plain(&ranges.metadata.name),
        cidrs.map_or_else(String::new, |cidrs| cidrs.join(",")),
        age(&ranges.metadata, now)
    ]
}

pub(super) static IP_ADDRESS: Printer =
    printer!(IPAddress, ip_address, [NAME, string("ParentRef", field("networking.v1.IPAddressSpec", "parentRef"))]);

fn ip_address(address: &IPAddress, _now: Timestamp) -> Vec<Value> {
    let parent = &address.spec.parent_ref;
    let dot = if plain(&parent.group).is_empty() { "" } else { "." };
    let resource = format!("{}{dot}{}", parent.resource, plain(&parent.group)).to_lowercase();
    let slash = if plain(&parent.namespace).is_empty() { "" } else { "/" };
    row![plain(&address.metadata.name), format!("{resource}{slash}{}/{}", plain(&parent.namespace), parent.name)]
}
