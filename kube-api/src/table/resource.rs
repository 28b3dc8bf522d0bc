//! Devices: classes, claims, slices, taints.

use jiff::Timestamp;
use k8s_openapi::api::resource::v1::{DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice};
use k8s_openapi::api::resource::v1beta2::DeviceTaintRule;
use serde_json::Value;

use super::age::{age, since_time};
use super::column::{AGE, NAME, field, string, text};
use super::text::plain;
use super::{Printer, printer, row};

pub(super) static DEVICE_CLASS: Printer = printer!(DeviceClass, device_class, [NAME, AGE]);

fn device_class(class: &DeviceClass, now: Timestamp) -> Vec<Value> {
    row![plain(&class.metadata.name), age(&class.metadata, now)]
}

pub(super) static RESOURCE_CLAIM: Printer = printer!(
    ResourceClaim,
    resource_claim,
    [NAME, string("State", text("A summary of the current state (allocated, pending, reserved, etc.).")), AGE]
);

fn resource_claim(claim: &ResourceClaim, now: Timestamp) -> Vec<Value> {
    row![plain(&claim.metadata.name), claim_state(claim), age(&claim.metadata, now)]
}

fn claim_state(claim: &ResourceClaim) -> String {
    let is_deleted = claim.metadata.deletion_timestamp.is_some();
    let allocated = claim.status.as_ref().filter(|status| status.allocation.is_some());
    let is_reserved = allocated.is_some_and(|status| status.reserved_for.iter().flatten().next().is_some());
    let states = [
        ("deleted", is_deleted),
        ("pending", allocated.is_none() && !is_deleted),
        ("allocated", allocated.is_some()),
        ("reserved", is_reserved),
    ];
    states.iter().filter(|(_, holds)| *holds).map(|(state, _)| *state).collect::<Vec<_>>().join(",")
}

pub(super) static RESOURCE_CLAIM_TEMPLATE: Printer =
    printer!(ResourceClaimTemplate, resource_claim_template, [NAME, AGE]);

fn resource_claim_template(template: &ResourceClaimTemplate, now: Timestamp) -> Vec<Value> {
    row![plain(&template.metadata.name), age(&template.metadata, now)]
}

pub(super) static RESOURCE_SLICE: Printer = printer!(
    ResourceSlice,
    resource_slice,
    [
        NAME,
        string("Node", field("resource.v1.ResourceSliceSpec", "nodeName")),
        string("Driver", field("resource.v1.ResourceSliceSpec", "driver")),
        string("Pool", field("resource.v1.ResourcePool", "name")),
        AGE,
    ]
);

fn resource_slice(slice: &ResourceSlice, now: Timestamp) -> Vec<Value> {
    row![
        plain(&slice.metadata.name),
        plain(&slice.spec.node_name),
        slice.spec.driver.as_str(),
        slice.spec.pool.name.as_str(),
        age(&slice.metadata, now),
    ]
}

pub(super) static DEVICE_TAINT_RULE: Printer = printer!(
    DeviceTaintRule,
    device_taint_rule,
    [
        NAME,
        string("Key", field("resource.v1beta2.DeviceTaint", "key")),
        string("Value", field("resource.v1beta2.DeviceTaint", "value")),
        string("Effect", field("resource.v1beta2.DeviceTaint", "effect")),
        string("TimeAdded", field("resource.v1beta2.DeviceTaint", "timeAdded")),
        AGE,
    ]
);

fn device_taint_rule(rule: &DeviceTaintRule, now: Timestamp) -> Vec<Value> {
    let taint = &rule.spec.taint;
    let added = taint.time_added.as_ref().map(|added| since_time(Some(added), now));
    row![
        plain(&rule.metadata.name),
        taint.key.as_str(),
        plain(&taint.value),
        taint.effect.as_str(),
        added.unwrap_or_default(),
        age(&rule.metadata, now),
    ]
}
