//! What must hold for the built-in workloads, whatever happens to the cluster.
//!
//! Nobody can promise against what happens to pods from outside. So each rule is about what controllers do of their own
//! accord, by what they could know: what happened within [`Step::known_after`] may not have reached them yet.

mod cron_jobs;
mod daemon_sets;
mod deployments;
mod disruptions;
mod jobs;
mod owners;
mod replicas;
mod stateful_sets;

use coracle_controllers::pods;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub use self::cron_jobs::CronJobs;
pub use self::daemon_sets::DaemonSets;
pub use self::deployments::Deployments;
pub use self::disruptions::Disruptions;
pub use self::jobs::Jobs;
pub use self::owners::Owners;
pub use self::replicas::Replicas;
pub use self::stateful_sets::StatefulSets;

use super::{Invariant, Step};

/// Pods with this annotation are deleted by users, not by controllers. A script sets it before it deletes a pod.
pub const DELETED_BY_USER: &str = "simulation.coracle.dev/deleted-by-user";

/// All of them.
#[must_use]
pub fn builtin() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(Deployments::default()),
        Box::new(Replicas),
        Box::new(StatefulSets::default()),
        Box::new(DaemonSets),
        Box::new(Jobs::default()),
        Box::new(CronJobs),
        Box::new(Disruptions::default()),
        Box::new(Owners),
    ]
}

/// A pod whose end was just asked for.
fn newly_ending<'a>(step: &Step<'a>) -> Option<&'a Pod> {
    let previous = step.previous::<Pod>()?;
    let ends = step.event.deleted || step.event.object.is_terminating();
    step.event.object.get().filter(|_| ends && previous.metadata.deletion_timestamp.is_none())
}

/// Whether a pod's end was none of its controller's doing: evicted, preempted, deleted by a user or with its node.
fn is_disrupted(pod: &Pod) -> bool {
    let by_user = pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(DELETED_BY_USER));
    by_user || pods::condition(pod, "DisruptionTarget").is_some_and(|target| target.status == "True")
}

/// A count or a percentage of a total.
fn portion(of: Option<&IntOrString>, usual: &str, total: i32, up: bool) -> i32 {
    let usual = IntOrString::String(usual.to_owned());
    match of.unwrap_or(&usual) {
        IntOrString::Int(count) => *count,
        IntOrString::String(text) => {
            let percent: i32 = text.trim_end_matches('%').parse().unwrap_or(0);
            (total * percent + if up { 99 } else { 0 }) / 100
        }
    }
}

/// Says what is wrong unless something holds.
fn require(holds: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong()) }
}
