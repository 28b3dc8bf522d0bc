//! RuntimeClass.

use super::check::items;
use super::pod_spec::scheduling::validate_tolerations;
use super::{Ruled, fill};
use crate::field::{Errors, Path};
use k8s_openapi::api::node::v1::RuntimeClass;

impl Ruled for RuntimeClass {
    fn fill_defaults(&mut self) {
        if let Some(overhead) = &mut self.overhead {
            fill::canonical_amounts(overhead.pod_fixed.as_mut());
        }
    }

    fn validate(&self, errors: &mut Errors) {
        errors.dns_label(&Path::new("handler"), &self.handler);
        if let Some(overhead) = &self.overhead {
            let path = Path::new("overhead.podFixed.limits");
            for (name, amount) in overhead.pod_fixed.iter().flatten() {
                errors.container_resource_name(&path.key(name), name);
                errors.resource_quantity(&path.key(name), name, amount);
            }
        }
        if let Some(scheduling) = &self.scheduling {
            let path = Path::new("scheduling");
            errors.labels(&path.field("nodeSelector"), &scheduling.node_selector);
            validate_tolerations(items(&scheduling.tolerations), &path.field("tolerations"), errors);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        errors.immutable(&Path::new("handler"), &self.handler, &old.handler);
    }
}
