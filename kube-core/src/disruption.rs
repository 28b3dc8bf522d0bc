//! Which pods a budget guards, and what an eviction costs it. Source: `pkg/registry/core/pod/storage/eviction.go`.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, StatusCause, Time};

use crate::kind::GroupResource;
use crate::selector::Selector;
use crate::status::{Reason, Status};

/// The condition of budgets that says whether they allow anything.
pub const ALLOWED: &str = "DisruptionAllowed";
/// How many granted evictions may be unseen by the controller. Source: `MaxDisruptedPodSize`.
const UNSEEN_MAX: usize = 2000;
/// When who came too early may try again, in seconds.
const AGAIN_AFTER: i32 = 10;

/// Whether a budget guards a pod of its own namespace. One whose selector says nothing, or nonsense, guards none.
#[must_use]
pub fn covers(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    Selector::from_label_selector(selector)
        .is_ok_and(|selector| selector.matches_optional(pod.metadata.labels.as_ref()))
}

/// Whether a pod may go without its budget, since it is not ready: always if the budget says so, else while enough others are
/// healthy. Source: policy/v1 PodDisruptionBudgetSpec.unhealthyPodEvictionPolicy.
#[must_use]
pub fn spares(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let policy = budget.spec.as_ref().and_then(|spec| spec.unhealthy_pod_eviction_policy.as_deref());
    let (healthy, desired) = health(budget.status.as_ref());
    !ready && (policy == Some("AlwaysAllow") || (healthy >= desired && desired > 0))
}

/// Takes one disruption from a budget, for the eviction of this pod.
///
/// # Errors
/// 429 if the budget has none, or is not up to date; 403 if it cannot be trusted.
pub fn spend(budget: &mut PodDisruptionBudget, pod: &str, now: &Time) -> Result<(), Status> {
    let name = budget.metadata.name.clone().unwrap_or_default();
    let status = budget.status.get_or_insert_default();
    if status.observed_generation.unwrap_or(0) < budget.metadata.generation.unwrap_or(0) {
        return Err(still_processed(&name));
    }
    let allowed = status.disruptions_allowed.unwrap_or(0);
    if allowed < 0 {
        return Err(not_trusted(&name, "pdb disruptions allowed is negative"));
    }
    if status.disrupted_pods.as_ref().is_some_and(|pods| pods.len() > UNSEEN_MAX) {
        let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(not_trusted(&name, why));
    }
    if allowed == 0 {
        return Err(too_many_requests(denial(&name, status)));
    }
    status.disruptions_allowed = Some(allowed - 1);
    if allowed == 1 {
        let generation = status.observed_generation;
        set_allowed(status, ("False", "InsufficientPods", ""), generation, now);
    }
    status.disrupted_pods.get_or_insert_default().insert(pod.to_owned(), now.clone());
    Ok(())
}

/// The refusal of an eviction that comes before the budget is up to date.
#[must_use]
pub fn still_processed(budget: &str) -> Status {
    let why = format!("The disruption budget {budget} is still being processed by the server.");
    too_many_requests(why).retry_after(AGAIN_AFTER)
}

/// Says (status, reason, message) whether a budget allows anything; the moment of the last turn is kept.
pub fn set_allowed(
    status: &mut PodDisruptionBudgetStatus,
    (holds, reason, message): (&str, &str, &str),
    generation: Option<i64>,
    now: &Time,
) {
    let conditions = status.conditions.get_or_insert_default();
    let known = conditions.iter().find(|condition| condition.type_ == ALLOWED && condition.status == holds);
    let last_transition_time = known.map_or_else(|| now.clone(), |known| known.last_transition_time.clone());
    conditions.retain(|condition| condition.type_ != ALLOWED);
    conditions.push(Condition {
        type_: ALLOWED.to_owned(),
        status: holds.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time,
    });
}

/// Healthy pods, and how many of them there must be.
fn health(status: Option<&PodDisruptionBudgetStatus>) -> (i32, i32) {
    let count = |count: Option<i32>| count.unwrap_or(0);
    let healthy = count(status.and_then(|status| status.current_healthy));
    (healthy, count(status.and_then(|status| status.desired_healthy)))
}

/// Why a budget allows nothing. If its last count failed, the counts say nothing.
fn denial(name: &str, status: &PodDisruptionBudgetStatus) -> String {
    let (healthy, desired) = health(Some(status));
    let mut conditions = status.conditions.iter().flatten();
    let told = conditions.find(|told| told.type_ == ALLOWED && told.status == "False" && !told.message.is_empty());
    let refuses = format!("The disruption budget {name} does not allow evicting pods currently");
    match told {
        Some(told) if told.reason == "SyncFailed" => format!("{refuses} because it failed sync: {}", told.message),
        _ if healthy <= desired => {
            format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
        }
        Some(told) => format!("{refuses} ({}): {}", told.reason, told.message),
        None => refuses,
    }
}

fn too_many_requests(why: String) -> Status {
    let text = "Cannot evict pod as it would violate the pod's disruption budget.";
    Status::new(Reason::TooManyRequests, text).with_causes(vec![cause(why)])
}

fn not_trusted(name: &str, why: &str) -> Status {
    let told = format!("The disruption budget {name} does not allow evicting pods currently: {why}");
    Status::forbidden(&GroupResource::new("policy", "poddisruptionbudget"), name, why).with_causes(vec![cause(told)])
}

fn cause(message: String) -> StatusCause {
    StatusCause { field: None, message: Some(message), reason: Some("DisruptionBudget".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an eviction is told, with its cause and when to come again; or what is left of the budget.
    #[track_caller]
    fn check(status: &str, expected: &str) {
        let yaml = format!("{{metadata: {{name: keep, generation: 1}}, status: {{{status}}}}}");
        let yaml = yaml.replace("disruptions", "observedGeneration: 1, disruptions");
        let mut budget: PodDisruptionBudget = serde_saphyr::from_str(&yaml).unwrap();
        let said = match spend(&mut budget, "a", &Time(jiff::Timestamp::UNIX_EPOCH)) {
            Ok(()) => {
                let status = budget.status.unwrap();
                let told = status.conditions.into_iter().flatten().map(|one| format!(" {}={}", one.status, one.reason));
                let pods: Vec<_> = status.disrupted_pods.unwrap().into_keys().collect();
                format!("{} left, {pods:?}{}", status.disruptions_allowed.unwrap(), told.collect::<String>())
            }
            Err(status) => {
                let details = status.as_api().details.clone().unwrap();
                let why = details.causes.unwrap()[0].message.clone().unwrap();
                format!("{} {why} {:?}", status.code(), details.retry_after_seconds)
            }
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn an_eviction_is_granted_or_told_why_not() {
        check("disruptionsAllowed: 2", "1 left, [\"a\"]");
        check("disruptionsAllowed: 1", "0 left, [\"a\"] False=InsufficientPods");
        let counts = "disruptionsAllowed: 0, currentHealthy: 2, desiredHealthy";
        check(&format!("{counts}: 3"), "429 The disruption budget keep needs 3 healthy pods and has 2 currently None");
        let refuses = "The disruption budget keep does not allow evicting pods currently";
        check(&format!("{counts}: 1"), &format!("429 {refuses} None"));
        let told = |reason: &str| {
            let condition = format!("type: DisruptionAllowed, status: 'False', reason: {reason}, message: why");
            format!("conditions: [{{{condition}, lastTransitionTime: '1970-01-01T00:00:00Z'}}]")
        };
        check(
            &format!("{counts}: 3, {}", told("SyncFailed")),
            &format!("429 {refuses} because it failed sync: why None"),
        );
        check(&format!("{counts}: 1, {}", told("Other")), &format!("429 {refuses} (Other): why None"));
        check("disruptionsAllowed: -1", &format!("403 {refuses}: pdb disruptions allowed is negative None"));
        check(
            "observedGeneration: 0",
            "429 The disruption budget keep is still being processed by the server. Some(10)",
        );
    }
}
