//! How a pod is told that its end is not its own fault. Source: `pkg/util/pod` and KEP-3329.

use coracle_core::time::whole_seconds;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};

/// The pod with the condition `DisruptionTarget` and, if given, another phase. `None` if it is told already.
#[must_use]
pub fn disrupted(pod: &Pod, reason: &str, message: &str, phase: Option<&str>, now: Timestamp) -> Option<Pod> {
    let told =
        crate::pods::condition(pod, "DisruptionTarget").is_some_and(|told| told.reason.as_deref() == Some(reason));
    let same_phase = phase.is_none_or(|phase| phase == crate::pods::phase(pod));
    if told && same_phase {
        return None;
    }
    let mut after = pod.clone();
    let status = after.status.get_or_insert_default();
    if let Some(phase) = phase {
        status.phase = Some(phase.to_owned());
    }
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != "DisruptionTarget");
    conditions.push(PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(whole_seconds(now)),
        ..PodCondition::default()
    });
    Some(after)
}
