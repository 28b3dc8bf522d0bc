//! A running node: takes the pods bound to it, brings them to life, and says how they are.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | [`Node`]: what a node is, and how it is started |
//! | `mailbox.rs`, `router.rs` | how a node hears: one task reads the feed for all nodes of a process |
//! | `heart.rs` | one timer that renews the leases and statuses of all nodes of a process |
//! | `machine.rs`, `registration.rs` | what the node object says |
//! | `crew.rs` | the loop: hears, steps, acts, writes |
//! | `worker.rs`, `adopt.rs` | one pod in its node's hands, from the start or found again |
//! | `pages.rs` | what a node shows of itself over HTTP |
//! | `jobs.rs`, `launch.rs` | what takes time: one future per action |

mod adopt;
mod crew;
mod heart;
mod jobs;
mod launch;
mod machine;
mod mailbox;
mod pages;
mod registration;
mod router;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use coracle_core::{Gateway, Status};
use k8s_openapi::api::core::v1::Taint;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use tokio_util::sync::CancellationToken;

pub use crew::Farewell;
pub use machine::Machine;
pub use pages::Page;
pub use router::Router;

/// For the streams: how a node is asked for a container or a sandbox.
pub(crate) mod question {
    pub(crate) use super::mailbox::{Question, Wanted};
    pub(crate) use super::router::Address;
}

use crate::pod::status::Place;
use crate::runtime::Runtime;
use crate::volumes::TokenSource;

/// Where a node keeps the files of its pods.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Files {
    /// Below this directory.
    At(PathBuf),
    /// Nowhere: the runtime runs nothing that could read them.
    None,
}

/// What becomes of a node's pods when it stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnShutdown {
    /// Their containers are ended with the grace that each pod gives.
    #[default]
    Stop,
    /// They are left to themselves, to be found again by [`Runtime::list`].
    Leave,
}

/// A node to be run: a name, a runtime, and what else there is to say.
#[derive(Clone)]
pub struct Node {
    name: Arc<str>,
    runtime: Arc<dyn Runtime>,
    labels: BTreeMap<String, String>,
    taints: Vec<Taint>,
    capacity: BTreeMap<String, Quantity>,
    addresses: Vec<String>,
    files: Files,
    tokens: Option<Arc<dyn TokenSource>>,
    on_shutdown: OnShutdown,
    machine: Machine,
}

impl Node {
    /// A node of this name whose containers this runtime runs.
    ///
    /// By default it has the CPUs and memory of this machine, room for 110 pods, the address 127.0.0.1, and keeps the files
    /// of its pods below the system's directory for temporary files.
    pub fn new(name: impl Into<Arc<str>>, runtime: impl Runtime) -> Self {
        Self::shared(name, Arc::new(runtime))
    }

    /// [`Node::new`] with a runtime that others hold too.
    pub fn shared(name: impl Into<Arc<str>>, runtime: Arc<dyn Runtime>) -> Self {
        let name = name.into();
        let machine = Machine::detect();
        Self {
            files: Files::At(std::env::temp_dir().join("coracle").join(&*name)),
            capacity: machine.capacity(),
            name,
            runtime,
            machine,
            labels: BTreeMap::new(),
            taints: Vec::new(),
            addresses: vec!["127.0.0.1".to_owned()],
            tokens: None,
            on_shutdown: OnShutdown::default(),
        }
    }

    /// Adds a label to the node object.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Adds a taint to the node object when it is first registered.
    #[must_use]
    pub fn taint(mut self, taint: Taint) -> Self {
        self.taints.push(taint);
        self
    }

    /// Sets how much of a resource the node has, such as `cpu`, `memory`, `pods`, or one of your own.
    #[must_use]
    pub fn capacity(mut self, resource: impl Into<String>, quantity: impl Into<String>) -> Self {
        self.capacity.insert(resource.into(), Quantity(quantity.into()));
        self
    }

    /// Sets the node's addresses, the main one first.
    #[must_use]
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = String>) -> Self {
        self.addresses = addresses.into_iter().collect();
        self
    }

    /// Sets the directory below which the node keeps volumes and messages of its pods.
    #[must_use]
    pub fn root(mut self, directory: impl Into<PathBuf>) -> Self {
        self.files = Files::At(directory.into());
        self
    }

    /// For runtimes that run nothing real: no volume is made, no termination message read, no variable of a service set.
    /// [`crate::runtime::Sandbox::directory`] is then empty.
    #[must_use]
    pub fn without_files(mut self) -> Self {
        self.files = Files::None;
        self
    }

    /// Where tokens of service accounts come from. Default: nowhere, and pods whose volumes want one wait.
    #[must_use]
    pub fn tokens(mut self, source: Arc<dyn TokenSource>) -> Self {
        self.tokens = Some(source);
        self
    }

    /// The same, unless a source was named before: how a cluster gives its nodes its own.
    #[must_use]
    pub fn tokens_by_default(mut self, source: Arc<dyn TokenSource>) -> Self {
        self.tokens.get_or_insert(source);
        self
    }

    /// Sets what becomes of the pods when the node stops.
    #[must_use]
    pub fn on_shutdown(mut self, what: OnShutdown) -> Self {
        self.on_shutdown = what;
        self
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Registers the node and runs it until `shutdown`; then says how it went.
    ///
    /// The router must run too ([`Router::run`]): it is how the node hears of its pods and keeps its lease.
    ///
    /// # Errors
    /// If the node cannot be registered, or its runtime cannot say what it runs.
    pub async fn run(
        self,
        gateway: Arc<dyn Gateway>,
        router: Arc<Router>,
        shutdown: CancellationToken,
    ) -> Result<Farewell, Status> {
        crew::run(self, gateway, router, shutdown).await
    }

    fn place(&self) -> Place {
        Place { host_addresses: self.addresses.clone(), runtime: self.runtime.name().to_owned() }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Node({})", self.name)
    }
}

#[cfg(test)]
mod tests;
