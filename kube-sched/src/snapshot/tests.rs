use super::*;
use crate::testing::{cluster, node, pod};

fn used(cluster: &Snapshot, name: &str) -> (i64, usize) {
    let node = cluster.node(cluster.index_of(name).unwrap()).unwrap();
    (node.requested.milli_cpu, node.pods().len())
}

#[test]
fn an_assumed_pod_counts_once_when_its_binding_is_seen() {
    let mut cluster = cluster(&["n1"], &[]);
    let Change::Waiting(waiting) = cluster.set_pod(pod("p cpu=1")) else { panic!() };
    assert!(cluster.assume(&waiting, "n1"));
    assert!(!cluster.assume(&waiting, "n1"));
    assert_eq!(used(&cluster, "n1"), (1000, 1));
    // An older event about the unbound pod is no news, and puts nobody back into a queue.
    assert!(matches!(cluster.set_pod(pod("p cpu=1 app:web")), Change::Nothing));
    assert!(matches!(cluster.set_pod(pod("p cpu=1 on=n1")), Change::Bound(..)));
    assert!(matches!(cluster.set_pod(pod("p cpu=1 on=n1 phase=Running")), Change::Nothing));
    assert_eq!(used(&cluster, "n1"), (1000, 1));
    assert!(matches!(cluster.forget(&waiting), Change::Nothing));
    assert_eq!(used(&cluster, "n1"), (1000, 1));
}

#[test]
fn a_forgotten_pod_leaves_room_and_may_go_elsewhere() {
    let mut cluster = cluster(&["n1", "n2"], &[]);
    let waiting = cluster.read(pod("p cpu=1"));
    assert!(!cluster.assume(&waiting, "n3"));
    assert!(cluster.assume(&waiting, "n1"));
    assert!(matches!(cluster.forget(&waiting), Change::Freed(..)));
    assert_eq!(used(&cluster, "n1"), (0, 0));
    cluster.assume(&waiting, "n1");
    cluster.set_pod(pod("p cpu=1 on=n2"));
    assert_eq!((used(&cluster, "n1"), used(&cluster, "n2")), ((0, 0), (1000, 1)));
}

#[test]
fn pods_that_are_over_or_deleted_hold_nothing() {
    let mut cluster =
        cluster(&["n1"], &[pod("a on=n1 cpu=1 port=80"), pod("b on=n1 cpu=1"), pod("c on=n1 phase=Failed")]);
    assert_eq!(used(&cluster, "n1"), (2000, 2));
    assert!(matches!(cluster.set_pod(pod("a on=n1 cpu=1 port=80 phase=Succeeded")), Change::Freed(..)));
    assert!(matches!(cluster.set_pod(pod("a on=n1 cpu=1 port=80 phase=Succeeded")), Change::Gone(_)));
    assert!(cluster.node(0).unwrap().host_ports.is_empty());
    // A terminating pod still runs.
    cluster.set_pod(pod("b on=n1 cpu=1 terminating"));
    assert_eq!(used(&cluster, "n1"), (1000, 1));
    assert!(matches!(cluster.remove_pod(&pod("b on=n1 cpu=1")), Change::Freed(..)));
    assert_eq!(used(&cluster, "n1"), (0, 0));
}

#[test]
fn a_pod_that_shrinks_in_place_leaves_room() {
    let mut cluster = cluster(&["n1"], &[pod("a on=n1 cpu=2")]);
    assert!(matches!(cluster.set_pod(pod("a on=n1 cpu=1")), Change::Freed(..)));
    assert_eq!(used(&cluster, "n1"), (1000, 1));
}

#[test]
fn pods_may_come_before_their_node_and_outlive_it() {
    let mut cluster = cluster(&[], &[pod("a on=n1 cpu=1")]);
    assert_eq!(cluster.node_count(), 0);
    cluster.set_node(node("n1"));
    assert_eq!(used(&cluster, "n1"), (1000, 1));
    cluster.remove_node("n1");
    assert_eq!((cluster.node_count(), cluster.index_of("n1")), (0, None));
    cluster.set_node(node("n1"));
    assert_eq!(used(&cluster, "n1"), (1000, 1));
    cluster.remove_node("n1");
    cluster.remove_pod(&pod("a on=n1"));
    // Its place is free now.
    cluster.set_node(node("n2"));
    assert_eq!((cluster.places(), cluster.index_of("n2")), (1, Some(0)));
}

#[test]
fn only_what_matters_to_scheduling_is_a_change_of_a_node() {
    let mut cluster = cluster(&["n1"], &[]);
    let before = cluster.now();
    let mut heartbeat = (*node("n1")).clone();
    heartbeat.status.as_mut().unwrap().phase = Some("Running".to_owned());
    assert!(matches!(cluster.set_node(heartbeat.into()), Change::Nothing));
    assert_eq!(cluster.now(), before);
    for text in ["n1 zone:a", "n1 zone:a closed", "n1 closed taint:a:NoSchedule", "n1 cpu=8"] {
        assert!(matches!(cluster.set_node(node(text)), Change::Node(0)), "{text}");
    }
}

#[test]
fn events_of_the_feed_and_a_whole_world_are_taken_in() {
    use coracle_core::{Kinds, Revision};
    let mut world = World::new(Kinds::builtin());
    world.insert((*node("n1")).clone()).unwrap();
    world.insert((*pod("a on=n1 cpu=1")).clone()).unwrap();
    let object = world.insert((*pod("p cpu=1")).clone()).unwrap();
    let mut cluster = Snapshot::new();
    let waiting = cluster.load(&world);
    assert_eq!(waiting.iter().map(|pod| pod.name()).collect::<Vec<_>>(), ["p"]);
    assert_eq!(used(&cluster, "n1"), (1000, 1));
    let event = |deleted| Event { revision: Revision(9), object: object.clone(), previous: None, deleted };
    assert!(matches!(cluster.apply(&event(false)), Change::Waiting(_)));
    assert!(matches!(cluster.apply(&event(true)), Change::Gone(_)));
}
