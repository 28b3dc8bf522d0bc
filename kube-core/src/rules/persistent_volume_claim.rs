//! PersistentVolumeClaim. Data sources are not checked.

use super::check::{items, text};
use super::persistent_volume::validate_access_modes;
use super::{Ruled, fill, pod_spec, same};
use crate::field::{Errors, Path};
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
        let Some(spec) = &self.spec else { return errors.required(&SPEC, "") };
        validate_spec(spec, &SPEC, errors);
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
