//! Rows of test/e2e/apps/daemon_set.go and controller_revision.go.

use coracle::k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use coracle::k8s_openapi::api::core::v1::Node as NodeObject;

use super::*;

fn set(image: &str, template: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers: [{{name: c, image: '{image}'}}]
      {template}
"
    )
}

async fn label(lab: &Lab, node: &str, color: &'static str) {
    let paint = move |node: &mut NodeObject| {
        node.metadata.labels.get_or_insert_default().insert("color".to_owned(), color.to_owned());
    };
    lab.api.all::<NodeObject>().edit(node, paint).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pods_that_are_lost_or_failed_come_back() {
    let lab = Lab::new(3).await;
    lab.apply(&set("web:v1", "")).await;
    lab.becomes(Lab::images, "v1 ready x3").await;
    let first = name(&*lab.all::<Pod>().list()[0]);
    lab.delete::<Pod>(&first).await;
    lab.becomes(|lab| lab.all::<Pod>().get(&first).is_err().to_string(), "true").await;
    lab.becomes(Lab::images, "v1 ready x3").await;
    let second = name(&*lab.all::<Pod>().list()[0]);
    lab.edit_status(&second, |pod: &mut Pod| pod.status.as_mut().unwrap().phase = Some("Failed".to_owned())).await;
    lab.becomes(|lab| lab.all::<Pod>().get(&second).is_err().to_string(), "true").await;
    lab.becomes(Lab::images, "v1 ready x3").await;
    lab.delete::<DaemonSet>("web").await;
    lab.becomes(Lab::images, "").await;
}

#[tokio::test(start_paused = true)]
async fn labels_of_nodes_decide() {
    let lab = Lab::new(2).await;
    let node = name(&*lab.api.all::<NodeObject>().list()[0]);
    lab.apply(&set("web:v1", "nodeSelector: {color: blue}")).await;
    lab.stays(Lab::images, "").await;
    label(&lab, &node, "blue").await;
    lab.becomes(Lab::images, "v1 ready x1").await;
    label(&lab, &node, "green").await;
    lab.becomes(Lab::images, "").await;
    lab.apply(&set("web:v1", "nodeSelector: {color: green}")).await;
    lab.becomes(Lab::images, "v1 ready x1").await;
    assert_eq!(lab.at::<DaemonSet>("web", "status.desiredNumberScheduled status.numberMisscheduled"), "1 0");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_restarts_only_what_the_rollout_has_touched() {
    let lab = Lab::new(4).await;
    let uids = |lab: &Lab| -> std::collections::BTreeSet<String> {
        lab.all::<Pod>().list().iter().map(|pod| pod.metadata.uid.clone().unwrap()).collect()
    };
    lab.apply(&set("web:v1", "")).await;
    lab.becomes(Lab::images, "v1 ready x4").await;
    let before = uids(&lab);
    lab.apply(&set("nowhere", "")).await;
    lab.becomes(Lab::images, "nowhere Pending x1, v1 ready x3").await;
    lab.stays(Lab::images, "nowhere Pending x1, v1 ready x3").await;
    lab.apply(&set("web:v1", "")).await;
    lab.becomes(Lab::images, "v1 ready x4").await;
    assert_eq!(before.intersection(&uids(&lab)).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn revisions_are_numbered_labelled_and_made_again() {
    let lab = Lab::new(1).await;
    let numbers = |lab: &Lab| {
        let mut numbers: Vec<_> = lab.all::<ControllerRevision>().list().iter().map(|it| it.revision).collect();
        numbers.sort_unstable();
        format!("{numbers:?}")
    };
    lab.apply(&set("web:v1", "")).await;
    lab.becomes(numbers, "[1]").await;
    let first = lab.all::<ControllerRevision>().list()[0].clone();
    lab.delete::<ControllerRevision>(&name(&*first)).await;
    lab.becomes(numbers, "[1]").await;
    let again = lab.all::<ControllerRevision>().list()[0].clone();
    assert_ne!(first.metadata.uid, again.metadata.uid);
    assert_eq!(first.metadata.name, again.metadata.name);
    lab.apply(&set("web:v2", "")).await;
    lab.becomes(numbers, "[1, 2]").await;
    lab.becomes(Lab::images, "v2 ready x1").await;
    let pod = lab.all::<Pod>().list()[0].clone();
    let hash = &pod.metadata.labels.as_ref().unwrap()["controller-revision-hash"];
    let newest = lab.all::<ControllerRevision>().list().into_iter().find(|it| it.revision == 2).unwrap();
    assert_eq!(name(&*newest), format!("web-{hash}"));
}
