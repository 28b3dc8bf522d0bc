//! Volumes from outside the cluster, which Pods and PersistentVolumes name alike.

use super::check::text;
use crate::field::{Errors, Json, Path, format};
use k8s_openapi::api::core::v1::{
    AzureDiskVolumeSource, FCVolumeSource, FlockerVolumeSource, NFSVolumeSource, QuobyteVolumeSource,
};
use std::collections::BTreeMap;

/// Checks the one volume of a holder (a pod's volume, or a PersistentVolume's spec) that is of type `$first`, if the type is
/// one from outside. The two holders' types differ in name only where this looks.
macro_rules! validate_outside {
    ($holder:expr, $first:expr, $path:expr, $errors:expr) => {{
        use $crate::rules::volume_sources as source;
        let (holder, first, path, errors) = ($holder, $first, $path, &mut *$errors);
        if let Some(disk) = holder.gce_persistent_disk.as_ref().filter(|_| first == "gcePersistentDisk") {
            source::disk("pdName", &disk.pd_name, disk.partition, &path.field("persistentDisk"), errors);
        }
        if let Some(disk) = holder.aws_elastic_block_store.as_ref().filter(|_| first == "awsElasticBlockStore") {
            source::disk("volumeID", &disk.volume_id, disk.partition, &path.field("awsElasticBlockStore"), errors);
        }
        if let Some(nfs) = holder.nfs.as_ref().filter(|_| first == "nfs") {
            source::nfs(nfs, &path.field("nfs"), errors);
        }
        if let Some(glusterfs) = holder.glusterfs.as_ref().filter(|_| first == "glusterfs") {
            let given = [("endpoints", glusterfs.endpoints.as_str()), ("path", &glusterfs.path)];
            source::required(&given, &path.field("glusterfs"), errors);
        }
        if let Some(flocker) = holder.flocker.as_ref().filter(|_| first == "flocker") {
            source::flocker(flocker, &path.field("flocker"), errors);
        }
        if let Some(rbd) = holder.rbd.as_ref().filter(|_| first == "rbd") {
            let first_monitor = rbd.monitors.first().map_or("", |_| "given");
            source::required(&[("monitors", first_monitor), ("image", &rbd.image)], &path.field("rbd"), errors);
        }
        if let Some(cephfs) = holder.cephfs.as_ref().filter(|_| first == "cephFS") {
            let first_monitor = cephfs.monitors.first().map_or("", |_| "given");
            source::required(&[("monitors", first_monitor)], &path.field("cephfs"), errors);
        }
        if let Some(quobyte) = holder.quobyte.as_ref().filter(|_| first == "quobyte") {
            source::quobyte(quobyte, &path.field("quobyte"), errors);
        }
        if let Some(fc) = holder.fc.as_ref().filter(|_| first == "fc") {
            source::fc(fc, &path.field("fc"), errors);
        }
        if let Some(flex) = holder.flex_volume.as_ref().filter(|_| first == "flexVolume") {
            source::flex(&flex.driver, flex.options.as_ref(), &path.field("flexVolume"), errors);
        }
        if let Some(file) = holder.azure_file.as_ref().filter(|_| first == "azureFile") {
            let given = [("secretName", file.secret_name.as_str()), ("shareName", &file.share_name)];
            source::required(&given, &path.field("azureFile"), errors);
        }
        if let Some(disk) = holder.azure_disk.as_ref().filter(|_| first == "azureDisk") {
            source::azure_disk(disk, &path.field("azureDisk"), errors);
        }
        if let Some(disk) = holder.vsphere_volume.as_ref().filter(|_| first == "vsphereVolume") {
            source::required(&[("volumePath", disk.volume_path.as_str())], &path.field("vsphereVolume"), errors);
        }
        if let Some(disk) = holder.photon_persistent_disk.as_ref().filter(|_| first == "photonPersistentDisk") {
            source::required(&[("pdID", disk.pd_id.as_str())], &path.field("photonPersistentDisk"), errors);
        }
        if let Some(portworx) = holder.portworx_volume.as_ref().filter(|_| first == "portworxVolume") {
            source::required(&[("volumeID", portworx.volume_id.as_str())], &path.field("portworxVolume"), errors);
        }
        if let Some(scale_io) = holder.scale_io.as_ref().filter(|_| first == "scaleIO") {
            let name = scale_io.volume_name.as_deref().unwrap_or_default();
            let given = [("gateway", scale_io.gateway.as_str()), ("system", &scale_io.system), ("volumeName", name)];
            source::required(&given, &path.field("scaleIO"), errors);
        }
        if let Some(storage_os) = holder.storageos.as_ref().filter(|_| first == "storageos") {
            let (name, namespace) = (&storage_os.volume_name, &storage_os.volume_namespace);
            source::storage_os(name.as_deref(), namespace.as_deref(), &path.field("storageos"), errors);
        }
        if let Some(iscsi) = holder.iscsi.as_ref().filter(|_| first == "iscsi") {
            let path = path.field("iscsi");
            source::required(&[("targetPortal", iscsi.target_portal.as_str())], &path, errors);
            source::iscsi_name("iqn", Some(&iscsi.iqn), &path, errors);
            source::lun(iscsi.lun, &path.field("lun"), errors);
            let authenticates = iscsi.chap_auth_discovery == Some(true) || iscsi.chap_auth_session == Some(true);
            if authenticates && iscsi.secret_ref.is_none() {
                errors.required(&path.field("secretRef"), "");
            }
            source::iscsi_name("initiatorname", iscsi.initiator_name.as_deref(), &path, errors);
        }
        if let Some(cinder) = holder.cinder.as_ref().filter(|_| first == "cinder") {
            source::required(&[("volumeID", cinder.volume_id.as_str())], &path.field("cinder"), errors);
        }
    }};
}
pub(super) use validate_outside;

/// Checks that texts are given.
pub(super) fn required(texts: &[(&str, &str)], path: &Path, errors: &mut Errors) {
    for (field, value) in texts {
        errors.given(&path.field(field), value);
    }
}

pub(super) fn disk(field: &str, name: &str, partition: Option<i32>, path: &Path, errors: &mut Errors) {
    errors.given(&path.field(field), name);
    if let Some(partition) = partition.filter(|partition| !(0..=255).contains(partition)) {
        errors.invalid(&path.field("partition"), partition, "must be between 1 and 255, inclusive");
    }
}

pub(super) fn nfs(nfs: &NFSVolumeSource, path: &Path, errors: &mut Errors) {
    required(&[("server", &nfs.server), ("path", &nfs.path)], path, errors);
    if !nfs.path.starts_with('/') {
        errors.invalid(&path.field("path"), &nfs.path, "must be an absolute path");
    }
}

pub(super) fn flocker(flocker: &FlockerVolumeSource, path: &Path, errors: &mut Errors) {
    let (name, uuid) = (text(&flocker.dataset_name), text(&flocker.dataset_uuid));
    if name.is_empty() && uuid.is_empty() {
        errors.required(path, "one of datasetName and datasetUUID is required");
    }
    if !name.is_empty() && !uuid.is_empty() {
        errors.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously");
    }
    if name.contains('/') {
        errors.invalid(&path.field("datasetName"), name, "must not contain '/'");
    }
}

pub(super) fn quobyte(quobyte: &QuobyteVolumeSource, path: &Path, errors: &mut Errors) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = path.field("registry");
    if quobyte.registry.is_empty() {
        errors.required(&registry, PAIRS);
    } else if text(&quobyte.tenant).len() >= 65 {
        errors.required(&path.field("tenant"), "must be a UUID and may not exceed a length of 64 characters");
    } else {
        let is_pair = |pair: &&str| pair.matches(':').count() == 1 || pair.contains("]:");
        for _ in quobyte.registry.split(',').filter(|pair| !is_pair(pair)) {
            errors.invalid(&registry, &quobyte.registry, PAIRS);
        }
    }
    errors.given(&path.field("volume"), &quobyte.volume);
}

pub(super) fn fc(fc: &FCVolumeSource, path: &Path, errors: &mut Errors) {
    let is_given = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let names = path.field("targetWWNs");
    match (is_given(&fc.target_wwns), is_given(&fc.wwids)) {
        (false, false) => errors.required(&names, "must specify either targetWWNs or wwids, but not both"),
        (true, true) => {
            let message = "targetWWNs and wwids can not be specified simultaneously";
            errors.invalid(&names, Json(&fc.target_wwns), message);
        }
        _ => {}
    }
    match fc.lun {
        _ if !is_given(&fc.target_wwns) => {}
        None => errors.required(&path.field("lun"), "lun is required if targetWWNs is specified"),
        Some(number) => lun(number, &path.field("lun"), errors),
    }
}

pub(super) fn lun(lun: i32, path: &Path, errors: &mut Errors) {
    errors.invalid_each(path, lun, format::in_range(lun.into(), 0, 255));
}

pub(super) fn flex(driver: &str, options: Option<&BTreeMap<String, String>>, path: &Path, errors: &mut Errors) {
    errors.given(&path.field("driver"), driver);
    let path = path.field("options");
    for key in options.into_iter().flat_map(BTreeMap::keys) {
        let domain = std::format!(".{}", key.split_once('/').map_or(key.as_str(), |(domain, _)| domain).to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            errors.invalid(&path.key(key), key, "kubernetes.io and k8s.io namespaces are reserved");
        }
    }
}

pub(super) fn azure_disk(disk: &AzureDiskVolumeSource, path: &Path, errors: &mut Errors) {
    const MANAGED: &str =
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    const BLOB: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    required(&[("diskName", &disk.disk_name), ("diskURI", &disk.disk_uri)], path, errors);
    errors.any_of(&path.field("cachingMode"), &disk.caching_mode, &["None", "ReadOnly", "ReadWrite"]);
    errors.any_of(&path.field("kind"), &disk.kind, &["Dedicated", "Managed", "Shared"]);
    let (start, form) = match disk.kind.as_deref() {
        None => return,
        Some("Managed") => ("/subscriptions/", MANAGED),
        Some(_) => ("https://", BLOB),
    };
    if !disk.disk_uri.starts_with(start) {
        errors.not_supported(&path.field("diskURI"), &disk.disk_uri, &[form]);
    }
}

pub(super) fn storage_os(name: Option<&str>, namespace: Option<&str>, path: &Path, errors: &mut Errors) {
    let name = name.unwrap_or_default();
    if errors.given(&path.field("volumeName"), name) {
        errors.dns_label(&path.field("volumeName"), name);
    }
    if let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty()) {
        errors.dns_label(&path.field("volumeNamespace"), namespace);
    }
}

/// The name of a target or initiator: `iqn.2001-04.com.example:disk`, `eui.` and 16 or `naa.` and 32 letters and digits.
pub(super) fn iscsi_name(field: &str, name: Option<&str>, path: &Path, errors: &mut Errors) {
    let Some(name) = name else { return };
    let path = path.field(field);
    if field == "iqn" && !errors.given(&path, name) {
        return;
    }
    let is_code = |rest: &str, length| rest.len() == length && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let good = match (name.get(..3), name.get(4..)) {
        (Some("iqn"), rest) => rest.is_some_and(is_iqn),
        (Some("eui"), rest) => rest.is_some_and(|rest| is_code(rest, 16)),
        (Some("naa"), rest) => rest.is_some_and(|rest| is_code(rest, 32)),
        _ => return errors.invalid(&path, name, "must be valid format starting with iqn, eui, or naa"),
    };
    if !good {
        errors.invalid(&path, name, "must be valid format");
    }
}

/// `2001-04.com.example:disk`
fn is_iqn(rest: &str) -> bool {
    let Some((date, rest)) = rest.split_once('.') else { return false };
    let Some((domain, name)) = rest.split_once(':') else { return false };
    let is_digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_domain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    date.split_once('-').is_some_and(|(year, month)| is_digits(year, 4) && is_digits(month, 2))
        && !domain.is_empty()
        && domain.bytes().all(is_domain)
        && !name.is_empty()
        && !name.contains([',', ';', '*', '&', '$', '|'])
        && !name.contains(char::is_whitespace)
}
