//! ResourceQuota.

use super::check::items;
use super::resources::{is_quota_resource, scope_fits};
use super::{Ruled, fill, same, status_apart};
use crate::field::{Errors, Json, Path};
use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement};

const SCOPES: &[&str] = &[
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "VolumeAttributesClass",
    "CrossNamespacePodAffinity",
];

impl Ruled for ResourceQuota {
    status_apart!();

    fn fill_defaults(&mut self) {
        if let Some(spec) = &mut self.spec {
            fill::canonical_amounts(spec.hard.as_mut());
        }
        if let Some(status) = &mut self.status {
            fill::canonical_amounts(status.hard.as_mut());
            fill::canonical_amounts(status.used.as_mut());
        }
    }

    fn validate(&self, errors: &mut Errors) {
        if let Some(spec) = &self.spec {
            validate_spec(spec, &Path::new("spec"), errors);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        let scopes = |quota: &Self| {
            let mut scopes = quota.spec.as_ref().and_then(|spec| spec.scopes.clone()).unwrap_or_default();
            scopes.sort_unstable();
            scopes
        };
        if !same(&scopes(self), &scopes(old)) {
            let path = Path::new("spec.scopes");
            errors.invalid(&path, Json(&self.spec.as_ref().and_then(|it| it.scopes.as_ref())), "field is immutable");
        }
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        let path = Path::new("status");
        let Some(status) = &self.status else { return };
        for (field, list) in [("hard", &status.hard), ("used", &status.used)] {
            for (name, amount) in list.iter().flatten() {
                let path = path.field(field);
                errors.quota_resource_name(&path.key(name), name);
                errors.resource_quantity(&path.key(name), name, amount);
            }
        }
    }
}

fn validate_spec(spec: &ResourceQuotaSpec, path: &Path, errors: &mut Errors) {
    for (name, amount) in spec.hard.iter().flatten() {
        let path = path.field("hard");
        errors.quota_resource_name(&path.key(name), name);
        errors.resource_quantity(&path.key(name), name, amount);
    }
    let hard: Vec<&str> = spec.hard.iter().flatten().map(|(name, _)| name.as_str()).collect();
    validate_scopes(items(&spec.scopes), &hard, &path.field("scopes"), errors);
    validate_selector(spec, &hard, &path.field("scopeSelector").field("matchExpressions"), errors);
}

/// The limited resources that a scope says nothing about.
fn misfits<'a>(scope: &'a str, hard: &'a [&str]) -> impl Iterator<Item = &'a &'a str> {
    hard.iter().filter(move |name| is_quota_resource(name) && !scope_fits(scope, name))
}

fn validate_scopes(scopes: &[String], hard: &[&str], path: &Path, errors: &mut Errors) {
    for scope in scopes {
        if !SCOPES.contains(&scope.as_str()) {
            errors.invalid(path, Json(scopes), "unsupported scope");
        }
        for _ in misfits(scope, hard) {
            errors.invalid(path, Json(scopes), "unsupported scope applied to resource");
        }
    }
    let given: Vec<&str> = scopes.iter().map(String::as_str).collect();
    validate_no_conflict(&given, scopes, path, errors);
}

fn validate_no_conflict(given: &[&str], shown: &[String], path: &Path, errors: &mut Errors) {
    for (scope, opposite) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if given.contains(&scope) && given.contains(&opposite) {
            errors.invalid(path, Json(shown), "conflicting scopes");
        }
    }
}

fn validate_selector(spec: &ResourceQuotaSpec, hard: &[&str], path: &Path, errors: &mut Errors) {
    let Some(selector) = &spec.scope_selector else { return };
    let expressions = items(&selector.match_expressions);
    for expression in expressions {
        let scope = expression.scope_name.as_str();
        if !SCOPES.contains(&scope) {
            errors.invalid(&path.field("scopeName"), scope, "unsupported scope");
        }
        for _ in misfits(scope, hard) {
            errors.invalid(path, Json(selector), "unsupported scope applied to resource");
        }
        validate_expression(expression, path, errors);
    }
    let given: Vec<&str> = expressions.iter().map(|expression| expression.scope_name.as_str()).collect();
    validate_no_conflict(&given, items(&spec.scopes), path, errors);
}

fn validate_expression(expression: &ScopedResourceSelectorRequirement, path: &Path, errors: &mut Errors) {
    const EXISTS_ONLY: &str = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
    let (operator, values) = (expression.operator.as_str(), items(&expression.values));
    if !matches!(expression.scope_name.as_str(), "PriorityClass" | "VolumeAttributesClass")
        && SCOPES.contains(&expression.scope_name.as_str())
        && operator != "Exists"
    {
        errors.invalid(&path.field("operator"), operator, EXISTS_ONLY);
    }
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            let message = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errors.required(&path.field("values"), message);
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let message = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errors.invalid(&path.field("values"), Json(values), message);
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => errors.invalid(&path.field("operator"), other, "not a valid selector operator"),
    }
}
