//! The quality-of-service class, for pods whose status does not have it yet. Source: apis/core/v1/helper/qos.

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::amount::Amount;

/// `BestEffort` without any request, `Guaranteed` if every container's limits are its requests, else `Burstable`.
#[must_use]
pub fn class(pod: &Pod) -> &'static str {
    let Some(spec) = &pod.spec else { return "BestEffort" };
    let containers = || spec.init_containers.iter().flatten().chain(&spec.containers);
    let asks = |container: &Container| {
        ["cpu", "memory"].iter().any(|resource| request(container, resource).is_some_and(|amount| !amount.is_zero()))
    };
    let exact = |container: &Container| {
        ["cpu", "memory"].iter().all(|resource| {
            let limit = limit(container, resource);
            limit.is_some_and(|limit| !limit.is_zero()) && request(container, resource) == limit
        })
    };
    match () {
        () if !containers().any(asks) => "BestEffort",
        () if containers().all(exact) => "Guaranteed",
        () => "Burstable",
    }
}

fn limit(container: &Container, resource: &str) -> Option<Amount> {
    Amount::parse(&container.resources.as_ref()?.limits.as_ref()?.get(resource)?.0)
}

/// A limit without a request is a request.
fn request(container: &Container, resource: &str) -> Option<Amount> {
    let own = || Amount::parse(&container.resources.as_ref()?.requests.as_ref()?.get(resource)?.0);
    own().or_else(|| limit(container, resource))
}
