use expect_test::{Expect, expect};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;
use serde_json::json;

use super::Deployments;
use crate::replica_set::Replicas;
use crate::testing::{Small, ago};

/// A Deployment `web`; `spec` is merged into it.
fn deployment(replicas: i32, image: &str, spec: &str) -> String {
    format!(
        "{{kind: Deployment, metadata: {{name: web, generation: 1}}, spec: {{replicas: {replicas}, \
         progressDeadlineSeconds: 600, revisionHistoryLimit: 10, selector: {{matchLabels: {{app: web}}}}, {spec} \
         template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{{name: main, image: {image}}}]}}}}}}}}"
    )
}

/// A ReplicaSet of `web` with so many pods asked for, there, and available.
fn replica_set(name: &str, image: &str, (asked, present, available): (i32, i32, i32), more: &str) -> String {
    format!(
        "{{kind: ReplicaSet, metadata: {{name: {name}, generation: 1, labels: {{app: web, pod-template-hash: {name}}}, {more} \
         ownerReferences: [{{apiVersion: apps/v1, kind: Deployment, name: web, uid: deployment-web, controller: true}}]}}, \
         spec: {{replicas: {asked}, selector: {{matchLabels: {{app: web, pod-template-hash: {name}}}}}, \
         template: {{metadata: {{labels: {{app: web, pod-template-hash: {name}}}}}, spec: {{containers: \
         [{{name: main, image: {image}}}]}}}}}}, status: {{replicas: {present}, readyReplicas: {available}, \
         availableReplicas: {available}, observedGeneration: 1}}}}"
    )
}

fn annotations(revision: i32, desired: i32, max: i32) -> String {
    format!(
        "annotations: {{deployment.kubernetes.io/revision: '{revision}', deployment.kubernetes.io/desired-replicas: \
         '{desired}', deployment.kubernetes.io/max-replicas: '{max}'}},"
    )
}

fn check(objects: &[String], expected: Expect) {
    let mut small = Small::new(&objects.join("\n---\n"));
    expected.assert_eq(&small.step(&Deployments, "web"));
}

#[test]
fn the_first_step_makes_a_replica_set() {
    check(
        &[deployment(3, "a", "")],
        expect![[r#"
            create replicaset default/web-647566c989 replicas=3
              event ScalingReplicaSet: Scaled up replica set web-647566c989 from 0 to 3
            update deployment/status default/web Available=False/MinimumReplicasUnavailable Progressing=True/NewReplicaSetCreated annotations.revision=1 terminatingReplicas=0 unavailableReplicas=3
            look again after 601s
        "#]],
    );
}

#[test]
fn a_new_template_starts_within_surge() {
    let old = replica_set("old", "a", (4, 4, 4), &annotations(1, 4, 5));
    check(
        &[deployment(4, "b", ""), old],
        expect![[r#"
        create replicaset default/web-5c8c494bd6 replicas=1
          event ScalingReplicaSet: Scaled up replica set web-5c8c494bd6 from 0 to 1
        update deployment/status default/web Available=True/MinimumReplicasAvailable Progressing=True/ReplicaSetUpdated annotations.revision=2 availableReplicas=4 readyReplicas=4 replicas=4 unavailableReplicas=1
        look again after 601s
    "#]],
    );
}

#[test]
fn the_old_goes_down_as_far_as_availability_allows() {
    let old = replica_set("old", "a", (10, 10, 10), &annotations(1, 10, 13));
    let new = replica_set("new", "b", (3, 3, 0), &annotations(2, 10, 13));
    check(
        &[deployment(10, "b", ""), old.clone(), new],
        expect![[r#"
        update replicaset default/old replicas=8
          event ScalingReplicaSet: Scaled down replica set old from 10 to 8
        update deployment/status default/web Available=True/MinimumReplicasAvailable Progressing=True/ReplicaSetUpdated annotations.revision=2 availableReplicas=10 readyReplicas=10 replicas=13 unavailableReplicas=3 updatedReplicas=3
        look again after 601s
    "#]],
    );
    let new = replica_set("new", "b", (3, 3, 2), &annotations(2, 10, 13));
    check(
        &[deployment(10, "b", ""), old, new],
        expect![[r#"
        update replicaset default/old replicas=6
          event ScalingReplicaSet: Scaled down replica set old from 10 to 6
        update deployment/status default/web Available=True/MinimumReplicasAvailable Progressing=True/ReplicaSetUpdated annotations.revision=2 availableReplicas=12 readyReplicas=12 replicas=13 unavailableReplicas=1 updatedReplicas=3
        look again after 601s
    "#]],
    );
}

#[test]
fn pods_that_a_smaller_set_is_about_to_give_up_count_for_nothing() {
    let old = replica_set("old", "a", (2, 5, 3), &annotations(1, 2, 3));
    let new = replica_set("new", "b", (1, 2, 1), &annotations(2, 2, 3));
    check(
        &[deployment(2, "b", ""), old, new],
        expect![[r#"
        update replicaset default/old replicas=1
          event ScalingReplicaSet: Scaled down replica set old from 2 to 1
        update deployment/status default/web Available=True/MinimumReplicasAvailable Progressing=True/ReplicaSetUpdated annotations.revision=2 availableReplicas=4 readyReplicas=4 replicas=7 updatedReplicas=2
        look again after 601s
    "#]],
    );
}

#[test]
fn unavailable_old_pods_go_first() {
    let old = replica_set("old", "a", (10, 10, 7), &annotations(1, 10, 13));
    let older = replica_set("older", "c", (2, 2, 0), &annotations(1, 10, 13));
    let new = replica_set("new", "b", (1, 1, 1), &annotations(2, 10, 13));
    check(
        &[deployment(10, "b", ""), old, older, new],
        expect![[r#"
        update replicaset default/old replicas=7
          event ScalingReplicaSet: Scaled down replica set old from 10 to 7
        update replicaset default/older replicas=0
          event ScalingReplicaSet: Scaled down replica set older from 2 to 0
        update deployment/status default/web Available=True/MinimumReplicasAvailable Progressing=True/ReplicaSetUpdated annotations.revision=2 availableReplicas=8 readyReplicas=8 replicas=13 unavailableReplicas=5 updatedReplicas=1
        look again after 601s
    "#]],
    );
}

#[test]
fn a_template_of_before_is_a_rollback() {
    let one = replica_set("one", "a", (0, 0, 0), &annotations(1, 3, 4));
    let two = replica_set("two", "b", (3, 3, 3), &annotations(2, 3, 4));
    check(
        &[deployment(3, "a", ""), one, two],
        expect![[r#"
        update replicaset default/one annotations.revision=3 annotations.revision-history=1 replicas=1
          event ScalingReplicaSet: Scaled up replica set one from 0 to 1
        update deployment/status default/web Available=True/MinimumReplicasAvailable Progressing=True/ReplicaSetUpdated annotations.revision=3 availableReplicas=3 readyReplicas=3 replicas=3
        look again after 601s
    "#]],
    );
}

#[test]
fn a_resize_in_mid_rollout_is_proportional() {
    let old = replica_set("old", "a", (8, 8, 8), &annotations(1, 10, 13));
    let new = replica_set("new", "b", (5, 5, 0), &annotations(2, 10, 13));
    let surge = "strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 3, maxUnavailable: 2}},";
    check(
        &[deployment(30, "b", surge), old.clone(), new.clone()],
        expect![[r#"
        update replicaset default/old replicas=20
          event ScalingReplicaSet: Scaled up replica set old from 8 to 20
        update replicaset default/new replicas=13
          event ScalingReplicaSet: Scaled up replica set new from 5 to 13
        update deployment/status default/web Available=False/MinimumReplicasUnavailable Progressing=True/FoundNewReplicaSet annotations.revision=2 availableReplicas=8 readyReplicas=8 replicas=13 unavailableReplicas=5 updatedReplicas=5
        look again after 601s
    "#]],
    );
    check(
        &[deployment(5, "b", surge), old, new],
        expect![[r#"
        update replicaset default/old replicas=5
          event ScalingReplicaSet: Scaled down replica set old from 8 to 5
        update replicaset default/new replicas=3
          event ScalingReplicaSet: Scaled down replica set new from 5 to 3
        update deployment/status default/web Available=True/MinimumReplicasAvailable Progressing=True/FoundNewReplicaSet annotations.revision=2 availableReplicas=8 readyReplicas=8 replicas=13 unavailableReplicas=5 updatedReplicas=5
        look again after 601s
    "#]],
    );
}

#[test]
fn pods_on_their_way_out_are_counted_if_all_are_known() {
    // What ReplicaSets say of their pods on their way out, and whether their controller has looked at them.
    let replica_set = |name: &str, image: &str, (terminating, seen): (Option<i32>, i64)| {
        let terminating = terminating.map_or(String::new(), |count| format!(", terminatingReplicas: {count}"));
        replica_set(name, image, (1, 1, 1), "")
            .replace(", observedGeneration: 1", &format!(", observedGeneration: {seen}{terminating}"))
    };
    for (old, new, expected) in
        [((Some(2), 1), (Some(3), 1), Some(5)), ((Some(2), 1), (None, 0), Some(2)), ((Some(2), 1), (None, 1), None)]
    {
        let (old, new) = (replica_set("old", "a", old), replica_set("new", "b", new));
        let mut small = Small::new(&[deployment(2, "b", "paused: true,"), old, new].join("\n---\n"));
        small.step(&Deployments, "web");
        assert_eq!(small.get::<Deployment>("web").status.as_ref().unwrap().terminating_replicas, expected);
    }
}

#[test]
fn a_resize_that_is_done_already_does_not_hold_up_the_rollout() {
    // Somebody else gave the ReplicaSet the new size; a strategy that became `Recreate` when there were several of them.
    let one = vec![replica_set("old", "a", (5, 5, 5), &annotations(1, 3, 4))];
    let several = vec![
        replica_set("old", "a", (2, 2, 2), &annotations(1, 3, 4)),
        replica_set("older", "x", (2, 2, 2), &annotations(1, 3, 4)),
    ];
    for (replica_sets, strategy) in [(one, ""), (several, "strategy: {type: Recreate},")] {
        let objects: Vec<_> = [deployment(5, "b", strategy)].into_iter().chain(replica_sets.clone()).collect();
        let mut small = Small::new(&objects.join("\n---\n"));
        let mut lines = String::new();
        for _ in 0..20 {
            lines += &small.step(&Deployments, "web");
            lines += &settle(&mut small);
            all_become_ready(&mut small);
        }
        let status = small.get::<Deployment>("web").status.clone().unwrap();
        assert_eq!((status.replicas, status.updated_replicas), (Some(5), Some(5)), "{lines}");
        let paused: Vec<_> =
            [deployment(5, "b", &format!("paused: true, {strategy}"))].into_iter().chain(replica_sets).collect();
        let lines = Small::new(&paused.join("\n---\n")).step(&Deployments, "web");
        assert!(!lines.contains("replicas=0"), "{lines}");
    }
}

#[test]
fn pausing_stops_the_rollout_but_not_resizing() {
    let old = replica_set("old", "a", (3, 3, 3), &annotations(1, 3, 4));
    check(
        &[deployment(3, "b", "paused: true,"), old.clone()],
        expect![[r#"
        update deployment/status default/web Available=True/MinimumReplicasAvailable Progressing=Unknown/DeploymentPaused availableReplicas=3 readyReplicas=3 replicas=3
    "#]],
    );
    check(
        &[deployment(5, "b", "paused: true,"), old],
        expect![[r#"
        update replicaset default/old replicas=5
          event ScalingReplicaSet: Scaled up replica set old from 3 to 5
        update deployment/status default/web Available=False/MinimumReplicasUnavailable Progressing=Unknown/DeploymentPaused availableReplicas=3 readyReplicas=3 replicas=3
    "#]],
    );
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let recreate = "strategy: {type: Recreate},";
    let old = |pods| replica_set("old", "a", pods, &annotations(1, 2, 2));
    check(
        &[deployment(2, "b", recreate), old((2, 2, 2))],
        expect![[r#"
        update replicaset default/old replicas=0
          event ScalingReplicaSet: Scaled down replica set old from 2 to 0
        update deployment/status default/web Available=True/MinimumReplicasAvailable Progressing=True/ReplicaSetUpdated availableReplicas=2 readyReplicas=2 replicas=2
        look again after 601s
    "#]],
    );
    let pod = "{kind: Pod, metadata: {name: a, deletionTimestamp: '2030-01-01T11:59:59Z', labels: {app: web}, \
               ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old, uid: replicaset-old, controller: true}]}}";
    check(
        &[deployment(2, "b", recreate), old((0, 0, 0)), pod.to_owned()],
        expect![[r#"
        update deployment/status default/web Available=False/MinimumReplicasUnavailable
    "#]],
    );
    check(
        &[deployment(2, "b", recreate), old((0, 0, 0))],
        expect![[r#"
        create replicaset default/web-5c8c494bd6 replicas=2
          event ScalingReplicaSet: Scaled up replica set web-5c8c494bd6 from 0 to 2
        update deployment/status default/web Available=False/MinimumReplicasUnavailable Progressing=True/NewReplicaSetCreated annotations.revision=2 unavailableReplicas=2
        look again after 601s
    "#]],
    );
}

#[test]
fn old_replica_sets_beyond_the_history_are_forgotten() {
    let old = |name: &str, image: &str, revision| replica_set(name, image, (0, 0, 0), &annotations(revision, 1, 2));
    let new = replica_set("new", "z", (1, 1, 1), &annotations(4, 1, 2));
    let deployment = deployment(1, "z", "").replace("revisionHistoryLimit: 10", "revisionHistoryLimit: 1");
    check(
        &[deployment, old("c", "c", 2), old("d", "d", 1), old("e", "e", 3), new],
        expect![[r#"
        delete replicaset default/d
        delete replicaset default/c
        update deployment/status default/web Available=True/MinimumReplicasAvailable Progressing=True/NewReplicaSetAvailable annotations.revision=4 availableReplicas=1 readyReplicas=1 replicas=1 updatedReplicas=1
    "#]],
    );
}

#[test]
fn an_orphan_is_adopted_before_anything_else() {
    let orphan = replica_set("web-1", "a", (3, 3, 3), "").replace("uid: deployment-web, controller: true", "uid: x");
    check(
        &[deployment(3, "a", ""), orphan],
        expect![[r#"
        edit replicaset default/web-1 ownerReferences.1.apiVersion=apps/v1 ownerReferences.1.blockOwnerDeletion=true ownerReferences.1.controller=true ownerReferences.1.kind=Deployment ownerReferences.1.name=web ownerReferences.1.uid=deployment-web
    "#]],
    );
}

#[test]
fn a_taken_name_gives_the_next_one() {
    let mut small = Small::new(&deployment(1, "a", ""));
    small.step(&Deployments, "web");
    let name = small.world.list::<ReplicaSet>().next().unwrap().metadata.name.clone().unwrap();
    small.edit::<ReplicaSet>(&name, |taken| {
        taken.metadata.owner_references.as_mut().unwrap()[0].uid = "other".to_owned()
    });
    expect![[r#"
        update deployment/status default/web collisionCount=1 unavailableReplicas=-
        look again after 601s
    "#]]
    .assert_eq(&small.step(&Deployments, "web").replace(&name, "NAME"));
    assert!(small.step(&Deployments, "web").starts_with("create replicaset default/web-"));
}

#[test]
fn a_refusal_is_told() {
    let mut small = Small::new(&deployment(1, "a", ""));
    small.refuse = Some(("replicasets", "no more"));
    expect![[r#"
        create replicaset default/web-647566c989 replicas=1
          event ReplicaSetCreateError: Failed to create new replica set "web-647566c989": replicasets.apps is forbidden: no more
        update deployment/status default/web Progressing=False/ReplicaSetCreateError
    "#]].assert_eq(&small.step(&Deployments, "web"));
}

#[test]
fn a_rollout_without_progress_times_out() {
    let new = replica_set("new", "a", (1, 1, 0), &annotations(1, 1, 2));
    let mut small = Small::new(&[deployment(1, "a", ""), new].join("\n---\n"));
    small.step(&Deployments, "web");
    expect![[r#"
        look again after 601s
    "#]]
    .assert_eq(&small.step(&Deployments, "web"));
    small.now += jiff::SignedDuration::from_secs(601);
    expect![[r#"
        update deployment/status default/web Progressing=False/ProgressDeadlineExceeded
    "#]]
    .assert_eq(&small.step(&Deployments, "web"));
    expect![[""]].assert_eq(&small.step(&Deployments, "web"));
}

#[test]
fn a_selector_of_everything_is_refused() {
    let all = deployment(1, "a", "").replace("{matchLabels: {app: web}}, ", "{}, ");
    check(
        &[all],
        expect![[r#"
        event SelectingAll: This deployment is selecting all pods. A non-empty selector is required.
        update deployment/status default/web
    "#]],
    );
}

/// One of the pods becomes ready, or now and then breaks.
fn disturb(small: &mut Small, choice: u64) {
    let names: Vec<_> = small.world.list::<Pod>().map(|pod| pod.metadata.name.clone().unwrap()).collect();
    if let Some(name) = names.get(usize::try_from(choice >> 8).unwrap() % names.len().max(1)) {
        set_ready(small, name, !choice.is_multiple_of(7));
    }
}

fn set_ready(small: &mut Small, name: &str, ready: bool) {
    let at = serde_json::to_value(ago(0)).unwrap();
    let ready = if ready { "True" } else { "False" };
    let status =
        json!({"phase": "Running", "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": at}]});
    small.edit::<Pod>(name, |pod| pod.status = Some(serde_json::from_value(status).unwrap()));
}

fn all_become_ready(small: &mut Small) {
    let unready = small.world.list::<Pod>().filter(|pod| !is_ready(pod));
    let names: Vec<_> = unready.map(|pod| pod.metadata.name.clone().unwrap()).collect();
    names.iter().for_each(|name| set_ready(small, name, true));
}

/// Lets the ReplicaSets do what they are told.
fn settle(small: &mut Small) -> String {
    let mut lines = String::new();
    loop {
        let names: Vec<_> = small.world.list::<ReplicaSet>().map(|set| set.metadata.name.clone().unwrap()).collect();
        let done: String = names.iter().map(|name| small.step(&Replicas::<ReplicaSet>::new(), name)).collect();
        if done.is_empty() {
            return lines;
        }
        lines += &done;
    }
}

fn is_ready(pod: &Pod) -> bool {
    crate::pods::is_ready(pod)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever pods do and whoever resizes it, a rollout never has more pods than it may, never takes a ready pod when too few are,
    /// and ends.
    #[test]
    fn every_rollout_keeps_its_bounds_and_ends(
        mut replicas in 0..8i32, surge in 0..4i32, unavailable in 0..4i32, sizes in prop::collection::vec(0..8i32, 3),
        choices in prop::collection::vec(any::<u64>(), 0..50),
    ) {
        let strategy = format!(
            "strategy: {{type: RollingUpdate, rollingUpdate: {{maxSurge: {surge}, maxUnavailable: {unavailable}}}}},"
        );
        let mut small = Small::new(&deployment(replicas, "a", &strategy));
        let (mut images, mut resizes) = (["b", "c", "a"].iter(), sizes.into_iter());
        for (index, choice) in choices.iter().enumerate() {
            if index % 20 == 10 {
                let image = images.next().unwrap();
                small.edit::<Deployment>("web", |web| {
                    web.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].image = Some((*image).to_owned());
                });
            }
            let resized = index % 20 == 15;
            if let Some(size) = resized.then(|| resizes.next()).flatten() {
                replicas = size;
                small.edit::<Deployment>("web", |web| web.spec.as_mut().unwrap().replicas = Some(size));
            }
            let sizes = super::Sizes::of(&small.get::<Deployment>("web"));
            prop_assert!(sizes.surge_max + sizes.unavailable_max > 0 || replicas == 0);
            disturb(&mut small, *choice);
            settle(&mut small);
            let before = small.world.list::<Pod>().filter(|pod| is_ready(pod)).count();
            small.step(&Deployments, "web");
            settle(&mut small);
            let pods: Vec<_> = small.world.list::<Pod>().collect();
            prop_assert!(pods.len() <= usize::try_from(sizes.total_max()).unwrap(), "{} pods", pods.len());
            let ready = pods.iter().filter(|pod| is_ready(pod)).count();
            let least = usize::try_from(sizes.available_min()).unwrap();
            // A resize takes from all ReplicaSets in proportion, whichever has the ready ones.
            prop_assert!(resized || ready >= before.min(least), "{before} ready pods became {ready}, {least} needed");
        }
        for _ in 0..200 {
            all_become_ready(&mut small);
            let done = settle(&mut small) + &small.step(&Deployments, "web");
            if done.is_empty() && small.world.list::<Pod>().all(|pod| is_ready(&pod)) {
                break;
            }
        }
        let status = small.get::<Deployment>("web").status.clone().unwrap();
        prop_assert_eq!(status.available_replicas.unwrap_or(0), replicas);
        prop_assert_eq!(status.updated_replicas.unwrap_or(0), replicas);
        prop_assert_eq!(status.replicas.unwrap_or(0), replicas);
        let text = format!("{:?}", status.conditions);
        prop_assert!(text.contains("NewReplicaSetAvailable"), "{}", text);
        let plan = small.plan(&Deployments, "web");
        prop_assert!(plan.is_empty(), "still to do: {}", plan);
    }
}
