//! Where containers mount volumes.

use super::descending_path;
use crate::field::{Errors, Path};
use crate::rules::check::{items, text};
use crate::rules::pod_spec::Context;
use k8s_openapi::api::core::v1::{Volume, VolumeDevice, VolumeMount};

fn find_volume<'a>(context: &Context<'a>, name: &str) -> Option<&'a Volume> {
    let good =
        items(&context.spec.volumes).iter().enumerate().filter(|(index, _)| !context.bad_volumes.contains(index));
    good.map(|(_, volume)| volume).find(|volume| volume.name == name)
}

pub(in crate::rules::pod_spec) fn validate_mounts(
    mounts: &[VolumeMount],
    devices: &[VolumeDevice],
    context: &Context,
    privileged: bool,
    path: &Path,
    errors: &mut Errors,
) {
    for (index, mount) in mounts.iter().enumerate() {
        let item = path.index(index);
        errors.given(&item.field("name"), &mount.name);
        if find_volume(context, &mount.name).is_none() {
            errors.not_found(&item.field("name"), &mount.name);
        }
        errors.given(&item.field("mountPath"), &mount.mount_path);
        if mounts.iter().take(index).any(|earlier| earlier.mount_path == mount.mount_path) {
            errors.invalid(&item.field("mountPath"), &mount.mount_path, "must be unique");
        }
        if devices.iter().any(|device| device.name == mount.name) {
            errors.invalid(&item.field("name"), &mount.name, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|device| device.device_path == mount.mount_path) {
            let message = "must not already exist as a path in volumeDevices";
            errors.invalid(&item.field("mountPath"), &mount.mount_path, message);
        }
        validate_mount_options(mount, privileged, &item, path, errors);
    }
}

/// Upstream reports some of a mount's fields at the list rather than at the item.
fn validate_mount_options(mount: &VolumeMount, privileged: bool, item: &Path, list: &Path, errors: &mut Errors) {
    let (sub_path, expression) = (text(&mount.sub_path), text(&mount.sub_path_expr));
    if !sub_path.is_empty() {
        descending_path(sub_path, &list.field("subPath"), errors);
    }
    if !expression.is_empty() {
        if !sub_path.is_empty() {
            errors.invalid(&item.field("subPathExpr"), expression, "subPathExpr and subPath are mutually exclusive");
        }
        descending_path(expression, &list.field("subPathExpr"), errors);
    }
    let propagations = ["Bidirectional", "HostToContainer", "None"];
    errors.any_of(&list.field("mountPropagation"), &mount.mount_propagation, &propagations);
    if mount.mount_propagation.as_deref() == Some("Bidirectional") && !privileged {
        let message = "Bidirectional mount propagation is available only to privileged containers";
        errors.forbidden(&list.field("mountPropagation"), message);
    }
    let path = list.field("recursiveReadOnly");
    errors.any_of(&path, &mount.recursive_read_only, &["Disabled", "Enabled", "IfPossible"]);
    if matches!(text(&mount.recursive_read_only), "Enabled" | "IfPossible") {
        if mount.read_only != Some(true) {
            errors.forbidden(&path, "may only be specified when readOnly is true");
        }
        if !matches!(mount.mount_propagation.as_deref(), None | Some("None")) {
            errors.forbidden(&path, "may only be specified when mountPropagation is None or not specified");
        }
    }
}

pub(in crate::rules::pod_spec) fn validate_devices(
    devices: &[VolumeDevice],
    mounts: &[VolumeMount],
    context: &Context,
    path: &Path,
    errors: &mut Errors,
) {
    for (index, device) in devices.iter().enumerate() {
        let path = path.index(index);
        let (name, device_path) = (&device.name, &device.device_path);
        errors.given(&path.field("name"), name);
        let earlier = || devices.iter().take(index);
        if earlier().any(|earlier| earlier.name == *name) {
            errors.invalid(&path.field("name"), name, "must be unique");
        }
        match find_volume(context, name) {
            None => errors.not_found(&path.field("name"), name),
            Some(volume) if volume.persistent_volume_claim.is_none() && volume.ephemeral.is_none() => {
                let message = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.invalid(&path.field("name"), name, message);
            }
            Some(_) => {}
        }
        errors.given(&path.field("devicePath"), device_path);
        if earlier().any(|earlier| earlier.device_path == *device_path) {
            errors.invalid(&path.field("devicePath"), device_path, "must be unique");
        }
        if device_path.split('/').any(|step| step == "..") {
            errors.invalid(&path.field("devicePath"), device_path, "can not contain backsteps ('..')");
        }
        if mounts.iter().any(|mount| mount.name == *name) {
            errors.invalid(&path.field("name"), name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|mount| mount.mount_path == *device_path) {
            errors.invalid(&path.field("devicePath"), device_path, "must not already exist as a path in volumeMounts");
        }
    }
}
