use expect_test::{Expect, expect};
use jiff::tz::TimeZoneDatabase;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{CronJob, Job, JobCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use proptest::prelude::*;

use super::CronJobs;
use crate::plan::{Plan, Step};
use crate::testing::Small;

/// A CronJob `tick`, made two hours before noon.
fn cron_job(schedule: &str, spec: &str, status: &str) -> String {
    format!(
        "{{kind: CronJob, metadata: {{name: tick, creationTimestamp: '2030-01-01T10:00:00Z'}}, spec: {{schedule: '{schedule}', \
         {spec} jobTemplate: {{metadata: {{labels: {{app: tick}}}}, spec: {{template: {{}}}}}}}}, status: {{{status}}}}}\n---\n"
    )
}

/// A Job of `tick` for a minute since the epoch.
fn job(minute: i64, outcome: &str) -> String {
    let at = Timestamp::from_second(minute * 60).unwrap();
    let conditions = if outcome.is_empty() { String::new() } else { format!("{{type: {outcome}, status: 'True'}}") };
    format!(
        "{{kind: Job, metadata: {{name: tick-{minute}, annotations: {{batch.kubernetes.io/cronjob-scheduled-timestamp: '{at}'}}, \
         ownerReferences: [{{apiVersion: batch/v1, kind: CronJob, name: tick, uid: cronjob-tick, controller: true}}]}}, \
         spec: {{template: {{}}}}, status: {{startTime: '{at}', completionTime: '{at}', conditions: [{conditions}]}}}}\n---\n"
    )
}

fn active(minute: i64) -> String {
    let at = Timestamp::from_second(minute * 60).unwrap();
    format!("active: [{{name: tick-{minute}, uid: job-tick-{minute}}}], lastScheduleTime: '{at}'")
}

/// Noon, in minutes since the epoch.
const NOON: i64 = 31_558_320;

#[track_caller]
fn check(yaml: String, expected: Expect) {
    expected.assert_eq(&Small::new(&yaml).step(&CronJobs::default(), "tick"));
}

#[test]
fn a_job_is_made_when_it_is_due() {
    check(
        cron_job("0 * * * *", "", ""),
        expect![[r#"
        create job default/tick-31558320
          event SuccessfulCreate: Created job tick-31558320
        look again after 3600s
    "#]],
    );
    check(
        cron_job("30 * * * *", "", "lastScheduleTime: '2030-01-01T11:30:00Z'"),
        expect![[r#"
        look again after 1800s
    "#]],
    );
    check(cron_job("0 * * * *", "suspend: true,", ""), expect![[""]]);
    check(
        cron_job("@every 45m", "startingDeadlineSeconds: 60,", ""),
        expect![[r#"
            look again after 900s
        "#]],
    );
    check(
        cron_job("0 * * * *", "timeZone: Asia/Kathmandu,", ""),
        expect![[r#"
        create job default/tick-31558275
          event SuccessfulCreate: Created job tick-31558275
        look again after 900s
    "#]],
    );
}

#[test]
fn what_cannot_be_planned_is_told() {
    check(
        cron_job("0 * * * *", "timeZone: Moon/Base,", ""),
        expect![[r#"
        event UnknownTimeZone: invalid timeZone: "Moon/Base": unknown time zone Moon/Base
    "#]],
    );
    check(
        cron_job("TZ=UTC 0 * * * *", "", ""),
        expect![[r#"
        event UnparseableSchedule: unparseable schedule: "TZ=UTC 0 * * * *" : cannot use TZ or CRON_TZ in schedule, use timeZone field instead
    "#]],
    );
    let nowhere = CronJobs::new(TimeZoneDatabase::none());
    expect![[r#"
        event UnknownTimeZone: invalid timeZone: "Asia/Tokyo": unknown time zone Asia/Tokyo
    "#]]
    .assert_eq(&Small::new(&cron_job("@hourly", "timeZone: Asia/Tokyo,", "")).step(&nowhere, "tick"));
    check(
        cron_job("0 0 31 2 *", "", ""),
        expect![[r#"
        event InvalidSchedule: invalid schedule: 0 0 31 2 * : time difference between two schedules is less than 1 second
    "#]],
    );
}

#[test]
fn missed_times_are_told() {
    check(
        cron_job("* * * * *", "", ""),
        expect![[r#"
        event TooManyMissedTimes: too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew
        create job default/tick-31558320
          event SuccessfulCreate: Created job tick-31558320
        look again after 60s
    "#]],
    );
    check(
        cron_job("* * * * *", "startingDeadlineSeconds: 600,", ""),
        expect![[r#"
        create job default/tick-31558320
          event SuccessfulCreate: Created job tick-31558320
        look again after 60s
    "#]],
    );
    check(
        cron_job("50 * * * *", "startingDeadlineSeconds: 300,", ""),
        expect![[r#"
            look again after 3000s
        "#]],
    );
}

#[test]
fn jobs_are_listed_while_they_run() {
    check(
        cron_job("0 * * * *", "", "") + &job(NOON, ""),
        expect![[r#"
        update cronjob/status default/tick active.0.apiVersion=batch/v1 active.0.kind=Job active.0.name=tick-31558320 active.0.namespace=default active.0.uid=job-tick-31558320 lastScheduleTime=2030-01-01T12:00:00Z
        look again after 3600s
    "#]],
    );
    check(
        cron_job("0 * * * *", "", &active(NOON)) + &job(NOON, "Complete"),
        expect![[r#"
            update cronjob/status default/tick active.0.name=- active.0.uid=- lastSuccessfulTime=2030-01-01T12:00:00Z
            event SawCompletedJob: Saw completed job: tick-31558320, condition: Complete
            look again after 3600s
        "#]],
    );
    check(
        cron_job("0 * * * *", "", &active(NOON)) + &job(NOON, "Failed"),
        expect![[r#"
            update cronjob/status default/tick active.0.name=- active.0.uid=-
            event SawCompletedJob: Saw completed job: tick-31558320, condition: Failed
            look again after 3600s
        "#]],
    );
    check(
        cron_job("0 * * * *", "", &active(NOON)),
        expect![[r#"
        update cronjob/status default/tick active.0.name=- active.0.uid=-
        event MissingJob: Active job went missing: tick-31558320
        look again after 3600s
    "#]],
    );
    let foreign = job(NOON - 7, "").replace("batch.kubernetes.io/cronjob-scheduled-timestamp", "other");
    check(
        cron_job("0 * * * *", "", &active(NOON)) + &job(NOON, "") + &foreign,
        expect![[r#"
        event UnexpectedJob: Saw a job that the controller did not create or forgot: tick-31558313
        look again after 3600s
    "#]],
    );
    let taken = job(NOON, "").replace("uid: cronjob-tick", "uid: other");
    check(
        cron_job("0 * * * *", "", "") + &taken,
        expect![[r#"
        look again after 3600s
    "#]],
    );
}

#[test]
fn policies_say_what_happens_if_one_still_runs() {
    for (policy, expected) in [
        (
            "Allow",
            expect![[r#"
        create job default/tick-31558320
          event SuccessfulCreate: Created job tick-31558320
        look again after 3600s
    "#]],
        ),
        (
            "Forbid",
            expect![[r#"
        event JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid
        look again after 3600s
    "#]],
        ),
        (
            "Replace",
            expect![[r#"
        delete job default/tick-31558260 Background
          event SuccessfulDelete: Deleted job tick-31558260
        update cronjob/status default/tick active.0.name=- active.0.uid=-
        create job default/tick-31558320
          event SuccessfulCreate: Created job tick-31558320
        look again after 3600s
    "#]],
        ),
    ] {
        let policy = format!("concurrencyPolicy: {policy},");
        check(cron_job("0 * * * *", &policy, &active(NOON - 60)) + &job(NOON - 60, ""), expected);
    }
}

#[test]
fn only_so_many_ended_jobs_are_kept() {
    let spec = "successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0,";
    let jobs: String = [5, 4, 3].map(|minute| job(NOON - minute, "Complete")).concat() + &job(NOON - 6, "Failed");
    let status = "lastScheduleTime: '2030-01-01T12:00:00Z', lastSuccessfulTime: '2030-01-01T12:00:00Z'";
    check(
        cron_job("0 * * * *", spec, status) + &jobs,
        expect![[r#"
        delete job default/tick-31558315 Background
          event SuccessfulDelete: Deleted job tick-31558315
        delete job default/tick-31558316 Background
          event SuccessfulDelete: Deleted job tick-31558316
        delete job default/tick-31558314 Background
          event SuccessfulDelete: Deleted job tick-31558314
        look again after 3600s
    "#]],
    );
}

fn end(small: &mut Small, name: &str) {
    let at = Time(small.now);
    small.edit::<Job>(name, |job| {
        let status = job.status.get_or_insert_default();
        status.completion_time = Some(at.clone());
        let condition = JobCondition {
            type_: "Complete".to_owned(),
            status: "True".to_owned(),
            last_transition_time: Some(at),
            ..JobCondition::default()
        };
        status.conditions = Some(vec![condition]);
    });
}

fn running(small: &Small) -> Vec<String> {
    let jobs = small.world.list::<Job>().filter(|job| super::finished(job).is_none());
    jobs.map(|job| super::name(&job.metadata).to_owned()).collect()
}

/// A month of an hourly CronJob, looked at only when it asked to be, with Jobs that end at once.
#[test]
fn a_month_has_744_hours() {
    let planner = CronJobs::default();
    let mut small = Small::new(&cron_job("@hourly", "successfulJobsHistoryLimit: 3,", ""));
    let end_of_month = small.now + SignedDuration::from_hours(31 * 24);
    let (mut made, mut looks) = (Vec::new(), 0);
    while small.now < end_of_month {
        for _ in 0..3 {
            small.step(&planner, "tick");
            for name in running(&small) {
                made.push(name.clone());
                end(&mut small, &name);
            }
        }
        looks += 1;
        small.now += SignedDuration::try_from(small.plan(&planner, "tick").requeue_after.unwrap()).unwrap();
    }
    assert_eq!((made.len(), looks), (744, 744));
    made.dedup();
    assert_eq!(made.len(), 744);
    assert_eq!(small.world.list::<Job>().count(), 3);
    assert!(small.get::<CronJob>("tick").status.as_ref().unwrap().active.is_none());
}

/// Something that happens.
#[derive(Clone, Debug)]
enum Move {
    /// The controller plans, and stops after so many requests.
    Plan(usize),
    /// The Jobs that run end.
    End,
    /// Time passes, in minutes.
    Wait(i64),
}

/// The same plan, interrupted after so many requests.
fn cut(plan: Plan, mut limit: usize) -> Plan {
    let mut short = Plan::nothing();
    for step in plan.steps {
        let Step::Together(mut wishes) = step else { continue };
        wishes.truncate(limit);
        limit -= wishes.len();
        short.together(wishes);
    }
    short
}

proptest! {
    #[test]
    fn forbid_and_replace_never_overlap_and_nothing_is_made_twice(
        replace: bool,
        moves in prop::collection::vec(
            prop_oneof![4 => (0..4_usize).prop_map(Move::Plan), 2 => Just(Move::End), 2 => (1..20_i64).prop_map(Move::Wait)],
            0..80,
        ),
    ) {
        let policy = if replace { "Replace" } else { "Forbid" };
        let mut small = Small::new(&cron_job("*/5 * * * *", &format!("concurrencyPolicy: {policy},"), ""));
        let (planner, mut made) = (CronJobs::default(), Vec::new());
        for step in moves {
            match step {
                Move::Plan(limit) => {
                    let plan = small.plan(&planner, "tick");
                    let lines = small.carry_out(cut(plan, limit));
                    made.extend(lines.lines().filter_map(|line| line.strip_prefix("create job ")).map(str::to_owned));
                }
                Move::End => running(&small).iter().for_each(|name| end(&mut small, name)),
                Move::Wait(minutes) => small.now += SignedDuration::from_mins(minutes),
            }
            prop_assert!(running(&small).len() <= 1);
        }
        let count = made.len();
        made.sort();
        made.dedup();
        prop_assert_eq!(made.len(), count);
    }
}
