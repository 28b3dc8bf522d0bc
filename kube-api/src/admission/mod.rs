//! What is decided about a change before it is made: one chain of small plugins.
//!
//! Every change passes the chain, whoever asks: first each plugin may complete the object ([`Admission::admit`]), then, once
//! the object is valid, each may still refuse it ([`Admission::review`]). What a plugin wants told or kept beside its verdict
//! goes into the [`Notes`] of the change.

mod default_tolerations;
mod namespace_lifecycle;
mod notes;
mod priority;
mod service_account;

use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::{AnyResource, Entropy, Feed, Kind, Object, Status, Target, User, World};

pub use default_tolerations::DefaultTolerations;
pub use namespace_lifecycle::NamespaceLifecycle;
pub(crate) use notes::Hold;
pub use notes::Notes;
pub use priority::Priority;
pub use service_account::ServiceAccounts;

/// What kind of change is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// There is no such object yet.
    Create,
    /// There is one, and it changes.
    Update,
    /// There is one, and it shall go.
    Delete,
}

/// What a plugin may know of a change.
#[derive(Debug)]
pub struct Attributes<'a> {
    /// What kind of change.
    pub operation: Operation,
    /// The kind of the object.
    pub kind: &'a Kind,
    /// What the request is about.
    pub target: &'a Target,
    /// The version that is there now, for updates and deletes.
    pub old: Option<&'a Object>,
    /// Who asks.
    pub user: &'a User,
    /// Everything at the revision for which the change is prepared.
    pub world: &'a World,
    /// The running world, for plugins that must see what others did meanwhile.
    pub feed: &'a Feed,
    /// Whether everything but the commit is wanted.
    pub dry_run: bool,
    /// What to tell and to keep.
    pub notes: &'a Notes,
}

impl Attributes<'_> {
    /// 403 about the object, in the words of admission.
    #[must_use]
    pub fn forbid(&self, why: impl std::fmt::Display) -> Status {
        Status::forbidden(&self.kind.group_resource(), &self.target.name, why)
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
    vec![Box::new(NamespaceLifecycle), Box::new(service_accounts), Box::new(Priority), Box::new(DefaultTolerations)]
}
