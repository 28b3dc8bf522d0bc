//! What is decided about a change before it is made: one chain of small plugins.
//!
//! Every change passes the chain, whoever asks: first each plugin may complete the object ([`Admission::admit`]), then, once
//! the object is valid, each may still refuse it ([`Admission::review`]). A plugin may wait for others, as webhooks do. What it
//! wants told or kept beside its verdict goes into the [`Notes`] of the change.

mod always_pull_images;
mod certificates;
mod claim_resize;
mod default_classes;
mod default_tolerations;
mod event_rate_limit;
mod expression;
mod extended_resource_toleration;
mod limit_ranger;
mod matching;
mod namespace_lifecycle;
mod node_restriction;
mod notes;
mod pod_security;
mod policy;
mod priority;
mod reinvocation;
mod resource_quota;
mod runtime_class;
mod service_account;
mod storage_protection;
mod taint_nodes;
mod versions;
mod webhook;

use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::rbac::{Access, Place};
use coracle_core::{AnyResource, Entropy, Feed, Kind, Object, Options, Status, Target, User, World};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;

pub use always_pull_images::AlwaysPullImages;
pub use certificates::{CertificateApproval, CertificateSigning, CertificateSubjectRestriction, TrustBundleAttest};
pub use claim_resize::ClaimResize;
pub use default_classes::{DefaultIngressClass, DefaultStorageClass};
pub use default_tolerations::DefaultTolerations;
pub use event_rate_limit::{EventLimit, EventRateLimit, EventScope};
pub use extended_resource_toleration::ExtendedResourceToleration;
pub use limit_ranger::LimitRanger;
pub use namespace_lifecycle::NamespaceLifecycle;
pub use node_restriction::NodeRestriction;
pub(crate) use notes::Hold;
pub use notes::Notes;
pub use pod_security::{Exemptions, PodSecurity};
pub use policy::{MutatingPolicies, ValidatingPolicies};
pub use priority::Priority;
pub use resource_quota::ResourceQuotas;
pub use runtime_class::RuntimeClasses;
pub use service_account::ServiceAccounts;
pub use storage_protection::StorageProtection;
pub use taint_nodes::TaintNodesByCondition;
pub use webhook::{MutatingWebhooks, ValidatingWebhooks};

use crate::auth::{Authorizer, is_master};
use crate::outbound::Outbound;

/// What kind of change is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// There is no such object yet.
    Create,
    /// There is one, and it changes.
    Update,
    /// There is one, and it shall go.
    Delete,
    /// Somebody wants a stream into something, such as a command in a pod. Only reviewed.
    Connect,
}

/// What a plugin may know of a change.
///
/// For most subresources the object is the whole; for those with a body of their own (`scale`, `binding`, `eviction`, `token`,
/// and what a `Connect` says) it is that body.
pub struct Attributes<'a> {
    /// What kind of change.
    pub operation: Operation,
    /// The kind that the path names, in the version asked.
    pub kind: &'a Kind,
    /// What the request is about.
    pub target: &'a Target,
    /// The name in the body, for creates whose path has none.
    pub given_name: String,
    /// The version that is there now, for updates and deletes.
    pub old: Option<&'a Object>,
    /// Who asks.
    pub user: &'a User,
    /// Everything at the revision for which the change is prepared.
    pub world: &'a World,
    /// The running world, for plugins that must see what others did meanwhile.
    pub feed: &'a Feed,
    /// Tells who may do what, for plugins that ask for rights of their own.
    pub authorizer: &'a dyn Authorizer,
    /// How the request is carried out: dry run, field manager.
    pub options: &'a Options,
    /// How it is deleted, for deletes.
    pub deletion: Option<&'a DeleteOptions>,
    /// Where to tell more than the decision.
    pub notes: &'a Notes,
    /// The way to others.
    pub outbound: &'a dyn Outbound,
    /// The cluster's ids.
    pub entropy: &'a Entropy,
}

impl std::fmt::Debug for Attributes<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { operation, target, .. } = self;
        formatter
            .debug_struct("Attributes")
            .field("operation", operation)
            .field("target", target)
            .finish_non_exhaustive()
    }
}

impl Attributes<'_> {
    /// 403 about the object, in the words of admission.
    #[must_use]
    pub fn forbid(&self, why: impl std::fmt::Display) -> Status {
        Status::forbidden(&self.kind.group_resource(), self.name(), why)
    }

    /// The name of the object.
    #[must_use]
    pub fn name(&self) -> &str {
        if self.target.name.is_empty() { &self.given_name } else { &self.target.name }
    }

    /// Whether whoever asks may do something.
    pub async fn may(&self, verb: &str, place: Place<'_>) -> bool {
        is_master(self.user) || self.authorizer.authorize(self.user, &Access::resource(verb, place)).await.is_allowed()
    }

    /// Whether the change creates an object of this collection, rather than something below one.
    #[must_use]
    pub fn creates(&self, group: &str, resource: &str) -> bool {
        self.operation == Operation::Create && self.is_of(group, resource)
    }

    /// Whether the change is about an object of this collection itself, not about something below it.
    #[must_use]
    pub fn is_of(&self, group: &str, resource: &str) -> bool {
        self.target.subresource.is_empty() && self.kind.plural == resource && self.kind.group == group
    }
}

/// One plugin of the chain. Every method is optional.
#[async_trait]
pub trait Admission: Send + Sync + 'static {
    /// The name by which a cluster can leave it out; for built-in plugins upstream's. Default: none.
    fn name(&self) -> &'static str {
        ""
    }

    /// Whether a change is any of its business. Asked before everything else, so that changes which concern few plugins cost
    /// little. Default: every change is.
    fn concerns(&self, _attributes: &Attributes<'_>) -> bool {
        true
    }

    /// Completes or changes the object, or refuses it. Not called for deletes.
    ///
    /// # Errors
    /// The refusal.
    async fn admit(&self, _attributes: &Attributes<'_>, _object: &mut dyn AnyResource) -> Result<(), Status> {
        Ok(())
    }

    /// Refuses a change that is valid otherwise. `object` is `None` for deletes.
    ///
    /// # Errors
    /// The refusal.
    async fn review(&self, _attributes: &Attributes<'_>, _object: Option<&dyn AnyResource>) -> Result<(), Status> {
        Ok(())
    }
}

/// The plugins that every cluster has, in upstream's order.
#[must_use]
pub fn builtin() -> Vec<Box<dyn Admission>> {
    chain(ServiceAccounts::default())
}

/// The plugins of a cluster that serves: pods get tokens of their ServiceAccounts, in volumes with names drawn from here.
#[must_use]
pub fn serving(entropy: Arc<Entropy>) -> Vec<Box<dyn Admission>> {
    chain(ServiceAccounts::mounting(entropy))
}

fn chain(service_accounts: ServiceAccounts) -> Vec<Box<dyn Admission>> {
    vec![
        Box::new(NamespaceLifecycle),
        Box::new(LimitRanger),
        Box::new(service_accounts),
        Box::new(NodeRestriction),
        Box::new(PodSecurity::default()),
        Box::new(Priority),
        Box::new(DefaultTolerations),
        Box::new(DefaultStorageClass),
        Box::new(StorageProtection),
        Box::new(ClaimResize),
        Box::new(RuntimeClasses),
        Box::new(CertificateApproval),
        Box::new(CertificateSigning),
        Box::new(TrustBundleAttest),
        Box::new(CertificateSubjectRestriction),
        Box::new(DefaultIngressClass),
        Box::new(MutatingPolicies::default()),
        Box::new(MutatingWebhooks::default()),
        Box::new(ValidatingPolicies::default()),
        Box::new(ValidatingWebhooks::default()),
        Box::new(ResourceQuotas::default()),
    ]
}
