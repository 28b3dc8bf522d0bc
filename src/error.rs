//! Why a cluster could not be started.

use coracle_core::Status;

/// Why a cluster could not be started. Nothing of it is left running.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be read: mend it, or give another.
    #[error("the store cannot be read")]
    Store(#[from] coracle_store::Error),
    /// The cluster's first objects were refused.
    #[error("the cluster's first objects were refused: {0}")]
    Bootstrap(Status),
    /// The address cannot be listened on, or the kubeconfig cannot be written.
    #[error("cannot serve: {0}")]
    Serve(#[source] std::io::Error),
    /// A node cannot be started.
    #[error("node {node} cannot be started: {why}")]
    Node {
        /// Its name.
        node: String,
        /// What its runtime says.
        why: String,
    },
    /// Started outside a tokio runtime.
    #[error("a cluster needs a tokio runtime: call start() inside one")]
    NoRuntime,
}
