//! Jobs and what starts them.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job, JobSpec, JobStatus};
use serde_json::Value;

use super::age::{age, human_duration, since_time};
use super::column::{AGE, CONTAINERS, IMAGES, NAME, boolean, field, integer, string, text};
use super::text::{NONE, UNSET, given, label_selector, plain};
use super::workloads::template;
use super::{Printer, printer, row};

pub(super) static JOB: Printer = printer!(
    Job,
    job,
    [
        NAME,
        string("Status", text("Status of the job.")),
        string("Completions", field("batch.v1.JobStatus", "succeeded")),
        string("Duration", text("Time required to complete the job.")),
        AGE,
        CONTAINERS,
        IMAGES,
        string("Selector", field("batch.v1.JobSpec", "selector")).wide(),
    ]
);

fn job(job: &Job, now: Timestamp) -> Vec<Value> {
    let (no_spec, no_status) = (JobSpec::default(), JobStatus::default());
    let spec = job.spec.as_ref().unwrap_or(&no_spec);
    let status = job.status.as_ref().unwrap_or(&no_status);
    let (names, images) = template(Some(&spec.template));
    row![
        plain(&job.metadata.name),
        job_state(status, job.metadata.deletion_timestamp.is_some()),
        completions(spec, status),
        duration(status, now),
        age(&job.metadata, now),
        names,
        images,
        label_selector(spec.selector.as_ref()),
    ]
}

fn job_state(status: &JobStatus, is_deleted: bool) -> &'static str {
    let has = |name: &str| {
        let condition = status.conditions.iter().flatten().find(|condition| condition.type_ == name);
        condition.is_some_and(|condition| condition.status == "True")
    };
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if is_deleted => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(spec: &JobSpec, status: &JobStatus) -> String {
    let succeeded = status.succeeded.unwrap_or(0);
    match (spec.completions, spec.parallelism.unwrap_or(0)) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn duration(status: &JobStatus, now: Timestamp) -> String {
    let end = status.completion_time.as_ref().map_or(now, |time| time.0);
    status.start_time.as_ref().map_or_else(String::new, |start| human_duration(end.duration_since(start.0)))
}

pub(super) static CRON_JOB: Printer = printer!(
    CronJob,
    cron_job,
    [
        NAME,
        string("Schedule", field("batch.v1.CronJobSpec", "schedule")),
        string("Timezone", field("batch.v1.CronJobSpec", "timeZone")),
        boolean("Suspend", field("batch.v1.CronJobSpec", "suspend")),
        integer("Active", field("batch.v1.CronJobStatus", "active")),
        string("Last Schedule", field("batch.v1.CronJobStatus", "lastScheduleTime")),
        AGE,
        CONTAINERS,
        IMAGES,
        string("Selector", field("batch.v1.JobSpec", "selector")).wide(),
    ]
);

fn cron_job(cron_job: &CronJob, now: Timestamp) -> Vec<Value> {
    let no_status = CronJobStatus::default();
    let spec = &cron_job.spec;
    let status = cron_job.status.as_ref().unwrap_or(&no_status);
    let job = spec.job_template.spec.as_ref();
    let (names, images) = template(job.map(|job| &job.template));
    let last = status.last_schedule_time.as_ref().map(|time| since_time(Some(time), now));
    row![
        plain(&cron_job.metadata.name),
        spec.schedule.as_str(),
        given(&spec.time_zone, NONE),
        spec.suspend.map_or(UNSET, |suspend| if suspend { "True" } else { "False" }),
        status.active.as_ref().map_or(0, Vec::len),
        last.unwrap_or_else(|| NONE.to_owned()),
        age(&cron_job.metadata, now),
        names,
        images,
        label_selector(job.and_then(|job| job.selector.as_ref())),
    ]
}
