//! Rows of test/e2e/apps/replica_set.go and rc.go.

use coracle::k8s_openapi::api::apps::v1::ReplicaSet;
use coracle::k8s_openapi::api::core::v1::{ReplicationController, ResourceQuota};

use super::*;

fn orphan(labels: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: orphan, labels: {{{labels}}}}}
spec: {{containers: [{{name: c, image: 'web:v1'}}]}}
"
    )
}

fn set(kind: &str, replicas: u32) -> String {
    let (version, selector) = match kind {
        "ReplicaSet" => ("apps/v1", "{matchLabels: {app: web}}"),
        _ => ("v1", "{app: web}"),
    };
    format!(
        "apiVersion: {version}
kind: {kind}
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {selector}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: c, image: 'web:v1'}}]}}
"
    )
}

/// Who owns the pod that nobody made for them.
fn owner(lab: &Lab) -> String {
    let pod = lab.all::<Pod>().get("orphan").unwrap();
    let owners = pod.metadata.owner_references.iter().flatten();
    line(owners.map(|owner| format!("{} {} {:?}", owner.kind, owner.name, owner.controller)))
}

#[tokio::test(start_paused = true)]
async fn matching_pods_are_adopted_and_others_released() {
    for kind in ["ReplicaSet", "ReplicationController"] {
        let lab = Lab::new(1).await;
        lab.apply(&orphan("app: web")).await;
        lab.becomes(Lab::pods, "orphan v1 ready").await;
        lab.apply(&set(kind, 1)).await;
        lab.becomes(owner, &format!("{kind} web Some(true)")).await;
        lab.stays(Lab::pods, "orphan v1 ready").await;
        let stray =
            |pod: &mut Pod| drop(pod.metadata.labels.as_mut().unwrap().insert("app".to_owned(), "x".to_owned()));
        lab.all::<Pod>().edit("orphan", stray).await.unwrap();
        lab.becomes(owner, "").await;
        lab.becomes(Lab::images, "v1 ready x2").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_told_as_a_failure_until_it_no_longer_is() {
    for kind in ["ReplicaSet", "ReplicationController"] {
        let lab = Lab::new(1).await;
        let condition = |lab: &Lab| {
            let path = "status.conditions.ReplicaFailure.status status.conditions.ReplicaFailure.reason";
            match kind {
                "ReplicaSet" => lab.at::<ReplicaSet>("web", path),
                _ => lab.at::<ReplicationController>("web", path),
            }
        };
        lab.apply("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: few}\nspec: {hard: {pods: '2'}}\n").await;
        lab.becomes(|lab| lab.at::<ResourceQuota>("few", "status.hard.pods"), "2").await;
        lab.apply(&set(kind, 3)).await;
        lab.becomes(condition, "True FailedCreate").await;
        assert_eq!(lab.images(), "v1 ready x2");
        lab.apply(&set(kind, 2)).await;
        lab.becomes(condition, "null null").await;
    }
}
