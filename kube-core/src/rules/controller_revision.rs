//! ControllerRevision.

use super::Ruled;
use crate::field::{Errors, Path};
use k8s_openapi::api::apps::v1::ControllerRevision;

impl Ruled for ControllerRevision {
    fn validate(&self, errors: &mut Errors) {
        if self.data.is_none() {
            errors.required(&Path::new("data"), "data is mandatory");
        }
        errors.non_negative(&Path::new("revision"), self.revision);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        errors.immutable(&Path::new("data"), &self.data, &old.data);
    }
}
