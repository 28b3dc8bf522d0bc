//! Changes of a pod through its subresources `ephemeralcontainers` and `resize`.

use super::check::{items, text};
use super::fill::ResourceList;
use super::pod::quality_of_service;
use super::{pod_spec, same};
use crate::field::{Errors, Path, quote};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

const SPEC: Path<'static> = Path::new("spec");
/// Resources that can change while a container runs.
const RESIZABLE: &[&str] = &["cpu", "memory"];

pub(super) fn validate(part: &str, new: &Pod, old: &Pod, errors: &mut Errors) {
    let none = PodSpec::default();
    let (new_spec, old_spec) = (new.spec.as_ref().unwrap_or(&none), old.spec.as_ref().unwrap_or(&none));
    let is_static = old.metadata.annotations.iter().flatten().any(|(key, _)| key == "kubernetes.io/config.mirror");
    let refused = match part {
        "ephemeralcontainers" if is_static => Some("static pods do not support ephemeral containers"),
        "resize" => what_forbids_resizing(new_spec, old_spec, is_static),
        _ => None,
    };
    if let Some(message) = refused {
        return errors.forbidden(&Path::new(""), message);
    }
    pod_spec::validate(new_spec, Some(&new.metadata), &SPEC, errors);
    match part {
        "ephemeralcontainers" => validate_ephemeral_containers(new_spec, old_spec, errors),
        "resize" => validate_resize(new, old, new_spec, old_spec, errors),
        _ => {}
    }
}

/// Ephemeral containers may be added, but what is there stays.
fn validate_ephemeral_containers(new: &PodSpec, old: &PodSpec, errors: &mut Errors) {
    let path = SPEC.field("ephemeralContainers");
    for old in items(&old.ephemeral_containers) {
        let name = quote(&old.name);
        match items(&new.ephemeral_containers).iter().find(|new| new.name == old.name) {
            None => errors.forbidden(&path, format!("existing ephemeral containers {name} may not be removed\n")),
            // Upstream appends a dump of the difference.
            Some(new) if !same(new, old) => {
                errors.forbidden(&path, format!("existing ephemeral containers {name} may not be changed\n"));
            }
            Some(_) => {}
        }
    }
}

fn what_forbids_resizing(new: &PodSpec, old: &PodSpec, is_static: bool) -> Option<&'static str> {
    let is_given = |list: &Option<ResourceList>| list.as_ref().is_some_and(|list| !list.is_empty());
    let is_limited =
        |spec: &PodSpec| spec.resources.as_ref().is_some_and(|it| is_given(&it.requests) || is_given(&it.limits));
    if is_limited(new) || is_limited(old) {
        return Some("pods with pod-level resources cannot be resized");
    }
    if is_static {
        return Some("static pods cannot be resized");
    }
    let is_windows = old.os.as_ref().is_some_and(|os| os.name == "windows");
    is_windows.then_some("windows pods cannot be resized")
}

fn validate_resize(new: &Pod, old: &Pod, new_spec: &PodSpec, old_spec: &PodSpec, errors: &mut Errors) {
    if quality_of_service(new) != quality_of_service(old) {
        let shown = new.status.as_ref().map_or("", |status| text(&status.qos_class));
        errors.invalid(&SPEC, shown, "Pod QOS Class may not change as a result of resizing");
    }
    for (field, new, old) in [
        ("initContainers", items(&new_spec.init_containers), items(&old_spec.init_containers)),
        ("containers", new_spec.containers.as_slice(), old_spec.containers.as_slice()),
    ] {
        for (index, (new, old)) in new.iter().zip(old).enumerate() {
            let path = SPEC.field(field);
            validate_container(new, old, field, &path.index(index), errors);
        }
    }
}

fn validate_container(new: &Container, old: &Container, field: &str, path: &Path, errors: &mut Errors) {
    let restarts = field == "containers" || old.restart_policy.as_deref() == Some("Always");
    if !restarts {
        if !same(new, old) {
            errors.forbidden(&SPEC, "resources for non-sidecar init containers are immutable");
        }
        return;
    }
    let path = path.field("resources");
    let lists = |container: &Container| {
        let resources = container.resources.clone().unwrap_or_default();
        (resources.requests.unwrap_or_default(), resources.limits.unwrap_or_default())
    };
    let (is, was) = (lists(new), lists(old));
    for (field, is, was) in [("requests", &is.0, &was.0), ("limits", &is.1, &was.1)] {
        if was.keys().any(|key| !is.contains_key(key)) {
            errors.forbidden(&path.field(field), format!("resource {field} cannot be removed"));
        }
    }
    let fixed = |list: &ResourceList| {
        let others = list.iter().filter(|(name, _)| !RESIZABLE.contains(&name.as_str()));
        others.map(|(name, amount)| (name.clone(), amount.clone())).collect::<ResourceList>()
    };
    if fixed(&is.0) != fixed(&was.0) || fixed(&is.1) != fixed(&was.1) {
        let whose = if field == "containers" { "" } else { " for sidecar containers" };
        errors.forbidden(&SPEC, format!("only cpu and memory resources{whose} are mutable"));
    }
}
