//! PersistentVolume. Of its source only that there is one; of changes, that the source stays.

use super::check::{items, text};
use super::{Ruled, fill, pod_spec, same};
use crate::field::{Errors, Json, Path};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeSpec};

const SPEC: Path<'static> = Path::new("spec");
pub(super) const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

impl Ruled for PersistentVolume {
    fn fill_defaults(&mut self) {
        fill::text(&mut self.status.get_or_insert_default().phase, "Pending");
        let spec = self.spec.get_or_insert_default();
        fill::text(&mut spec.persistent_volume_reclaim_policy, "Retain");
        fill::value(&mut spec.volume_mode, "Filesystem".to_owned());
        fill::canonical_amounts(spec.capacity.as_mut());
        if let Some(host_path) = &mut spec.host_path {
            host_path.type_.get_or_insert_default();
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let Some(spec) = &self.spec else { return errors.required(&SPEC, "") };
        validate_access_modes(items(&spec.access_modes), "", &SPEC.field("accessModes"), errors);
        validate_capacity(spec, &SPEC.field("capacity"), errors);
        let policies = ["Delete", "Recycle", "Retain"];
        let policy = text(&spec.persistent_volume_reclaim_policy);
        if !policy.is_empty() {
            errors.one_of(&SPEC.field("persistentVolumeReclaimPolicy"), policy, &policies);
        }
        validate_source(spec, errors);
        if !text(&spec.storage_class_name).is_empty() {
            errors.dns_subdomain(&SPEC.field("storageClassName"), text(&spec.storage_class_name));
        }
        errors.any_of(&SPEC.field("volumeMode"), &spec.volume_mode, &["Block", "Filesystem"]);
        if let Some(required) = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref()) {
            let path = SPEC.field("nodeAffinity");
            pod_spec::scheduling::validate_node_selector(required, &path.field("required"), errors);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        let (Some(new), Some(old)) = (&self.spec, &old.spec) else { return };
        if !same(&source_of(new), &source_of(old)) {
            // Upstream appends a dump of the difference.
            let message = "spec.persistentvolumesource is immutable after creation";
            errors.forbidden(&SPEC.field("persistentvolumesource"), message);
        }
        errors.immutable(&Path::new("volumeMode"), &new.volume_mode, &old.volume_mode);
        if old.node_affinity.is_some() {
            errors.immutable(&Path::new("nodeAffinity"), &new.node_affinity, &old.node_affinity);
        }
    }

    fn prepare_create(&mut self) {
        let status = self.status.get_or_insert_default();
        *status = Default::default();
        status.phase = Some("Pending".to_owned());
    }

    fn prepare_update(&mut self, old: &Self) {
        self.status = old.status.clone();
    }

    fn prepare_status_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
    }
}

/// The spec without all that is not its source; what changes in it is a change of the source.
fn source_of(spec: &PersistentVolumeSpec) -> PersistentVolumeSpec {
    let mut source = PersistentVolumeSpec {
        access_modes: None,
        capacity: None,
        claim_ref: None,
        mount_options: None,
        node_affinity: None,
        persistent_volume_reclaim_policy: None,
        storage_class_name: None,
        volume_attributes_class_name: None,
        volume_mode: None,
        ..spec.clone()
    };
    if let Some(csi) = &mut source.csi {
        csi.controller_expand_secret_ref = None;
    }
    source
}

/// Checks access modes; `none` is what to say when there are none.
pub(super) fn validate_access_modes(modes: &[String], none: &str, path: &Path, errors: &mut Errors) {
    if modes.is_empty() {
        errors.required(path, none);
    }
    for mode in modes {
        errors.one_of(path, mode, ACCESS_MODES);
    }
    let single = |mode: &&String| mode.as_str() == "ReadWriteOncePod";
    let others = modes.iter().filter(|mode| ACCESS_MODES.contains(&mode.as_str()) && !single(mode)).count();
    if modes.iter().any(|mode| single(&mode)) && others > 0 {
        errors.forbidden(path, "may not use ReadWriteOncePod with other access modes");
    }
}

fn validate_capacity(spec: &PersistentVolumeSpec, path: &Path, errors: &mut Errors) {
    let Some(capacity) = spec.capacity.as_ref().filter(|capacity| !capacity.is_empty()) else {
        errors.required(path, "");
        return errors.not_supported(path, Json(&spec.capacity), &["storage"]);
    };
    if capacity.len() > 1 || !capacity.contains_key("storage") {
        errors.not_supported(path, Json(capacity), &["storage"]);
    }
    for (name, text) in capacity {
        let path = path.key(name);
        let Some(amount) = errors.quantity(&path, text) else { continue };
        if amount.value() < 0 {
            errors.invalid(&path, amount.value(), "must be a valid resource quantity");
        }
        if amount.is_zero() || amount.is_negative() {
            errors.invalid(&path, amount.to_string(), "must be greater than zero");
        }
    }
}

fn validate_source(spec: &PersistentVolumeSpec, errors: &mut Errors) {
    let source = serde_json::to_value(source_of(spec)).unwrap_or_default();
    let given = source.as_object().map_or(0, serde_json::Map::len);
    if given == 0 {
        errors.required(&SPEC, "must specify a volume type");
    }
    for field in source.as_object().into_iter().flatten().skip(1).map(|(field, _)| field) {
        errors.forbidden(&SPEC.field(field), "may not specify more than 1 volume type");
    }
    let path = SPEC.field("hostPath");
    if let Some(host_path) = &spec.host_path
        && errors.given(&path.field("path"), &host_path.path)
        && host_path.path.split('/').any(|step| step == "..")
    {
        errors.invalid(&path.field("path"), &host_path.path, "must not contain '..'");
    }
    if let Some(local) = &spec.local {
        errors.given(&SPEC.field("local").field("path"), &local.path);
        if spec.node_affinity.as_ref().is_none_or(|affinity| affinity.required.is_none()) {
            errors.required(&SPEC.field("nodeAffinity"), "Local volume requires node affinity");
        }
    }
}
