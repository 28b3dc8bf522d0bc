//! Environment variables and where their values come from.

use crate::field::{Errors, Path, format};
use crate::quantity::Quantity;
use crate::rules::check::{items, text};
use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, EnvVarSource, ObjectFieldSelector, ResourceFieldSelector};

/// Fields of a pod that a variable can show.
const VARIABLE_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Fields of a pod that a file can show.
pub(super) const FILE_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// Fields that have a name at all, for whichever use.
const KNOWN_FIELDS: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
    "spec.host",
];

const CONTAINER_AMOUNTS: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

fn validate(variables: &[EnvVar], path: &Path, errors: &mut Errors) {
    for (index, variable) in variables.iter().enumerate() {
        let path = path.index(index);
        if errors.given(&path.field("name"), &variable.name) {
            errors.invalid_each(&path.field("name"), &variable.name, format::env_var_name(&variable.name));
        }
        if let Some(source) = &variable.value_from {
            validate_source(source, text(&variable.value), &path.field("valueFrom"), errors);
        }
    }
}

fn validate_source(source: &EnvVarSource, value: &str, path: &Path, errors: &mut Errors) {
    let mut sources = 0;
    if let Some(field) = &source.field_ref {
        sources += 1;
        validate_field(field, VARIABLE_FIELDS, &path.field("fieldRef"), errors);
    }
    if let Some(amount) = &source.resource_field_ref {
        sources += 1;
        validate_amount(amount, false, &path.field("resourceFieldRef"), errors);
    }
    if let Some(reference) = &source.config_map_key_ref {
        sources += 1;
        validate_key(&reference.name, &reference.key, &path.field("configMapKeyRef"), errors);
    }
    if let Some(reference) = &source.secret_key_ref {
        sources += 1;
        validate_key(&reference.name, &reference.key, &path.field("secretKeyRef"), errors);
    }
    if let Some(reference) = &source.file_key_ref {
        sources += 1;
        let path = path.field("fileKeyRef");
        if errors.given(&path.field("key"), &reference.key) {
            errors.invalid_each(&path.field("key"), &reference.key, format::env_var_name(&reference.key));
        }
        if errors.given(&path.field("volumeName"), &reference.volume_name) {
            errors.dns_label(&path.field("volumeName"), &reference.volume_name);
        }
        if errors.given(&path.field("path"), &reference.path) {
            super::volume::no_backsteps(&reference.path, &path.field("path"), errors);
        }
    }
    let message = match sources {
        0 => "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        _ if !value.is_empty() => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.invalid(path, "", message);
}

fn validate_key(name: &str, key: &str, path: &Path, errors: &mut Errors) {
    errors.dns_subdomain(&path.field("name"), name);
    if errors.given(&path.field("key"), key) {
        errors.invalid_each(&path.field("key"), key, format::config_key(key));
    }
}

/// `metadata.labels['app']` is the path `metadata.labels` with the subscript `app`.
fn split_subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['").filter(|(path, _)| !path.is_empty())
}

pub(super) fn validate_field(field: &ObjectFieldSelector, shown: &[&str], path: &Path, errors: &mut Errors) {
    if !errors.given(&path.field("apiVersion"), text(&field.api_version))
        || !errors.given(&path.field("fieldPath"), &field.field_path)
    {
        return;
    }
    let field_path = field.field_path.as_str();
    let subscripted = split_subscript(field_path);
    let unknown = match (text(&field.api_version), subscripted) {
        ("v1", Some(("metadata.annotations" | "metadata.labels", _))) => None,
        ("v1", Some(_)) => Some(std::format!("field label does not support subscript: {field_path}")),
        ("v1", None) if KNOWN_FIELDS.contains(&field_path) => None,
        ("v1", None) => Some(std::format!("field label not supported: {field_path}")),
        (version, _) => Some(std::format!("unsupported pod version: {version}")),
    };
    if let Some(reason) = unknown {
        let message = std::format!("error converting fieldPath: {reason}");
        return errors.invalid(&path.field("fieldPath"), field_path, message);
    }
    match subscripted {
        Some(("metadata.annotations", key)) => errors.qualified_name(path, &key.to_lowercase()),
        Some((_, key)) => errors.qualified_name(path, key),
        None if field_path == "spec.host" => errors.one_of(&path.field("fieldPath"), "spec.nodeName", shown),
        None => errors.one_of(&path.field("fieldPath"), field_path, shown),
    }
}

pub(super) fn validate_amount(amount: &ResourceFieldSelector, in_volume: bool, path: &Path, errors: &mut Errors) {
    let resource = amount.resource.as_str();
    let huge_pages = resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-");
    if in_volume && text(&amount.container_name).is_empty() {
        errors.required(&path.field("containerName"), "");
    } else if errors.given(&path.field("resource"), resource) && !huge_pages {
        errors.one_of(&path.field("resource"), resource, CONTAINER_AMOUNTS);
    }
    let Some(divisor) = &amount.divisor else { return };
    let Ok(divisor) = Quantity::try_from(divisor) else {
        return errors.invalid(&path.field("divisor"), &divisor.0, "unable to parse quantity");
    };
    validate_divisor(resource, divisor, &path.field("divisor"), errors);
}

fn validate_divisor(resource: &str, divisor: Quantity, path: &Path, errors: &mut Errors) {
    const BYTES: &[&str] = &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    if divisor.is_zero() {
        return;
    }
    let divisor = divisor.to_string();
    let kind = match resource.split_once('.').map_or("", |(_, name)| name) {
        "cpu" => {
            if !["1m", "1"].contains(&divisor.as_str()) {
                errors.invalid(path, resource, "only divisor's values 1m and 1 are supported with the cpu resource");
            }
            return;
        }
        "memory" => "memory",
        "ephemeral-storage" => "local ephemeral storage",
        name if name.starts_with("hugepages-") => "hugepages",
        _ => return,
    };
    if !BYTES.contains(&divisor.as_str()) {
        let listed = BYTES.join(", ");
        errors.invalid(
            path,
            resource,
            std::format!("only divisor's values {listed} are supported with the {kind} resource"),
        );
    }
}

fn validate_from(sources: &[EnvFromSource], path: &Path, errors: &mut Errors) {
    for (index, source) in sources.iter().enumerate() {
        let item = path.index(index);
        if let Some(prefix) = source.prefix.as_ref().filter(|prefix| !prefix.is_empty()) {
            errors.invalid_each(&item.field("prefix"), prefix, format::env_var_name(prefix));
        }
        let config_map = source.config_map_ref.as_ref().map(|reference| ("configMapRef", &reference.name));
        let secret = source.secret_ref.as_ref().map(|reference| ("secretRef", &reference.name));
        for (field, name) in config_map.into_iter().chain(secret) {
            let path = item.field(field);
            if errors.given(&path.field("name"), name) {
                errors.invalid_each(&path.field("name"), name, crate::rules::metadata::dns_subdomain(name, true));
            }
        }
        match (config_map, secret) {
            (None, None) => errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"),
            (Some(_), Some(_)) => errors.invalid(path, "", "may not have more than one field specified at a time"),
            _ => {}
        }
    }
}

/// Checks a container's variables, single and in bulk.
pub(super) fn validate_all(
    env: &Option<Vec<EnvVar>>,
    from: &Option<Vec<EnvFromSource>>,
    path: &Path,
    errors: &mut Errors,
) {
    validate(items(env), &path.field("env"), errors);
    validate_from(items(from), &path.field("envFrom"), errors);
}
