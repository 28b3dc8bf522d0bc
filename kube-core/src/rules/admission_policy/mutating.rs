//! MutatingAdmissionPolicy.

use super::{validate_subject, validate_variables};
use crate::cel::request::{Expression, Names, Returns};
use crate::field::{Errors, Path};
use crate::rules::check::{items, text};
use crate::rules::matching::{self, validate_expression};
use crate::rules::{Ruled, fill, spec_only};
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
        validate(self, true, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        let conditions = |policy: &Self| {
            let spec = policy.spec.as_ref();
            spec.map(|spec| (spec.param_kind.clone(), spec.match_conditions.clone()))
        };
        validate(self, conditions(self) != conditions(old), errors);
    }
}

/// Match conditions that have not changed are left alone.
fn validate(policy: &MutatingAdmissionPolicy, has_new_conditions: bool, errors: &mut Errors) {
    let none = MutatingAdmissionPolicySpec::default();
    let spec = policy.spec.as_ref().unwrap_or(&none);
    matching::validate_failure_policy(&spec.failure_policy, &SPEC.field("failurePolicy"), errors);
    validate_subject(spec.param_kind.as_ref(), spec.match_constraints.as_ref(), &SPEC, errors);
    validate_operations(spec.match_constraints.as_ref(), &SPEC.field("matchConstraints"), errors);
    let names = Names::of_policy(spec.param_kind.is_some());
    if has_new_conditions {
        let path = SPEC.field("matchConditions");
        matching::validate_conditions(items(&spec.match_conditions), names.params, &path, errors);
    }
    let variables = validate_variables(items(&spec.variables), &names, &SPEC.field("variables"), errors);
    let names = if items(&spec.variables).is_empty() { names } else { names.with(&variables) };
    if items(&spec.mutations).is_empty() {
        errors.required(&SPEC.field("mutations"), "mutations must contain at least one item");
    }
    for (index, mutation) in items(&spec.mutations).iter().enumerate() {
        validate_mutation(mutation, &names.patching(), &SPEC.field("mutations").index(index), errors);
    }
    let policies = ["Never", "IfNeeded"];
    errors.given_one_of(&SPEC.field("reinvocationPolicy"), text(&spec.reinvocation_policy), &policies);
}

/// Checks that only operations are matched that can be changed. Upstream's path has no index.
pub(super) fn validate_operations(matched: Option<&MatchResources>, path: &Path, errors: &mut Errors) {
    let rules = matched.iter().flat_map(|matched| items(&matched.resource_rules));
    for operation in rules.flat_map(|rule| items(&rule.operations)) {
        errors.one_of(&path.field("resourceRules").field("operations"), operation, OPERATIONS);
    }
}

fn validate_mutation(mutation: &Mutation, names: &Names, path: &Path, errors: &mut Errors) {
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
            Some(expression) if errors.given(&path.field("expression"), text(expression).trim()) => {
                let returns = if name == "JSONPatch" { Returns::Patch } else { Returns::Object };
                let expression = Expression::compile(text(expression), names, returns);
                validate_expression(&expression, &path.field("expression"), errors);
            }
            Some(_) => {}
            None => {}
        }
    }
}
