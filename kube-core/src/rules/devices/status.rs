//! The status of a ResourceClaim: what it was given, and who uses it.

use super::claim::names_of;
use super::{
    CONFIGURATIONS_MAX, RequestNames, fits, validate_binding, validate_configuration, validate_pool, validate_raw,
    validate_unique,
};
use crate::field::{Errors, Path};
use crate::rules::check::items;
use crate::rules::{conditions, pod_spec};
use k8s_openapi::api::resource::v1::{
    AllocatedDeviceStatus, AllocationResult, DeviceAllocationResult, ResourceClaim, ResourceClaimStatus,
};

const USERS_MAX: usize = 256;
const RESULTS_MAX: usize = 32;
const CONDITIONS_MAX: usize = 8;
const DATA_BYTES_MAX: usize = 10 * 1024;
const STATUS: Path<'static> = Path::new("status");

pub(super) fn validate(claim: &ResourceClaim, old: &ResourceClaim, errors: &mut Errors) {
    let none = ResourceClaimStatus::default();
    let (new, old) = (claim.status.as_ref().unwrap_or(&none), old.status.as_ref().unwrap_or(&none));
    validate_users(new, errors);
    validate_devices(new, errors);
    if !items(&new.reserved_for).is_empty() {
        let path = STATUS.field("reservedFor");
        let is_added = || items(&new.reserved_for).iter().any(|user| !items(&old.reserved_for).contains(user));
        if new.allocation.is_none() {
            errors.forbidden(&path, "may not be specified when `allocated` is not set");
        } else if claim.metadata.deletion_timestamp.is_some() && is_added() {
            let message = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            errors.forbidden(&path, message);
        }
    }
    let path = STATUS.field("allocation");
    match (&new.allocation, &old.allocation) {
        (Some(_), Some(_)) => errors.immutable(&path, &new.allocation, &old.allocation),
        (Some(allocation), None) => validate_allocation(allocation, &names_of(&claim.spec), &path, errors),
        (None, _) => {}
    }
}

fn validate_users(status: &ResourceClaimStatus, errors: &mut Errors) {
    let (users, path) = (items(&status.reserved_for), STATUS.field("reservedFor"));
    if !fits(users, USERS_MAX, &path, errors) {
        return;
    }
    for (index, user) in users.iter().enumerate() {
        let path = path.index(index);
        errors.given(&path.field("resource"), &user.resource);
        errors.given(&path.field("name"), &user.name);
        errors.given(&path.field("uid"), &user.uid);
    }
    validate_unique(users, |user| user.uid.clone(), &path, errors);
}

/// Driver, pool, name and share of a device, as upstream prints them.
fn id(driver: &str, pool: &str, device: &str, share: Option<&str>) -> String {
    let share = share.map(|share| format!("/{share}")).unwrap_or_default();
    format!("{driver}/{pool}/{device}{share}")
}

fn validate_devices(status: &ResourceClaimStatus, errors: &mut Errors) {
    let allocated = status.allocation.iter().flat_map(|allocation| &allocation.devices);
    let allocated: Vec<String> = allocated
        .flat_map(|devices| items(&devices.results))
        .map(|it| id(&it.driver, &it.pool, &it.device, it.share_id.as_deref()))
        .collect();
    let id_of = |it: &AllocatedDeviceStatus| id(&it.driver, &it.pool, &it.device, it.share_id.as_deref());
    let (devices, path) = (items(&status.devices), STATUS.field("devices"));
    for (index, device) in devices.iter().enumerate() {
        let path = path.index(index);
        errors.driver_name(&path.field("driver"), &device.driver);
        validate_pool(&device.pool, &path.field("pool"), errors);
        errors.dns_label(&path.field("device"), &device.device);
        if !allocated.contains(&id_of(device)) {
            errors.invalid(&path, id_of(device), "must be an allocated device in the claim");
        }
        let given = items(&device.conditions);
        if fits(given, CONDITIONS_MAX, &path.field("conditions"), errors) {
            conditions::validate(given, &path.field("conditions"), errors);
        }
        if let Some(data) = &device.data {
            validate_raw(data, DATA_BYTES_MAX, &path.field("data"), errors);
        }
    }
    validate_unique(devices, id_of, &path, errors);
}

fn validate_allocation(allocation: &AllocationResult, names: &RequestNames, path: &Path, errors: &mut Errors) {
    let none = DeviceAllocationResult::default();
    let devices = allocation.devices.as_ref().unwrap_or(&none);
    let (results, at) = (items(&devices.results), path.field("devices").field("results").to_string());
    let at = Path::new(&at);
    if fits(results, RESULTS_MAX, &at, errors) {
        for (index, result) in results.iter().enumerate() {
            let path = at.index(index);
            names.validate(&result.request, &path.field("request"), errors);
            errors.driver_name(&path.field("driver"), &result.driver);
            validate_pool(&result.pool, &path.field("pool"), errors);
            errors.dns_label(&path.field("device"), &result.device);
            validate_binding(&result.binding_conditions, &result.binding_failure_conditions, &path, errors);
        }
    }
    let (configurations, at) = (items(&devices.config), path.field("devices").field("config").to_string());
    let at = Path::new(&at);
    // Those of the class and those of the claim.
    if fits(configurations, 2 * CONFIGURATIONS_MAX, &at, errors) {
        for (index, configuration) in configurations.iter().enumerate() {
            let path = at.index(index);
            errors.given_one_of(&path.field("source"), &configuration.source, &["FromClaim", "FromClass"]);
            names.validate_all(&configuration.requests, &path.field("requests"), errors);
            validate_configuration(configuration.opaque.as_ref(), &path, errors);
        }
    }
    if let Some(selector) = &allocation.node_selector {
        pod_spec::scheduling::validate_node_selector(selector, &path.field("nodeSelector"), errors);
    }
}
