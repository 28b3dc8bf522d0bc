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
    let wants = |pod: &str, node: &str| {
        let volumes = "[{name: v, persistentVolumeClaim: {claimName: c}}]";
        format!(
            "{{kind: Pod, metadata: {{name: {pod}}}, spec: {{nodeName: '{node}', containers: [], volumes: {volumes}}}}}\n---\n"
        )
    };
    let waits = |pods: &str| class.to_owned() + &claim(", storageClassName: fast") + pods;
    check(&waits(&wants("p", "")), "event WaitForPodScheduled: waiting for pod p to be scheduled");
    check(
        &waits(&(wants("p", "") + &wants("q", "") + &wants("r", "n"))),
        "event WaitForPodScheduled: waiting for pods p,q to be scheduled",
    );
    check(
        &waits(&wants("p", "n")),
        "event WaitForFirstConsumer: waiting for first consumer to be created before binding",
    );
    for (provisioner, event) in [
        ("kubernetes.io/aws-ebs", "ProvisioningFailed: no volume plugin matched name: kubernetes.io/aws-ebs"),
        (
            "x.dev/y",
            "ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'x.dev/y' or manually \
             by the system administrator. If volume creation is delayed, please verify that the provisioner is running and \
             correctly registered.",
        ),
    ] {
        let class = format!("{{kind: StorageClass, metadata: {{name: slow}}, provisioner: {provisioner}}}\n---\n");
        check(&(class + &claim(", storageClassName: slow")), &format!("event {event}"));
    }
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

#[test]
fn a_volume_and_a_claim_of_different_modes_are_told_so() {
    let meant = volume(
        "v",
        "3Gi",
        ", volumeMode: Block, claimRef: {namespace: default, name: c, uid: persistentvolumeclaim-c}",
    );
    let steps = Small::new(&(meant + &claim(""))).step(&VolumeBinding, "v");
    let says = "event VolumeMismatch: Cannot bind PersistentVolume to requested PersistentVolumeClaim \"c\" due to \
                incompatible volumeMode.\nevent VolumeMismatch: Cannot bind PersistentVolume \"v\" to requested \
                PersistentVolumeClaim due to incompatible volumeMode.\n";
    assert_eq!(steps, says);
}

#[test]
fn an_ephemeral_volume_has_a_claim_of_its_own() {
    let pod = "{kind: Pod, metadata: {name: p}, spec: {containers: [], volumes: [{name: v, ephemeral: {volumeClaimTemplate: \
               {metadata: {labels: {a: b}}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}}}}]}}\n---\n";
    let mut small = Small::new(pod);
    assert_eq!(small.step(&EphemeralVolumes, "p"), "create persistentvolumeclaim default/p-v\n");
    let made = small.get::<PersistentVolumeClaim>("p-v");
    let owner = &made.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!((owner.kind.as_str(), owner.controller, owner.block_owner_deletion), ("Pod", Some(true), Some(true)));
    assert_eq!(made.metadata.labels.as_ref().unwrap()["a"], "b");
    assert_eq!(small.step(&EphemeralVolumes, "p"), "");
    let others = "{kind: PersistentVolumeClaim, metadata: {name: p-v}, spec: {}}\n---\n";
    assert_eq!(
        Small::new(&(pod.to_owned() + others)).step(&EphemeralVolumes, "p"),
        "event FailedBinding: ephemeral volume v: PVC default/p-v was not created for pod default/p (pod is not owner)\n"
    );
}
