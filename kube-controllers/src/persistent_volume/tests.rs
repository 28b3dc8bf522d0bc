//! Claims and volumes in, steps out.

use super::*;
use crate::testing::Small;

fn volume(name: &str, size: &str, more: &str) -> String {
    format!(
        "{{kind: PersistentVolume, metadata: {{name: {name}}}, spec: {{capacity: {{storage: {size}}}, accessModes: \
         [ReadWriteOnce], hostPath: {{path: /x}}, persistentVolumeReclaimPolicy: Retain{more}}}, status: {{phase: Available}}}}\n---\n"
    )
}

fn claim(more: &str) -> String {
    format!(
        "{{kind: PersistentVolumeClaim, metadata: {{name: c}}, spec: {{accessModes: [ReadWriteOnce], resources: {{requests: \
         {{storage: 2Gi}}}}{more}}}, status: {{phase: Pending}}}}\n---\n"
    )
}

/// What the claim's planner does, as the first line says it.
#[track_caller]
fn check(world: &str, expected: &str) {
    let mut small = Small::new(world);
    let steps = small.step(&ClaimBinding, "c");
    assert_eq!(steps.lines().next().unwrap_or(""), expected);
}

#[track_caller]
fn check_takes(world: &str, name: &str) {
    let steps = Small::new(world).step(&ClaimBinding, "c");
    assert!(steps.contains(&format!("edit persistentvolume {name} ")), "{steps}");
}

#[test]
fn the_smallest_volume_that_will_do_is_taken() {
    let three = volume("big", "10Gi", "") + &volume("small", "1Gi", "") + &volume("fits", "3Gi", "");
    check_takes(&(three.clone() + &claim("")), "fits");
    check_takes(&(three.clone() + &claim(", volumeName: big")), "big");
    let ours = volume("ours", "20Gi", ", claimRef: {namespace: default, name: c}");
    check_takes(&(three + &ours + &claim("")), "ours");
}

#[test]
fn a_claim_waits_and_says_for_what() {
    let none = "event FailedBinding: no persistent volumes available for this claim and no storage class is set";
    check(&claim(""), none);
    check(&(volume("small", "1Gi", "") + &claim("")), none);
    check(&(volume("other", "3Gi", ", storageClassName: fast") + &claim("")), none);
    check(&(volume("raw", "3Gi", ", volumeMode: Block") + &claim("")), none);
    check(&(volume("v", "3Gi", "") + &claim(", selector: {matchLabels: {a: b}}")), none);
    check(&(volume("taken", "3Gi", ", claimRef: {namespace: default, name: d, uid: u}") + &claim("")), none);
    check(
        &(volume("small", "1Gi", "") + &claim(", volumeName: small")),
        "event VolumeMismatch: Cannot bind to requested volume \"small\": requested PV is too small",
    );
    check(
        &(volume("taken", "3Gi", ", claimRef: {namespace: default, name: d, uid: u}") + &claim(", volumeName: taken")),
        "event FailedBinding: volume \"taken\" already bound to a different claim.",
    );
    let class = "{kind: StorageClass, metadata: {name: fast}, provisioner: x.dev/y, volumeBindingMode: WaitForFirstConsumer}\n---\n";
    check(
        &(class.to_owned() + &volume("v", "3Gi", ", storageClassName: fast") + &claim(", storageClassName: fast")),
        "event WaitForFirstConsumer: waiting for first consumer to be created before binding",
    );
    check(
        &claim(", storageClassName: fast"),
        "event ProvisioningFailed: storageclass.storage.k8s.io \"fast\" not found",
    );
}

#[test]
fn a_binding_takes_four_steps_and_ends_with_the_claim() {
    let mut small = Small::new(&(volume("v", "3Gi", "") + &claim("")));
    assert_eq!(small.step(&ClaimBinding, "c").lines().count(), 4);
    assert_eq!(small.step(&ClaimBinding, "c"), "");
    assert_eq!(small.step(&VolumeBinding, "v"), "");
    let gone = small.get::<PersistentVolumeClaim>("c");
    small.carry_out({
        let mut plan = crate::Plan::nothing();
        plan.then(Request::delete(&*gone));
        plan
    });
    small.step(&VolumeBinding, "v");
    assert_eq!(volume_phase(&small.get("v")), "Released");
}

#[test]
fn a_claim_without_its_volume_is_lost() {
    let mut small = Small::new(&(volume("v", "3Gi", "") + &claim("")));
    small.step(&ClaimBinding, "c");
    let gone = small.get::<PersistentVolume>("v");
    small.carry_out({
        let mut plan = crate::Plan::nothing();
        plan.then(Request::delete(&*gone));
        plan
    });
    small.step(&ClaimBinding, "c");
    assert_eq!(claim_phase(&small.get("c")), "Lost");
}
