//! Rows of test/e2e/apps/disruption.go, test/e2e/node/taints.go and test/e2e/scheduling/preemption.go.

use coracle::k8s_openapi::api::core::v1::{Node as NodeObject, Taint};
use coracle::k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::*;

fn pod(name: &str, labels: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{{labels}}}}}
spec:
  {spec}
  containers: [{{name: c, image: 'web:v1', resources: {{requests: {{cpu: REQUEST}}}}}}]
---
"
    )
}

fn budget(min: u32) -> String {
    format!(
        "apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: keep}}
spec: {{minAvailable: {min}, selector: {{matchLabels: {{app: web}}}}}}
"
    )
}

#[tokio::test(start_paused = true)]
async fn an_eviction_waits_for_its_budget() {
    let lab = Lab::new(1).await;
    for name in ["a", "b", "c"] {
        lab.apply(&pod(name, "app: web", "").replace("REQUEST", "1")).await;
    }
    lab.becomes(Lab::images, "v1 ready x3").await;
    lab.apply(&budget(3)).await;
    let allowed = |lab: &Lab| {
        lab.at::<PodDisruptionBudget>("keep", "status.disruptionsAllowed status.currentHealthy status.desiredHealthy")
    };
    lab.becomes(allowed, "0 3 3").await;
    let evict = |name| Request::evict(&lab.all::<Pod>().get(name).unwrap(), Default::default());
    let refused = lab.api.execute(evict("a")).await.unwrap_err();
    assert_eq!(refused.code(), 429, "{refused}");
    assert_eq!(refused.message(), "Cannot evict pod as it would violate the pod's disruption budget.");
    lab.apply(&budget(2)).await;
    lab.becomes(allowed, "1 3 2").await;
    lab.api.execute(evict("a")).await.unwrap();
    assert_eq!(lab.api.execute(evict("b")).await.unwrap_err().code(), 429, "one at a time");
    let told = lab.all::<Pod>().get("a").ok().and_then(|pod| condition(&pod, "DisruptionTarget"));
    if let Some(told) = told {
        assert_eq!(told.reason.as_deref(), Some("EvictionByEvictionAPI"));
        assert_eq!(told.message.as_deref(), Some("Eviction API: evicting"));
    }
    lab.becomes(Lab::images, "v1 ready x2").await;
    lab.becomes(allowed, "0 2 2").await;
}

/// What the order's own options say counts as if the request had said it.
#[tokio::test(start_paused = true)]
async fn an_eviction_is_of_the_version_that_is_meant_and_may_be_a_rehearsal() {
    let lab = Lab::new(1).await;
    lab.apply(&pod("a", "app: web", "").replace("REQUEST", "1")).await;
    lab.becomes(Lab::images, "v1 ready x1").await;
    let evict = |options: Value| {
        let request = Request::evict(&lab.all::<Pod>().get("a").unwrap(), from(options));
        lab.api.execute(request)
    };
    evict(json!({"dryRun": ["All"]})).await.unwrap();
    lab.stays(Lab::images, "v1 ready x1").await;
    let version = |version: &str| json!({"preconditions": {"resourceVersion": version}});
    assert_eq!(evict(version("1")).await.unwrap_err().code(), 409);
    assert!(condition(&lab.all::<Pod>().get("a").unwrap(), "DisruptionTarget").is_none());
    let now = lab.at::<Pod>("a", "metadata.resourceVersion");
    evict(version(&now)).await.unwrap();
    lab.becomes(Lab::images, "").await;
}

async fn taint(lab: &Lab, node: &str, taint: Option<Value>) {
    let taint: Option<Taint> = taint.map(from);
    let set =
        move |node: &mut NodeObject| node.spec.get_or_insert_default().taints = taint.clone().map(|taint| vec![taint]);
    lab.api.all::<NodeObject>().edit(node, set).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_taint_evicts_after_the_tolerated_time_unless_it_is_gone_by_then() {
    let lab = Lab::new(1).await;
    let node = name(&*lab.api.all::<NodeObject>().list()[0]);
    let tolerating = |seconds| {
        format!("tolerations: [{{key: evict, operator: Exists, effect: NoExecute, tolerationSeconds: {seconds}}}]")
    };
    lab.apply(&pod("short", "a: b", &tolerating(5)).replace("REQUEST", "1m")).await;
    lab.apply(&pod("long", "a: b", &tolerating(300)).replace("REQUEST", "1m")).await;
    lab.becomes(Lab::pods, "long v1 ready, short v1 ready").await;
    taint(&lab, &node, Some(json!({"key": "evict", "value": "now", "effect": "NoExecute"}))).await;
    lab.becomes(Lab::pods, "long v1 ready").await;
    taint(&lab, &node, None).await;
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!(lab.pods(), "long v1 ready");
}

fn class(name: &str, value: i32) -> String {
    format!("apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {{name: {name}}}\nvalue: {value}\n")
}

/// The victim says why it goes, and its finalizer keeps it for us to read that.
#[tokio::test(start_paused = true)]
async fn a_victim_of_preemption_says_so() {
    let lab = Lab::new(1).await;
    lab.apply(&class("low", 1)).await;
    lab.apply(&class("high", 1_000)).await;
    let held = pod("victim", "a: b", "priorityClassName: low")
        .replace("metadata: {", "metadata: {finalizers: [example.dev/hold], ");
    lab.apply(&held.replace("REQUEST", "20")).await;
    lab.becomes(Lab::pods, "victim v1 ready").await;
    lab.apply(&pod("preemptor", "a: b", "priorityClassName: high").replace("REQUEST", "20")).await;
    lab.becomes(|lab| lab.at::<Pod>("victim", "status.conditions.DisruptionTarget.reason"), "PreemptionByScheduler")
        .await;
    let told = condition(&lab.all::<Pod>().get("victim").unwrap(), "DisruptionTarget").unwrap();
    assert_eq!(told.message.as_deref(), Some("default-scheduler: preempting to accommodate a higher priority pod"));
    lab.becomes(|lab| lab.at::<Pod>("preemptor", "status.phase"), "Running").await;
    lab.all::<Pod>().edit("victim", |pod| pod.metadata.finalizers = None).await.unwrap();
    lab.becomes(Lab::pods, "preemptor v1 ready").await;
}

/// Of two nodes that could be cleared, the one whose victim no budget protects is.
#[tokio::test(start_paused = true)]
async fn preemption_spares_what_a_budget_protects() {
    let lab = Lab::new(2).await;
    lab.apply(&class("low", 1)).await;
    lab.apply(&class("lower", 0)).await;
    lab.apply(&class("high", 1_000)).await;
    // Without budgets the less important one would go.
    lab.apply(&pod("kept", "app: web", "priorityClassName: lower").replace("REQUEST", "20")).await;
    lab.apply(&pod("spare", "a: b", "priorityClassName: low").replace("REQUEST", "20")).await;
    lab.apply(&budget(1)).await;
    lab.becomes(|lab| lab.at::<PodDisruptionBudget>("keep", "status.currentHealthy"), "1").await;
    lab.apply(&pod("preemptor", "a: b", "priorityClassName: high").replace("REQUEST", "20")).await;
    lab.becomes(Lab::pods, "kept v1 ready, preemptor v1 ready").await;
}

/// Pods that are not ready may always go if the budget says so; else only while enough others are.
#[tokio::test(start_paused = true)]
async fn unhealthy_pods_go_as_the_policy_says() {
    for (policy, code) in [("AlwaysAllow", None), ("IfHealthyBudget", Some(429))] {
        let lab = Lab::new(1).await;
        for name in ["a", "b"] {
            lab.apply(
                &pod(name, "app: web", "readinessGates: [{conditionType: example.dev/open}]").replace("REQUEST", "1"),
            )
            .await;
        }
        lab.becomes(Lab::images, "v1 Running x2").await;
        let spec = format!("unhealthyPodEvictionPolicy: {policy}, minAvailable");
        lab.apply(&budget(1).replace("minAvailable", &spec)).await;
        lab.becomes(|lab| lab.at::<PodDisruptionBudget>("keep", "status.currentHealthy status.expectedPods"), "0 2")
            .await;
        let evict = Request::evict(&lab.all::<Pod>().get("a").unwrap(), Default::default());
        assert_eq!(lab.api.execute(evict).await.err().map(|status| status.code()), code, "{policy}");
        lab.open_gate("b", true).await;
        lab.becomes(|lab| lab.at::<PodDisruptionBudget>("keep", "status.currentHealthy"), "1").await;
        if code.is_some() {
            let evict = Request::evict(&lab.all::<Pod>().get("a").unwrap(), Default::default());
            lab.api.execute(evict).await.unwrap();
        }
        lab.becomes(Lab::pods, "b v1 ready").await;
    }
}

/// Row "runs ReplicaSets to verify preemption running path": of four sets that fill a node in turn, the most important get on.
#[tokio::test(start_paused = true)]
async fn sets_of_rising_importance_take_each_others_place() {
    let lab = Lab::new(1).await;
    for (name, priority, cpu, replicas) in [("p1", 1, 4, 5), ("p2", 2, 6, 2), ("p3", 3, 10, 1), ("p4", 4, 10, 1)] {
        lab.apply(&class(name, priority)).await;
        lab.apply(&format!(
            "apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      priorityClassName: {name}
      containers: [{{name: c, image: '{name}', resources: {{requests: {{cpu: {cpu}}}}}}}]
"
        ))
        .await;
        lab.becomes(
            |lab| {
                let ready =
                    lab.all::<Pod>().list().iter().filter(|pod| image(pod) == name && mood(pod) == "ready").count();
                ready.to_string()
            },
            &replicas.to_string(),
        )
        .await;
    }
    lab.becomes(Lab::images, "p1 Pending x5, p2 ready x2, p3 ready x1, p4 ready x1").await;
}
