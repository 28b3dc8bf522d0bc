//! A Service becomes addresses. There is no service proxy here, so a Service's own address answers nobody: its ready
//! endpoints are called instead. Source: apiserver `util/proxy.ResolveEndpoint`.

use std::net::SocketAddr;
use std::sync::Arc;

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
    let mut addresses = Vec::new();
    for slice in slices(world, namespace, name) {
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

/// The slices of a Service.
pub(crate) fn slices<'a>(
    world: &'a World,
    namespace: &str,
    name: &'a str,
) -> impl Iterator<Item = Arc<EndpointSlice>> + use<'a> {
    world.list_in::<EndpointSlice>(namespace).filter(move |slice| {
        let labels = slice.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get("kubernetes.io/service-name")).is_some_and(|owner| owner == name)
    })
}

#[cfg(test)]
mod tests {
    use coracle_core::Kinds;
    use serde_json::{Value, json};

    use super::*;

    fn world() -> World {
        let mut world = World::new(Kinds::builtin());
        let metadata =
            |name: &str| json!({"namespace": "a", "name": name, "labels": {"kubernetes.io/service-name": "s"}});
        let service = |name: &str, spec: Value| {
            serde_json::from_value::<Service>(json!({"metadata": metadata(name), "spec": spec}))
        };
        let ports = json!([{"name": "web", "port": 443, "targetPort": "tls"}, {"name": "other", "port": 80}]);
        world.insert(service("s", json!({"ports": ports})).unwrap()).unwrap();
        world.insert(service("empty", json!({"ports": ports})).unwrap()).unwrap();
        world.insert(service("away", json!({"type": "ExternalName", "externalName": "b.c"})).unwrap()).unwrap();
        let slice = json!({
            "metadata": metadata("s-1"), "addressType": "IPv4",
            "ports": [{"name": "web", "port": 8443}, {"name": "other", "port": 8080}],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": true}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
                {"addresses": ["10.0.0.3"]},
            ],
        });
        world.insert(serde_json::from_value::<EndpointSlice>(slice).unwrap()).unwrap();
        world
    }

    #[test]
    fn a_service_is_its_ready_endpoints() {
        let world = world();
        let addresses = ["10.0.0.1:8443", "10.0.0.3:8443"].map(|address| address.parse().unwrap());
        assert_eq!(service(&world, "a", "s", 443), Ok(Resolved::Addresses(addresses.to_vec())));
        assert_eq!(service(&world, "a", "away", 443), Ok(Resolved::Host("b.c".to_owned())));
        for (name, port, expected) in [
            ("none", 443, "service \"none\" not found"),
            ("s", 444, "no service port 444 found for service \"s\""),
            ("empty", 443, "no endpoints available for service \"empty\""),
        ] {
            assert_eq!(service(&world, "a", name, port), Err(expected.to_owned()));
        }
    }
}
