//! Admission policies and their bindings.

mod binding;
mod mutating;
mod type_check;
mod validating;

pub use type_check::type_warnings;

use super::check::text;
use super::matching::validate_expression;
use crate::cel::is_keyword;
use crate::cel::request::{Expression, Names, Returns, Variable};
use crate::field::{Errors, Path, format};
use k8s_openapi::api::admissionregistration::v1::{self as api, MatchResources, ParamKind};

/// Checks what a policy is about: the kind of its parameters, and what it matches, which must name resources.
fn validate_subject(param: Option<&ParamKind>, matched: Option<&MatchResources>, path: &Path, errors: &mut Errors) {
    if let Some(kind) = param {
        validate_param_kind(kind, &path.field("paramKind"), errors);
    }
    let path = path.field("matchConstraints");
    let Some(matched) = matched else { return errors.required(&path, "") };
    super::matching::validate_resources(matched, &path, errors);
    if matched.resource_rules.as_ref().is_none_or(Vec::is_empty) {
        errors.required(&path.field("resourceRules"), "");
    }
}

fn validate_param_kind(kind: &ParamKind, path: &Path, errors: &mut Errors) {
    let (at, api_version) = (path.field("apiVersion"), text(&kind.api_version));
    if errors.given(&at, api_version) {
        match api_version.matches('/').count() {
            0 => validate_version(api_version, api_version, &at, errors),
            1 => {
                let (group, version) = api_version.split_once('/').unwrap_or_default();
                if !group.is_empty() {
                    invalid_at_once(&at, group, "", ",", format::dns1123_subdomain(group), errors);
                }
                validate_version(version, api_version, &at, errors);
            }
            _ => {
                let message = std::format!("unexpected GroupVersion string: {api_version}");
                errors.invalid(&at, api_version, message);
            }
        }
    }
    let (at, name) = (path.field("kind"), text(&kind.kind));
    if errors.given(&at, name) {
        let messages = format::dns1035_label(&name.to_lowercase());
        invalid_at_once(&at, name, "may have mixed case, but should otherwise match: ", ",", messages, errors);
    }
}

fn validate_version(version: &str, api_version: &str, path: &Path, errors: &mut Errors) {
    match version {
        "" => errors.invalid(path, api_version, "version must be specified"),
        version => invalid_at_once(path, version, "", ",", format::dns1035_label(version), errors),
    }
}

fn invalid_at_once(path: &Path, value: &str, before: &str, between: &str, messages: Vec<String>, errors: &mut Errors) {
    if !messages.is_empty() {
        errors.invalid(path, value, before.to_owned() + &messages.join(between));
    }
}

/// Checks variables, each of which may use those before it; the compiled ones.
fn validate_variables(source: &[api::Variable], names: &Names, path: &Path, errors: &mut Errors) -> Vec<Variable> {
    let mut variables = Vec::new();
    for (index, variable) in source.iter().enumerate() {
        let path = path.index(index);
        if variable.name.trim().is_empty() {
            errors.required(&path.field("name"), "name is not specified");
        } else if !is_identifier(&variable.name) {
            errors.invalid(&path.field("name"), &variable.name, "name is not a valid CEL identifier");
        }
        if variable.expression.trim().is_empty() {
            errors.required(&path.field("expression"), "expression is not specified");
            continue;
        }
        let expression = Expression::compile(&variable.expression, &names.with(&variables), Returns::Anything);
        validate_expression(&expression, &path.field("expression"), errors);
        variables.push(Variable { name: variable.name.clone(), expression });
    }
    variables
}

fn is_identifier(name: &str) -> bool {
    !is_keyword(name)
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
