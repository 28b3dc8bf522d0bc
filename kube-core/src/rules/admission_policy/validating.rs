//! ValidatingAdmissionPolicy.

use super::{validate_subject, validate_variables};
use crate::field::{Errors, Json, Path};
use crate::rules::check::{is_repeated, items, text};
use crate::rules::{Ruled, conditions, fill, matching, spec_and_status};
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
        let none = ValidatingAdmissionPolicySpec::default();
        let spec = self.spec.as_ref().unwrap_or(&none);
        matching::validate_failure_policy(&spec.failure_policy, &SPEC.field("failurePolicy"), errors);
        validate_subject(spec.param_kind.as_ref(), spec.match_constraints.as_ref(), &SPEC, errors);
        matching::validate_conditions(items(&spec.match_conditions), &SPEC.field("matchConditions"), errors);
        validate_variables(items(&spec.variables), &SPEC.field("variables"), errors);
        if items(&spec.validations).is_empty() && items(&spec.audit_annotations).is_empty() {
            let message = "validations or auditAnnotations must contain at least one item";
            errors.required(&SPEC.field("validations"), message);
            errors.required(&SPEC.field("auditAnnotations"), message);
        }
        for (index, validation) in items(&spec.validations).iter().enumerate() {
            validate_validation(validation, &SPEC.field("validations").index(index), errors);
        }
        let name = text(&self.metadata.name);
        validate_annotations(items(&spec.audit_annotations), name, &SPEC.field("auditAnnotations"), errors);
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

fn validate_validation(validation: &Validation, path: &Path, errors: &mut Errors) {
    if validation.expression.trim().is_empty() {
        errors.required(&path.field("expression"), "expression is not specified");
    }
    let expression = text(&validation.message_expression);
    if !expression.is_empty() && expression.trim().is_empty() {
        errors.invalid(&path.field("messageExpression"), expression, "must be non-empty if specified");
    }
    let (at, message) = (path.field("message"), text(&validation.message));
    if !message.is_empty() && message.trim().is_empty() {
        errors.invalid(&at, message, "message must be non-empty if specified");
    } else if message.trim().contains(['\n', '\r']) {
        errors.invalid(&at, message, "message must not contain line breaks");
    }
    errors.any_of(&path.field("reason"), &validation.reason, REASONS);
}

fn validate_annotations(annotations: &[AuditAnnotation], policy: &str, path: &Path, errors: &mut Errors) {
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
        }
        if is_repeated(annotations, index, |annotation| annotation.key.clone()) {
            errors.duplicate(&path.field("key"), &annotation.key);
        }
    }
}
