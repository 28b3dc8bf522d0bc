use coracle_core::ObjectRef;
use expect_test::expect;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod};

use super::{NodeLifecycle, TaintEviction};
use crate::erased::erase;
use crate::testing::{Small, change};

const NODE: &str = "{kind: Node, metadata: {name: one}, spec: {taints: [{key: mine, effect: NoSchedule}]}, status: {conditions: \
                    [{type: Ready, status: 'True'}, {type: MemoryPressure, status: 'False'}]}}\n---\n\
                    {kind: Lease, metadata: {name: one, namespace: kube-node-lease}, spec: {renewTime: '2030-01-01T11:59:50.000000Z'}}\n---\n\
                    {kind: Node, metadata: {name: two}, status: {conditions: [{type: Ready, status: 'True'}]}}\n---\n";

const PODS: &str = "{kind: Pod, metadata: {name: plain}, spec: {nodeName: one, containers: []}, \
                    status: {conditions: [{type: Ready, status: 'True'}]}}\n---\n\
                    {kind: Pod, metadata: {name: patient}, spec: {nodeName: one, containers: [], tolerations: \
                    [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 300}]}}\n---\n\
                    {kind: Pod, metadata: {name: eternal}, spec: {nodeName: one, containers: [], tolerations: [{operator: Exists}]}}";

fn later(small: &mut Small, seconds: i64) {
    small.now += SignedDuration::from_secs(seconds);
}

#[test]
fn a_silent_node_becomes_unknown_then_tainted_and_comes_back() {
    let (mut small, lifecycle) = (Small::new(&(NODE.to_owned() + PODS)), NodeLifecycle::default());
    expect![[r#"
        look again after 40.001s
    "#]]
    .assert_eq(&small.step(&lifecycle, "one"));
    later(&mut small, 41);
    expect![[r#"
        update node/status one DiskPressure=Unknown/NodeStatusNeverUpdated MemoryPressure=Unknown/NodeStatusUnknown PIDPressure=Unknown/NodeStatusNeverUpdated Ready=Unknown/NodeStatusUnknown
        event NodeNotReady: Node one status is now: NodeNotReady
    "#]].assert_eq(&small.step(&lifecycle, "one"));
    expect![[r#"
        edit node one taints.1.effect=NoSchedule taints.1.key=node.kubernetes.io/unreachable taints.1.timeAdded=2030-01-01T12:00:41Z taints.2.effect=NoExecute taints.2.key=node.kubernetes.io/unreachable taints.2.timeAdded=2030-01-01T12:00:41Z
        update pod/status default/plain Ready=False/
        event NodeNotReady: Node is not ready
    "#]].assert_eq(&small.step(&lifecycle, "one"));
    assert_eq!(small.step(&lifecycle, "one"), "");
    small.edit::<Node>("one", |node| {
        let now = serde_json::from_value(serde_json::json!("2030-01-01T12:00:41Z")).unwrap();
        let conditions: &mut Vec<NodeCondition> = node.status.as_mut().unwrap().conditions.as_mut().unwrap();
        conditions[0].status = "True".to_owned();
        conditions[0].last_heartbeat_time = now;
    });
    expect![[r#"
        edit node one taints.1.effect=- taints.1.key=- taints.1.timeAdded=- taints.2.effect=- taints.2.key=- taints.2.timeAdded=-
        look again after 50.001s
    "#]].assert_eq(&small.step(&lifecycle, "one"));
}

#[test]
fn pods_that_a_node_reports_before_it_reports_itself_are_not_contradicted() {
    let (mut small, lifecycle) = (Small::new(&(NODE.to_owned() + PODS)), NodeLifecycle::default());
    later(&mut small, 41);
    small.step(&lifecycle, "one");
    small.step(&lifecycle, "one");
    let report = |small: &mut Small, at: &str| {
        small.edit::<Pod>("plain", |pod| {
            let condition = &mut pod.status.as_mut().unwrap().conditions.as_mut().unwrap()[0];
            condition.status = "True".to_owned();
            condition.last_transition_time = Some(serde_json::from_value(serde_json::json!(at)).unwrap());
        });
    };
    report(&mut small, "2030-01-01T12:00:41Z");
    assert_eq!(small.step(&lifecycle, "one"), "");
    report(&mut small, "2030-01-01T12:00:40Z");
    expect![[r#"
        update pod/status default/plain Ready=False/
        event NodeNotReady: Node is not ready
    "#]]
    .assert_eq(&small.step(&lifecycle, "one"));
}

#[test]
fn conditions_and_cordons_become_taints() {
    let mut small = Small::new(NODE);
    small.edit::<Node>("one", |node| {
        node.spec.as_mut().unwrap().unschedulable = Some(true);
        let conditions = node.status.as_mut().unwrap().conditions.as_mut().unwrap();
        conditions[0].status = "False".to_owned();
        conditions[1].status = "True".to_owned();
    });
    expect![[r#"
        edit node one taints.1.effect=NoSchedule taints.1.key=node.kubernetes.io/not-ready taints.1.timeAdded=2030-01-01T12:00:00Z taints.2.effect=NoExecute taints.2.key=node.kubernetes.io/not-ready taints.2.timeAdded=2030-01-01T12:00:00Z taints.3.effect=NoSchedule taints.3.key=node.kubernetes.io/memory-pressure taints.3.timeAdded=2030-01-01T12:00:00Z taints.4.effect=NoSchedule taints.4.key=node.kubernetes.io/unschedulable taints.4.timeAdded=2030-01-01T12:00:00Z
        look again after 40.001s
    "#]].assert_eq(&small.step(&NodeLifecycle::default(), "one"));
}

#[test]
fn taints_drive_pods_away_when_their_patience_ends() {
    let mut small = Small::new(&(NODE.to_owned() + PODS));
    assert_eq!(small.step(&TaintEviction, "plain"), "");
    later(&mut small, 41);
    small.step(&NodeLifecycle::default(), "one");
    small.step(&NodeLifecycle::default(), "one");
    expect![[r#"
        event TaintManagerEviction: Marking for deletion Pod default/plain
        update pod/status default/plain DisruptionTarget=True/DeletionByTaintManager
        delete pod default/plain
    "#]]
    .assert_eq(&small.step(&TaintEviction, "plain"));
    expect![[r#"
        look again after 300s
    "#]]
    .assert_eq(&small.step(&TaintEviction, "patient"));
    later(&mut small, 300);
    expect![[r#"
        event TaintManagerEviction: Marking for deletion Pod default/patient
        update pod/status default/patient DisruptionTarget=True/DeletionByTaintManager
        delete pod default/patient
    "#]]
    .assert_eq(&small.step(&TaintEviction, "patient"));
    assert_eq!(small.step(&TaintEviction, "eternal"), "");
    // The first toleration of a taint counts, however short later ones are; and it does not matter that a pod has ended.
    let unreachable = "key: node.kubernetes.io/unreachable, operator: Exists";
    small.add(&format!(
        "{{kind: Pod, metadata: {{name: torn}}, spec: {{nodeName: one, containers: [], tolerations: [{{{unreachable}}}, {{{unreachable}, tolerationSeconds: 1}}]}}}}\n---\n\
         {{kind: Pod, metadata: {{name: over}}, spec: {{nodeName: one, containers: []}}, status: {{phase: Succeeded}}}}"
    ));
    assert_eq!(small.step(&TaintEviction, "torn"), "");
    assert_ne!(small.step(&TaintEviction, "over"), "");
}

#[test]
fn a_node_that_never_spoke_gets_a_minute() {
    let mut small = Small::new("{kind: Node, metadata: {name: new, creationTimestamp: '2030-01-01T11:59:30Z'}}");
    expect![[r#"
        look again after 30.001s
    "#]]
    .assert_eq(&small.step(&NodeLifecycle::default(), "new"));
    later(&mut small, 31);
    expect![[r#"
        update node/status new DiskPressure=Unknown/NodeStatusNeverUpdated MemoryPressure=Unknown/NodeStatusNeverUpdated PIDPressure=Unknown/NodeStatusNeverUpdated Ready=Unknown/NodeStatusNeverUpdated
    "#]].assert_eq(&small.step(&NodeLifecycle::default(), "new"));
}

#[test]
fn nodes_in_trouble_are_emptied_one_after_the_other_or_not_at_all() {
    let node = |name: &str, ready: &str| {
        format!(
            "{{kind: Node, metadata: {{name: {name}}}, status: {{conditions: [{{type: Ready, status: '{ready}', lastHeartbeatTime: '2030-01-01T12:00:00Z'}}]}}}}\n---\n"
        )
    };
    let lifecycle = NodeLifecycle::default();
    let mut small = Small::new(&[node("a", "False"), node("b", "False"), node("c", "True")].concat());
    let keys = |text: String| {
        text.split_whitespace()
            .filter_map(|word| word.split_once("effect="))
            .map(|(_, effect)| effect.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(small.step(&lifecycle, "a")), ["NoSchedule", "NoExecute"]);
    assert_eq!(keys(small.step(&lifecycle, "b")), ["NoSchedule"]);
    assert_eq!(small.step(&lifecycle, "b"), "look again after 10s\n");
    later(&mut small, 10);
    assert_eq!(keys(small.step(&lifecycle, "b")), ["NoExecute"]);
    // When the last one is lost, nobody knows anything, and pods stay where they are.
    let (before, place, mut woken) = (small.world.clone(), ObjectRef::of(&*small.get::<Node>("c")), Vec::new());
    small.add(&node("c", "False"));
    erase(NodeLifecycle::default()).keys(&change(&before, &small.world, &place), &small.world, &mut woken);
    assert_eq!(woken.len(), 3);
    assert_eq!(keys(small.step(&lifecycle, "a")), ["-"]);
    assert_eq!(small.step(&lifecycle, "a"), "look again after 10s\n");
}

#[test]
fn only_other_taints_wake_the_pods_of_a_node() {
    let mut small = Small::new(&(NODE.to_owned() + PODS));
    let (place, eviction) = (ObjectRef::of(&*small.get::<Node>("one")), erase(TaintEviction));
    let mut woken = |edit: fn(&mut Node)| {
        let (before, mut woken) = (small.world.clone(), Vec::new());
        small.edit::<Node>("one", edit);
        eviction.keys(&change(&before, &small.world, &place), &small.world, &mut woken);
        woken.len()
    };
    assert_eq!(woken(|node| node.status = None), 0);
    assert_eq!(
        woken(|node| node.spec.as_mut().unwrap().taints.as_mut().unwrap()[0].effect = "NoExecute".to_owned()),
        3
    );
    assert_eq!(small.world.list::<Pod>().count(), 3);
}
