//! PodDisruptionBudget.

use super::{Ruled, spec_and_status};
use crate::field::{Errors, Json, Path};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

impl Ruled for PodDisruptionBudget {
    spec_and_status!();

    fn validate(&self, errors: &mut Errors) {
        let path = Path::new("spec");
        let Some(spec) = &self.spec else { return };
        if spec.min_available.is_some() && spec.max_unavailable.is_some() {
            errors.invalid(&path, Json(spec), "minAvailable and maxUnavailable cannot be both set");
        }
        for (field, value) in [("minAvailable", &spec.min_available), ("maxUnavailable", &spec.max_unavailable)] {
            if let Some(value) = value {
                errors.int_or_percent(&path.field(field), value);
                errors.at_most_100_percent(&path.field(field), value);
            }
        }
        errors.label_selector(&path.field("selector"), spec.selector.as_ref());
        let policies = ["AlwaysAllow", "IfHealthyBudget"];
        errors.any_of(&path.field("unhealthyPodEvictionPolicy"), &spec.unhealthy_pod_eviction_policy, &policies);
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        let path = Path::new("status");
        let Some(status) = &self.status else { return };
        for (field, count) in [
            ("disruptionsAllowed", status.disruptions_allowed),
            ("currentHealthy", status.current_healthy),
            ("desiredHealthy", status.desired_healthy),
            ("expectedPods", status.expected_pods),
        ] {
            errors.non_negative(&path.field(field), count);
        }
    }
}
