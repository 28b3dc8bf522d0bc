//! The whole ring: what must hold whatever happens.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::{Kinds, World};
use jiff::Timestamp;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use proptest::prelude::*;
use serde_json::json;

use crate::plugins::Filter;
use crate::queue::Depth;
use crate::testing::{cluster, node, pod, pod_with};
use crate::*;

fn decide(framework: &mut Framework, cluster: &mut Snapshot, asks: &str) -> Decision {
    let asking = cluster.read(pod(asks));
    framework.schedule(&asking, cluster)
}

#[track_caller]
fn waits(nodes: &[&str], placed: &[&str], asks: Arc<k8s_openapi::api::core::v1::Pod>, expected: &str) {
    let placed: Vec<_> = placed.iter().map(|text| pod(text)).collect();
    let mut cluster = cluster(nodes, &placed);
    let asking = cluster.read(asks);
    let decision = Framework::new(0).schedule(&asking, &cluster);
    let Decision::Wait(why) = decision else { panic!("{decision:?}") };
    assert_eq!(why.to_string(), expected);
}

#[test]
fn a_pod_that_fits_nowhere_hears_why_in_upstream_s_words() {
    waits(
        &["n1 taint:a:NoSchedule", "n2 cpu=1", "n3 cpu=1", "n4 cpu=8", "n5 zone:b"],
        &["a on=n4 cpu=7"],
        pod_with("p cpu=2", json!({"nodeSelector": {"kubernetes.io/hostname": "n4"}, "tolerations": []})),
        "0/5 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), 3 node(s) didn't match Pod's node \
         affinity/selector. no new claims to deallocate, preemption: 0/5 nodes are available: 1 No preemption victims found \
         for incoming pod, 4 Preemption is not helpful for scheduling.",
    );
    waits(&[], &[], pod("p"), "no nodes available to schedule pods");
    let named = |values: serde_json::Value| {
        let fields: Vec<_> = values
            .as_array()
            .unwrap()
            .iter()
            .map(|names| json!({"key": "metadata.name", "operator": "In", "values": names}))
            .collect();
        let terms = json!({"nodeSelectorTerms": [{"matchFields": fields}]});
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}})
    };
    waits(
        &["n1", "n2 cpu=1", "n3"],
        &[],
        pod_with("p cpu=2", named(json!([["n2"]]))),
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. no new claims to \
         deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    );
    waits(
        &["n1", "n2"],
        &[],
        pod_with("p", named(json!([["n1"], ["n2"]]))),
        "0/2 nodes are available: pod affinity terms conflict. no new claims to deallocate, preemption: 0/2 nodes are \
         available: 2 Preemption is not helpful for scheduling.",
    );
}

#[test]
fn the_best_node_wins_and_ties_are_drawn_by_lot() {
    let mut cluster = cluster(&["n1", "n2", "n3"], &[pod("a on=n1 cpu=1 memory=1Gi")]);
    let mut framework = Framework::new(7);
    let mut wins = BTreeMap::<String, usize>::new();
    for _ in 0..600 {
        let Decision::Bind { node } = decide(&mut framework, &mut cluster, "p cpu=1 memory=8Gi") else { panic!() };
        *wins.entry(node.to_string()).or_default() += 1;
    }
    assert_eq!(wins.keys().collect::<Vec<_>>(), ["n2", "n3"]);
    assert!(wins.values().all(|wins| (200..400).contains(wins)), "{wins:?}");
}

#[test]
fn sampling_looks_at_as_many_nodes_as_upstream_and_goes_round() {
    for (sampling, nodes, enough) in [
        (Sampling::All, 5000, 5000),
        (Sampling::Adaptive, 99, 99),
        (Sampling::Adaptive, 1000, 420),
        (Sampling::Adaptive, 5000, 500),
        (Sampling::Adaptive, 6000, 300),
        (Sampling::Adaptive, 10_000, 500),
        (Sampling::Percent(40), 6000, 2400),
        (Sampling::Percent(1), 200, 100),
    ] {
        assert_eq!(sampling.enough(nodes), enough, "{sampling:?} of {nodes}");
    }
    let names: Vec<_> = (0..200).map(|index| format!("n{index}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut cluster = cluster(&names, &[]);
    let mut framework = Framework::new(0).sampling(Sampling::Percent(50));
    for first in [0, 100, 0] {
        let Decision::Bind { node } = decide(&mut framework, &mut cluster, "p cpu=1") else { panic!() };
        let index: usize = node[1..].parse().unwrap();
        assert!((first..first + 100).contains(&index), "{node}");
    }
}

#[test]
fn preemption_costs_the_least_it_can() {
    #[track_caller]
    fn check(placed: &[&str], asks: &str, expected: Option<(&str, &[&str])>) {
        let placed: Vec<_> = placed.iter().map(|text| pod(text)).collect();
        let mut cluster = cluster(&["n1 cpu=4", "n2 cpu=4"], &placed);
        let decision = decide(&mut Framework::new(0), &mut cluster, asks);
        let found = match &decision {
            Decision::Preempt { node, victims, .. } => {
                Some((&**node, victims.iter().map(|victim| victim.name()).collect::<Vec<_>>()))
            }
            _ => None,
        };
        assert_eq!(found, expected.map(|(node, victims)| (node, victims.to_vec())), "{decision:?}");
    }
    // Nobody is less important.
    check(&["a on=n1 cpu=4 priority=5", "b on=n2 cpu=4 priority=5"], "p cpu=1 priority=5", None);
    // The least important victim, then the fewest.
    check(&["a on=n1 cpu=4 priority=2", "b on=n2 cpu=4 priority=1"], "p cpu=1 priority=5", Some(("n2", &["b"])));
    check(&["a on=n1 cpu=2", "b on=n1 cpu=2", "c on=n2 cpu=4"], "p cpu=4 priority=5", Some(("n2", &["c"])));
    // Those who can stay do, the more important first.
    check(
        &["a on=n1 cpu=2 priority=1", "b on=n1 cpu=2", "c on=n2 cpu=4 priority=9"],
        "p cpu=2 priority=5",
        Some(("n1", &["b"])),
    );
    // No use if the node is too small anyway.
    check(&["a on=n1 cpu=4", "b on=n2 cpu=4"], "p cpu=5 priority=5", None);
}

#[test]
fn a_cleared_node_is_kept_for_whom_it_was_cleared() {
    #[track_caller]
    fn check(pods: &[&str], asks: &str, expected: &str) {
        let pods: Vec<_> = pods.iter().map(|text| pod(text)).collect();
        let mut cluster = cluster(&["n1 cpu=4", "n2 cpu=4"], &pods);
        let decision = match decide(&mut Framework::new(0), &mut cluster, asks) {
            Decision::Bind { node } => format!("bind {node}"),
            Decision::Wait(why) => format!("wait: {why}"),
            Decision::Preempt { node, victims, .. } => {
                let victims: Vec<_> = victims.iter().map(|victim| victim.name()).collect();
                format!("preempt {} on {node}", victims.join(" "))
            }
        };
        assert!(decision.starts_with(expected), "{decision}");
    }
    let full = "a on=n2 cpu=4 priority=9";
    let expected = "big cpu=3 priority=5 nominated=n1";
    check(&[full], "p cpu=2", "bind n1");
    check(&[full, expected], "p cpu=2", "wait: 0/2 nodes are available: 2 Insufficient cpu.");
    check(&[full, expected], "p cpu=1", "bind n1");
    check(&[full, expected], "p cpu=2 priority=5", "wait");
    check(&[full, expected], "p cpu=2 priority=6", "bind n1");
    check(&[full, expected], "big cpu=3 priority=5 nominated=n1", "bind n1");
    check(&["a on=n2 cpu=1", expected], "p cpu=2", "bind n2");
    // Who comes takes the place of nobody, and who is gone keeps nothing.
    check(&[full, expected, "big cpu=3 priority=5 on=n1"], "p cpu=2", "wait");
    check(&[full, expected, "big cpu=3 priority=5 terminating"], "p cpu=2", "bind n1");
    check(&[full, expected, "big cpu=3 priority=5"], "p cpu=2", "bind n1");
    // Room is made beside those who are expected, not in their place.
    check(&[full, expected, "b on=n1 cpu=1"], "p cpu=1 priority=3", "preempt b on n1");
    check(&[full, expected, "b on=n1 cpu=1"], "p cpu=2 priority=3", "wait");
}

#[test]
fn who_makes_room_on_a_node_moves_the_less_important_aside() {
    let mut cluster = cluster(&["n1 cpu=4"], &[]);
    let (small, big) = (cluster.read(pod("small cpu=3 priority=1")), cluster.read(pod("big cpu=3 priority=2")));
    let node = cluster.nodes().next().unwrap().1.name().clone();
    assert!(cluster.nominate(&small, &node).is_empty());
    // A version from before it was written down takes nothing back.
    cluster.set_pod(pod("small cpu=3 priority=1"));
    assert!(cluster.nominated_node_of(&small).is_some());
    let aside = cluster.nominate(&big, &node);
    assert_eq!(aside.iter().map(|pod| pod.name()).collect::<Vec<_>>(), ["small"]);
    assert!(cluster.nominated_node_of(&small).is_none() && cluster.nominated_node_of(&big).is_some());
    // Its binding fails: it is expected still if it says so itself.
    let noted = cluster.read(pod("big cpu=3 priority=2 nominated=n1"));
    assert!(cluster.assume(&noted, "n1") && cluster.nominated_node_of(&noted).is_none());
    cluster.forget(&noted);
    assert!(cluster.nominated_node_of(&noted).is_some());
}

#[test]
fn preemption_breaks_as_few_budgets_as_it_can() {
    #[track_caller]
    fn check(placed: &[&str], budgets: &[(&str, i32)], asks: &str, expected: (&str, &[&str])) {
        let mut world = World::new(Kinds::builtin());
        for text in ["n1 cpu=4", "n2 cpu=4"] {
            world.insert((*node(text)).clone()).unwrap();
        }
        for text in placed {
            world.insert((*pod(text)).clone()).unwrap();
        }
        for (app, allowed) in budgets {
            let selector = if app.is_empty() { json!({}) } else { json!({"matchLabels": {"app": app}}) };
            let budget = json!({
                "metadata": {"namespace": "default", "name": format!("b{app}"), "uid": app},
                "spec": {"selector": selector},
                "status": {"disruptionsAllowed": allowed, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0,
                    "disruptedPods": {"gone": "2026-01-01T00:00:00Z"}},
            });
            world.insert::<PodDisruptionBudget>(serde_json::from_value(budget).unwrap()).unwrap();
        }
        let mut cluster = Snapshot::new();
        cluster.load(&world);
        let decision = decide(&mut Framework::new(0), &mut cluster, asks);
        let Decision::Preempt { node, victims, .. } = decision else { panic!("{decision:?}") };
        let mut names: Vec<_> = victims.iter().map(|victim| victim.name()).collect();
        names.sort_unstable();
        assert_eq!((&*node, &*names), expected);
    }
    let (one, two) = ("a on=n1 cpu=4 app:web", "b on=n2 cpu=4 app:db priority=1");
    check(&[one, two], &[], "p cpu=1 priority=5", ("n1", &["a"]));
    check(&[one, two], &[("web", 0)], "p cpu=1 priority=5", ("n2", &["b"]));
    check(&[one, two], &[("web", 1)], "p cpu=1 priority=5", ("n1", &["a"]));
    // If both are protected, the less important one goes; an empty selector protects nobody.
    check(&[one, two], &[("web", 0), ("db", 0)], "p cpu=1 priority=5", ("n1", &["a"]));
    check(&[one, two], &[("", 0)], "p cpu=1 priority=5", ("n1", &["a"]));
    // On one node, who is protected stays, even before the more important.
    let apart = ["a on=n1 cpu=2 app:web", "b on=n1 cpu=2 priority=1", "c on=n2 cpu=4 priority=9"];
    check(&apart, &[("web", 0)], "p cpu=2 priority=5", ("n1", &["b"]));
    check(&apart, &[("web", 1)], "p cpu=2 priority=5", ("n1", &["a"]));
    // A budget of one is spent on the first of two.
    let pair = ["a on=n1 cpu=2 app:web", "b on=n1 cpu=2 app:web", "c on=n2 cpu=4 priority=1"];
    check(&pair, &[("web", 1)], "p cpu=4 priority=5", ("n2", &["c"]));
    check(&pair, &[("web", 2)], "p cpu=4 priority=5", ("n1", &["a", "b"]));
    // One whose eviction was allowed before is counted already.
    check(&["gone on=n1 cpu=4 app:web", two], &[("web", 0)], "p cpu=1 priority=5", ("n1", &["gone"]));
}

#[test]
fn explanations_are_for_people() {
    let mut cluster = cluster(&["n1 cpu=4 memory=4Gi", "n2 cpu=1 taint:a:NoSchedule"], &[]);
    let asking = cluster.read(pod("p cpu=2 memory=1Gi"));
    expect_test::expect![[r"
        default/p: 1 of 2 nodes take it
          n1: 430 = TaintToleration 3x100 + NodeResourcesFit 1x62 + NodeResourcesBalancedAllocation 1x68
          n2: TaintToleration: node(s) had untolerated taint(s); NodeResourcesFit: Insufficient cpu
    "]]
    .assert_eq(&explain(&Framework::new(0), &asking, &cluster).to_string());
}

/// One thing that happens to a small cluster.
#[derive(Clone, Debug)]
enum Step {
    Node(usize, &'static str),
    NodeGone(usize),
    Pod(usize),
    PodGone(usize),
    BindingFails,
}

const NODE_LOOKS: [&str; 8] = [
    "cpu=2 memory=2Gi",
    "cpu=4 memory=4Gi pods=2 zone:a",
    "cpu=1 memory=8Gi taint:a:PreferNoSchedule",
    "cpu=4 memory=1Gi taint:a:NoSchedule zone:b",
    "cpu=8 memory=8Gi closed",
    "cpu=3 memory=3Gi image:web:1=500 zone:a",
    "cpu=3 memory=3Gi image:web:1=900 zone:b taint:b:PreferNoSchedule",
    "cpu=2 memory=4Gi pods=3",
];

fn asks(shape: usize, name: &str) -> Arc<k8s_openapi::api::core::v1::Pod> {
    let prefers_zone = json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 7, "preference": {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}},
        {"weight": 3, "preference": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}}]}}});
    let apart = json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "apart"}}}]}}});
    match shape {
        0 => pod(&format!("{name} cpu=500m memory=500Mi")),
        1 => pod(&format!("{name} cpu=1 memory=100Mi port=80")),
        2 => pod_with(&format!("{name} cpu=300m memory=1Gi image=web:1"), prefers_zone),
        3 => pod_with(&format!("{name} memory=1500Mi"), json!({"tolerations": [{"key": "a", "operator": "Exists"}]})),
        4 => pod_with(&format!("{name} cpu=2 memory=1Gi"), json!({"nodeSelector": {"zone": "a"}})),
        5 => pod_with(&format!("{name} cpu=100m app:apart"), apart),
        _ => pod(name),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let look = (0..NODE_LOOKS.len()).prop_map(|index| NODE_LOOKS[index]);
    let step = prop_oneof![
        3 => (0..6usize, look).prop_map(|(node, look)| Step::Node(node, look)),
        1 => (0..6usize).prop_map(Step::NodeGone),
        8 => (0..7usize).prop_map(Step::Pod),
        3 => (0..40usize).prop_map(Step::PodGone),
        1 => Just(Step::BindingFails),
    ];
    prop::collection::vec(step, 1..80)
}

/// A driver without I/O: pods are bound at once, or fail to be.
struct Ring {
    queue: Queue,
    cluster: Snapshot,
    scheduler: Framework,
    now: Timestamp,
    fail_next: bool,
    names: Vec<String>,
}

impl Ring {
    fn new() -> Self {
        let (queue, scheduler) = (Queue::new(DEFAULT_SCHEDULER), Framework::new(1).without_preemption());
        let (cluster, now) = (Snapshot::new(), Timestamp::UNIX_EPOCH);
        Self { queue, cluster, scheduler, now, fail_next: false, names: Vec::new() }
    }

    fn step(&mut self, step: &Step) {
        let change = match step {
            Step::Node(index, look) => self.cluster.set_node(node(&format!("n{index} {look}"))),
            Step::NodeGone(index) => self.cluster.remove_node(&format!("n{index}")),
            Step::Pod(shape) => {
                self.names.push(format!("p{}", self.names.len()));
                self.cluster.set_pod(asks(*shape, self.names.last().unwrap()))
            }
            Step::PodGone(index) => self.cluster.remove_pod(&pod(&format!("p{index}"))),
            Step::BindingFails => {
                self.fail_next = true;
                Change::Nothing
            }
        };
        self.apply(&change);
    }

    fn apply(&mut self, change: &Change) {
        self.queue.apply(change, &self.scheduler, &self.cluster, self.now);
    }

    /// Places whoever can be placed, as long as it takes; checks each decision against the plain evaluation.
    fn settle(&mut self) {
        for _ in 0..2000 {
            let Some(pod) = self.queue.pop(self.now) else {
                match self.queue.depth() {
                    Depth { active: 0, backing_off: 0, .. } => return,
                    _ => self.now = self.queue.next_wakeup().unwrap().max(self.now),
                }
                continue;
            };
            let totals = self.scheduler.plain_totals(&pod, &self.cluster);
            let best: Vec<_> = totals.iter().filter(|(_, total)| Some(*total) == totals.values().max()).collect();
            match self.scheduler.schedule(&pod, &self.cluster) {
                Decision::Bind { node } => {
                    let index = self.cluster.index_of(&node).unwrap();
                    assert!(best.iter().any(|(best, _)| **best == index), "{node} is not among the best: {totals:?}");
                    self.bind(&pod, &node);
                }
                Decision::Wait(why) => {
                    assert!(totals.is_empty(), "{} could go to {totals:?}, but: {why}", pod.name());
                    let plugins = why.plugins();
                    self.queue.wait(&pod, &plugins, &self.scheduler, &self.cluster, self.now);
                }
                Decision::Preempt { .. } => unreachable!("it does not preempt"),
            }
        }
        panic!("it never settles");
    }

    fn bind(&mut self, pod: &Arc<PodInfo>, node: &str) {
        assert!(self.cluster.assume(pod, node));
        if std::mem::take(&mut self.fail_next) {
            let change = self.cluster.forget(pod);
            self.apply(&change);
            self.queue.retry(pod, self.now);
            return;
        }
        let mut bound = (*pod.pod).clone();
        bound.spec.as_mut().unwrap().node_name = Some(node.to_owned());
        let change = self.cluster.set_pod(Arc::new(bound));
        self.apply(&change);
        self.queue.done(pod);
    }

    fn check(&self) {
        for (_, node) in self.cluster.nodes() {
            let mut sum = resources::Resources::default();
            node.pods().iter().for_each(|pod| sum.add(&pod.shape.request, 1));
            assert_eq!((sum.milli_cpu, sum.memory_bytes), (node.requested.milli_cpu, node.requested.memory_bytes));
            let ports = &node.host_ports;
            let distinct = |at: usize| ports[at + 1..].iter().all(|other| !other.collides(&ports[at]));
            assert!((0..ports.len()).all(distinct), "{} gives a port twice", node.name());
        }
    }

    /// Nobody who waits would be taken by any node.
    fn check_nobody_waits_in_vain(&self) {
        for name in &self.names {
            let Some(pod) = self.queue.get(name) else { continue };
            assert!(self.scheduler.plain_totals(pod, &self.cluster).is_empty(), "{name} waits, but fits");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decisions_equal_the_plain_evaluation_and_nobody_waits_in_vain(steps in steps()) {
        let mut ring = Ring::new();
        for step in &steps {
            ring.step(step);
            ring.settle();
            ring.check();
            ring.check_nobody_waits_in_vain();
        }
    }

    #[test]
    fn no_node_gets_more_than_it_has(pods in prop::collection::vec(0..7usize, 1..60)) {
        let mut ring = Ring::new();
        (0..6).for_each(|index| ring.step(&Step::Node(index, NODE_LOOKS[index])));
        pods.into_iter().for_each(|shape| ring.step(&Step::Pod(shape)));
        ring.settle();
        ring.check();
        for (_, node) in ring.cluster.nodes() {
            prop_assert!(node.requested.milli_cpu <= node.allocatable.milli_cpu);
            prop_assert!(node.requested.memory_bytes <= node.allocatable.memory_bytes);
            prop_assert!(node.pods().len() as i64 <= node.pods_max);
        }
    }
}

/// An embedder's own filter sits beside the built-in ones.
#[derive(Debug)]
struct OddNodes;

impl Filter for OddNodes {
    fn name(&self) -> &'static str {
        "OddNodes"
    }

    fn prepare(&self, _shape: &Arc<Shape>) -> Option<plugins::Check> {
        Some(Box::new(|node| match node.name().ends_with(['1', '3']) {
            true => Ok(()),
            false => Err(Rejection::for_good("OddNodes", "node(s) were even")),
        }))
    }
}

#[test]
fn embedders_add_their_own_plugins() {
    let mut plugins = Plugins::standard();
    plugins.filters.push(Box::new(OddNodes));
    let mut framework = Framework::with(plugins, 0);
    let mut cluster = cluster(&["n1", "n2"], &[pod("a on=n1 cpu=3")]);
    assert!(matches!(decide(&mut framework, &mut cluster, "p cpu=1"), Decision::Bind { node } if &*node == "n1"));
    let Decision::Wait(why) = decide(&mut framework, &mut cluster, "p cpu=2") else { panic!() };
    assert_eq!(why.plugins().as_slice(), ["NodeResourcesFit", "OddNodes"]);
}

/// The trace of a GPU cluster: whoever can be placed is, nobody waits in vain, no node gets more than it has.
#[test]
fn the_openb_trace_is_placed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces/openb");
    let Ok(nodes) = std::fs::read_to_string(folder.join("openb_node_list_all_node.csv")) else { return };
    let pods = std::fs::read_to_string(folder.join("openb_pod_list_default.csv")).unwrap();
    let mut ring = Ring::new();
    for line in nodes.lines().skip(1) {
        let [name, cpu, memory, gpus, ..] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let text = format!("{name} cpu={cpu}m memory={memory}Mi pods=1000 example.com/gpu-milli={gpus}000");
        let change = ring.cluster.set_node(node(&text));
        ring.apply(&change);
    }
    let (mut placed, mut waiting) = (0, 0);
    for line in pods.lines().skip(1) {
        let [name, cpu, memory, gpus, share, ..] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let gpu_milli = if gpus == "1" { share.to_owned() } else { format!("{gpus}000") };
        let asking =
            ring.cluster.read(pod(&format!("{name} cpu={cpu}m memory={memory}Mi example.com/gpu-milli={gpu_milli}")));
        match ring.scheduler.schedule(&asking, &ring.cluster) {
            Decision::Bind { node } => {
                assert!(ring.cluster.assume(&asking, &node));
                placed += 1;
            }
            other => {
                assert!(ring.scheduler.plain_totals(&asking, &ring.cluster).is_empty(), "{other:?}");
                waiting += 1;
            }
        }
    }
    ring.check();
    for (_, node) in ring.cluster.nodes() {
        assert!(node.requested.milli_cpu <= node.allocatable.milli_cpu, "{}", node.name());
        assert!(node.requested.scalar("example.com/gpu-milli") <= node.allocatable.scalar("example.com/gpu-milli"));
    }
    assert_eq!(placed + waiting, 8152);
    assert!(placed > 7900, "{placed} placed, {waiting} fit nowhere");
}
