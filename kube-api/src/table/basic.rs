//! The small kinds of the core group.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ComponentStatus, ConfigMap, Namespace, ResourceQuota, Secret, ServiceAccount};
use serde_json::Value;

use super::age::age;
use super::column::{AGE, NAME, field, string, text};
use super::text::{plain, quantity};
use super::{Printer, printer, row};

pub(super) static NAMESPACE: Printer =
    printer!(Namespace, namespace, [NAME, string("Status", text("The status of the namespace")), AGE]);

fn namespace(namespace: &Namespace, now: Timestamp) -> Vec<Value> {
    let phase = namespace.status.as_ref().map_or("", |status| plain(&status.phase));
    row![plain(&namespace.metadata.name), phase, age(&namespace.metadata, now)]
}

pub(super) static CONFIG_MAP: Printer =
    printer!(ConfigMap, config_map, [NAME, string("Data", field("core.v1.ConfigMap", "data")), AGE]);

fn config_map(map: &ConfigMap, now: Timestamp) -> Vec<Value> {
    let entries = map.data.iter().flatten().count() + map.binary_data.iter().flatten().count();
    row![plain(&map.metadata.name), entries, age(&map.metadata, now)]
}

pub(super) static SECRET: Printer = printer!(
    Secret,
    secret,
    [NAME, string("Type", field("core.v1.Secret", "type")), string("Data", field("core.v1.Secret", "data")), AGE]
);

fn secret(secret: &Secret, now: Timestamp) -> Vec<Value> {
    let entries = secret.data.iter().flatten().count();
    row![plain(&secret.metadata.name), plain(&secret.type_), entries, age(&secret.metadata, now)]
}

pub(super) static SERVICE_ACCOUNT: Printer = printer!(
    ServiceAccount,
    service_account,
    [NAME, string("Secrets", field("core.v1.ServiceAccount", "secrets")), AGE]
);

fn service_account(account: &ServiceAccount, now: Timestamp) -> Vec<Value> {
    let secrets = account.secrets.iter().flatten().count();
    row![plain(&account.metadata.name), secrets, age(&account.metadata, now)]
}

pub(super) static RESOURCE_QUOTA: Printer = printer!(
    ResourceQuota,
    resource_quota,
    [
        NAME,
        string("Request", text("Request represents a minimum amount of cpu/memory that a container may consume.")),
        string(
            "Limit",
            text(
                "Limits control the maximum amount of cpu/memory that a container may use independent of contention on \
                 the node."
            )
        ),
        AGE,
    ]
);

fn resource_quota(quota: &ResourceQuota, now: Timestamp) -> Vec<Value> {
    let status = quota.status.as_ref();
    let used = status.and_then(|status| status.used.as_ref());
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (resource, hard) in status.and_then(|status| status.hard.as_ref()).into_iter().flatten() {
        let used = quantity(used.and_then(|used| used.get(resource)));
        let column = if resource.starts_with("limits.") { &mut limits } else { &mut requests };
        column.push(format!("{resource}: {used}/{}", quantity(Some(hard))));
    }
    row![plain(&quota.metadata.name), requests.join(", "), limits.join(", "), age(&quota.metadata, now)]
}

pub(super) static COMPONENT_STATUS: Printer = printer!(
    ComponentStatus,
    component_status,
    [
        NAME,
        string("Status", text("Status of the component conditions")),
        string("Message", text("Message of the component conditions")),
        string("Error", text("Error of the component conditions")),
    ]
);

fn component_status(component: &ComponentStatus, _now: Timestamp) -> Vec<Value> {
    let health = component.conditions.iter().flatten().find(|condition| condition.type_ == "Healthy");
    let status = match health.map(|health| health.status.as_str()) {
        Some("True") => "Healthy",
        Some(_) => "Unhealthy",
        None => "Unknown",
    };
    row![
        plain(&component.metadata.name),
        status,
        health.map_or("", |health| plain(&health.message)),
        health.map_or("", |health| plain(&health.error)),
    ]
}
