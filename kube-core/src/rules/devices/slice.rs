//! ResourceSlice. How a device's capacity may be shared out is not checked; a taint without a time gets none.

use super::{EFFECTS, fits, validate_attribute_name, validate_binding, validate_pool, validate_unique};
use crate::field::{Errors, Json, Path, format};
use crate::rules::check::{items, text};
use crate::rules::{Ruled, pod_spec, spec_only};
use k8s_openapi::api::resource::v1::{
    Counter, CounterSet, Device, DeviceAttribute, DeviceTaint, ResourceSlice, ResourceSliceSpec,
};
use std::collections::BTreeMap;

const DEVICES_MAX: usize = 128;
const DEVICES_WITH_TAINTS_OR_COUNTERS_MAX: usize = 64;
const COUNTER_SETS_MAX: usize = 8;
const COUNTERS_MAX: usize = 32;
const CONSUMPTIONS_MAX: usize = 2;
const ATTRIBUTES_AND_CAPACITIES_MAX: usize = 32;
const ATTRIBUTE_BYTES_MAX: usize = 64;
const TAINTS_MAX: usize = 16;
const SPEC: Path<'static> = Path::new("spec");

impl Ruled for ResourceSlice {
    spec_only!();

    fn validate(&self, errors: &mut Errors) {
        let spec = &self.spec;
        errors.driver_name(&SPEC.field("driver"), &spec.driver);
        let pool = SPEC.field("pool");
        validate_pool(&spec.pool.name, &pool.field("name"), errors);
        if spec.pool.resource_slice_count <= 0 {
            let path = pool.field("resourceSliceCount");
            errors.invalid(&path, spec.pool.resource_slice_count, "must be greater than zero");
        }
        if spec.pool.generation < 0 {
            let path = pool.field("generation");
            errors.invalid(&path, spec.pool.generation, "must be greater than or equal to zero");
        }
        validate_place(spec, errors);
        if spec.shared_counters.is_some() && spec.devices.is_some() {
            errors.invalid(&SPEC, "", "only one of `sharedCounters` or `devices` is allowed");
        }
        validate_devices(spec, errors);
        let (sets, path) = (items(&spec.shared_counters), SPEC.field("sharedCounters"));
        if fits(sets, COUNTER_SETS_MAX, &path, errors) {
            for (index, set) in sets.iter().enumerate() {
                validate_counter_set(set, &path.index(index), errors);
            }
            validate_unique(sets, |set| set.name.clone(), &path, errors);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        errors.immutable(&SPEC.field("pool.name"), &self.spec.pool.name, &old.spec.pool.name);
        errors.immutable(&SPEC.field("driver"), &self.spec.driver, &old.spec.driver);
        errors.immutable(&SPEC.field("nodeName"), &self.spec.node_name, &old.spec.node_name);
    }
}

/// Checks where the slice's devices are: exactly one way of saying it.
fn validate_place(spec: &ResourceSliceSpec, errors: &mut Errors) {
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    let mut given = Vec::new();
    match spec.node_name.as_deref() {
        None => {}
        Some("") => {
            let message = "must be either unset or set to a non-empty string";
            errors.invalid(&SPEC.field("nodeName"), "", message);
        }
        Some(name) => {
            given.push("`nodeName`");
            errors.dns_subdomain(&SPEC.field("nodeName"), name);
        }
    }
    if let Some(selector) = &spec.node_selector {
        given.push("`nodeSelector`");
        let path = SPEC.field("nodeSelector");
        pod_spec::scheduling::validate_node_selector(selector, &path, errors);
        if selector.node_selector_terms.len() != 1 {
            let path = path.field("nodeSelectorTerms");
            errors.invalid(&path, Json(&selector.node_selector_terms), "must have exactly one node selector term");
        }
    }
    for (field, shown, flag) in [
        ("allNodes", "`allNodes`", spec.all_nodes),
        ("perDeviceNodeSelection", "`perDeviceNodeSelection`", spec.per_device_node_selection),
    ] {
        match flag {
            None => {}
            Some(true) => given.push(shown),
            Some(false) => errors.invalid(&SPEC.field(field), false, "must be either unset or set to true"),
        }
    }
    match given.len() {
        0 => errors.required(&SPEC, ONE),
        1 => {}
        _ => {
            let shown = std::format!("{{{}}}", given.join(", "));
            errors.invalid(&SPEC, shown, std::format!("{ONE}, but multiple fields are set"));
        }
    }
}

fn validate_devices(spec: &ResourceSliceSpec, errors: &mut Errors) {
    let (devices, path) = (items(&spec.devices), SPEC.field("devices"));
    let is_advanced = |it: &Device| !items(&it.taints).is_empty() || !items(&it.consumes_counters).is_empty();
    let most = if devices.iter().any(is_advanced) { DEVICES_WITH_TAINTS_OR_COUNTERS_MAX } else { DEVICES_MAX };
    if !fits(devices, most, &path, errors) {
        return;
    }
    for (index, device) in devices.iter().enumerate() {
        validate_device(device, spec.per_device_node_selection == Some(true), &path.index(index), errors);
    }
    validate_unique(devices, |device| device.name.clone(), &path, errors);
}

fn validate_device(device: &Device, chooses_node: bool, path: &Path, errors: &mut Errors) {
    errors.dns_label(&path.field("name"), &device.name);
    let count = device.attributes.as_ref().map_or(0, BTreeMap::len) + device.capacity.as_ref().map_or(0, BTreeMap::len);
    if count > ATTRIBUTES_AND_CAPACITIES_MAX {
        let message = std::format!(
            "the total number of attributes and capacities must not exceed {ATTRIBUTES_AND_CAPACITIES_MAX}"
        );
        errors.invalid(path, count, message);
    }
    for (name, attribute) in device.attributes.iter().flatten() {
        let path = path.field("attributes");
        validate_attribute_name(name, &path.key(name), errors);
        validate_attribute(attribute, &path.key(name), errors);
    }
    for (name, capacity) in device.capacity.iter().flatten() {
        let path = path.field("capacity");
        validate_attribute_name(name, &path.key(name), errors);
        if capacity.request_policy.is_some() && device.allow_multiple_allocations != Some(true) {
            let message = "allowMultipleAllocations must be true";
            errors.forbidden(&path.key(name).field("requestPolicy"), message);
        }
    }
    let (taints, at) = (items(&device.taints), path.field("taints"));
    if fits(taints, TAINTS_MAX, &at, errors) {
        for (index, taint) in taints.iter().enumerate() {
            validate_taint(taint, &at.index(index), errors);
        }
    }
    let (consumptions, at) = (items(&device.consumes_counters), path.field("consumesCounters"));
    if fits(consumptions, CONSUMPTIONS_MAX, &at, errors) {
        for (index, consumption) in consumptions.iter().enumerate() {
            let path = at.index(index);
            validate_counters("counterSet", &consumption.counter_set, &consumption.counters, &path, errors);
        }
        validate_unique(consumptions, |it| it.counter_set.clone(), &at, errors);
    }
    validate_device_place(device, chooses_node, path, errors);
    validate_binding(&device.binding_conditions, &device.binding_failure_conditions, path, errors);
}

fn validate_device_place(device: &Device, chooses_node: bool, path: &Path, errors: &mut Errors) {
    const ONE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    let places = [
        ("`nodeName`", device.node_name.as_ref().is_some_and(|name| !name.is_empty())),
        ("`nodeSelector`", device.node_selector.is_some()),
        ("`allNodes`", device.all_nodes == Some(true)),
    ];
    if !chooses_node {
        if device.node_name.is_some() || device.node_selector.is_some() || device.all_nodes.is_some() {
            let message = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
            errors.invalid(path, Json(&()), message);
        }
        return;
    }
    match device.node_name.as_deref() {
        None => {}
        Some("") => errors.invalid(&path.field("nodeName"), "", "must not be empty"),
        Some(name) => errors.dns_subdomain(&path.field("nodeName"), name),
    }
    if let Some(selector) = &device.node_selector {
        pod_spec::scheduling::validate_node_selector(selector, &path.field("nodeSelector"), errors);
    }
    if device.all_nodes == Some(false) {
        errors.invalid(&path.field("allNodes"), false, "must be either unset or set to true");
    }
    let given: Vec<&str> = places.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    match given.len() {
        0 => errors.required(path, ONE),
        1 => {}
        _ => errors.invalid(path, std::format!("{{{}}}", given.join(", ")), ONE),
    }
}

fn validate_attribute(attribute: &DeviceAttribute, path: &Path, errors: &mut Errors) {
    if text(&attribute.string).len() > ATTRIBUTE_BYTES_MAX {
        errors.too_long(&path.field("string"), ATTRIBUTE_BYTES_MAX);
    }
    if let Some(version) = &attribute.version {
        if !is_semantic_version(version) {
            let message = "must be a string compatible with semver.org spec 2.0.0";
            errors.invalid(&path.field("version"), version, message);
        }
        if version.len() > ATTRIBUTE_BYTES_MAX {
            errors.too_long(&path.field("version"), ATTRIBUTE_BYTES_MAX);
        }
    }
    let values = [
        attribute.bool.is_some(),
        attribute.bools.is_some(),
        attribute.int.is_some(),
        attribute.ints.is_some(),
        attribute.string.is_some(),
        attribute.strings.is_some(),
        attribute.version.is_some(),
        attribute.versions.is_some(),
    ];
    match values.into_iter().filter(|given| *given).count() {
        0 => errors.invalid(path, "", "exactly one value must be specified"),
        1 => {}
        _ => errors.invalid(path, Json(attribute), "exactly one value must be specified"),
    }
}

/// `1.2.3-alpha.1+build.5`. Source: semver.org, version 2.
fn is_semantic_version(version: &str) -> bool {
    let (rest, build) = version.split_once('+').map_or((version, None), |(rest, build)| (rest, Some(build)));
    let (numbers, release) = rest.split_once('-').map_or((rest, None), |(rest, release)| (rest, Some(release)));
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    let is_digits = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let has_zeros = |word: &str| word.len() > 1 && word.starts_with('0');
    let numbers: Vec<&str> = numbers.split('.').collect();
    numbers.len() == 3
        && numbers.iter().all(|number| is_digits(number) && !has_zeros(number))
        && release.is_none_or(|it| it.split('.').all(|word| is_word(word) && !(is_digits(word) && has_zeros(word))))
        && build.is_none_or(|it| it.split('.').all(is_word))
}

fn validate_taint(taint: &DeviceTaint, path: &Path, errors: &mut Errors) {
    errors.qualified_name(&path.field("key"), &taint.key);
    errors.invalid_each(&path.field("value"), text(&taint.value), format::label_value(text(&taint.value)));
    errors.given_one_of(&path.field("effect"), &taint.effect, EFFECTS);
}

fn validate_counter_set(set: &CounterSet, path: &Path, errors: &mut Errors) {
    validate_counters("name", &set.name, &set.counters, path, errors);
}

fn validate_counters(field: &str, name: &str, counters: &BTreeMap<String, Counter>, path: &Path, errors: &mut Errors) {
    if errors.given(&path.field(field), name) {
        errors.dns_label(&path.field(field), name);
    }
    let path = path.field("counters");
    if counters.is_empty() {
        errors.required(&path, "");
    } else if counters.len() > COUNTERS_MAX {
        errors.too_many(&path, counters.len(), COUNTERS_MAX);
    } else {
        counters.keys().for_each(|name| errors.dns_label(&path.key(name), name));
    }
}
