//! Rows of test/e2e/apps/cronjob.go.

use coracle::k8s_openapi::api::batch::v1::{CronJob, Job};

use super::*;

fn cron_job(policy: &str, more: &str) -> String {
    format!(
        "apiVersion: batch/v1
kind: CronJob
metadata: {{name: tick}}
spec:
  schedule: '*/1 * * * *'
  concurrencyPolicy: {policy}
  {more}
  jobTemplate:
    spec:
      template:
        spec: {{restartPolicy: OnFailure, containers: [{{name: c, image: 'web:v1'}}]}}
"
    )
}

fn jobs(lab: &Lab) -> String {
    line(lab.all::<Job>().list().iter().map(|job| name(&**job)))
}

/// How many jobs there are after the first has been there for three more minutes, and whether it still is.
async fn check(policy: &str, count: usize, first_stays: bool) {
    let lab = Lab::new(1).await;
    lab.apply(&cron_job(policy, "")).await;
    lab.becomes(|lab| lab.all::<Job>().list().len().to_string(), "1").await;
    let first = jobs(&lab);
    tokio::time::sleep(Duration::from_secs(185)).await;
    let now = lab.all::<Job>().list();
    assert_eq!(now.len(), count, "{policy}: {}", jobs(&lab));
    assert_eq!(jobs(&lab).contains(&first), first_stays, "{policy}");
    let active = lab.all::<CronJob>().get("tick").unwrap().status.clone().unwrap().active.unwrap_or_default();
    assert_eq!(active.len(), count, "{policy}");
    lab.becomes(Lab::images, &format!("v1 ready x{count}")).await;
}

#[tokio::test(start_paused = true)]
async fn jobs_that_still_run_stay_alone_are_joined_or_replaced() {
    check("Allow", 4, true).await;
    check("Forbid", 1, true).await;
    check("Replace", 1, false).await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_cron_job_does_nothing() {
    let lab = Lab::new(1).await;
    lab.apply(&cron_job("Allow", "suspend: true")).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(jobs(&lab), "");
}
