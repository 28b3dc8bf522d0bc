//! Which pod and port a name means.

use std::sync::Arc;

use coracle_core::{GroupResource, Kind, Object, ObjectKey, Status, World};
use k8s_openapi::api::core::v1::{EndpointAddress, Endpoints, Pod, Service};

use super::unavailable;
use crate::http::resources::Call;

/// `name`, `name:port` or `scheme:name:port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Name<'a> {
    pub(super) is_https: bool,
    pub(in crate::http) name: &'a str,
    pub(super) port: &'a str,
}

impl<'a> Name<'a> {
    /// Source: apimachinery `util/net.SplitSchemeNamePort`.
    pub(in crate::http) fn parse(text: &'a str, kind: &Kind) -> Result<Self, Status> {
        let mut parts = text.split(':');
        let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
        let (scheme, name, port) = match parts {
            [Some(name), None, ..] => ("", name, ""),
            [Some(name), Some(port), None, _] => ("", name, port),
            [Some(scheme), Some(name), Some(port), None] => (scheme, name, port),
            _ => ("", "", ""),
        };
        if name.is_empty() || !matches!(scheme, "" | "http" | "https") {
            return Err(Status::bad_request(format!("invalid {} request {text:?}", kind.singular)));
        }
        Ok(Self { is_https: scheme == "https", name, port })
    }
}

/// A port of a pod.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) pod: Arc<Object>,
    pub(super) port: u16,
    pub(super) is_https: bool,
}

/// A pod's port by number or name; without either its first one, or the scheme's usual one.
/// Source: registry `pod.ResourceLocation`, which knows no names.
pub(super) async fn of_pod(call: &Call<'_>, name: &Name<'_>) -> Result<Target, Status> {
    let pod = call.server.reader.get(&call.kind, call.namespace(), name.name, "").await?;
    let found = pod.get::<Pod>().ok_or_else(|| Status::internal("not a pod"))?;
    if address_of(found).is_empty() {
        return Err(Status::bad_request("address not allowed"));
    }
    let unknown = || Status::bad_request(format!("pod {} has no port {:?}", name.name, name.port));
    let port = port_of_pod(found, name).ok_or_else(unknown)?;
    Ok(Target { pod, port, is_https: name.is_https })
}

fn port_of_pod(pod: &Pod, name: &Name<'_>) -> Option<u16> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let port = match name.port {
        "" => match ports.next() {
            Some(port) => port.container_port,
            None => return Some(if name.is_https { 443 } else { 80 }),
        },
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => return text.parse().ok().filter(|port| *port > 0),
        text => ports.find(|port| port.name.as_deref() == Some(text))?.container_port,
    };
    u16::try_from(port).ok()
}

pub(super) fn address_of(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).unwrap_or_default()
}

/// A ready pod of a service. Source: registry `service.ResourceLocation`.
pub(super) fn of_service(call: &Call<'_>, name: &Name<'_>) -> Result<Target, Status> {
    let gateway = call.server.reader.gateway();
    let world = gateway.feed().world();
    let port = port_name(&world, call.namespace(), name)?;
    let missing = || Status::not_found(&GroupResource::of::<Endpoints>(), name.name);
    let endpoints = world.get::<Endpoints>(call.namespace(), name.name).ok_or_else(missing)?;
    let ready = ready(&world, call.namespace(), &endpoints, &port);
    // Any of them, so that the load is shared.
    let index = gateway.entropy().below(u64::try_from(ready.len().max(1)).unwrap_or(u64::MAX));
    let (pod, port) = ready.into_iter().nth(usize::try_from(index).unwrap_or_default()).ok_or_else(|| {
        let id = if endpoints.subsets.as_ref().is_none_or(Vec::is_empty) { name.name } else { &call.info.name };
        unavailable(format!("no endpoints available for service {id:?}"))
    })?;
    Ok(Target { pod, port, is_https: name.is_https })
}

/// Ports are found by name. A number is one of the service's own ports.
fn port_name(world: &World, namespace: &str, name: &Name<'_>) -> Result<String, Status> {
    let Ok(number) = name.port.parse::<i32>() else { return Ok(name.port.to_owned()) };
    let missing = || Status::not_found(&GroupResource::of::<Service>(), name.name);
    let service = world.get::<Service>(namespace, name.name).ok_or_else(missing)?;
    let mut ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let found = ports.find(|port| port.port == number);
    let none = || unavailable(format!("no service port {number} found for service {:?}", name.name));
    found.map(|port| port.name.clone().unwrap_or_default()).ok_or_else(none)
}

/// The pods that are ready at a port. An address that is not, or no longer, its pod's is left out.
fn ready(world: &World, namespace: &str, endpoints: &Endpoints, port: &str) -> Vec<(Arc<Object>, u16)> {
    let mut ready = Vec::new();
    for subset in endpoints.subsets.iter().flatten() {
        let mut ports = subset.ports.iter().flatten();
        let found = ports.find(|known| known.name.as_deref().unwrap_or_default() == port);
        let Some(port) = found.and_then(|port| u16::try_from(port.port).ok()) else { continue };
        let pods = subset.addresses.iter().flatten().filter_map(|address| pod_at(world, namespace, address));
        ready.extend(pods.map(|pod| (pod, port)));
    }
    ready
}

fn pod_at(world: &World, namespace: &str, address: &EndpointAddress) -> Option<Arc<Object>> {
    let target = address.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"))?;
    let namespace = target.namespace.as_deref().unwrap_or(namespace);
    let pod = world.object(&GroupResource::of::<Pod>(), ObjectKey::new(namespace, target.name.as_deref()?).as_str())?;
    (address_of(pod.get::<Pod>()?) == address.ip).then(|| pod.clone())
}

#[cfg(test)]
mod tests {
    use coracle_core::Kinds;
    use serde_json::json;

    use super::*;

    #[test]
    fn names() {
        let kinds = Kinds::builtin();
        let kind = kinds.by_kind("v1", "Pod").unwrap();
        let check = |text: &str, expected: Result<(bool, &str, &str), &str>| {
            let name = Name::parse(text, kind).map(|name| (name.is_https, name.name.to_owned(), name.port.to_owned()));
            let expected = expected.map(|(is_https, name, port)| (is_https, name.to_owned(), port.to_owned()));
            assert_eq!(name.map_err(|status| status.message().to_owned()), expected.map_err(str::to_owned));
        };
        check("web", Ok((false, "web", "")));
        check("web:http", Ok((false, "web", "http")));
        check("https:web:443", Ok((true, "web", "443")));
        check("http:web:", Ok((false, "web", "")));
        check("ftp:web:21", Err("invalid pod request \"ftp:web:21\""));
        check(":80", Err("invalid pod request \":80\""));
        check("a:b:c:d", Err("invalid pod request \"a:b:c:d\""));
    }

    #[test]
    fn ports_of_pods() {
        let ports = json!([{"containerPort": 8080}, {"name": "admin", "containerPort": 9090}]);
        let pod =
            |ports| serde_json::from_value(json!({"spec": {"containers": [{"name": "c", "ports": ports}]}})).unwrap();
        let check = |pod: &Pod, is_https, port, expected| {
            assert_eq!(port_of_pod(pod, &Name { is_https, name: "web", port }), expected, "{port}");
        };
        let (some, none) = (pod(ports), pod(json!([])));
        check(&some, false, "", Some(8080));
        check(&some, false, "admin", Some(9090));
        check(&some, false, "5000", Some(5000));
        check(&some, false, "nothing", None);
        check(&some, false, "70000", None);
        check(&none, false, "", Some(80));
        check(&none, true, "", Some(443));
    }
}
