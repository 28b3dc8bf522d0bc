//! Names of resources, and what a container or pod may ask of them.

use super::check::items;
use super::fill::ResourceList;
use crate::field::{Errors, Path, format};
use crate::quantity::{Quantity, QuantityText};
use k8s_openapi::api::core::v1::ResourceRequirements;

const HUGE_PAGES: &str = "hugepages-";

/// Resources a container can ask for without a domain in front, huge pages apart.
const CONTAINER_RESOURCES: &[&str] = &["cpu", "memory", "ephemeral-storage"];

/// Resources known without a domain in front, huge pages apart.
const STANDARD_RESOURCES: &[&str] = &[
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.loadbalancers",
    "services.nodeports",
    "storage",
    "requests.storage",
];

/// Resources that are counted in whole numbers.
const INTEGER_RESOURCES: &[&str] = &[
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];

/// Resources a quota can limit without a domain in front, huge pages apart.
const QUOTA_RESOURCES: &[&str] = &[
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];

/// Whether a scope of a quota says something about a resource. A scope that is unknown says nothing about any.
pub(super) fn scope_fits(scope: &str, name: &str) -> bool {
    const COMPUTE: &[&str] =
        &["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory", "pods"];
    match scope {
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => {
            COMPUTE.contains(&name)
        }
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        _ => true,
    }
}

/// Whether a quota knows the resource without a domain in front.
pub(super) fn is_quota_resource(name: &str) -> bool {
    QUOTA_RESOURCES.contains(&name) || name.starts_with(HUGE_PAGES) || name.starts_with("requests.hugepages-")
}

/// Whether the name is Kubernetes' own.
pub(super) fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether the name is a device's or another extension's.
pub(super) fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && format::label_key(&std::format!("requests.{name}")).is_empty()
}

/// Whether more of it can be promised than there is.
pub(super) fn allows_overcommit(name: &str) -> bool {
    is_native(name) && !name.starts_with(HUGE_PAGES)
}

impl Errors {
    fn known_resource(&mut self, path: &Path, name: &str, standard: &[&str], otherwise: &str) -> bool {
        if !name.contains('/') && !standard.contains(&name) && !name.starts_with(HUGE_PAGES) {
            self.invalid(path, name, otherwise);
            return false;
        }
        true
    }

    /// The name of some resource.
    pub(super) fn resource_name(&mut self, path: &Path, name: &str) -> bool {
        let messages = format::label_key(name);
        let good = messages.is_empty();
        self.invalid_each(path, name, messages);
        good && (name.starts_with("requests.hugepages-")
            || self.known_resource(
                path,
                name,
                STANDARD_RESOURCES,
                "must be a standard resource type or fully qualified",
            ))
    }

    /// The name of a resource that a container can ask for.
    pub(super) fn container_resource_name(&mut self, path: &Path, name: &str) {
        self.resource_name(path, name);
        self.known_resource(path, name, CONTAINER_RESOURCES, "must be a standard resource for containers");
        if name.contains('/') && !is_native(name) && !is_extended(name) {
            self.invalid(path, name, "doesn't follow extended resource name standard");
        }
    }

    /// The name of a resource that a quota can limit.
    pub(super) fn quota_resource_name(&mut self, path: &Path, name: &str) {
        self.resource_name(path, name);
        // `count/pods` and the like have a slash and pass as qualified names.
        if !name.starts_with("requests.hugepages-") {
            self.known_resource(path, name, QUOTA_RESOURCES, "must be a standard resource for quota");
        }
    }

    /// An amount of a resource: not negative, and whole where only whole ones exist.
    pub(super) fn resource_quantity(&mut self, path: &Path, name: &str, text: &QuantityText) -> Option<Quantity> {
        let quantity = self.non_negative_quantity(path, text)?;
        if (INTEGER_RESOURCES.contains(&name) || is_extended(name)) && quantity.milli_value() % 1000 != 0 {
            self.invalid(path, quantity.to_string(), "must be an integer");
        }
        Some(quantity)
    }

    fn huge_pages(&mut self, path: &Path, name: &str, amount: Option<Quantity>) {
        let (Some(size), Some(amount)) = (name.strip_prefix(HUGE_PAGES), amount) else { return };
        let page =
            Quantity::parse(size).ok().filter(|page| !page.is_zero() && !page.is_negative() && page.is_integer());
        if page.is_none_or(|page| amount.value() % page.value() != 0) {
            self.invalid(path, amount.to_string(), std::format!("{amount} is not positive integer multiple of {size}"));
        }
    }
}

/// Checks what a container asks for. `claims` are the names of the pod's resource claims.
pub(super) fn validate(
    resources: &ResourceRequirements,
    claims: &dyn Fn(&str) -> bool,
    path: &Path,
    errors: &mut Errors,
) {
    let (limits_path, requests_path) = (path.field("limits"), path.field("requests"));
    for (name, text) in resources.limits.iter().flatten() {
        let path = limits_path.key(name);
        errors.container_resource_name(&path, name);
        let amount = errors.resource_quantity(&path, name, text);
        errors.huge_pages(&path, name, amount);
    }
    for (name, text) in resources.requests.iter().flatten() {
        let path = requests_path.key(name);
        errors.container_resource_name(&path, name);
        let amount = errors.resource_quantity(&path, name, text);
        let limit = resources.limits.as_ref().and_then(|limits| limits.get(name));
        check_against_limit(name, amount, limit, &limits_path, &requests_path, errors);
        errors.huge_pages(&path, name, amount);
    }
    if asks_for_huge_pages_only(resources) {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
    validate_claims(resources, claims, &path.field("claims"), errors);
}

fn check_against_limit(
    name: &str,
    request: Option<Quantity>,
    limit: Option<&QuantityText>,
    limits_path: &Path,
    requests_path: &Path,
    errors: &mut Errors,
) {
    let Some(limit) = limit else {
        if !allows_overcommit(name) {
            errors.required(limits_path, "Limit must be set for non overcommitable resources");
        }
        return;
    };
    let (Some(request), Ok(limit)) = (request, Quantity::try_from(limit)) else { return };
    if request != limit && !allows_overcommit(name) {
        errors.invalid(requests_path, request.to_string(), std::format!("must be equal to {name} limit of {limit}"));
    } else if request > limit {
        let message = std::format!("must be less than or equal to {name} limit of {limit}");
        errors.invalid(requests_path, request.to_string(), message);
    }
}

fn asks_for_huge_pages_only(resources: &ResourceRequirements) -> bool {
    let names = |list: &Option<ResourceList>, wanted: fn(&str) -> bool| {
        list.as_ref().is_some_and(|list| list.keys().any(|name| wanted(name)))
    };
    let any = |wanted| names(&resources.limits, wanted) || names(&resources.requests, wanted);
    any(|name| name.starts_with(HUGE_PAGES)) && !any(|name| matches!(name, "cpu" | "memory"))
}

fn validate_claims(resources: &ResourceRequirements, known: &dyn Fn(&str) -> bool, path: &Path, errors: &mut Errors) {
    for (index, claim) in items(&resources.claims).iter().enumerate() {
        let path = path.index(index);
        if !errors.given(&path.field("name"), &claim.name) {
            continue;
        }
        if super::check::is_repeated(items(&resources.claims), index, |claim| {
            (claim.name.clone(), claim.request.clone())
        }) {
            errors.duplicate(&path, &claim.name);
        } else if !known(&claim.name) {
            errors.not_found(&path.field("name"), &claim.name);
        }
    }
}
