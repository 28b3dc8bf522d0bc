//! Pod. Upstream: `ValidatePodCreate`, `ValidatePodUpdate`, `ValidatePodStatusUpdate`, `registry/core/pod/strategy.go`.
//!
//! Updates through the subresources `ephemeralcontainers` and `resize` are in `pod_parts`. Of a status, the states of containers
//! and `podIPs` are not checked.

use super::check::{items, text};
use super::pod_spec::{container, defaults, scheduling};
use super::{Ruled, fill, pod_parts, pod_spec, same};
use crate::field::{Errors, Path, format};
use crate::quantity::Quantity;
use crate::selector::Labels;
use k8s_openapi::api::core::v1::{
    Container, Pod, PodAffinityTerm, PodCondition, PodSpec, PodStatus, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use std::collections::BTreeMap;

const SPEC: Path<'static> = Path::new("spec");

impl Ruled for Pod {
    const HAS_GENERATION: bool = true;

    fn fill_defaults(&mut self) {
        defaults::fill_pod(self.spec.get_or_insert_default());
    }

    fn validate(&self, errors: &mut Errors) {
        let Some(spec) = &self.spec else { return errors.required(&SPEC, "") };
        validate_annotations(self, spec, errors);
        pod_spec::validate(spec, Some(&self.metadata), &SPEC, errors);
        if !items(&spec.ephemeral_containers).is_empty() {
            errors.forbidden(&SPEC.field("ephemeralContainers"), "cannot be set on create");
        }
        if !text(&spec.node_name).is_empty() && !items(&spec.scheduling_gates).is_empty() {
            errors.forbidden(&SPEC.field("nodeName"), "cannot be set until all schedulingGates have been cleared");
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        let (Some(new_spec), Some(old_spec)) = (&self.spec, &old.spec) else { return errors.required(&SPEC, "") };
        validate_annotations(self, new_spec, errors);
        pod_spec::validate(new_spec, Some(&self.metadata), &SPEC, errors);
        validate_spec_update(new_spec, old_spec, errors);
    }

    fn validate_status_update(&self, old: &Self, errors: &mut Errors) {
        let none = PodStatus::default();
        validate_status(self, self.status.as_ref().unwrap_or(&none), old.status.as_ref().unwrap_or(&none), errors);
    }

    fn validate_part_update(&self, part: &str, old: &Self, errors: &mut Errors) {
        pod_parts::validate(part, self, old, errors);
    }

    fn prepare_create(&mut self) {
        self.status = Some(PodStatus {
            phase: Some("Pending".to_owned()),
            qos_class: Some(quality_of_service(self).to_owned()),
            conditions: waits_for_gates(self).then(|| vec![scheduling_gated()]),
            ..Default::default()
        });
        expand_label_keys(self);
    }

    fn prepare_update(&mut self, old: &Self) {
        self.status = old.status.clone();
    }

    fn prepare_status_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
        self.metadata.deletion_timestamp = old.metadata.deletion_timestamp.clone();
        self.metadata.owner_references = old.metadata.owner_references.clone();
        keep_what_old_writers_drop(self, old);
    }

    fn spec_changed(&self, old: &Self) -> bool {
        !same(&self.spec, &old.spec)
    }
}

fn validate_annotations(pod: &Pod, spec: &PodSpec, errors: &mut Errors) {
    let Some(annotations) = &pod.metadata.annotations else { return };
    let path = Path::new("metadata.annotations");
    const MIRROR: &str = "kubernetes.io/config.mirror";
    if let Some(value) = annotations.get(MIRROR)
        && text(&spec.node_name).is_empty()
    {
        errors.invalid(&path.key(MIRROR), value, "must set spec.nodeName if mirror pod annotation is set");
    }
    const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    if let Some(value) = annotations.get(DELETION_COST)
        && (value.parse::<i32>().is_err() || value.starts_with('+') || (value.starts_with('0') && value != "0"))
    {
        errors.invalid(&path.key(DELETION_COST), value, "must be a 32bit integer");
    }
}

/// A pod's spec stands once created, but for images, the deadline, added tolerations, lifted gates, and what a gated pod may narrow.
fn validate_spec_update(new: &PodSpec, old: &PodSpec, errors: &mut Errors) {
    if !container::validate_update(&new.containers, &old.containers, &SPEC.field("containers"), errors)
        || !container::validate_update(
            items(&new.init_containers),
            items(&old.init_containers),
            &SPEC.field("initContainers"),
            errors,
        )
        || !validate_deadline_update(new.active_deadline_seconds, old.active_deadline_seconds, errors)
    {
        return;
    }
    validate_toleration_update(new, old, errors);
    validate_gate_update(new, old, errors);
    if new != old && !same(&with_changeable_of(new, old), old) {
        // Upstream appends a dump of the difference.
        errors.forbidden(
            &SPEC,
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
             `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
             `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        );
    }
}

fn validate_deadline_update(new: Option<i64>, old: Option<i64>, errors: &mut Errors) -> bool {
    let path = SPEC.field("activeDeadlineSeconds");
    match (new, old) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => {
            errors.invalid_each(&path, new, format::in_range(new, 0, i32::MAX.into()));
            return false;
        }
        (Some(new), Some(old)) if old < new => {
            errors.invalid(&path, new, "must be less than or equal to previous value");
            return false;
        }
        (None, Some(_)) => errors.invalid(&path, new, "must not update from a positive integer to nil value"),
        _ => {}
    }
    true
}

fn validate_toleration_update(new: &PodSpec, old: &PodSpec, errors: &mut Errors) {
    let path = SPEC.field("tolerations");
    let (new, old) = (items(&new.tolerations), items(&old.tolerations));
    let kept = old.iter().all(|old| {
        new.iter().any(|new| {
            (&new.key, &new.operator, &new.value, &new.effect) == (&old.key, &old.operator, &old.value, &old.effect)
        })
    });
    if kept {
        scheduling::validate_tolerations(new, &path, errors);
    } else {
        errors.forbidden(&path, "existing toleration can not be modified except its tolerationSeconds");
    }
}

fn validate_gate_update(new: &PodSpec, old: &PodSpec, errors: &mut Errors) {
    let old = items(&old.scheduling_gates);
    for (index, gate) in items(&new.scheduling_gates).iter().enumerate().filter(|(_, gate)| !old.contains(gate)) {
        let message = std::format!("only deletion is allowed, but found new scheduling gate '{}'", gate.name);
        errors.forbidden(&SPEC.field("schedulingGates").index(index).field("name"), message);
    }
}

/// The new spec with all that may change put back, so that what still differs may not.
fn with_changeable_of(new: &PodSpec, old: &PodSpec) -> PodSpec {
    let mut spec = new.clone();
    put_back_images(&mut spec.containers, &old.containers);
    put_back_images(spec.init_containers.as_deref_mut().unwrap_or_default(), items(&old.init_containers));
    spec.active_deadline_seconds = old.active_deadline_seconds;
    spec.scheduling_gates = old.scheduling_gates.clone();
    spec.tolerations = old.tolerations.clone();
    if old.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0)
        && spec.termination_grace_period_seconds == Some(1)
    {
        spec.termination_grace_period_seconds = old.termination_grace_period_seconds;
    }
    let gated = !items(&old.scheduling_gates).is_empty();
    if gated && only_adds_to_node_selector(new, old) {
        spec.node_selector = old.node_selector.clone();
    }
    spec
}

fn put_back_images(new: &mut [Container], old: &[Container]) {
    for (new, old) in new.iter_mut().zip(old) {
        new.image = old.image.clone();
    }
}

fn only_adds_to_node_selector(new: &PodSpec, old: &PodSpec) -> bool {
    old.node_selector
        .iter()
        .flatten()
        .all(|(key, value)| new.node_selector.as_ref().and_then(|new| new.get(key)) == Some(value))
}

fn validate_status(pod: &Pod, new: &PodStatus, old: &PodStatus, errors: &mut Errors) {
    let path = Path::new("status");
    for (index, condition) in items(&new.conditions).iter().enumerate() {
        let path = path.field("conditions");
        let path = path.index(index);
        if condition.observed_generation.unwrap_or(0) < 0 {
            let generation = condition.observed_generation.unwrap_or(0);
            errors.invalid(&path.field("observedGeneration"), generation, "must be a non-negative integer");
        }
        if !["PodScheduled", "Ready", "Initialized"].contains(&condition.type_.as_str()) {
            errors.qualified_name(&path.field("Type"), &condition.type_);
        }
    }
    let nominated = text(&new.nominated_node_name);
    if nominated != text(&old.nominated_node_name) && !nominated.is_empty() {
        errors.dns_subdomain(&path.field("nominatedNodeName"), nominated);
        if pod.spec.as_ref().is_some_and(|spec| !text(&spec.node_name).is_empty()) {
            let message = "may not be set on pods that are already bound to a node";
            errors.forbidden(&path.field("nominatedNodeName"), message);
        }
    }
    if let Some(generation) = new.observed_generation.filter(|generation| *generation < 0) {
        errors.invalid(&path.field("observedGeneration"), generation, "must be a non-negative integer");
    }
    errors.immutable(&path.field("qosClass"), &new.qos_class, &old.qos_class);
    validate_terminated_stay(pod, new, old, errors);
}

/// A container that ended and that nothing restarts cannot come back.
fn validate_terminated_stay(pod: &Pod, new: &PodStatus, old: &PodStatus, errors: &mut Errors) {
    let Some(spec) = &pod.spec else { return };
    let path = Path::new("status.containerStatuses");
    for (index, was) in items(&old.container_statuses).iter().enumerate() {
        let Some(ended) = was.state.as_ref().and_then(|state| state.terminated.as_ref()) else { continue };
        let own = spec.containers.iter().find(|container| container.name == was.name);
        if own.is_some_and(|container| !items(&container.restart_policy_rules).is_empty()) {
            continue;
        }
        let policy =
            own.and_then(|container| container.restart_policy.as_deref()).unwrap_or(text(&spec.restart_policy));
        if policy == "Always" || (policy == "OnFailure" && ended.exit_code != 0) {
            continue;
        }
        let is = items(&new.container_statuses).iter().find(|is| is.name == was.name);
        if is.is_some_and(|is| is.state.as_ref().is_none_or(|state| state.terminated.is_none())) {
            errors.forbidden(&path.index(index).field("state"), "may not be transitioned to non-terminated state");
        }
    }
}

fn waits_for_gates(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| !items(&spec.scheduling_gates).is_empty())
}

fn scheduling_gated() -> PodCondition {
    PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("SchedulingGated".to_owned()),
        message: Some("Scheduling is blocked due to non-empty scheduling gates".to_owned()),
        ..Default::default()
    }
}

/// Turns `matchLabelKeys` into requirements on this pod's own values, so that the scheduler sees selectors only.
fn expand_label_keys(pod: &mut Pod) {
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let Some(spec) = &mut pod.spec else { return };
    if let Some(affinity) = &mut spec.affinity {
        let near = affinity.pod_affinity.iter_mut().flat_map(|near| {
            let preferred = near.preferred_during_scheduling_ignored_during_execution.iter_mut().flatten();
            let required = near.required_during_scheduling_ignored_during_execution.iter_mut().flatten();
            required.chain(preferred.map(|weighted| &mut weighted.pod_affinity_term))
        });
        let far = affinity.pod_anti_affinity.iter_mut().flat_map(|far| {
            let preferred = far.preferred_during_scheduling_ignored_during_execution.iter_mut().flatten();
            let required = far.required_during_scheduling_ignored_during_execution.iter_mut().flatten();
            required.chain(preferred.map(|weighted| &mut weighted.pod_affinity_term))
        });
        near.chain(far).for_each(|term| expand_term(term, &labels));
    }
    for constraint in spec.topology_spread_constraints.iter_mut().flatten() {
        let keys = constraint.match_label_keys.as_deref().unwrap_or_default();
        require(constraint.label_selector.as_mut(), keys, "In", &labels);
    }
}

fn expand_term(term: &mut PodAffinityTerm, labels: &Labels) {
    let with = term.match_label_keys.as_deref().unwrap_or_default();
    require(term.label_selector.as_mut(), with, "In", labels);
    let without = term.mismatch_label_keys.as_deref().unwrap_or_default();
    require(term.label_selector.as_mut(), without, "NotIn", labels);
}

fn require(selector: Option<&mut LabelSelector>, keys: &[String], operator: &str, labels: &Labels) {
    let Some(selector) = selector else { return };
    for (key, value) in keys.iter().filter_map(|key| labels.get_key_value(key)) {
        selector.match_expressions.get_or_insert_default().push(LabelSelectorRequirement {
            key: key.clone(),
            operator: operator.to_owned(),
            values: Some(vec![value.clone()]),
        });
    }
}

/// Writers that know less than we do leave fields out that must stay.
fn keep_what_old_writers_drop(pod: &mut Pod, old: &Pod) {
    let (Some(new), Some(old)) = (&mut pod.status, &old.status) else { return };
    if text(&new.qos_class).is_empty() {
        new.qos_class = old.qos_class.clone();
    }
    if new.observed_generation.unwrap_or(0) == 0 {
        new.observed_generation = old.observed_generation;
    }
    for condition in
        new.conditions.iter_mut().flatten().filter(|condition| condition.observed_generation.unwrap_or(0) == 0)
    {
        let before = items(&old.conditions).iter().find(|before| before.type_ == condition.type_);
        condition.observed_generation = before.and_then(|before| before.observed_generation);
    }
}

/// The quality-of-service class of a pod: `Guaranteed` if every container's limits of CPU and memory are set and are its
/// requests, `BestEffort` if nothing is asked or limited, else `Burstable`. Source: `helper/qos`.
pub fn quality_of_service(pod: &Pod) -> &'static str {
    let Some(spec) = &pod.spec else { return "BestEffort" };
    let mut guaranteed = true;
    let (mut requests, mut limits) = (BTreeMap::new(), BTreeMap::new());
    let containers = spec.containers.iter().chain(items(&spec.init_containers)).map(|it| it.resources.as_ref());
    let whole_pod = spec.resources.as_ref().map(Some);
    let asked: Vec<Option<&ResourceRequirements>> = match whole_pod {
        Some(pod) => vec![pod],
        None => containers.collect(),
    };
    for resources in asked {
        add_compute(&mut requests, resources.and_then(|it| it.requests.as_ref()));
        guaranteed &= add_compute(&mut limits, resources.and_then(|it| it.limits.as_ref())) == 2;
    }
    match requests.is_empty() && limits.is_empty() {
        true => "BestEffort",
        false if guaranteed && requests == limits => "Guaranteed",
        false => "Burstable",
    }
}

/// Adds up CPU and memory; says how many of the two are there and not zero.
fn add_compute<'a>(total: &mut BTreeMap<&'a str, Quantity>, list: Option<&'a fill::ResourceList>) -> usize {
    let compute = list.into_iter().flatten().filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory"));
    let amounts = compute.filter_map(|(name, text)| Some((name, Quantity::try_from(text).ok()?)));
    let mut found = 0;
    for (name, amount) in amounts.filter(|(_, amount)| !amount.is_zero() && !amount.is_negative()) {
        *total.entry(name.as_str()).or_default() += amount;
        found += 1;
    }
    found
}
