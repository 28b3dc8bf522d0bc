//! Volumes, claims and what provides them.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus,
    PersistentVolumeSpec, PersistentVolumeStatus,
};
use k8s_openapi::api::storage::v1::{
    CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment, VolumeAttributesClass,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::age::age;
use super::column::{AGE, NAME, boolean, field, integer, string, text};
use super::text::{NONE, UNSET, given, or, plain, quantity};
use super::{Printer, printer, row};

pub(super) static PERSISTENT_VOLUME: Printer = printer!(
    PersistentVolume,
    persistent_volume,
    [
        NAME,
        string("Capacity", field("core.v1.PersistentVolumeSpec", "capacity")),
        string("Access Modes", field("core.v1.PersistentVolumeSpec", "accessModes")),
        string("Reclaim Policy", field("core.v1.PersistentVolumeSpec", "persistentVolumeReclaimPolicy")),
        string("Status", field("core.v1.PersistentVolumeStatus", "phase")),
        string("Claim", field("core.v1.PersistentVolumeSpec", "claimRef")),
        string("StorageClass", text("StorageClass of the pv")),
        string("VolumeAttributesClass", text("VolumeAttributesClass of the pv")),
        string("Reason", field("core.v1.PersistentVolumeStatus", "reason")),
        AGE,
        string("VolumeMode", field("core.v1.PersistentVolumeSpec", "volumeMode")).wide(),
    ]
);

fn persistent_volume(volume: &PersistentVolume, now: Timestamp) -> Vec<Value> {
    let (no_spec, no_status) = (PersistentVolumeSpec::default(), PersistentVolumeStatus::default());
    let spec = volume.spec.as_ref().unwrap_or(&no_spec);
    let status = volume.status.as_ref().unwrap_or(&no_status);
    let claim = spec.claim_ref.as_ref().map(|claim| format!("{}/{}", plain(&claim.namespace), plain(&claim.name)));
    row![
        plain(&volume.metadata.name),
        quantity(spec.capacity.as_ref().and_then(|capacity| capacity.get("storage"))),
        access_modes(spec.access_modes.as_deref()),
        plain(&spec.persistent_volume_reclaim_policy),
        phase(&volume.metadata, &status.phase),
        claim.unwrap_or_default(),
        class(&volume.metadata, &spec.storage_class_name),
        given(&spec.volume_attributes_class_name, UNSET),
        plain(&status.reason),
        age(&volume.metadata, now),
        given(&spec.volume_mode, UNSET),
    ]
}

pub(super) static PERSISTENT_VOLUME_CLAIM: Printer = printer!(
    PersistentVolumeClaim,
    persistent_volume_claim,
    [
        NAME,
        string("Status", field("core.v1.PersistentVolumeClaimStatus", "phase")),
        string("Volume", field("core.v1.PersistentVolumeClaimSpec", "volumeName")),
        string("Capacity", field("core.v1.PersistentVolumeClaimStatus", "capacity")),
        string("Access Modes", field("core.v1.PersistentVolumeClaimStatus", "accessModes")),
        string("StorageClass", text("StorageClass of the pvc")),
        string("VolumeAttributesClass", text("VolumeAttributesClass of the pvc")),
        AGE,
        string("VolumeMode", field("core.v1.PersistentVolumeClaimSpec", "volumeMode")).wide(),
    ]
);

/// Capacity and access modes are those of the bound volume, so an unbound claim shows none.
fn persistent_volume_claim(claim: &PersistentVolumeClaim, now: Timestamp) -> Vec<Value> {
    let (no_spec, no_status) = (PersistentVolumeClaimSpec::default(), PersistentVolumeClaimStatus::default());
    let spec = claim.spec.as_ref().unwrap_or(&no_spec);
    let status = claim.status.as_ref().unwrap_or(&no_status);
    let is_bound = !plain(&spec.volume_name).is_empty();
    let capacity = || quantity(status.capacity.as_ref().and_then(|capacity| capacity.get("storage")));
    row![
        plain(&claim.metadata.name),
        phase(&claim.metadata, &status.phase),
        plain(&spec.volume_name),
        if is_bound { capacity() } else { String::new() },
        if is_bound { access_modes(status.access_modes.as_deref()) } else { String::new() },
        class(&claim.metadata, &spec.storage_class_name),
        given(&spec.volume_attributes_class_name, UNSET),
        age(&claim.metadata, now),
        given(&spec.volume_mode, UNSET),
    ]
}

fn phase<'a>(metadata: &ObjectMeta, phase: &'a Option<String>) -> &'a str {
    if metadata.deletion_timestamp.is_some() { "Terminating" } else { plain(phase) }
}

/// The storage class; an annotation named it before there was a field, and still wins.
fn class<'a>(metadata: &'a ObjectMeta, field: &'a Option<String>) -> &'a str {
    annotation(metadata, "volume.beta.kubernetes.io/storage-class").unwrap_or(plain(field))
}

fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// Abbreviated, none twice, in a fixed order. Source: core helper `GetAccessModesAsString`.
fn access_modes(modes: Option<&[String]>) -> String {
    const ABBREVIATIONS: [(&str, &str); 4] =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let has = |mode: &str| modes.unwrap_or_default().iter().any(|given| given == mode);
    ABBREVIATIONS.iter().filter(|(mode, _)| has(mode)).map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

pub(super) static STORAGE_CLASS: Printer = printer!(
    StorageClass,
    storage_class,
    [
        NAME,
        string("Provisioner", field("storage.v1.StorageClass", "provisioner")),
        string("ReclaimPolicy", field("storage.v1.StorageClass", "reclaimPolicy")),
        string("VolumeBindingMode", field("storage.v1.StorageClass", "volumeBindingMode")),
        string("AllowVolumeExpansion", field("storage.v1.StorageClass", "allowVolumeExpansion")),
        AGE,
    ]
);

fn storage_class(class: &StorageClass, now: Timestamp) -> Vec<Value> {
    let says_default = |key: &str| annotation(&class.metadata, key) == Some("true");
    let is_default = says_default("storageclass.kubernetes.io/is-default-class")
        || says_default("storageclass.beta.kubernetes.io/is-default-class");
    row![
        format!("{}{}", plain(&class.metadata.name), if is_default { " (default)" } else { "" }),
        class.provisioner.as_str(),
        given(&class.reclaim_policy, "Delete"),
        given(&class.volume_binding_mode, "Immediate"),
        class.allow_volume_expansion.unwrap_or(false),
        age(&class.metadata, now),
    ]
}

pub(super) static VOLUME_ATTRIBUTES_CLASS: Printer = printer!(
    VolumeAttributesClass,
    volume_attributes_class,
    [NAME, string("DriverName", field("storage.v1.VolumeAttributesClass", "driverName")), AGE]
);

fn volume_attributes_class(class: &VolumeAttributesClass, now: Timestamp) -> Vec<Value> {
    row![plain(&class.metadata.name), class.driver_name.as_str(), age(&class.metadata, now)]
}

pub(super) static VOLUME_ATTACHMENT: Printer = printer!(
    VolumeAttachment,
    volume_attachment,
    [
        NAME,
        string("Attacher", field("storage.v1.VolumeAttachmentSpec", "attacher")).format("name"),
        string("PV", field("storage.v1.VolumeAttachmentSource", "persistentVolumeName")),
        string("Node", field("storage.v1.VolumeAttachmentSpec", "nodeName")),
        boolean("Attached", field("storage.v1.VolumeAttachmentStatus", "attached")),
        AGE,
    ]
);

fn volume_attachment(attachment: &VolumeAttachment, now: Timestamp) -> Vec<Value> {
    row![
        plain(&attachment.metadata.name),
        attachment.spec.attacher.as_str(),
        plain(&attachment.spec.source.persistent_volume_name),
        attachment.spec.node_name.as_str(),
        attachment.status.as_ref().is_some_and(|status| status.attached),
        age(&attachment.metadata, now),
    ]
}

pub(super) static CSI_NODE: Printer = printer!(
    CSINode,
    csi_node,
    [NAME, integer("Drivers", text("Drivers indicates the number of CSI drivers registered on the node")), AGE,]
);

fn csi_node(node: &CSINode, now: Timestamp) -> Vec<Value> {
    row![plain(&node.metadata.name), node.spec.drivers.len(), age(&node.metadata, now)]
}

pub(super) static CSI_DRIVER: Printer = printer!(
    CSIDriver,
    csi_driver,
    [
        NAME,
        boolean("AttachRequired", field("storage.v1.CSIDriverSpec", "attachRequired")),
        boolean("PodInfoOnMount", field("storage.v1.CSIDriverSpec", "podInfoOnMount")),
        boolean("StorageCapacity", field("storage.v1.CSIDriverSpec", "storageCapacity")),
        string("TokenRequests", field("storage.v1.CSIDriverSpec", "tokenRequests")),
        boolean("RequiresRepublish", field("storage.v1.CSIDriverSpec", "requiresRepublish")),
        string("Modes", field("storage.v1.CSIDriverSpec", "volumeLifecycleModes")),
        AGE,
    ]
);

fn csi_driver(driver: &CSIDriver, now: Timestamp) -> Vec<Value> {
    let spec = &driver.spec;
    let audiences = spec
        .token_requests
        .as_ref()
        .map(|requests| requests.iter().map(|request| request.audience.as_str()).collect::<Vec<_>>().join(","));
    row![
        plain(&driver.metadata.name),
        spec.attach_required.unwrap_or(true),
        spec.pod_info_on_mount.unwrap_or(false),
        spec.storage_capacity.unwrap_or(false),
        given(&audiences, UNSET),
        spec.requires_republish.unwrap_or(false),
        or(&spec.volume_lifecycle_modes.as_deref().unwrap_or_default().join(","), NONE),
        age(&driver.metadata, now),
    ]
}

pub(super) static CSI_STORAGE_CAPACITY: Printer = printer!(
    CSIStorageCapacity,
    csi_storage_capacity,
    [
        NAME,
        string("StorageClassName", field("storage.v1.CSIStorageCapacity", "storageClassName")),
        string("Capacity", field("storage.v1.CSIStorageCapacity", "capacity")),
    ]
);

fn csi_storage_capacity(capacity: &CSIStorageCapacity, _now: Timestamp) -> Vec<Value> {
    let bytes = capacity.capacity.as_ref().map(|bytes| quantity(Some(bytes)));
    row![plain(&capacity.metadata.name), capacity.storage_class_name.as_str(), given(&bytes, UNSET)]
}
