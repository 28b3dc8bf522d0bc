//! Rows of test/e2e/apps/job.go.

use coracle::k8s_openapi::api::batch::v1::Job;

use super::*;

fn job(spec: &str, image: &str, restart: &str) -> String {
    format!(
        "apiVersion: batch/v1
kind: Job
metadata: {{name: work}}
spec:
  {spec}
  template:
    spec: {{restartPolicy: {restart}, containers: [{{name: c, image: '{image}'}}]}}
"
    )
}

fn counts(lab: &Lab) -> String {
    let conditions = ["SuccessCriteriaMet", "FailureTarget", "Complete", "Failed"];
    let job = lab.all::<Job>().get("work").unwrap();
    let status = job.status.clone().unwrap_or_default();
    let said = conditions.iter().filter_map(|kind| {
        let found = status.conditions.iter().flatten().find(|it| it.type_ == *kind && it.status == "True")?;
        Some(format!("; {kind} {}", found.reason.clone().unwrap_or_default()))
    });
    format!(
        "{} active, {} ok, {} failed, indexes {} ok {} failed{}",
        status.active.unwrap_or(0),
        status.succeeded.unwrap_or(0),
        status.failed.unwrap_or(0),
        status.completed_indexes.unwrap_or_default(),
        status.failed_indexes.unwrap_or_default(),
        said.collect::<String>()
    )
}

async fn check(spec: &str, image: &str, expected: &str) {
    let lab = Lab::new(2).await;
    lab.apply(&job(&spec.replace("; ", "\n  "), image, "Never")).await;
    lab.becomes(counts, expected).await;
    lab.stays(counts, expected).await;
    let held = lab.all::<Pod>().list().into_iter().filter(|pod| pod.metadata.finalizers.iter().flatten().count() > 0);
    assert_eq!(held.count(), 0, "pods keep no finalizer");
}

#[tokio::test(start_paused = true)]
async fn jobs_end_as_their_policies_say() {
    let done = "SuccessCriteriaMet CompletionsReached; Complete CompletionsReached";
    check(
        "parallelism: 2; completions: 4",
        "exit:0-5",
        &format!("0 active, 4 ok, 0 failed, indexes  ok  failed; {done}"),
    )
    .await;
    check(
        "parallelism: 2; completions: 4; completionMode: Indexed",
        "exit:0-5",
        &format!("0 active, 4 ok, 0 failed, indexes 0-3 ok  failed; {done}"),
    )
    .await;
    check("backoffLimit: 2", "exit:1", "0 active, 0 ok, 3 failed, indexes  ok  failed; FailureTarget BackoffLimitExceeded; Failed BackoffLimitExceeded").await;
    let indexed = "parallelism: 2; completions: 4; completionMode: Indexed; backoffLimitPerIndex: 1";
    check(
        indexed,
        "odd",
        "0 active, 2 ok, 4 failed, indexes 0,2 ok 1,3 failed; FailureTarget FailedIndexes; Failed FailedIndexes",
    )
    .await;
    check(
        &format!("{indexed}; podFailurePolicy: {{rules: [{{action: FailIndex, onExitCodes: {{operator: In, values: [1]}}}}]}}"),
        "odd",
        "0 active, 2 ok, 2 failed, indexes 0,2 ok 1,3 failed; FailureTarget FailedIndexes; Failed FailedIndexes",
    )
    .await;
    check(
        "backoffLimit: 6; podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}",
        "exit:42",
        "0 active, 0 ok, 1 failed, indexes  ok  failed; FailureTarget PodFailurePolicy; Failed PodFailurePolicy",
    )
    .await;
    check(
        "parallelism: 1; completions: 5; completionMode: Indexed; backoffLimitPerIndex: 0; maxFailedIndexes: 1",
        "exit:1",
        "0 active, 0 ok, 2 failed, indexes  ok 0,1 failed; FailureTarget MaxFailedIndexesExceeded; Failed MaxFailedIndexesExceeded",
    )
    .await;
    check(
        "parallelism: 1; completions: 5; completionMode: Indexed; successPolicy: {rules: [{succeededIndexes: '0'}]}",
        "odd",
        "0 active, 1 ok, 0 failed, indexes 0 ok  failed; SuccessCriteriaMet SuccessPolicy; Complete SuccessPolicy",
    )
    .await;
    check(
        "parallelism: 3; completions: 5; completionMode: Indexed; successPolicy: {rules: [{succeededCount: 2}]}",
        "exit:0-5",
        "0 active, 3 ok, 0 failed, indexes 0-2 ok  failed; SuccessCriteriaMet SuccessPolicy; Complete SuccessPolicy",
    )
    .await;
    check(
        "activeDeadlineSeconds: 10",
        "web:v1",
        "0 active, 0 ok, 1 failed, indexes  ok  failed; FailureTarget DeadlineExceeded; Failed DeadlineExceeded",
    )
    .await;
}

/// A pod that is evicted counts as failed, unless the policy says that disruptions do not count.
#[tokio::test(start_paused = true)]
async fn disruptions_do_not_count_if_the_policy_says_so() {
    let lab = Lab::new(2).await;
    let policy =
        "backoffLimit: 0\n  podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}";
    lab.apply(&job(policy, "exit:0-100", "Never")).await;
    lab.becomes(Lab::images, "exit:0-100 ready x1").await;
    let pod = lab.all::<Pod>().list()[0].clone();
    lab.api.execute(Request::evict(&pod, Default::default())).await.unwrap();
    let done = "SuccessCriteriaMet CompletionsReached; Complete CompletionsReached";
    lab.becomes(counts, &format!("0 active, 1 ok, 0 failed, indexes  ok  failed; {done}")).await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_job_has_no_pods_and_starts_anew() {
    let lab = Lab::new(2).await;
    let spec = |suspend| format!("parallelism: 2\n  completions: 2\n  suspend: {suspend}");
    lab.apply(&job(&spec(true), "exit:0-30", "Never")).await;
    lab.stays(Lab::images, "").await;
    let suspended = |lab: &Lab| lab.at::<Job>("work", "status.conditions.Suspended.status");
    assert_eq!(suspended(&lab), "True");
    lab.apply(&job(&spec(false), "exit:0-30", "Never")).await;
    lab.becomes(Lab::images, "exit:0-30 ready x2").await;
    lab.apply(&job(&spec(true), "exit:0-30", "Never")).await;
    lab.becomes(Lab::images, "").await;
    lab.becomes(suspended, "True").await;
    lab.apply(&job(&spec(false), "exit:0-30", "Never")).await;
    lab.becomes(|lab| lab.at::<Job>("work", "status.succeeded status.conditions.Complete.status"), "2 True").await;
}

#[tokio::test(start_paused = true)]
async fn pods_are_adopted_and_released_and_gone_with_their_job() {
    let lab = Lab::new(2).await;
    lab.apply(&job("parallelism: 2", "web:v1", "Never")).await;
    lab.becomes(Lab::images, "v1 ready x2").await;
    let pod = name(&*lab.all::<Pod>().list()[0]);
    let owner = |lab: &Lab| {
        let pod = lab.all::<Pod>().get(&pod).unwrap();
        line(pod.metadata.owner_references.iter().flatten().map(|owner| owner.name.clone()))
    };
    lab.all::<Pod>().edit(&pod, |pod| pod.metadata.owner_references = None).await.unwrap();
    lab.becomes(owner, "work").await;
    lab.all::<Pod>().edit(&pod, |pod| pod.metadata.labels = None).await.unwrap();
    lab.becomes(owner, "").await;
    lab.becomes(Lab::images, "v1 ready x3").await;
    let policy = coracle::k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions {
        propagation_policy: Some("Background".to_owned()),
        ..Default::default()
    };
    lab.all::<Job>().delete_with("work", policy).await.unwrap();
    lab.becomes(Lab::images, "v1 ready x1").await;
}

#[tokio::test(start_paused = true)]
async fn failures_that_are_restarted_in_place_count_against_the_limit() {
    let lab = Lab::new(1).await;
    lab.apply(&job("backoffLimit: 3", "exit:1-1", "OnFailure")).await;
    lab.becomes(|lab| lab.at::<Job>("work", "status.failed status.conditions.Failed.reason"), "1 BackoffLimitExceeded")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_finished_job_goes_when_its_time_is_over() {
    let lab = Lab::new(1).await;
    lab.apply(&job("ttlSecondsAfterFinished: 100", "exit:0-5", "Never")).await;
    lab.becomes(|lab| lab.at::<Job>("work", "status.succeeded"), "1").await;
    lab.stays(|lab| lab.at::<Job>("work", "status.succeeded"), "1").await;
    lab.becomes(|lab| lab.all::<Job>().get("work").is_err().to_string(), "true").await;
    lab.becomes(Lab::images, "").await;
}

/// An Indexed job grows and shrinks with both numbers together; what is beyond is not done, and does not count.
#[tokio::test(start_paused = true)]
async fn an_indexed_job_is_elastic() {
    let lab = Lab::new(2).await;
    let spec = |size| format!("parallelism: {size}\n  completions: {size}\n  completionMode: Indexed");
    lab.apply(&job(&spec(2), "exit:0-1000", "Never")).await;
    lab.becomes(Lab::images, "exit:0-1000 ready x2").await;
    lab.apply(&job(&spec(5), "exit:0-1000", "Never")).await;
    lab.becomes(Lab::images, "exit:0-1000 ready x5").await;
    lab.apply(&job(&spec(3), "exit:0-1000", "Never")).await;
    lab.becomes(|lab| lab.at::<Job>("work", "status.active status.failed status.terminating"), "3 null 0").await;
    tokio::time::sleep(Duration::from_secs(1_000)).await;
    let done = "SuccessCriteriaMet CompletionsReached; Complete CompletionsReached";
    lab.becomes(counts, &format!("0 active, 3 ok, 0 failed, indexes 0-2 ok  failed; {done}")).await;
}
