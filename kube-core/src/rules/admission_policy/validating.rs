//! ValidatingAdmissionPolicy.

use super::{validate_subject, validate_variables};
use crate::cel::request::{Expression, Names, Returns};
use crate::field::{Errors, Json, Path};
use crate::rules::check::{is_repeated, items, text};
use crate::rules::matching::{self, validate_expression};
use crate::rules::{Ruled, conditions, fill, spec_and_status};
use k8s_openapi::api::admissionregistration::v1::{
    AuditAnnotation, ValidatingAdmissionPolicy, ValidatingAdmissionPolicySpec, Validation,
};

const ANNOTATIONS_MAX: usize = 20;
const ANNOTATION_EXPRESSION_BYTES_MAX: usize = 5 * 1024;
const REASONS: &[&str] = &["Forbidden", "Invalid", "RequestEntityTooLarge"];
const SPEC: Path<'static> = Path::new("spec");

impl Ruled for ValidatingAdmissionPolicy {
    spec_and_status!();

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

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        let path = Path::new("status");
        let Some(status) = &self.status else { return };
        let warnings = status.type_checking.iter().flat_map(|checked| items(&checked.expression_warnings));
        for (index, warning) in warnings.enumerate() {
            let path = path.field("typeChecking.expressionWarnings");
            let path = path.index(index);
            errors.given(&path.field("warning"), &warning.warning);
            errors.given(&path.field("fieldRef"), warning.field_ref.trim());
        }
        conditions::validate(items(&status.conditions), &path.field("conditions"), errors);
    }
}

/// Match conditions that have not changed are left alone.
fn validate(policy: &ValidatingAdmissionPolicy, has_new_conditions: bool, errors: &mut Errors) {
    let none = ValidatingAdmissionPolicySpec::default();
    let spec = policy.spec.as_ref().unwrap_or(&none);
    matching::validate_failure_policy(&spec.failure_policy, &SPEC.field("failurePolicy"), errors);
    validate_subject(spec.param_kind.as_ref(), spec.match_constraints.as_ref(), &SPEC, errors);
    let names = Names::of_policy(spec.param_kind.is_some());
    if has_new_conditions {
        let path = SPEC.field("matchConditions");
        matching::validate_conditions(items(&spec.match_conditions), names.params, &path, errors);
    }
    let variables = validate_variables(items(&spec.variables), &names, &SPEC.field("variables"), errors);
    let names = if items(&spec.variables).is_empty() { names } else { names.with(&variables) };
    if items(&spec.validations).is_empty() && items(&spec.audit_annotations).is_empty() {
        let message = "validations or auditAnnotations must contain at least one item";
        errors.required(&SPEC.field("validations"), message);
        errors.required(&SPEC.field("auditAnnotations"), message);
    }
    for (index, validation) in items(&spec.validations).iter().enumerate() {
        validate_validation(validation, &names, &SPEC.field("validations").index(index), errors);
    }
    let name = text(&policy.metadata.name);
    validate_annotations(items(&spec.audit_annotations), name, &names, &SPEC.field("auditAnnotations"), errors);
}

fn validate_validation(validation: &Validation, names: &Names, path: &Path, errors: &mut Errors) {
    if validation.expression.trim().is_empty() {
        errors.required(&path.field("expression"), "expression is not specified");
    } else {
        let expression = Expression::compile(&validation.expression, names, Returns::Bool);
        validate_expression(&expression, &path.field("expression"), errors);
    }
    let (at, expression) = (path.field("messageExpression"), text(&validation.message_expression));
    if !expression.is_empty() && expression.trim().is_empty() {
        errors.invalid(&at, expression, "must be non-empty if specified");
    } else if !expression.is_empty() {
        validate_expression(&Expression::compile(expression, &names.telling(), Returns::String), &at, errors);
    }
    let (at, message) = (path.field("message"), text(&validation.message));
    if !message.is_empty() && message.trim().is_empty() {
        errors.invalid(&at, message, "message must be non-empty if specified");
    } else if message.trim().contains(['\n', '\r']) {
        errors.invalid(&at, message, "message must not contain line breaks");
    }
    errors.any_of(&path.field("reason"), &validation.reason, REASONS);
}

fn validate_annotations(
    annotations: &[AuditAnnotation],
    policy: &str,
    names: &Names,
    path: &Path,
    errors: &mut Errors,
) {
    if annotations.len() > ANNOTATIONS_MAX {
        let message = format!("must not have more than {ANNOTATIONS_MAX} auditAnnotations");
        errors.invalid(path, Json(annotations), message);
    }
    for (index, annotation) in annotations.iter().enumerate() {
        let path = path.index(index);
        match policy {
            "" => errors.invalid(&path.field("key"), &annotation.key, "requires metadata.name be non-empty"),
            policy => errors.qualified_name(&path.field("key"), &format!("{policy}/{}", annotation.key)),
        }
        let expression = annotation.value_expression.trim();
        if expression.is_empty() {
            errors.required(&path.field("valueExpression"), "valueExpression is not specified");
        } else if expression.len() > ANNOTATION_EXPRESSION_BYTES_MAX {
            let message = format!("must not exceed {ANNOTATION_EXPRESSION_BYTES_MAX} bytes in length");
            errors.required(&path.field("valueExpression"), message);
        } else {
            let expression = Expression::compile(expression, names, Returns::StringOrNull);
            validate_expression(&expression, &path.field("valueExpression"), errors);
        }
        if is_repeated(annotations, index, |annotation| annotation.key.clone()) {
            errors.duplicate(&path.field("key"), &annotation.key);
        }
    }
}
