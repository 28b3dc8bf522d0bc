//! Jobs: pods that run until enough of them have succeeded. Source: `pkg/controller/job`.
//!
//! | file | what it decides |
//! |---|---|
//! | `view` | what the Job and its pods say |
//! | `counting` | which ended pods are counted, exactly once |
//! | `ending` | whether the Job has failed or is complete |
//! | `manage`, `template` | which pods come and go, and what they look like |
//! | `indexes`, `policies`, `back_off` | which index, which failure, when again |
//! | `finalizer` | what keeps a pod until it is counted, and whose it is |

mod back_off;
mod counting;
mod ending;
mod finalizer;
mod indexes;
mod manage;
mod policies;
#[cfg(test)]
mod random;
mod template;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::object::controller_of;
use coracle_core::time::whole_seconds;
use coracle_core::{Happening, ObjectKey, Request, Severity, World};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;

use crate::ownership::{Claims, candidates};
use crate::plan::{Announcement, Plan, Wish};
use crate::planner::Planner;
use crate::pods;
use crate::watches::Watches;
use counting::Count;
pub(crate) use ending::finished;
use ending::{Ending, deadline_left, ending};
pub use finalizer::UncountedPods;
use manage::Moves;
use view::{View, number};

/// The name in logs and events.
const CONTROLLER: &str = "job-controller";
/// Who drives a Job that names nobody. Source: batch/v1 `JobControllerName`.
const MANAGER: &str = "kubernetes.io/job-controller";

/// Runs Jobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jobs;

impl Planner for Jobs {
    type Kind = Job;
    type Observed = Claims<Pod>;

    fn name(&self) -> &'static str {
        CONTROLLER
    }

    fn watches(&self, on: &mut Watches<Job>) {
        on.owned::<Pod>().map::<Pod>(adopters);
    }

    fn observe(&self, job: &Job, world: &World) -> Claims<Pod> {
        let mut claims = finalizer::claim(job, candidates(&job.metadata, world));
        claims.kept.sort_by_key(|pod| indexes::index_of(pod));
        claims
    }

    fn plan(&self, job: &Job, claims: Claims<Pod>, now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        let Some(spec) = job.spec.as_ref().filter(|_| is_ours(job)) else { return plan };
        let view = View::new(job, spec, &claims.kept, now);
        if finished(job).is_some() {
            release(view.pods.iter().filter(|pod| view.is_tracked(pod)), &mut plan);
            return plan;
        }
        if !plan.together(claims.changes).is_empty() {
            // What is adopted or released wakes this Job again, and only then are its pods known.
            return plan;
        }
        if !matches!(spec.completion_mode.as_deref(), None | Some("NonIndexed" | "Indexed")) {
            let note = "Skipped Job sync because completion mode is unknown";
            plan.tell(Happening::new(CONTROLLER, job, Severity::Warning, "UnknownCompletionMode", note));
            return plan;
        }
        advance(&view, &mut plan);
        plan
    }
}

fn is_ours(job: &Job) -> bool {
    let manager = job.spec.as_ref().and_then(|spec| spec.managed_by.as_deref());
    manager.is_none_or(|manager| manager == MANAGER)
}

/// Who might adopt an orphan.
fn adopters(pod: &Pod, world: &World) -> Vec<ObjectKey> {
    if controller_of(&pod.metadata).is_some() {
        return Vec::new();
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
    let selects = |job: &Arc<Job>| finalizer::selector(job).matches_optional(pod.metadata.labels.as_ref());
    world.list_in::<Job>(namespace).filter(selects).map(|job| ObjectKey::of(&job.metadata)).collect()
}

/// Takes a Job that has not finished a step further: the end goes before counting, and counting before managing, so that
/// nothing keeps a pod from being counted.
fn advance(view: &View<'_>, plan: &mut Plan) {
    let (ending, awaiting) = (ending(view), view.awaiting_replacement());
    let count = counting::count(view, ending.as_ref(), &awaiting);
    if let Some(ending) = ending {
        finish(view, &ending, count, plan);
    } else if !count.release.is_empty() {
        write(view, observed(view, count.status), plan);
        release(&count.release, plan);
    } else if view.is_leaving() {
        write(view, observed(view, count.status), plan);
    } else {
        let moves = manage::moves(view, &awaiting);
        carry_on(view, count.status, moves, &awaiting, plan);
    }
    plan.look_again(deadline_left(view).filter(|left| !left.is_zero()));
}

/// Announces the end, sends the pods away, and concludes when the last one is gone.
fn finish(view: &View<'_>, ending: &Ending, count: Count, plan: &mut Plan) {
    let mut status = observed(view, count.status);
    let uncounted = status.uncounted_terminated_pods.clone().unwrap_or_default();
    let is_settled = count.release.is_empty()
        && view.active().chain(view.terminating()).next().is_none()
        && uncounted.succeeded.is_none()
        && uncounted.failed.is_none();
    if !is_settled {
        ending.announce(&mut status, view.now);
        write(view, status, plan);
        plan.together(view.active().map(|pod| deletion(view, pod)));
        release(&count.release, plan);
        return;
    }
    ending.conclude(&mut status, view.now);
    let too_many = ending.success && view.completions().is_some_and(|most| status.succeeded.unwrap_or(0) > most);
    write(view, status, plan);
    let tell = |severity, reason, note: &str| Happening::new(CONTROLLER, view.job, severity, reason, note);
    if too_many {
        let note = "Too many succeeded pods running after completion count reached";
        plan.tell(tell(Severity::Warning, "TooManySucceededPods", note));
    }
    plan.tell(match known_reason(&ending.reason) {
        _ if ending.success => tell(Severity::Normal, "Completed", "Job completed"),
        reason => tell(Severity::Warning, reason, &ending.message),
    });
}

/// The reason of a failure as events tell it.
fn known_reason(reason: &str) -> &'static str {
    let known =
        ["PodFailurePolicy", "BackoffLimitExceeded", "DeadlineExceeded", "MaxFailedIndexesExceeded", "FailedIndexes"];
    known.into_iter().find(|known| *known == reason).unwrap_or("Failed")
}

/// Makes and deletes pods, then tells how many there are.
fn carry_on(view: &View<'_>, counted: JobStatus, moves: Moves, awaiting: &BTreeMap<i32, Arc<Pod>>, plan: &mut Plan) {
    release(moves.delete.iter().filter(|pod| view.is_tracked(pod)), plan);
    plan.together(moves.delete.iter().map(|pod| deletion(view, pod)));
    let replaced = |index: &Option<i32>| index.and_then(|index| awaiting.get(&index)).map(|pod| &**pod);
    plan.slow_start(moves.create.iter().map(|index| creation(view, *index, replaced(index))).collect());
    plan.look_again(moves.wait);

    let mut status = observed(view, counted);
    let gone = |counts: &dyn Fn(&Pod) -> bool| number(moves.delete.iter().filter(|pod| counts(pod)).count());
    let active = number(view.active().count()) - gone(&|_| true) + number(moves.create.len());
    // A Job that is done when these are gone is complete, not suspended.
    let is_done = active == 0 && view.has_enough();
    let told = if is_done { None } else { tell_suspension(view, &mut status) };
    if !plan.is_empty() {
        let (job, status) = (view.job.clone(), status.clone());
        plan.if_failed(move |_| changed(&job, status));
    }
    status.active = nonzero(active);
    status.ready = status.ready.map(|ready| ready - gone(&pods::is_ready));
    status.terminating = status.terminating.map(|terminating| terminating + gone(&|_| true));
    write(view, status, plan);
    if let Some((reason, note)) = told {
        plan.tell(Happening::new(CONTROLLER, view.job, Severity::Normal, reason, note));
    }
}

/// Tells whether the Job is suspended. It has not started then, and the clock of its deadline starts anew when it is resumed.
fn tell_suspension(view: &View<'_>, status: &mut JobStatus) -> Option<(&'static str, &'static str)> {
    if view.is_suspended() {
        status.start_time = None;
        let changed = ending::set(status, "Suspended", "True", "JobSuspended", "Job suspended", view.now);
        return changed.then_some(("Suspended", "Job suspended"));
    }
    let changed = ending::set(status, "Suspended", "False", "JobResumed", "Job resumed", view.now);
    changed.then(|| {
        status.start_time = Some(whole_seconds(view.now));
        ("Resumed", "Job resumed")
    })
}

/// A status with the numbers of pods as they are.
fn observed(view: &View<'_>, mut status: JobStatus) -> JobStatus {
    status.active = nonzero(number(view.active().count()));
    status.ready = Some(number(view.active().filter(|pod| pods::is_ready(pod)).count()));
    status.terminating = Some(number(view.terminating().count()));
    if status.start_time.is_none() && !view.is_suspended() {
        status.start_time = Some(whole_seconds(view.now));
    }
    status
}

fn write(view: &View<'_>, status: JobStatus, plan: &mut Plan) {
    plan.together(changed(view.job, status));
}

fn changed(job: &Job, status: JobStatus) -> Option<Request> {
    let is_news = job.status.as_ref() != Some(&status);
    is_news.then(|| Request::update_status(Job { status: Some(status), ..job.clone() }))
}

fn release<'a>(pods: impl IntoIterator<Item = &'a Arc<Pod>>, plan: &mut Plan) {
    plan.together(pods.into_iter().map(|pod| finalizer::removal(pod)));
}

fn creation(view: &View<'_>, index: Option<i32>, replaced: Option<&Pod>) -> Wish {
    let announcement = Announcement::about(CONTROLLER, view.job)
        .done("SuccessfulCreate", "Created pod: {}")
        .failed("FailedCreate", "Error creating: {}");
    Wish::from(Request::create(template::pod(view, index, replaced))).announced(announcement)
}

fn deletion(view: &View<'_>, pod: &Pod) -> Wish {
    let name = pod.metadata.name.as_deref().unwrap_or("");
    let announcement = Announcement::about(CONTROLLER, view.job)
        .done("SuccessfulDelete", format!("Deleted pod: {name}"))
        .failed("FailedDelete", "Error deleting: {}");
    Wish::from(Request::delete(pod)).announced(announcement)
}

/// Zero is not written out, as in Go's `omitempty`.
fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
