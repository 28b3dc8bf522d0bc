//! Budgets and pods in, statuses out; and what must hold whatever happens.

use expect_test::{Expect, expect};
use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;

use super::*;
use crate::testing::{Small, ago};

fn budget(spec: &str) -> String {
    format!(
        "{{kind: PodDisruptionBudget, metadata: {{name: pdb, generation: 1}}, spec: {{{spec}, selector: {{matchLabels: {{app: web}}}}}}}}\n---\n"
    )
}

/// A ReplicaSet `web` of four, and three of its pods: `a` and `b` ready, `c` not.
fn pods() -> String {
    let owner =
        "ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: replicaset-web, controller: true}]";
    let pod = |(name, ready): (&str, &str)| {
        format!(
            "{{kind: Pod, metadata: {{name: {name}, labels: {{app: web}}, {owner}}}, status: {{conditions: \
             [{{type: Ready, status: '{ready}'}}]}}}}\n---\n"
        )
    };
    let replica_set = "{kind: ReplicaSet, metadata: {name: web}, spec: {replicas: 4, selector: {}}}\n---\n".to_owned();
    replica_set + &[("a", "True"), ("b", "True"), ("c", "False")].map(pod).concat()
}

fn check(yaml: String, expected: Expect) {
    expected.assert_eq(&Small::new(&yaml).step(&DisruptionBudgets, "pdb"));
}

#[test]
fn budgets_are_numbers_or_parts_of_what_is_wanted() {
    check(
        budget("minAvailable: 1") + &pods(),
        expect![[r#"
        update poddisruptionbudget/status default/pdb DisruptionAllowed=True/SufficientPods currentHealthy=2 desiredHealthy=1 disruptionsAllowed=1 expectedPods=3
    "#]],
    );
    // A pod that has failed is not healthy, whatever its node said last.
    check(
        budget("minAvailable: 1") + &pods().replacen("status: {conditions", "status: {phase: Failed, conditions", 1),
        expect![[r#"
            update poddisruptionbudget/status default/pdb DisruptionAllowed=False/InsufficientPods currentHealthy=1 desiredHealthy=1 disruptionsAllowed=0 expectedPods=3
        "#]],
    );
    check(
        budget("minAvailable: 50%") + &pods(),
        expect![[r#"
        update poddisruptionbudget/status default/pdb DisruptionAllowed=False/InsufficientPods currentHealthy=2 desiredHealthy=2 disruptionsAllowed=0 expectedPods=4
    "#]],
    );
    check(
        budget("maxUnavailable: 3") + &pods(),
        expect![[r#"
        update poddisruptionbudget/status default/pdb DisruptionAllowed=True/SufficientPods currentHealthy=2 desiredHealthy=1 disruptionsAllowed=1 expectedPods=4
    "#]],
    );
    check(
        budget("maxUnavailable: 1"),
        expect![[r#"
        event NoPods: No matching pods found
        update poddisruptionbudget/status default/pdb DisruptionAllowed=False/InsufficientPods currentHealthy=0 desiredHealthy=0 disruptionsAllowed=0 expectedPods=0
    "#]],
    );
}

#[test]
fn what_cannot_be_counted_allows_nothing() {
    check(
        budget("maxUnavailable: 1") + &pods().replace("uid: replicaset-web", "uid: unknown"),
        expect![[r#"
        event CalculateExpectedPodCountFailed: Failed to calculate the number of expected pods: found no controllers for pod "a"
        update poddisruptionbudget/status default/pdb DisruptionAllowed=False/SyncFailed disruptionsAllowed=0
    "#]],
    );
}

#[test]
fn a_granted_eviction_counts_until_it_is_seen_or_forgotten() {
    let mut small = Small::new(&(budget("minAvailable: 1") + &pods()));
    small.edit::<PodDisruptionBudget>("pdb", |budget| {
        budget.status.get_or_insert_default().disrupted_pods = Some([("a".to_owned(), ago(60))].into());
    });
    expect![[r#"
        update poddisruptionbudget/status default/pdb DisruptionAllowed=False/InsufficientPods currentHealthy=1 desiredHealthy=1 disruptionsAllowed=0 expectedPods=3
        look again after 61s
    "#]].assert_eq(&small.step(&DisruptionBudgets, "pdb"));
    small.now += SignedDuration::from_secs(61);
    expect![[r#"
        event NotDeleted: Pod was expected by PDB default/default to be deleted but it wasn't
        update poddisruptionbudget/status default/pdb DisruptionAllowed=True/SufficientPods currentHealthy=2 disruptedPods.a=- disruptionsAllowed=1
    "#]].assert_eq(&small.step(&DisruptionBudgets, "pdb"));
    assert_eq!(small.step(&DisruptionBudgets, "pdb"), "");
}

#[test]
fn pods_of_nobody_are_told_of_where_a_part_is_asked_for() {
    let alone = "{kind: Pod, metadata: {name: alone, labels: {app: web}}}\n---\n";
    let told = |spec: &str| Small::new(&(budget(spec) + &pods() + alone)).step(&DisruptionBudgets, "pdb");
    assert!(!told("minAvailable: 1").contains("UnmanagedPods"));
    let told = told("maxUnavailable: 50%");
    let words = "event UnmanagedPods: Pods selected by this PodDisruptionBudget (selector: \
                 &LabelSelector{MatchLabels:map[string]string{app: web,},MatchExpressions:[]LabelSelectorRequirement{},}) were \
                 found to be unmanaged.";
    assert!(told.starts_with(words), "{told}");
}

/// Something happens to one of eight pods.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It is there, and ready or not.
    Is(bool),
    /// Somebody asks for its eviction; granted ones are noted in the budget until the pod is seen to go.
    Evict,
    /// It is gone at last.
    Gone,
}

fn happen(small: &mut Small, index: usize, step: Step) {
    let name = format!("p{index}");
    let known = small.world.get::<Pod>("default", &name);
    match step {
        Step::Is(ready) => {
            let ready = if ready { "True" } else { "False" };
            let owner = "[{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: replicaset-web, controller: true}]";
            if known.is_none_or(|pod| pod.metadata.deletion_timestamp.is_none()) {
                small.add(&format!(
                    "{{kind: Pod, metadata: {{name: {name}, labels: {{app: web}}, ownerReferences: {owner}}}, status: \
                     {{conditions: [{{type: Ready, status: '{ready}'}}]}}}}"
                ));
            }
        }
        Step::Gone if known.is_some() => {
            let place = coracle_core::ObjectRef::of(&*small.get::<Pod>(&name));
            small.world.remove(&place.resource, &place.key, small.world.revision().next());
        }
        Step::Evict if known.is_some_and(|pod| pods::is_ready(&pod) && pod.metadata.deletion_timestamp.is_none()) => {
            let allowed = small.get::<PodDisruptionBudget>("pdb").status.as_ref().and_then(|it| it.disruptions_allowed);
            if allowed.unwrap_or(0) > 0 {
                small.edit::<PodDisruptionBudget>("pdb", |budget| {
                    let status = budget.status.as_mut().unwrap();
                    status.disruptions_allowed = status.disruptions_allowed.map(|allowed| allowed - 1);
                    status.disrupted_pods.get_or_insert_default().insert(name.clone(), ago(0));
                });
                // The deletion is seen later, or only by the budget's next look.
                if index.is_multiple_of(2) {
                    small.edit::<Pod>(&name, |pod| pod.metadata.deletion_timestamp = Some(ago(0)));
                }
            }
        }
        Step::Gone | Step::Evict => {}
    }
}

proptest! {
    /// However pods come and go and whoever evicts them, evictions leave as many healthy ones as the budget asks for.
    #[test]
    fn no_eviction_breaks_a_budget(
        kind in 0..4usize, number in 0..8i32, replicas in 1..9i32,
        steps in prop::collection::vec((0..8usize, prop_oneof![
            4 => Just(Step::Is(true)), 1 => Just(Step::Is(false)), 5 => Just(Step::Evict), 2 => Just(Step::Gone),
        ], any::<bool>()), 1..80),
    ) {
        let percent = number * 12;
        let spec = [
            format!("minAvailable: {number}"), format!("minAvailable: {percent}%"),
            format!("maxUnavailable: {number}"), format!("maxUnavailable: {percent}%"),
        ];
        let owner = format!("{{kind: ReplicaSet, metadata: {{name: web}}, spec: {{replicas: {replicas}, selector: {{}}}}}}");
        let mut small = Small::new(&(budget(&spec[kind]) + &owner));
        for (index, step, looks) in steps {
            happen(&mut small, index, step);
            let status = small.get::<PodDisruptionBudget>("pdb").status.clone().unwrap_or_default();
            let evicted = |pod: &Pod| {
                let name = pod.metadata.name.as_ref().unwrap();
                pod.metadata.deletion_timestamp.is_some()
                    || status.disrupted_pods.as_ref().is_some_and(|pods| pods.contains_key(name))
            };
            if matches!(step, Step::Evict) && status.disruptions_allowed.is_some() && looks {
                let healthy = small.world.list::<Pod>().filter(|pod| pods::is_ready(pod) && !evicted(pod)).count();
                let (had, wants) = (status.current_healthy.unwrap_or(0), status.desired_healthy.unwrap_or(0));
                prop_assert!(healthy as i32 >= wants.min(had), "{} left of {}, {} wanted", healthy, had, wants);
            }
            // Between looks only evictions happen: everything else is seen at once.
            if looks || !matches!(step, Step::Evict) {
                small.step(&DisruptionBudgets, "pdb");
                prop_assert_eq!(small.step(&DisruptionBudgets, "pdb").lines().filter(|it| it.starts_with("update")).count(), 0);
            }
        }
    }
}
