use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;
use serde_json::json;

use super::StatefulSets;
use super::identity::ordinal;
use super::tests::{PARALLEL, become_, run, set, set_image, settle};
use crate::testing::Small;

/// Something happens to a pod: most become ready, some break, end, or are gone at last.
fn disturb(small: &mut Small, choice: u64) {
    let names: Vec<_> = small.world.list::<Pod>().map(|pod| pod.metadata.name.clone().unwrap()).collect();
    let Some(name) = names.get(usize::try_from(choice >> 8).unwrap() % names.len().max(1)) else { return };
    if small.get::<Pod>(name).metadata.deletion_timestamp.is_some() {
        return remove(small, name);
    }
    match choice % 9 {
        0 => run(small, name, false),
        1 => become_(small, name, json!({"phase": "Failed"})),
        _ => run(small, name, true),
    }
}

fn remove(small: &mut Small, name: &str) {
    let place = coracle_core::ObjectRef::of(&*small.get::<Pod>(name));
    small.world.remove(&place.resource, &place.key, small.world.revision().next());
}

fn is_serving(pod: &Pod) -> bool {
    crate::pods::is_ready(pod) && crate::pods::is_active(pod)
}

fn serving(small: &Small) -> Vec<i64> {
    let set = small.get::<StatefulSet>("web");
    let pods = small.world.list::<Pod>().filter(|pod| is_serving(pod));
    pods.filter_map(|pod| ordinal(&set, &pod.metadata)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever pods do and people ask, there is one pod per ordinal, ordered pods come in order, no more are unavailable
    /// than may be, and everything ends: in the new revision or, after a rollback, in the former.
    #[test]
    fn every_rollout_keeps_its_bounds_and_ends(
        replicas in 0..6i32, max in 1..4i32, parallel: bool, sizes in prop::collection::vec(0..6i32, 4),
        choices in prop::collection::vec(any::<u64>(), 0..80),
    ) {
        let policy = if parallel { PARALLEL } else { "" };
        let strategy = format!("{policy} updateStrategy: {{rollingUpdate: {{maxUnavailable: {max}}}}},");
        let mut small = Small::new(&set(replicas, "a", &strategy));
        small.graceful = true;
        let mut images = ["b", "c", "a", "b"].iter().zip(sizes);
        let mut wanted = replicas;
        for (index, choice) in choices.iter().enumerate() {
            if index % 20 == 15 && let Some((image, size)) = images.next() {
                set_image(&mut small, image);
                wanted = size;
                small.edit::<StatefulSet>("web", |set| set.spec.as_mut().unwrap().replicas = Some(size));
            }
            disturb(&mut small, *choice);
            let before = serving(&small);
            let lines = small.step(&StatefulSets, "web");
            // A second pod of a name is refused by the test's world, and so ends in an event.
            prop_assert!(!lines.contains("Failed"), "{}", lines);
            if !parallel {
                for line in lines.lines().filter_map(|line| line.strip_prefix("create pod default/web-")) {
                    let created: i64 = line.split(' ').next().unwrap().parse().unwrap();
                    prop_assert!((0..created).all(|lower| before.contains(&lower)), "{} after {:?}", line, before);
                }
                let moves = lines.lines().filter(|line| line.starts_with("create pod")).count();
                prop_assert!(moves <= 1, "{}", lines);
            }
            let range = 0..i64::from(wanted);
            let lost = before.iter().filter(|ordinal| range.contains(ordinal) && !serving(&small).contains(ordinal));
            let down = i64::from(wanted) - before.iter().filter(|ordinal| range.contains(ordinal)).count() as i64;
            let lost = lost.count() as i64;
            prop_assert!(lost == 0 || lost + down <= i64::from(max), "{} lost, {} down before", lost, down);
        }
        small.graceful = false;
        let leaving = small.world.list::<Pod>().filter(|pod| pod.metadata.deletion_timestamp.is_some());
        let leaving: Vec<_> = leaving.map(|pod| pod.metadata.name.clone().unwrap()).collect();
        leaving.iter().for_each(|name| remove(&mut small, name));
        settle(&mut small);
        let status = small.get::<StatefulSet>("web").status.clone().unwrap();
        prop_assert_eq!(status.replicas, wanted);
        prop_assert_eq!(status.updated_replicas.unwrap_or(0), wanted);
        prop_assert_eq!(status.available_replicas.unwrap_or(0), wanted);
        prop_assert_eq!(&status.current_revision, &status.update_revision);
        let present = small.get::<ControllerRevision>(status.update_revision.as_deref().unwrap());
        let newest = small.world.list::<ControllerRevision>().map(|revision| revision.revision).max();
        prop_assert_eq!(Some(present.revision), newest);
    }
}
