//! Nodes that come and go while the cluster runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coracle_core::Gateway;
use coracle_node::agent::{Node, Router};
use coracle_node::volumes::TokenSource;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::parts::Group;

/// Starts and stops nodes in this process. Cheap to clone.
#[derive(Clone)]
pub struct Machines {
    gateway: Arc<dyn Gateway>,
    router: Arc<Router>,
    tokens: Option<Arc<dyn TokenSource>>,
    tasks: TaskTracker,
    stop: CancellationToken,
    running: Arc<Mutex<BTreeMap<Arc<str>, CancellationToken>>>,
}

impl Machines {
    pub(crate) fn new(
        gateway: Arc<dyn Gateway>,
        router: Arc<Router>,
        tokens: Option<Arc<dyn TokenSource>>,
        group: &Group,
    ) -> Self {
        let (tasks, stop, running) = (group.tasks.clone(), group.stop.clone(), Arc::default());
        Self { gateway, router, tokens, tasks, stop, running }
    }

    /// Starts a node after a while. It runs until it is stopped, or the cluster is; one of the same name that runs already
    /// is stopped.
    pub fn start(&self, node: Node, after: Duration) {
        let node = match &self.tokens {
            Some(tokens) => node.tokens_by_default(tokens.clone()),
            None => node,
        };
        let (name, stop) = (node.name().clone(), self.stop.child_token());
        let former = self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), stop.clone());
        if let Some(former) = former {
            former.cancel();
        }
        let (gateway, router) = (self.gateway.clone(), self.router.clone());
        self.tasks.spawn(async move {
            if !after.is_zero() && stop.run_until_cancelled(tokio::time::sleep(after)).await.is_none() {
                return;
            }
            if let Err(status) = node.run(gateway, router, stop).await {
                tracing::error!(node = &*name, %status, "a node ended");
            }
        });
    }

    /// Stops a node; its pods end with the grace that they have. The node object stays. Says whether there was such a node.
    pub fn stop(&self, name: &str) -> bool {
        let stopped = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        stopped.is_some_and(|stop| {
            stop.cancel();
            true
        })
    }

    /// What time it is in the cluster.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.gateway.clock().now()
    }
}

impl fmt::Debug for Machines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Machines")
    }
}
