//! The addresses and node ports of Services.
//!
//! What is taken is read from the world, plus what was handed out to Services whose commit is still on its way.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use coracle_core::{AnyResource, Effect, Entropy, Object, ObjectKey, Status, World};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::StatusCause;

/// The network of cluster addresses: `10.96.0.0/16`, kubeadm's default.
const NETWORK: u32 = u32::from_be_bytes([10, 96, 0, 0]);
const HOSTS: u32 = 1 << 16;
/// Addresses below this offset are only given to Services that ask for them, such as `kubernetes` and DNS.
const RESERVED: u32 = 256;
const NODE_PORTS: std::ops::RangeInclusive<i32> = 30_000..=32_767;

/// Hands out addresses and node ports.
#[derive(Debug, Default)]
pub struct Allocator(Mutex<Pending>);

/// What was handed out and is not in the world yet, by Service.
#[derive(Debug, Default)]
struct Pending {
    addresses: BTreeMap<String, ObjectKey>,
    ports: BTreeMap<i32, ObjectKey>,
}

impl Allocator {
    /// Completes a Service that needs an address or node ports. Leaves every other object alone.
    ///
    /// # Errors
    /// 422 if the Service asks for something that is taken or out of range, 500 if nothing is left.
    pub fn assign(
        &self,
        world: &World,
        entropy: &Entropy,
        object: &mut dyn AnyResource,
        old: Option<&Object>,
    ) -> Result<(), Status> {
        let Some(service) = object.as_any_mut().downcast_mut::<Service>() else { return Ok(()) };
        let key = ObjectKey::of(&service.metadata);
        let name = service.metadata.name.clone().unwrap_or_default();
        let Some(spec) = &mut service.spec else { return Ok(()) };
        let old = old.and_then(|old| old.get::<Service>()?.spec.as_ref());
        keep_from_old(spec, old);
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.address(world, entropy, spec, &key).map_err(|cause| invalid(&name, cause))?;
        pending.ports(world, entropy, spec, &key).map_err(|cause| invalid(&name, cause))
    }

    /// Forgets what was handed out to a Service once the world has it.
    pub fn committed(&self, object: &Object, _effect: Effect) {
        if object.get::<Service>().is_some() {
            let key = object.key();
            let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            pending.addresses.retain(|_, owner| *owner != key);
            pending.ports.retain(|_, owner| *owner != key);
        }
    }
}

impl Pending {
    fn address(
        &mut self,
        world: &World,
        entropy: &Entropy,
        spec: &mut ServiceSpec,
        key: &ObjectKey,
    ) -> Result<(), StatusCause> {
        if spec.type_.as_deref() == Some("ExternalName") {
            return Ok(());
        }
        let asked = spec.cluster_ip.clone().unwrap_or_default();
        let address = match asked.as_str() {
            "None" => asked,
            "" => self.free_address(world, entropy)?,
            asked => self.claim(world, asked, key)?,
        };
        if address != "None" {
            self.addresses.insert(address.clone(), key.clone());
            spec.ip_families.get_or_insert_with(|| vec!["IPv4".to_owned()]);
        } else if spec.selector.as_ref().is_some_and(|selector| !selector.is_empty()) {
            spec.ip_families.get_or_insert_with(|| vec!["IPv4".to_owned()]);
        } else {
            spec.ip_families.get_or_insert_with(|| vec!["IPv4".to_owned(), "IPv6".to_owned()]);
        }
        let families = spec.ip_families.as_ref().map_or(1, Vec::len);
        let policy = if families > 1 { "RequireDualStack" } else { "SingleStack" };
        spec.ip_family_policy.get_or_insert_with(|| policy.to_owned());
        spec.cluster_ips = Some(vec![address.clone()]);
        spec.cluster_ip = Some(address);
        Ok(())
    }

    fn free_address(&self, world: &World, entropy: &Entropy) -> Result<String, StatusCause> {
        let start = u32::try_from(entropy.below(u64::from(HOSTS - RESERVED - 1))).unwrap_or(0);
        let offsets = (0..HOSTS - RESERVED - 1).map(|step| RESERVED + (start + step) % (HOSTS - RESERVED - 1));
        let mut addresses = offsets.map(|offset| Ipv4Addr::from(NETWORK + offset).to_string());
        let taken = taken_addresses(world);
        addresses
            .find(|address| !self.addresses.contains_key(address) && !taken.contains_key(address.as_str()))
            .ok_or_else(|| cause("spec.clusterIP", "failed to allocate a serviceIP: range is full"))
    }

    fn claim(&self, world: &World, asked: &str, key: &ObjectKey) -> Result<String, StatusCause> {
        let refuse = |why: &str| {
            cause("spec.clusterIPs", &format!("Invalid value: [\"{asked}\"]: failed to allocate IP {asked}: {why}"))
        };
        let Ok(address) = asked.parse::<Ipv4Addr>() else { return Ok(asked.to_owned()) };
        if !(NETWORK..NETWORK + HOSTS).contains(&u32::from(address)) {
            return Err(refuse("the provided network does not match the current range"));
        }
        let pending = self.addresses.get(asked).is_some_and(|owner| owner != key);
        let taken = taken_addresses(world).get(asked).is_some_and(|owner| owner != key);
        if pending || taken { Err(refuse("provided IP is already allocated")) } else { Ok(asked.to_owned()) }
    }

    fn ports(
        &mut self,
        world: &World,
        entropy: &Entropy,
        spec: &mut ServiceSpec,
        key: &ObjectKey,
    ) -> Result<(), StatusCause> {
        let balanced =
            spec.type_.as_deref() == Some("LoadBalancer") && spec.allocate_load_balancer_node_ports != Some(false);
        let needed = balanced || spec.type_.as_deref() == Some("NodePort");
        if !needed {
            return Ok(());
        }
        let taken = taken_ports(world);
        for (index, port) in spec.ports.iter_mut().flatten().enumerate() {
            let free = |wanted: i32, pending: &BTreeMap<i32, ObjectKey>| {
                let other = |owner: Option<&ObjectKey>| owner.is_some_and(|owner| owner != key);
                !other(pending.get(&wanted)) && !other(taken.get(&wanted))
            };
            let wanted = port.node_port.unwrap_or(0);
            let path = format!("spec.ports[{index}].nodePort");
            if wanted == 0 {
                let count = u64::try_from(NODE_PORTS.count()).unwrap_or(1);
                let start = i32::try_from(entropy.below(count)).unwrap_or(0);
                let span = NODE_PORTS.end() - NODE_PORTS.start() + 1;
                let mut candidates = (0..span).map(|step| NODE_PORTS.start() + (start + step) % span);
                let unused = |candidate: &i32| !self.ports.contains_key(candidate) && !taken.contains_key(candidate);
                port.node_port = Some(
                    candidates
                        .find(unused)
                        .ok_or_else(|| cause(&path, "failed to allocate a nodePort: range is full"))?,
                );
            } else if !NODE_PORTS.contains(&wanted) {
                let why = format!(
                    "Invalid value: {wanted}: provided port is not in the valid range. The range of valid ports is 30000-32767"
                );
                return Err(cause(&path, &why));
            } else if !free(wanted, &self.ports) {
                return Err(cause(&path, &format!("Invalid value: {wanted}: provided port is already allocated")));
            }
            self.ports.extend(port.node_port.map(|port| (port, key.clone())));
        }
        Ok(())
    }
}

/// An update that leaves out what the server gave keeps it.
fn keep_from_old(spec: &mut ServiceSpec, old: Option<&ServiceSpec>) {
    let Some(old) = old else { return };
    let external = |spec: &ServiceSpec| spec.type_.as_deref() == Some("ExternalName");
    if external(spec) {
        return;
    }
    if spec.cluster_ip.as_deref().unwrap_or("").is_empty() && !external(old) {
        spec.cluster_ip.clone_from(&old.cluster_ip);
    }
    if spec.type_.as_deref() == Some("ClusterIP") {
        return;
    }
    for port in spec.ports.iter_mut().flatten().filter(|port| port.node_port.unwrap_or(0) == 0) {
        let same = old.ports.iter().flatten().find(|old| old.port == port.port && old.protocol == port.protocol);
        port.node_port = same.and_then(|old| old.node_port);
    }
}

fn taken_addresses(world: &World) -> BTreeMap<String, ObjectKey> {
    let services = world.list::<Service>();
    services
        .flat_map(|service| {
            let key = ObjectKey::of(&service.metadata);
            let addresses = service.spec.as_ref().and_then(|spec| spec.cluster_ips.clone()).unwrap_or_default();
            addresses.into_iter().map(move |address| (address, key.clone()))
        })
        .collect()
}

fn taken_ports(world: &World) -> BTreeMap<i32, ObjectKey> {
    let services = world.list::<Service>();
    services
        .flat_map(|service| {
            let key = ObjectKey::of(&service.metadata);
            let ports =
                service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()).filter_map(|port| port.node_port);
            ports.map(|port| (port, key.clone())).collect::<Vec<_>>()
        })
        .collect()
}

fn cause(field: &str, message: &str) -> StatusCause {
    StatusCause {
        field: Some(field.to_owned()),
        message: Some(message.to_owned()),
        reason: Some("FieldValueInvalid".to_owned()),
    }
}

fn invalid(name: &str, cause: StatusCause) -> Status {
    Status::invalid(("", "Service"), name, vec![cause])
}
