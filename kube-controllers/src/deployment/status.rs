//! What is told about a rollout: counts, and the conditions `Available`, `Progressing` and `ReplicaFailure`. Source:
//! `progress.go`, `sync.go`.

use std::time::Duration;

use coracle_core::time::whole_seconds;
use coracle_core::{Request, Status};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{DeploymentCondition, DeploymentStatus};

use super::rollout::{Member, Rollout};
use crate::plan::Plan;

const PROGRESSING: &str = "Progressing";
const AVAILABLE: &str = "Available";
const REPLICA_FAILURE: &str = "ReplicaFailure";

pub(super) const CREATE_ERROR: &str = "ReplicaSetCreateError";
const NEW_AVAILABLE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";
const RESUMED: &str = "DeploymentResumed";

impl Rollout<'_> {
    /// Tells that the rollout stands still on purpose, or no longer does. Source: `checkPausedConditions`.
    pub(super) fn note_pause(&mut self) {
        let reason = self.progressing().and_then(|condition| condition.reason.as_deref());
        if self.progress_deadline().is_none() || reason == Some(TIMED_OUT) {
            return;
        }
        match (self.is_paused(), reason == Some(PAUSED)) {
            (true, false) => self.set(PROGRESSING, "Unknown", PAUSED, "Deployment is paused".to_owned()),
            (false, true) => self.set(PROGRESSING, "Unknown", RESUMED, "Deployment is resumed".to_owned()),
            _ => {}
        }
    }

    /// Tells that a ReplicaSet of the present template was there, if nothing is told about progress yet.
    pub(super) fn note_found(&mut self) {
        let Some(name) = self.new.as_ref().map(|new| new.name().to_owned()) else { return };
        if self.progress_deadline().is_some() && self.progressing().is_none() {
            self.set(PROGRESSING, "True", "FoundNewReplicaSet", format!("Found new replica set {name:?}"));
        }
    }

    /// Tells that a new ReplicaSet is made.
    pub(super) fn note_created(&mut self, name: &str) {
        if self.progress_deadline().is_some() {
            self.set(PROGRESSING, "True", "NewReplicaSetCreated", format!("Created new replica set {name:?}"));
        }
    }

    /// Tells of the refusal, if the new ReplicaSet cannot be created.
    pub(super) fn tell_if_creation_fails(&self, plan: &mut Plan) {
        if self.progress_deadline().is_none() {
            return;
        }
        let (deployment, now) = (self.deployment.clone(), self.now);
        let name = self.new.as_ref().map_or("", Member::name).to_owned();
        plan.if_failed(move |refusal: &Status| {
            let mut deployment = deployment;
            let status = deployment.status.get_or_insert_default();
            let before = status.clone();
            let note = format!("Failed to create new replica set {name:?}: {}", refusal.message());
            set_condition(status, condition(PROGRESSING, "False", CREATE_ERROR, note, now));
            (*status != before).then(|| Request::update_status(deployment))
        });
    }

    /// Counts, and whether enough pods are available. Source: `calculateStatus`.
    pub(super) fn summarize(&mut self) {
        let sum = |count: &dyn Fn(&Member) -> i32| nonzero(self.all().map(count).sum());
        let available = sum(&Member::available);
        let asked: i32 = self.all().map(Member::replicas_before).sum();
        self.status = DeploymentStatus {
            observed_generation: self.deployment.metadata.generation.or(self.status.observed_generation),
            replicas: sum(&|member| member.status().replicas),
            updated_replicas: nonzero(self.new.as_ref().map_or(0, |new| new.status().replicas)),
            ready_replicas: sum(&|member| member.status().ready_replicas.unwrap_or(0)),
            available_replicas: available,
            unavailable_replicas: nonzero((asked - available.unwrap_or(0)).max(0)),
            terminating_replicas: self.terminating(),
            collision_count: self.status.collision_count,
            conditions: self.status.conditions.take(),
        };
        if available.unwrap_or(0) >= self.sizes.replicas - self.sizes.unavailable_max {
            let note = "Deployment has minimum availability.";
            self.set(AVAILABLE, "True", "MinimumReplicasAvailable", note.to_owned());
        } else {
            let note = "Deployment does not have minimum availability.";
            self.set(AVAILABLE, "False", "MinimumReplicasUnavailable", note.to_owned());
        }
    }

    /// Pods on their way out; unknown if a ReplicaSet does not say, though its controller has looked at it. Source:
    /// `GetTerminatingReplicaCountForReplicaSets`.
    fn terminating(&self) -> Option<i32> {
        let statuses = self.all().filter_map(|member| member.after.status.as_ref());
        let known = statuses.filter(|it| it.terminating_replicas.is_some() || it.observed_generation.unwrap_or(0) != 0);
        known.map(|status| status.terminating_replicas).sum()
    }

    /// Counts, and how the rollout goes. Source: `syncRolloutStatus`.
    pub(super) fn summarize_progress(&mut self) {
        let before = self.deployment.status.clone().unwrap_or_default();
        self.summarize();
        if self.progress_deadline().is_none() {
            remove_condition(&mut self.status, PROGRESSING);
        } else if !self.was_complete() {
            self.judge_progress(&before);
        }
        match self.replica_failure() {
            Some(failure) => set_condition(&mut self.status, failure),
            None => remove_condition(&mut self.status, REPLICA_FAILURE),
        }
    }

    fn judge_progress(&mut self, before: &DeploymentStatus) {
        let subject = match &self.new {
            Some(new) => format!("ReplicaSet {:?}", new.name()),
            None => format!("Deployment {:?}", self.name()),
        };
        if self.is_complete() {
            self.set(PROGRESSING, "True", NEW_AVAILABLE, format!("{subject} has successfully progressed."));
        } else if has_progressed(before, &self.status) {
            let note = format!("{subject} is progressing.");
            let mut fresh = condition(PROGRESSING, "True", "ReplicaSetUpdated", note, self.now);
            // Progress moves the time of the last update even if nothing else about the condition changes.
            if let Some(known) = self.progressing().filter(|known| known.status == "True") {
                fresh.last_transition_time.clone_from(&known.last_transition_time);
            }
            remove_condition(&mut self.status, PROGRESSING);
            set_condition(&mut self.status, fresh);
        } else if self.is_overdue() {
            self.set(PROGRESSING, "False", TIMED_OUT, format!("{subject} has timed out progressing."));
        }
    }

    /// Whether all pods are of the present template and available. Source: `DeploymentComplete`.
    pub(super) fn is_complete(&self) -> bool {
        let size = self.sizes.replicas;
        let sum = |count: &dyn Fn(&Member) -> i32| self.all().map(count).sum::<i32>();
        self.new.as_ref().map_or(0, |new| new.status().replicas) == size
            && sum(&|member| member.status().replicas) == size
            && sum(&Member::available) == size
    }

    /// Whether completion was told already; a later loss of pods is then no lack of progress.
    fn was_complete(&self) -> bool {
        self.status.replicas == self.status.updated_replicas
            && self.progressing().is_some_and(|condition| condition.reason.as_deref() == Some(NEW_AVAILABLE))
    }

    /// Source: `DeploymentTimedOut`.
    fn is_overdue(&self) -> bool {
        match self.progressing().map(|condition| condition.reason.as_deref()) {
            None | Some(Some(NEW_AVAILABLE)) => false,
            Some(Some(TIMED_OUT)) => true,
            Some(_) => self.due().is_some_and(|due| due < self.now),
        }
    }

    /// When the rollout counts as stuck unless it makes progress before.
    fn due(&self) -> Option<Timestamp> {
        let since = self.progressing()?.last_update_time.as_ref()?.0;
        since.checked_add(SignedDuration::from_secs(self.progress_deadline()?)).ok()
    }

    /// How long to wait before looking whether the rollout is stuck; a second more than that, as times are kept in seconds.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let reason = self.progressing()?.reason.as_deref();
        if self.is_complete() || self.is_paused() || matches!(reason, Some(TIMED_OUT | NEW_AVAILABLE)) {
            return None;
        }
        let left = self.due()?.duration_since(self.now) + SignedDuration::from_secs(1);
        Some(Duration::try_from(left).unwrap_or(Duration::from_secs(1)))
    }

    /// Seconds; `None` if the rollout may take for ever.
    fn progress_deadline(&self) -> Option<i64> {
        self.spec.progress_deadline_seconds.filter(|seconds| *seconds != i32::MAX).map(i64::from)
    }

    fn progressing(&self) -> Option<&DeploymentCondition> {
        find(&self.status, PROGRESSING)
    }

    /// The failure of the new ReplicaSet, or else of an old one.
    fn replica_failure(&self) -> Option<DeploymentCondition> {
        let failure = |member: &Member| {
            let failed =
                member.status().conditions?.into_iter().find(|condition| condition.type_ == REPLICA_FAILURE)?;
            Some(DeploymentCondition {
                last_update_time: failed.last_transition_time.clone(),
                last_transition_time: failed.last_transition_time,
                message: failed.message,
                reason: failed.reason,
                status: failed.status,
                type_: failed.type_,
            })
        };
        self.new.iter().chain(&self.old).find_map(failure)
    }

    fn set(&mut self, kind: &str, status: &str, reason: &str, message: String) {
        set_condition(&mut self.status, condition(kind, status, reason, message, self.now));
    }
}

/// Source: `DeploymentProgressing`.
fn has_progressed(before: &DeploymentStatus, after: &DeploymentStatus) -> bool {
    let old = |status: &DeploymentStatus| status.replicas.unwrap_or(0) - status.updated_replicas.unwrap_or(0);
    after.updated_replicas > before.updated_replicas
        || old(after) < old(before)
        || after.ready_replicas > before.ready_replicas
        || after.available_replicas > before.available_replicas
}

fn condition(kind: &str, status: &str, reason: &str, message: String, now: Timestamp) -> DeploymentCondition {
    DeploymentCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: Some(whole_seconds(now)),
        last_transition_time: Some(whole_seconds(now)),
    }
}

fn find<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// Adds a condition, unless one of the same status and reason is there. Source: `SetDeploymentCondition`.
fn set_condition(status: &mut DeploymentStatus, mut fresh: DeploymentCondition) {
    if let Some(known) = find(status, &fresh.type_).filter(|known| known.status == fresh.status) {
        if known.reason == fresh.reason {
            return;
        }
        fresh.last_transition_time.clone_from(&known.last_transition_time);
    }
    remove_condition(status, &fresh.type_);
    status.conditions.get_or_insert_default().push(fresh);
}

fn remove_condition(status: &mut DeploymentStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != kind);
    }
    if status.conditions.as_ref().is_some_and(Vec::is_empty) {
        status.conditions = None;
    }
}

/// Zero is not written out, as in Go's `omitempty`.
fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
