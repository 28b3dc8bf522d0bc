//! Variables that tell a container where services are. Source: kubelet `envvars.FromServices`.

use coracle_core::World;
use k8s_openapi::api::core::v1::{Service, ServicePort};

use super::Environment;

/// Adds the variables of the namespace's services if `links`, and of the API server's service in any case.
pub(super) fn variables(world: &World, namespace: &str, links: bool, environment: &mut Environment) {
    let api_server = world.get::<Service>("default", "kubernetes");
    let of_namespace = links.then(|| world.list_in::<Service>(namespace)).into_iter().flatten();
    api_server.into_iter().chain(of_namespace).for_each(|service| add(&service, environment));
}

fn add(service: &Service, environment: &mut Environment) {
    let Some(spec) = &service.spec else { return };
    let Some(address) = spec.cluster_ip.as_deref().filter(|address| !matches!(*address, "" | "None")) else { return };
    let Some(first) = spec.ports.iter().flatten().next() else { return };
    let name = screaming(service.metadata.name.as_deref().unwrap_or(""));
    environment.set(&format!("{name}_SERVICE_HOST"), address.to_owned());
    environment.set(&format!("{name}_SERVICE_PORT"), first.port.to_string());
    for port in spec.ports.iter().flatten() {
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            environment.set(&format!("{name}_SERVICE_PORT_{}", screaming(port_name)), port.port.to_string());
        }
    }
    environment.set(&format!("{name}_PORT"), url(first, address));
    for port in spec.ports.iter().flatten() {
        let protocol = protocol(port);
        let prefix = format!("{name}_PORT_{}_{protocol}", port.port);
        environment.set(&prefix, url(port, address));
        environment.set(&format!("{prefix}_PROTO"), protocol.to_lowercase());
        environment.set(&format!("{prefix}_PORT"), port.port.to_string());
        environment.set(&format!("{prefix}_ADDR"), address.to_owned());
    }
}

fn protocol(port: &ServicePort) -> String {
    port.protocol.as_deref().unwrap_or("TCP").to_uppercase()
}

fn url(port: &ServicePort, address: &str) -> String {
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    format!("{}://{host}:{}", protocol(port).to_lowercase(), port.port)
}

fn screaming(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
