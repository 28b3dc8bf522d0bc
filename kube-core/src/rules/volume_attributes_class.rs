//! VolumeAttributesClass.

use super::storage_class::{validate_parameters, validate_provisioner};
use super::{Ruled, same};
use crate::field::{Errors, Path};
use k8s_openapi::api::storage::v1::VolumeAttributesClass;

impl Ruled for VolumeAttributesClass {
    fn validate(&self, errors: &mut Errors) {
        validate_provisioner(&self.driver_name, &Path::new("driverName"), errors);
        let (path, none) = (Path::new("parameters"), Default::default());
        let parameters = self.parameters.as_ref().unwrap_or(&none);
        validate_parameters(parameters, &path, errors);
        if parameters.is_empty() {
            errors.required(&path, "must contain at least one key/value pair");
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        if self.driver_name != old.driver_name {
            errors.forbidden(&Path::new("driverName"), "updates to driverName are forbidden.");
        }
        if !same(&self.parameters, &old.parameters) {
            errors.forbidden(&Path::new("parameters"), "updates to parameters are forbidden.");
        }
        self.validate(errors);
    }
}
