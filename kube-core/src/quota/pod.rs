//! What a pod asks for in all. Source: component-helpers `resource.PodRequests` and `PodLimits`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, ResourceRequirements};

use super::amounts::Amounts;
use crate::quantity::QuantityText;

type List = BTreeMap<String, QuantityText>;

/// What counts beside what the containers ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodAmounts {
    /// What containers hold while they are resized in place, if that is more.
    pub held: bool,
    /// The pod's overhead.
    pub overhead: bool,
}

/// What a pod requests: the containers and sidecars together, or the peak while init containers run in order if that is more;
/// what the pod as a whole states replaces the sum.
#[must_use]
pub fn pod_requests(pod: &Pod, options: PodAmounts) -> Amounts {
    let mut sum = total(pod, options, |resources| resources.requests.as_ref());
    if options.overhead {
        sum.add(&Amounts::of(pod.spec.as_ref().and_then(|spec| spec.overhead.as_ref())));
    }
    sum
}

/// The limits of a pod, added up in the same way. Overhead counts only where there is a limit.
#[must_use]
pub fn pod_limits(pod: &Pod, options: PodAmounts) -> Amounts {
    let mut sum = total(pod, options, |resources| resources.limits.as_ref());
    if options.overhead {
        let mut overhead = Amounts::of(pod.spec.as_ref().and_then(|spec| spec.overhead.as_ref()));
        overhead.retain(|name, _| sum.get(name).is_some());
        sum.add(&overhead);
    }
    sum
}

fn total(pod: &Pod, options: PodAmounts, list: fn(&ResourceRequirements) -> Option<&List>) -> Amounts {
    let Some(spec) = &pod.spec else { return Amounts::default() };
    let of = |container: &Container| of_container(pod, container, options, list);
    let mut sum = Amounts::default();
    spec.containers.iter().for_each(|container| sum.add(&of(container)));
    let (mut sidecars, mut peak) = (Amounts::default(), Amounts::default());
    for container in spec.init_containers.iter().flatten() {
        let mut running = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            sum.add(&running);
            sidecars.add(&running);
            running = sidecars.clone();
        } else {
            running.add(&sidecars);
        }
        peak.raise_to(&running);
    }
    sum.raise_to(&peak);
    // Only these can be stated for the pod as a whole.
    let stated = Amounts::of(spec.resources.as_ref().and_then(list));
    for (name, amount) in stated.iter() {
        if matches!(name, "cpu" | "memory") || name.starts_with("hugepages-") {
            sum.set(name.to_owned(), amount);
        }
    }
    sum
}

fn of_container(
    pod: &Pod,
    container: &Container,
    options: PodAmounts,
    list: fn(&ResourceRequirements) -> Option<&List>,
) -> Amounts {
    let mut asked = Amounts::of(container.resources.as_ref().and_then(list));
    if let Some(status) = status_of(pod, container).filter(|_| options.held) {
        asked.raise_to(&Amounts::of(status.resources.as_ref().and_then(list)));
    }
    asked
}

fn status_of<'a>(pod: &'a Pod, container: &Container) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let statuses = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    statuses.into_iter().find(|status| status.name == container.name)
}
