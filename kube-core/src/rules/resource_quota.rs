//! ResourceQuota. Which resources a scope fits is not checked, nor scope selectors.

use super::check::items;
use super::{Ruled, fill, same, status_apart};
use crate::field::{Errors, Json, Path};
use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaSpec};

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
    let (path, scopes) = (path.field("scopes"), items(&spec.scopes));
    for _ in scopes.iter().filter(|scope| !SCOPES.contains(&scope.as_str())) {
        errors.invalid(&path, Json(scopes), "unsupported scope");
    }
    let has = |wanted: &str| scopes.iter().any(|scope| scope == wanted);
    for (scope, opposite) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if has(scope) && has(opposite) {
            errors.invalid(&path, Json(scopes), "conflicting scopes");
        }
    }
}
