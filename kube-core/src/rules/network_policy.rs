//! NetworkPolicy.

use super::check::items;
use super::{Ruled, fill, spec_only};
use crate::field::{Errors, Json, Path, format};
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use std::net::IpAddr;

const TYPES: &[&str] = &["Ingress", "Egress"];

impl Ruled for NetworkPolicy {
    spec_only!();

    fn fill_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        let incoming = spec.ingress.iter_mut().flatten().flat_map(|rule| &mut rule.ports);
        let outgoing = spec.egress.iter_mut().flatten().flat_map(|rule| &mut rule.ports);
        for port in incoming.chain(outgoing).flatten() {
            fill::value(&mut port.protocol, "TCP".to_owned());
        }
        if items(&spec.policy_types).is_empty() {
            let count = if items(&spec.egress).is_empty() { 1 } else { 2 };
            spec.policy_types = Some(TYPES.iter().take(count).map(|kind| kind.to_string()).collect());
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let path = Path::new("spec");
        let Some(spec) = &self.spec else { return };
        errors.label_selector(&path.field("podSelector"), spec.pod_selector.as_ref());
        for (index, rule) in items(&spec.ingress).iter().enumerate() {
            let path = path.field("ingress");
            validate_rule(items(&rule.ports), items(&rule.from), "from", &path.index(index), errors);
        }
        for (index, rule) in items(&spec.egress).iter().enumerate() {
            let path = path.field("egress");
            validate_rule(items(&rule.ports), items(&rule.to), "to", &path.index(index), errors);
        }
        let (path, types) = (path.field("policyTypes"), items(&spec.policy_types));
        if types.len() > TYPES.len() {
            return errors.invalid(&path, Json(types), "may not specify more than two policyTypes");
        }
        for (index, kind) in types.iter().enumerate() {
            errors.one_of(&path.index(index), kind, TYPES);
        }
    }
}

fn validate_rule(
    ports: &[NetworkPolicyPort],
    peers: &[NetworkPolicyPeer],
    field: &str,
    path: &Path,
    errors: &mut Errors,
) {
    for (index, port) in ports.iter().enumerate() {
        validate_port(port, &path.field("ports").index(index), errors);
    }
    for (index, peer) in peers.iter().enumerate() {
        validate_peer(peer, &path.field(field).index(index), errors);
    }
}

fn validate_port(port: &NetworkPolicyPort, path: &Path, errors: &mut Errors) {
    errors.any_of(&path.field("protocol"), &port.protocol, &["TCP", "UDP", "SCTP"]);
    let end_path = path.field("endPort");
    match (&port.port, port.end_port) {
        (None, Some(end)) => errors.invalid(&end_path, end, "may not be specified when `port` is not specified"),
        (None, None) => {}
        (Some(IntOrString::Int(number)), end) => {
            errors.port(&path.field("port"), *number);
            if let Some(end) = end {
                if end < *number {
                    errors.invalid(&end_path, end, "must be greater than or equal to `port`");
                }
                errors.port(&end_path, end);
            }
        }
        (Some(IntOrString::String(name)), end) => {
            if let Some(end) = end {
                errors.invalid(&end_path, end, "may not be specified when `port` is non-numeric");
            }
            errors.invalid_each(&path.field("port"), name, format::port_name(name));
        }
    }
}

fn validate_peer(peer: &NetworkPolicyPeer, path: &Path, errors: &mut Errors) {
    errors.label_selector(&path.field("podSelector"), peer.pod_selector.as_ref());
    errors.label_selector(&path.field("namespaceSelector"), peer.namespace_selector.as_ref());
    let selected = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
    match &peer.ip_block {
        None if !selected => errors.required(path, "must specify a peer"),
        None => {}
        Some(block) => {
            validate_block(block, &path.field("ipBlock"), errors);
            if selected {
                errors.forbidden(path, "may not specify both ipBlock and another peer");
            }
        }
    }
}

fn validate_block(block: &IPBlock, path: &Path, errors: &mut Errors) {
    if !errors.given(&path.field("cidr"), &block.cidr) {
        return;
    }
    errors.cidr(&path.field("cidr"), &block.cidr);
    for (index, except) in items(&block.except).iter().enumerate() {
        let path = path.field("except");
        let path = path.index(index);
        errors.cidr(&path, except);
        if let (Some(block), Some(except_block)) = (parse(&block.cidr), parse(except))
            && !contains(block, except_block)
        {
            errors.invalid(&path, except, "must be a strict subset of `cidr`");
        }
    }
}

/// An address as bits from the top, the length of its prefix, and whether it is of version 6.
fn parse(cidr: &str) -> Option<(u128, u32, bool)> {
    let (address, length) = cidr.split_once('/')?;
    let length = length.parse().ok()?;
    Some(match address.parse().ok()? {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, length, false),
        IpAddr::V6(address) => (address.to_bits(), length, true),
    })
}

fn contains(outer: (u128, u32, bool), inner: (u128, u32, bool)) -> bool {
    let same_prefix = (outer.0 ^ inner.0).checked_shr(128u32.saturating_sub(outer.1)).unwrap_or(0) == 0;
    outer.2 == inner.2 && outer.1 < inner.1 && same_prefix
}
