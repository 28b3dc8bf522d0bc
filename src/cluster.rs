//! A running cluster as a value.

use std::sync::Arc;
use std::time::Duration;

use coracle_api::{Client, Pipeline};
use coracle_core::{Entropy, Gateway, World};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::builder::Builder;
use crate::driver::{Driver, Metrics};

/// A running cluster. Dropping it stops it; [`Cluster::shutdown`] stops it and says how that went.
///
/// It holds no global state: a process may have as many as it likes.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) driver: Driver,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// How a shutdown went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// Whether every part ended by itself.
    pub complete: bool,
    /// Parts that were still running when patience ran out.
    pub left: usize,
}

/// How long [`Cluster::shutdown`] waits for the parts to end: a pod's usual grace and a little more.
const PATIENCE: Duration = Duration::from_secs(40);

impl Cluster {
    /// Begins the sentence that ends in `.start().await`.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The cluster's API as its owner.
    #[must_use]
    pub fn api(&self) -> Client {
        Client::new(self.gateway())
    }

    /// The one way in.
    #[must_use]
    pub fn gateway(&self) -> Arc<dyn Gateway> {
        self.pipeline.clone()
    }

    /// Everything in the cluster at the newest revision.
    #[must_use]
    pub fn world(&self) -> Arc<World> {
        self.pipeline.feed().world()
    }

    /// What each controller has done so far.
    #[must_use]
    pub fn controllers(&self) -> Vec<Metrics> {
        self.driver.metrics()
    }

    /// The cluster's ids and randomness.
    #[must_use]
    pub fn entropy(&self) -> &Arc<Entropy> {
        self.pipeline.entropy()
    }

    /// Stops every part and waits until it has ended.
    pub async fn shutdown(self) -> Shutdown {
        self.stop.cancel();
        self.tasks.close();
        let complete = tokio::time::timeout(PATIENCE, self.tasks.wait()).await.is_ok();
        Shutdown { complete, left: self.tasks.len() }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
