//! Which requests admission looks at: rules, selectors and match conditions, as webhooks and policies share them.

use super::check::{is_repeated, is_seen, items, text};
use super::fill;
use crate::cel::request::{Expression, Names, Returns};
use crate::field::{Errors, Json, Path};
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MatchResources, NamedRuleWithOperations, RuleWithOperations,
};

pub(super) const FAILURE_POLICIES: &[&str] = &["Fail", "Ignore"];
pub(super) const MATCH_POLICIES: &[&str] = &["Equivalent", "Exact"];
pub(super) const OPERATIONS: &[&str] = &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: &[&str] = &["*", "Cluster", "Namespaced"];
const CONDITIONS_MAX: usize = 64;

/// A rule of either sort.
pub(super) struct Rule<'a> {
    operations: &'a [String],
    api_groups: &'a [String],
    api_versions: &'a [String],
    resources: &'a [String],
    scope: &'a Option<String>,
}

macro_rules! from_rule {
    ($($kind:ty)*) => {$(
        impl<'a> From<&'a $kind> for Rule<'a> {
            fn from(rule: &'a $kind) -> Self {
                Rule {
                    operations: items(&rule.operations),
                    api_groups: items(&rule.api_groups),
                    api_versions: items(&rule.api_versions),
                    resources: items(&rule.resources),
                    scope: &rule.scope,
                }
            }
        }
    )*};
}
from_rule!(RuleWithOperations NamedRuleWithOperations);

/// Fills in what a rule leaves out.
pub(super) fn fill_scope(scope: &mut Option<String>) {
    fill::value(scope, "*".to_owned());
}

/// Fills in what a policy or its binding leaves out.
pub(super) fn fill_resources(matched: &mut MatchResources) {
    fill::value(&mut matched.match_policy, "Equivalent".to_owned());
    matched.namespace_selector.get_or_insert_default();
    matched.object_selector.get_or_insert_default();
    let rules = matched.resource_rules.iter_mut().chain(&mut matched.exclude_resource_rules).flatten();
    rules.for_each(|rule| fill_scope(&mut rule.scope));
}

/// Checks what a policy or its binding matches.
pub(super) fn validate_resources(matched: &MatchResources, path: &Path, errors: &mut Errors) {
    errors.any_of(&path.field("matchPolicy"), &matched.match_policy, MATCH_POLICIES);
    errors.label_selector(&path.field("namespaceSelector"), matched.namespace_selector.as_ref());
    errors.label_selector(&path.field("objectSelector"), matched.object_selector.as_ref());
    for (field, rules) in
        [("resourceRules", &matched.resource_rules), ("excludeResourceRules", &matched.exclude_resource_rules)]
    {
        for (index, rule) in items(rules).iter().enumerate() {
            let path = path.field(field);
            validate_named_rule(rule, &path.index(index), errors);
        }
    }
}

fn validate_named_rule(rule: &NamedRuleWithOperations, path: &Path, errors: &mut Errors) {
    let names = items(&rule.resource_names);
    for (index, name) in names.iter().enumerate() {
        let path = path.field("resourceNames");
        errors.path_segment(&path.index(index), name);
        if is_seen(names, index) {
            errors.duplicate(&path.index(index), name);
        }
    }
    validate_rule(&rule.into(), path, errors);
}

/// Checks one rule.
pub(super) fn validate_rule(rule: &Rule, path: &Path, errors: &mut Errors) {
    let operations = path.field("operations");
    validate_alone(rule.operations, "operations", &operations, errors);
    for (index, operation) in rule.operations.iter().enumerate() {
        errors.one_of(&operations.index(index), operation, OPERATIONS);
    }
    validate_alone(rule.api_groups, "API groups", &path.field("apiGroups"), errors);
    let versions = path.field("apiVersions");
    validate_alone(rule.api_versions, "API versions", &versions, errors);
    for (index, version) in rule.api_versions.iter().enumerate() {
        errors.given(&versions.index(index), version);
    }
    validate_resource_names(rule.resources, &path.field("resources"), errors);
    errors.any_of(&path.field("scope"), rule.scope, SCOPES);
}

/// A list must have something, and nothing beside a `*`.
fn validate_alone(list: &[String], what: &str, path: &Path, errors: &mut Errors) {
    if list.is_empty() {
        errors.required(path, "");
    }
    if list.len() > 1 && list.iter().any(|item| item == "*") {
        errors.invalid(path, Json(list), format!("if '*' is present, must not specify other {what}"));
    }
}

/// Resources and subresources: `pods`, `pods/*`, `*/scale`, `*`, `*/*`.
fn validate_resource_names(names: &[String], path: &Path, errors: &mut Errors) {
    if names.is_empty() {
        errors.required(path, "");
    }
    for (index, name) in names.iter().enumerate() {
        let path = path.index(index);
        if !errors.given(&path, name) {
            continue;
        }
        let Some((resource, part)) = name.split_once('/') else { continue };
        for wide in [format!("{resource}/*"), format!("*/{part}")] {
            if names.iter().take(index).any(|earlier| *earlier == wide) {
                errors.invalid(&path, name, format!("if '{wide}' is present, must not specify {name}"));
            }
        }
    }
    if names.len() > 1 && names.iter().any(|name| name == "*/*") {
        errors.invalid(path, Json(names), "if '*/*' is present, must not specify other resources");
    }
    // As upstream, what counts is the last name without a slash.
    let last_whole = names.iter().rfind(|name| !name.is_empty() && !name.contains('/'));
    if names.iter().any(|name| name == "*") && last_whole.is_some_and(|name| name != "*") {
        let message = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(path, Json(names), message);
    }
}

/// Checks match conditions. They name no variables.
pub(super) fn validate_conditions(conditions: &[MatchCondition], has_params: bool, path: &Path, errors: &mut Errors) {
    let names = Names::of_policy(has_params);
    if conditions.len() > CONDITIONS_MAX {
        errors.too_many(path, conditions.len(), CONDITIONS_MAX);
    }
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        let expression = condition.expression.trim();
        if errors.given(&path.field("expression"), expression) {
            let expression = Expression::compile(expression, &names, Returns::Bool);
            validate_expression(&expression, &path.field("expression"), errors);
        }
        if errors.given(&path.field("name"), &condition.name) {
            errors.qualified_name(&path.field("name"), &condition.name);
            if is_repeated(conditions, index, |condition| condition.name.clone()) {
                errors.duplicate(&path.field("name"), &condition.name);
            }
        }
    }
}

/// Reports an expression that does not compile, or comes to something else than it must.
pub(super) fn validate_expression(expression: &Expression, path: &Path, errors: &mut Errors) {
    if let Err(why) = &expression.program {
        errors.invalid(path, &expression.source, why);
    }
}

/// Checks a failure policy, which defaults have filled in.
pub(super) fn validate_failure_policy(policy: &Option<String>, path: &Path, errors: &mut Errors) {
    errors.given_one_of(path, text(policy), FAILURE_POLICIES);
}
