//! CronJobs: Jobs by the clock. Source: `pkg/controller/cronjob`.
//!
//! A Job carries the time it is for in its name and in an annotation, so whatever is cut off between making the Job and
//! telling of it, the Job itself tells, and is not made twice.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use coracle_core::event::reference_to;
use coracle_core::schedule::Schedule;
use coracle_core::time::whole_seconds;
use coracle_core::{Happening, Request, Severity, World};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use crate::job::finished;
use crate::ownership::{controller_reference, is_controlled_by};
use crate::plan::{Announcement, Plan, Wish};
use crate::planner::Planner;
use crate::watches::Watches;

/// The name in logs and events.
const CONTROLLER: &str = "cronjob-controller";
/// The time a Job is for. Source: batch/v1 `CronJobScheduledTimestampAnnotation`.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// If more times were missed, people are told. Source: `mostRecentScheduleTime`.
const MISSED_MANY: usize = 100;

/// Makes Jobs by the clock.
///
/// A schedule without a time zone is in UTC; upstream takes the zone of the machine. Rules of time zones come from a database:
/// by default the one of the system. A zone it does not know, or any if there is no database, starts no Jobs and is told with
/// an event `UnknownTimeZone`.
#[derive(Clone, Debug)]
pub struct CronJobs {
    zones: TimeZoneDatabase,
}

impl CronJobs {
    /// With these rules of time zones.
    #[must_use]
    pub const fn new(zones: TimeZoneDatabase) -> Self {
        Self { zones }
    }
}

impl Default for CronJobs {
    fn default() -> Self {
        Self::new(jiff::tz::db().clone())
    }
}

/// What there is of one CronJob.
#[derive(Debug)]
pub struct Observed {
    jobs: Vec<Arc<Job>>,
    /// Names of Jobs of others that look like this CronJob's.
    taken: HashSet<String>,
}

impl Planner for CronJobs {
    type Kind = CronJob;
    type Observed = Observed;

    fn name(&self) -> &'static str {
        CONTROLLER
    }

    fn watches(&self, on: &mut Watches<CronJob>) {
        on.owned::<Job>();
    }

    fn observe(&self, cron_job: &CronJob, world: &World) -> Observed {
        let metadata = &cron_job.metadata;
        let own = |job: &Arc<Job>| is_controlled_by(&job.metadata, metadata);
        let jobs = world.owned_by::<Job>(metadata.uid.as_deref().unwrap_or("")).filter(own).collect();
        let prefix = format!("{}-", name(metadata));
        let others = world.list_in::<Job>(metadata.namespace.as_deref().unwrap_or("")).filter(|job| !own(job));
        let taken = others.map(|job| name(&job.metadata).to_owned()).filter(|name| name.starts_with(&prefix));
        Observed { jobs, taken: taken.collect() }
    }

    fn plan(&self, cron_job: &CronJob, observed: Observed, now: Timestamp) -> Plan {
        let mut round = Round {
            cron_job,
            jobs: &observed.jobs,
            status: cron_job.status.clone().unwrap_or_default(),
            plan: Plan::nothing(),
            now,
        };
        round.look_at_jobs();
        round.forget_missing();
        let start = match cron_job.metadata.deletion_timestamp {
            Some(_) => None,
            None => round.due(&self.zones, &observed.taken),
        };
        round.write(start);
        round.plan
    }
}

/// One look at a CronJob.
struct Round<'a> {
    cron_job: &'a CronJob,
    jobs: &'a [Arc<Job>],
    status: CronJobStatus,
    plan: Plan,
    now: Timestamp,
}

impl Round<'_> {
    /// Takes over what Jobs tell: that they run, that they have ended, what time they were for.
    fn look_at_jobs(&mut self) {
        for job in self.jobs {
            let listed = self.is_listed(job);
            match (finished(job), scheduled_for(job)) {
                (None, Some(time)) if !listed => {
                    self.status.active.get_or_insert_default().push(reference_to(&**job));
                    self.note_scheduled(time);
                }
                (None, None) if !listed => {
                    let note =
                        format!("Saw a job that the controller did not create or forgot: {}", name(&job.metadata));
                    self.tell(Severity::Warning, "UnexpectedJob", note);
                }
                (None, _) => {}
                (Some((outcome, _)), time) => {
                    if listed {
                        self.unlist(job.metadata.uid.as_deref());
                        let note = format!("Saw completed job: {}, condition: {outcome}", name(&job.metadata));
                        self.tell(Severity::Normal, "SawCompletedJob", note);
                    }
                    if outcome == "Complete" {
                        self.note_success(job);
                    }
                    time.into_iter().for_each(|time| self.note_scheduled(time));
                }
            }
        }
    }

    fn note_scheduled(&mut self, time: Timestamp) {
        let known = self.status.last_schedule_time.as_ref().map(|known| known.0);
        self.status.last_schedule_time = Some(Time(known.map_or(time, |known| known.max(time))));
    }

    fn note_success(&mut self, job: &Job) {
        let completed = job.status.as_ref().and_then(|status| status.completion_time.clone());
        let known = self.status.last_successful_time.as_ref().map(|time| time.0);
        if completed.as_ref().is_some_and(|time| known.is_none_or(|known| time.0 > known)) {
            self.status.last_successful_time = completed;
        }
    }

    fn forget_missing(&mut self) {
        let uids: HashSet<_> = self.jobs.iter().filter_map(|job| job.metadata.uid.as_ref()).collect();
        let listed = self.status.active.iter().flatten();
        let is_missing = |uid: Option<&String>| uid.is_none_or(|uid| !uids.contains(uid));
        let missing: Vec<_> = listed.filter(|job| is_missing(job.uid.as_ref())).cloned().collect();
        for job in missing {
            self.unlist(job.uid.as_deref());
            let note = format!("Active job went missing: {}", job.name.unwrap_or_default());
            self.tell(Severity::Normal, "MissingJob", note);
        }
    }

    /// What is to be started now, if anything; says when to look again.
    fn due(&mut self, zones: &TimeZoneDatabase, taken: &HashSet<String>) -> Option<Job> {
        let spec = &self.cron_job.spec;
        let zone = match spec.time_zone.as_deref() {
            None => TimeZone::UTC,
            Some(name) => match zones.get(name) {
                Ok(zone) => zone,
                Err(_) => {
                    let note = format!("invalid timeZone: {name:?}: unknown time zone {name}");
                    self.tell(Severity::Warning, "UnknownTimeZone", note);
                    return None;
                }
            },
        };
        if spec.suspend == Some(true) {
            return None;
        }
        let schedule = match Schedule::parse(&spec.schedule) {
            Ok(schedule) => schedule,
            Err(error) => {
                let note = format!("unparseable schedule: {:?} : {error}", spec.schedule);
                self.tell(Severity::Warning, "UnparseableSchedule", note);
                return None;
            }
        };
        let since = self.met_until();
        if schedule.next(since, &zone).is_none() {
            let why = "time difference between two schedules is less than 1 second";
            self.tell(Severity::Warning, "InvalidSchedule", format!("invalid schedule: {} : {why}", spec.schedule));
            return None;
        }
        let last = schedule.last(since, self.now, MISSED_MANY, &zone).map(|(time, _)| time);
        let next = schedule.next(last.unwrap_or(since), &zone);
        self.plan.look_again(next.and_then(|next| Duration::try_from(next.duration_since(self.now)).ok()));
        let (time, earliest) = (last?, self.earliest());
        if earliest.is_some_and(|earliest| time < earliest) {
            // Upstream looks no further back than this either, so it does not tell of it (its `MissSchedule` is out of reach).
            return None;
        }
        let from = earliest.map_or(since, |earliest| earliest.max(since));
        if schedule.last(from, self.now, MISSED_MANY, &zone).is_some_and(|(_, many)| many) {
            let note = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            self.tell(Severity::Warning, "TooManyMissedTimes", note.to_owned());
        }
        self.may_start(time, taken).then(|| self.job(time, &zone))
    }

    /// Times up to this one are met.
    fn met_until(&self) -> Timestamp {
        let created = self.cron_job.metadata.creation_timestamp.as_ref();
        self.status.last_schedule_time.as_ref().or(created).map_or(self.now, |time| time.0)
    }

    /// Times before this are missed, if there is a deadline.
    fn earliest(&self) -> Option<Timestamp> {
        let seconds = self.cron_job.spec.starting_deadline_seconds?;
        self.now.checked_sub(SignedDuration::from_secs(seconds)).ok()
    }

    fn may_start(&mut self, time: Timestamp, taken: &HashSet<String>) -> bool {
        let job = self.job_name(time);
        let is_made = taken.contains(&job) || self.jobs.iter().any(|known| name(&known.metadata) == job);
        if is_made || self.status.last_schedule_time.as_ref().is_some_and(|last| last.0 == time) {
            return false;
        }
        let is_busy = self.status.active.iter().flatten().next().is_some();
        if is_busy && self.cron_job.spec.concurrency_policy.as_deref() == Some("Forbid") {
            let note = "Not starting job because prior execution is running and concurrency policy is Forbid";
            self.tell(Severity::Normal, "JobAlreadyActive", note.to_owned());
            return false;
        }
        true
    }

    /// Clears away, starts, and tells, in this order.
    fn write(&mut self, start: Option<Job>) {
        let mut gone = self.too_old();
        if start.is_some() && self.cron_job.spec.concurrency_policy.as_deref() == Some("Replace") {
            gone.extend(self.jobs.iter().filter(|job| self.is_listed(job)).cloned());
        }
        let deletions: Vec<_> = gone.iter().map(|job| self.deletion(job)).collect();
        gone.iter().for_each(|job| self.unlist(job.metadata.uid.as_deref()));
        let told = std::mem::take(&mut self.plan.steps);
        self.plan.together(deletions);
        let before = self.cron_job.status.clone().unwrap_or_default();
        if self.status != before {
            let (status, cron_job) = (Some(self.status.clone()), self.cron_job.clone());
            self.plan.then(Request::update_status(CronJob { status, ..cron_job }));
        }
        self.plan.steps.extend(told);
        if let Some(job) = start {
            // It wakes this CronJob, which then lists it.
            self.plan.then(self.creation(job));
        }
    }

    /// Ended Jobs beyond those that are kept, oldest first.
    fn too_old(&self) -> Vec<Arc<Job>> {
        let spec = &self.cron_job.spec;
        let limits = [("Complete", spec.successful_jobs_history_limit), ("Failed", spec.failed_jobs_history_limit)];
        let mut old = Vec::new();
        for (outcome, limit) in limits {
            let Some(keep) = limit.map(|limit| usize::try_from(limit).unwrap_or(0)) else { continue };
            let ended = |job: &&Arc<Job>| {
                finished(job).is_some_and(|(how, _)| how == outcome) && job.metadata.deletion_timestamp.is_none()
            };
            let mut ended: Vec<_> = self.jobs.iter().filter(ended).cloned().collect();
            ended.sort_by_key(|job| {
                let start = job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0);
                (start.is_none(), start, name(&job.metadata).to_owned())
            });
            ended.truncate(ended.len().saturating_sub(keep));
            old.extend(ended);
        }
        old
    }

    fn job_name(&self, time: Timestamp) -> String {
        format!("{}-{}", name(&self.cron_job.metadata), time.as_second().div_euclid(60))
    }

    fn job(&self, time: Timestamp, zone: &TimeZone) -> Job {
        let template = &self.cron_job.spec.job_template;
        let from = template.metadata.as_ref();
        let mut annotations = from.and_then(|metadata| metadata.annotations.clone()).unwrap_or_default();
        annotations.insert(SCHEDULED.to_owned(), local_text(time, zone));
        let metadata = ObjectMeta {
            name: Some(self.job_name(time)),
            namespace: self.cron_job.metadata.namespace.clone(),
            labels: from.and_then(|metadata| metadata.labels.clone()),
            annotations: Some(annotations),
            owner_references: Some(vec![controller_reference(self.cron_job)]),
            ..ObjectMeta::default()
        };
        Job { metadata, spec: template.spec.clone(), status: None }
    }

    fn creation(&self, job: Job) -> Wish {
        let announcement = Announcement::about(CONTROLLER, self.cron_job)
            .done("SuccessfulCreate", "Created job {}")
            .failed("FailedCreate", "Error creating job: {}");
        Wish::from(Request::create(job)).announced(announcement)
    }

    fn deletion(&self, job: &Job) -> Wish {
        let announcement = Announcement::about(CONTROLLER, self.cron_job)
            .done("SuccessfulDelete", format!("Deleted job {}", name(&job.metadata)))
            .failed("FailedDelete", "Deleted job: {}");
        Wish::from(Request::delete(job).propagating("Background")).announced(announcement)
    }

    fn is_listed(&self, job: &Job) -> bool {
        self.status.active.iter().flatten().any(|listed| listed.uid == job.metadata.uid)
    }

    fn unlist(&mut self, uid: Option<&str>) {
        if let Some(active) = &mut self.status.active {
            active.retain(|listed| listed.uid.as_deref() != uid);
        }
        self.status.active.take_if(|active| active.is_empty());
    }

    fn tell(&mut self, severity: Severity, reason: &'static str, note: String) {
        self.plan.tell(Happening::new(CONTROLLER, self.cron_job, severity, reason, note));
    }
}

/// The time a Job is for, if it was made by the clock.
fn scheduled_for(job: &Job) -> Option<Timestamp> {
    job.metadata.annotations.as_ref()?.get(SCHEDULED)?.parse().ok()
}

/// A time as RFC 3339 spells it in a zone.
fn local_text(time: Timestamp, zone: &TimeZone) -> String {
    let time = whole_seconds(time).0;
    let offset = zone.to_offset(time);
    if offset.is_zero() { time.to_string() } else { time.display_with_offset(offset).to_string() }
}

fn name(metadata: &ObjectMeta) -> &str {
    metadata.name.as_deref().unwrap_or("")
}
