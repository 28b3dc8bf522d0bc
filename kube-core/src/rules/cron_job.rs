//! CronJob. Whether a time zone exists is not checked, only how it is written.

use super::check::text;
use super::{Ruled, fill, job, spec_and_status};
use crate::field::{Errors, Json, Path};
use crate::schedule::Schedule;
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec};

/// A Job's name is the CronJob's and a time of eleven characters, 63 in all.
const NAME_BYTES_MAX: usize = 52;

impl Ruled for CronJob {
    spec_and_status!();

    fn fill_defaults(&mut self) {
        let spec = &mut self.spec;
        fill::text(&mut spec.concurrency_policy, "Allow");
        fill::value(&mut spec.suspend, false);
        fill::value(&mut spec.successful_jobs_history_limit, 3);
        fill::value(&mut spec.failed_jobs_history_limit, 1);
        job::fill_in_template(spec.job_template.spec.get_or_insert_default());
    }

    fn validate(&self, errors: &mut Errors) {
        validate_spec(&self.spec, None, &Path::new("spec"), errors);
        let name = text(&self.metadata.name);
        if name.len() > NAME_BYTES_MAX {
            errors.invalid(&Path::new("metadata.name"), name, "must be no more than 52 characters");
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        validate_spec(&self.spec, Some(&old.spec), &Path::new("spec"), errors);
    }
}

fn validate_spec(spec: &CronJobSpec, old: Option<&CronJobSpec>, path: &Path, errors: &mut Errors) {
    if errors.given(&path.field("schedule"), &spec.schedule) {
        let zone_in_schedule_before = old.is_some_and(|old| old.schedule.contains("TZ"));
        validate_schedule(spec, zone_in_schedule_before, &path.field("schedule"), errors);
    }
    errors.non_negative(&path.field("startingDeadlineSeconds"), spec.starting_deadline_seconds);
    if old.is_none_or(|old| old.time_zone != spec.time_zone)
        && let Some(zone) = &spec.time_zone
    {
        validate_time_zone(zone, &path.field("timeZone"), errors);
    }
    let policies = ["Allow", "Forbid", "Replace"];
    errors.given_one_of(&path.field("concurrencyPolicy"), text(&spec.concurrency_policy), &policies);
    validate_template(spec, &path.field("jobTemplate").field("spec"), errors);
    errors.non_negative(&path.field("successfulJobsHistoryLimit"), spec.successful_jobs_history_limit);
    errors.non_negative(&path.field("failedJobsHistoryLimit"), spec.failed_jobs_history_limit);
}

fn validate_template(spec: &CronJobSpec, path: &Path, errors: &mut Errors) {
    let Some(job) = &spec.job_template.spec else { return errors.required(path, "") };
    job::validate_spec(job, path, errors);
    if let Some(selector) = &job.selector {
        errors.invalid(&path.field("selector"), Json(selector), "`selector` will be auto-generated");
    }
    if job.manual_selector == Some(true) {
        errors.not_supported(&path.field("manualSelector"), true, &["nil", "false"]);
    }
}

fn validate_schedule(spec: &CronJobSpec, zone_in_schedule_before: bool, path: &Path, errors: &mut Errors) {
    let written = &spec.schedule;
    if let Err(reason) = Schedule::parse(without_zone(written)) {
        errors.invalid(path, written, reason);
    }
    if !written.contains("TZ") {
        return;
    }
    if !zone_in_schedule_before {
        let message = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.invalid(path, written, message);
    } else if spec.time_zone.is_some() {
        errors.invalid(path, written, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
    }
}

/// Old objects may have a zone in front; upstream reads on behind it.
fn without_zone(schedule: &str) -> &str {
    let zoned = schedule.starts_with("TZ=") || schedule.starts_with("CRON_TZ=");
    schedule.split_once(' ').filter(|_| zoned).map_or(schedule, |(_, rest)| rest.trim())
}

fn validate_time_zone(zone: &str, path: &Path, errors: &mut Errors) {
    let is_part = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.len() <= 14
            && !part.starts_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte))
    };
    if zone.is_empty() {
        errors.invalid(path, zone, "timeZone must be nil or non-empty string");
    } else if !zone.split('/').all(is_part) {
        errors.invalid(path, zone, format!("unknown time zone {zone}"));
    } else if zone.eq_ignore_ascii_case("Local") {
        let message = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.invalid(path, zone, message);
    }
}
