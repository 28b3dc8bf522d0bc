//! EndpointSlice. Hints are not checked.

use super::check::{items, text};
use super::{Ruled, fill, same};
use crate::field::{Errors, Path, format};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};

const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;

impl Ruled for EndpointSlice {
    const HAS_GENERATION: bool = true;

    fn fill_defaults(&mut self) {
        for port in self.ports.iter_mut().flatten() {
            port.name.get_or_insert_default();
            fill::value(&mut port.protocol, "TCP".to_owned());
        }
    }

    fn validate(&self, errors: &mut Errors) {
        errors.given_one_of(&Path::new("addressType"), &self.address_type, &["FQDN", "IPv4", "IPv6"]);
        let path = Path::new("endpoints");
        if items(&self.endpoints).len() > ENDPOINTS_MAX {
            errors.too_many(&path, items(&self.endpoints).len(), ENDPOINTS_MAX);
        } else {
            for (index, endpoint) in items(&self.endpoints).iter().enumerate() {
                validate_endpoint(endpoint, &self.address_type, &path.index(index), errors);
            }
        }
        validate_ports(items(&self.ports), &Path::new("ports"), errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        errors.immutable(&Path::new("addressType"), &self.address_type, &old.address_type);
    }

    fn spec_changed(&self, old: &Self) -> bool {
        !same(&self.endpoints, &old.endpoints)
            || !same(&self.ports, &old.ports)
            || self.metadata.labels != old.metadata.labels
    }
}

fn validate_endpoint(endpoint: &Endpoint, address_type: &str, path: &Path, errors: &mut Errors) {
    let addresses = path.field("addresses");
    if endpoint.addresses.is_empty() {
        errors.required(&addresses, "must contain at least 1 address");
    } else if endpoint.addresses.len() > ADDRESSES_MAX {
        errors.too_many(&addresses, endpoint.addresses.len(), ADDRESSES_MAX);
    }
    for (index, address) in endpoint.addresses.iter().enumerate() {
        let target = endpoint.target_ref.as_ref();
        validate_address(address, address_type, target, &addresses.index(index), errors);
    }
    if let Some(node) = &endpoint.node_name {
        errors.dns_subdomain(&path.field("nodeName"), node);
    }
    errors.labels(&path.field("deprecatedTopology"), &endpoint.deprecated_topology);
    if let Some(hostname) = &endpoint.hostname {
        errors.dns_label(&path.field("hostname"), hostname);
    }
}

fn validate_address(
    address: &str,
    address_type: &str,
    target: Option<&ObjectReference>,
    path: &Path,
    errors: &mut Errors,
) {
    let is_v6 = address.contains(':');
    match address_type {
        "IPv4" | "IPv6" => {
            let messages = format::ip_address(address);
            if messages.is_empty() && is_v6 != (address_type == "IPv6") {
                errors.invalid(path, address, std::format!("must be an {address_type} address"));
            }
            if messages.is_empty() {
                errors.endpoint_ip(path, address, target);
            }
            errors.invalid_each(path, address, messages);
        }
        "FQDN" => {
            let name = address.strip_suffix('.').unwrap_or(address);
            errors.dns_subdomain(path, name);
            if !name.contains('.') {
                errors.invalid(path, name, "should be a domain with at least two segments separated by dots");
            }
        }
        _ => {}
    }
}

fn validate_ports(ports: &[EndpointPort], path: &Path, errors: &mut Errors) {
    if ports.len() > PORTS_MAX {
        return errors.too_many(path, ports.len(), PORTS_MAX);
    }
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(&port.name);
        if !name.is_empty() {
            errors.dns_label(&path.field("name"), name);
        }
        if ports.iter().take(index).any(|earlier| text(&earlier.name) == name) {
            errors.duplicate(&path.field("name"), name);
        }
        errors.given_one_of(&path.field("protocol"), text(&port.protocol), &["SCTP", "TCP", "UDP"]);
        if let Some(protocol) = &port.app_protocol {
            errors.qualified_name(&path.field("appProtocol"), protocol);
        }
    }
}
