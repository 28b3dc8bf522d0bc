//! Admission policies: expressions that refuse or change objects, without a webhook.
//!
//! Policies, bindings and parameters are read from the world that the request was prepared against. A policy is compiled once
//! per version, when the first request is about it; a cluster without policies pays one look at a count.
//!
//! | module | what it holds |
//! |---|---|
//! | `select` | which policies, with which bindings and parameters, a request concerns |
//! | `params` | the objects that a binding names as parameters |
//! | `validating` | what a policy refuses, warns of and tells |
//! | `mutating` | what a policy changes |
//!
//! Source: apiserver `pkg/admission/plugin/policy`.

mod mutating;
mod params;
mod select;
mod validating;

use async_trait::async_trait;
use coracle_core::{AnyResource, GroupResource, Resource, Status};
use k8s_openapi::api::admissionregistration::v1::{MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBinding};

use super::expression::Cache;
use super::matching::is_exempt;
use super::{Admission, Attributes};

/// Policies that may refuse what is valid otherwise.
#[derive(Debug, Default)]
pub struct ValidatingPolicies(Cache<validating::Compiled>);

/// Policies that may change objects, by their names.
#[derive(Debug, Default)]
pub struct MutatingPolicies(Cache<mutating::Compiled>);

#[async_trait]
impl Admission for ValidatingPolicies {
    fn name(&self) -> &'static str {
        "ValidatingAdmissionPolicy"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        concerns::<ValidatingAdmissionPolicyBinding>(attributes)
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        validating::review(&self.0, attributes, object).await
    }
}

#[async_trait]
impl Admission for MutatingPolicies {
    fn name(&self) -> &'static str {
        "MutatingAdmissionPolicy"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        concerns::<MutatingAdmissionPolicyBinding>(attributes)
    }

    async fn admit(&self, attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        mutating::admit(&self.0, attributes, object).await
    }
}

/// Without a binding no policy has an effect. Reviews of rights and users are nobody's business. Source: kube-apiserver
/// `admission/exclusion/resources.go`.
fn concerns<B: Resource>(attributes: &Attributes<'_>) -> bool {
    let is_review = match &*attributes.kind.group {
        "authentication.k8s.io" => matches!(&*attributes.kind.plural, "tokenreviews" | "selfsubjectreviews"),
        "authorization.k8s.io" => true,
        _ => false,
    };
    attributes.world.count(&GroupResource::of::<B>()) > 0 && !is_review && !is_exempt(attributes)
}
