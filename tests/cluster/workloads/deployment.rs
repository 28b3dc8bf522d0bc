//! Rows of test/e2e/apps/deployment.go.

use coracle::k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::*;

fn deployment(replicas: u32, image: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  {more}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: c, image: '{image}'}}]}}
"
    )
}

/// Wished replicas of the sets, the oldest first.
fn sets(lab: &Lab) -> String {
    let mut sets = lab.all::<ReplicaSet>().list();
    let revision = |set: &ReplicaSet| -> u32 {
        set.metadata.annotations.as_ref().unwrap()["deployment.kubernetes.io/revision"].parse().unwrap()
    };
    sets.sort_by_key(|set| revision(set));
    line(sets.iter().map(|set| set.spec.as_ref().unwrap().replicas.unwrap().to_string()))
}

#[tokio::test(start_paused = true)]
async fn a_stuck_rollout_is_scaled_in_proportion() {
    let lab = Lab::new(3).await;
    let more = "strategy: {rollingUpdate: {maxSurge: 3, maxUnavailable: 2}}";
    lab.apply(&deployment(10, "web:v1", more)).await;
    lab.becomes(Lab::images, "v1 ready x10").await;
    lab.apply(&deployment(10, "nowhere", more)).await;
    lab.becomes(sets, "8, 5").await;
    lab.becomes(Lab::images, "nowhere Pending x5, v1 ready x8").await;
    lab.apply(&deployment(30, "nowhere", more)).await;
    lab.becomes(sets, "20, 13").await;
    lab.stays(Lab::images, "nowhere Pending x13, v1 ready x20").await;
}

#[tokio::test(start_paused = true)]
async fn a_rollover_leaves_the_broken_middle_behind() {
    let lab = Lab::new(3).await;
    let more = "minReadySeconds: 5\n  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}";
    lab.apply(&deployment(3, "web:v1", more)).await;
    lab.becomes(|lab| lab.at::<Deployment>("web", "status.availableReplicas"), "3").await;
    lab.apply(&deployment(3, "nowhere", more)).await;
    lab.becomes(sets, "3, 1").await;
    lab.apply(&deployment(3, "web:v3", more)).await;
    lab.becomes(sets, "0, 0, 3").await;
    lab.becomes(Lab::images, "v3 ready x3").await;
    lab.becomes(|lab| lab.at::<Deployment>("web", "status.availableReplicas status.updatedReplicas"), "3 3").await;
}

#[tokio::test(start_paused = true)]
async fn without_a_history_old_sets_go() {
    let lab = Lab::new(2).await;
    lab.apply(&deployment(1, "web:v1", "revisionHistoryLimit: 0")).await;
    lab.becomes(Lab::images, "v1 ready x1").await;
    lab.apply(&deployment(1, "web:v2", "revisionHistoryLimit: 0")).await;
    lab.becomes(Lab::images, "v2 ready x1").await;
    lab.becomes(sets, "1").await;
}

#[tokio::test(start_paused = true)]
async fn recreate_never_runs_two_revisions_together() {
    let lab = Lab::new(2).await;
    let more = "strategy: {type: Recreate}";
    lab.apply(&deployment(3, "web:v1", more)).await;
    lab.becomes(Lab::images, "v1 ready x3").await;
    let (_, mut changes) = lab.all::<Pod>().watch();
    lab.apply(&deployment(3, "web:v2", more)).await;
    let mut here: std::collections::BTreeMap<String, String> =
        lab.all::<Pod>().list().iter().map(|pod| (name(&**pod), image(pod))).collect();
    while here.values().filter(|image| *image == "v2").count() < 3 {
        for change in changes.next().await.unwrap() {
            match change {
                coracle::Change::Deleted(pod) => drop(here.remove(&name(&*pod))),
                coracle::Change::Added(pod) | coracle::Change::Modified(pod) => {
                    here.insert(name(&*pod), image(&pod));
                }
            }
            let kinds: std::collections::BTreeSet<_> = here.values().collect();
            assert!(kinds.len() < 2, "{here:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_get_on_says_so_and_recovers() {
    let lab = Lab::new(2).await;
    lab.apply(&deployment(2, "nowhere", "progressDeadlineSeconds: 30")).await;
    let progress = |lab: &Lab| {
        lab.at::<Deployment>("web", "status.conditions.Progressing.status status.conditions.Progressing.reason")
    };
    lab.becomes(progress, "False ProgressDeadlineExceeded").await;
    lab.apply(&deployment(2, "web:v1", "progressDeadlineSeconds: 30")).await;
    lab.becomes(progress, "True NewReplicaSetAvailable").await;
    assert_eq!(lab.at::<Deployment>("web", "status.conditions.Available.status"), "True");
}

/// While paused nothing is rolled out, but the size is; resumed, all changes roll out as one.
#[tokio::test(start_paused = true)]
async fn pausing_gathers_changes() {
    let lab = Lab::new(2).await;
    lab.apply(&deployment(2, "web:v1", "")).await;
    lab.becomes(Lab::images, "v1 ready x2").await;
    lab.apply(&deployment(2, "web:v2", "paused: true")).await;
    lab.apply(&deployment(3, "web:v3", "paused: true")).await;
    lab.becomes(Lab::images, "v1 ready x3").await;
    lab.stays(sets, "3").await;
    lab.apply(&deployment(3, "web:v3", "paused: false")).await;
    lab.becomes(Lab::images, "v3 ready x3").await;
    lab.becomes(sets, "0, 3").await;
}

/// The name that the template's hash gives may be taken by something else; the next one is found.
#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_no_obstacle() {
    let lab = Lab::new(1).await;
    lab.apply(&deployment(1, "web:v1", "")).await;
    lab.becomes(Lab::images, "v1 ready x1").await;
    let taken = lab.all::<ReplicaSet>().list()[0].clone();
    lab.delete::<Deployment>("web").await;
    lab.becomes(|lab| lab.all::<ReplicaSet>().list().len().to_string(), "0").await;
    let mut squatter = (*taken).clone();
    squatter.metadata = coracle::k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        name: taken.metadata.name.clone(),
        labels: Some([("app".to_owned(), "other".to_owned())].into()),
        ..Default::default()
    };
    let spec = squatter.spec.as_mut().unwrap();
    spec.replicas = Some(0);
    let labels: std::collections::BTreeMap<_, _> = [("app".to_owned(), "other".to_owned())].into();
    spec.selector.match_labels = Some(labels.clone());
    spec.template.as_mut().unwrap().metadata.as_mut().unwrap().labels = Some(labels);
    lab.all::<ReplicaSet>().create(squatter).await.unwrap();
    lab.apply(&deployment(1, "web:v1", "")).await;
    lab.becomes(Lab::images, "v1 ready x1").await;
    assert_eq!(lab.at::<Deployment>("web", "status.collisionCount"), "1");
}
