//! Rows of test/e2e/apps/statefulset.go.

use coracle::k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};

use super::*;

fn set(replicas: u32, tag: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: web}}
spec:
  replicas: {replicas}
  serviceName: web
  selector: {{matchLabels: {{app: web}}}}
  {more}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      GATES
      containers: [{{name: c, image: 'web:{tag}'}}]
"
    )
    .replace("      GATES\n", "")
}

fn gated(yaml: &str) -> String {
    yaml.replace("      containers", "      readinessGates: [{conditionType: example.dev/open}]\n      containers")
}

#[tokio::test(start_paused = true)]
async fn scaling_is_in_order_and_halts_at_an_unready_pod() {
    let lab = Lab::new(3).await;
    lab.apply(&gated(&set(1, "v1", ""))).await;
    lab.becomes(Lab::pods, "web-0 v1 Running").await;
    lab.apply(&gated(&set(3, "v1", ""))).await;
    lab.stays(Lab::pods, "web-0 v1 Running").await;
    lab.open_gate("web-0", true).await;
    lab.becomes(Lab::pods, "web-0 v1 ready, web-1 v1 Running").await;
    lab.stays(Lab::pods, "web-0 v1 ready, web-1 v1 Running").await;
    lab.open_gate("web-1", true).await;
    lab.becomes(Lab::pods, "web-0 v1 ready, web-1 v1 ready, web-2 v1 Running").await;
    for pod in ["web-0", "web-1"] {
        lab.open_gate(pod, false).await;
    }
    lab.apply(&gated(&set(0, "v1", ""))).await;
    lab.stays(Lab::pods, "web-0 v1 Running, web-1 v1 Running, web-2 v1 Running").await;
    for pod in ["web-1", "web-2"] {
        lab.open_gate(pod, true).await;
    }
    lab.becomes(Lab::pods, "").await;
    assert_eq!(lab.at::<StatefulSet>("web", "status.replicas status.readyReplicas"), "0 null");
}

#[tokio::test(start_paused = true)]
async fn in_parallel_nobody_waits() {
    let lab = Lab::new(3).await;
    let parallel = |replicas| gated(&set(replicas, "v1", "podManagementPolicy: Parallel"));
    lab.apply(&parallel(3)).await;
    lab.becomes(Lab::pods, "web-0 v1 Running, web-1 v1 Running, web-2 v1 Running").await;
    lab.apply(&parallel(1)).await;
    lab.becomes(Lab::pods, "web-0 v1 Running").await;
}

#[tokio::test(start_paused = true)]
async fn a_rollout_and_its_rollback_reuse_the_revision() {
    let lab = Lab::new(3).await;
    let revisions = |lab: &Lab| lab.at::<StatefulSet>("web", "status.currentRevision status.updateRevision");
    lab.apply(&set(3, "v1", "")).await;
    lab.becomes(Lab::pods, "web-0 v1 ready, web-1 v1 ready, web-2 v1 ready").await;
    let first = revisions(&lab);
    lab.apply(&set(3, "v2", "")).await;
    lab.becomes(Lab::pods, "web-0 v2 ready, web-1 v2 ready, web-2 v2 ready").await;
    lab.becomes(|lab| lab.at::<StatefulSet>("web", "status.updatedReplicas status.currentReplicas"), "3 3").await;
    assert_ne!(revisions(&lab), first);
    lab.apply(&set(3, "v1", "")).await;
    lab.becomes(Lab::pods, "web-0 v1 ready, web-1 v1 ready, web-2 v1 ready").await;
    lab.becomes(revisions, &first).await;
    let kept = lab.all::<ControllerRevision>().list();
    let mut numbers: Vec<_> = kept.iter().map(|revision| revision.revision).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_canary_is_all_that_is_updated_until_the_partition_goes_down() {
    let lab = Lab::new(3).await;
    let at = |tag, partition| {
        set(3, tag, &format!("updateStrategy: {{type: RollingUpdate, rollingUpdate: {{partition: {partition}}}}}"))
    };
    lab.apply(&at("v1", 3)).await;
    lab.becomes(Lab::pods, "web-0 v1 ready, web-1 v1 ready, web-2 v1 ready").await;
    lab.apply(&at("v2", 3)).await;
    lab.stays(Lab::pods, "web-0 v1 ready, web-1 v1 ready, web-2 v1 ready").await;
    lab.apply(&at("v2", 2)).await;
    lab.becomes(Lab::pods, "web-0 v1 ready, web-1 v1 ready, web-2 v2 ready").await;
    let before = (lab.uid("web-0"), lab.uid("web-2"));
    lab.delete::<Pod>("web-0").await;
    lab.delete::<Pod>("web-2").await;
    lab.stays(Lab::pods, "web-0 v1 ready, web-1 v1 ready, web-2 v2 ready").await;
    assert_ne!(before, (lab.uid("web-0"), lab.uid("web-2")));
    assert_eq!(lab.at::<StatefulSet>("web", "status.currentReplicas status.updatedReplicas"), "2 1");
    lab.apply(&at("v2", 1)).await;
    lab.becomes(Lab::pods, "web-0 v1 ready, web-1 v2 ready, web-2 v2 ready").await;
    lab.apply(&at("v2", 0)).await;
    lab.becomes(Lab::pods, "web-0 v2 ready, web-1 v2 ready, web-2 v2 ready").await;
}

/// A pod that its node rejects fails at once; the set makes it again for as long as that goes on.
#[tokio::test(start_paused = true)]
async fn a_rejected_pod_is_made_again_until_it_is_taken() {
    let lab = Lab::new(1).await;
    let node = name(&*lab.api.all::<coracle::k8s_openapi::api::core::v1::Node>().list()[0]);
    let ports = "ports: [{containerPort: 21017, hostPort: 21017}]";
    lab.apply(&format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: squatter}}
spec:
  nodeName: {node}
  containers: [{{name: c, image: 'web:v0', {ports}}}]
"
    ))
    .await;
    lab.becomes(Lab::pods, "squatter v0 ready").await;
    let conflicting = set(1, "v1", "")
        .replace("image: 'web:v1'", &format!("image: 'web:v1', {ports}"))
        .replace("      containers", &format!("      nodeName: {node}\n      containers"));
    lab.apply(&conflicting).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..PATIENCE_SECONDS {
        if let Ok(pod) = lab.all::<Pod>().get("web-0") {
            assert_ne!(mood(&pod), "ready");
            seen.insert(pod.metadata.uid.clone());
        }
        if seen.len() > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(seen.len() > 1, "it was made again");
    lab.delete::<Pod>("squatter").await;
    lab.becomes(Lab::pods, "web-0 v1 ready").await;
}

#[tokio::test(start_paused = true)]
async fn ordinals_start_where_the_set_says() {
    let lab = Lab::new(2).await;
    lab.apply(&set(2, "v1", "ordinals: {start: 3}")).await;
    lab.becomes(Lab::pods, "web-3 v1 ready, web-4 v1 ready").await;
    lab.apply(&set(2, "v1", "ordinals: {start: 4}")).await;
    lab.becomes(Lab::pods, "web-4 v1 ready, web-5 v1 ready").await;
}

/// A rollout that is stuck at a pod that will never be ready gets on when the template is mended: the broken pod goes first.
#[tokio::test(start_paused = true)]
async fn a_mended_template_gets_a_stuck_rollout_on() {
    let lab = Lab::new(2).await;
    let parallel = "podManagementPolicy: Parallel";
    lab.apply(&set(3, "v1", parallel)).await;
    lab.becomes(Lab::pods, "web-0 v1 ready, web-1 v1 ready, web-2 v1 ready").await;
    lab.apply(&set(3, "v2", parallel).replace("web:v2", "nowhere")).await;
    lab.becomes(Lab::pods, "web-0 v1 ready, web-1 v1 ready, web-2 nowhere Pending").await;
    lab.stays(Lab::pods, "web-0 v1 ready, web-1 v1 ready, web-2 nowhere Pending").await;
    lab.apply(&set(3, "v3", parallel)).await;
    lab.becomes(Lab::pods, "web-0 v3 ready, web-1 v3 ready, web-2 v3 ready").await;
}

#[tokio::test(start_paused = true)]
async fn a_set_that_is_deleted_can_leave_its_pods_to_the_next() {
    let lab = Lab::new(2).await;
    lab.apply(&set(2, "v1", "")).await;
    lab.becomes(Lab::pods, "web-0 v1 ready, web-1 v1 ready").await;
    let before = (lab.uid("web-0"), lab.uid("web-1"));
    let orphan = coracle::k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions {
        propagation_policy: Some("Orphan".to_owned()),
        ..Default::default()
    };
    lab.all::<StatefulSet>().delete_with("web", orphan).await.unwrap();
    lab.becomes(|lab| lab.all::<StatefulSet>().get("web").is_err().to_string(), "true").await;
    lab.stays(Lab::pods, "web-0 v1 ready, web-1 v1 ready").await;
    lab.apply(&set(3, "v1", "")).await;
    lab.becomes(Lab::pods, "web-0 v1 ready, web-1 v1 ready, web-2 v1 ready").await;
    assert_eq!(before, (lab.uid("web-0"), lab.uid("web-1")));
    lab.becomes(|lab| lab.at::<StatefulSet>("web", "status.updatedReplicas status.currentReplicas"), "3 3").await;
}
