//! What happened: a record of who asked what over the network, by a policy, to a sink.
//!
//! | file | what it holds |
//! |---|---|
//! | `policy` | which requests are recorded, and how much of them |
//! | `record` | what is told of a request |
//! | `sink` | where records go: a trait, and a file |
//! | `trail` | one request's records, while it is handled |
//!
//! What happens in process is not recorded: the program that carries the cluster is its owner.
//! Source: apiserver `pkg/audit`, `endpoints/filters/audit.go`.

mod policy;
mod record;
mod sink;
mod trail;

use std::sync::Arc;

pub use policy::{GroupResources, Level, Policy, Rule, Stage};
pub use record::{Account, Outcome, Record, Reference};
pub use sink::{LogFile, Sink};
pub(crate) use trail::{Asked, Trail};

/// Records requests.
#[derive(Clone)]
pub struct Audit {
    policy: Arc<Policy>,
    sink: Arc<dyn Sink>,
}

impl Audit {
    /// Records what the policy says to the sink.
    #[must_use]
    pub fn new(policy: Policy, sink: Arc<dyn Sink>) -> Self {
        Self { policy: Arc::new(policy), sink }
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Audit").field("policy", &self.policy).finish_non_exhaustive()
    }
}
