//! CertificateSigningRequest. Of the request only its wrapping is checked here; that it is a good request with a good signature
//! is checked when it is created. Of a certificate, that it is wrapped as one. The times of conditions are the writer's.

use super::check::{is_empty_bytes, is_seen, items};
use super::{Ruled, metadata, same};
use crate::field::{Errors, Json, Path, quote};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};

/// Sorted, as the message lists them.
const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
const SPEC: Path<'static> = Path::new("spec");
const CONDITIONS: Path<'static> = Path::new("status.conditions");
const CERTIFICATE: Path<'static> = Path::new("status.certificate");
/// Conditions that say yes by being there, and that stay.
const VERDICTS: &[&str] = &["Approved", "Denied", "Failed"];

impl Ruled for CertificateSigningRequest {
    const NAME: metadata::NameRule = metadata::path_segment;

    fn validate(&self, errors: &mut Errors) {
        let spec = &self.spec;
        if pem_kind(&spec.request).as_deref() != Some("CERTIFICATE REQUEST") {
            let message = "PEM block type must be CERTIFICATE REQUEST";
            errors.invalid(&SPEC.field("request"), Json(&spec.request), message);
        }
        let (usages, path) = (items(&spec.usages), SPEC.field("usages"));
        if usages.is_empty() {
            errors.required(&path, "");
        }
        for (index, usage) in usages.iter().enumerate() {
            errors.one_of(&path.index(index), usage, USAGES);
        }
        for (index, usage) in usages.iter().enumerate().filter(|(index, _)| is_seen(usages, *index)) {
            errors.duplicate(&path.index(index), usage);
        }
        if spec.signer_name == "kubernetes.io/legacy-unknown" {
            let message = "the legacy signerName is not allowed via this API version";
            errors.invalid(&SPEC.field("signerName"), &spec.signer_name, message);
        } else {
            errors.signer_name(&SPEC.field("signerName"), &spec.signer_name);
        }
        if let Some(seconds) = spec.expiration_seconds.filter(|seconds| *seconds < 600) {
            let message = "may not specify a duration less than 600 seconds (10 minutes)";
            errors.invalid(&SPEC.field("expirationSeconds"), seconds, message);
        }
        validate_conditions(conditions_of(self), errors);
        if !is_empty_bytes(certificate_of(self)) && certificate_of(self).as_ref().and_then(pem_kind).is_none() {
            let message = "must contain at least one CERTIFICATE PEM block";
            errors.invalid(&CERTIFICATE, "<certificate data>", message);
        }
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        validate_conditions_update(self, old, errors);
        validate_verdict_update(self, old, errors);
        if certificate_of(self) != certificate_of(old) {
            errors.forbidden(&CERTIFICATE, "updates may not set certificate content");
        }
    }

    fn validate_status_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        validate_conditions_update(self, old, errors);
        validate_verdict_update(self, old, errors);
        if !is_empty_bytes(certificate_of(old)) && certificate_of(self) != certificate_of(old) {
            errors.forbidden(&CERTIFICATE, "updates may not modify existing certificate content");
        }
    }

    fn validate_part_update(&self, _part: &str, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        validate_conditions_update(self, old, errors);
    }

    fn prepare_create(&mut self) {
        self.status = None;
    }

    /// What was asked stands.
    fn prepare_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
        self.status = old.status.clone();
    }

    fn prepare_status_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
    }
}

fn conditions_of(request: &CertificateSigningRequest) -> &[CertificateSigningRequestCondition] {
    request.status.as_ref().map_or(&[], |status| items(&status.conditions))
}

fn certificate_of(request: &CertificateSigningRequest) -> &Option<ByteString> {
    request.status.as_ref().map_or(&None, |status| &status.certificate)
}

/// What the first PEM block in a text says it is.
fn pem_kind(data: &ByteString) -> Option<String> {
    let data = std::str::from_utf8(&data.0).ok()?;
    let (_, rest) = data.split_once("-----BEGIN ")?;
    let (kind, rest) = rest.split_once("-----")?;
    rest.contains(&format!("-----END {kind}-----")).then(|| kind.to_owned())
}

fn validate_conditions(conditions: &[CertificateSigningRequestCondition], errors: &mut Errors) {
    for (index, condition) in conditions.iter().enumerate() {
        let path = CONDITIONS.index(index);
        errors.given(&path.field("type"), &condition.type_);
        let states: &[&str] =
            if VERDICTS.contains(&condition.type_.as_str()) { &["True"] } else { &["False", "True", "Unknown"] };
        errors.given_one_of(&path.field("status"), &condition.status, states);
        let earlier = || conditions.iter().take(index).map(|earlier| earlier.type_.as_str());
        let opposite = match condition.type_.as_str() {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if !opposite.is_empty() && earlier().any(|earlier| earlier == opposite) {
            let message = "Approved and Denied conditions are mutually exclusive";
            errors.invalid(&CONDITIONS, &condition.type_, message);
        }
        if earlier().any(|earlier| earlier == condition.type_) {
            errors.duplicate(&path.field("type"), &condition.type_);
        }
    }
}

fn of_type<'a>(request: &'a CertificateSigningRequest, kind: &str) -> Vec<&'a CertificateSigningRequestCondition> {
    conditions_of(request).iter().filter(|condition| condition.type_ == kind).collect()
}

/// A verdict, once given, stays.
fn validate_conditions_update(new: &CertificateSigningRequest, old: &CertificateSigningRequest, errors: &mut Errors) {
    for kind in VERDICTS.iter().filter(|kind| of_type(new, kind).len() < of_type(old, kind).len()) {
        errors.forbidden(&CONDITIONS, format!("updates may not remove a condition of type {}", quote(kind)));
    }
}

/// Only the subresource `approval` approves and denies.
fn validate_verdict_update(new: &CertificateSigningRequest, old: &CertificateSigningRequest, errors: &mut Errors) {
    for kind in ["Approved", "Denied"] {
        let (new, old) = (of_type(new, kind), of_type(old, kind));
        if new.len() > old.len() {
            errors.forbidden(&CONDITIONS, format!("updates may not add a condition of type {}", quote(kind)));
        } else if new.len() == old.len() && !same(&new, &old) {
            // Upstream appends a dump of the difference.
            errors.forbidden(&CONDITIONS, format!("updates may not modify a condition of type {}", quote(kind)));
        }
    }
}
