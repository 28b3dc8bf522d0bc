//! Which objects a quota with scopes is about. Source: `podMatchesScopeFunc`, `pvcMatchesScopeFunc`.

use std::any::Any;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, Pod, PodAffinityTerm, ResourceQuotaSpec, ScopedResourceSelectorRequirement,
};

use crate::rules::quality_of_service;

/// Whether a quota is about an object, as far as scopes tell. Scopes tell pods apart, and claims by their attributes' class; a
/// quota with scopes is about nothing else.
pub(super) fn matches(spec: &ResourceQuotaSpec, value: &dyn Any) -> bool {
    let plain = spec.scopes.iter().flatten().map(|scope| ScopedResourceSelectorRequirement {
        scope_name: scope.clone(),
        operator: "Exists".to_owned(),
        values: None,
    });
    let selected = spec.scope_selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten().cloned());
    let mut requirements = plain.chain(selected);
    if let Some(pod) = value.downcast_ref::<Pod>() {
        return requirements.all(|requirement| is_pod_in(pod, &requirement));
    }
    if let Some(claim) = value.downcast_ref::<PersistentVolumeClaim>() {
        return requirements.all(|requirement| is_claim_in(claim, &requirement));
    }
    requirements.next().is_none()
}

fn is_pod_in(pod: &Pod, requirement: &ScopedResourceSelectorRequirement) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let terminating = spec.active_deadline_seconds.is_some_and(|seconds| seconds >= 0);
    match requirement.scope_name.as_str() {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => is_best_effort(pod),
        "NotBestEffort" => !is_best_effort(pod),
        "PriorityClass" => {
            let class = spec.priority_class_name.as_deref().filter(|class| !class.is_empty());
            selects(requirement, class.as_slice())
        }
        "CrossNamespacePodAffinity" => reaches_other_namespaces(pod),
        _ => false,
    }
}

fn is_claim_in(claim: &PersistentVolumeClaim, requirement: &ScopedResourceSelectorRequirement) -> bool {
    if requirement.scope_name != "VolumeAttributesClass" {
        return false;
    }
    let status = claim.status.as_ref();
    let wanted = claim.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_deref());
    let current = status.and_then(|status| status.current_volume_attributes_class_name.as_deref());
    let coming =
        status.and_then(|status| status.modify_volume_status.as_ref()?.target_volume_attributes_class_name.as_deref());
    let classes: Vec<_> = [wanted, current, coming].into_iter().flatten().filter(|class| !class.is_empty()).collect();
    selects(requirement, &classes)
}

/// Whether a requirement selects an object that has these values.
fn selects(requirement: &ScopedResourceSelectorRequirement, held: &[&str]) -> bool {
    let among = || requirement.values.iter().flatten().any(|value| held.contains(&value.as_str()));
    match requirement.operator.as_str() {
        "Exists" => !held.is_empty(),
        "DoesNotExist" => held.is_empty(),
        "In" => among(),
        "NotIn" => !among(),
        _ => false,
    }
}

fn is_best_effort(pod: &Pod) -> bool {
    quality_of_service(pod) == "BestEffort"
}

fn reaches_other_namespaces(pod: &Pod) -> bool {
    let Some(affinity) = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()) else { return false };
    let reaches = |term: &PodAffinityTerm| {
        term.namespaces.as_ref().is_some_and(|names| !names.is_empty()) || term.namespace_selector.is_some()
    };
    let near = affinity.pod_affinity.iter().flat_map(|affinity| {
        let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        let required = affinity.required_during_scheduling_ignored_during_execution.iter().flatten();
        required.chain(preferred.map(|term| &term.pod_affinity_term))
    });
    let apart = affinity.pod_anti_affinity.iter().flat_map(|affinity| {
        let preferred = affinity.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        let required = affinity.required_during_scheduling_ignored_during_execution.iter().flatten();
        required.chain(preferred.map(|term| &term.pod_affinity_term))
    });
    near.chain(apart).any(reaches)
}
