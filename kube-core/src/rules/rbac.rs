//! Role, ClusterRole and their bindings. Whether a writer may grant what they grant is the authorizer's business.

use super::check::{items, text};
use super::{Ruled, fill, metadata, same};
use crate::field::{Errors, Json, Path, format};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};

const GROUP: &str = "rbac.authorization.k8s.io";

impl Ruled for Role {
    const NAME: metadata::NameRule = metadata::path_segment;

    fn validate(&self, errors: &mut Errors) {
        validate_rules(items(&self.rules), true, errors);
    }
}

impl Ruled for ClusterRole {
    const NAME: metadata::NameRule = metadata::path_segment;

    fn validate(&self, errors: &mut Errors) {
        validate_rules(items(&self.rules), false, errors);
        let Some(aggregation) = &self.aggregation_rule else { return };
        let path = Path::new("aggregationRule.clusterRoleSelectors");
        let selectors = items(&aggregation.cluster_role_selectors);
        if selectors.is_empty() {
            errors.required(&path, "at least one clusterRoleSelector required if aggregationRule is non-nil");
        }
        for (index, selector) in selectors.iter().enumerate() {
            errors.label_selector(&path.index(index), Some(selector));
        }
    }
}

impl Ruled for RoleBinding {
    const NAME: metadata::NameRule = metadata::path_segment;

    fn fill_defaults(&mut self) {
        fill_binding(&mut self.role_ref, &mut self.subjects);
    }

    fn validate(&self, errors: &mut Errors) {
        validate_reference(&self.role_ref, &["Role", "ClusterRole"], errors);
        validate_subjects(items(&self.subjects), true, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        validate_reference_update(&self.role_ref, &old.role_ref, errors);
    }
}

impl Ruled for ClusterRoleBinding {
    const NAME: metadata::NameRule = metadata::path_segment;

    fn fill_defaults(&mut self) {
        fill_binding(&mut self.role_ref, &mut self.subjects);
    }

    fn validate(&self, errors: &mut Errors) {
        validate_reference(&self.role_ref, &["ClusterRole"], errors);
        validate_subjects(items(&self.subjects), false, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        validate_reference_update(&self.role_ref, &old.role_ref, errors);
    }
}

fn fill_binding(role: &mut RoleRef, subjects: &mut Option<Vec<Subject>>) {
    fill_group(&mut role.api_group);
    for subject in subjects.iter_mut().flatten().filter(|subject| matches!(subject.kind.as_str(), "User" | "Group")) {
        fill_group(&mut subject.api_group);
    }
}

fn fill_group(group: &mut Option<String>) {
    fill::text(group, GROUP);
}

fn validate_rules(rules: &[PolicyRule], namespaced: bool, errors: &mut Errors) {
    for (index, rule) in rules.iter().enumerate() {
        validate_rule(rule, namespaced, &Path::new("rules").index(index), errors);
    }
}

fn validate_rule(rule: &PolicyRule, namespaced: bool, path: &Path, errors: &mut Errors) {
    if rule.verbs.is_empty() {
        errors.required(&path.field("verbs"), "verbs must contain at least one value");
    }
    let (groups, resources, urls) = (items(&rule.api_groups), items(&rule.resources), items(&rule.non_resource_urls));
    if !urls.is_empty() {
        let path = path.field("nonResourceURLs");
        if namespaced {
            errors.invalid(&path, Json(urls), "namespaced rules cannot apply to non-resource URLs");
        }
        if !groups.is_empty() || !resources.is_empty() || !items(&rule.resource_names).is_empty() {
            let message = "rules cannot apply to both regular resources and non-resource URLs";
            errors.invalid(&path, Json(urls), message);
        }
        return;
    }
    if groups.is_empty() {
        errors.required(&path.field("apiGroups"), "resource rules must supply at least one api group");
    }
    if resources.is_empty() {
        errors.required(&path.field("resources"), "resource rules must supply at least one resource");
    }
}

fn validate_reference(role: &RoleRef, kinds: &[&str], errors: &mut Errors) {
    let path = Path::new("roleRef");
    errors.one_of(&path.field("apiGroup"), text(&role.api_group), &[GROUP]);
    errors.one_of(&path.field("kind"), &role.kind, kinds);
    if errors.given(&path.field("name"), &role.name) {
        errors.invalid_each(&path.field("name"), &role.name, format::path_segment(&role.name));
    }
}

fn validate_reference_update(new: &RoleRef, old: &RoleRef, errors: &mut Errors) {
    if !same(new, old) {
        errors.invalid(&Path::new("roleRef"), Json(new), "cannot change roleRef");
    }
}

fn validate_subjects(subjects: &[Subject], namespaced: bool, errors: &mut Errors) {
    for (index, subject) in subjects.iter().enumerate() {
        validate_subject(subject, namespaced, &Path::new("subjects").index(index), errors);
    }
}

fn validate_subject(subject: &Subject, namespaced: bool, path: &Path, errors: &mut Errors) {
    let named = errors.given(&path.field("name"), &subject.name);
    let group = text(&subject.api_group);
    match subject.kind.as_str() {
        "ServiceAccount" => {
            if named {
                errors.dns_subdomain(&path.field("name"), &subject.name);
            }
            errors.one_of(&path.field("apiGroup"), group, &[""]);
            if !namespaced {
                errors.given(&path.field("namespace"), text(&subject.namespace));
            }
        }
        "User" | "Group" => errors.one_of(&path.field("apiGroup"), group, &[GROUP]),
        kind => errors.not_supported(&path.field("kind"), kind, &["ServiceAccount", "User", "Group"]),
    }
}
