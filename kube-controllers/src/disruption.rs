//! How a pod is told that its end is not its own fault. Source: `pkg/util/pod` and KEP-3329.

use std::time::Duration;

use coracle_core::time::whole_seconds;
use jiff::{SignedDuration, Timestamp};
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
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    });
    Some(after)
}

/// How long a pod may be said to be about to go without anybody deleting it. Source: `stalePodDisruptionTimeout`.
const STALE_AFTER: SignedDuration = SignedDuration::from_secs(120);

/// In how long what was said of a pod's end turns out to be wrong; `None` if nothing was, or it is on its way. What a node says
/// of itself may take any time. Source: `nonTerminatingPodHasStaleDisruptionCondition`.
#[must_use]
pub fn stale_in(pod: &Pod, now: Timestamp) -> Option<Duration> {
    let told = crate::pods::condition(pod, "DisruptionTarget").filter(|told| told.status == "True")?;
    let by_node = told.reason.as_deref() == Some("TerminationByKubelet");
    if by_node || pod.metadata.deletion_timestamp.is_some() || crate::pods::is_terminal(pod) {
        return None;
    }
    let since = told.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    Some(Duration::try_from(STALE_AFTER - now.duration_since(since)).unwrap_or_default())
}

/// The pod without the claim that it is about to go.
#[must_use]
pub fn undisrupted(pod: &Pod, now: Timestamp) -> Pod {
    let mut after = pod.clone();
    let conditions = after.status.get_or_insert_default().conditions.get_or_insert_default();
    for told in conditions.iter_mut().filter(|condition| condition.type_ == "DisruptionTarget") {
        *told = PodCondition {
            type_: "DisruptionTarget".to_owned(),
            status: "False".to_owned(),
            last_transition_time: Some(whole_seconds(now)),
            observed_generation: pod.metadata.generation,
            ..PodCondition::default()
        };
    }
    after
}
