//! Which kind is shown how. All versions of a kind are kept as one type, so the version does not matter here.

use coracle_core::schema::Schema;
use coracle_core::{Kind, Object};
use jiff::Timestamp;
use serde_json::Value;

use super::age::age;
use super::column::{CREATED_AT, CUSTOM_AGE, NAME};
use super::{
    Printer, admission, autoscaling, basic, batch, certificates, cluster, event, flowcontrol, network, node, pod, rbac,
    resource, row, storage, workloads,
};

/// The printer of a kind.
pub(super) fn printer(kind: &Kind) -> &'static Printer {
    match (&*kind.group, &*kind.kind) {
        ("", "ComponentStatus") => &basic::COMPONENT_STATUS,
        ("", "ConfigMap") => &basic::CONFIG_MAP,
        ("", "Endpoints") => &network::ENDPOINTS,
        ("" | "events.k8s.io", "Event") => &event::EVENT,
        ("", "Namespace") => &basic::NAMESPACE,
        ("", "Node") => &node::NODE,
        ("", "PersistentVolume") => &storage::PERSISTENT_VOLUME,
        ("", "PersistentVolumeClaim") => &storage::PERSISTENT_VOLUME_CLAIM,
        ("", "Pod") => &pod::POD,
        ("", "PodTemplate") => &workloads::POD_TEMPLATE,
        ("", "ReplicationController") => &workloads::REPLICATION_CONTROLLER,
        ("", "ResourceQuota") => &basic::RESOURCE_QUOTA,
        ("", "Secret") => &basic::SECRET,
        ("", "Service") => &network::SERVICE,
        ("", "ServiceAccount") => &basic::SERVICE_ACCOUNT,
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy") => &admission::MUTATING_POLICY,
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding") => &admission::MUTATING_BINDING,
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => &admission::MUTATING_WEBHOOKS,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => &admission::VALIDATING_POLICY,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => &admission::VALIDATING_BINDING,
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => &admission::VALIDATING_WEBHOOKS,
        ("apiregistration.k8s.io", "APIService") => &cluster::API_SERVICE,
        ("apps", "ControllerRevision") => &workloads::CONTROLLER_REVISION,
        ("apps", "DaemonSet") => &workloads::DAEMON_SET,
        ("apps", "Deployment") => &workloads::DEPLOYMENT,
        ("apps", "ReplicaSet") => &workloads::REPLICA_SET,
        ("apps", "StatefulSet") => &workloads::STATEFUL_SET,
        ("autoscaling", "HorizontalPodAutoscaler") => &autoscaling::HORIZONTAL_POD_AUTOSCALER,
        ("autoscaling", "Scale") => &autoscaling::SCALE,
        ("batch", "CronJob") => &batch::CRON_JOB,
        ("batch", "Job") => &batch::JOB,
        ("certificates.k8s.io", "CertificateSigningRequest") => &certificates::CERTIFICATE_SIGNING_REQUEST,
        ("certificates.k8s.io", "ClusterTrustBundle") => &certificates::CLUSTER_TRUST_BUNDLE,
        ("certificates.k8s.io", "PodCertificateRequest") => &certificates::POD_CERTIFICATE_REQUEST,
        ("coordination.k8s.io", "Lease") => &cluster::LEASE,
        ("coordination.k8s.io", "LeaseCandidate") => &cluster::LEASE_CANDIDATE,
        ("discovery.k8s.io", "EndpointSlice") => &network::ENDPOINT_SLICE,
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => &flowcontrol::FLOW_SCHEMA,
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => &flowcontrol::PRIORITY_LEVEL,
        ("internal.apiserver.k8s.io", "StorageVersion") => &cluster::STORAGE_VERSION,
        ("networking.k8s.io", "IPAddress") => &network::IP_ADDRESS,
        ("networking.k8s.io", "Ingress") => &network::INGRESS,
        ("networking.k8s.io", "IngressClass") => &network::INGRESS_CLASS,
        ("networking.k8s.io", "NetworkPolicy") => &network::NETWORK_POLICY,
        ("networking.k8s.io", "ServiceCIDR") => &network::SERVICE_CIDR,
        ("node.k8s.io", "RuntimeClass") => &cluster::RUNTIME_CLASS,
        ("policy", "PodDisruptionBudget") => &cluster::POD_DISRUPTION_BUDGET,
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => &rbac::CLUSTER_ROLE_BINDING,
        ("rbac.authorization.k8s.io", "RoleBinding") => &rbac::ROLE_BINDING,
        ("resource.k8s.io", "DeviceClass") => &resource::DEVICE_CLASS,
        ("resource.k8s.io", "DeviceTaintRule") => &resource::DEVICE_TAINT_RULE,
        ("resource.k8s.io", "ResourceClaim") => &resource::RESOURCE_CLAIM,
        ("resource.k8s.io", "ResourceClaimTemplate") => &resource::RESOURCE_CLAIM_TEMPLATE,
        ("resource.k8s.io", "ResourceSlice") => &resource::RESOURCE_SLICE,
        ("scheduling.k8s.io", "PriorityClass") => &cluster::PRIORITY_CLASS,
        ("storage.k8s.io", "CSIDriver") => &storage::CSI_DRIVER,
        ("storage.k8s.io", "CSINode") => &storage::CSI_NODE,
        ("storage.k8s.io", "CSIStorageCapacity") => &storage::CSI_STORAGE_CAPACITY,
        ("storage.k8s.io", "StorageClass") => &storage::STORAGE_CLASS,
        ("storage.k8s.io", "VolumeAttachment") => &storage::VOLUME_ATTACHMENT,
        ("storage.k8s.io", "VolumeAttributesClass") => &storage::VOLUME_ATTRIBUTES_CLASS,
        ("storagemigration.k8s.io", "StorageVersionMigration") => &cluster::STORAGE_VERSION_MIGRATION,
        _ if Schema::builtin(&kind.definition).is_some() => &BUILT_IN,
        _ => &CUSTOM,
    }
}

/// Built-in kinds without a printer: roles, limit ranges, definitions of custom resources. Source: `NewDefaultTableConvertor`.
static BUILT_IN: Printer = Printer {
    columns: &[NAME, CREATED_AT],
    cells: |object: &Object, _now: Timestamp| -> Option<Vec<Value>> {
        let created = object.metadata().creation_timestamp.as_ref().map(|time| time.0.strftime("%Y-%m-%dT%H:%M:%SZ"));
        Some(row![object.name(), created.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string())])
    },
};

/// Custom kinds whose definition asks for no columns.
static CUSTOM: Printer = Printer {
    columns: &[NAME, CUSTOM_AGE],
    cells: |object: &Object, now: Timestamp| -> Option<Vec<Value>> {
        Some(row![object.name(), age(object.metadata(), now)])
    },
};
