//! What controllers ask of a pod: does it count, is it ready, since when, is it available.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The pod's phase; empty if it has none yet.
#[must_use]
pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("")
}

/// Whether the pod has ended, well or badly.
#[must_use]
pub fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether the pod counts as a replica: neither ended nor being deleted.
#[must_use]
pub fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && pod.metadata.deletion_timestamp.is_none()
}

/// Whether the pod is being deleted and has not ended yet.
#[must_use]
pub fn is_terminating(pod: &Pod) -> bool {
    !is_terminal(pod) && pod.metadata.deletion_timestamp.is_some()
}

/// The node the pod is bound to; empty if none.
#[must_use]
pub fn node_name(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("")
}

/// The condition of a type.
#[must_use]
pub fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// Whether the pod's `Ready` condition is true.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

/// Since when the pod is ready; `None` if it is not, or does not say.
#[must_use]
pub fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|ready| ready.status == "True")?;
    Some(ready.last_transition_time.as_ref()?.0)
}

/// Whether the pod has been ready for long enough. Source: `podutil.IsPodAvailable`.
#[must_use]
pub fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    let since_long = || available_in(pod, min_ready_seconds, now).is_some_and(|wait| wait.is_zero());
    is_ready(pod) && (min_ready_seconds <= 0 || since_long())
}

/// How long until a ready pod has been ready for long enough; `None` if it is not ready or does not say since when.
#[must_use]
pub fn available_in(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Option<Duration> {
    let since = ready_since(pod)?;
    if min_ready_seconds <= 0 {
        // At once, even by a clock that is ahead of ours.
        return Some(Duration::ZERO);
    }
    let wait = SignedDuration::from_secs(i64::from(min_ready_seconds)) - now.duration_since(since);
    Some(Duration::try_from(wait).unwrap_or_default())
}

/// A pod from a template, controlled by an owner; the API server finishes its name. Source: `controller.GetPodFromTemplate`.
#[must_use]
pub fn from_template(template: &PodTemplateSpec, owner: &ObjectMeta, reference: OwnerReference) -> Pod {
    let from = template.metadata.as_ref();
    let metadata = ObjectMeta {
        namespace: owner.namespace.clone(),
        generate_name: Some(format!("{}-", owner.name.as_deref().unwrap_or(""))),
        labels: from.and_then(|metadata| metadata.labels.clone()),
        annotations: from.and_then(|metadata| metadata.annotations.clone()),
        finalizers: from.and_then(|metadata| metadata.finalizers.clone()),
        owner_references: Some(vec![reference]),
        ..ObjectMeta::default()
    };
    Pod { metadata, spec: template.spec.clone(), status: None }
}
