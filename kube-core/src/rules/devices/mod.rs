//! Dynamic resources: claims on devices, their templates, classes of devices, and slices that say which devices there are.
//! Selectors are checked for being there; compiling them is not done here.

mod claim;
mod class;
mod slice;
mod status;

use super::check::{is_repeated, items, text};
use crate::field::{Errors, Json, Path};
use k8s_openapi::api::resource::v1::{DeviceSelector, DeviceToleration, OpaqueDeviceConfiguration};
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;

const SELECTORS_MAX: usize = 32;
const CONFIGURATIONS_MAX: usize = 32;
const EXPRESSION_BYTES_MAX: usize = 10 * 1024;
const PARAMETERS_BYTES_MAX: usize = 10 * 1024;
const IDENTIFIER_BYTES_MAX: usize = 32;
const POOL_BYTES_MAX: usize = 253;

/// Whether a list is short enough to be looked at; upstream looks no further if not.
fn fits<T>(list: &[T], most: usize, path: &Path, errors: &mut Errors) -> bool {
    if list.len() > most {
        errors.too_many(path, list.len(), most);
    }
    list.len() <= most
}

/// Reports items whose key an earlier item has.
fn validate_unique<T>(list: &[T], key: impl Fn(&T) -> String, path: &Path, errors: &mut Errors) {
    for (index, item) in list.iter().enumerate() {
        if is_repeated(list, index, &key) {
            errors.duplicate(&path.index(index), key(item));
        }
    }
}

fn validate_selectors(selectors: &[DeviceSelector], path: &Path, errors: &mut Errors) {
    if !fits(selectors, SELECTORS_MAX, path, errors) {
        return;
    }
    for (index, selector) in selectors.iter().enumerate() {
        let path = path.index(index);
        let path = path.field("cel");
        match &selector.cel {
            None => errors.required(&path, ""),
            Some(cel) if cel.expression.len() > EXPRESSION_BYTES_MAX => {
                errors.too_long(&path.field("expression"), EXPRESSION_BYTES_MAX);
            }
            Some(_) => {}
        }
    }
}

fn validate_configuration(opaque: Option<&OpaqueDeviceConfiguration>, path: &Path, errors: &mut Errors) {
    let path = path.field("opaque");
    let Some(opaque) = opaque else { return errors.required(&path, "") };
    errors.driver_name(&path.field("driver"), &opaque.driver);
    validate_raw(&opaque.parameters, PARAMETERS_BYTES_MAX, &path.field("parameters"), errors);
}

/// Any JSON object, of a limited length.
fn validate_raw(raw: &RawExtension, bytes_max: usize, path: &Path, errors: &mut Errors) {
    match &raw.0 {
        serde_json::Value::Null => errors.required(path, ""),
        value if value.to_string().len() > bytes_max => errors.too_long(path, bytes_max),
        serde_json::Value::Object(_) => {}
        _ => errors.invalid(path, "<value omitted>", "must be a valid JSON object"),
    }
}

/// Several DNS subdomains with slashes between.
fn validate_pool(name: &str, path: &Path, errors: &mut Errors) {
    if !errors.given(path, name) {
        return;
    }
    if name.len() > POOL_BYTES_MAX {
        errors.too_long(path, POOL_BYTES_MAX);
    }
    name.split('/').for_each(|part| errors.dns_subdomain(path, part));
}

/// The name of an attribute: an identifier, or one with a domain in front.
fn validate_attribute_name(name: &str, path: &Path, errors: &mut Errors) {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        [name] => validate_identifier(name, path, errors),
        [domain, name] => {
            match *domain {
                "" => errors.invalid(path, "", "the domain must not be empty"),
                domain => errors.driver_name(path, domain),
            }
            match *name {
                "" => errors.invalid(path, "", "the name must not be empty"),
                name => validate_identifier(name, path, errors),
            }
        }
        // More slashes are let through by upstream.
        _ => {}
    }
}

/// The name of an attribute with a domain.
fn validate_full_attribute_name(name: &str, path: &Path, errors: &mut Errors) {
    validate_attribute_name(name, path, errors);
    if !name.contains('/') {
        let message = "a fully qualified name must be a domain and a name separated by a slash";
        errors.invalid(path, name, message);
    }
}

fn validate_identifier(name: &str, path: &Path, errors: &mut Errors) {
    if name.len() > IDENTIFIER_BYTES_MAX {
        errors.too_long(path, IDENTIFIER_BYTES_MAX);
    }
    let good = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !good {
        let message = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')";
        errors.invalid(path, name, message);
    }
}

const EFFECTS: &[&str] = &["NoExecute", "NoSchedule", "None"];

fn validate_tolerations(tolerations: &[DeviceToleration], path: &Path, errors: &mut Errors) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let (key, value) = (text(&toleration.key), text(&toleration.value));
        if !key.is_empty() {
            errors.qualified_name(&path.field("key"), key);
        }
        let operator = path.field("operator");
        match text(&toleration.operator) {
            "Exists" if !value.is_empty() => {
                errors.invalid(&path.field("value"), value, "must be empty for operator `Exists`");
            }
            "Exists" => {}
            "Equal" => errors.invalid_each(&path.field("value"), value, crate::field::format::label_value(value)),
            "" => errors.required(&operator, ""),
            other => errors.not_supported(&operator, other, &["Equal", "Exists"]),
        }
        let effect = text(&toleration.effect);
        if !effect.is_empty() {
            errors.one_of(&path.field("effect"), effect, EFFECTS);
        }
    }
}

/// Conditions that a device must reach, or must not, before a pod is bound: both or none, and never the same.
fn validate_binding(reached: &Option<Vec<String>>, failed: &Option<Vec<String>>, path: &Path, errors: &mut Errors) {
    const CONDITIONS_MAX: usize = 4;
    let (reached, failed) = (items(reached), items(failed));
    let (at, at_failed) = (path.field("bindingConditions"), path.field("bindingFailureConditions"));
    for (list, path) in [(reached, &at), (failed, &at_failed)] {
        if fits(list, CONDITIONS_MAX, path, errors) {
            for (index, condition) in list.iter().enumerate() {
                errors.qualified_name(&path.index(index), condition);
            }
        }
    }
    validate_unique(reached, String::clone, &at, errors);
    validate_unique(failed, String::clone, &at_failed, errors);
    for (index, condition) in failed.iter().enumerate().filter(|(_, condition)| reached.contains(condition)) {
        let message = "bindingFailureConditions must not overlap with bindingConditions";
        errors.invalid(&at_failed.index(index), condition, message);
    }
    if reached.is_empty() && !failed.is_empty() {
        errors.invalid(&at, Json(reached), "bindingConditions are required to use bindingFailureConditions");
    }
    if failed.is_empty() && !reached.is_empty() {
        errors.invalid(&at_failed, Json(failed), "bindingFailureConditions are required to use bindingConditions");
    }
}

/// What a claim's requests are called: each with the names of its alternatives.
struct RequestNames<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl RequestNames<'_> {
    fn has(&self, name: &str) -> bool {
        let (request, alternative) = match name.split_once('/') {
            Some((request, alternative)) => (request, Some(alternative)),
            None => (name, None),
        };
        let mut requests = self.0.iter().filter(|(name, _)| *name == request);
        requests.any(|(_, alternatives)| alternative.is_none_or(|wanted| alternatives.contains(&wanted)))
    }

    /// Checks a reference to a request: `gpu` or `gpu/large`.
    fn validate(&self, name: &str, path: &Path, errors: &mut Errors) {
        let message =
            "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
        if name.matches('/').count() > 1 {
            return errors.invalid(path, name, message);
        }
        name.split('/').for_each(|part| errors.dns_label(path, part));
        if !self.has(name) {
            errors.invalid(path, name, message);
        }
    }

    fn validate_all(&self, names: &Option<Vec<String>>, path: &Path, errors: &mut Errors) {
        let names = items(names);
        if fits(names, claim::REQUESTS_MAX, path, errors) {
            for (index, name) in names.iter().enumerate() {
                self.validate(name, &path.index(index), errors);
            }
            validate_unique(names, String::clone, path, errors);
        }
    }
}
