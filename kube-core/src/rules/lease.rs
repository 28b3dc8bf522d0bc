//! Lease.

use super::Ruled;
use super::check::text;
use crate::field::{Errors, Path};
use k8s_openapi::api::coordination::v1::Lease;

impl Ruled for Lease {
    fn validate(&self, errors: &mut Errors) {
        let path = Path::new("spec");
        let Some(spec) = &self.spec else { return };
        if let Some(seconds) = spec.lease_duration_seconds.filter(|seconds| *seconds <= 0) {
            errors.invalid(&path.field("leaseDurationSeconds"), seconds, "must be greater than 0");
        }
        errors.non_negative(&path.field("leaseTransitions"), spec.lease_transitions);
        if let Some(strategy) = &spec.strategy {
            // Upstream's path has the field twice.
            let path = path.field("strategy").field("strategy").to_string();
            match strategy.contains('/') {
                true => errors.qualified_name(&Path::new(&path), strategy),
                false => errors.one_of(&Path::new(&path), strategy, &["OldestEmulationVersion"]),
            }
        }
        if !text(&spec.preferred_holder).is_empty() && text(&spec.strategy).is_empty() {
            errors.forbidden(&path.field("preferredHolder"), "may only be specified if `strategy` is defined");
        }
    }
}
