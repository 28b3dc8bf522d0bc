//! A Service becomes addresses. There is no service proxy here, so a Service's own address answers nobody: its ready
//! endpoints are called instead. Source: apiserver `util/proxy.ResolveEndpoint`.

use std::net::SocketAddr;

use coracle_core::World;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

/// Where a Service's port can be reached, or the host it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// Ready endpoints.
    Addresses(Vec<SocketAddr>),
    /// The name of a Service of type ExternalName.
    Host(String),
}

/// Finds the endpoints of a Service's port.
///
/// # Errors
/// What is missing.
pub(crate) fn service(world: &World, namespace: &str, name: &str, port: u16) -> Result<Resolved, String> {
    let service = world.get::<Service>(namespace, name).ok_or_else(|| format!("service {name:?} not found"))?;
    let spec = service.spec.clone().unwrap_or_default();
    if spec.type_.as_deref() == Some("ExternalName") {
        return Ok(Resolved::Host(spec.external_name.unwrap_or_default()));
    }
    let found = spec.ports.iter().flatten().find(|found| found.port == i32::from(port));
    let found = found.ok_or_else(|| format!("no service port {port} found for service {name:?}"))?;
    let addresses = endpoints(world, namespace, name, found.name.as_deref().unwrap_or(""));
    if addresses.is_empty() {
        Err(format!("no endpoints available for service {name:?}"))
    } else {
        Ok(Resolved::Addresses(addresses))
    }
}

/// The ready endpoints of a Service's named port.
pub(crate) fn endpoints(world: &World, namespace: &str, name: &str, port: &str) -> Vec<SocketAddr> {
    let slices = world.list_in::<EndpointSlice>(namespace).filter(|slice| {
        let labels = slice.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get("kubernetes.io/service-name")).is_some_and(|owner| owner == name)
    });
    let mut addresses = Vec::new();
    for slice in slices {
        let numbers = slice.ports.iter().flatten().filter(|found| found.name.as_deref().unwrap_or("") == port);
        let numbers: Vec<u16> = numbers.filter_map(|found| u16::try_from(found.port?).ok()).collect();
        let ready =
            slice.endpoints.iter().flatten().filter(|endpoint| {
                endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
            });
        let ips = ready.flat_map(|endpoint| &endpoint.addresses).filter_map(|address| address.parse().ok());
        addresses.extend(ips.flat_map(|ip| numbers.iter().map(move |number| SocketAddr::new(ip, *number))));
    }
    addresses
}
