//! Service. Which cluster IPs and ports it gets is decided elsewhere; `service_ips` checks the result. A load balancer's
//! `healthCheckNodePort` is checked for where it may be set, not that it is.

use super::check::{items, text};
use super::service_type::is_external;
use super::{Ruled, fill, metadata, service_ips, service_type};
use crate::field::{Error, ErrorKind, Errors, Path, quote};
use k8s_openapi::api::core::v1::{
    ClientIPConfig, Service, ServicePort, ServiceSpec, ServiceStatus, SessionAffinityConfig,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

const AFFINITY_SECONDS: i32 = 10_800;
const AFFINITY_SECONDS_MAX: i32 = 86_400;
const SPEC: Path<'static> = Path::new("spec");

impl Ruled for Service {
    /// Since v1.36 a name may start with a digit (RelaxedServiceNameValidation).
    const NAME: metadata::NameRule = metadata::dns_label;

    fn fill_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        fill_affinity(spec);
        fill::text(&mut spec.type_, "ClusterIP");
        spec.ports.iter_mut().flatten().for_each(fill_port);
        if is_external(spec) {
            fill::text(&mut spec.external_traffic_policy, "Cluster");
        }
        if matches!(text(&spec.type_), "NodePort" | "LoadBalancer" | "ClusterIP") {
            fill::value(&mut spec.internal_traffic_policy, "Cluster".to_owned());
        }
        if is_load_balancer(spec) {
            fill::value(&mut spec.allocate_load_balancer_node_ports, true);
        }
        for ingress in
            self.status.iter_mut().filter_map(|it| it.load_balancer.as_mut()).flat_map(|it| &mut it.ingress).flatten()
        {
            if is_load_balancer(spec) && ingress.ip.is_some() {
                fill::value(&mut ingress.ip_mode, "VIP".to_owned());
            }
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let Some(spec) = &self.spec else { return errors.required(&SPEC, "") };
        validate_spec(spec, None, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        let (Some(spec), Some(old)) = (&self.spec, &old.spec) else { return errors.required(&SPEC, "") };
        service_ips::validate_update(spec, old, errors);
        if is_load_balancer(old) && is_load_balancer(spec) && spec.load_balancer_class != old.load_balancer_class {
            errors.invalid(&SPEC.field("loadBalancerClass"), &spec.load_balancer_class, "may not change once set");
        }
        if needs_health_check(spec)
            && needs_health_check(old)
            && spec.health_check_node_port != old.health_check_node_port
        {
            errors.forbidden(&SPEC.field("healthCheckNodePort"), "field is immutable");
        }
        validate_spec(spec, Some(old), errors);
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        if let (Some(spec), Some(status)) = (&self.spec, &self.status) {
            validate_status(spec, status, errors);
        }
    }

    fn prepare_create(&mut self) {
        self.status = Some(ServiceStatus { load_balancer: Some(Default::default()), ..Default::default() });
    }

    fn prepare_update(&mut self, old: &Self) {
        self.status = old.status.clone();
        if let (Some(spec), Some(old)) = (&mut self.spec, &old.spec) {
            service_type::drop_dependent(spec, old);
        }
    }

    fn prepare_status_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
    }
}

fn fill_affinity(spec: &mut ServiceSpec) {
    fill::text(&mut spec.session_affinity, "None");
    match text(&spec.session_affinity) {
        "None" => spec.session_affinity_config = None,
        "ClientIP" => {
            let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
            if config.and_then(|config| config.timeout_seconds).is_none() {
                let client_ip = Some(ClientIPConfig { timeout_seconds: Some(AFFINITY_SECONDS) });
                spec.session_affinity_config = Some(SessionAffinityConfig { client_ip });
            }
        }
        _ => {}
    }
}

fn fill_port(port: &mut ServicePort) {
    fill::text(&mut port.protocol, "TCP");
    let unset = match &port.target_port {
        None | Some(IntOrString::Int(0)) => true,
        Some(IntOrString::Int(_)) => false,
        Some(IntOrString::String(name)) => name.is_empty(),
    };
    if unset {
        port.target_port = Some(IntOrString::Int(port.port));
    }
}

fn is_load_balancer(spec: &ServiceSpec) -> bool {
    text(&spec.type_) == "LoadBalancer"
}

fn needs_health_check(spec: &ServiceSpec) -> bool {
    is_load_balancer(spec) && text(&spec.external_traffic_policy) == "Local"
}

fn validate_spec(spec: &ServiceSpec, old: Option<&ServiceSpec>, errors: &mut Errors) {
    let ports = items(&spec.ports);
    let headless = service_ips::is_headless(spec);
    let kind = text(&spec.type_);
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.required(&SPEC.field("ports"), "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            let message = format!("may not be set to 'None' for {kind} services");
            errors.invalid(&SPEC.field("clusterIPs").index(0), "None", message);
        }
        "ExternalName" => validate_external_name(spec, errors),
        _ => {}
    }
    validate_ports(ports, &SPEC.field("ports"), errors);
    errors.labels(&SPEC.field("selector"), &spec.selector);
    validate_affinity(spec, errors);
    service_ips::validate(spec, errors);
    for (index, ip) in items(&spec.external_ips).iter().enumerate() {
        let known = old.is_some_and(|old| items(&old.external_ips).contains(ip));
        let path = SPEC.field("externalIPs");
        let path = path.index(index);
        let messages = if known { Vec::new() } else { crate::field::format::ip_address(ip) };
        if messages.is_empty() {
            errors.endpoint_ip(&path, ip, None);
        }
        errors.invalid_each(&path, ip, messages);
    }
    errors.given_one_of(&SPEC.field("type"), kind, &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    validate_node_ports(kind, ports, &SPEC.field("ports"), errors);
    validate_load_balancer(spec, old, errors);
    validate_traffic(spec, errors);
}

fn validate_external_name(spec: &ServiceSpec, errors: &mut Errors) {
    for (field, given) in [
        ("clusterIPs", !items(&spec.cluster_ips).is_empty()),
        ("ipFamilies", !items(&spec.ip_families).is_empty()),
        ("ipFamilyPolicy", spec.ip_family_policy.is_some()),
    ] {
        if given {
            errors.forbidden(&SPEC.field(field), "may not be set for ExternalName services");
        }
    }
    let name = text(&spec.external_name);
    let name = name.strip_suffix('.').unwrap_or(name);
    if errors.given(&SPEC.field("externalName"), name) {
        errors.dns_subdomain(&SPEC.field("externalName"), name);
    }
}

fn validate_ports(ports: &[ServicePort], path: &Path, errors: &mut Errors) {
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(&port.name);
        if !name.is_empty() {
            errors.dns_label(&path.field("name"), name);
            if ports.iter().take(index).any(|earlier| text(&earlier.name) == name) {
                errors.duplicate(&path.field("name"), name);
            }
        } else if ports.len() > 1 {
            errors.required(&path.field("name"), "");
        }
        errors.port(&path.field("port"), port.port);
        errors.given_one_of(&path.field("protocol"), text(&port.protocol), &["SCTP", "TCP", "UDP"]);
        if let Some(target) = &port.target_port {
            errors.port_or_name(&path.field("targetPort"), target);
        }
        if let Some(protocol) = &port.app_protocol {
            errors.qualified_name(&path.field("appProtocol"), protocol);
        }
    }
}

fn validate_node_ports(kind: &str, ports: &[ServicePort], path: &Path, errors: &mut Errors) {
    let taken = |port: &ServicePort| port.node_port.filter(|number| *number != 0);
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let Some(number) = taken(port) else { continue };
        if kind == "ClusterIP" {
            errors.forbidden(&path.field("nodePort"), "may not be used when `type` is 'ClusterIP'");
        }
        let mut earlier = ports.iter().take(index);
        if earlier.any(|earlier| earlier.protocol == port.protocol && taken(earlier) == Some(number)) {
            errors.duplicate(&path.field("nodePort"), number);
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let mut earlier = ports.iter().take(index);
        if earlier.any(|earlier| earlier.protocol == port.protocol && earlier.port == port.port) {
            errors.push(Error {
                kind: ErrorKind::Duplicate,
                field: path.index(index).to_string(),
                bad_value: Some(internal_form(port)),
                detail: String::new(),
            });
        }
    }
}

/// Upstream shows what it compares: a port of its internal form with all but protocol and number left out.
fn internal_form(port: &ServicePort) -> String {
    let (protocol, number) = (quote(text(&port.protocol)), port.port);
    format!(r#"{{"Name":"","Protocol":{protocol},"AppProtocol":null,"Port":{number},"TargetPort":0,"NodePort":0}}"#)
}

fn validate_affinity(spec: &ServiceSpec, errors: &mut Errors) {
    let affinity = text(&spec.session_affinity);
    errors.given_one_of(&SPEC.field("sessionAffinity"), affinity, &["ClientIP", "None"]);
    let path = SPEC.field("sessionAffinityConfig");
    match (affinity, &spec.session_affinity_config) {
        ("None", Some(_)) => errors.forbidden(&path, "must not be set when session affinity is None"),
        ("ClientIP", config) => {
            const WHEN: &str = "when session affinity type is ClientIP";
            let Some(config) = config else { return errors.required(&path, WHEN) };
            let path = path.field("clientIP");
            let Some(config) = &config.client_ip else { return errors.required(&path, WHEN) };
            let path = path.field("timeoutSeconds");
            let Some(seconds) = config.timeout_seconds else { return errors.required(&path, WHEN) };
            if !(1..=AFFINITY_SECONDS_MAX).contains(&seconds) {
                let message = format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}");
                errors.invalid(&path, seconds, message);
            }
        }
        _ => {}
    }
}

fn validate_load_balancer(spec: &ServiceSpec, old: Option<&ServiceSpec>, errors: &mut Errors) {
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    let ranges = items(&spec.load_balancer_source_ranges);
    // The capital is upstream's.
    let path = SPEC.field("LoadBalancerSourceRanges");
    if !ranges.is_empty() && !is_load_balancer(spec) {
        errors.forbidden(&path, ONLY);
    }
    for (index, range) in ranges.iter().enumerate() {
        if !old.is_some_and(|old| items(&old.load_balancer_source_ranges).contains(range)) {
            errors.cidr(&path.index(index), range.trim());
        }
    }
    if spec.allocate_load_balancer_node_ports.is_some() && !is_load_balancer(spec) {
        errors.forbidden(&SPEC.field("allocateLoadBalancerNodePorts"), ONLY);
    }
    if spec.allocate_load_balancer_node_ports.is_none() && is_load_balancer(spec) {
        errors.required(&Path::new("allocateLoadBalancerNodePorts"), "");
    }
    match &spec.load_balancer_class {
        Some(class) if is_load_balancer(spec) => errors.qualified_name(&SPEC.field("loadBalancerClass"), class),
        Some(_) => errors.forbidden(&SPEC.field("loadBalancerClass"), ONLY),
        None => {}
    }
}

fn validate_traffic(spec: &ServiceSpec, errors: &mut Errors) {
    let (path, policy) = (SPEC.field("externalTrafficPolicy"), text(&spec.external_traffic_policy));
    if is_external(spec) {
        errors.given_one_of(&path, policy, &["Cluster", "Local"]);
    } else if !policy.is_empty() {
        errors.invalid(&path, policy, "may only be set for externally-accessible services");
    }
    if let Some(port) = spec.health_check_node_port.filter(|port| *port != 0) {
        let path = SPEC.field("healthCheckNodePort");
        if needs_health_check(spec) {
            errors.port(&path, port);
        } else {
            let message = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.invalid(&path, port, message);
        }
    }
    let path = SPEC.field("internalTrafficPolicy");
    if spec.internal_traffic_policy.is_none() && text(&spec.type_) != "ExternalName" && !text(&spec.type_).is_empty() {
        errors.required(&path, "");
    }
    errors.any_of(&path, &spec.internal_traffic_policy, &["Cluster", "Local"]);
    let distributions = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    errors.any_of(&SPEC.field("trafficDistribution"), &spec.traffic_distribution, &distributions);
}

fn validate_status(spec: &ServiceSpec, status: &ServiceStatus, errors: &mut Errors) {
    let path = Path::new("status.loadBalancer.ingress");
    let ingress = status.load_balancer.as_ref().map_or(&[][..], |balancer| items(&balancer.ingress));
    if !is_load_balancer(spec) && !ingress.is_empty() {
        return errors.forbidden(&path, "may only be used when `spec.type` is 'LoadBalancer'");
    }
    for (index, ingress) in ingress.iter().enumerate() {
        let path = path.index(index);
        let (ip, hostname) = (text(&ingress.ip), text(&ingress.hostname));
        if !ip.is_empty() {
            errors.ip_address(&path.field("ip"), ip);
        }
        match &ingress.ip_mode {
            None if !ip.is_empty() => errors.required(&path.field("ipMode"), "must be specified when `ip` is set"),
            Some(_) if ip.is_empty() => {
                errors.forbidden(&path.field("ipMode"), "may not be specified when `ip` is not set")
            }
            mode => errors.any_of(&path.field("ipMode"), mode, &["Proxy", "VIP"]),
        }
        if !hostname.is_empty() {
            errors.dns_subdomain(&path.field("hostname"), hostname);
            if hostname.parse::<std::net::IpAddr>().is_ok() {
                errors.invalid(&path.field("hostname"), hostname, "must be a DNS name, not an IP address");
            }
        }
    }
}
