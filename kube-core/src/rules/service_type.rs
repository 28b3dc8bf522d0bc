//! What a change of a Service's type takes with it: fields that the new type has not, that may have been filled in by the server,
//! and that the writer did not change. Source: `registry/core/service/strategy.go` `dropTypeDependentFields`.

use super::check::{items, text};
use k8s_openapi::api::core::v1::ServiceSpec;

pub(super) fn drop_dependent(new: &mut ServiceSpec, old: &ServiceSpec) {
    let leaves = |has: fn(&ServiceSpec) -> bool, new: &ServiceSpec| has(old) && !has(new);
    if leaves(has_cluster_ip, new) {
        forget(&mut new.ip_families, &old.ip_families);
        forget(&mut new.ip_family_policy, &old.ip_family_policy);
        if new.cluster_ip == old.cluster_ip && new.cluster_ips == old.cluster_ips {
            (new.cluster_ip, new.cluster_ips) = (None, None);
        }
    }
    if leaves(has_node_ports, new) && node_ports(new) == node_ports(old) {
        new.ports.iter_mut().flatten().for_each(|port| port.node_port = None);
    }
    if leaves(has_health_check, new) {
        forget(&mut new.health_check_node_port, &old.health_check_node_port);
    }
    if leaves(is_balanced, new) {
        forget(&mut new.allocate_load_balancer_node_ports, &old.allocate_load_balancer_node_ports);
        forget(&mut new.load_balancer_class, &old.load_balancer_class);
    }
    if leaves(is_external, new) {
        forget(&mut new.external_traffic_policy, &old.external_traffic_policy);
    }
}

fn forget<T: PartialEq>(new: &mut Option<T>, old: &Option<T>) {
    if new == old {
        *new = None;
    }
}

fn node_ports(spec: &ServiceSpec) -> std::collections::BTreeSet<i32> {
    items(&spec.ports).iter().filter_map(|port| port.node_port).filter(|port| *port != 0).collect()
}

fn has_cluster_ip(spec: &ServiceSpec) -> bool {
    matches!(text(&spec.type_), "ClusterIP" | "NodePort" | "LoadBalancer")
}

fn has_node_ports(spec: &ServiceSpec) -> bool {
    text(&spec.type_) == "NodePort" || (is_balanced(spec) && spec.allocate_load_balancer_node_ports != Some(false))
}

fn has_health_check(spec: &ServiceSpec) -> bool {
    is_balanced(spec) && text(&spec.external_traffic_policy) == "Local"
}

fn is_balanced(spec: &ServiceSpec) -> bool {
    text(&spec.type_) == "LoadBalancer"
}

/// Whether it can be reached from outside the cluster, so that traffic from there has a policy.
pub(super) fn is_external(spec: &ServiceSpec) -> bool {
    matches!(text(&spec.type_), "NodePort" | "LoadBalancer")
        || (text(&spec.type_) == "ClusterIP" && !items(&spec.external_ips).is_empty())
}
