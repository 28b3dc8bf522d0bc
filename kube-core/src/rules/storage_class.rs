//! StorageClass. Allowed topologies are not checked.

use super::{Ruled, fill, same};
use crate::field::{Errors, Path, format};
use k8s_openapi::api::storage::v1::StorageClass;
use std::collections::BTreeMap;

const PARAMETERS_MAX: usize = 512;
const PARAMETER_BYTES_MAX: usize = 256 * 1024;

impl Ruled for StorageClass {
    fn fill_defaults(&mut self) {
        fill::value(&mut self.reclaim_policy, "Delete".to_owned());
        fill::value(&mut self.volume_binding_mode, "Immediate".to_owned());
    }

    fn validate(&self, errors: &mut Errors) {
        let path = Path::new("provisioner");
        if errors.given(&path, &self.provisioner) {
            errors.invalid_each(&path, &self.provisioner, format::label_key(&self.provisioner.to_lowercase()));
        }
        if let Some(parameters) = &self.parameters {
            validate_parameters(parameters, &Path::new("parameters"), errors);
        }
        errors.any_of(&Path::new("reclaimPolicy"), &self.reclaim_policy, &["Delete", "Retain"]);
        let modes = ["Immediate", "WaitForFirstConsumer"];
        errors.any_of(&Path::new("volumeBindingMode"), &self.volume_binding_mode, &modes);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        if !same(&self.parameters, &old.parameters) {
            errors.forbidden(&Path::new("parameters"), "updates to parameters are forbidden.");
        }
        if self.provisioner != old.provisioner {
            errors.forbidden(&Path::new("provisioner"), "updates to provisioner are forbidden.");
        }
        if self.reclaim_policy != old.reclaim_policy {
            errors.forbidden(&Path::new("reclaimPolicy"), "updates to reclaimPolicy are forbidden.");
        }
        errors.immutable(&Path::new("volumeBindingMode"), &self.volume_binding_mode, &old.volume_binding_mode);
    }
}

fn validate_parameters(parameters: &BTreeMap<String, String>, path: &Path, errors: &mut Errors) {
    if parameters.len() > PARAMETERS_MAX {
        return errors.too_long(path, PARAMETERS_MAX);
    }
    let mut bytes = 0;
    for (key, value) in parameters {
        if key.is_empty() {
            errors.invalid(path, key, "field can not be empty.");
        }
        bytes += key.len() + value.len();
    }
    if bytes > PARAMETER_BYTES_MAX {
        errors.too_long(path, PARAMETER_BYTES_MAX);
    }
}
