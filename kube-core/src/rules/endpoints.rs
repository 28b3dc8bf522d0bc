//! Endpoints.

use super::check::{items, text};
use super::{Ruled, fill, same};
use crate::field::{Errors, Path};
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints};

impl Ruled for Endpoints {
    fn fill_defaults(&mut self) {
        for port in self.subsets.iter_mut().flatten().flat_map(|subset| &mut subset.ports).flatten() {
            fill::text(&mut port.protocol, "TCP");
        }
    }

    fn validate(&self, errors: &mut Errors) {
        for (index, subset) in items(&self.subsets).iter().enumerate() {
            validate_subset(subset, &Path::new("subsets").index(index), errors);
        }
    }

    /// What did not change is not looked at again.
    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        if !same(&self.subsets, &old.subsets) {
            self.validate(errors);
        }
    }
}

fn validate_subset(subset: &EndpointSubset, path: &Path, errors: &mut Errors) {
    let (ready, not_ready, ports) =
        (items(&subset.addresses), items(&subset.not_ready_addresses), items(&subset.ports));
    if ready.is_empty() && not_ready.is_empty() {
        errors.required(path, "must specify `addresses` or `notReadyAddresses`");
    }
    for (field, addresses) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
        for (index, address) in addresses.iter().enumerate() {
            validate_address(address, &path.field(field).index(index), errors);
        }
    }
    for (index, port) in ports.iter().enumerate() {
        validate_port(port, ports.len() > 1, &path.field("ports").index(index), errors);
    }
}

fn validate_address(address: &EndpointAddress, path: &Path, errors: &mut Errors) {
    errors.ip_address(&path.field("ip"), &address.ip);
    if !text(&address.hostname).is_empty() {
        errors.dns_label(&path.field("hostname"), text(&address.hostname));
    }
    if let Some(node) = &address.node_name {
        errors.dns_subdomain(&path.field("nodeName"), node);
    }
    errors.endpoint_ip(&path.field("ip"), &address.ip, address.target_ref.as_ref());
}

fn validate_port(port: &EndpointPort, name_needed: bool, path: &Path, errors: &mut Errors) {
    let name = text(&port.name);
    if !name.is_empty() {
        errors.dns_label(&path.field("name"), name);
    } else if name_needed {
        errors.required(&path.field("name"), "");
    }
    errors.port(&path.field("port"), port.port);
    errors.given_one_of(&path.field("protocol"), text(&port.protocol), &["SCTP", "TCP", "UDP"]);
    if let Some(protocol) = &port.app_protocol {
        errors.qualified_name(&path.field("appProtocol"), protocol);
    }
}
