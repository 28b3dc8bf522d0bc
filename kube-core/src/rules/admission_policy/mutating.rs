//! MutatingAdmissionPolicy.

use super::{validate_subject, validate_variables};
use crate::field::{Errors, Path};
use crate::rules::check::{items, text};
use crate::rules::{Ruled, fill, matching, spec_only};
use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, MutatingAdmissionPolicy, MutatingAdmissionPolicySpec, Mutation,
};

/// A deletion cannot be changed.
const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "UPDATE"];
const SPEC: Path<'static> = Path::new("spec");

impl Ruled for MutatingAdmissionPolicy {
    spec_only!();

    fn fill_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        fill::value(&mut spec.failure_policy, "Fail".to_owned());
        spec.match_constraints.iter_mut().for_each(matching::fill_resources);
    }

    fn validate(&self, errors: &mut Errors) {
        let none = MutatingAdmissionPolicySpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        matching::validate_failure_policy(&spec.failure_policy, &SPEC.field("failurePolicy"), errors);
        validate_subject(spec.param_kind.as_ref(), spec.match_constraints.as_ref(), &SPEC, errors);
        validate_operations(spec.match_constraints.as_ref(), &SPEC.field("matchConstraints"), errors);
        matching::validate_conditions(items(&spec.match_conditions), &SPEC.field("matchConditions"), errors);
        validate_variables(items(&spec.variables), &SPEC.field("variables"), errors);
        if items(&spec.mutations).is_empty() {
            errors.required(&SPEC.field("mutations"), "mutations must contain at least one item");
        }
        for (index, mutation) in items(&spec.mutations).iter().enumerate() {
            validate_mutation(mutation, &SPEC.field("mutations").index(index), errors);
        }
        let policies = ["Never", "IfNeeded"];
        errors.given_one_of(&SPEC.field("reinvocationPolicy"), text(&spec.reinvocation_policy), &policies);
    }
}

/// Checks that only operations are matched that can be changed. Upstream's path has no index.
pub(super) fn validate_operations(matched: Option<&MatchResources>, path: &Path, errors: &mut Errors) {
    let rules = matched.iter().flat_map(|matched| items(&matched.resource_rules));
    for operation in rules.flat_map(|rule| items(&rule.operations)) {
        errors.one_of(&path.field("resourceRules").field("operations"), operation, OPERATIONS);
    }
}

fn validate_mutation(mutation: &Mutation, path: &Path, errors: &mut Errors) {
    let members = [
        ("ApplyConfiguration", "applyConfiguration", mutation.apply_configuration.as_ref().map(|it| &it.expression)),
        ("JSONPatch", "jsonPatch", mutation.json_patch.as_ref().map(|it| &it.expression)),
    ];
    let kind = mutation.patch_type.as_str();
    if !members.iter().any(|(name, ..)| *name == kind) {
        return errors.given_one_of(&path.field("patchType"), kind, &["ApplyConfiguration", "JSONPatch"]);
    }
    for (name, field, expression) in members {
        let path = path.field(field);
        match expression {
            Some(_) if name != kind => {
                let message = format!("must not be specified when patchType is {kind}");
                errors.invalid(&path, format!("{{{field}}}"), message);
            }
            None if name == kind => errors.required(&path, format!("must be specified when patchType is {kind}")),
            Some(Some(text)) if !text.trim().is_empty() => {}
            Some(_) => errors.required(&path.field("expression"), ""),
            None => {}
        }
    }
}
