//! Where a pod may or wants to run.

use crate::field::{Errors, Path, format};
use crate::rules::check::{items, text};
use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm,
    PodSchedulingGate, Toleration, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

pub(in crate::rules) const TAINT_EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(in crate::rules) fn validate_tolerations(tolerations: &[Toleration], path: &Path, errors: &mut Errors) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let (key, operator, value) = (text(&toleration.key), text(&toleration.operator), text(&toleration.value));
        if !key.is_empty() {
            errors.qualified_name(&path.field("key"), key);
        } else if operator != "Exists" {
            let message = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.invalid(&path.field("operator"), operator, message);
        }
        let effect = text(&toleration.effect);
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            let message = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.invalid(&path.field("effect"), effect, message);
        }
        match operator {
            "" | "Equal" => {
                let messages = format::label_value(value);
                if !messages.is_empty() {
                    errors.invalid(&path.field("operator"), value, messages.join(";"));
                }
            }
            "Exists" if !value.is_empty() => {
                errors.invalid(&path.field("operator"), value, "value must be empty when `operator` is 'Exists'");
            }
            _ => errors.one_of(&path.field("operator"), operator, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            errors.one_of(&path.field("effect"), effect, TAINT_EFFECTS);
        }
    }
}

pub(super) fn validate_gates(gates: &[PodSchedulingGate], path: &Path, errors: &mut Errors) {
    for (index, gate) in gates.iter().enumerate() {
        let path = path.index(index);
        errors.qualified_name(&path, &gate.name);
        if gates.iter().take(index).any(|earlier| earlier.name == gate.name) {
            errors.duplicate(&path, &gate.name);
        }
    }
}

pub(super) fn validate_spread(constraints: &[TopologySpreadConstraint], path: &Path, errors: &mut Errors) {
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.index(index);
        errors.positive(&path.field("maxSkew"), constraint.max_skew);
        if constraint.topology_key.is_empty() {
            errors.required(&path.field("topologyKey"), "can not be empty");
        }
        let when = constraint.when_unsatisfiable.as_str();
        errors.one_of(&path.field("whenUnsatisfiable"), when, &["DoNotSchedule", "ScheduleAnyway"]);
        let is_same = |other: &TopologySpreadConstraint| {
            other.topology_key == constraint.topology_key && other.when_unsatisfiable == constraint.when_unsatisfiable
        };
        if constraints.iter().skip(index + 1).any(is_same) {
            let shown = std::format!("{{{}, {when}}}", constraint.topology_key);
            errors.duplicate(&path.field("{topologyKey, whenUnsatisfiable}"), shown);
        }
        if let Some(domains) = constraint.min_domains {
            errors.positive(&path.field("minDomains"), domains);
            if when != "DoNotSchedule" {
                let message = std::format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}");
                errors.invalid(&path.field("minDomains"), domains, message);
            }
        }
        let policies = ["Honor", "Ignore"];
        errors.any_of(&path.field("nodeAffinityPolicy"), &constraint.node_affinity_policy, &policies);
        errors.any_of(&path.field("nodeTaintsPolicy"), &constraint.node_taints_policy, &policies);
        let selector = constraint.label_selector.as_ref();
        validate_label_keys(items(&constraint.match_label_keys), selector, &path.field("matchLabelKeys"), errors);
        errors.label_selector(&path.field("labelSelector"), selector);
    }
}

/// Keys whose values are taken from the pod itself.
fn validate_label_keys(keys: &[String], selector: Option<&LabelSelector>, path: &Path, errors: &mut Errors) {
    if !keys.is_empty() && selector.is_none() {
        errors.forbidden(path, "must not be specified when labelSelector is not set");
    }
    for (index, key) in keys.iter().enumerate() {
        errors.qualified_name(&path.index(index), key);
    }
}

pub(super) fn validate_affinity(affinity: Option<&Affinity>, path: &Path, errors: &mut Errors) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    let Some(affinity) = affinity else { return };
    if let Some(nodes) = &affinity.node_affinity {
        validate_node_affinity(nodes, &path.field("nodeAffinity"), errors);
    }
    let near = affinity.pod_affinity.as_ref().map(|near| {
        (
            &near.required_during_scheduling_ignored_during_execution,
            &near.preferred_during_scheduling_ignored_during_execution,
        )
    });
    let far = affinity.pod_anti_affinity.as_ref().map(|far| {
        (
            &far.required_during_scheduling_ignored_during_execution,
            &far.preferred_during_scheduling_ignored_during_execution,
        )
    });
    for (field, terms) in [("podAffinity", near), ("podAntiAffinity", far)] {
        let Some((required, preferred)) = terms else { continue };
        let path = path.field(field);
        for (index, term) in items(required).iter().enumerate() {
            validate_pod_term(term, &path.field(REQUIRED).index(index), errors);
        }
        for (index, term) in items(preferred).iter().enumerate() {
            validate_weighted_pod_term(term, &path.field(PREFERRED).index(index), errors);
        }
    }
}

fn validate_node_affinity(affinity: &NodeAffinity, path: &Path, errors: &mut Errors) {
    if let Some(selector) = &affinity.required_during_scheduling_ignored_during_execution {
        let path = path.field("requiredDuringSchedulingIgnoredDuringExecution");
        validate_node_selector(selector, &path, errors);
    }
    for (index, term) in items(&affinity.preferred_during_scheduling_ignored_during_execution).iter().enumerate() {
        let path = path.field("preferredDuringSchedulingIgnoredDuringExecution");
        let path = path.index(index);
        validate_weight(term.weight, &path, errors);
        validate_node_term(&term.preference, false, &path.field("preference"), errors);
    }
}

fn validate_weight(weight: i32, path: &Path, errors: &mut Errors) {
    if !(1..=100).contains(&weight) {
        errors.invalid(&path.field("weight"), weight, "must be in the range 1-100");
    }
}

pub(in crate::rules) fn validate_node_selector(selector: &NodeSelector, path: &Path, errors: &mut Errors) {
    let path = path.field("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        errors.required(&path, "must have at least one node selector term");
    }
    for (index, term) in selector.node_selector_terms.iter().enumerate() {
        validate_node_term(term, true, &path.index(index), errors);
    }
}

/// Values of preferred terms are not looked at: upstream once let any pass.
fn validate_node_term(term: &NodeSelectorTerm, values_too: bool, path: &Path, errors: &mut Errors) {
    for (index, requirement) in items(&term.match_expressions).iter().enumerate() {
        let path = path.field("matchExpressions");
        let path = path.index(index);
        let values = items(&requirement.values);
        errors.node_selector_operator(&path, &requirement.operator, values);
        errors.qualified_name(&path.field("key"), &requirement.key);
        if values_too {
            errors.label_values(&path.field("values"), values);
        }
    }
    for (index, requirement) in items(&term.match_fields).iter().enumerate() {
        validate_node_field(requirement, &path.field("matchFields").index(index), errors);
    }
}

fn validate_node_field(requirement: &NodeSelectorRequirement, path: &Path, errors: &mut Errors) {
    let values = items(&requirement.values);
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.len() != 1 => {
            let message = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            errors.required(&path.field("values"), message);
        }
        "In" | "NotIn" => {}
        operator => errors.invalid(&path.field("operator"), operator, "not a valid selector operator"),
    }
    if requirement.key == "metadata.name" {
        for (index, value) in values.iter().enumerate() {
            errors.dns_subdomain(&path.field("values").index(index), value);
        }
    } else {
        errors.invalid(&path.field("key"), &requirement.key, "not a valid field selector key");
    }
}

fn validate_weighted_pod_term(term: &WeightedPodAffinityTerm, path: &Path, errors: &mut Errors) {
    validate_weight(term.weight, path, errors);
    validate_pod_term(&term.pod_affinity_term, &path.field("podAffinityTerm"), errors);
}

fn validate_pod_term(term: &PodAffinityTerm, path: &Path, errors: &mut Errors) {
    errors.label_selector(&path.field("labelSelector"), term.label_selector.as_ref());
    errors.label_selector(&path.field("namespaceSelector"), term.namespace_selector.as_ref());
    for namespace in items(&term.namespaces) {
        errors.dns_label(&path.field("namespace"), namespace);
    }
    let (with, without) = (items(&term.match_label_keys), items(&term.mismatch_label_keys));
    validate_label_keys(with, term.label_selector.as_ref(), &path.field("matchLabelKeys"), errors);
    validate_label_keys(without, term.label_selector.as_ref(), &path.field("mismatchLabelKeys"), errors);
    for (index, key) in with.iter().enumerate().filter(|(_, key)| without.contains(key)) {
        let message = "exists in both matchLabelKeys and mismatchLabelKeys";
        errors.invalid(&path.field("matchLabelKeys").index(index), key, message);
    }
    if term.topology_key.is_empty() {
        errors.required(&path.field("topologyKey"), "can not be empty");
    }
    errors.qualified_name(&path.field("topologyKey"), &term.topology_key);
}
