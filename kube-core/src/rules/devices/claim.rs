//! ResourceClaim and ResourceClaimTemplate.

use super::{
    CONFIGURATIONS_MAX, RequestNames, fits, status, validate_configuration, validate_full_attribute_name,
    validate_selectors, validate_tolerations, validate_unique,
};
use crate::field::{Errors, Path};
use crate::rules::check::{items, text};
use crate::rules::{Ruled, metadata, status_apart};
use k8s_openapi::api::resource::v1::{
    DeviceClaim, DeviceConstraint, DeviceRequest, DeviceSelector, DeviceToleration, ResourceClaim, ResourceClaimSpec,
    ResourceClaimTemplate,
};

pub(super) const REQUESTS_MAX: usize = 32;
const CONSTRAINTS_MAX: usize = 32;
const ALTERNATIVES_MAX: usize = 8;
const SPEC: Path<'static> = Path::new("spec");

impl Ruled for ResourceClaim {
    status_apart!();

    fn fill_defaults(&mut self) {
        fill_spec(&mut self.spec);
    }

    fn validate(&self, errors: &mut Errors) {
        validate_spec(&self.spec, &SPEC, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        errors.immutable(&SPEC, &self.spec, &old.spec);
    }

    fn validate_status_update(&self, old: &Self, errors: &mut Errors) {
        status::validate(self, old, errors);
    }
}

impl Ruled for ResourceClaimTemplate {
    fn fill_defaults(&mut self) {
        fill_spec(&mut self.spec.spec);
    }

    fn validate(&self, errors: &mut Errors) {
        if let Some(meta) = &self.spec.metadata {
            metadata::validate_template(meta, &SPEC.field("metadata"), errors);
        }
        validate_spec(&self.spec.spec, &SPEC.field("spec"), errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        errors.immutable(&SPEC, &self.spec, &old.spec);
    }
}

fn fill_spec(spec: &mut ResourceClaimSpec) {
    let requests = spec.devices.iter_mut().flat_map(|devices| &mut devices.requests).flatten();
    for request in requests {
        if let Some(exactly) = &mut request.exactly {
            fill_count(&mut exactly.allocation_mode, &mut exactly.count);
            fill_operators(&mut exactly.tolerations);
        }
        for alternative in request.first_available.iter_mut().flatten() {
            fill_count(&mut alternative.allocation_mode, &mut alternative.count);
            fill_operators(&mut alternative.tolerations);
        }
    }
}

fn fill_operators(tolerations: &mut Option<Vec<DeviceToleration>>) {
    for toleration in tolerations.iter_mut().flatten() {
        crate::rules::fill::text(&mut toleration.operator, "Equal");
    }
}

fn fill_count(mode: &mut Option<String>, count: &mut Option<i64>) {
    crate::rules::fill::text(mode, "ExactCount");
    if text(mode) == "ExactCount" && count.unwrap_or(0) == 0 {
        *count = Some(1);
    }
}

/// What the claim's requests are called.
pub(super) fn names_of(spec: &ResourceClaimSpec) -> RequestNames<'_> {
    let requests = spec.devices.iter().flat_map(|devices| items(&devices.requests));
    RequestNames(
        requests
            .map(|request| {
                (request.name.as_str(), items(&request.first_available).iter().map(|it| it.name.as_str()).collect())
            })
            .collect(),
    )
}

fn validate_spec(spec: &ResourceClaimSpec, path: &Path, errors: &mut Errors) {
    let none = DeviceClaim::default();
    let (devices, path, names) = (spec.devices.as_ref().unwrap_or(&none), path.field("devices"), names_of(spec));
    let (requests, at) = (items(&devices.requests), path.field("requests"));
    if fits(requests, REQUESTS_MAX, &at, errors) {
        for (index, request) in requests.iter().enumerate() {
            validate_request(request, &at.index(index), errors);
        }
        validate_unique(requests, |request| request.name.clone(), &at, errors);
    }
    let (constraints, at) = (items(&devices.constraints), path.field("constraints"));
    if fits(constraints, CONSTRAINTS_MAX, &at, errors) {
        for (index, constraint) in constraints.iter().enumerate() {
            validate_constraint(constraint, &names, &at.index(index), errors);
        }
    }
    let (configurations, at) = (items(&devices.config), path.field("config"));
    if fits(configurations, CONFIGURATIONS_MAX, &at, errors) {
        for (index, configuration) in configurations.iter().enumerate() {
            let path = at.index(index);
            names.validate_all(&configuration.requests, &path.field("requests"), errors);
            validate_configuration(configuration.opaque.as_ref(), &path, errors);
        }
    }
}

/// What is asked of a device, exactly or as one of several alternatives.
struct Wanted<'a> {
    class: &'a str,
    selectors: &'a [DeviceSelector],
    mode: &'a str,
    count: i64,
    tolerations: &'a [DeviceToleration],
}

macro_rules! wanted {
    ($request:expr) => {
        Wanted {
            class: &$request.device_class_name,
            selectors: items(&$request.selectors),
            mode: text(&$request.allocation_mode),
            count: $request.count.unwrap_or(0),
            tolerations: items(&$request.tolerations),
        }
    };
}

fn validate_request(request: &DeviceRequest, path: &Path, errors: &mut Errors) {
    const ONE: &str = "exactly one of `exactly` or `firstAvailable` is required";
    errors.dns_label(&path.field("name"), &request.name);
    let alternatives = items(&request.first_available);
    match &request.exactly {
        Some(_) if !alternatives.is_empty() => {
            let message = format!("{ONE}, but multiple fields are set");
            errors.invalid(path, crate::field::Json(&()), message);
        }
        Some(exactly) => validate_wanted(&wanted!(exactly), &path.field("exactly"), errors),
        None if alternatives.is_empty() => errors.required(path, ONE),
        None => {
            let path = path.field("firstAvailable");
            if fits(alternatives, ALTERNATIVES_MAX, &path, errors) {
                for (index, alternative) in alternatives.iter().enumerate() {
                    let path = path.index(index);
                    errors.dns_label(&path.field("name"), &alternative.name);
                    validate_wanted(&wanted!(alternative), &path, errors);
                }
                validate_unique(alternatives, |alternative| alternative.name.clone(), &path, errors);
            }
        }
    }
}

fn validate_wanted(wanted: &Wanted, path: &Path, errors: &mut Errors) {
    if errors.given(&path.field("deviceClassName"), wanted.class) {
        errors.dns_subdomain(&path.field("deviceClassName"), wanted.class);
    }
    validate_selectors(wanted.selectors, &path.field("selectors"), errors);
    let count = path.field("count");
    match wanted.mode {
        "All" if wanted.count != 0 => {
            errors.invalid(&count, wanted.count, "must not be specified when allocationMode is 'All'");
        }
        "ExactCount" if wanted.count <= 0 => errors.invalid(&count, wanted.count, "must be greater than zero"),
        "All" | "ExactCount" => {}
        other => errors.not_supported(&path.field("allocationMode"), other, &["All", "ExactCount"]),
    }
    validate_tolerations(wanted.tolerations, &path.field("tolerations"), errors);
}

fn validate_constraint(constraint: &DeviceConstraint, names: &RequestNames, path: &Path, errors: &mut Errors) {
    names.validate_all(&constraint.requests, &path.field("requests"), errors);
    match (&constraint.match_attribute, &constraint.distinct_attribute) {
        (Some(name), _) => validate_full_attribute_name(name, &path.field("matchAttribute"), errors),
        (None, Some(name)) => validate_full_attribute_name(name, &path.field("distinctAttribute"), errors),
        (None, None) => {
            let message =
                r#"exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set"#;
            errors.required(path, message);
        }
    }
}
