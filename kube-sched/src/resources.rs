//! Amounts of resources as plain integers, and what a pod asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::quantity::Quantity;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;
use smallvec::SmallVec;

/// Amounts by resource name, as objects spell them.
pub type ResourceList = BTreeMap<String, QuantityText>;

/// What a container without a cpu request counts as when nodes are scored, in milli-cpu. Source: `DefaultMilliCPURequest`.
pub const DEFAULT_MILLI_CPU: i64 = 100;
/// What a container without a memory request counts as when nodes are scored. Source: `DefaultMemoryRequest`.
pub const DEFAULT_MEMORY_BYTES: i64 = 200 * 1024 * 1024;

/// Amounts of resources. Source: scheduler framework `Resource`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources {
    /// CPU in thousandths.
    pub milli_cpu: i64,
    /// Memory in bytes.
    pub memory_bytes: i64,
    /// Ephemeral storage in bytes.
    pub ephemeral_bytes: i64,
    /// Extended resources, huge pages and attachable volumes, by name, sorted.
    pub scalars: SmallVec<[(Arc<str>, i64); 1]>,
}

impl Resources {
    /// Reads amounts; what is no quantity counts as zero, names the scheduler does not know are left out.
    #[must_use]
    pub fn of(list: &ResourceList) -> Self {
        let mut resources = Self::default();
        for (name, text) in list {
            let amount = |read: fn(&Quantity) -> i64| Quantity::parse(&text.0).map_or(0, |quantity| read(&quantity));
            match name.as_str() {
                "cpu" => resources.milli_cpu = amount(Quantity::milli_value),
                "memory" => resources.memory_bytes = amount(Quantity::value),
                "ephemeral-storage" => resources.ephemeral_bytes = amount(Quantity::value),
                name if is_scalar(name) => resources.scalars.push((name.into(), amount(Quantity::value))),
                _ => {}
            }
        }
        resources
    }

    /// The amount of a scalar; zero if absent.
    #[must_use]
    pub fn scalar(&self, name: &str) -> i64 {
        self.scalars.iter().find(|(held, _)| &**held == name).map_or(0, |(_, amount)| *amount)
    }

    /// Whether nothing is asked; a scalar of zero counts as asked, as upstream has it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.milli_cpu == 0 && self.memory_bytes == 0 && self.ephemeral_bytes == 0 && self.scalars.is_empty()
    }

    /// Adds `times` the other amounts; `-1` takes them away.
    pub fn add(&mut self, other: &Self, times: i64) {
        self.merge(other, |held, amount| held.saturating_add(amount.saturating_mul(times)));
    }

    /// Raises each amount to at least the other's.
    pub fn raise_to(&mut self, other: &Self) {
        self.merge(other, i64::max);
    }

    fn merge(&mut self, other: &Self, join: impl Fn(i64, i64) -> i64) {
        self.milli_cpu = join(self.milli_cpu, other.milli_cpu);
        self.memory_bytes = join(self.memory_bytes, other.memory_bytes);
        self.ephemeral_bytes = join(self.ephemeral_bytes, other.ephemeral_bytes);
        for (name, amount) in &other.scalars {
            match self.scalars.binary_search_by(|(held, _)| held.cmp(name)) {
                Ok(at) => {
                    if let Some((_, held)) = self.scalars.get_mut(at) {
                        *held = join(*held, *amount);
                    }
                }
                Err(at) => self.scalars.insert(at, (name.clone(), join(0, *amount))),
            }
        }
    }
}

/// Extended resources carry a domain; huge pages and attachable volumes are native names of their own.
fn is_scalar(name: &str) -> bool {
    name.contains('/') || name.starts_with("hugepages-") || name.starts_with("attachable-volumes-")
}

/// What a pod asks for: `max(containers + sidecars, the peak while init containers run in order) + overhead`, where
/// pod-level requests override the sum. Source: component-helpers `resource.PodRequests`.
#[must_use]
pub fn pod_request(pod: &Pod) -> Resources {
    total(pod, Resources::of)
}

/// As [`pod_request`], for scoring: cpu and memory that a container leaves open count as [`DEFAULT_MILLI_CPU`] and
/// [`DEFAULT_MEMORY_BYTES`], unless the pod as a whole states them. Returns milli-cpu and bytes.
#[must_use]
pub fn pod_request_for_scoring(pod: &Pod) -> (i64, i64) {
    let pod_level = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
    let open = |name: &str| pod_level.is_none_or(|list| !list.contains_key(name));
    let (fill_cpu, fill_memory) = (open("cpu"), open("memory"));
    let total = total(pod, |list| {
        let mut resources = Resources::of(list);
        if fill_cpu && !list.contains_key("cpu") {
            resources.milli_cpu = DEFAULT_MILLI_CPU;
        }
        if fill_memory && !list.contains_key("memory") {
            resources.memory_bytes = DEFAULT_MEMORY_BYTES;
        }
        resources
    });
    (total.milli_cpu, total.memory_bytes)
}

fn total(pod: &Pod, read: impl Fn(&ResourceList) -> Resources) -> Resources {
    let Some(spec) = &pod.spec else { return Resources::default() };
    let mut sum = Resources::default();
    for container in &spec.containers {
        sum.add(&container_request(pod, container, &read), 1);
    }
    let mut sidecars = Resources::default();
    let mut peak = Resources::default();
    for container in spec.init_containers.iter().flatten() {
        let mut running = container_request(pod, container, &read);
        if is_sidecar(container) {
            sum.add(&running, 1);
            sidecars.add(&running, 1);
            running = sidecars.clone();
        } else {
            running.add(&sidecars, 1);
        }
        peak.raise_to(&running);
    }
    sum.raise_to(&peak);
    override_by_pod_level(spec, &mut sum);
    if let Some(overhead) = &spec.overhead {
        sum.add(&Resources::of(overhead), 1);
    }
    sum
}

/// Whether an init container keeps running beside the others.
pub(crate) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// While a container is resized in place, it counts as the larger of what it asks and what it has; as what it has if its node
/// can never give what it asks. Source: `determineContainerReqs`.
fn container_request(pod: &Pod, container: &Container, read: impl Fn(&ResourceList) -> Resources) -> Resources {
    static NOTHING: ResourceList = ResourceList::new();
    let asked = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let mut request = read(asked.unwrap_or(&NOTHING));
    if let Some(status) = status_of(pod, container) {
        if is_infeasible(pod) {
            request = Resources::default();
        }
        let held = status.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        for list in held.into_iter().chain(status.allocated_resources.as_ref()) {
            request.raise_to(&Resources::of(list));
        }
    }
    request
}

fn is_infeasible(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|it| it.type_ == "PodResizePending" && it.reason.as_deref() == Some("Infeasible"))
}

fn status_of<'a>(pod: &'a Pod, container: &Container) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let statuses = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    statuses.into_iter().find(|status| status.name == container.name)
}

/// Only cpu, memory and huge pages can be stated for the pod as a whole.
fn override_by_pod_level(spec: &PodSpec, sum: &mut Resources) {
    let Some(list) = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()) else { return };
    let stated = Resources::of(list);
    if list.contains_key("cpu") {
        sum.milli_cpu = stated.milli_cpu;
    }
    if list.contains_key("memory") {
        sum.memory_bytes = stated.memory_bytes;
    }
    for (name, amount) in stated.scalars.iter().filter(|(name, _)| name.starts_with("hugepages-")) {
        sum.scalars.retain(|(held, _)| held != name);
        let at = sum.scalars.partition_point(|(held, _)| held < name);
        sum.scalars.insert(at, (name.clone(), *amount));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn container(name: &str, requests: Value) -> Value {
        json!({"name": name, "resources": {"requests": requests}})
    }

    fn sidecar(name: &str, requests: Value) -> Value {
        json!({"name": name, "restartPolicy": "Always", "resources": {"requests": requests}})
    }

    #[track_caller]
    fn check(spec: Value, milli_cpu: i64, memory_bytes: i64, scoring: (i64, i64)) {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
        let request = pod_request(&pod);
        assert_eq!((request.milli_cpu, request.memory_bytes), (milli_cpu, memory_bytes));
        assert_eq!(pod_request_for_scoring(&pod), scoring);
    }

    #[test]
    fn containers_add_up_and_open_requests_count_when_scored() {
        check(json!({"containers": []}), 0, 0, (0, 0));
        check(json!({"containers": [container("a", json!({}))]}), 0, 0, (100, DEFAULT_MEMORY_BYTES));
        let two = json!([container("a", json!({"cpu": "1", "memory": "1k"})), container("b", json!({"cpu": "500m"}))]);
        check(json!({"containers": two}), 1500, 1000, (1500, 1000 + DEFAULT_MEMORY_BYTES));
        check(
            json!({"containers": [container("a", json!({"cpu": "0", "memory": "0"}))], "overhead": {"cpu": "10m"}}),
            10,
            0,
            (10, 0),
        );
    }

    #[test]
    fn init_containers_peak_and_sidecars_stay() {
        let asks = |cpu: &str| json!({"cpu": cpu, "memory": "0"});
        let spec = |init: Value| json!({"containers": [container("a", asks("1"))], "initContainers": init});
        check(spec(json!([container("i", asks("2")), container("j", asks("3"))])), 3000, 0, (3000, 0));
        check(spec(json!([sidecar("s", asks("2"))])), 3000, 0, (3000, 0));
        check(spec(json!([sidecar("s", asks("2")), container("i", asks("2"))])), 4000, 0, (4000, 0));
        check(spec(json!([container("i", asks("2")), sidecar("s", asks("2"))])), 3000, 0, (3000, 0));
    }

    #[test]
    fn pod_level_requests_override_and_resizes_count_the_larger() {
        let spec =
            json!({"containers": [container("a", json!({"cpu": "1"}))], "resources": {"requests": {"cpu": "3"}}});
        check(spec, 3000, 0, (3000, DEFAULT_MEMORY_BYTES));
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"}, "spec": {"containers": [container("a", json!({"cpu": "1"}))]},
            "status": {"containerStatuses": [{"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "resources": {"requests": {"cpu": "2"}}}]},
        }))
        .unwrap();
        assert_eq!(pod_request(&pod).milli_cpu, 2000);
    }
}
