//! StorageClass.

use super::check::{is_repeated, is_seen, items};
use super::{Ruled, fill, same};
use crate::field::{Errors, Path, format};
use k8s_openapi::api::core::v1::TopologySelectorTerm;
use k8s_openapi::api::storage::v1::StorageClass;
use std::collections::{BTreeMap, BTreeSet};

const PARAMETERS_MAX: usize = 512;
const PARAMETER_BYTES_MAX: usize = 256 * 1024;

impl Ruled for StorageClass {
    fn fill_defaults(&mut self) {
        fill::value(&mut self.reclaim_policy, "Delete".to_owned());
        fill::value(&mut self.volume_binding_mode, "Immediate".to_owned());
    }

    fn validate(&self, errors: &mut Errors) {
        validate_provisioner(&self.provisioner, &Path::new("provisioner"), errors);
        if let Some(parameters) = &self.parameters {
            validate_parameters(parameters, &Path::new("parameters"), errors);
        }
        errors.any_of(&Path::new("reclaimPolicy"), &self.reclaim_policy, &["Delete", "Retain"]);
        let modes = ["Immediate", "WaitForFirstConsumer"];
        errors.any_of(&Path::new("volumeBindingMode"), &self.volume_binding_mode, &modes);
        validate_topologies(items(&self.allowed_topologies), &Path::new("allowedTopologies"), errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        if !same(&self.parameters, &old.parameters) {
            errors.forbidden(&Path::new("parameters"), "updates to parameters are forbidden.");
        }
        if self.provisioner != old.provisioner {
            errors.forbidden(&Path::new("provisioner"), "updates to provisioner are forbidden.");
        }
        if self.reclaim_policy != old.reclaim_policy {
            errors.forbidden(&Path::new("reclaimPolicy"), "updates to reclaimPolicy are forbidden.");
        }
        errors.immutable(&Path::new("volumeBindingMode"), &self.volume_binding_mode, &old.volume_binding_mode);
    }
}

/// Checks the name of what makes volumes: a qualified name in any case.
pub(super) fn validate_provisioner(name: &str, path: &Path, errors: &mut Errors) {
    if errors.given(path, name) {
        errors.invalid_each(path, name, format::label_key(&name.to_lowercase()));
    }
}

/// Checks what the maker of volumes is told.
pub(super) fn validate_parameters(parameters: &BTreeMap<String, String>, path: &Path, errors: &mut Errors) {
    if parameters.len() > PARAMETERS_MAX {
        return errors.too_long(path, PARAMETERS_MAX);
    }
    let mut bytes = 0;
    for (key, value) in parameters {
        if key.is_empty() {
            errors.invalid(path, key, "field can not be empty.");
        }
        bytes += key.len() + value.len();
    }
    if bytes > PARAMETER_BYTES_MAX {
        errors.too_long(path, PARAMETER_BYTES_MAX);
    }
}

fn validate_topologies(terms: &[TopologySelectorTerm], path: &Path, errors: &mut Errors) {
    let mut earlier: Vec<BTreeMap<&str, BTreeSet<&str>>> = Vec::new();
    for (index, term) in terms.iter().enumerate() {
        let path = path.index(index);
        let expressions = items(&term.match_label_expressions);
        validate_topology(term, &path.field("matchLabelExpressions"), errors);
        let term: BTreeMap<&str, BTreeSet<&str>> = expressions
            .iter()
            .map(|expression| (expression.key.as_str(), expression.values.iter().map(String::as_str).collect()))
            .collect();
        if earlier.contains(&term) {
            errors.duplicate(&path.field("matchLabelExpressions"), "");
        }
        earlier.push(term);
    }
}

fn validate_topology(term: &TopologySelectorTerm, path: &Path, errors: &mut Errors) {
    let expressions = items(&term.match_label_expressions);
    for (index, expression) in expressions.iter().enumerate() {
        let path = path.index(index);
        if expression.values.is_empty() {
            errors.required(&path.field("values"), "");
        }
        for (index, value) in expression.values.iter().enumerate() {
            if is_seen(&expression.values, index) {
                errors.duplicate(&path.field("values").index(index), value);
            }
        }
        errors.qualified_name(&path.field("key"), &expression.key);
        if is_repeated(expressions, index, |expression| expression.key.clone()) {
            errors.duplicate(&path.field("key"), &expression.key);
        }
    }
}
