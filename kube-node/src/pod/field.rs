//! What a pod may know of itself: `fieldRef` and `resourceFieldRef`. Source: kubelet `makeEnvironmentVariables`, `pkg/fieldpath`,
//! `resource.ExtractContainerResourceValue`.

use std::collections::BTreeMap;

use coracle_core::quantity::{Format, Quantity as Amount};
use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// What is known of a pod beyond its object when its containers start.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The pod's addresses, the main one first.
    pub pod_addresses: &'a [String],
    /// The node's addresses, the main one first.
    pub host_addresses: &'a [String],
    /// What the node gives to pods: the limit of what has none.
    pub allocatable: &'a BTreeMap<String, Quantity>,
}

/// The value of a field.
///
/// # Errors
/// If there is no such field that a pod may read.
pub fn value(pod: &Pod, path: &str, around: &Surroundings<'_>) -> Result<String, String> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let spec = pod.spec.as_ref();
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        let map = match map {
            "metadata.labels" => pod.metadata.labels.as_ref(),
            "metadata.annotations" => pod.metadata.annotations.as_ref(),
            _ => return Err(unsupported(path)),
        };
        return Ok(map.and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => text(&pod.metadata.name),
        "metadata.namespace" => text(&pod.metadata.namespace),
        "metadata.uid" => text(&pod.metadata.uid),
        "metadata.labels" => map_as_lines(pod.metadata.labels.as_ref()),
        "metadata.annotations" => map_as_lines(pod.metadata.annotations.as_ref()),
        "spec.nodeName" => spec.map(|spec| text(&spec.node_name)).unwrap_or_default(),
        "spec.serviceAccountName" => spec.map(|spec| text(&spec.service_account_name)).unwrap_or_default(),
        "status.hostIP" => around.host_addresses.first().cloned().unwrap_or_default(),
        "status.hostIPs" => around.host_addresses.join(","),
        "status.podIP" => around.pod_addresses.first().cloned().unwrap_or_default(),
        "status.podIPs" => around.pod_addresses.join(","),
        _ => return Err(unsupported(path)),
    })
}

fn unsupported(path: &str) -> String {
    format!("unsupported fieldPath: {path}")
}

/// One `key="value"` per line, sorted, as a downward API file has it.
fn map_as_lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The value of a resource field: the limit or request of a container in units of the divisor, rounded up.
///
/// # Errors
/// If there is no such container or resource.
pub fn resource(
    pod: &Pod,
    container: Option<&Container>,
    selector: &ResourceFieldSelector,
    around: &Surroundings<'_>,
) -> Result<String, String> {
    let named = selector.container_name.as_deref().filter(|name| !name.is_empty());
    let container = match named {
        None => container.ok_or("no container name was given")?,
        Some(name) => {
            let spec = pod.spec.iter();
            let mut all = spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
            all.find(|container| container.name == name).ok_or_else(|| format!("container {name} not found"))?
        }
    };
    let Some((kind, name)) = selector.resource.split_once('.') else {
        return Err(format!("unsupported container resource : {}", selector.resource));
    };
    let resources = container.resources.as_ref();
    let limit = || resources.and_then(|resources| amount(resources.limits.as_ref(), name));
    let found = match kind {
        "limits" => limit().filter(|limit| !limit.is_zero()).or_else(|| amount(Some(around.allocatable), name)),
        "requests" => resources.and_then(|resources| amount(resources.requests.as_ref(), name)).or_else(limit),
        _ => return Err(format!("unsupported container resource : {}", selector.resource)),
    };
    let divisor = selector.divisor.as_ref().and_then(|divisor| Amount::parse(&divisor.0).ok()).unwrap_or_default();
    Ok(divided(found.unwrap_or_default(), divisor).to_string())
}

/// How many times `divisor` an amount is, rounded up; a divisor of nothing counts as one.
fn divided(amount: Amount, divisor: Amount) -> i128 {
    let divisor = if divisor.is_zero() { Amount::new(1, Format::DecimalSi) } else { divisor };
    amount.nano() / divisor.nano() + i128::from(amount.nano() % divisor.nano() != 0)
}

fn amount(amounts: Option<&BTreeMap<String, Quantity>>, name: &str) -> Option<Amount> {
    Amount::parse(&amounts?.get(name)?.0).ok()
}
