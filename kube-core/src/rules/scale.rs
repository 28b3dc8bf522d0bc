//! Scale: what the subresource of that name reads and writes.

use super::Ruled;
use crate::field::{Errors, Path};
use k8s_openapi::api::autoscaling::v1::Scale;

impl Ruled for Scale {
    fn validate(&self, errors: &mut Errors) {
        let replicas = self.spec.as_ref().and_then(|spec| spec.replicas);
        errors.non_negative(&Path::new("spec.replicas"), replicas);
    }
}
