//! ValidatingAdmissionPolicyBinding and MutatingAdmissionPolicyBinding.

use crate::field::{Errors, Json, Path};
use crate::rules::check::{is_seen, text};
use crate::rules::{Ruled, matching, spec_only};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicyBinding, ParamRef, ValidatingAdmissionPolicyBinding,
};

const ACTIONS: &[&str] = &["Audit", "Deny", "Warn"];
const SPEC: Path<'static> = Path::new("spec");

impl Ruled for ValidatingAdmissionPolicyBinding {
    spec_only!();

    fn fill_defaults(&mut self) {
        self.spec.match_resources.iter_mut().for_each(matching::fill_resources);
    }

    fn validate(&self, errors: &mut Errors) {
        let spec = &self.spec;
        validate_policy(&spec.policy_name, spec.param_ref.as_ref(), errors);
        if let Some(matched) = &spec.match_resources {
            matching::validate_resources(matched, &SPEC.field("matchResources"), errors);
        }
        validate_actions(&spec.validation_actions, &SPEC.field("validationActions"), errors);
    }
}

impl Ruled for MutatingAdmissionPolicyBinding {
    spec_only!();

    fn fill_defaults(&mut self) {
        let matched = self.spec.as_mut().and_then(|spec| spec.match_resources.as_mut());
        matched.into_iter().for_each(matching::fill_resources);
    }

    fn validate(&self, errors: &mut Errors) {
        let spec = self.spec.clone().unwrap_or_default();
        validate_policy(text(&spec.policy_name), spec.param_ref.as_ref(), errors);
        let path = SPEC.field("matchResources");
        if let Some(matched) = &spec.match_resources {
            matching::validate_resources(matched, &path, errors);
        }
        super::mutating::validate_operations(spec.match_resources.as_ref(), &path, errors);
    }
}

fn validate_policy(name: &str, param: Option<&ParamRef>, errors: &mut Errors) {
    if errors.given(&SPEC.field("policyName"), name) {
        errors.dns_subdomain(&SPEC.field("policyName"), name);
    }
    let path = SPEC.field("paramRef");
    let Some(param) = param else { return };
    let (name, selector) = (text(&param.name), param.selector.as_ref());
    const EXCLUSIVE: &str = "name and selector are mutually exclusive";
    if !name.is_empty() {
        errors.path_segment(&path.field("name"), name);
        if selector.is_some() {
            errors.forbidden(&path.field("name"), EXCLUSIVE);
        }
    }
    errors.label_selector(&path.field("selector"), selector);
    match (name, selector) {
        ("", None) => errors.required(&path, "one of name or selector must be specified"),
        ("", Some(_)) | (_, None) => {}
        (_, Some(_)) => errors.forbidden(&path.field("selector"), EXCLUSIVE),
    }
    let action = text(&param.parameter_not_found_action);
    errors.given_one_of(&path.field("parameterNotFoundAction"), action, &["Deny", "Allow"]);
}

fn validate_actions(actions: &[String], path: &Path, errors: &mut Errors) {
    for (index, action) in actions.iter().enumerate() {
        errors.one_of(&path.index(index), action, ACTIONS);
        if is_seen(actions, index) {
            errors.duplicate(&path.index(index), action);
        }
    }
    let has = |wanted: &str| actions.iter().any(|action| action == wanted);
    if has("Deny") && has("Warn") {
        let message = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errors.invalid(path, Json(actions), message);
    }
    if actions.is_empty() {
        errors.required(path, "at least one validation action is required");
    }
}
