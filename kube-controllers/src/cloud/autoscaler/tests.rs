//! Decisions of the autoscaler on small worlds, with a scheduler that counts processors only.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::World;
use coracle_core::quantity::Quantity;
use expect_test::{Expect, expect};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Node, Pod};

use super::super::{MakeWhatIf, NodeGroup, WhatIf};
use super::{AutoscalerSettings, down, up};
use crate::plan::Plan;
use crate::pods;
use crate::testing::Small;

/// Free processors by node.
struct Processors(BTreeMap<String, Quantity>);

fn amount(text: Option<&k8s_openapi::apimachinery::pkg::api::resource::Quantity>) -> Quantity {
    text.and_then(|text| Quantity::try_from(text).ok()).unwrap_or_default()
}

fn requested(pod: &Pod) -> Quantity {
    let resources = pod.spec.as_ref().unwrap().containers[0].resources.as_ref();
    amount(resources.and_then(|resources| resources.requests.as_ref()?.get("cpu")))
}

impl WhatIf for Processors {
    fn add(&mut self, node: Node) {
        let free = amount(node.status.as_ref().unwrap().allocatable.as_ref().unwrap().get("cpu"));
        self.0.insert(node.metadata.name.unwrap(), free);
    }

    fn remove(&mut self, node: &str) {
        self.0.remove(node);
    }

    fn place(&mut self, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
        let mut left = pods.to_vec();
        left.retain(|pod| match self.0.values_mut().find(|free| **free >= requested(pod)) {
            Some(free) => {
                *free -= requested(pod);
                false
            }
            None => true,
        });
        left
    }
}

fn make() -> MakeWhatIf {
    Arc::new(|world: &World| {
        let mut copy = Processors(BTreeMap::new());
        world.list::<Node>().for_each(|node| copy.add((*node).clone()));
        for pod in world.list::<Pod>() {
            if let Some(free) = copy.0.get_mut(pods::node_name(&pod)) {
                *free -= requested(&pod);
            }
        }
        Box::new(copy)
    })
}

fn node(name: &str, cpu: u32, more: &str) -> String {
    format!(
        "{{kind: Node, metadata: {{name: {name}{more}}}, status: {{allocatable: {{cpu: '{cpu}'}}, conditions: [{{type: Ready, \
         status: 'True'}}]}}}}\n---\n"
    )
}

/// A pod of a ReplicaSet; without a node it waits.
fn pod(name: &str, cpu: u32, node: &str, more: &str) -> String {
    let owner = "ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: r, controller: true}]";
    let place = if node.is_empty() { String::new() } else { format!("nodeName: {node}, ") };
    let waits = "conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]";
    let status = if node.is_empty() { waits } else { "phase: Running" };
    format!(
        "{{kind: Pod, metadata: {{name: {name}, labels: {{app: web}}, {owner}{more}}}, spec: {{{place}containers: [{{name: c, \
         resources: {{requests: {{cpu: '{cpu}'}}}}}}]}}, status: {{{status}}}}}\n---\n"
    )
}

/// A group whose machines are `name-0` and so on.
fn group(name: &str, cpu: u32, machines: usize, min: usize, max: usize) -> NodeGroup {
    let template = Small::new(&node("template", cpu, "")).get::<Node>("template");
    let machines = (0..machines).map(|number| format!("{name}-{number}")).collect();
    NodeGroup { name: name.to_owned(), min, max, machines, template: (*template).clone() }
}

fn check_growth(groups: &[NodeGroup], objects: &[String], expected: Expect) {
    let small = Small::new(&objects.concat());
    let waiting: Vec<_> = small.world.list::<Pod>().filter(|pod| super::is_waiting(pod)).collect();
    let growth = up::grow(groups, waiting, &small.world, &make());
    let mut text = format!("{:?} settled={}\n", growth.orders, growth.is_settled);
    for told in growth.tell(groups) {
        text += &format!("{} {}: {}\n", told.regarding.name.as_ref().unwrap(), told.reason, told.note);
    }
    expected.assert_eq(&text);
}

#[test]
fn the_smallest_machines_on_which_pods_fit_and_no_more_of_them_than_it_takes() {
    let groups = |machines| [group("large", 16, 0, 0, 2), group("small", 4, machines, 0, 3)];
    let waiting = |sizes: &[u32]| -> Vec<String> {
        sizes.iter().enumerate().map(|(number, cpu)| pod(&format!("p{number}"), *cpu, "", "")).collect()
    };
    check_growth(
        &groups(0),
        &[],
        expect![[r#"
        [] settled=true
    "#]],
    );
    check_growth(
        &groups(0),
        &waiting(&[2, 2, 2]),
        expect![[r#"
        [("small", 2)] settled=false
        p0 TriggeredScaleUp: pod triggered scale-up: [{small 0->2 (max: 3)}]
        p1 TriggeredScaleUp: pod triggered scale-up: [{small 0->2 (max: 3)}]
        p2 TriggeredScaleUp: pod triggered scale-up: [{small 0->2 (max: 3)}]
    "#]],
    );
    check_growth(
        &groups(0),
        &waiting(&[3, 8, 20]),
        expect![[r#"
        [("small", 1), ("large", 1)] settled=false
        p0 TriggeredScaleUp: pod triggered scale-up: [{small 0->1 (max: 3)} {large 0->1 (max: 2)}]
        p1 TriggeredScaleUp: pod triggered scale-up: [{small 0->1 (max: 3)} {large 0->1 (max: 2)}]
        p2 NotTriggerScaleUp: pod didn't trigger scale-up: 2 would not fit a new node
    "#]],
    );
    // What is coming counts; what is full does not grow.
    check_growth(
        &groups(1),
        &waiting(&[4]),
        expect![[r#"
        [] settled=false
    "#]],
    );
    check_growth(
        &groups(3),
        &waiting(&[4, 4, 4, 4]),
        expect![[r#"
        [("large", 1)] settled=false
        p3 TriggeredScaleUp: pod triggered scale-up: [{large 0->1 (max: 2)}]
    "#]],
    );
}

/// What happens, look by look, each so many seconds after the one before.
fn check_shrinking(groups: &[NodeGroup], objects: &[String], seconds: &[i64], expected: Expect) {
    let mut small = Small::new(&objects.concat());
    let mut text = String::new();
    for wait in seconds {
        small.now += SignedDuration::from_secs(*wait);
        let settings = AutoscalerSettings::default();
        let shrinking = down::shrink(groups, &small.world, &make(), &settings, small.now);
        text += &format!("after {wait}s\n");
        let mut plan = Plan::nothing();
        for told in shrinking.tell {
            plan.tell(told);
        }
        plan.together(shrinking.marks);
        plan.look_again(shrinking.look_again);
        text += &small.carry_out(plan);
        for pod in shrinking.evict {
            text += &format!("evict {}\n", pod.metadata.name.as_ref().unwrap());
        }
        for node in shrinking.end {
            text += &format!("end {}\n", node.metadata.name.as_ref().unwrap());
        }
    }
    expected.assert_eq(&text);
}

#[test]
fn empty_machines_go_after_a_while() {
    let nodes = [node("small-0", 4, ""), node("small-1", 4, "")];
    check_shrinking(
        &[group("small", 4, 2, 1, 3)],
        &nodes,
        &[0, 60, 540, 10],
        expect![[r#"
        after 0s
        edit node small-0 taints.0.effect=PreferNoSchedule taints.0.key=DeletionCandidateOfClusterAutoscaler taints.0.value=1893499200
        look again after 600s
        after 60s
        look again after 540s
        after 540s
        event ScaleDown: marked the node as toBeDeleted/unschedulable
        edit node small-0 taints.1.effect=NoSchedule taints.1.key=ToBeDeletedByClusterAutoscaler taints.1.value=1893499800
        look again after 10s
        after 10s
        event ScaleDown: node removed by cluster autoscaler
        end small-0
    "#]],
    );
    check_shrinking(
        &[group("small", 4, 2, 2, 3)],
        &nodes,
        &[0],
        expect![[r#"
        after 0s
    "#]],
    );
}

#[test]
fn light_machines_are_emptied_if_their_pods_find_room() {
    let groups = [group("small", 4, 2, 0, 3)];
    let nodes = [node("small-0", 4, ""), node("small-1", 4, "")];
    let with = |pods: &[String]| [&nodes[..], pods].concat();
    let (light, heavy) = (pod("light", 1, "small-0", ""), pod("heavy", 3, "small-1", ""));
    check_shrinking(
        &groups,
        &with(&[light.clone(), heavy.clone()]),
        &[0, 600, 10, 700],
        expect![[r#"
        after 0s
        edit node small-0 taints.0.effect=PreferNoSchedule taints.0.key=DeletionCandidateOfClusterAutoscaler taints.0.value=1893499200
        look again after 600s
        after 600s
        event ScaleDown: marked the node as toBeDeleted/unschedulable
        edit node small-0 taints.1.effect=NoSchedule taints.1.key=ToBeDeletedByClusterAutoscaler taints.1.value=1893499800
        look again after 10s
        after 10s
        look again after 10s
        evict light
        after 700s
        event ScaleDownFailed: failed to drain the node, aborting ScaleDown
        edit node small-0 taints.1.effect=- taints.1.key=- taints.1.value=-
        edit node small-0 taints.0.effect=- taints.0.key=- taints.0.value=-
    "#]],
    );
    let full = pod("heavy", 4, "small-1", "");
    check_shrinking(
        &groups,
        &with(&[light, full]),
        &[0],
        expect![[r#"
        after 0s
    "#]],
    );
    // Who must stay.
    let safe = |value: &str| format!(", annotations: {{cluster-autoscaler.kubernetes.io/safe-to-evict: '{value}'}}");
    let budget = "{kind: PodDisruptionBudget, metadata: {name: b}, spec: {selector: {matchLabels: {app: web}}}, status: {currentHealthy: 0, desiredHealthy: 0, expectedPods: 0, disruptionsAllowed: 0}}\n---\n";
    let held = [
        pod("light", 1, "small-0", &safe("false")),
        pod("light", 1, "small-0", "").replace("controller: true", "controller: false"),
        pod("light", 1, "small-0", "").replace("containers:", "volumes: [{name: v, emptyDir: {}}], containers:"),
        pod("light", 1, "small-0", "") + budget,
    ];
    for light in held {
        check_shrinking(&groups, &with(&[light, heavy.clone()]), &[0], expect![["after 0s\n"]]);
    }
    let moved = pod("light", 1, "small-0", &safe("true"))
        .replace("containers:", "volumes: [{name: v, emptyDir: {}}], containers:");
    check_shrinking(
        &groups,
        &with(&[moved, heavy]),
        &[0],
        expect![[r#"
        after 0s
        edit node small-0 taints.0.effect=PreferNoSchedule taints.0.key=DeletionCandidateOfClusterAutoscaler taints.0.value=1893499200
        look again after 600s
    "#]],
    );
}
