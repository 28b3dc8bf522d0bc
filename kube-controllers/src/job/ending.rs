//! Whether a Job has come to its end, and how that is told: first what will be (`FailureTarget`, `SuccessCriteriaMet`), then,
//! when no pod is left, what is (`Failed`, `Complete`). Source: `syncJob`, `enactJobFinished`.

use std::time::Duration;

use coracle_core::time::whole_seconds;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};

use super::policies::{Verdict, is_met};
use super::view::View;
use crate::pods;
use crate::portion::since;

/// Why a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) success: bool,
    pub(super) reason: String,
    pub(super) message: String,
}

impl Ending {
    fn failure(reason: &str, message: impl Into<String>) -> Self {
        Self { success: false, reason: reason.to_owned(), message: message.into() }
    }

    fn success(reason: &str, message: impl Into<String>) -> Self {
        Self { success: true, reason: reason.to_owned(), message: message.into() }
    }

    /// The conditions that tell of it: before the last pod is gone, and after.
    const fn conditions(&self) -> (&'static str, &'static str) {
        if self.success { ("SuccessCriteriaMet", "Complete") } else { ("FailureTarget", "Failed") }
    }

    /// Tells of the end to come.
    pub(super) fn announce(&self, status: &mut JobStatus, now: Timestamp) {
        set(status, self.conditions().0, "True", &self.reason, &self.message, now);
    }

    /// Tells of the end.
    pub(super) fn conclude(&self, status: &mut JobStatus, now: Timestamp) {
        self.announce(status, now);
        set(status, self.conditions().1, "True", &self.reason, &self.message, now);
        if self.success {
            status.completion_time = Some(whole_seconds(now));
        }
    }
}

/// Whether and why the Job ends. What was told before stays.
pub(super) fn ending(view: &View<'_>) -> Option<Ending> {
    told(view)
        .or_else(|| failed_by_policy(view))
        .or_else(|| failed_too_often(view))
        .or_else(|| failed_indexes(view))
        .or_else(|| succeeded_by_policy(view))
        .or_else(|| completed(view))
}

fn told(view: &View<'_>) -> Option<Ending> {
    let condition = |kind: &str| find(&view.before, kind).filter(|condition| condition.status == "True");
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let told = |condition: &JobCondition, success| Ending {
        success,
        reason: text(&condition.reason),
        message: text(&condition.message),
    };
    let success = condition("SuccessCriteriaMet").map(|condition| told(condition, true));
    success.or_else(|| condition("FailureTarget").map(|condition| told(condition, false)))
}

fn failed_by_policy(view: &View<'_>) -> Option<Ending> {
    let failed = view.pods.iter().filter(|pod| view.has_failed(pod));
    let message = failed.map(|pod| view.verdict(pod)).find_map(|verdict| match verdict {
        Verdict::FailsJob(message) => Some(message),
        _ => None,
    })?;
    Some(Ending::failure("PodFailurePolicy", message))
}

fn failed_too_often(view: &View<'_>) -> Option<Ending> {
    if view.failures() > view.backoff_limit() || restarted_too_often(view) {
        return Some(Ending::failure("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
    }
    let late = deadline_left(view).is_some_and(|left| left.is_zero());
    late.then(|| Ending::failure("DeadlineExceeded", "Job was active longer than specified deadline"))
}

/// Where containers are restarted in place, restarts count too.
fn restarted_too_often(view: &View<'_>) -> bool {
    let policy = view.spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    if policy != Some("OnFailure") {
        return false;
    }
    let running = view.pods.iter().filter(|pod| matches!(pods::phase(pod), "Running" | "Pending"));
    let statuses = running.filter_map(|pod| pod.status.as_ref()).flat_map(|status| {
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
    });
    let restarts: i32 = statuses.map(|status| status.restart_count).sum();
    restarts >= view.backoff_limit().max(1)
}

/// For how long the Job may still be active; `None` if for as long as it likes.
pub(super) fn deadline_left(view: &View<'_>) -> Option<Duration> {
    let seconds = view.spec.active_deadline_seconds.filter(|_| !view.is_suspended())?;
    let start = view.before.start_time.as_ref().map_or(view.now, |time| time.0);
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).saturating_sub(since(start, view.now)))
}

fn failed_indexes(view: &View<'_>) -> Option<Ending> {
    let (failed, completions) = (view.failed.as_ref()?.total(), view.completions()?);
    if view.spec.max_failed_indexes.is_some_and(|most| failed > most) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Some(Ending::failure("MaxFailedIndexesExceeded", message));
    }
    let all_ended = failed > 0 && failed + view.succeeded.total() >= completions;
    all_ended.then(|| Ending::failure("FailedIndexes", "Job has failed indexes"))
}

fn succeeded_by_policy(view: &View<'_>) -> Option<Ending> {
    let completions = view.completions().filter(|_| view.is_indexed())?;
    let message = is_met(view.spec.success_policy.as_ref(), completions, &view.succeeded)?;
    Some(Ending::success("SuccessPolicy", message))
}

/// Pods that still work may finish.
fn completed(view: &View<'_>) -> Option<Ending> {
    let enough = view.has_enough() && view.active().next().is_none();
    enough.then(|| Ending::success("CompletionsReached", "Reached expected number of succeeded pods"))
}

/// How a Job ended, and when: `Complete` or `Failed`; `None` if it has not.
pub(crate) fn finished(job: &Job) -> Option<(&'static str, Option<Timestamp>)> {
    let status = job.status.as_ref()?;
    ["Complete", "Failed"].into_iter().find_map(|kind| {
        let condition = find(status, kind).filter(|condition| condition.status == "True")?;
        Some((kind, condition.last_transition_time.as_ref().map(|time| time.0)))
    })
}

/// The condition of a type.
pub(super) fn find<'a>(status: &'a JobStatus, kind: &str) -> Option<&'a JobCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

/// Sets a condition; says whether that changed anything. To say that something is not so, it must have been so.
pub(super) fn set(
    status: &mut JobStatus,
    kind: &str,
    value: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> bool {
    let known = find(status, kind);
    let same = |known: &JobCondition| {
        known.status == value && known.reason.as_deref() == Some(reason) && known.message.as_deref() == Some(message)
    };
    if known.map_or(value == "False", same) {
        return false;
    }
    let fresh = JobCondition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(whole_seconds(now)),
        last_transition_time: Some(whole_seconds(now)),
    };
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|condition| condition.type_ == kind) {
        Some(known) => *known = fresh,
        None => conditions.push(fresh),
    }
    true
}
