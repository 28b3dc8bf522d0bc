//! What every cluster has before anyone asks: its namespaces, its own Service, the system's priority classes; if it serves,
//! also the default roles, and the levels and schemas of priority and fairness.

use std::net::SocketAddr;

use coracle_api::fairness::keep::defaults_to_keep;
use coracle_core::rbac::{complete_binding, complete_role, default_bindings, default_roles};
use coracle_core::{Gateway, Request, Status};
use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Namespace, Service, ServicePort, ServiceSpec,
};
use k8s_openapi::api::discovery::v1::{self as discovery, Endpoint, EndpointConditions, EndpointSlice};
use k8s_openapi::api::networking::v1::{ServiceCIDR, ServiceCIDRSpec};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Creates what is missing; leaves what is there as it is, but for default roles that lack something.
///
/// # Errors
/// If the store fails.
pub(crate) async fn bootstrap(
    gateway: &dyn Gateway,
    definitions: Vec<CustomResourceDefinition>,
    endpoint: Option<SocketAddr>,
) -> Result<(), Status> {
    let namespaces =
        NAMESPACES.into_iter().map(|name| Request::create(Namespace { metadata: named(name), ..Namespace::default() }));
    create_all(gateway, namespaces.collect()).await?;
    let mut requests = vec![
        Request::create(kubernetes_service()),
        Request::create(service_network()),
        Request::create(priority_class("system-cluster-critical", 2_000_000_000)),
        Request::create(priority_class("system-node-critical", 2_000_001_000)),
    ];
    if endpoint.is_some() {
        let world = gateway.feed().world();
        let roles = default_roles().into_iter().filter_map(|role| {
            match world.get("", role.metadata.name.as_deref().unwrap_or("")) {
                None => Some(Request::create(role)),
                Some(there) => complete_role(&there, &role).map(Request::update),
            }
        });
        let bindings = default_bindings().into_iter().filter_map(|binding| {
            match world.get("", binding.metadata.name.as_deref().unwrap_or("")) {
                None => Some(Request::create(binding)),
                Some(there) => complete_binding(&there, &binding).map(Request::update),
            }
        });
        requests.extend(roles.chain(bindings));
        requests.extend(defaults_to_keep(&world));
    }
    // Nobody else can call a loopback address, so the Service has no endpoint then, as upstream.
    let endpoint = endpoint.filter(|endpoint| !endpoint.ip().is_loopback());
    requests.extend(endpoint.into_iter().flat_map(|endpoint| [endpoints(endpoint), endpoint_slice(endpoint)]));
    requests.extend(definitions.into_iter().map(Request::create));
    create_all(gateway, requests).await
}

async fn create_all(gateway: &dyn Gateway, requests: Vec<Request>) -> Result<(), Status> {
    for answer in gateway.execute_all(requests).await {
        match answer {
            Err(status) if !status.is_already_exists() => return Err(status),
            _ => {}
        }
    }
    Ok(())
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

fn kubernetes_service() -> Service {
    let labels = [("component", "apiserver"), ("provider", "kubernetes")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let port = ServicePort {
        name: Some("https".to_owned()),
        port: 443,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::Int(6443)),
        ..ServicePort::default()
    };
    Service {
        metadata: ObjectMeta { namespace: Some("default".to_owned()), labels: Some(labels), ..named("kubernetes") },
        spec: Some(ServiceSpec {
            cluster_ip: Some("10.96.0.1".to_owned()),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// Where the API listens: upstream's API server keeps these by itself, since the Service has no selector.
fn endpoints(address: SocketAddr) -> Request {
    let port = EndpointPort {
        name: Some("https".to_owned()),
        port: address.port().into(),
        protocol: Some("TCP".to_owned()),
        ..EndpointPort::default()
    };
    let subset = EndpointSubset {
        addresses: Some(vec![EndpointAddress { ip: address.ip().to_string(), ..EndpointAddress::default() }]),
        ports: Some(vec![port]),
        ..EndpointSubset::default()
    };
    let labels = [("endpointslice.kubernetes.io/skip-mirror".to_owned(), "true".to_owned())].into();
    let metadata = ObjectMeta { namespace: Some("default".to_owned()), labels: Some(labels), ..named("kubernetes") };
    Request::create(Endpoints { metadata, subsets: Some(vec![subset]) })
}

fn endpoint_slice(address: SocketAddr) -> Request {
    let labels = [("kubernetes.io/service-name".to_owned(), "kubernetes".to_owned())].into();
    let conditions = EndpointConditions { ready: Some(true), ..EndpointConditions::default() };
    let endpoint =
        Endpoint { addresses: vec![address.ip().to_string()], conditions: Some(conditions), ..Endpoint::default() };
    let port = discovery::EndpointPort {
        name: Some("https".to_owned()),
        port: Some(address.port().into()),
        protocol: Some("TCP".to_owned()),
        ..discovery::EndpointPort::default()
    };
    Request::create(EndpointSlice {
        metadata: ObjectMeta { namespace: Some("default".to_owned()), labels: Some(labels), ..named("kubernetes") },
        address_type: if address.is_ipv4() { "IPv4" } else { "IPv6" }.to_owned(),
        endpoints: Some(vec![endpoint]),
        ports: Some(vec![port]),
    })
}

fn service_network() -> ServiceCIDR {
    let spec = ServiceCIDRSpec { cidrs: Some(vec!["10.96.0.0/16".to_owned()]) };
    ServiceCIDR { metadata: named("kubernetes"), spec: Some(spec), status: None }
}

fn priority_class(name: &str, value: i32) -> PriorityClass {
    let description = match name {
        "system-node-critical" => "Used for system critical pods that must not be moved from their current node.",
        _ => {
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."
        }
    };
    PriorityClass {
        metadata: named(name),
        value: value.into(),
        description: Some(description.to_owned()),
        ..PriorityClass::default()
    }
}
