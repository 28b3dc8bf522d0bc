//! A queue in virtual time: each step says what happens at which second, and what comes out.

use super::*;
use crate::Framework;
use crate::testing::{cluster, node, pod, pod_with};
use serde_json::json;

struct World {
    queue: Queue,
    cluster: Snapshot,
    scheduler: Framework,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

impl World {
    fn new(nodes: &[&str]) -> Self {
        let queue = Queue::new(crate::DEFAULT_SCHEDULER);
        Self { queue, cluster: cluster(nodes, &[]), scheduler: Framework::new(0) }
    }

    fn change(&mut self, seconds: i64, change: impl FnOnce(&mut Snapshot) -> Change) {
        let change = change(&mut self.cluster);
        self.queue.apply(&change, &self.scheduler, &self.cluster, at(seconds));
    }

    fn add(&mut self, seconds: i64, text: &str) {
        self.change(seconds, |cluster| cluster.set_pod(pod(text)));
    }

    fn pop(&mut self, seconds: i64) -> Option<Arc<PodInfo>> {
        self.queue.pop(at(seconds))
    }

    /// Pops a pod that must be this one, and lets it wait.
    #[track_caller]
    fn fail(&mut self, seconds: i64, name: &str, plugin: &'static str) {
        let pod = self.pop(seconds).expect("a pod is active");
        assert_eq!(pod.name(), name);
        self.queue.wait(&pod, &[plugin], &self.scheduler, &self.cluster, at(seconds));
    }

    #[track_caller]
    fn expect(&mut self, seconds: i64, names: &[&str]) {
        let popped: Vec<_> = std::iter::from_fn(|| self.pop(seconds)).collect();
        assert_eq!(popped.iter().map(|pod| pod.name()).collect::<Vec<_>>(), names);
        popped.iter().for_each(|pod| self.queue.done(pod));
    }
}

const FIT: &str = "NodeResourcesFit";

#[test]
fn the_most_important_pod_is_first_then_the_oldest() {
    let mut world = World::new(&[]);
    for (second, pod) in [(0, "a"), (1, "b priority=5"), (2, "c"), (2, "d"), (3, "e priority=5")] {
        world.add(second, pod);
    }
    world.expect(4, &["b", "e", "a", "c", "d"]);
    assert_eq!(world.queue.depth(), Depth::default());
}

#[test]
fn only_own_unbound_pods_enter_and_gated_ones_stay_out() {
    let mut world = World::new(&["n1"]);
    world.change(0, |cluster| cluster.set_pod(pod_with("other", json!({"schedulerName": "mine"}))));
    world.add(0, "bound on=n1");
    world.add(0, "ending terminating");
    world.add(0, "over phase=Failed");
    world.change(0, |cluster| cluster.set_pod(pod_with("gated", json!({"schedulingGates": [{"name": "hold"}]}))));
    assert_eq!(world.queue.depth(), Depth { gated: 1, ..Depth::default() });
    assert_eq!(world.queue.next_wakeup(), None);
    world.expect(0, &[]);
    world.add(1, "gated");
    world.expect(1, &["gated"]);
}

#[test]
fn a_pod_that_failed_waits_for_a_change_that_helps() {
    let mut world = World::new(&["n1 cpu=1"]);
    world.add(0, "p cpu=2");
    world.fail(0, "p", FIT);
    world.change(1, |cluster| cluster.set_node(node("n2 cpu=1")));
    world.change(2, |cluster| cluster.set_node(node("n1 cpu=1 zone:a")));
    world.expect(3, &[]);
    assert_eq!(world.queue.next_wakeup(), Some(at(300)));
    world.change(4, |cluster| cluster.set_node(node("n1 cpu=2")));
    world.expect(4, &["p"]);
}

#[test]
fn room_that_a_pod_leaves_wakes_those_who_fit() {
    let mut world = World::new(&["n1 cpu=2"]);
    world.add(0, "a on=n1 cpu=1");
    world.add(0, "b on=n1 cpu=1");
    for name in ["small cpu=1", "large cpu=2"] {
        world.add(0, name);
    }
    world.fail(0, "small", FIT);
    world.fail(0, "large", FIT);
    world.change(20, |cluster| cluster.remove_pod(&pod("a")));
    world.expect(20, &["small"]);
    world.change(21, |cluster| cluster.remove_pod(&pod("b")));
    world.expect(21, &["large"]);
}

#[test]
fn changes_during_a_flight_are_not_lost() {
    let mut world = World::new(&["n1 cpu=1"]);
    world.add(0, "p cpu=2");
    let flying = world.pop(0).unwrap();
    world.change(0, |cluster| cluster.set_node(node("n1 cpu=2")));
    world.queue.wait(&flying, &[FIT], &world.scheduler, &world.cluster, at(0));
    assert_eq!(world.queue.depth().backing_off, 1);
    // Nobody else is there, so it need not wait for its back-off to end.
    world.expect(0, &["p"]);
    // Only changes of this flight count.
    world.add(1, "q cpu=4");
    world.fail(1, "q", FIT);
    assert_eq!(world.queue.depth().unschedulable, 1);
}

#[test]
fn a_pod_that_asks_for_something_else_is_tried_anew() {
    let mut world = World::new(&["n1 cpu=1"]);
    world.add(0, "p cpu=2");
    world.fail(0, "p", FIT);
    // Its own condition, written by whoever let it wait, is no reason.
    world.add(1, "p cpu=2 phase=Pending");
    assert_eq!(world.queue.depth().unschedulable, 1);
    world.add(2, "p cpu=1");
    world.expect(2, &["p"]);
    // The same while in flight.
    world.add(3, "q cpu=2");
    let flying = world.pop(3).unwrap();
    world.add(3, "q cpu=1");
    world.queue.wait(&flying, &[FIT], &world.scheduler, &world.cluster, at(3));
    world.expect(3, &["q"]);
}

#[test]
fn errors_back_off_from_one_second_to_ten() {
    let mut world = World::new(&["n1"]);
    world.add(0, "p");
    let mut now = 0;
    for wait in [1, 2, 4, 8, 10, 10] {
        let flying = world.pop(now).expect("its back-off is over");
        world.queue.retry(&flying, at(now));
        assert_eq!(world.queue.next_wakeup(), Some(at(now + wait)));
        assert!(world.pop(now + wait - 1).is_none());
        now += wait;
    }
}

#[test]
fn woken_pods_back_off_unless_nobody_else_is_there() {
    let mut world = World::new(&["n1 cpu=1"]);
    world.add(0, "p cpu=2");
    world.fail(0, "p", FIT);
    world.change(0, |cluster| cluster.set_node(node("n1 cpu=2")));
    world.add(0, "q");
    world.expect(0, &["q", "p"]);
}

#[test]
fn after_five_minutes_a_pod_is_tried_whatever_happened() {
    let mut world = World::new(&["n1 cpu=1"]);
    world.add(0, "p cpu=2");
    world.fail(10, "p", FIT);
    assert_eq!(world.queue.next_wakeup(), Some(at(310)));
    world.expect(309, &[]);
    world.expect(310, &["p"]);
}

#[test]
fn pods_that_are_gone_are_forgotten_wherever_they_are() {
    let mut world = World::new(&["n1 cpu=1"]);
    for name in ["flying", "active", "waiting priority=1 cpu=2"] {
        world.add(0, name);
    }
    world.fail(0, "waiting", FIT);
    let flying = world.pop(0).unwrap();
    for name in ["flying", "active", "waiting"] {
        world.change(1, |cluster| cluster.remove_pod(&pod(name)));
    }
    assert_eq!(world.queue.depth(), Depth::default());
    world.queue.wait(&flying, &[FIT], &world.scheduler, &world.cluster, at(2));
    assert_eq!((world.queue.depth(), world.queue.next_wakeup()), (Depth::default(), None));
}
