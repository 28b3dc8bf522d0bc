//! Node. `configSource`, swap and the annotations of old kubelets are not checked.

use super::check::{items, text};
use super::pod_spec::scheduling::TAINT_EFFECTS;
use super::{Ruled, fill};
use crate::field::BadValue;
use crate::field::{Error, ErrorKind, Errors, Json, Path, format};
use k8s_openapi::api::core::v1::{Node, NodeSpec, Taint};

const PATH: Path<'static> = Path::new("spec");
/// Upstream reports taints here, though they are in the spec.
const TAINTS: Path<'static> = Path::new("metadata.taints");

impl Ruled for Node {
    fn fill_defaults(&mut self) {
        let Some(status) = &mut self.status else { return };
        fill::canonical_amounts(status.capacity.as_mut());
        fill::canonical_amounts(status.allocatable.as_mut());
        if status.allocatable.is_none() {
            status.allocatable = status.capacity.clone();
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let none = NodeSpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        validate_taints(items(&spec.taints), errors);
        validate_resources(self, errors);
        let ranges = items(&spec.pod_cidrs);
        for (index, range) in ranges.iter().enumerate() {
            errors.cidr(&PATH.field("podCIDRs").index(index), range);
        }
        let one_family = ranges.iter().all(|it| it.contains(':')) || ranges.iter().all(|it| !it.contains(':'));
        if ranges.len() > 2 || (ranges.len() == 2 && one_family) {
            let message = "may specify no more than one CIDR for each IP family";
            errors.invalid(&PATH.field("podCIDRs"), Json(ranges), message);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        validate_resources(self, errors);
        let addresses = self.status.as_ref().map_or(&[][..], |status| items(&status.addresses));
        for (index, address) in addresses.iter().enumerate() {
            if addresses.iter().take(index).any(|earlier| earlier == address) {
                errors.duplicate(&Path::new("status.addresses").index(index), Json(address));
            }
        }
        let none = NodeSpec::default();
        validate_spec_update(self.spec.as_ref().unwrap_or(&none), old.spec.as_ref().unwrap_or(&none), errors);
    }

    fn validate_status_update(&self, old: &Self, errors: &mut Errors) {
        self.validate_update(old, errors);
    }

    /// A kubelet registers its node with its status, so a create keeps it.
    fn prepare_create(&mut self) {}

    fn prepare_update(&mut self, old: &Self) {
        self.status = old.status.clone();
    }

    fn prepare_status_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
    }
}

fn validate_spec_update(new: &NodeSpec, old: &NodeSpec, errors: &mut Errors) {
    if !items(&old.pod_cidrs).is_empty() && old.pod_cidrs != new.pod_cidrs {
        let message = "node updates may not change podCIDR except from \"\" to valid";
        errors.forbidden(&PATH.field("podCIDRs"), message);
    }
    if !text(&old.provider_id).is_empty() && text(&old.provider_id) != text(&new.provider_id) {
        let message = "node updates may not change providerID except from \"\" to valid";
        errors.forbidden(&PATH.field("providerID"), message);
    }
    validate_taints(items(&new.taints), errors);
    if text(&new.external_id) != text(&old.external_id) {
        errors.forbidden(&PATH.field("externalID"), "may not be updated");
    }
}

fn validate_taints(taints: &[Taint], errors: &mut Errors) {
    for (index, taint) in taints.iter().enumerate() {
        let path = TAINTS.index(index);
        errors.qualified_name(&path.field("key"), &taint.key);
        let messages = format::label_value(text(&taint.value));
        if !messages.is_empty() {
            errors.invalid(&path.field("value"), text(&taint.value), messages.join(";"));
        }
        errors.given_one_of(&path.field("effect"), &taint.effect, TAINT_EFFECTS);
        if taints.iter().take(index).any(|earlier| earlier.key == taint.key && earlier.effect == taint.effect) {
            errors.push(Error {
                kind: ErrorKind::Duplicate,
                field: path.to_string(),
                bad_value: Some(Json(taint).show()),
                detail: "taints must be unique by key and effect pair".to_owned(),
            });
        }
    }
}

fn validate_resources(node: &Node, errors: &mut Errors) {
    let path = Path::new("status");
    let Some(status) = &node.status else { return };
    for (field, list) in [("capacity", &status.capacity), ("allocatable", &status.allocatable)] {
        for (name, amount) in list.iter().flatten() {
            errors.resource_quantity(&path.field(field).field(name), name, amount);
        }
    }
}
