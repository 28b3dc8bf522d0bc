//! CSINode.

use super::Ruled;
use super::check::{is_repeated, is_seen, items};
use crate::field::{Errors, Path};
use k8s_openapi::api::storage::v1::{CSINode, CSINodeDriver};

const NODE_ID_BYTES_MAX: usize = 256;
const DRIVERS: Path<'static> = Path::new("spec.drivers");

impl Ruled for CSINode {
    fn validate(&self, errors: &mut Errors) {
        let drivers = &self.spec.drivers;
        for (index, driver) in drivers.iter().enumerate() {
            let path = DRIVERS.index(index);
            validate_driver(driver, &path, errors);
            if is_repeated(drivers, index, |driver| driver.name.clone()) {
                errors.duplicate(&path.field("name"), &driver.name);
            }
            validate_topology_keys(items(&driver.topology_keys), &path, errors);
        }
    }

    /// A driver that stays, stays as it is, but for how much it can take.
    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        let fixed = |driver: &CSINodeDriver| CSINodeDriver { allocatable: None, ..driver.clone() };
        for old in &old.spec.drivers {
            for new in self.spec.drivers.iter().filter(|new| new.name == old.name) {
                errors.immutable(&DRIVERS, &fixed(new), &fixed(old));
            }
        }
    }
}

fn validate_driver(driver: &CSINodeDriver, path: &Path, errors: &mut Errors) {
    errors.driver_name(&path.field("name"), &driver.name);
    errors.given(&path.field("nodeID"), &driver.node_id);
    if driver.node_id.len() > NODE_ID_BYTES_MAX {
        let message = format!("must be {NODE_ID_BYTES_MAX} characters or less");
        errors.invalid(&path.field("nodeID"), &driver.node_id, message);
    }
    let count = driver.allocatable.as_ref().and_then(|allocatable| allocatable.count);
    errors.non_negative(&path.field("allocatable").field("count"), count);
}

fn validate_topology_keys(keys: &[String], path: &Path, errors: &mut Errors) {
    for (index, key) in keys.iter().enumerate() {
        errors.given(path, key);
        if is_seen(keys, index) {
            errors.duplicate(path, key);
        }
        errors.qualified_name(path, key);
    }
}
