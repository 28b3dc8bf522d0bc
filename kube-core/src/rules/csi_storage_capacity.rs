//! CSIStorageCapacity.

use super::{Ruled, fill};
use crate::field::{Errors, Path};
use k8s_openapi::api::storage::v1::CSIStorageCapacity;

impl Ruled for CSIStorageCapacity {
    fn fill_defaults(&mut self) {
        self.capacity.iter_mut().chain(&mut self.maximum_volume_size).for_each(fill::canonical_amount);
    }

    fn validate(&self, errors: &mut Errors) {
        errors.label_selector(&Path::new("nodeTopology"), self.node_topology.as_ref());
        errors.dns_subdomain(&Path::new("storageClassName"), &self.storage_class_name);
        if let Some(capacity) = &self.capacity {
            errors.non_negative_quantity(&Path::new("capacity"), capacity);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        errors.immutable(&Path::new("nodeTopology"), &self.node_topology, &old.node_topology);
        errors.immutable(&Path::new("storageClassName"), &self.storage_class_name, &old.storage_class_name);
    }
}
