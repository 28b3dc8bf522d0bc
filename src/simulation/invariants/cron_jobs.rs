//! CronJobs: `Forbid` and `Replace` never overlap.

use coracle_core::World;
use coracle_core::object::controller_of;
use k8s_openapi::api::batch::v1::{CronJob, Job};

use super::require;
use crate::simulation::{Invariant, Step};

/// Watches over the runs of CronJobs.
#[derive(Clone, Copy, Debug, Default)]
pub struct CronJobs;

impl Invariant for CronJobs {
    fn after(&mut self, step: &Step<'_>) -> Result<(), String> {
        let Some(job) = step.object::<Job>().filter(|_| step.event.previous.is_none()) else { return Ok(()) };
        let owner = controller_of(&job.metadata).and_then(|owner| step.world.by_uid(&owner.uid));
        let Some(cron_job) = owner.and_then(|owner| owner.get::<CronJob>()) else { return Ok(()) };
        let policy = cron_job.spec.concurrency_policy.as_deref().unwrap_or("Allow");
        let running = |job: &Job| !is_finished(job) && job.metadata.deletion_timestamp.is_none();
        let jobs = step.world.owned_by::<Job>(cron_job.metadata.uid.as_deref().unwrap_or(""));
        let count = jobs.filter(|job| running(job)).count();
        require(policy == "Allow" || count <= 1, || {
            format!("{} is run {count} at a time of a CronJob with {policy}", step.event.object.key())
        })
    }

    fn at_end(&self, world: &World) -> Result<(), String> {
        world.list::<CronJob>().try_for_each(|cron_job| {
            let active = cron_job.status.as_ref().and_then(|status| status.active.clone()).unwrap_or_default();
            let name = cron_job.metadata.name.as_deref().unwrap_or("");
            let ended = |uid: &str| world.by_uid(uid).and_then(|job| job.get()).is_none_or(is_finished);
            let wrong = active.iter().filter(|job| job.uid.as_deref().is_none_or(ended)).count();
            require(wrong == 0, || format!("CronJob {name} lists {wrong} jobs as active that are not"))
        })
    }
}

fn is_finished(job: &Job) -> bool {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ends = |kind: &str| matches!(kind, "Complete" | "Failed");
    conditions.into_iter().flatten().any(|condition| ends(&condition.type_) && condition.status == "True")
}
