//! Ingress and IngressClass.

use super::check::{items, text};
use super::{Ruled, fill, same, spec_only};
use crate::field::{Errors, Json, Path, format};
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, Ingress, IngressBackend, IngressClass, IngressClassParametersReference,
    IngressLoadBalancerIngress, IngressRule, IngressServiceBackend, IngressSpec, IngressStatus, IngressTLS,
};

const CONTROLLER_BYTES_MAX: usize = 250;

impl Ruled for Ingress {
    const HAS_GENERATION: bool = true;

    fn validate(&self, errors: &mut Errors) {
        validate_spec(self.spec.as_ref().unwrap_or(&IngressSpec::default()), &Path::new("spec"), errors);
        const CLASS: &str = "kubernetes.io/ingress.class";
        let annotated = self.metadata.annotations.as_ref().and_then(|annotations| annotations.get(CLASS));
        let named = self.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_ref());
        if let (Some(annotated), Some(named)) = (annotated, named)
            && annotated != named
        {
            let path = Path::new("annotations");
            let message = "must match `ingressClassName` when both are specified";
            errors.invalid(&path.field(CLASS), annotated, message);
        }
    }

    fn validate_update(&self, _old: &Self, errors: &mut Errors) {
        validate_spec(self.spec.as_ref().unwrap_or(&IngressSpec::default()), &Path::new("spec"), errors);
    }

    fn validate_status_update(&self, old: &Self, errors: &mut Errors) {
        let before = balancers_of(old);
        for (index, balancer) in balancers_of(self).iter().enumerate() {
            let path = Path::new("status.loadBalancer.ingress");
            let path = path.index(index);
            let (ip, hostname) = (text(&balancer.ip), text(&balancer.hostname));
            if !ip.is_empty() && !before.iter().any(|before| text(&before.ip) == ip) {
                errors.ip_address(&path.field("ip"), ip);
            }
            if !hostname.is_empty() {
                errors.dns_subdomain(&path.field("hostname"), hostname);
                if hostname.parse::<std::net::IpAddr>().is_ok() {
                    errors.invalid(&path.field("hostname"), hostname, "must be a DNS name, not an IP address");
                }
            }
        }
    }

    // Its status is never without a `loadBalancer`: upstream prints empty structs.
    fn prepare_create(&mut self) {
        self.status = Some(IngressStatus { load_balancer: Some(Default::default()) });
    }

    fn prepare_update(&mut self, old: &Self) {
        self.status = old.status.clone();
    }

    fn prepare_status_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
        self.status.get_or_insert_default().load_balancer.get_or_insert_default();
    }

    fn spec_changed(&self, old: &Self) -> bool {
        !same(&self.spec, &old.spec)
    }
}

fn balancers_of(ingress: &Ingress) -> &[IngressLoadBalancerIngress] {
    let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    balancer.map_or(&[], |balancer| items(&balancer.ingress))
}

fn validate_spec(spec: &IngressSpec, path: &Path, errors: &mut Errors) {
    if items(&spec.rules).is_empty() && spec.default_backend.is_none() {
        errors.invalid(path, Json(&spec.rules), "either `defaultBackend` or `rules` must be specified");
    }
    if let Some(backend) = &spec.default_backend {
        validate_backend(backend, &path.field("defaultBackend"), errors);
    }
    for (index, rule) in items(&spec.rules).iter().enumerate() {
        validate_rule(rule, &path.field("rules").index(index), errors);
    }
    for (index, tls) in items(&spec.tls).iter().enumerate() {
        validate_tls(tls, &path.field("tls").index(index), errors);
    }
    if let Some(class) = &spec.ingress_class_name {
        errors.dns_subdomain(&path.field("ingressClassName"), class);
    }
}

fn validate_host(host: &str, path: &Path, errors: &mut Errors) {
    match host.contains('*') {
        true => errors.invalid_each(path, host, format::wildcard_subdomain(host)),
        false => errors.dns_subdomain(path, host),
    }
}

fn validate_tls(tls: &IngressTLS, path: &Path, errors: &mut Errors) {
    for (index, host) in items(&tls.hosts).iter().enumerate() {
        validate_host(host, &path.field("hosts").index(index), errors);
    }
    if !text(&tls.secret_name).is_empty() {
        errors.dns_subdomain(&path.field("secretName"), text(&tls.secret_name));
    }
}

fn validate_rule(rule: &IngressRule, path: &Path, errors: &mut Errors) {
    let host = text(&rule.host);
    if !host.is_empty() {
        if host.parse::<std::net::IpAddr>().is_ok() {
            errors.invalid(&path.field("host"), host, "must be a DNS name, not an IP address");
        }
        validate_host(host, &path.field("host"), errors);
    }
    let Some(http) = &rule.http else { return };
    let path = path.field("http.paths");
    if http.paths.is_empty() {
        errors.required(&path, "");
    }
    for (index, http_path) in http.paths.iter().enumerate() {
        validate_http_path(http_path, &path.index(index), errors);
    }
}

fn validate_http_path(http_path: &HTTPIngressPath, path: &Path, errors: &mut Errors) {
    let written = text(&http_path.path);
    let at = path.field("path");
    let relative = !written.starts_with('/');
    match http_path.path_type.as_str() {
        "" => return errors.required(&path.field("pathType"), "pathType must be specified"),
        "Exact" | "Prefix" => {
            if relative {
                errors.invalid(&at, written, "must be an absolute path");
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"].into_iter().filter(|part| written.contains(part)) {
                errors.invalid(&at, written, std::format!("must not contain '{part}'"));
            }
            for end in ["/..", "/."].into_iter().filter(|end| written.ends_with(end)) {
                errors.invalid(&at, written, std::format!("cannot end with '{end}'"));
            }
        }
        "ImplementationSpecific" => {
            if relative && !written.is_empty() {
                errors.invalid(&at, written, "must be an absolute path");
            }
        }
        other => errors.not_supported(&path.field("pathType"), other, &["Exact", "ImplementationSpecific", "Prefix"]),
    }
    validate_backend(&http_path.backend, &path.field("backend"), errors);
}

fn validate_backend(backend: &IngressBackend, path: &Path, errors: &mut Errors) {
    match (&backend.resource, &backend.service) {
        (Some(_), Some(_)) => errors.invalid(path, "", "cannot set both resource and service backends"),
        (None, None) => errors.invalid(path, "", "resource or service backend is required"),
        (Some(resource), None) => {
            let path = path.field("resource");
            validate_reference(resource.api_group.as_deref(), &resource.kind, &resource.name, &path, errors);
        }
        (None, Some(service)) => validate_service(service, path, errors),
    }
}

fn validate_service(service: &IngressServiceBackend, path: &Path, errors: &mut Errors) {
    let name_path = path.field("service.name");
    if errors.given(&name_path, &service.name) {
        errors.dns_label(&name_path, &service.name);
    }
    let port = service.port.as_ref();
    let name = port.map_or("", |port| text(&port.name));
    let number = port.and_then(|port| port.number).unwrap_or(0);
    match (name, number) {
        ("", 0) => errors.required(path, "port name or number is required"),
        ("", number) => errors.port(&path.field("service.port.number"), number),
        (name, 0) => errors.invalid_each(&path.field("service.port.name"), name, format::port_name(name)),
        _ => errors.invalid(path, "", "cannot set both port name & port number"),
    }
}

/// Checks a reference to any kind of object.
fn validate_reference(group: Option<&str>, kind: &str, name: &str, path: &Path, errors: &mut Errors) {
    if let Some(group) = group {
        errors.dns_subdomain(&path.field("apiGroup"), group);
    }
    errors.given_path_segment(&path.field("kind"), kind);
    errors.given_path_segment(&path.field("name"), name);
}

impl Ruled for IngressClass {
    spec_only!();

    fn fill_defaults(&mut self) {
        if let Some(parameters) = self.spec.as_mut().and_then(|spec| spec.parameters.as_mut()) {
            fill::value(&mut parameters.scope, "Cluster".to_owned());
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let path = Path::new("spec");
        let controller = self.spec.as_ref().map_or("", |spec| text(&spec.controller));
        if controller.len() > CONTROLLER_BYTES_MAX {
            errors.too_long(&path.field("controller"), CONTROLLER_BYTES_MAX);
        }
        errors.domain_prefixed_path(&path.field("controller"), controller);
        if let Some(parameters) = self.spec.as_ref().and_then(|spec| spec.parameters.as_ref()) {
            validate_parameters(parameters, &path.field("parameters"), errors);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        let controller = |class: &Self| class.spec.as_ref().and_then(|spec| spec.controller.clone());
        errors.immutable(&Path::new("spec.controller"), &controller(self), &controller(old));
        self.validate(errors);
    }
}

fn validate_parameters(parameters: &IngressClassParametersReference, path: &Path, errors: &mut Errors) {
    validate_reference(parameters.api_group.as_deref(), &parameters.kind, &parameters.name, path, errors);
    let namespace_path = path.field("namespace");
    match (parameters.scope.as_deref(), &parameters.namespace) {
        (None, _) => errors.required(&path.field("scope"), ""),
        (Some("Namespace"), None) => errors.required(&namespace_path, "`parameters.scope` is set to 'Namespace'"),
        (Some("Namespace"), Some(namespace)) => errors.dns_label(&namespace_path, namespace),
        (Some("Cluster"), Some(_)) => errors.forbidden(&namespace_path, "`parameters.scope` is set to 'Cluster'"),
        (Some("Cluster"), None) => {}
        (Some(scope), _) => errors.not_supported(&path.field("scope"), scope, &["Cluster", "Namespace"]),
    }
}
