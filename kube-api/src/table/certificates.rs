//! Certificates: asked for, issued, trusted.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestStatus};
use k8s_openapi::api::certificates::v1beta1::{ClusterTrustBundle, PodCertificateRequest};
use serde_json::Value;

use super::age::{age, human_duration};
use super::column::{AGE, NAME, field, string, text};
use super::text::{NONE, or, plain};
use super::{Printer, printer, row};

pub(super) static CERTIFICATE_SIGNING_REQUEST: Printer = printer!(
    CertificateSigningRequest,
    certificate_signing_request,
    [
        NAME,
        AGE,
        string("SignerName", field("certificates.v1.CertificateSigningRequestSpec", "signerName")),
        string("Requestor", field("certificates.v1.CertificateSigningRequestSpec", "request")),
        string("RequestedDuration", field("certificates.v1.CertificateSigningRequestSpec", "expirationSeconds")),
        string("Condition", field("certificates.v1.CertificateSigningRequestStatus", "conditions")),
    ]
);

fn certificate_signing_request(request: &CertificateSigningRequest, now: Timestamp) -> Vec<Value> {
    let spec = &request.spec;
    let duration = spec.expiration_seconds.map(|seconds| human_duration(SignedDuration::from_secs(seconds.into())));
    row![
        plain(&request.metadata.name),
        age(&request.metadata, now),
        or(&spec.signer_name, NONE),
        plain(&spec.username),
        duration.unwrap_or_else(|| NONE.to_owned()),
        request.status.as_ref().map_or_else(|| "Pending".to_owned(), signing_state),
    ]
}

fn signing_state(status: &CertificateSigningRequestStatus) -> String {
    let has = |name: &str| status.conditions.iter().flatten().any(|condition| condition.type_ == name);
    let decision = match () {
        () if has("Denied") => "Denied",
        () if has("Approved") => "Approved",
        () => "Pending",
    };
    let failed = if has("Failed") { ",Failed" } else { "" };
    let issued = if status.certificate.as_ref().is_some_and(|bytes| !bytes.0.is_empty()) { ",Issued" } else { "" };
    format!("{decision}{failed}{issued}")
}

pub(super) static CLUSTER_TRUST_BUNDLE: Printer = printer!(
    ClusterTrustBundle,
    cluster_trust_bundle,
    [NAME, string("SignerName", field("certificates.v1beta1.ClusterTrustBundleSpec", "signerName"))]
);

fn cluster_trust_bundle(bundle: &ClusterTrustBundle, _now: Timestamp) -> Vec<Value> {
    row![plain(&bundle.metadata.name), or(plain(&bundle.spec.signer_name), NONE)]
}

pub(super) static POD_CERTIFICATE_REQUEST: Printer = printer!(
    PodCertificateRequest,
    pod_certificate_request,
    [
        NAME,
        string("PodName", field("certificates.v1beta1.PodCertificateRequestSpec", "podName")),
        string("ServiceAccountName", field("certificates.v1beta1.PodCertificateRequestSpec", "serviceAccountName")),
        string("NodeName", field("certificates.v1beta1.PodCertificateRequestSpec", "nodeName")),
        string("SignerName", field("certificates.v1beta1.PodCertificateRequestSpec", "signerName")),
        string("State", text("Is the request Pending, Issued, Denied, or Failed?")),
    ]
);

fn pod_certificate_request(request: &PodCertificateRequest, _now: Timestamp) -> Vec<Value> {
    let conditions = request.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut states = conditions.map(|condition| condition.type_.as_str());
    let state = states.rfind(|state| matches!(*state, "Issued" | "Denied" | "Failed"));
    row![
        plain(&request.metadata.name),
        request.spec.pod_name.as_str(),
        request.spec.service_account_name.as_str(),
        request.spec.node_name.as_str(),
        request.spec.signer_name.as_str(),
        state.unwrap_or("Pending"),
    ]
}
