//! The pod spec, shared by Pod and every kind with a pod template.
//!
//! - `defaults`: what is filled in
//! - `container`, `env`, `probe`, `volume`, `security`, `scheduling`: validation of the parts
//!
//! Not checked as upstream does: AppArmor annotations (they are deprecated), and pod-level `resources`.

pub(super) mod container;
pub(super) mod defaults;
mod env;
mod probe;
pub(super) mod scheduling;
mod security;
pub(super) mod volume;
mod windows;

use super::check::{is_repeated, items, text};
use crate::field::{Errors, Json, Path, format};
use k8s_openapi::api::core::v1::{PodDNSConfig, PodResourceClaim, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// What a part of a pod spec needs to know of the rest.
pub(super) struct Context<'a> {
    /// The spec it is part of.
    pub spec: &'a PodSpec,
    /// The pod's metadata; none in a template.
    pub metadata: Option<&'a ObjectMeta>,
    /// Which of its volumes are wrong: as upstream, these cannot be mounted. Empty, and free, when all is well.
    pub bad_volumes: Vec<usize>,
}

impl Context<'_> {
    fn is_pod(&self) -> bool {
        self.metadata.is_some()
    }

    fn shares_users_with_host(&self) -> bool {
        self.spec.host_users != Some(false)
    }

    fn has_claim(&self, name: &str) -> bool {
        items(&self.spec.resource_claims).iter().any(|claim| claim.name == name)
    }
}

/// Checks a pod spec; `metadata` is the pod's, and absent in a template.
pub(super) fn validate(spec: &PodSpec, metadata: Option<&ObjectMeta>, path: &Path, errors: &mut Errors) {
    windows::validate_host_processes(spec, path, errors);
    let mut context = Context { spec, metadata, bad_volumes: Vec::new() };
    if spec.termination_grace_period_seconds.is_none() {
        errors.required(&path.field("terminationGracePeriodSeconds"), "");
    }
    context.bad_volumes = volume::validate(&context, &path.field("volumes"), errors);
    container::validate_containers(&context, &path.field("containers"), errors);
    container::validate_init_containers(&context, &path.field("initContainers"), errors);
    container::validate_ephemeral_containers(&context, &path.field("ephemeralContainers"), errors);
    validate_host_network(&context, &path.field("containers"), errors);
    errors.given_one_of(&path.field("restartPolicy"), text(&spec.restart_policy), &["Always", "OnFailure", "Never"]);
    errors.given_one_of(
        &path.field("dnsPolicy"),
        text(&spec.dns_policy),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    errors.labels(&path.field("nodeSelector"), &spec.node_selector);
    security::validate_pod(spec, &path.field("securityContext"), errors);
    scheduling::validate_affinity(spec.affinity.as_ref(), &path.field("affinity"), errors);
    validate_dns(spec, &path.field("dnsConfig"), errors);
    for (index, gate) in items(&spec.readiness_gates).iter().enumerate() {
        errors.qualified_name(&path.field("readinessGates").index(index).field("conditionType"), &gate.condition_type);
    }
    scheduling::validate_gates(items(&spec.scheduling_gates), &path.field("schedulingGates"), errors);
    scheduling::validate_spread(
        items(&spec.topology_spread_constraints),
        &path.field("topologySpreadConstraints"),
        errors,
    );
    validate_host_users(spec, path, errors);
    validate_names(spec, path, errors);
    validate_claims(items(&spec.resource_claims), &path.field("resourceClaims"), errors);
    if let Some(seconds) = spec.active_deadline_seconds {
        errors.invalid_each(
            &path.field("activeDeadlineSeconds"),
            seconds,
            format::in_range(seconds, 1, i32::MAX.into()),
        );
    }
    scheduling::validate_tolerations(items(&spec.tolerations), &path.field("tolerations"), errors);
    for (index, alias) in items(&spec.host_aliases).iter().enumerate() {
        let path = path.field("hostAliases");
        let path = path.index(index);
        errors.ip_address(&path.field("ip"), &alias.ip);
        for (index, hostname) in items(&alias.hostnames).iter().enumerate() {
            errors.dns_subdomain(&path.field("hostnames").index(index), hostname);
        }
    }
    if let Some(policy) = &spec.preemption_policy {
        errors.given_one_of(&path.field("preemptionPolicy"), policy, &["PreemptLowerPriority", "Never"]);
    }
    for (name, amount) in spec.overhead.iter().flatten() {
        let path = path.field("overhead").field("limits").key(name).to_string();
        errors.container_resource_name(&Path::new(&path), name);
        errors.resource_quantity(&Path::new(&path), name, amount);
    }
    if let Some(os) = &spec.os
        && errors.given(&path.field("os").field("name"), &os.name)
    {
        errors.one_of(&path.field("os"), &os.name, &["linux", "windows"]);
    }
}

fn validate_host_network(context: &Context, path: &Path, errors: &mut Errors) {
    if context.spec.host_network != Some(true) {
        return;
    }
    for (index, container) in context.spec.containers.iter().enumerate() {
        for (port_index, port) in items(&container.ports).iter().enumerate() {
            let host_port = port.host_port.unwrap_or(0);
            if (context.is_pod() || host_port != 0) && host_port != port.container_port {
                let path = path.index(index);
                let path = path.field("ports");
                errors.invalid(
                    &path.index(port_index).field("hostPort"),
                    host_port,
                    "must match `containerPort` when `hostNetwork` is true",
                );
            }
        }
    }
}

fn validate_dns(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    let names_needed = spec.dns_policy.as_deref() == Some("None");
    let Some(config) = &spec.dns_config else {
        if names_needed {
            errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        return;
    };
    if names_needed && items(&config.nameservers).is_empty() {
        let message = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        return errors.required(&path.field("nameservers"), message);
    }
    validate_dns_config(config, path, errors);
}

fn validate_dns_config(config: &PodDNSConfig, path: &Path, errors: &mut Errors) {
    const NAMESERVERS_MAX: usize = 3;
    const SEARCHES_MAX: usize = 32;
    const SEARCH_LIST_CHARACTERS_MAX: usize = 2048;
    let (nameservers, searches) = (items(&config.nameservers), items(&config.searches));
    let nameservers_path = path.field("nameservers");
    let searches_path = path.field("searches");
    if nameservers.len() > NAMESERVERS_MAX {
        let message = std::format!("must not have more than {NAMESERVERS_MAX} nameservers");
        errors.invalid(&nameservers_path, Json(nameservers), message);
    }
    for (index, nameserver) in nameservers.iter().enumerate() {
        errors.ip_address(&nameservers_path.index(index), nameserver);
    }
    if searches.len() > SEARCHES_MAX {
        errors.invalid(
            &searches_path,
            Json(searches),
            std::format!("must not have more than {SEARCHES_MAX} search paths"),
        );
    }
    let characters = searches.iter().map(|search| search.len() + 1).sum::<usize>().saturating_sub(1);
    if characters > SEARCH_LIST_CHARACTERS_MAX {
        let message = std::format!(
            "must not have more than {SEARCH_LIST_CHARACTERS_MAX} characters (including spaces) in the search list"
        );
        errors.invalid(&searches_path, Json(searches), message);
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        let search = search.strip_suffix('.').unwrap_or(search);
        errors.invalid_each(&searches_path.index(index), search, format::dns1123_subdomain_with_underscore(search));
    }
    for (index, option) in items(&config.options).iter().enumerate() {
        if text(&option.name).is_empty() {
            errors.required(&path.field("options").index(index), "must not be empty");
        }
    }
}

fn validate_host_users(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    if spec.host_users != Some(false) {
        return;
    }
    // The capitals are upstream's.
    for (name, set) in [("hostNetwork", spec.host_network), ("HostPID", spec.host_pid), ("HostIPC", spec.host_ipc)] {
        if set == Some(true) {
            errors.forbidden(&path.field(name), "when `hostUsers` is false");
        }
    }
}

fn validate_names(spec: &PodSpec, path: &Path, errors: &mut Errors) {
    if let Some(name) = &spec.hostname_override {
        let path = path.field("hostnameOverride");
        if spec.set_hostname_as_fqdn == Some(true) {
            errors.forbidden(&path, "may not be specified when setHostnameAsFQDN is true");
        }
        if spec.host_network == Some(true) {
            errors.forbidden(&path, "may not be specified when hostNetwork is true");
        }
        if name.len() > 64 {
            errors.too_long(&path, 64);
        }
        errors.dns_subdomain(&path, name);
    }
    let subdomains = [
        ("serviceAccountName", &spec.service_account_name),
        ("nodeName", &spec.node_name),
        ("priorityClassName", &spec.priority_class_name),
    ];
    for (field, name) in subdomains.into_iter().filter(|(_, name)| !text(name).is_empty()) {
        errors.dns_subdomain(&path.field(field), text(name));
    }
    if let Some(name) = &spec.runtime_class_name {
        errors.dns_subdomain(&path.field("runtimeClassName"), name);
    }
    let labels = [("hostname", &spec.hostname), ("subdomain", &spec.subdomain)];
    for (field, name) in labels.into_iter().filter(|(_, name)| !text(name).is_empty()) {
        errors.dns_label(&path.field(field), text(name));
    }
}

fn validate_claims(claims: &[PodResourceClaim], path: &Path, errors: &mut Errors) {
    for (index, claim) in claims.iter().enumerate() {
        let path = path.index(index);
        if claim.name.is_empty() {
            errors.required(&path.field("name"), "");
        } else if is_repeated(claims, index, |claim| claim.name.clone()) {
            errors.duplicate(&path.field("name"), &claim.name);
        } else {
            errors.dns_label(&path.field("name"), &claim.name);
        }
        let sources = [
            ("resourceClaimName", &claim.resource_claim_name),
            ("resourceClaimTemplateName", &claim.resource_claim_template_name),
        ];
        match sources.iter().filter(|(_, name)| name.is_some()).count() {
            0 => {
                let message = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
                errors.invalid(&path, Json(claim), message);
            }
            1 => {}
            _ => {
                let message = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
                errors.invalid(&path, Json(claim), message);
            }
        }
        for (field, name) in sources {
            if let Some(name) = name {
                errors.dns_subdomain(&path.field(field), name);
            }
        }
    }
}
