use coracle_core::{ObjectKey, ObjectRef, World};
use expect_test::{Expect, expect};
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use serde_json::json;

use super::StatefulSets;
use crate::planner::Planner;
use crate::testing::{Small, ago, change};
use crate::watches::Watches;

/// A set of this size and image, with more fields of its spec.
pub(super) fn set(replicas: i32, image: &str, more: &str) -> String {
    format!(
        "{{kind: StatefulSet, metadata: {{name: web, generation: 1}}, spec: {{replicas: {replicas}, serviceName: web, {more} \
         selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web}}}}, \
         spec: {{containers: [{{name: c, image: {image}}}]}}}}}}}}"
    )
}

pub(super) const PARALLEL: &str = "podManagementPolicy: Parallel,";
const DATA: &str = "volumeClaimTemplates: [{metadata: {name: data}}],";

/// One of the pods runs, ready for a minute or not.
pub(super) fn run(small: &mut Small, name: &str, ready: bool) {
    let ready = if ready { "True" } else { "False" };
    let condition = json!({"type": "Ready", "status": ready, "lastTransitionTime": ago(60)});
    become_(small, name, json!({"phase": "Running", "conditions": [condition]}));
}

pub(super) fn become_(small: &mut Small, name: &str, status: serde_json::Value) {
    small.edit::<Pod>(name, |pod| pod.status = Some(serde_json::from_value(status).unwrap()));
}

fn crash(small: &mut Small, name: &str) {
    let state = json!({"waiting": {"reason": "ImagePullBackOff"}});
    let container = json!({"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state});
    become_(small, name, json!({"phase": "Pending", "containerStatuses": [container]}));
}

pub(super) fn set_image(small: &mut Small, image: &str) {
    small.edit::<StatefulSet>("web", |set| {
        set.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].image = Some(image.to_owned());
    });
}

fn spec(small: &mut Small, edit: impl FnOnce(&mut k8s_openapi::api::apps::v1::StatefulSetSpec)) {
    small.edit::<StatefulSet>("web", |set| edit(set.spec.as_mut().unwrap()));
}

fn scale(small: &mut Small, replicas: i32) {
    spec(small, |spec| spec.replicas = Some(replicas));
}

/// Plans until there is nothing left to do, with every pod ready at once.
pub(super) fn settle(small: &mut Small) -> String {
    let mut lines = String::new();
    for _ in 0..200 {
        let done = small.step(&StatefulSets, "web");
        let unready = small.world.list::<Pod>().filter(|pod| !super::members::is_running_and_ready(pod));
        let names: Vec<_> = unready.map(|pod| pod.metadata.name.clone().unwrap()).collect();
        names.iter().for_each(|name| run(small, name, true));
        if done.is_empty() && names.is_empty() {
            return lines;
        }
        lines += &done;
    }
    panic!("no end: {lines}")
}

/// A set at rest.
fn settled(replicas: i32, image: &str, more: &str) -> Small {
    let mut small = Small::new(&set(replicas, image, more));
    settle(&mut small);
    small
}

#[track_caller]
fn check(small: &mut Small, expected: &Expect) {
    expected.assert_eq(&small.step(&StatefulSets, "web"));
}

/// What happens to pods and claims, leaving out statuses and events.
fn moves(lines: &str) -> Vec<&str> {
    let moves = lines.lines().filter(|line| !line.starts_with(' ') && !line.contains("statefulset/status"));
    moves.collect()
}

#[test]
fn the_first_pod_comes_first() {
    let mut small = Small::new(&set(2, "a", ""));
    check(
        &mut small,
        &expect![[r#"
        create controllerrevision default/web-78dbf6cfb9
        create pod default/web-0
          event SuccessfulCreate: create Pod web-0 in StatefulSet web successful
        update statefulset/status default/web availableReplicas=0 collisionCount=0 currentRevision=web-78dbf6cfb9 replicas=0 updateRevision=web-78dbf6cfb9
    "#]],
    );
    check(
        &mut small,
        &expect![[r#"
        update statefulset/status default/web currentReplicas=1 replicas=1 updatedReplicas=1
    "#]],
    );
    run(&mut small, "web-0", true);
    check(
        &mut small,
        &expect![[r#"
        create pod default/web-1
          event SuccessfulCreate: create Pod web-1 in StatefulSet web successful
        update statefulset/status default/web availableReplicas=1 readyReplicas=1
    "#]],
    );
}

#[test]
fn a_pod_knows_who_it_is() {
    let mut small = Small::new(&set(1, "a", &format!("ordinals: {{start: 5}}, {DATA}")));
    small.step(&StatefulSets, "web");
    let pod = serde_json::to_value(&*small.get::<Pod>("web-5")).unwrap();
    let revision = small.world.list::<ControllerRevision>().next().unwrap().metadata.name.clone().unwrap();
    let labels = json!({
        "app": "web", "apps.kubernetes.io/pod-index": "5", "statefulset.kubernetes.io/pod-name": "web-5",
        "controller-revision-hash": revision,
    });
    assert_eq!(pod["metadata"]["labels"], labels);
    assert_eq!(pod["spec"]["hostname"], "web-5");
    assert_eq!(pod["spec"]["subdomain"], "web");
    let volumes = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-web-5"}}]);
    assert_eq!(pod["spec"]["volumes"], volumes);
    assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], "statefulset-web");
}

#[test]
fn parallel_pods_come_and_go_together() {
    let mut small = Small::new(&set(3, "a", PARALLEL));
    check(
        &mut small,
        &expect![[r#"
        create controllerrevision default/web-78dbf6cfb9
        create pod default/web-0
          event SuccessfulCreate: create Pod web-0 in StatefulSet web successful
        create pod default/web-1
          event SuccessfulCreate: create Pod web-1 in StatefulSet web successful
        create pod default/web-2
          event SuccessfulCreate: create Pod web-2 in StatefulSet web successful
        update statefulset/status default/web availableReplicas=0 collisionCount=0 currentRevision=web-78dbf6cfb9 replicas=0 updateRevision=web-78dbf6cfb9
    "#]],
    );
    scale(&mut small, 1);
    check(
        &mut small,
        &expect![[r#"
        delete pod default/web-2
          event SuccessfulDelete: delete Pod web-2 in StatefulSet web successful
        delete pod default/web-1
          event SuccessfulDelete: delete Pod web-1 in StatefulSet web successful
        update statefulset/status default/web currentReplicas=3 replicas=3 updatedReplicas=3
    "#]],
    );
}

#[test]
fn the_last_pod_goes_first_and_the_next_waits_for_its_end() {
    let mut small = settled(3, "a", "");
    small.graceful = true;
    scale(&mut small, 1);
    check(
        &mut small,
        &expect![[r#"
        delete pod default/web-2
          event SuccessfulDelete: delete Pod web-2 in StatefulSet web successful
    "#]],
    );
    check(
        &mut small,
        &expect![[r#"
        update statefulset/status default/web currentReplicas=2 updatedReplicas=2
    "#]],
    );
}

#[test]
fn scaling_down_halts_at_an_unready_pod() {
    let mut small = settled(3, "a", "");
    run(&mut small, "web-1", false);
    scale(&mut small, 1);
    small.graceful = true;
    // The lowest unready pod may go; a healthy one above it, too.
    check(
        &mut small,
        &expect![[r#"
        delete pod default/web-2
          event SuccessfulDelete: delete Pod web-2 in StatefulSet web successful
        update statefulset/status default/web availableReplicas=2 readyReplicas=2
    "#]],
    );
    let mut small = settled(3, "a", "");
    run(&mut small, "web-0", false);
    scale(&mut small, 1);
    check(
        &mut small,
        &expect![[r#"
        update statefulset/status default/web availableReplicas=2 readyReplicas=2
    "#]],
    );
}

#[test]
fn a_pod_that_ended_is_made_anew() {
    for (policy, phase) in [("", "Failed"), (PARALLEL, "Succeeded")] {
        let mut small = settled(2, "a", policy);
        become_(&mut small, "web-0", json!({"phase": phase}));
        let lines = small.step(&StatefulSets, "web") + &small.step(&StatefulSets, "web");
        assert_eq!(moves(&lines), ["delete pod default/web-0", "create pod default/web-0"]);
    }
}

#[test]
fn a_rollout_goes_from_the_last_to_the_first() {
    let mut small = settled(2, "a", "");
    set_image(&mut small, "b");
    check(
        &mut small,
        &expect![[r#"
        create controllerrevision default/web-7ffccbf98d
        delete pod default/web-1
          event SuccessfulDelete: delete Pod web-1 in StatefulSet web successful
        update statefulset/status default/web currentReplicas=1 updateRevision=web-7ffccbf98d updatedReplicas=-
    "#]],
    );
    let rest = settle(&mut small);
    expect![[r#"
        create pod default/web-1
          event SuccessfulCreate: create Pod web-1 in StatefulSet web successful
        update statefulset/status default/web availableReplicas=1 readyReplicas=1 replicas=1
        delete pod default/web-0
          event SuccessfulDelete: delete Pod web-0 in StatefulSet web successful
        update statefulset/status default/web availableReplicas=2 currentReplicas=- readyReplicas=2 replicas=2 updatedReplicas=1
        create pod default/web-0
          event SuccessfulCreate: create Pod web-0 in StatefulSet web successful
        update statefulset/status default/web availableReplicas=1 readyReplicas=1 replicas=1
        update statefulset/status default/web availableReplicas=2 currentReplicas=2 currentRevision=web-7ffccbf98d readyReplicas=2 replicas=2 updatedReplicas=2
    "#]].assert_eq(&rest);
}

#[test]
fn a_partition_keeps_the_lower_pods_even_if_they_are_lost() {
    let mut small = settled(3, "a", "updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}},");
    set_image(&mut small, "b");
    let lines = settle(&mut small);
    assert_eq!(moves(&lines)[1..], ["delete pod default/web-2", "create pod default/web-2"]);
    small.edit::<Pod>("web-1", |pod| pod.status.as_mut().unwrap().phase = Some("Failed".to_owned()));
    settle(&mut small);
    let image = |name: &str| small.get::<Pod>(name).spec.as_ref().unwrap().containers[0].image.clone().unwrap();
    assert_eq!(["web-0", "web-1", "web-2"].map(image), ["a", "a", "b"]);
    let status = small.get::<StatefulSet>("web").status.clone().unwrap();
    assert_ne!(status.current_revision, status.update_revision);
    assert_eq!((status.current_replicas, status.updated_replicas), (Some(2), Some(1)));
}

#[test]
fn on_delete_waits_for_people() {
    let mut small = settled(2, "a", "updateStrategy: {type: OnDelete},");
    set_image(&mut small, "b");
    let lines = settle(&mut small);
    assert_eq!(moves(&lines).len(), 1, "only a revision: {lines}");
    become_(&mut small, "web-0", json!({"phase": "Failed"}));
    settle(&mut small);
    assert_eq!(small.get::<Pod>("web-0").spec.as_ref().unwrap().containers[0].image.as_deref(), Some("b"));
}

#[test]
fn more_than_one_pod_may_be_unavailable() {
    for (policy, max, expected) in [("", "2", 2), ("", "'50%'", 2), ("", "'1%'", 1), (PARALLEL, "3", 3)] {
        let strategy = format!("updateStrategy: {{type: RollingUpdate, rollingUpdate: {{maxUnavailable: {max}}}}},");
        let mut small = settled(5, "a", &format!("{policy}{strategy}"));
        set_image(&mut small, "b");
        let lines = small.step(&StatefulSets, "web");
        let deleted = moves(&lines).iter().filter(|line| line.starts_with("delete pod")).count();
        assert_eq!(deleted, expected, "{policy} {max}: {lines}");
    }
}

#[test]
fn in_parallel_what_is_broken_goes_first_and_costs_nothing() {
    // Replicas, maxUnavailable, partition, unready, terminating: what is deleted.
    for (replicas, max, partition, unready, leaving, expected) in [
        (1, 1, 0, &[0][..], &[][..], &[0][..]),
        (3, 1, 0, &[2], &[], &[2]),
        (5, 2, 0, &[3, 4], &[], &[4, 3]),
        (3, 1, 0, &[], &[2], &[]),
        (5, 3, 0, &[3], &[4], &[3, 2]),
        (5, 1, 2, &[4], &[], &[4]),
        (5, 1, 2, &[2], &[], &[2]),
        (5, 1, 2, &[1], &[], &[]),
        (5, 2, 3, &[1, 4], &[], &[4]),
        (4, 2, 0, &[0, 1], &[], &[1, 0]),
        (5, 3, 0, &[0, 1], &[], &[1, 0, 4]),
    ] {
        let strategy = format!("updateStrategy: {{rollingUpdate: {{maxUnavailable: {max}, partition: {partition}}}}},");
        let mut small = settled(replicas, "a", &format!("{PARALLEL}{strategy}"));
        unready.iter().for_each(|ordinal| run(&mut small, &format!("web-{ordinal}"), false));
        for ordinal in leaving {
            small.edit::<Pod>(&format!("web-{ordinal}"), |pod| pod.metadata.deletion_timestamp = Some(ago(1)));
        }
        set_image(&mut small, "b");
        let lines = small.step(&StatefulSets, "web");
        let deleted: Vec<_> = moves(&lines).into_iter().filter_map(|line| line.strip_prefix("delete pod ")).collect();
        let expected: Vec<_> = expected.iter().map(|ordinal| format!("default/web-{ordinal}")).collect();
        assert_eq!(deleted, expected, "{replicas} {max} {partition} {unready:?} {leaving:?}");
    }
}

#[test]
fn a_broken_pod_of_a_former_revision_does_not_hold_up_the_next() {
    let mut small = settled(3, "a", "");
    set_image(&mut small, "typo");
    small.step(&StatefulSets, "web");
    small.step(&StatefulSets, "web");
    crash(&mut small, "web-2");
    let lines = small.step(&StatefulSets, "web");
    assert!(moves(&lines).is_empty(), "waits for it as long as the template is the same: {lines}");
    set_image(&mut small, "a");
    let lines = settle(&mut small);
    assert_eq!(moves(&lines)[1..], ["delete pod default/web-2", "create pod default/web-2"]);
    let status = small.get::<StatefulSet>("web").status.clone().unwrap();
    assert_eq!(status.current_revision, status.update_revision);
}

#[test]
fn an_unready_pod_is_waited_for() {
    let mut small = settled(3, "a", "");
    run(&mut small, "web-1", false);
    set_image(&mut small, "b");
    let lines = small.step(&StatefulSets, "web") + &small.step(&StatefulSets, "web");
    assert_eq!(moves(&lines).len(), 1, "only a revision: {lines}");
    run(&mut small, "web-1", true);
    assert_eq!(moves(&small.step(&StatefulSets, "web")), ["delete pod default/web-2"]);
}

#[test]
fn a_template_of_before_is_a_rollback() {
    let mut small = settled(1, "a", "");
    let first = small.get::<StatefulSet>("web").status.clone().unwrap().current_revision;
    set_image(&mut small, "b");
    settle(&mut small);
    set_image(&mut small, "a");
    let lines = settle(&mut small);
    assert!(lines.starts_with("update controllerrevision"), "{lines}");
    assert_eq!(small.get::<StatefulSet>("web").status.clone().unwrap().current_revision, first);
    let mut numbers: Vec<_> = small.world.list::<ControllerRevision>().map(|revision| revision.revision).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3]);
}

#[test]
fn old_revisions_are_forgotten() {
    let mut small = settled(1, "a", "revisionHistoryLimit: 1,");
    for image in ["b", "c", "d"] {
        set_image(&mut small, image);
        settle(&mut small);
    }
    let mut numbers: Vec<_> = small.world.list::<ControllerRevision>().map(|revision| revision.revision).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [3, 4]);
}

#[test]
fn a_taken_name_is_left_alone() {
    let small = settled(1, "a", "");
    let revision = small.world.list::<ControllerRevision>().next().unwrap();
    let name = revision.metadata.name.clone().unwrap();
    let mut small = Small::new(&set(1, "a", ""));
    small.add(&format!("{{kind: ControllerRevision, metadata: {{name: {name}}}, revision: 1}}"));
    settle(&mut small);
    let status = small.get::<StatefulSet>("web").status.clone().unwrap();
    assert_eq!(status.collision_count, Some(1));
    assert_ne!(status.current_revision, Some(name));
}

#[test]
fn minimum_ready_seconds_are_waited_for() {
    let mut small = Small::new(&set(2, "a", "minReadySeconds: 90,"));
    small.step(&StatefulSets, "web");
    run(&mut small, "web-0", true);
    check(
        &mut small,
        &expect![[r#"
        update statefulset/status default/web currentReplicas=1 readyReplicas=1 replicas=1 updatedReplicas=1
        look again after 30s
    "#]],
    );
    small.now += jiff::SignedDuration::from_secs(30);
    assert!(small.step(&StatefulSets, "web").starts_with("create pod default/web-1"));
}

#[test]
fn claims_come_before_their_pods_and_stay() {
    let mut small = Small::new(&set(1, "a", DATA));
    check(
        &mut small,
        &expect![[r#"
        create controllerrevision default/web-78dbf6cfb9
        create persistentvolumeclaim default/data-web-0
          event SuccessfulCreate: create Claim data-web-0 Pod web-0 in StatefulSet web success
        create pod default/web-0
          event SuccessfulCreate: create Pod web-0 in StatefulSet web successful
        update statefulset/status default/web availableReplicas=0 collisionCount=0 currentRevision=web-78dbf6cfb9 replicas=0 updateRevision=web-78dbf6cfb9
    "#]],
    );
    settle(&mut small);
    scale(&mut small, 0);
    settle(&mut small);
    let claim = small.get::<PersistentVolumeClaim>("data-web-0");
    assert_eq!(claim.metadata.owner_references, None);
    assert_eq!(claim.metadata.labels.as_ref().unwrap()["app"], "web");
}

#[test]
fn claims_go_with_whom_the_policy_says() {
    // When scaled, when deleted; owners in range, and owners when scaled away.
    for (scaled, deleted, in_range, condemned) in [
        ("Retain", "Retain", None, None),
        ("Retain", "Delete", Some("StatefulSet"), Some("StatefulSet")),
        ("Delete", "Retain", None, Some("Pod")),
        ("Delete", "Delete", Some("StatefulSet"), Some("Pod")),
    ] {
        let policy =
            format!("persistentVolumeClaimRetentionPolicy: {{whenScaled: {scaled}, whenDeleted: {deleted}}}, {DATA}");
        let owner = |small: &Small| {
            let owners = small.get::<PersistentVolumeClaim>("data-web-0").metadata.owner_references.clone();
            owners.map(|owners| owners.into_iter().map(|owner| owner.kind).collect::<Vec<_>>().join(" "))
        };
        let mut small = settled(1, "a", &policy);
        assert_eq!(owner(&small).as_deref(), in_range, "{policy}");
        scale(&mut small, 0);
        settle(&mut small);
        assert_eq!(owner(&small).as_deref(), condemned, "{policy}");
        // A claim that goes with a former pod must be gone before the next pod of that name comes.
        scale(&mut small, 1);
        let lines = settle(&mut small);
        assert_eq!(lines.contains("create pod"), condemned != Some("Pod"), "{policy}: {lines}");
        // A change of mind reaches the claims that there are.
        let mut small = settled(1, "a", DATA);
        spec(&mut small, |spec| {
            let policy = json!({"whenScaled": scaled, "whenDeleted": deleted});
            spec.persistent_volume_claim_retention_policy = Some(serde_json::from_value(policy).unwrap());
        });
        settle(&mut small);
        assert_eq!(owner(&small).as_deref(), in_range, "{policy}");
    }
}

#[test]
fn a_claim_that_is_going_is_waited_for() {
    let mut small = settled(1, "a", DATA);
    small.edit::<PersistentVolumeClaim>("data-web-0", |claim| claim.metadata.deletion_timestamp = Some(ago(1)));
    let place = ObjectRef::of(&*small.get::<Pod>("web-0"));
    small.world.remove(&place.resource, &place.key, small.world.revision().next());
    check(
        &mut small,
        &expect![[r#"
        event FailedCreate: create Pod web-0 in StatefulSet web failed error: pvc data-web-0 is being deleted
        update statefulset/status default/web availableReplicas=0 currentReplicas=- readyReplicas=- replicas=0 updatedReplicas=-
    "#]],
    );
}

#[test]
fn orphans_are_adopted_by_name_and_strays_let_go() {
    let mut small = settled(2, "a", "");
    small.edit::<Pod>("web-0", |pod| pod.metadata.owner_references = None);
    small.edit::<Pod>("web-1", |pod| drop(pod.metadata.labels.as_mut().unwrap().remove("app")));
    small.add("{kind: Pod, metadata: {name: web-x, labels: {app: web}}}");
    check(
        &mut small,
        &expect![[r#"
        edit pod default/web-1 ownerReferences.0.apiVersion=- ownerReferences.0.blockOwnerDeletion=- ownerReferences.0.controller=- ownerReferences.0.kind=- ownerReferences.0.name=- ownerReferences.0.uid=-
        edit pod default/web-0 ownerReferences.0.apiVersion=apps/v1 ownerReferences.0.blockOwnerDeletion=true ownerReferences.0.controller=true ownerReferences.0.kind=StatefulSet ownerReferences.0.name=web ownerReferences.0.uid=statefulset-web
    "#]],
    );
}

#[test]
fn orphaned_revisions_are_adopted_and_go_on() {
    let mut small = settled(1, "a", "");
    let name = small.world.list::<ControllerRevision>().next().unwrap().metadata.name.clone().unwrap();
    small.edit::<ControllerRevision>(&name, |revision| revision.metadata.owner_references = None);
    let before = small.world.clone();
    let lines = small.step(&StatefulSets, "web");
    assert!(lines.starts_with(&format!("edit controllerrevision default/{name}")), "{lines}");
    let place = ObjectRef::of(&*small.get::<ControllerRevision>(&name));
    assert_eq!(woken(&before, &small.world, &place), [ObjectKey::new("default", "web")]);
    assert_eq!(settle(&mut small), "");
}

#[test]
fn the_end_of_a_claim_wakes_its_set() {
    let mut small = settled(1, "a", DATA);
    small.add("{kind: PersistentVolumeClaim, metadata: {name: other-web-0}}");
    for (name, expected) in [("data-web-0", &[ObjectKey::new("default", "web")][..]), ("other-web-0", &[])] {
        let before = small.world.clone();
        let place = ObjectRef::of(&*small.get::<PersistentVolumeClaim>(name));
        small.world.remove(&place.resource, &place.key, small.world.revision().next());
        assert_eq!(woken(&before, &small.world, &place), expected, "{name}");
    }
}

fn woken(before: &World, after: &World, place: &ObjectRef) -> Vec<ObjectKey> {
    let (mut watches, mut keys) = (Watches::new(), Vec::new());
    StatefulSets.watches(&mut watches);
    watches.keys(&change(before, after, place), after, &mut keys);
    keys.dedup();
    keys
}

#[test]
fn a_lost_label_is_put_back() {
    let mut small = settled(1, "a", "");
    small.edit::<Pod>("web-0", |pod| {
        pod.metadata.labels.as_mut().unwrap().remove("statefulset.kubernetes.io/pod-name");
    });
    check(
        &mut small,
        &expect![[r#"
        edit pod default/web-0 labels.pod-name=web-0
          event SuccessfulUpdate: update Pod web-0 in StatefulSet web successful
    "#]],
    );
}

#[test]
fn a_refusal_is_told() {
    let mut small = Small::new(&set(1, "a", ""));
    small.refuse = Some(("pods", "no more"));
    check(
        &mut small,
        &expect![[r#"
        create controllerrevision default/web-78dbf6cfb9
        create pod default/web-0
          event FailedCreate: create Pod web-0 in StatefulSet web failed error: pods is forbidden: no more
        update statefulset/status default/web availableReplicas=0 collisionCount=0 currentRevision=web-78dbf6cfb9 replicas=0 updateRevision=web-78dbf6cfb9
    "#]],
    );
}

#[test]
fn a_set_that_is_being_deleted_only_counts() {
    let mut small = settled(2, "a", "");
    small.edit::<StatefulSet>("web", |set| set.metadata.deletion_timestamp = Some(ago(1)));
    small.edit::<Pod>("web-1", |pod| pod.metadata.deletion_timestamp = Some(ago(1)));
    check(
        &mut small,
        &expect![[r#"
        update statefulset/status default/web currentReplicas=1 updatedReplicas=1
    "#]],
    );
}

#[test]
fn the_name_is_as_upstream() {
    assert_eq!(StatefulSets.name(), "statefulset-controller");
}
