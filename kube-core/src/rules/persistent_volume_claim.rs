//! PersistentVolumeClaim.

use super::check::{items, text};
use super::persistent_volume::validate_access_modes;
use super::{Ruled, fill, pod_spec, same};
use crate::field::{Errors, Path, format};
use crate::quantity::{Quantity, QuantityText};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus};

const SPEC: Path<'static> = Path::new("spec");
const STORAGE: &str = "storage";

impl Ruled for PersistentVolumeClaim {
    fn fill_defaults(&mut self) {
        fill::text(&mut self.status.get_or_insert_default().phase, "Pending");
        pod_spec::defaults::fill_claim(self.spec.get_or_insert_default());
    }

    fn validate(&self, errors: &mut Errors) {
        let none = PersistentVolumeClaimSpec::default();
        validate_spec(self.spec.as_ref().unwrap_or(&none), &SPEC, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        let (Some(new_spec), Some(old_spec)) = (&self.spec, &old.spec) else { return };
        if new_spec != old_spec && !same(&with_changeable_of(self, new_spec, old_spec), old_spec) {
            // Upstream appends a dump of the difference.
            let message = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
            errors.forbidden(&SPEC, message);
        }
        let capacity = old.status.as_ref().and_then(|status| status.capacity.as_ref()).and_then(|it| it.get(STORAGE));
        validate_size_update(requested(new_spec), requested(old_spec), capacity, errors);
        errors.immutable(&Path::new("volumeMode"), &new_spec.volume_mode, &old_spec.volume_mode);
        validate_attributes_class_update(new_spec, old_spec, old.status.as_ref(), errors);
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        if self.spec.as_ref().is_none_or(|spec| items(&spec.access_modes).is_empty()) {
            errors.required(&Path::new("Spec.accessModes"), "");
        }
        if let Some(status) = &self.status {
            validate_status(status, &Path::new("status"), errors);
        }
    }

    fn prepare_create(&mut self) {
        self.status = Some(PersistentVolumeClaimStatus { phase: Some("Pending".to_owned()), ..Default::default() });
    }

    fn prepare_update(&mut self, old: &Self) {
        self.status = old.status.clone();
    }

    fn prepare_status_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
    }
}

/// Checks a claim's spec, alone or in a template.
pub(super) fn validate_spec(spec: &PersistentVolumeClaimSpec, path: &Path, errors: &mut Errors) {
    let modes = items(&spec.access_modes);
    validate_access_modes(modes, "at least 1 access mode is required", &path.field("accessModes"), errors);
    errors.label_selector(&path.field("selector"), spec.selector.as_ref());
    let resources = path.field("resources");
    let resources = resources.key(STORAGE);
    match requested(spec) {
        None => errors.required(&resources, ""),
        Some(size) => match errors.quantity(&resources, size) {
            Some(size) if size.is_zero() || size.is_negative() => {
                errors.invalid(&resources, size.to_string(), "must be greater than zero");
            }
            _ => {}
        },
    }
    for (field, class) in [
        ("storageClassName", &spec.storage_class_name),
        ("volumeAttributesClassName", &spec.volume_attributes_class_name),
    ] {
        if !text(class).is_empty() {
            errors.dns_subdomain(&path.field(field), text(class));
        }
    }
    errors.any_of(&path.field("volumeMode"), &spec.volume_mode, &["Block", "Filesystem"]);
    validate_data_sources(spec, path, errors);
}

/// What a claim's volume is filled from: `dataSource`, and its newer form that may look into other namespaces.
fn validate_data_sources(spec: &PersistentVolumeClaimSpec, path: &Path, errors: &mut Errors) {
    let (old, new) = (spec.data_source.as_ref(), spec.data_source_ref.as_ref());
    if let Some(source) = old {
        let group = text(&source.api_group);
        validate_data_source(group, &source.kind, &source.name, &path.field("dataSource"), errors);
    }
    let Some(source) = new else { return };
    let (at, namespace) = (path.field("dataSourceRef"), text(&source.namespace));
    validate_data_source(text(&source.api_group), &source.kind, &source.name, &at, errors);
    if !namespace.is_empty() {
        errors.dns_label(&at.field("namespace"), namespace);
    }
    let Some(old) = old else { return };
    // Upstream shows the path of the field as the bad value, and its fields as a struct's.
    let shown = path.field("dataSource").to_string();
    if !namespace.is_empty() {
        errors.invalid(path, shown, "may not be specified when dataSourceRef.namespace is specified");
    } else if (&old.api_group, &old.kind, &old.name) != (&source.api_group, &source.kind, &source.name) {
        errors.invalid(path, shown, "must match dataSourceRef");
    }
}

fn validate_data_source(group: &str, kind: &str, name: &str, path: &Path, errors: &mut Errors) {
    errors.given(&path.field("name"), name);
    errors.given(&path.field("kind"), kind);
    if !group.is_empty() {
        errors.dns_subdomain(&path.field("apiGroup"), group);
    } else if kind != "PersistentVolumeClaim" {
        errors.invalid(path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
    }
}

const RESIZE_STATES: &[&str] = &[
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

fn validate_status(status: &PersistentVolumeClaimStatus, path: &Path, errors: &mut Errors) {
    for (name, text) in status.capacity.iter().flatten() {
        let path = path.field("capacity");
        if let Some(amount) = errors.quantity(&path.key(name), text).filter(|amount| amount.value() < 0) {
            errors.invalid(&path.key(name), amount.value(), "must be a valid resource quantity");
        }
    }
    for (name, state) in status.allocated_resource_statuses.iter().flatten() {
        let path = path.field("allocatedResourceStatuses");
        validate_resource_key(name, &path, errors);
        if !RESIZE_STATES.contains(&state.as_str()) {
            errors.not_supported(&path, name, RESIZE_STATES);
        }
    }
    for (name, amount) in status.allocated_resources.iter().flatten() {
        let path = path.field("allocatedResources");
        validate_resource_key(name, &path, errors);
        errors.non_negative_quantity(&path.key(name), amount);
    }
}

/// Of Kubernetes' own resources, a claim has storage only.
fn validate_resource_key(name: &str, path: &Path, errors: &mut Errors) {
    let messages = format::label_key(name);
    if messages.is_empty() && super::resources::is_native(name) {
        errors.one_of(path, name, &[STORAGE]);
    }
    errors.invalid_each(path, name, messages);
}

/// A class of attributes, once in force, may be changed but not taken away.
fn validate_attributes_class_update(
    new: &PersistentVolumeClaimSpec,
    old: &PersistentVolumeClaimSpec,
    status: Option<&PersistentVolumeClaimStatus>,
    errors: &mut Errors,
) {
    let in_force = status.is_some_and(|status| status.current_volume_attributes_class_name.is_some());
    if new.volume_attributes_class_name == old.volume_attributes_class_name || !in_force {
        return;
    }
    let what = match new.volume_attributes_class_name.as_deref() {
        None => "nil",
        Some("") => "empty string",
        Some(_) => return,
    };
    let message = std::format!("update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil");
    errors.forbidden(&SPEC.field("volumeAttributesClassName"), message);
}

fn requested(spec: &PersistentVolumeClaimSpec) -> Option<&QuantityText> {
    spec.resources.as_ref()?.requests.as_ref()?.get(STORAGE)
}

/// The new spec with all that may change put back: the volume once, the class once, and of a bound claim its size.
fn with_changeable_of(
    claim: &PersistentVolumeClaim,
    new: &PersistentVolumeClaimSpec,
    old: &PersistentVolumeClaimSpec,
) -> PersistentVolumeClaimSpec {
    let mut spec = new.clone();
    if text(&old.volume_name).is_empty() {
        spec.volume_name = old.volume_name.clone();
    }
    if old.storage_class_name.is_none() {
        spec.storage_class_name = None;
    }
    if claim.status.as_ref().is_some_and(|status| text(&status.phase) == "Bound") {
        if let (Some(resources), Some(size)) = (&mut spec.resources, requested(old)) {
            resources.requests.get_or_insert_default().insert(STORAGE.to_owned(), size.clone());
        }
        spec.volume_attributes_class_name = old.volume_attributes_class_name.clone();
    }
    spec
}

/// A claim may ask for less than before, to recover from an expansion that cannot be had, but not for less than it has.
fn validate_size_update(
    new: Option<&QuantityText>,
    old: Option<&QuantityText>,
    capacity: Option<&QuantityText>,
    errors: &mut Errors,
) {
    let parse = |text: Option<&QuantityText>| text.and_then(|text| Quantity::try_from(text).ok()).unwrap_or_default();
    let (new, old, capacity) = (parse(new), parse(old), parse(capacity));
    if new < old && new <= capacity {
        let path = Path::new("spec.resources.requests.storage");
        errors.forbidden(&path, "field can not be less than status.capacity");
    }
}
