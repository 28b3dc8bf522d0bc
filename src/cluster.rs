//! A running cluster as a value.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coracle_api::http::ApiServer;
use coracle_api::{Client, Pipeline};
use coracle_core::{Entropy, Gateway, Reason, Status, User, World};
use coracle_node::agent::Router;
use coracle_node::runtime::LogOptions;
use coracle_node::streams::PodStreams as _;
use coracle_sched::{Explanation, Framework, PodInfo, explain};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;

use crate::builder::Builder;
use crate::driver::{Driver, Metrics};
use crate::machines::Machines;
use crate::parts::Parts;
use crate::scheduling::SharedSnapshot;
use crate::serving::Served;

/// A running cluster. Dropping it stops it; [`Cluster::shutdown`] stops it and says how that went.
///
/// It holds no global state: a process may have as many as it likes.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) driver: Driver,
    pub(crate) router: Arc<Router>,
    pub(crate) machines: Machines,
    pub(crate) snapshot: SharedSnapshot,
    pub(crate) server: Arc<ApiServer>,
    pub(crate) served: Option<Served>,
    pub(crate) parts: Parts,
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// Tasks that were still running when patience ran out. Zero if all went well.
    pub left: usize,
}

/// How long [`Cluster::shutdown`] waits for each group of parts to end: a pod's usual grace and a little more.
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

    /// Starts and stops nodes while the cluster runs.
    #[must_use]
    pub fn machines(&self) -> &Machines {
        &self.machines
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

    /// The cluster's API as another user sees it, in process.
    #[must_use]
    pub fn kube_client_as(&self, user: User) -> kube::Client {
        kube::Client::new(self.server.in_process(Arc::new(user)), "default")
    }

    /// The ecosystem's client, in process and without a socket, as the cluster's owner.
    #[must_use]
    pub fn kube_client(&self) -> kube::Client {
        kube::Client::new(self.server.in_process(User::owner()), "default")
    }

    /// Where the cluster listens, if it serves.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.served.as_ref().map(|served| served.serving.address())
    }

    /// Writes a kubeconfig of the cluster's owner, readable by the user only (mode 0600).
    ///
    /// # Errors
    /// If the cluster does not serve, or the file cannot be written.
    pub fn write_kubeconfig(&self, path: &Path) -> io::Result<()> {
        match &self.served {
            Some(served) => served.write_kubeconfig(path),
            None => {
                Err(io::Error::new(io::ErrorKind::NotConnected, "the cluster does not serve: call `.serve(address)`"))
            }
        }
    }

    /// What a pod's only container has printed so far.
    ///
    /// # Errors
    /// 404 if there is no such pod, 400 if it has not started, or has several containers.
    pub async fn logs(&self, namespace: &str, pod: &str) -> Result<String, Status> {
        let pod = self.api().namespaced::<Pod>(namespace).get(pod)?;
        let mut lines = self.router.logs(&pod, "", false, LogOptions::default()).await?;
        let mut text = Vec::new();
        while let Some(line) = lines.next().await {
            text.extend_from_slice(&line.map_err(Status::internal)?.text);
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Why a pod is placed where it is, or nowhere, as the default scheduler sees it: each node's objection, or its score by
    /// plugin.
    ///
    /// # Errors
    /// 404 if there is no such pod.
    pub fn explain(&self, namespace: &str, pod: &str) -> Result<Explanation, Status> {
        let pod = self.api().namespaced::<Pod>(namespace).get(pod)?;
        let mut snapshot =
            self.snapshot.lock().map_err(|_| Status::new(Reason::InternalError, "the scheduler failed"))?;
        let pod: Arc<PodInfo> = snapshot.read(pod);
        Ok(explain(&Framework::new(0), &pod, &snapshot))
    }

    /// Stops every part in order: first what decides, then the nodes with their pods, last the rest.
    pub async fn shutdown(mut self) -> Shutdown {
        if let Some(served) = self.served.take() {
            served.serving.shutdown().await;
        }
        Shutdown { left: self.parts.end(PATIENCE).await }
    }
}
