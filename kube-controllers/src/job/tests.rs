use expect_test::{Expect, expect};
use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::{Jobs, UncountedPods};
use crate::testing::{Small, ago};

/// A Job `work`; `spec` and `status` are put into it.
pub(super) fn job(spec: &str, status: &str) -> String {
    format!(
        "{{kind: Job, metadata: {{name: work, uid: job-work, generation: 1}}, spec: {{{spec} selector: {{matchLabels: {{app: work}}}}, \
         template: {{metadata: {{labels: {{app: work}}}}, spec: {{restartPolicy: Never, containers: [{{name: main}}]}}}}}}, \
         status: {{{status}}}}}\n---\n"
    )
}

/// Pods of `work`, a word list each: the name, then what is special: `free` (no owner), `stray` (other labels), `counted` (no
/// finalizer), `deleting`, `ready`, a phase, `index=..`, `failures=..`, `code=..`, `ended=seconds`, `restarts=..`.
pub(super) fn pods(list: &str) -> String {
    let words = list.split(',').filter(|pod| !pod.trim().is_empty()).map(|pod| pod.split_whitespace().collect());
    words.map(|words: Vec<&str>| pod(&words)).collect()
}

fn pod(words: &[&str]) -> String {
    let has = |word: &str| words.contains(&word);
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let owners = "ownerReferences: [{apiVersion: batch/v1, kind: Job, name: work, uid: job-work, controller: true}],";
    let note = |key: &str, name: &str| {
        value(key).map_or(String::new(), |value| format!("batch.kubernetes.io/{name}: '{value}',"))
    };
    let phase = ["Pending", "Succeeded", "Failed"].into_iter().find(|phase| has(&phase.to_lowercase()));
    let terminated = value("code").map_or(String::new(), |code| {
        let at = ago(value("ended").unwrap_or("3600").parse().unwrap()).0;
        format!("state: {{terminated: {{exitCode: {code}, finishedAt: '{at}'}}}},")
    });
    format!(
        "{{kind: Pod, metadata: {{name: {name}, {owner} {finalizers} {deleting} creationTimestamp: '{born}', labels: {{app: {app}}}, \
         annotations: {{{index} {failures}}}}}, spec: {{containers: []}}, status: {{phase: {phase}, conditions: [{{type: Ready, \
         status: '{ready}'}}], containerStatuses: [{{name: main, {terminated} ready: true, image: i, imageID: i, restartCount: \
         {restarts}}}]}}}}\n---\n",
        name = words[0],
        owner = if has("free") { "" } else { owners },
        finalizers = if has("counted") || has("free") { "" } else { "finalizers: [batch.kubernetes.io/job-tracking]," },
        deleting = if has("deleting") { "deletionTimestamp: '2030-01-01T11:00:00Z'," } else { "" },
        born = ago(7200).0,
        app = if has("stray") { "other" } else { "work" },
        index = note("index", "job-completion-index"),
        failures = note("failures", "job-index-failure-count"),
        phase = phase.unwrap_or("Running"),
        ready = if has("ready") { "True" } else { "False" },
        restarts = value("restarts").unwrap_or("0"),
    )
}

#[track_caller]
fn check(job: String, list: &str, expected: Expect) {
    expected.assert_eq(&Small::new(&(job + &pods(list))).step(&Jobs, "work"));
}

/// Plans until nothing more happens.
fn run(small: &mut Small) -> String {
    let mut lines = String::new();
    for _ in 0..20 {
        let more = small.step(&Jobs, "work");
        let quiet = more.is_empty() || more.starts_with("look again");
        lines += &more;
        if quiet {
            return lines;
        }
        lines += "-\n";
    }
    panic!("no end: {lines}");
}

#[track_caller]
fn check_run(job: String, list: &str, expected: Expect) {
    expected.assert_eq(&run(&mut Small::new(&(job + &pods(list)))));
}

const STARTED: &str = "startTime: '2030-01-01T11:30:00Z', ";

#[test]
fn pods_are_made_up_to_what_is_missing() {
    check(
        job("completions: 5, parallelism: 2,", ""),
        "",
        expect![[r#"
        create pod default/work-*
          event SuccessfulCreate: Created pod: work-1
        create pod default/work-*
          event SuccessfulCreate: Created pod: work-2
        update job/status default/work active=2 ready=0 startTime=2030-01-01T12:00:00Z terminating=0
    "#]],
    );
    check(
        job("completions: 5, parallelism: 3,", &(STARTED.to_owned() + "succeeded: 3")),
        "a ready",
        expect![[r#"
        create pod default/work-*
          event SuccessfulCreate: Created pod: work-1
        update job/status default/work active=2 ready=1 terminating=0
    "#]],
    );
    check(
        job("completions: 5, parallelism: 1,", STARTED),
        "a ready, b",
        expect![[r#"
            edit pod default/b finalizers.0=-
            delete pod default/b
              event SuccessfulDelete: Deleted pod: b
            update job/status default/work active=1 ready=1 terminating=1
        "#]],
    );
    check(
        job("parallelism: 2,", STARTED),
        "a",
        expect![[r#"
        create pod default/work-*
          event SuccessfulCreate: Created pod: work-1
        update job/status default/work active=2 ready=0 terminating=0
    "#]],
    );
    check(
        job("parallelism: 2,", &(STARTED.to_owned() + "succeeded: 1")),
        "a",
        expect![[r#"
        update job/status default/work active=1 ready=0 terminating=0
    "#]],
    );
    check(
        job("parallelism: 0, completions: 1,", ""),
        "",
        expect![[r#"
        update job/status default/work ready=0 startTime=2030-01-01T12:00:00Z terminating=0
    "#]],
    );
}

#[test]
fn ended_pods_are_counted_in_three_steps() {
    check_run(
        job("completions: 3, parallelism: 2,", STARTED),
        "a succeeded, b failed code=1, c",
        expect![[r#"
        update job/status default/work active=1 ready=0 terminating=0 uncountedTerminatedPods.failed.0=pod-b uncountedTerminatedPods.succeeded.0=pod-a
        edit pod default/a finalizers.0=-
        edit pod default/b finalizers.0=-
        -
        create pod default/work-*
          event SuccessfulCreate: Created pod: work-1
        update job/status default/work active=2 failed=1 succeeded=1 uncountedTerminatedPods.failed.0=- uncountedTerminatedPods.succeeded.0=-
        -
    "#]],
    );
}

#[test]
fn a_job_is_complete_when_enough_have_succeeded() {
    check_run(
        job("completions: 1,", STARTED),
        "a succeeded",
        expect![[r#"
        update job/status default/work SuccessCriteriaMet=True/CompletionsReached ready=0 terminating=0 uncountedTerminatedPods.succeeded.0=pod-a
        edit pod default/a finalizers.0=-
        -
        update job/status default/work Complete=True/CompletionsReached completionTime=2030-01-01T12:00:00Z succeeded=1 uncountedTerminatedPods.succeeded.0=-
        event Completed: Job completed
        -
    "#]],
    );
    check_run(
        job("parallelism: 2,", STARTED),
        "a succeeded, b",
        expect![[r#"
        update job/status default/work active=1 ready=0 terminating=0 uncountedTerminatedPods.succeeded.0=pod-a
        edit pod default/a finalizers.0=-
        -
        update job/status default/work succeeded=1 uncountedTerminatedPods.succeeded.0=-
        -
    "#]],
    );
    check_run(
        job("completions: 0,", ""),
        "",
        expect![[r#"
        update job/status default/work Complete=True/CompletionsReached SuccessCriteriaMet=True/CompletionsReached completionTime=2030-01-01T12:00:00Z ready=0 startTime=2030-01-01T12:00:00Z terminating=0
        event Completed: Job completed
        -
    "#]],
    );
}

#[test]
fn a_job_fails_for_many_reasons() {
    check_run(
        job("completions: 3, parallelism: 2, backoffLimit: 0,", STARTED),
        "a failed code=1, b",
        expect![[r#"
            update job/status default/work FailureTarget=True/BackoffLimitExceeded active=1 ready=0 terminating=0 uncountedTerminatedPods.failed.0=pod-a
            delete pod default/b
              event SuccessfulDelete: Deleted pod: b
            edit pod default/a finalizers.0=-
            -
            update job/status default/work active=- failed=1 terminating=1 uncountedTerminatedPods.failed.0=pod-b
            edit pod default/b finalizers.0=-
            -
            update job/status default/work Failed=True/BackoffLimitExceeded failed=2 terminating=0 uncountedTerminatedPods.failed.0=-
            event BackoffLimitExceeded: Job has reached the specified backoff limit
            -
        "#]],
    );
    check_run(
        job("completions: 3, activeDeadlineSeconds: 60,", STARTED),
        "a",
        expect![[r#"
            update job/status default/work FailureTarget=True/DeadlineExceeded active=1 ready=0 terminating=0
            delete pod default/a
              event SuccessfulDelete: Deleted pod: a
            -
            update job/status default/work active=- terminating=1 uncountedTerminatedPods.failed.0=pod-a
            edit pod default/a finalizers.0=-
            -
            update job/status default/work Failed=True/DeadlineExceeded failed=1 terminating=0 uncountedTerminatedPods.failed.0=-
            event DeadlineExceeded: Job was active longer than specified deadline
            -
        "#]],
    );
    let on_failure = job("completions: 1, backoffLimit: 2,", STARTED).replace("Never", "OnFailure");
    check(
        on_failure,
        "a restarts=2",
        expect![[r#"
            update job/status default/work FailureTarget=True/BackoffLimitExceeded active=1 ready=0 terminating=0
            delete pod default/a
              event SuccessfulDelete: Deleted pod: a
        "#]],
    );
    let policy = "podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]},";
    check(
        job(&format!("completions: 3, {policy}"), STARTED),
        "a failed code=42",
        expect![[r#"
        update job/status default/work FailureTarget=True/PodFailurePolicy ready=0 terminating=0 uncountedTerminatedPods.failed.0=pod-a
        edit pod default/a finalizers.0=-
    "#]],
    );
    let policy = "podFailurePolicy: {rules: [{action: Ignore, onExitCodes: {operator: In, values: [42]}}]},";
    check_run(
        job(&format!("completions: 1, backoffLimit: 0, {policy}"), STARTED),
        "a failed code=42",
        expect![[r#"
        update job/status default/work ready=0 terminating=0
        edit pod default/a finalizers.0=-
        -
        create pod default/work-*
          event SuccessfulCreate: Created pod: work-1
        update job/status default/work active=1
        -
    "#]],
    );
}

#[test]
fn failures_are_answered_slower_and_slower() {
    let spec = "completions: 1, backoffLimit: 6,";
    let status = STARTED.to_owned() + "failed: 1, ready: 0, terminating: 0, uncountedTerminatedPods: {}";
    check(
        job(spec, &status),
        "a failed counted code=1 ended=4",
        expect![[r#"
        look again after 6s
    "#]],
    );
    check(
        job(spec, &status),
        "a failed counted code=1 ended=4, b failed counted code=1 ended=3",
        expect![[r#"
        look again after 17s
    "#]],
    );
    let later = "a failed counted code=1 ended=9, b succeeded counted code=0 ended=5";
    check(
        job("completions: 2,", &(status + ", succeeded: 1")),
        later,
        expect![[r#"
        create pod default/work-*
          event SuccessfulCreate: Created pod: work-1
        update job/status default/work active=1
    "#]],
    );
}

#[test]
fn indexed_jobs_have_one_pod_for_each_index() {
    let spec = "completionMode: Indexed, completions: 4, parallelism: 3,";
    check(
        job(spec, ""),
        "",
        expect![[r#"
        create pod default/work-0-*
          event SuccessfulCreate: Created pod: work-0-1
        create pod default/work-1-*
          event SuccessfulCreate: Created pod: work-1-2
        create pod default/work-2-*
          event SuccessfulCreate: Created pod: work-2-3
        update job/status default/work active=3 ready=0 startTime=2030-01-01T12:00:00Z terminating=0
    "#]],
    );
    check_run(
        job(spec, STARTED),
        "a succeeded index=1, b index=0, c index=0, d index=7, e",
        expect![[r#"
            update job/status default/work active=4 completedIndexes=1 ready=0 succeeded=1 terminating=0
            edit pod default/a finalizers.0=-
            -
            edit pod default/d finalizers.0=-
            edit pod default/e finalizers.0=-
            edit pod default/b finalizers.0=-
            delete pod default/d
              event SuccessfulDelete: Deleted pod: d
            delete pod default/e
              event SuccessfulDelete: Deleted pod: e
            delete pod default/b
              event SuccessfulDelete: Deleted pod: b
            update job/status default/work active=1 terminating=3
            -
            create pod default/work-2-*
              event SuccessfulCreate: Created pod: work-2-1
            create pod default/work-3-*
              event SuccessfulCreate: Created pod: work-3-2
            update job/status default/work active=3 terminating=0
            -
        "#]],
    );
    let mut small = Small::new(&job(spec, ""));
    small.step(&Jobs, "work");
    let pod = small.get::<Pod>("work-1-2");
    let spec = pod.spec.as_ref().unwrap();
    expect![[r#"
        Some("work-1")
        Some([EnvVar { name: "JOB_COMPLETION_INDEX", value: None, value_from: Some(EnvVarSource { config_map_key_ref: None, field_ref: Some(ObjectFieldSelector { api_version: None, field_path: "metadata.labels['batch.kubernetes.io/job-completion-index']" }), file_key_ref: None, resource_field_ref: None, secret_key_ref: None }) }])"#]].assert_eq(&format!("{:?}\n{:?}", spec.hostname, spec.containers[0].env));
    expect![[r#"
        Some({"app": "work", "batch.kubernetes.io/job-completion-index": "1"})
        Some({"batch.kubernetes.io/job-completion-index": "1"})"#]]
    .assert_eq(&format!("{:?}\n{:?}", pod.metadata.labels, pod.metadata.annotations));
}

#[test]
fn each_index_may_have_its_own_limit() {
    let spec = "completionMode: Indexed, completions: 2, parallelism: 2, backoffLimitPerIndex: 1,";
    check_run(
        job(spec, STARTED),
        "a failed index=0 failures=0 code=1, b index=1",
        expect![[r#"
        create pod default/work-0-*
          event SuccessfulCreate: Created pod: work-0-1
        update job/status default/work active=2 failedIndexes= ready=0 terminating=0
        -
        update job/status default/work uncountedTerminatedPods.failed.0=pod-a
        edit pod default/a finalizers.0=-
        -
        update job/status default/work failed=1 uncountedTerminatedPods.failed.0=-
        -
    "#]],
    );
    check_run(
        job(spec, STARTED),
        "a failed index=0 failures=1 code=1, b index=1",
        expect![[r#"
        update job/status default/work active=1 failedIndexes=0 ready=0 terminating=0 uncountedTerminatedPods.failed.0=pod-a
        edit pod default/a finalizers.0=-
        -
        update job/status default/work failed=1 uncountedTerminatedPods.failed.0=-
        -
    "#]],
    );
    check_run(
        job(spec, STARTED),
        "a failed index=0 failures=1 code=1, b succeeded index=1",
        expect![[r#"
        update job/status default/work FailureTarget=True/FailedIndexes completedIndexes=1 failedIndexes=0 ready=0 succeeded=1 terminating=0 uncountedTerminatedPods.failed.0=pod-a
        edit pod default/a finalizers.0=-
        edit pod default/b finalizers.0=-
        -
        update job/status default/work Failed=True/FailedIndexes failed=1 uncountedTerminatedPods.failed.0=-
        event FailedIndexes: Job has failed indexes
        -
    "#]],
    );
    check(
        job(&format!("{spec} maxFailedIndexes: 0,"), STARTED),
        "a failed index=0 failures=1 code=1, b index=1",
        expect![[r#"
            update job/status default/work FailureTarget=True/MaxFailedIndexesExceeded active=1 failedIndexes=0 ready=0 terminating=0 uncountedTerminatedPods.failed.0=pod-a
            delete pod default/b
              event SuccessfulDelete: Deleted pod: b
            edit pod default/a finalizers.0=-
        "#]],
    );
    let policy = "podFailurePolicy: {rules: [{action: FailIndex, onExitCodes: {operator: In, values: [42]}}]},";
    check(
        job(&format!("{spec} {policy}"), STARTED),
        "a failed index=0 failures=0 code=42, b index=1",
        expect![[r#"
        update job/status default/work active=1 failedIndexes=0 ready=0 terminating=0 uncountedTerminatedPods.failed.0=pod-a
        edit pod default/a finalizers.0=-
    "#]],
    );
}

#[test]
fn enough_indexes_are_enough() {
    let spec =
        "completionMode: Indexed, completions: 3, parallelism: 3, successPolicy: {rules: [{succeededIndexes: '1'}]},";
    check_run(
        job(spec, STARTED),
        "a index=0, b succeeded index=1, c index=2",
        expect![[r#"
        update job/status default/work SuccessCriteriaMet=True/SuccessPolicy active=2 completedIndexes=1 ready=0 succeeded=1 terminating=0
        delete pod default/a
          event SuccessfulDelete: Deleted pod: a
        delete pod default/c
          event SuccessfulDelete: Deleted pod: c
        edit pod default/a finalizers.0=-
        edit pod default/b finalizers.0=-
        edit pod default/c finalizers.0=-
        -
        update job/status default/work Complete=True/SuccessPolicy active=- completionTime=2030-01-01T12:00:00Z
        event Completed: Job completed
        -
    "#]],
    );
}

#[test]
fn pods_on_their_way_out_count_or_are_waited_for() {
    check_run(
        job("completions: 1,", STARTED),
        "a deleting",
        expect![[r#"
        update job/status default/work ready=0 terminating=1 uncountedTerminatedPods.failed.0=pod-a
        edit pod default/a finalizers.0=-
        -
        create pod default/work-*
          event SuccessfulCreate: Created pod: work-1
        update job/status default/work active=1 failed=1 terminating=0 uncountedTerminatedPods.failed.0=-
        -
    "#]],
    );
    let spec = "completions: 2, parallelism: 2, podReplacementPolicy: Failed,";
    check_run(
        job(spec, STARTED),
        "a deleting",
        expect![[r#"
        create pod default/work-*
          event SuccessfulCreate: Created pod: work-1
        update job/status default/work active=1 ready=0 terminating=1
        -
    "#]],
    );
}

#[test]
fn a_pod_that_succeeds_before_it_is_sent_away_has_not_failed() {
    let spec = "completionMode: Indexed, completions: 3, parallelism: 2, backoffLimit: 0,";
    let mut small = Small::new(&(job(spec, STARTED) + &pods("a index=0, b failed index=1")));
    // Only the first step of the plan: then the controller is stopped.
    let mut cut_off = small.plan(&Jobs, "work");
    cut_off.steps.truncate(1);
    small.carry_out(cut_off);
    small.edit::<Pod>("a", |pod| pod.status.as_mut().unwrap().phase = Some("Succeeded".to_owned()));
    expect![[r#"
        update job/status default/work active=- completedIndexes=0 succeeded=1
        edit pod default/a finalizers.0=-
        edit pod default/b finalizers.0=-
        -
        update job/status default/work Failed=True/BackoffLimitExceeded failed=1 uncountedTerminatedPods.failed.0=-
        event BackoffLimitExceeded: Job has reached the specified backoff limit
        -
    "#]]
    .assert_eq(&run(&mut small));
}

#[test]
fn suspended_jobs_have_no_pods_and_start_anew() {
    let mut small = Small::new(&(job("completions: 2, suspend: true,", STARTED) + &pods("a ready")));
    expect![[r#"
        edit pod default/a finalizers.0=-
        delete pod default/a
          event SuccessfulDelete: Deleted pod: a
        update job/status default/work Suspended=True/JobSuspended ready=0 startTime=- terminating=1
        event Suspended: Job suspended
        -
        update job/status default/work terminating=0
        -
    "#]]
    .assert_eq(&run(&mut small));
    small.now += SignedDuration::from_secs(60);
    small.edit::<Job>("work", |job| job.spec.as_mut().unwrap().suspend = Some(false));
    expect![[r#"
        create pod default/work-*
          event SuccessfulCreate: Created pod: work-1
        update job/status default/work Suspended=False/JobResumed active=1 startTime=2030-01-01T12:01:00Z
        event Resumed: Job resumed
        -
    "#]]
    .assert_eq(&run(&mut small));
}

#[test]
fn a_suspended_job_has_not_started() {
    // It was active for longer than it may have been, but the clock is set anew when it is resumed.
    let suspended = job("completions: 1, activeDeadlineSeconds: 60, suspend: true,", STARTED);
    let mut small = Small::new(&suspended);
    expect![[r#"
        update job/status default/work Suspended=True/JobSuspended ready=0 startTime=- terminating=0
        event Suspended: Job suspended
        -
    "#]]
    .assert_eq(&run(&mut small));
    small.edit::<Job>("work", |job| job.spec.as_mut().unwrap().suspend = Some(false));
    expect![[r#"
        create pod default/work-*
          event SuccessfulCreate: Created pod: work-1
        update job/status default/work Suspended=False/JobResumed active=1 startTime=2030-01-01T12:00:00Z
        event Resumed: Job resumed
        look again after 60s
        -
        look again after 60s
    "#]]
    .assert_eq(&run(&mut small));
    // What is done when the last pods are sent away is complete, not suspended.
    check_run(
        job("parallelism: 2, suspend: true,", &(STARTED.to_owned() + "succeeded: 1")),
        "a",
        expect![[r#"
        edit pod default/a finalizers.0=-
        delete pod default/a
          event SuccessfulDelete: Deleted pod: a
        update job/status default/work ready=0 terminating=1
        -
        update job/status default/work Complete=True/CompletionsReached SuccessCriteriaMet=True/CompletionsReached completionTime=2030-01-01T12:00:00Z terminating=0
        event Completed: Job completed
        -
    "#]],
    );
}

#[test]
fn pods_are_adopted_with_their_finalizer_and_released_without() {
    check(
        job("completions: 2,", STARTED),
        "a free, b stray",
        expect![[r#"
        edit pod default/b finalizers.0=- ownerReferences.0.apiVersion=- ownerReferences.0.controller=- ownerReferences.0.kind=- ownerReferences.0.name=- ownerReferences.0.uid=-
        edit pod default/a finalizers.0=batch.kubernetes.io/job-tracking ownerReferences.0.apiVersion=batch/v1 ownerReferences.0.blockOwnerDeletion=true ownerReferences.0.controller=true ownerReferences.0.kind=Job ownerReferences.0.name=work ownerReferences.0.uid=job-work
    "#]],
    );
}

#[test]
fn what_others_manage_or_nobody_knows_is_left_alone() {
    check(job("completions: 2, managedBy: example.com/other,", ""), "", expect![[""]]);
    check(
        job("completions: 2, completionMode: New,", ""),
        "",
        expect![[r#"
        event UnknownCompletionMode: Skipped Job sync because completion mode is unknown
    "#]],
    );
}

#[test]
fn counting_goes_on_when_nothing_can_be_made() {
    let mut small = Small::new(&(job("completions: 3, parallelism: 2,", STARTED) + &pods("a succeeded")));
    small.refuse = Some(("pods", "exceeded quota"));
    small.step(&Jobs, "work");
    expect![[r#"
        create pod default/work-*
          event FailedCreate: Error creating: pods is forbidden: exceeded quota
        update job/status default/work succeeded=1 uncountedTerminatedPods.succeeded.0=-
    "#]]
    .assert_eq(&small.step(&Jobs, "work"));
    expect![[r#"
        create pod default/work-*
          event FailedCreate: Error creating: pods is forbidden: exceeded quota
    "#]]
    .assert_eq(&small.step(&Jobs, "work"));
}

#[test]
fn pods_without_a_job_lose_the_finalizer() {
    let release = |yaml: String| Small::new(&yaml).step(&UncountedPods, "a");
    expect![[r#"
        edit pod default/a finalizers.0=-
    "#]]
    .assert_eq(&release(pods("a")));
    expect![[r#"
        edit pod default/a finalizers.0=-
    "#]]
    .assert_eq(&release(
        pods("a free")
            .replace("metadata: {name: a,", "metadata: {name: a, finalizers: [batch.kubernetes.io/job-tracking],"),
    ));
    let orphan = pods("a free").replace("name: a,", "name: a, finalizers: [batch.kubernetes.io/job-tracking],");
    assert_eq!(release(job("", "") + &orphan), "");
    assert_ne!(release(job("", "conditions: [{type: Complete, status: 'True'}]") + &orphan), "");
    assert_eq!(release(job("", "") + &pods("a")), "");
    let over = "conditions: [{type: Complete, status: 'True'}]";
    assert_ne!(release(job("", over) + &pods("a stray deleting")), "");
    assert_eq!(release(job("managedBy: example.com/other,", over) + &pods("a")), "");
    assert_eq!(release(pods("a").replace("batch/v1", "batch.volcano.sh/v1alpha1")), "");
    assert_eq!(release(pods("a counted")), "");
}
