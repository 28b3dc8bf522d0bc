//! What happens to the pods of a node that is gone: rows of test/e2e/node/taints.go, test/e2e/apps/statefulset.go, and KEP-2268.

use coracle::k8s_openapi::api::core::v1::{Node as NodeObject, Taint};

use super::*;

/// A node that nobody runs, which was ready a moment ago; and what wants to be there, but may be elsewhere.
async fn ghost(lab: &Lab, owner: &str) {
    lab.apply("apiVersion: v1\nkind: Node\nmetadata: {name: ghost, labels: {ghost: 'yes'}}\n").await;
    let alive = json!({
        "allocatable": {"cpu": "8", "memory": "8Gi", "pods": "10"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
    });
    let target = Target::named::<NodeObject>("", "ghost").below("status");
    let edit = move |node: &mut NodeObject| {
        node.status = Some(from(alive.clone()));
        Ok(())
    };
    lab.api.execute(Request::edit(target, edit)).await.unwrap();
    lab.api.all::<NodeObject>().edit("ghost", |node| node.spec.get_or_insert_default().taints = None).await.unwrap();
    let service = if owner == "StatefulSet" { "serviceName: web" } else { "" };
    lab.apply(&format!(
        "apiVersion: apps/v1
kind: {owner}
metadata: {{name: web}}
spec:
  replicas: 1
  {service}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      affinity:
        nodeAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - {{weight: 100, preference: {{matchExpressions: [{{key: ghost, operator: Exists}}]}}}}
      containers: [{{name: c, image: 'web:v1'}}]
"
    ))
    .await;
    lab.becomes(|lab| lab.pods().contains("Pending").to_string(), "true").await;
    let pod = lab.all::<Pod>().list()[0].clone();
    lab.becomes(|lab| lab.at::<Pod>(&name(&*pod), "spec.nodeName"), "ghost").await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_pod_is_replaced_and_forgotten_with_its_node() {
    let lab = Lab::new(1).await;
    ghost(&lab, "ReplicaSet").await;
    lab.becomes(Lab::images, "v1 leaving x1, v1 ready x1").await;
    let told = lab.all::<Pod>().list().iter().find_map(|pod| condition(pod, "DisruptionTarget")).unwrap();
    assert_eq!(told.reason.as_deref(), Some("DeletionByTaintManager"));
    assert_eq!(told.message.as_deref(), Some("Taint manager: deleting due to NoExecute taint"));
    lab.stays(Lab::images, "v1 leaving x1, v1 ready x1").await;
    lab.api.all::<NodeObject>().delete("ghost").await.unwrap();
    lab.becomes(Lab::images, "v1 ready x1").await;
}

/// Nobody knows whether the lost pod still runs, so there is no second one of its name until a person says that it does not.
#[tokio::test(start_paused = true)]
async fn a_lost_member_is_not_replaced_before_it_is_known_to_be_gone() {
    let lab = Lab::new(1).await;
    ghost(&lab, "StatefulSet").await;
    lab.becomes(Lab::pods, "web-0 v1 leaving").await;
    lab.stays(Lab::pods, "web-0 v1 leaving").await;
    let out: Taint = from(json!({"key": "node.kubernetes.io/out-of-service", "value": "x", "effect": "NoExecute"}));
    let mark = move |node: &mut NodeObject| {
        node.spec.get_or_insert_default().taints.get_or_insert_default().push(out.clone());
    };
    lab.api.all::<NodeObject>().edit("ghost", mark).await.unwrap();
    lab.becomes(Lab::pods, "web-0 v1 ready").await;
}
