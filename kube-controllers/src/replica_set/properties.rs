use std::collections::BTreeMap;

use coracle_core::object::controller_of;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;
use serde_json::json;

use super::Replicas;
use super::tests::{pods, replica_set};
use crate::pods::{is_active, is_ready};
use crate::testing::{Small, ago};

/// Something happens to a pod, a pod comes from elsewhere, or pods are refused for a while.
fn disturb(small: &mut Small, choice: u64) {
    let pick = usize::try_from(choice >> 8).unwrap();
    let names: Vec<_> = small.world.list::<Pod>().map(|pod| pod.metadata.name.clone().unwrap()).collect();
    let name = names.get(pick % names.len().max(1));
    match (choice % 14, name) {
        (0, _) => {
            small.add(&pods(&format!("free-{pick} free unready")));
        }
        (1, _) => {
            small.add(&pods(&format!("foreign-{pick} foreign")));
        }
        (2, _) => small.refuse = Some(("pods", "exceeded quota")),
        (3 | 4, _) => small.refuse = None,
        (_, None) => {}
        (_, Some(name)) if small.get::<Pod>(name).metadata.deletion_timestamp.is_some() => remove(small, name),
        (5, Some(name)) => {
            small.edit::<Pod>(name, |pod| pod.metadata.labels = None);
        }
        (6, Some(name)) => become_(small, name, json!({"phase": "Failed"})),
        (7, Some(name)) => {
            small.edit::<Pod>(name, |pod| pod.metadata.deletion_timestamp = Some(ago(0)));
        }
        (8 | 9, Some(name)) => become_(small, name, running("False")),
        (_, Some(name)) => become_(small, name, running("True")),
    }
}

fn running(ready: &str) -> serde_json::Value {
    json!({"phase": "Running", "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": ago(60)}]})
}

fn become_(small: &mut Small, name: &str, status: serde_json::Value) {
    small.edit::<Pod>(name, |pod| {
        pod.spec.as_mut().unwrap().node_name = Some("one".to_owned());
        pod.status = Some(serde_json::from_value(status).unwrap());
    });
}

fn remove(small: &mut Small, name: &str) {
    let place = coracle_core::ObjectRef::of(&*small.get::<Pod>(name));
    small.world.remove(&place.resource, &place.key, small.world.revision().next());
}

fn is_own(pod: &Pod) -> bool {
    controller_of(&pod.metadata).is_some_and(|owner| owner.uid == "replicaset-web")
}

/// The ReplicaSet's own pods that count, and whether they are ready.
fn own(small: &Small) -> BTreeMap<String, bool> {
    let pods = small.world.list::<Pod>().filter(|pod| is_own(pod) && is_active(pod));
    pods.map(|pod| (pod.metadata.name.clone().unwrap(), is_ready(&pod))).collect()
}

/// Pods of other controllers, as they are.
fn foreign(small: &Small) -> Vec<Pod> {
    let pods = small.world.list::<Pod>().filter(|pod| controller_of(&pod.metadata).is_some() && !is_own(pod));
    pods.map(|pod| (*pod).clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever pods do and people ask, what others control is left alone, no ready pod goes while one that is not could, there
    /// are never more than asked for by the set's doing, and in the end there are exactly as many.
    #[test]
    fn a_set_ends_with_what_it_asks_for(
        replicas in 0..7i32, sizes in prop::collection::vec(0..7i32, 5), choices in prop::collection::vec(any::<u64>(), 0..100),
    ) {
        let planner = Replicas::<ReplicaSet>::new();
        let mut small = Small::new(&replica_set(replicas, "", ""));
        small.graceful = true;
        let (mut wanted, mut sizes) = (replicas, sizes.into_iter());
        for (index, choice) in choices.iter().enumerate() {
            if index % 20 == 10 && let Some(size) = sizes.next() {
                wanted = size;
                small.edit::<ReplicaSet>("web", |set| set.spec.as_mut().unwrap().replicas = Some(size));
            }
            disturb(&mut small, *choice);
            let (before, others) = (own(&small), foreign(&small));
            let lines = small.step(&planner, "web");
            let after = own(&small);
            prop_assert_eq!(&foreign(&small), &others, "{}", lines);
            let adopts = lines.starts_with("edit pod");
            prop_assert!(adopts || after.len() <= before.len().max(wanted as usize), "{:?} of {}: {}", after, wanted, lines);
            let lost_ready = before.iter().any(|(name, ready)| *ready && !after.contains_key(name));
            let kept_unready = after.values().any(|ready| !ready);
            prop_assert!(adopts || !lost_ready || !kept_unready, "{:?}, then {:?}: {}", before, after, lines);
        }
        (small.refuse, small.graceful) = (None, false);
        let steps = (0..20).map(|_| small.step(&planner, "web")).take_while(|lines| !lines.is_empty()).count();
        prop_assert!(steps < 20, "no end");
        prop_assert_eq!(own(&small).len(), wanted as usize);
        let status = small.get::<ReplicaSet>("web").status.clone().unwrap_or_default();
        prop_assert_eq!((status.replicas, status.conditions), (wanted, None));
    }
}
