use coracle_core::{Action, Body, GroupResource, Status};
use expect_test::{Expect, expect};
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Pod, ReplicationController};

use super::Replicas;
use crate::testing::{Small, ago};

/// A ReplicaSet `web`; `spec` and `metadata` are merged into it.
pub(super) fn replica_set(replicas: i32, spec: &str, metadata: &str) -> String {
    format!(
        "{{kind: ReplicaSet, metadata: {{name: web, generation: 2 {metadata}}}, spec: {{replicas: {replicas}, {spec} \
         selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web, tier: front}}}}, \
         spec: {{containers: []}}}}}}}}\n---\n"
    )
}

/// Pods of `web`, a word list each: the name, then what is special: `free` (no owner), `stray` (other labels), `foreign`,
/// `deleting`, `failed`, `pending`, `unknown`, `unready`, `node=..`, `ready=seconds`, `born=seconds`, `restarts=..`, `sidecar=..`
/// (its restarts), `cost=..`.
pub(super) fn pods(list: &str) -> String {
    list.split(',').map(|pod| self::pod(&pod.split_whitespace().collect::<Vec<_>>())).collect()
}

fn pod(words: &[&str]) -> String {
    let has = |word: &str| words.contains(&word);
    let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let seconds = |key: &str| ago(value(key).unwrap_or("60").parse().unwrap()).0;
    let owner = if has("foreign") { "other" } else { "replicaset-web" };
    let owners = if has("free") {
        String::new()
    } else {
        format!(
            "ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: {owner}, controller: true}}],"
        )
    };
    let phase = [("failed", "Failed"), ("pending", "Pending"), ("unknown", "Unknown")];
    let phase = phase.iter().find(|(word, _)| has(word)).map_or("Running", |(_, phase)| phase);
    let deleting = if has("deleting") { "deletionTimestamp: '2030-01-01T11:59:59Z'," } else { "" };
    format!(
        "{{kind: Pod, metadata: {{name: {}, {owners} {deleting} creationTimestamp: '{}', labels: {{app: {}}}, annotations: \
         {{controller.kubernetes.io/pod-deletion-cost: '{}'}}}}, spec: {{containers: [], initContainers: [{{name: side, \
         restartPolicy: Always}}], nodeName: '{}'}}, status: {{phase: {phase}, \
         conditions: [{{type: Ready, status: '{}', lastTransitionTime: '{}'}}], containerStatuses: [{{name: main, ready: true, \
         image: i, imageID: i, restartCount: {}}}], initContainerStatuses: [{{name: side, ready: true, image: i, imageID: i, \
         restartCount: {}}}]}}}}\n---\n",
        words[0],
        seconds("born"),
        if has("stray") { "other" } else { "web" },
        value("cost").unwrap_or("0"),
        value("node").unwrap_or("one"),
        if has("unready") { "False" } else { "True" },
        seconds("ready"),
        value("restarts").unwrap_or("0"),
        value("sidecar").unwrap_or("0"),
    )
}

fn check(yaml: String, expected: Expect) {
    expected.assert_eq(&Small::new(&yaml).step(&Replicas::<ReplicaSet>::new(), "web"));
}

#[test]
fn missing_pods_are_made_and_counted_when_they_come_back() {
    check(
        replica_set(2, "", ""),
        expect![[r#"
        create pod default/web-*
          event SuccessfulCreate: Created pod: web-1
        create pod default/web-*
          event SuccessfulCreate: Created pod: web-2
        update replicaset/status default/web replicas=0 terminatingReplicas=0
    "#]],
    );
    check(
        replica_set(3, "", "") + &pods("a, b unready, c failed, d deleting"),
        expect![[r#"
        create pod default/web-*
          event SuccessfulCreate: Created pod: web-1
        update replicaset/status default/web availableReplicas=1 readyReplicas=1 replicas=2 terminatingReplicas=1
    "#]],
    );
}

#[test]
fn labels_decide_who_belongs() {
    check(
        replica_set(2, "", "") + &pods("a, b free, c stray, d foreign, e stray free"),
        expect![[r#"
            edit pod default/c ownerReferences.0.apiVersion=- ownerReferences.0.controller=- ownerReferences.0.kind=- ownerReferences.0.name=- ownerReferences.0.uid=-
            edit pod default/b ownerReferences.0.apiVersion=apps/v1 ownerReferences.0.blockOwnerDeletion=true ownerReferences.0.controller=true ownerReferences.0.kind=ReplicaSet ownerReferences.0.name=web ownerReferences.0.uid=replicaset-web
        "#]],
    );
    check(
        replica_set(2, "", ", deletionTimestamp: '2030-01-01T11:59:59Z', finalizers: [x]")
            + &pods("a, b free, c stray"),
        expect![[r#"
            update replicaset/status default/web availableReplicas=1 readyReplicas=1 replicas=1 terminatingReplicas=0
        "#]],
    );
}

/// Which of these pods goes first when one is too many: always the first of the list.
#[track_caller]
fn goes_first(list: &str) {
    let count = i32::try_from(list.split(',').count()).unwrap();
    let mut small = Small::new(&(replica_set(count - 1, "", "") + &pods(list)));
    let done = small.step(&Replicas::<ReplicaSet>::new(), "web");
    let first = list.split_whitespace().next().unwrap();
    assert!(done.starts_with(&format!("delete pod default/{first}\n")), "{list}: {done}");
}

#[test]
fn the_cheapest_pods_go_first() {
    goes_first("z node=, a pending");
    goes_first("z pending, a unknown");
    goes_first("z unknown, a unready");
    goes_first("z unready, a cost=-5");
    goes_first("z cost=-5, a, b node=one");
    goes_first("b node=two, c node=two, a node=one, d node=three ready=1");
    goes_first("z ready=3, a ready=60 restarts=9");
    goes_first("z restarts=2, a restarts=1 sidecar=9");
    goes_first("z restarts=1 sidecar=2, a restarts=1");
    goes_first("z sidecar=2 born=500, a sidecar=1 born=5");
    goes_first("z born=5, a born=500");
}

#[test]
fn pods_of_sibling_replica_sets_count_for_their_nodes() {
    let owned = ", ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: d, uid: d, controller: true}]";
    let sibling = replica_set(1, "", owned).replace("name: web,", "name: sibling,");
    let crowd = pods("v node=two, w node=two").replace("replicaset-web", "replicaset-sibling");
    let mut small = Small::new(&(replica_set(1, "", owned) + &sibling + &crowd + &pods("a node=one, z node=two")));
    assert!(small.step(&Replicas::<ReplicaSet>::new(), "web").starts_with("delete pod default/z\n"));
}

#[test]
fn a_refusal_stops_at_the_first_and_is_told_until_it_is_over() {
    let (mut small, planner) = (Small::new(&replica_set(3, "", "")), Replicas::<ReplicaSet>::new());
    small.refuse = Some(("pods", "exceeded quota"));
    expect![[r#"
        create pod default/web-*
          event FailedCreate: Error creating: pods is forbidden: exceeded quota
        update replicaset/status default/web ReplicaFailure=True/FailedCreate replicas=0 terminatingReplicas=0
    "#]]
    .assert_eq(&small.step(&planner, "web"));
    expect![[r#"
        create pod default/web-*
          event FailedCreate: Error creating: pods is forbidden: exceeded quota
    "#]]
    .assert_eq(&small.step(&planner, "web"));
    small.refuse = None;
    small.step(&planner, "web");
    expect![[r#"
        update replicaset/status default/web fullyLabeledReplicas=3 replicas=3
    "#]]
    .assert_eq(&small.step(&planner, "web"));
}

#[test]
fn a_refused_deletion_is_told() {
    let small = Small::new(&(replica_set(1, "", "") + &pods("a, b")));
    let plan = small.plan(&Replicas::<ReplicaSet>::new(), "web");
    let refusal = Status::forbidden(&GroupResource::of::<Pod>(), "a", "hands off");
    let request = plan.on_failure.unwrap().request(&refusal).unwrap();
    let Action::Update(Body::Value(told)) = &request.action else { panic!("{request:?}") };
    let told: ReplicaSet = serde_json::from_slice(&told.encode().unwrap()).unwrap();
    let condition = &told.status.unwrap().conditions.unwrap()[0];
    expect!["Some(\"FailedDelete\"): Some(\"unable to delete pods: pods \\\"a\\\" is forbidden: hands off\")"]
        .assert_eq(&format!("{:?}: {:?}", condition.reason, condition.message));
}

#[test]
fn a_clock_that_is_ahead_does_not_make_a_pod_unavailable() {
    check(
        replica_set(1, "", "") + &pods("a ready=-5"),
        expect![[r#"
        update replicaset/status default/web availableReplicas=1 readyReplicas=1 replicas=1 terminatingReplicas=0
    "#]],
    );
}

#[test]
fn availability_comes_with_time() {
    let yaml = replica_set(2, "minReadySeconds: 10,", "") + &pods("a ready=4, b ready=60");
    let (mut small, planner) = (Small::new(&yaml), Replicas::<ReplicaSet>::new());
    expect![[r#"
        update replicaset/status default/web availableReplicas=1 readyReplicas=2 replicas=2 terminatingReplicas=0
        look again after 6s
    "#]]
    .assert_eq(&small.step(&planner, "web"));
    small.now += SignedDuration::from_secs(6);
    expect![[r#"
        update replicaset/status default/web availableReplicas=2
    "#]]
    .assert_eq(&small.step(&planner, "web"));
}

#[test]
fn replication_controllers_are_the_same() {
    let yaml = "{kind: ReplicationController, metadata: {name: web, generation: 1}, spec: {replicas: 1, selector: {app: web}, \
                template: {metadata: {labels: {app: web}}, spec: {containers: []}}}}\n---\n";
    let mut small = Small::new(yaml);
    expect![[r#"
        create pod default/web-*
          event SuccessfulCreate: Created pod: web-1
        update replicationcontroller/status default/web replicas=0
    "#]]
    .assert_eq(&small.step(&Replicas::<ReplicationController>::new(), "web"));
    let pod = small.world.list::<Pod>().next().unwrap();
    let owner = &pod.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((&*owner.api_version, &*owner.kind, owner.controller), ("v1", "ReplicationController", Some(true)));
    expect![[r#"
        update replicationcontroller/status default/web fullyLabeledReplicas=1 replicas=1
    "#]]
    .assert_eq(&small.step(&Replicas::<ReplicationController>::new(), "web"));
    assert_eq!(small.step(&Replicas::<ReplicationController>::new(), "web"), "");
}
