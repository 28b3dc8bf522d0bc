//! Who may approve and sign certificates, and attest bundles of them: a right on the signer, not only on the object.

use async_trait::async_trait;
use coracle_core::rbac::{MASTERS, Place};
use coracle_core::{AnyResource, Status};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::certificates::v1beta1::ClusterTrustBundle;

use super::{Admission, Attributes, Operation};
use crate::certificates::CertificateRequest;
use crate::certificates::signers::CLIENT;

const GROUP: &str = "certificates.k8s.io";

/// Source: `plugin/pkg/admission/certificates/approval`.
#[derive(Clone, Copy, Debug)]
pub struct CertificateApproval;

/// Source: `plugin/pkg/admission/certificates/signing`.
#[derive(Clone, Copy, Debug)]
pub struct CertificateSigning;

/// Source: `plugin/pkg/admission/certificates/subjectrestriction`.
#[derive(Clone, Copy, Debug)]
pub struct CertificateSubjectRestriction;

/// Source: `plugin/pkg/admission/certificates/ctbattest`.
#[derive(Clone, Copy, Debug)]
pub struct TrustBundleAttest;

#[async_trait]
impl Admission for CertificateApproval {
    fn name(&self) -> &'static str {
        "CertificateApproval"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        updates(attributes, "approval")
    }

    async fn review(&self, attributes: &Attributes<'_>, _object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let Some(old) = attributes.old.and_then(|old| old.get::<CertificateSigningRequest>()) else { return Ok(()) };
        need(attributes, "approve", "approve requests with", &old.spec.signer_name).await
    }
}

#[async_trait]
impl Admission for CertificateSigning {
    fn name(&self) -> &'static str {
        "CertificateSigning"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        updates(attributes, "status")
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let new = object.and_then(|object| object.as_any().downcast_ref::<CertificateSigningRequest>());
        let old = attributes.old.and_then(|old| old.get::<CertificateSigningRequest>());
        let (Some(new), Some(old)) = (new, old) else { return Ok(()) };
        let says = |request: &CertificateSigningRequest| {
            request.status.clone().map(|status| (status.certificate, status.conditions)).unwrap_or_default()
        };
        if says(new) == says(old) {
            return Ok(());
        }
        need(attributes, "sign", "sign requests with", &old.spec.signer_name).await
    }
}

#[async_trait]
impl Admission for CertificateSubjectRestriction {
    fn name(&self) -> &'static str {
        "CertificateSubjectRestriction"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.creates(GROUP, "certificatesigningrequests")
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let request = object.and_then(|object| object.as_any().downcast_ref::<CertificateSigningRequest>());
        let Some(request) = request.filter(|request| request.spec.signer_name == CLIENT) else { return Ok(()) };
        let parsed = CertificateRequest::from_pem(&request.spec.request.0)
            .map_err(|error| attributes.forbid(format!("failed to parse CSR: {error}")))?;
        if parsed.organizations.iter().any(|group| group == MASTERS) {
            let why = format!("use of {CLIENT} signer with {MASTERS} group is not allowed");
            return Err(attributes.forbid(why));
        }
        Ok(())
    }
}

#[async_trait]
impl Admission for TrustBundleAttest {
    fn name(&self) -> &'static str {
        "ClusterTrustBundleAttest"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.operation != Operation::Delete && attributes.is_of(GROUP, "clustertrustbundles")
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let new = object.and_then(|object| object.as_any().downcast_ref::<ClusterTrustBundle>());
        let old = attributes.old.and_then(|old| old.get::<ClusterTrustBundle>());
        let Some(new) = new.filter(|new| old.is_none_or(|old| old.spec != new.spec)) else { return Ok(()) };
        let Some(signer) = new.spec.signer_name.as_deref().filter(|signer| !signer.is_empty()) else { return Ok(()) };
        need(attributes, "attest", "attest for", signer).await
    }
}

fn updates(attributes: &Attributes<'_>, subresource: &str) -> bool {
    attributes.operation == Operation::Update
        && attributes.target.subresource == subresource
        && attributes.kind.plural == "certificatesigningrequests"
}

/// Whether whoever asks may do this for a signer, or for all signers of its domain.
async fn need(attributes: &Attributes<'_>, verb: &str, what: &str, signer: &str) -> Result<(), Status> {
    let domain = signer.split('/').next().unwrap_or("");
    for name in [signer, &format!("{domain}/*")] {
        if attributes.may(verb, Place { group: GROUP, resource: "signers", name, ..Place::default() }).await {
            return Ok(());
        }
    }
    Err(attributes.forbid(format!("user not permitted to {what} signerName {signer:?}")))
}
