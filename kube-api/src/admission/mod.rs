//! What is decided about a change before it is made: one chain of small plugins.
//!
//! Every change passes the chain, whoever asks: first each plugin may complete the object ([`Admission::admit`]), then, once
//! the object is valid, each may still refuse it ([`Admission::review`]). A plugin may wait for others, as webhooks do.

mod default_tolerations;
mod namespace_lifecycle;
mod notes;
mod priority;
mod service_account;
mod webhook;

use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::{AnyResource, Entropy, Kind, Object, Options, Status, Target, User, World};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;

pub use default_tolerations::DefaultTolerations;
pub use namespace_lifecycle::NamespaceLifecycle;
pub use notes::Notes;
pub use priority::Priority;
pub use service_account::ServiceAccounts;
pub use webhook::{MutatingWebhooks, ValidatingWebhooks};

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
    /// The version that is there now, for updates and deletes.
    pub old: Option<&'a Object>,
    /// Who asks.
    pub user: &'a User,
    /// Everything at the newest revision.
    pub world: &'a World,
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
        write!(formatter, "{:?} {:?} by {}", self.operation, self.target, self.user.name)
    }
}

/// One plugin of the chain. Both methods are optional.
#[async_trait]
pub trait Admission: Send + Sync + 'static {
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
        Box::new(service_accounts),
        Box::new(Priority),
        Box::new(DefaultTolerations),
        Box::new(MutatingWebhooks),
        Box::new(ValidatingWebhooks),
    ]
}
