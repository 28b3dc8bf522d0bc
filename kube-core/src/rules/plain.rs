//! Kinds with metadata rules only: ServiceAccount, the policies of admissionregistration,
//! certificates, flowcontrol, resource and storage (but StorageClass), IPAddress and ServiceCIDR. Where they have a status or
//! a generation, both are cared for.
//!
//! For ServiceAccount that is all upstream does too. A CSIDriver gets its defaults.

use super::{Ruled, fill, metadata, spec_and_status, spec_only, status_apart};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use k8s_openapi::api::networking::v1::{IPAddress, ServiceCIDR};
use k8s_openapi::api::resource::v1::{DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice};
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, VolumeAttachment, VolumeAttributesClass};

impl Ruled for ServiceAccount {}

impl Ruled for ValidatingAdmissionPolicy {
    spec_and_status!();
}

impl Ruled for ValidatingAdmissionPolicyBinding {
    spec_only!();
}

impl Ruled for CertificateSigningRequest {
    status_apart!();
}

impl Ruled for FlowSchema {
    spec_and_status!();
}

impl Ruled for PriorityLevelConfiguration {
    spec_and_status!();
}

impl Ruled for IPAddress {
    const NAME: metadata::NameRule = metadata::path_segment;
    spec_only!();
}

impl Ruled for ServiceCIDR {
    status_apart!();
}

impl Ruled for CSIDriver {
    spec_only!();

    fn fill_defaults(&mut self) {
        let spec = &mut self.spec;
        fill::value(&mut spec.attach_required, true);
        fill::value(&mut spec.pod_info_on_mount, false);
        fill::value(&mut spec.storage_capacity, false);
        fill::value(&mut spec.fs_group_policy, "ReadWriteOnceWithFSType".to_owned());
        fill::value(&mut spec.volume_lifecycle_modes, vec!["Persistent".to_owned()]);
        fill::value(&mut spec.requires_republish, false);
        fill::value(&mut spec.se_linux_mount, false);
    }
}

impl Ruled for CSINode {}

impl Ruled for CSIStorageCapacity {}

impl Ruled for VolumeAttachment {
    status_apart!();
}

impl Ruled for VolumeAttributesClass {}

impl Ruled for MutatingAdmissionPolicy {
    spec_only!();
}

impl Ruled for MutatingAdmissionPolicyBinding {
    spec_only!();
}

impl Ruled for ResourceClaim {
    status_apart!();
}

impl Ruled for ResourceClaimTemplate {}

impl Ruled for ResourceSlice {
    spec_only!();
}

impl Ruled for DeviceClass {
    spec_only!();
}
