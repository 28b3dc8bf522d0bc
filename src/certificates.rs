//! The controllers of CertificateSigningRequests: those of nodes are approved, approved ones are signed, old ones are deleted.
//! Source: `pkg/controller/certificates` `approver`, `signer`, `cleaner`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coracle_api::certificates::signers::{KUBELET_CLIENT, judge};
use coracle_api::certificates::{CertificateRequest, expires_at};
use coracle_api::http::pki::{Authority, CERTIFICATE_LIFE};
use coracle_controllers::controller::Error;
use coracle_controllers::{Context, Controller, ErasedController, Next, Watches, erase};
use coracle_core::{Action, Body, ObjectKey, Request, Target};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestStatus,
};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Shorter lives are not given. Source: `signer.duration`.
const LIFE_MIN: Duration = Duration::from_secs(600);
/// For how long answered requests are kept. Source: `cleaner.approvedExpiration`, `deniedExpiration`.
const KEPT_ANSWERED: SignedDuration = SignedDuration::from_hours(1);
/// For how long requests without an answer are kept. Source: `cleaner.pendingExpiration`.
const KEPT_PENDING: SignedDuration = SignedDuration::from_hours(24);

/// All of them, for a cluster with an authority.
pub(crate) fn controllers(authority: Arc<Authority>) -> [Box<dyn ErasedController>; 3] {
    [erase(Approver), erase(Signer(authority)), erase(Cleaner)]
}

/// Approves client certificates of nodes for those who may ask for them.
struct Approver;

#[async_trait]
impl Controller for Approver {
    type Kind = CertificateSigningRequest;

    fn name(&self) -> &'static str {
        "csrapproving"
    }

    /// Who may not have a request approved may be given the right later.
    fn watches(&self, on: &mut Watches<CertificateSigningRequest>) {
        on.map(|_: &ClusterRoleBinding, world| {
            let requests = world.list::<CertificateSigningRequest>();
            requests.map(|request| ObjectKey::of(&request.metadata)).collect()
        });
    }

    async fn reconcile(&self, request: Arc<CertificateSigningRequest>, context: &Context) -> Result<Next, Error> {
        let decided = ["Approved", "Denied"].iter().any(|kind| condition(&request, kind).is_some());
        if decided || request.spec.signer_name != KUBELET_CLIENT {
            return Ok(Next::on_change());
        }
        let Ok(asked) = CertificateRequest::from_pem(&request.spec.request.0) else { return Ok(Next::on_change()) };
        let usages = request.spec.usages.as_deref().unwrap_or_default();
        if judge(KUBELET_CLIENT, &asked, usages).is_none_or(|verdict| verdict.is_err()) {
            return Ok(Next::on_change());
        }
        let own = request.spec.username.as_deref() == Some(&*asked.common_name);
        let ways = [(own, "selfnodeclient", "self kubelet client"), (true, "nodeclient", "kubelet client")];
        for (_, right, what) in ways.into_iter().filter(|(open, ..)| *open) {
            if may(&request, right, context).await? {
                let message = format!("Auto approving {what} certificate after SubjectAccessReview.");
                let approved = with_condition(&request, "Approved", "AutoApproved", message, context.now());
                let target = Target::of(&approved).below("approval");
                context.execute(Request::new(target, Action::Update(Body::Value(Box::new(approved))))).await?;
                return Ok(Next::on_change());
            }
        }
        Ok(Next::on_change())
    }
}

/// Whether whoever made a request may have it approved without anyone looking.
async fn may(request: &CertificateSigningRequest, right: &str, context: &Context) -> Result<bool, Error> {
    let place = ResourceAttributes {
        group: Some("certificates.k8s.io".to_owned()),
        resource: Some("certificatesigningrequests".to_owned()),
        subresource: Some(right.to_owned()),
        verb: Some("create".to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: request.spec.username.clone(),
        uid: request.spec.uid.clone(),
        groups: request.spec.groups.clone(),
        extra: request.spec.extra.clone(),
        resource_attributes: Some(place),
        ..SubjectAccessReviewSpec::default()
    };
    let review = context.create(SubjectAccessReview { spec, ..SubjectAccessReview::default() }).await?;
    Ok(review.status.as_ref().is_some_and(|status| status.allowed))
}

/// Signs what is approved, if Kubernetes' own signers may.
struct Signer(Arc<Authority>);

#[async_trait]
impl Controller for Signer {
    type Kind = CertificateSigningRequest;

    fn name(&self) -> &'static str {
        "csrsigning"
    }

    async fn reconcile(&self, request: Arc<CertificateSigningRequest>, context: &Context) -> Result<Next, Error> {
        let has = |kind: &str| condition(&request, kind).is_some();
        if !has("Approved") || has("Denied") || has("Failed") || is_issued(&request) {
            return Ok(Next::on_change());
        }
        let usages = request.spec.usages.as_deref().unwrap_or_default();
        let asked = CertificateRequest::from_pem(&request.spec.request.0).map_err(Error::other)?;
        let answered = match judge(&request.spec.signer_name, &asked, usages) {
            None => return Ok(Next::on_change()),
            Some(Err(why)) => with_condition(&request, "Failed", "SignerValidationFailure", why, context.now()),
            Some(Ok(())) => {
                let life = life(request.spec.expiration_seconds);
                let pem = self.0.answer(&asked, usages, life, context.now()).map_err(Error::other)?;
                let mut answered = CertificateSigningRequest::clone(&request);
                answered.status.get_or_insert_default().certificate = Some(ByteString(pem.into_bytes()));
                answered
            }
        };
        context.update_status(answered).await?;
        Ok(Next::on_change())
    }
}

/// How long a certificate is to live, by `spec.expirationSeconds`.
fn life(seconds: Option<i32>) -> Duration {
    let asked = seconds.map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    asked.map_or(CERTIFICATE_LIFE, |asked| asked.clamp(LIFE_MIN, CERTIFICATE_LIFE))
}

/// Deletes old requests.
struct Cleaner;

#[async_trait]
impl Controller for Cleaner {
    type Kind = CertificateSigningRequest;

    fn name(&self) -> &'static str {
        "csrcleaner"
    }

    async fn reconcile(&self, request: Arc<CertificateSigningRequest>, context: &Context) -> Result<Next, Error> {
        let Some(end) = end_of(&request) else { return Ok(Next::on_change()) };
        match Duration::try_from(end.duration_since(context.now())) {
            Ok(left) if !left.is_zero() => return Ok(Next::after(left)),
            _ => context.delete(&*request).await?,
        }
        Ok(Next::on_change())
    }
}

/// When a request is to be deleted; `None` for one whose conditions do not tell when they were given.
fn end_of(request: &CertificateSigningRequest) -> Option<Timestamp> {
    let born = request.metadata.creation_timestamp.as_ref();
    let after = |time: Option<&Time>, kept: SignedDuration| time.and_then(|time| time.0.checked_add(kept).ok());
    let since = |kind: &str| condition(request, kind).and_then(|condition| condition.last_update_time.as_ref());
    let approved = since("Approved");
    let certificate = request.status.as_ref().and_then(|status| status.certificate.as_ref());
    let ends = [
        after(since("Denied"), KEPT_ANSWERED),
        after(since("Failed"), KEPT_ANSWERED),
        after(approved, if is_issued(request) { KEPT_ANSWERED } else { KEPT_PENDING }),
        after(born.filter(|_| conditions(request).is_empty()), KEPT_PENDING),
        certificate.filter(|_| condition(request, "Approved").is_some()).and_then(|pem| expires_at(&pem.0)),
    ];
    ends.into_iter().flatten().min()
}

fn conditions(request: &CertificateSigningRequest) -> &[CertificateSigningRequestCondition] {
    request.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default()
}

fn condition<'a>(request: &'a CertificateSigningRequest, kind: &str) -> Option<&'a CertificateSigningRequestCondition> {
    conditions(request).iter().find(|condition| condition.type_ == kind)
}

fn is_issued(request: &CertificateSigningRequest) -> bool {
    let certificate = request.status.as_ref().and_then(|status| status.certificate.as_ref());
    certificate.is_some_and(|certificate| !certificate.0.is_empty())
}

fn with_condition(
    request: &CertificateSigningRequest,
    kind: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> CertificateSigningRequest {
    let mut request = request.clone();
    let status: &mut CertificateSigningRequestStatus = request.status.get_or_insert_default();
    status.conditions.get_or_insert_default().push(CertificateSigningRequestCondition {
        type_: kind.to_owned(),
        status: "True".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    });
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    const BORN: &str = "2026-01-01T00:00:00Z";

    fn check(conditions: &[(&str, &str)], issued: bool, expected: &str) {
        let condition = |(kind, time): &(&str, &str)| serde_json::json!({"type": kind, "status": "True", "lastUpdateTime": format!("2026-01-01T{time}Z")});
        let conditions: Vec<_> = conditions.iter().map(condition).collect();
        let request: CertificateSigningRequest = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "r", "creationTimestamp": BORN},
            "spec": {"request": "", "signerName": "example.com/mine"},
            "status": {"conditions": conditions, "certificate": issued.then_some("ZA==")},
        }))
        .unwrap();
        assert_eq!(end_of(&request).unwrap().to_string(), format!("2026-01-{expected}Z"));
    }

    #[test]
    fn requests_are_kept_an_hour_after_their_answer_and_a_day_without() {
        check(&[], false, "02T00:00:00");
        check(&[("Denied", "05:00:00")], false, "01T06:00:00");
        check(&[("Approved", "05:00:00")], true, "01T06:00:00");
        check(&[("Approved", "05:00:00")], false, "02T05:00:00");
        check(&[("Approved", "05:00:00"), ("Failed", "05:30:00")], false, "01T06:30:00");
    }

    #[test]
    fn lives_have_bounds() {
        assert_eq!(life(None), CERTIFICATE_LIFE);
        assert_eq!(life(Some(i32::MAX)), CERTIFICATE_LIFE);
        assert_eq!(life(Some(-1)), LIFE_MIN);
        assert_eq!(life(Some(3600)), Duration::from_secs(3600));
    }
}
