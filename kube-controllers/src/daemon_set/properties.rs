use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use proptest::prelude::*;
use serde_json::json;

use super::DaemonSets;
use super::daemon::target;
use super::eligible::Eligibility;
use super::tests::{add_nodes, become_, pods, rolling, run, set, set_image, settle};
use crate::testing::Small;

/// Something happens to a pod or a node.
fn disturb(small: &mut Small, choice: u64) {
    let pick = usize::try_from(choice >> 8).unwrap();
    let names = pods(small);
    match (choice % 11, names.get(pick % names.len().max(1))) {
        (0, _) => taint(small, pick, true),
        (1, _) => taint(small, pick, false),
        (_, None) => {}
        (_, Some(name)) if small.get::<Pod>(name).metadata.deletion_timestamp.is_some() => remove(small, name),
        (2, Some(name)) => run(small, name, false),
        (3, Some(name)) => become_(small, name, json!({"phase": "Failed"})),
        (_, Some(name)) => run(small, name, true),
    }
}

fn taint(small: &mut Small, pick: usize, tainted: bool) {
    let taints = tainted.then(|| serde_json::from_value(json!([{"key": "mine", "effect": "NoSchedule"}])).unwrap());
    let count = small.world.list::<Node>().count();
    small.edit::<Node>(&format!("n{}", pick % count), |node| node.spec.get_or_insert_default().taints = taints);
}

fn remove(small: &mut Small, name: &str) {
    let place = coracle_core::ObjectRef::of(&*small.get::<Pod>(name));
    small.world.remove(&place.resource, &place.key, small.world.revision().next());
}

/// Pods that count by node, and whether one of them serves.
fn by_node(small: &Small) -> BTreeMap<String, (usize, bool)> {
    let mut nodes = BTreeMap::new();
    for pod in small.world.list::<Pod>().filter(|pod| crate::pods::is_active(pod)) {
        let entry: &mut (usize, bool) = nodes.entry(target(&pod).unwrap().to_owned()).or_default();
        entry.0 += 1;
        entry.1 |= crate::pods::is_ready(&pod);
    }
    nodes
}

fn wanted(small: &Small) -> Vec<String> {
    let set = small.get::<DaemonSet>("web");
    let eligibility = Eligibility::of(&set);
    let nodes = small.world.list::<Node>().filter(|node| eligibility.fit(node).runs);
    nodes.map(|node| node.metadata.name.clone().unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever pods and nodes do, no node has two pods (but for surge), no more nodes are without than may be, and in the
    /// end every node that fits has one pod of the newest revision.
    #[test]
    fn every_rollout_keeps_its_bounds_and_covers_all(
        nodes in 1..7usize, unavailable in 0..4usize, surge in 0..4usize, choices in prop::collection::vec(any::<u64>(), 0..80),
    ) {
        let mut small = Small::new(&set("a", &rolling(&unavailable.to_string(), &surge.to_string()), ""));
        small.graceful = true;
        add_nodes(&mut small, nodes);
        let planner = DaemonSets::new();
        let mut images = ["b", "a", "c"].iter();
        let unavailable_max = if surge == 0 { unavailable.max(1) } else { unavailable };
        for (index, choice) in choices.iter().enumerate() {
            if index % 25 == 20 && let Some(image) = images.next() {
                set_image(&mut small, image);
            }
            disturb(&mut small, *choice);
            small.now += jiff::SignedDuration::from_secs(1);
            let before = by_node(&small);
            small.step(&planner, "web");
            let after = by_node(&small);
            let most = if surge == 0 { 1 } else { 2 };
            prop_assert!(after.values().all(|(count, _)| *count <= most), "{:?}", after);
            let serves = |nodes: &BTreeMap<String, (usize, bool)>, node: &String| nodes.get(node).is_some_and(|it| it.1);
            let wanted = wanted(&small);
            let served = wanted.iter().filter(|node| serves(&before, node)).count();
            let lost = wanted.iter().filter(|node| serves(&before, node) && !serves(&after, node)).count();
            let down = wanted.len() - served;
            prop_assert!(lost == 0 || (surge == 0 && lost + down <= unavailable_max), "{} lost, {} down before", lost, down);
            let doubled = |nodes: &BTreeMap<String, (usize, bool)>| nodes.values().filter(|it| it.0 == 2 && it.1).count();
            prop_assert!(doubled(&after) <= surge.max(doubled(&before)), "{:?}", after);
        }
        small.graceful = false;
        let leaving = small.world.list::<Pod>().filter(|pod| pod.metadata.deletion_timestamp.is_some());
        let leaving: Vec<_> = leaving.map(|pod| pod.metadata.name.clone().unwrap()).collect();
        leaving.iter().for_each(|name| remove(&mut small, name));
        settle(&mut small, &planner);
        let status = small.get::<DaemonSet>("web").status.clone().unwrap();
        let wanted = wanted(&small);
        let count = i32::try_from(wanted.len()).unwrap();
        prop_assert_eq!(status.desired_number_scheduled, count);
        prop_assert_eq!(status.number_available.unwrap_or(0), count);
        prop_assert_eq!(status.updated_number_scheduled.unwrap_or(0), count);
        let covered = by_node(&small);
        prop_assert!(wanted.iter().all(|node| covered.get(node) == Some(&(1, true))), "{:?}", covered);
    }
}
