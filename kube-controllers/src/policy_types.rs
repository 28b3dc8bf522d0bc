//! What the types of kinds say of a ValidatingAdmissionPolicy, in its status. Source: `pkg/controller/validatingadmissionpolicystatus`.

use coracle_core::rules::type_warnings;
use coracle_core::{Request, Target, World};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{ExpressionWarning, TypeChecking, ValidatingAdmissionPolicy};

use crate::plan::Plan;
use crate::planner::Planner;

/// Checks each policy once in every generation.
#[derive(Clone, Copy, Debug)]
pub struct PolicyTypes;

impl Planner for PolicyTypes {
    type Kind = ValidatingAdmissionPolicy;
    /// The warnings; `None` if they were told.
    type Observed = Option<Vec<ExpressionWarning>>;

    fn name(&self) -> &'static str {
        "validatingadmissionpolicy-status-controller"
    }

    fn observe(&self, policy: &ValidatingAdmissionPolicy, world: &World) -> Self::Observed {
        let told = policy.status.as_ref().and_then(|status| status.observed_generation);
        (told < policy.metadata.generation).then(|| type_warnings(policy, world.kinds()))
    }

    fn plan(&self, policy: &ValidatingAdmissionPolicy, warnings: Self::Observed, _now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        let Some(warnings) = warnings else { return plan };
        let generation = policy.metadata.generation;
        let tell = move |policy: &mut ValidatingAdmissionPolicy| {
            let status = policy.status.get_or_insert_default();
            status.observed_generation = generation;
            let expression_warnings = Some(warnings.clone()).filter(|warnings| !warnings.is_empty());
            status.type_checking = Some(TypeChecking { expression_warnings });
            Ok(())
        };
        plan.then(Request::edit(Target::of(policy).below("status"), tell));
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Small;

    const POLICY: &str = r#"
kind: ValidatingAdmissionPolicy
metadata: {name: replicas, generation: 2}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: ['*'], resources: [deployments]}]}
  validations: [{expression: object.spec.replica > 1}]
"#;

    #[test]
    fn warnings_are_told_once() {
        let mut small = Small::new(POLICY);
        assert!(small.step(&PolicyTypes, "replicas").starts_with("edit validatingadmissionpolicy/status replicas "));
        let status = small.get::<ValidatingAdmissionPolicy>("replicas").status.clone().unwrap();
        assert_eq!(status.observed_generation, Some(2));
        let warning = &status.type_checking.unwrap().expression_warnings.unwrap()[0];
        assert_eq!(warning.field_ref, "spec.validations[0].expression");
        assert!(
            warning.warning.starts_with("apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replica'")
        );
        assert_eq!(small.step(&PolicyTypes, "replicas"), "");
    }
}
