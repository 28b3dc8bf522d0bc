//! Volumes: their types and files. Where containers mount them is in `mount`, volumes made of several sources in `projected`.

mod mount;
mod projected;

pub(super) use mount::{validate_devices, validate_mounts};

use super::Context;
use super::env::{FILE_FIELDS, validate_amount, validate_field};
use crate::field::{Errors, Path};
use crate::rules::check::{items, text};
use crate::rules::volume_sources::validate_outside;
use crate::rules::{metadata, persistent_volume_claim};
use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, HostPathVolumeSource, KeyToPath, Volume};

/// Every type a volume can have: the field's name, and whether it is given. In upstream's order.
pub(super) fn sources(volume: &Volume) -> [(&'static str, bool); 30] {
    [
        ("emptyDir", volume.empty_dir.is_some()),
        ("hostPath", volume.host_path.is_some()),
        ("gitRepo", volume.git_repo.is_some()),
        ("gcePersistentDisk", volume.gce_persistent_disk.is_some()),
        ("awsElasticBlockStore", volume.aws_elastic_block_store.is_some()),
        ("secret", volume.secret.is_some()),
        ("nfs", volume.nfs.is_some()),
        ("iscsi", volume.iscsi.is_some()),
        ("glusterfs", volume.glusterfs.is_some()),
        ("flocker", volume.flocker.is_some()),
        ("persistentVolumeClaim", volume.persistent_volume_claim.is_some()),
        ("rbd", volume.rbd.is_some()),
        ("cinder", volume.cinder.is_some()),
        ("cephFS", volume.cephfs.is_some()),
        ("quobyte", volume.quobyte.is_some()),
        // The missing letter is upstream's.
        ("downwarAPI", volume.downward_api.is_some()),
        ("fc", volume.fc.is_some()),
        ("flexVolume", volume.flex_volume.is_some()),
        ("configMap", volume.config_map.is_some()),
        ("azureFile", volume.azure_file.is_some()),
        ("vsphereVolume", volume.vsphere_volume.is_some()),
        ("photonPersistentDisk", volume.photon_persistent_disk.is_some()),
        ("portworxVolume", volume.portworx_volume.is_some()),
        ("azureDisk", volume.azure_disk.is_some()),
        ("storageos", volume.storageos.is_some()),
        ("projected", volume.projected.is_some()),
        ("scaleIO", volume.scale_io.is_some()),
        ("csi", volume.csi.is_some()),
        ("ephemeral", volume.ephemeral.is_some()),
        ("image", volume.image.is_some()),
    ]
}

/// Checks the volumes; returns which are wrong. A name may be taken again if its first bearer is wrong.
pub(super) fn validate(context: &Context, path: &Path, errors: &mut Errors) -> Vec<usize> {
    let volumes = items(&context.spec.volumes);
    let mut bad = Vec::new();
    for (index, volume) in volumes.iter().enumerate() {
        let path = path.index(index);
        let before = errors.len();
        validate_source(volume, context, &path, errors);
        if errors.given(&path.field("name"), &volume.name) {
            errors.dns_label(&path.field("name"), &volume.name);
        }
        let mut earlier = volumes.iter().take(index).enumerate().filter(|(index, _)| !bad.contains(index));
        if earlier.any(|(_, earlier)| earlier.name == volume.name) {
            errors.duplicate(&path.field("name"), &volume.name);
        }
        if errors.len() > before {
            bad.push(index);
        }
        validate_not_made_up(volume, volumes, context, &path, errors);
    }
    bad
}

fn validate_not_made_up(volume: &Volume, volumes: &[Volume], context: &Context, path: &Path, errors: &mut Errors) {
    let pod = context.metadata.map_or("", |metadata| text(&metadata.name));
    let Some(claim) = &volume.persistent_volume_claim else { return };
    if volumes.iter().any(|other| other.ephemeral.is_some() && is_claim_of(pod, &other.name, &claim.claim_name)) {
        errors.invalid(
            &path.field("persistentVolumeClaim").field("claimName"),
            &claim.claim_name,
            "must not reference a PVC that gets created for an ephemeral volume",
        );
    }
}

/// Whether a claim's name is the one made up for an ephemeral volume: `pod-volume`.
fn is_claim_of(pod: &str, volume: &str, claim: &str) -> bool {
    !pod.is_empty() && claim.strip_prefix(pod).and_then(|rest| rest.strip_prefix('-')) == Some(volume)
}

fn validate_source(volume: &Volume, context: &Context, path: &Path, errors: &mut Errors) {
    let mut given = sources(volume).into_iter().filter(|(_, given)| *given);
    let Some((first, _)) = given.next() else { return errors.required(path, "must specify a volume type") };
    for (name, _) in given {
        errors.forbidden(&path.field(name), "may not specify more than 1 volume type");
    }
    if let Some(limit) = volume.empty_dir.as_ref().and_then(|empty_dir| empty_dir.size_limit.as_ref())
        && crate::quantity::Quantity::try_from(limit).is_ok_and(|limit| limit.is_negative())
    {
        errors
            .forbidden(&path.field("emptyDir").field("sizeLimit"), "SizeLimit field must be a valid resource quantity");
    }
    if let Some(host_path) = volume.host_path.as_ref().filter(|_| first == "hostPath") {
        validate_host_path(host_path, &path.field("hostPath"), errors);
    }
    if let Some(secret) = volume.secret.as_ref().filter(|_| first == "secret") {
        let path = path.field("secret");
        errors.given(&path.field("secretName"), text(&secret.secret_name));
        validate_files(secret.default_mode, items(&secret.items), &path, errors);
    }
    if let Some(config_map) = volume.config_map.as_ref().filter(|_| first == "configMap") {
        let path = path.field("configMap");
        errors.given(&path.field("name"), &config_map.name);
        validate_files(config_map.default_mode, items(&config_map.items), &path, errors);
    }
    if let Some(claim) = volume.persistent_volume_claim.as_ref().filter(|_| first == "persistentVolumeClaim") {
        errors.given(&path.field("persistentVolumeClaim").field("claimName"), &claim.claim_name);
    }
    validate_outside!(volume, first, path, errors);
    if let Some(repository) = volume.git_repo.as_ref().filter(|_| first == "gitRepo") {
        let path = path.field("gitRepo");
        errors.given(&path.field("repository"), &repository.repository);
        descending_path(text(&repository.directory), &path.field("directory"), errors);
    }
    if let Some(downward) = volume.downward_api.as_ref().filter(|_| first == "downwarAPI") {
        let path = path.field("downwardAPI");
        validate_mode(downward.default_mode, &path.field("defaultMode"), errors);
        items(&downward.items).iter().for_each(|file| validate_downward_file(file, &path, errors));
    }
    if let Some(projected) = volume.projected.as_ref().filter(|_| first == "projected") {
        projected::validate(projected, context, &path.field("projected"), errors);
    }
    if let Some(csi) = volume.csi.as_ref().filter(|_| first == "csi") {
        let path = path.field("csi");
        errors.driver_name(&path.field("driver"), &csi.driver);
        if let Some(secret) = &csi.node_publish_secret_ref {
            match secret.name.as_str() {
                "" => errors.required(&path.field("nodePublishSecretRef").field("name"), ""),
                // The shorter path is upstream's.
                name => errors.dns_subdomain(&path.field("name"), name),
            }
        }
    }
    if let Some(ephemeral) = volume.ephemeral.as_ref().filter(|_| first == "ephemeral") {
        let path = path.field("ephemeral").field("volumeClaimTemplate").to_string();
        let path = Path::new(&path);
        match &ephemeral.volume_claim_template {
            None => errors.required(&path, ""),
            Some(template) => {
                if let Some(meta) = &template.metadata {
                    metadata::validate_template(meta, &path.field("metadata"), errors);
                }
                persistent_volume_claim::validate_spec(&template.spec, &path.field("spec"), errors);
            }
        }
    }
    if let Some(image) = volume.image.as_ref().filter(|_| first == "image") {
        let path = path.field("image");
        if context.is_pod() {
            errors.given(&path.field("reference"), text(&image.reference));
        }
        let policies = ["Always", "IfNotPresent", "Never"];
        errors.given_one_of(&path.field("pullPolicy"), text(&image.pull_policy), &policies);
    }
}

pub(in crate::rules) fn validate_host_path(host_path: &HostPathVolumeSource, path: &Path, errors: &mut Errors) {
    const TYPES: &[&str] =
        &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    if errors.given(&path.field("path"), &host_path.path) {
        no_backsteps(&host_path.path, &path.field("path"), errors);
        errors.any_of(&path.field("type"), &host_path.type_, TYPES);
    }
}

fn validate_mode(mode: Option<i32>, path: &Path, errors: &mut Errors) {
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        errors.invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}

fn validate_files(default_mode: Option<i32>, files: &[KeyToPath], path: &Path, errors: &mut Errors) {
    validate_mode(default_mode, &path.field("defaultMode"), errors);
    for (index, file) in files.iter().enumerate() {
        validate_file(file, &path.field("items").index(index), errors);
    }
}

fn validate_file(file: &KeyToPath, path: &Path, errors: &mut Errors) {
    errors.given(&path.field("key"), &file.key);
    errors.given(&path.field("path"), &file.path);
    local_path(&file.path, &path.field("path"), errors);
    validate_mode(file.mode, &path.field("mode"), errors);
}

/// A path that leads nowhere above where it starts.
pub(in crate::rules) fn no_backsteps(value: &str, path: &Path, errors: &mut Errors) {
    if value.split('/').any(|step| step == "..") {
        errors.invalid(path, value, "must not contain '..'");
    }
}

/// A relative path without steps back.
pub(super) fn descending_path(value: &str, path: &Path, errors: &mut Errors) {
    if value.starts_with('/') {
        errors.invalid(path, value, "must be a relative path");
    }
    no_backsteps(value, path, errors);
}

/// A descending path outside the names that projected volumes keep for themselves.
fn local_path(value: &str, path: &Path, errors: &mut Errors) {
    descending_path(value, path, errors);
    if value.starts_with("..") && !value.starts_with("../") {
        errors.invalid(path, value, "must not start with '..'");
    }
}

fn validate_downward_file(file: &DownwardAPIVolumeFile, path: &Path, errors: &mut Errors) {
    errors.given(&path.field("path"), &file.path);
    local_path(&file.path, &path.field("path"), errors);
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(field), amount) => {
            validate_field(field, FILE_FIELDS, &path.field("fieldRef"), errors);
            if amount.is_some() {
                errors.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
            }
        }
        (None, Some(amount)) => validate_amount(amount, true, &path.field("resourceFieldRef"), errors),
        (None, None) => errors.required(path, "one of fieldRef and resourceFieldRef is required"),
    }
    validate_mode(file.mode, &path.field("mode"), errors);
}
