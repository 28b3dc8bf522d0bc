use std::time::Duration;

use coracle_core::{GroupResource, ObjectKey, ObjectRef};
use expect_test::{Expect, expect};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use super::DaemonSets;
use super::daemon::target;
use super::eligible::{Eligibility, Fit};
use crate::planner::Planner;
use crate::testing::{Small, ago, change};
use crate::watches::Watches;

/// A set of this image, with more fields of its spec and of its pods.
pub(super) fn set(image: &str, more: &str, pod: &str) -> String {
    format!(
        "{{kind: DaemonSet, metadata: {{name: web, generation: 1}}, spec: {{{more} \
         selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web}}}}, \
         spec: {{{pod} containers: [{{name: c, image: {image}}}]}}}}}}}}"
    )
}

pub(super) fn rolling(unavailable: &str, surge: &str) -> String {
    format!(
        "updateStrategy: {{type: RollingUpdate, rollingUpdate: {{maxUnavailable: {unavailable}, maxSurge: {surge}}}}},"
    )
}

pub(super) fn add_nodes(small: &mut Small, count: usize) {
    for node in 0..count {
        small.add(&format!("{{kind: Node, metadata: {{name: n{node}}}}}"));
    }
}

/// What the scheduler and the nodes do: pods are bound and run, ready for a minute or not.
pub(super) fn run(small: &mut Small, name: &str, ready: bool) {
    let ready = if ready { "True" } else { "False" };
    let condition = json!({"type": "Ready", "status": ready, "lastTransitionTime": ago(60)});
    become_(small, name, json!({"phase": "Running", "conditions": [condition]}));
}

pub(super) fn become_(small: &mut Small, name: &str, status: Value) {
    small.edit::<Pod>(name, |pod| {
        let node = target(pod).unwrap().to_owned();
        pod.spec.as_mut().unwrap().node_name = Some(node);
        pod.status = Some(serde_json::from_value(status).unwrap());
    });
}

pub(super) fn pods(small: &Small) -> Vec<String> {
    small.world.list::<Pod>().map(|pod| pod.metadata.name.clone().unwrap()).collect()
}

pub(super) fn set_image(small: &mut Small, image: &str) {
    small.edit::<DaemonSet>("web", |set| {
        set.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].image = Some(image.to_owned());
    });
}

/// Plans until there is nothing left to do, with every pod ready at once.
pub(super) fn settle(small: &mut Small, planner: &DaemonSets) -> String {
    let mut lines = String::new();
    for _ in 0..300 {
        small.now += jiff::SignedDuration::from_hours(1);
        let done = small.step(planner, "web");
        let unready = small.world.list::<Pod>().filter(|pod| !crate::pods::is_ready(pod));
        let names: Vec<_> = unready.map(|pod| pod.metadata.name.clone().unwrap()).collect();
        names.iter().for_each(|name| run(small, name, true));
        if done.is_empty() && names.is_empty() {
            return lines;
        }
        lines += &done;
    }
    panic!("no end: {lines}")
}

fn settled(nodes: usize, set: &str) -> Small {
    let mut small = Small::new(set);
    add_nodes(&mut small, nodes);
    settle(&mut small, &DaemonSets::new());
    small
}

#[track_caller]
fn check(small: &mut Small, expected: &Expect) {
    expected.assert_eq(&small.step(&DaemonSets::new(), "web"));
}

fn moves(lines: &str) -> Vec<&str> {
    lines.lines().filter(|line| line.starts_with("create pod") || line.starts_with("delete pod")).collect()
}

fn on_nodes(small: &Small) -> Vec<String> {
    let pods = small.world.list::<Pod>();
    let mut nodes: Vec<_> = pods.map(|pod| target(&pod).unwrap().to_owned()).collect();
    nodes.sort_unstable();
    nodes
}

#[test]
fn every_node_gets_a_pod() {
    let mut small = Small::new(&set("a", "", ""));
    add_nodes(&mut small, 2);
    check(
        &mut small,
        &expect![[r#"
        create controllerrevision default/web-78dbf6cfb9
        create pod default/web-*
          event SuccessfulCreate: Created pod: web-2
        create pod default/web-*
          event SuccessfulCreate: Created pod: web-3
        update daemonset/status default/web currentNumberScheduled=0 desiredNumberScheduled=2 numberMisscheduled=0 numberReady=0 numberUnavailable=2
    "#]],
    );
    check(
        &mut small,
        &expect![[r#"
        update daemonset/status default/web currentNumberScheduled=2 updatedNumberScheduled=2
    "#]],
    );
    settle(&mut small, &DaemonSets::new());
    check(&mut small, &expect![""]);
}

#[test]
fn a_pod_is_pinned_to_its_node_and_bears_its_troubles() {
    let mut small = Small::new(&set("a", "", "hostNetwork: true, nodeSelector: {disk: ssd},"));
    small.add("{kind: Node, metadata: {name: n0, labels: {disk: ssd}}}");
    small.step(&DaemonSets::new(), "web");
    let pod = serde_json::to_value(&*small.world.list::<Pod>().next().unwrap()).unwrap();
    let revision = small.world.list::<ControllerRevision>().next().unwrap();
    let hash = revision.metadata.labels.clone().unwrap()["controller-revision-hash"].clone();
    assert_eq!(pod["metadata"]["labels"], json!({"app": "web", "controller-revision-hash": hash}));
    assert_eq!(revision.metadata.name, Some(format!("web-{hash}")));
    let pinned = json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n0"]}]}
    ]}});
    assert_eq!(pod["spec"]["affinity"]["nodeAffinity"], pinned);
    let borne = pod["spec"]["tolerations"].as_array().unwrap().iter();
    let borne: Vec<_> = borne
        .map(|it| format!("{} {}", it["key"].as_str().unwrap().rsplit('/').next().unwrap(), it["effect"]))
        .collect();
    expect![[r#"
        [
            "not-ready \"NoExecute\"",
            "unreachable \"NoExecute\"",
            "disk-pressure \"NoSchedule\"",
            "memory-pressure \"NoSchedule\"",
            "pid-pressure \"NoSchedule\"",
            "unschedulable \"NoSchedule\"",
            "network-unavailable \"NoSchedule\"",
        ]
    "#]]
    .assert_debug_eq(&borne);
}

#[test]
fn only_nodes_that_fit_are_chosen() {
    let affinity = |requirement: &str| {
        format!(
            "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: \
             {{nodeSelectorTerms: [{{{requirement}}}]}}}}}},"
        )
    };
    let taint = |key: &str, effect: &str| format!("taints: [{{key: {key}, value: v, effect: {effect}}}]");
    let (never, always) = (Fit::NEVER, Fit { runs: true, stays: true });
    let stays = Fit { runs: false, stays: true };
    for (pod, labels, node, expected) in [
        (String::new(), "", String::new(), always),
        ("nodeName: n0,".to_owned(), "", String::new(), always),
        ("nodeName: n1,".to_owned(), "", String::new(), never),
        ("nodeSelector: {disk: ssd},".to_owned(), "disk: ssd", String::new(), always),
        ("nodeSelector: {disk: ssd},".to_owned(), "disk: hdd", String::new(), never),
        (affinity("matchExpressions: [{key: disk, operator: In, values: [ssd]}]"), "disk: ssd", String::new(), always),
        (
            affinity("matchExpressions: [{key: disk, operator: NotIn, values: [ssd]}]"),
            "disk: ssd",
            String::new(),
            never,
        ),
        (
            affinity("matchExpressions: [{key: cores, operator: Gt, values: ['4']}]"),
            "cores: '8'",
            String::new(),
            always,
        ),
        (affinity("matchExpressions: [{key: cores, operator: Lt, values: ['4']}]"), "cores: '8'", String::new(), never),
        (affinity("matchFields: [{key: metadata.name, operator: In, values: [n0]}]"), "", String::new(), always),
        (affinity("matchFields: [{key: metadata.name, operator: NotIn, values: [n0]}]"), "", String::new(), never),
        (affinity(""), "", String::new(), never),
        (String::new(), "", "unschedulable: true".to_owned(), always),
        (String::new(), "", taint("node.kubernetes.io/unschedulable", "NoSchedule"), always),
        (String::new(), "", taint("node.kubernetes.io/not-ready", "NoExecute"), always),
        (String::new(), "", taint("node.kubernetes.io/network-unavailable", "NoSchedule"), stays),
        ("hostNetwork: true,".to_owned(), "", taint("node.kubernetes.io/network-unavailable", "NoSchedule"), always),
        (String::new(), "", taint("mine", "NoSchedule"), stays),
        (String::new(), "", taint("mine", "NoExecute"), never),
        (String::new(), "", taint("mine", "PreferNoSchedule"), always),
        ("tolerations: [{key: mine, value: v}],".to_owned(), "", taint("mine", "NoExecute"), always),
        ("tolerations: [{key: mine, value: w}],".to_owned(), "", taint("mine", "NoExecute"), never),
        ("tolerations: [{operator: Exists}],".to_owned(), "", taint("mine", "NoExecute"), always),
    ] {
        let node_yaml = format!("{{kind: Node, metadata: {{name: n0, labels: {{{labels}}}}}, spec: {{{node}}}}}");
        let small = Small::new(&format!("{}\n---\n{node_yaml}", set("a", "", &pod)));
        let fit = Eligibility::of(&small.get::<DaemonSet>("web")).fit(&small.get::<Node>("n0"));
        assert_eq!(fit, expected, "{pod} on {node_yaml}");
    }
}

#[test]
fn nodes_come_go_and_change() {
    let mut small = settled(2, &set("a", "", "nodeSelector: {},"));
    add_nodes(&mut small, 3);
    settle(&mut small, &DaemonSets::new());
    assert_eq!(on_nodes(&small), ["n0", "n1", "n2"]);
    let taint = |effect: &str| serde_json::from_value(json!([{"key": "mine", "effect": effect}])).unwrap();
    small.edit::<Node>("n0", |node| node.spec.get_or_insert_default().taints = taint("NoSchedule"));
    check(
        &mut small,
        &expect![[r#"
        update daemonset/status default/web currentNumberScheduled=2 desiredNumberScheduled=2 numberAvailable=2 numberMisscheduled=1 numberReady=2 updatedNumberScheduled=2
    "#]],
    );
    small.edit::<Node>("n0", |node| node.spec.get_or_insert_default().taints = taint("NoExecute"));
    check(
        &mut small,
        &expect![[r#"
        delete pod default/web-2
          event SuccessfulDelete: Deleted pod: web-2
    "#]],
    );
}

#[test]
fn a_pod_that_waits_for_a_node_that_is_gone_is_deleted() {
    let mut small = Small::new(&set("a", "", ""));
    add_nodes(&mut small, 1);
    small.step(&DaemonSets::new(), "web");
    small.world.remove(&GroupResource::of::<Node>(), &ObjectKey::new("", "n0"), small.world.revision().next());
    check(
        &mut small,
        &expect![[r#"
        delete pod default/web-2
          event SuccessfulDelete: Deleted pod: web-2
        update daemonset/status default/web desiredNumberScheduled=0 numberUnavailable=-
    "#]],
    );
}

#[test]
fn a_heartbeat_is_no_news() {
    let small = settled(1, &set("a", "", "nodeSelector: {},"));
    let mut watches = Watches::new();
    DaemonSets::new().watches(&mut watches);
    let wakes = |edit: &dyn Fn(&mut Node)| {
        let mut after = small.clone();
        after.edit::<Node>("n0", edit);
        let place = ObjectRef::of(&*small.get::<Node>("n0"));
        let mut keys = Vec::new();
        watches.keys(&change(&small.world, &after.world, &place), &after.world, &mut keys);
        !keys.is_empty()
    };
    assert!(!wakes(&|node| node.status.get_or_insert_default().phase = Some("Running".to_owned())));
    assert!(!wakes(&|node| drop(node.metadata.labels.get_or_insert_default().insert("a".into(), "b".into()))));
    let taints = json!([{"key": "mine", "effect": "NoExecute"}]);
    assert!(wakes(&|node| node.spec.get_or_insert_default().taints = serde_json::from_value(taints.clone()).unwrap()));
    let mut gone = small.clone();
    let place = ObjectRef::of(&*small.get::<Node>("n0"));
    gone.world.remove(&place.resource, &place.key, gone.world.revision().next());
    let mut keys = Vec::new();
    watches.keys(&change(&small.world, &gone.world, &place), &gone.world, &mut keys);
    assert_eq!(keys, [ObjectKey::new("default", "web")]);
}

#[test]
fn of_several_pods_the_oldest_stays() {
    let mut small = settled(1, &set("a", "", ""));
    let mut twin = (*small.world.list::<Pod>().next().unwrap()).clone();
    twin.metadata.name = Some("twin".to_owned());
    twin.metadata.uid = None;
    twin.metadata.creation_timestamp = Some(ago(-100_000));
    small.world.insert(twin).unwrap();
    assert_eq!(moves(&small.step(&DaemonSets::new(), "web")), ["delete pod default/twin"]);
}

#[test]
fn a_failed_pod_is_replaced_less_and_less_often() {
    let planner = DaemonSets::new();
    let mut small = settled(1, &set("a", "", ""));
    let mut waits = Vec::new();
    for _ in 0..4 {
        let name = pods(&small).remove(0);
        become_(&mut small, &name, json!({"phase": "Failed"}));
        let mut plan = small.plan(&planner, "web");
        if let Some(wait) = plan.requeue_after {
            assert!(plan.requests().all(|request| &*request.target.subresource == "status"), "{plan}");
            waits.push(wait);
            small.now += jiff::SignedDuration::try_from(wait).unwrap();
            plan = small.plan(&planner, "web");
        }
        let lines = small.carry_out(plan) + &small.step(&planner, "web");
        assert_eq!(moves(&lines).len(), 2, "{lines}");
        assert!(lines.contains(&format!("FailedDaemonPod: Found failed daemon pod default/{name} on node n0, will")));
    }
    assert_eq!(waits, [1, 2, 4].map(Duration::from_secs));
}

#[test]
fn a_pod_that_succeeded_is_replaced() {
    let mut small = settled(1, &set("a", "", ""));
    let name = pods(&small).remove(0);
    become_(&mut small, &name, json!({"phase": "Succeeded"}));
    check(
        &mut small,
        &expect![[r#"
        event SucceededDaemonPod: Found succeeded daemon pod default/web-2 on node n0, will try to delete it
        delete pod default/web-2
          event SuccessfulDelete: Deleted pod: web-2
        update daemonset/status default/web numberAvailable=- numberReady=0 numberUnavailable=1
    "#]],
    );
}

#[test]
fn a_rollout_replaces_as_many_as_may_be_missing() {
    for (unavailable, expected) in [("1", 1), ("2", 2), ("'40%'", 2), ("'41%'", 3), ("0", 1)] {
        let mut small = settled(5, &set("a", &rolling(unavailable, "0"), ""));
        set_image(&mut small, "b");
        assert_eq!(moves(&small.step(&DaemonSets::new(), "web")).len(), expected, "{unavailable}");
    }
}

#[test]
fn unavailable_old_pods_are_replaced_first_and_for_nothing() {
    let mut small = settled(4, &set("a", &rolling("1", "0"), ""));
    let names = pods(&small);
    run(&mut small, &names[2], false);
    run(&mut small, &names[3], false);
    set_image(&mut small, "b");
    let lines = small.step(&DaemonSets::new(), "web");
    let expected: Vec<_> = names[2..].iter().map(|name| format!("delete pod default/{name}")).collect();
    assert_eq!(moves(&lines), expected);
}

#[test]
fn a_surge_makes_the_new_before_it_takes_the_old() {
    let mut small = settled(2, &set("a", &rolling("0", "1"), ""));
    set_image(&mut small, "b");
    let planner = DaemonSets::new();
    check(
        &mut small,
        &expect![[r#"
        create controllerrevision default/web-7c4dd8bc76
        create pod default/web-*
          event SuccessfulCreate: Created pod: web-5
        update daemonset/status default/web updatedNumberScheduled=-
    "#]],
    );
    assert_eq!(moves(&small.step(&planner, "web")), [""; 0]);
    pods(&small).iter().for_each(|name| run(&mut small, name, true));
    check(
        &mut small,
        &expect![[r#"
        delete pod default/web-2
          event SuccessfulDelete: Deleted pod: web-2
    "#]],
    );
    settle(&mut small, &planner);
    assert_eq!(on_nodes(&small), ["n0", "n1"]);
}

#[test]
fn on_delete_waits_for_people() {
    let mut small = settled(2, &set("a", "updateStrategy: {type: OnDelete},", ""));
    set_image(&mut small, "b");
    let lines = settle(&mut small, &DaemonSets::new());
    assert_eq!(moves(&lines), [""; 0]);
    assert_eq!(small.get::<DaemonSet>("web").status.clone().unwrap().updated_number_scheduled, None);
}

#[test]
fn a_rollback_leaves_alone_what_was_not_touched() {
    let mut small = settled(3, &set("a", "", ""));
    let before = pods(&small);
    set_image(&mut small, "typo");
    let planner = DaemonSets::new();
    small.step(&planner, "web");
    small.step(&planner, "web");
    set_image(&mut small, "a");
    let lines = settle(&mut small, &planner);
    assert!(lines.starts_with("update controllerrevision"), "{lines}");
    assert_eq!(moves(&lines).len(), 2, "{lines}");
    assert_eq!(pods(&small).iter().filter(|name| before.contains(name)).count(), 2);
}

#[test]
fn old_revisions_are_forgotten() {
    let mut small = settled(1, &set("a", "revisionHistoryLimit: 1,", ""));
    for image in ["b", "c", "d"] {
        set_image(&mut small, image);
        settle(&mut small, &DaemonSets::new());
    }
    let mut numbers: Vec<_> = small.world.list::<ControllerRevision>().map(|revision| revision.revision).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [3, 4]);
}

#[test]
fn revisions_of_the_same_template_become_one() {
    let mut small = settled(1, &set("a", "", ""));
    let revision = (*small.world.list::<ControllerRevision>().next().unwrap()).clone();
    let mut twin = revision.clone();
    twin.metadata.name = Some("twin".to_owned());
    twin.metadata.uid = None;
    twin.metadata.labels.as_mut().unwrap().insert("controller-revision-hash".to_owned(), "twin".to_owned());
    twin.revision = 2;
    small.world.insert(twin).unwrap();
    let name = revision.metadata.name.unwrap();
    let lines = settle(&mut small, &DaemonSets::new());
    assert!(lines.contains("labels.controller-revision-hash=twin"), "{lines}");
    assert!(lines.contains(&format!("delete controllerrevision default/{name}")), "{lines}");
    assert_eq!(moves(&lines), [""; 0]);
}

#[test]
fn orphans_are_adopted_and_strays_let_go() {
    let mut small = settled(2, &set("a", "", ""));
    let names = pods(&small);
    small.edit::<Pod>(&names[0], |pod| pod.metadata.owner_references = None);
    small.edit::<Pod>(&names[1], |pod| drop(pod.metadata.labels.as_mut().unwrap().remove("app")));
    let lines = small.step(&DaemonSets::new(), "web");
    assert_eq!(lines.lines().filter(|line| line.starts_with("edit pod")).count(), 2, "{lines}");
    assert_eq!(moves(&settle(&mut small, &DaemonSets::new())).len(), 1);
}

#[test]
fn minimum_ready_seconds_are_waited_for() {
    let mut small = Small::new(&set("a", "minReadySeconds: 90,", ""));
    add_nodes(&mut small, 1);
    small.step(&DaemonSets::new(), "web");
    let name = pods(&small).remove(0);
    run(&mut small, &name, true);
    check(
        &mut small,
        &expect![[r#"
        update daemonset/status default/web currentNumberScheduled=1 numberReady=1 updatedNumberScheduled=1
        look again after 30s
    "#]],
    );
}

#[test]
fn a_refusal_is_told() {
    let mut small = Small::new(&set("a", "", ""));
    add_nodes(&mut small, 3);
    small.refuse = Some(("pods", "no more"));
    check(
        &mut small,
        &expect![[r#"
        create controllerrevision default/web-78dbf6cfb9
        create pod default/web-*
          event FailedCreate: Error creating: pods is forbidden: no more
        update daemonset/status default/web currentNumberScheduled=0 desiredNumberScheduled=3 numberMisscheduled=0 numberReady=0 numberUnavailable=3
    "#]],
    );
}

#[test]
fn a_selector_of_everything_is_refused() {
    let mut small = Small::new(&set("a", "", "").replace("{matchLabels: {app: web}}", "{}"));
    check(
        &mut small,
        &expect![[r#"
        event SelectingAll: This daemon set is selecting all pods. A non-empty selector is required.
    "#]],
    );
}

#[test]
fn a_set_that_is_being_deleted_is_left_alone() {
    let mut small = settled(1, &set("a", "", ""));
    add_nodes(&mut small, 2);
    small.edit::<DaemonSet>("web", |set| set.metadata.deletion_timestamp = Some(ago(1)));
    check(&mut small, &expect![[""]]);
}

#[test]
fn many_nodes_are_filled_in_bursts() {
    let mut small = Small::new(&set("a", "", ""));
    add_nodes(&mut small, 300);
    let planner = DaemonSets::new();
    assert_eq!(planner.name(), "daemonset-controller");
    assert_eq!(moves(&small.step(&planner, "web")).len(), 250);
    assert_eq!(moves(&small.step(&planner, "web")).len(), 50);
}
