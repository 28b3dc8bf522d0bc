//! Kinds about the cluster itself: leases, budgets, priorities, runtimes, served APIs and stored versions.

use jiff::Timestamp;
use k8s_openapi::api::apiserverinternal::v1alpha1::{StorageVersion, StorageVersionStatus};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::coordination::v1beta1::LeaseCandidate;
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storagemigration::v1beta1::StorageVersionMigration;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceStatus};
use serde_json::Value;

use super::age::age;
use super::column::{AGE, Column, NAME, boolean, field, integer, string, text};
use super::text::{UNSET, first, given, int_or_string, or, plain};
use super::{Printer, printer, row};

pub(super) static LEASE: Printer =
    printer!(Lease, lease, [NAME, string("Holder", field("coordination.v1.LeaseSpec", "holderIdentity")), AGE]);

fn lease(lease: &Lease, now: Timestamp) -> Vec<Value> {
    let holder = lease.spec.as_ref().map_or("", |spec| plain(&spec.holder_identity));
    row![plain(&lease.metadata.name), holder, age(&lease.metadata, now)]
}

pub(super) static LEASE_CANDIDATE: Printer = printer!(
    LeaseCandidate,
    lease_candidate,
    [
        NAME,
        string("LeaseName", field("coordination.v1beta1.LeaseCandidateSpec", "leaseName")),
        // Upstream looks these two up in the wrong type, so they have no description.
        string("BinaryVersion", text("")),
        string("EmulationVersion", text("")),
        AGE,
    ]
);

fn lease_candidate(candidate: &LeaseCandidate, now: Timestamp) -> Vec<Value> {
    row![
        plain(&candidate.metadata.name),
        candidate.spec.lease_name.as_str(),
        candidate.spec.binary_version.as_str(),
        plain(&candidate.spec.emulation_version),
        age(&candidate.metadata, now),
    ]
}

pub(super) static POD_DISRUPTION_BUDGET: Printer = printer!(
    PodDisruptionBudget,
    pod_disruption_budget,
    [
        NAME,
        string("Min Available", text("The minimum number of pods that must be available.")),
        string("Max Unavailable", text("The maximum number of pods that may be unavailable.")),
        integer("Allowed Disruptions", text("Calculated number of pods that may be disrupted at this time.")),
        AGE,
    ]
);

fn pod_disruption_budget(budget: &PodDisruptionBudget, now: Timestamp) -> Vec<Value> {
    let spec = budget.spec.as_ref();
    let min_available = spec.and_then(|spec| spec.min_available.as_ref()).map(int_or_string);
    let max_unavailable = spec.and_then(|spec| spec.max_unavailable.as_ref()).map(int_or_string);
    row![
        plain(&budget.metadata.name),
        given(&min_available, "N/A"),
        given(&max_unavailable, "N/A"),
        budget.status.as_ref().and_then(|status| status.disruptions_allowed).unwrap_or(0),
        age(&budget.metadata, now),
    ]
}

pub(super) static PRIORITY_CLASS: Printer = printer!(
    PriorityClass,
    priority_class,
    [
        NAME,
        integer("Value", field("scheduling.v1.PriorityClass", "value")),
        boolean("Global-Default", field("scheduling.v1.PriorityClass", "globalDefault")),
        AGE,
        string("PreemptionPolicy", field("scheduling.v1.PriorityClass", "preemptionPolicy")),
    ]
);

fn priority_class(class: &PriorityClass, now: Timestamp) -> Vec<Value> {
    row![
        plain(&class.metadata.name),
        class.value.unwrap_or(0),
        class.global_default.unwrap_or(false),
        age(&class.metadata, now),
        plain(&class.preemption_policy),
    ]
}

pub(super) static RUNTIME_CLASS: Printer =
    printer!(RuntimeClass, runtime_class, [NAME, string("Handler", text("")), AGE]);

fn runtime_class(class: &RuntimeClass, now: Timestamp) -> Vec<Value> {
    row![plain(&class.metadata.name), class.handler.as_str(), age(&class.metadata, now)]
}

/// Source: kube-aggregator `registry/apiservice/etcd`.
pub(super) static API_SERVICE: Printer = printer!(
    APIService,
    api_service,
    [
        NAME,
        string("Service", text("The reference to the service that hosts this API endpoint.")),
        string("Available", text("Whether this service is available.")),
        AGE,
    ]
);

fn api_service(api: &APIService, now: Timestamp) -> Vec<Value> {
    let service = api.spec.as_ref().and_then(|spec| spec.service.as_ref());
    let service = service.map(|service| format!("{}/{}", plain(&service.namespace), plain(&service.name)));
    row![
        plain(&api.metadata.name),
        given(&service, "Local"),
        availability(api.status.as_ref()),
        age(&api.metadata, now),
    ]
}

fn availability(status: Option<&APIServiceStatus>) -> String {
    let mut conditions = status.into_iter().flat_map(|status| status.conditions.iter().flatten());
    match conditions.find(|condition| condition.type_ == "Available") {
        None => "Unknown".to_owned(),
        Some(condition) if condition.status == "True" || plain(&condition.reason).is_empty() => {
            condition.status.clone()
        }
        Some(condition) => format!("{} ({})", condition.status, plain(&condition.reason)),
    }
}

pub(super) static STORAGE_VERSION: Printer = printer!(
    StorageVersion,
    storage_version,
    [
        NAME,
        string(
            "CommonEncodingVersion",
            field("apiserverinternal.v1alpha1.StorageVersionStatus", "commonEncodingVersion")
        ),
        string("StorageVersions", field("apiserverinternal.v1alpha1.StorageVersionStatus", "storageVersions")),
        AGE,
    ]
);

fn storage_version(version: &StorageVersion, now: Timestamp) -> Vec<Value> {
    let no_status = StorageVersionStatus::default();
    let status = version.status.as_ref().unwrap_or(&no_status);
    let servers = status.storage_versions.iter().flatten();
    let servers: Vec<_> =
        servers.map(|server| format!("{}={}", server.api_server_id, server.encoding_version)).collect();
    row![
        plain(&version.metadata.name),
        given(&status.common_encoding_version, UNSET),
        or(&first(&servers, 3, ","), UNSET),
        age(&version.metadata, now),
    ]
}

pub(super) static STORAGE_VERSION_MIGRATION: Printer = printer!(
    StorageVersionMigration,
    storage_version_migration,
    [Column { format: "", ..NAME }, string("Resource", text("Fully qualified resource to migrate"))]
);

fn storage_version_migration(migration: &StorageVersionMigration, _now: Timestamp) -> Vec<Value> {
    let resource = migration.spec.as_ref().map(|spec| &spec.resource);
    let resource = resource
        .map(|it| if it.group.is_empty() { it.resource.clone() } else { format!("{}.{}", it.resource, it.group) });
    row![plain(&migration.metadata.name), resource.unwrap_or_default()]
}
