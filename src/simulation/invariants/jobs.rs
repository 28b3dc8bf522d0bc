//! Jobs: every end of a pod is counted once, no index runs twice at a time, and every Job ends.

use std::collections::{BTreeMap, BTreeSet};

use coracle_controllers::pods;
use coracle_core::World;
use coracle_core::object::controller_of;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;

use super::require;
use crate::simulation::{Invariant, Step};

const INDEX: &str = "batch.kubernetes.io/job-completion-index";
const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// Watches over the counting of Jobs.
#[derive(Debug, Default)]
pub struct Jobs {
    /// What became of each Job's pods, by its uid.
    ends: BTreeMap<String, Ends>,
    /// When a Job was last asked for something else, by its uid.
    asked: BTreeMap<String, Timestamp>,
}

#[derive(Debug, Default)]
struct Ends {
    succeeded: BTreeSet<String>,
    failed: BTreeSet<String>,
}

impl Invariant for Jobs {
    fn after(&mut self, step: &Step<'_>) -> Result<(), String> {
        if let Some(job) = step.object::<Job>() {
            return self.counted(job, step);
        }
        let Some(pod) = step.object::<Pod>().or_else(|| step.previous()) else { return Ok(()) };
        let Some(owner) = controller_of(&pod.metadata).filter(|owner| owner.kind == "Job") else { return Ok(()) };
        let (uid, ends) =
            (pod.metadata.uid.clone().unwrap_or_default(), self.ends.entry(owner.uid.clone()).or_default());
        match pods::phase(pod) {
            "Succeeded" => drop(ends.succeeded.insert(uid)),
            "Failed" => drop(ends.failed.insert(uid)),
            // A pod that is gone before it ended counts as failed.
            _ if pod.metadata.deletion_timestamp.is_some() || step.event.deleted => drop(ends.failed.insert(uid)),
            _ => {}
        }
        let job = step.world.by_uid(&owner.uid).and_then(|owner| owner.get::<Job>());
        match job.filter(|_| step.event.previous.is_none()) {
            Some(job) => self.started(job, pod, step),
            None => Ok(()),
        }
    }

    fn at_end(&self, world: &World) -> Result<(), String> {
        world.list::<Job>().try_for_each(|job| self.finished(&job, world))
    }
}

impl Jobs {
    /// What a Job counts, it has seen.
    fn counted(&mut self, job: &Job, step: &Step<'_>) -> Result<(), String> {
        let uid = job.metadata.uid.clone().unwrap_or_default();
        let before = step.previous::<Job>();
        if before.and_then(|before| before.metadata.generation) != job.metadata.generation {
            self.asked.insert(uid.clone(), step.now);
        }
        let status = job.status.clone().unwrap_or_default();
        let ends = self.ends.entry(uid).or_default();
        let name = job.metadata.name.as_deref().unwrap_or("");
        let (succeeded, failed) = (status.succeeded.unwrap_or(0), status.failed.unwrap_or(0));
        let (most_succeeded, most_failed) = (size(&ends.succeeded), size(&ends.failed));
        require(succeeded <= most_succeeded && failed <= most_failed, || {
            format!(
                "Job {name} counts {succeeded} successes and {failed} failures of {most_succeeded} and {most_failed}"
            )
        })?;
        let was = before.and_then(|before| before.status.clone()).unwrap_or_default();
        require(is_over(&was).is_none() || is_over(&was) == is_over(&status), || {
            format!("Job {name} was {:?} and is {:?}", is_over(&was), is_over(&status))
        })
    }

    /// A new pod of a Job has an index of its own, and does not come when there are enough.
    fn started(&self, job: &Job, pod: &Pod, step: &Step<'_>) -> Result<(), String> {
        let uid = job.metadata.uid.as_deref().unwrap_or("");
        // A writer that was told of a failure starts the pod again, and deletes one of both later.
        if step.lately(step.answer_lost) || step.lately(self.asked.get(uid).copied()) {
            return Ok(());
        }
        let active: Vec<_> = step.world.owned_by::<Pod>(uid).filter(|pod| pods::is_active(pod)).collect();
        let name = step.event.object.key();
        if let Some(index) = index_of(pod) {
            let same = active.iter().filter(|other| index_of(other) == Some(index)).count();
            require(same <= 1, || format!("{name} is active pod {same} of index {index}"))?;
        }
        let most = job.spec.as_ref().and_then(|spec| spec.parallelism).unwrap_or(1);
        require(size(&active) <= most, || format!("{name} is active pod {} of at most {most}", active.len()))
    }

    fn finished(&self, job: &Job, world: &World) -> Result<(), String> {
        let name = job.metadata.name.as_deref().unwrap_or("");
        let status = job.status.clone().unwrap_or_default();
        let Some(end) = is_over(&status) else { return Err(format!("Job {name} does not end")) };
        let uid = job.metadata.uid.as_deref().unwrap_or("");
        let pods: Vec<_> = world.owned_by::<Pod>(uid).collect();
        require(status.active.unwrap_or(0) == 0 && !pods.iter().any(|pod| pods::is_active(pod)), || {
            format!("Job {name} is over and has active pods")
        })?;
        let tracked = |pod: &&std::sync::Arc<Pod>| pod.metadata.finalizers.iter().flatten().any(|it| it == TRACKING);
        require(pods.iter().filter(tracked).count() == 0, || format!("Job {name} is over and holds pods"))?;
        let spec = job.spec.clone().unwrap_or_default();
        let succeeded = status.succeeded.unwrap_or(0);
        let indexed = spec.completion_mode.as_deref() == Some("Indexed");
        let exact = match spec.completions {
            Some(completions) if end == "Complete" && indexed => succeeded == completions,
            Some(completions) if end == "Complete" => succeeded >= completions,
            _ => true,
        };
        require(exact, || format!("Job {name} is complete with {succeeded} of {:?}", spec.completions))?;
        let uncounted = status.uncounted_terminated_pods.unwrap_or_default();
        let open = uncounted.succeeded.iter().flatten().chain(uncounted.failed.iter().flatten()).count();
        require(open == 0, || format!("Job {name} is over and has not counted {open} pods"))
    }
}

fn size<T>(all: impl IntoIterator<Item = T>) -> i32 {
    i32::try_from(all.into_iter().count()).unwrap_or(i32::MAX)
}

fn index_of(pod: &Pod) -> Option<&str> {
    pod.metadata.annotations.as_ref()?.get(INDEX).map(String::as_str)
}

/// How a Job ended, if it did.
fn is_over(status: &JobStatus) -> Option<String> {
    let conditions = status.conditions.iter().flatten();
    let mut ends = conditions.filter(|it| it.status == "True" && matches!(&*it.type_, "Complete" | "Failed"));
    ends.next().map(|condition| condition.type_.clone())
}
