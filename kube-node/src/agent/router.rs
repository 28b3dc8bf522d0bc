//! One reader of the feed for all nodes of a process: a thousand nodes must not each read every pod's every change.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coracle_core::{Event, Gateway, GroupResource, Lagged, ObjectRef, Subscription};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use tokio_util::sync::CancellationToken;

use super::heart::{Heart, LEASE_INTERVAL};
use super::mailbox::Mailbox;
use crate::runtime::Runtime;

/// Events that are read from the feed at once.
const BATCH_EVENTS_MAX: usize = 1024;

/// Brings every pod's changes to its node, and changes of ConfigMaps and Secrets to the nodes whose pods use them. Also beats
/// the heart of all nodes.
pub struct Router {
    pub(super) gateway: Arc<dyn Gateway>,
    interval: Duration,
    nodes: Mutex<HashMap<Arc<str>, Address>>,
    /// How many pods of which node use an object.
    interests: Mutex<HashMap<ObjectRef, BTreeMap<Arc<str>, usize>>>,
    pub(super) heart: Heart,
}

/// Where a node is reached.
#[derive(Clone)]
pub(crate) struct Address {
    pub(super) mailbox: Arc<Mailbox>,
    pub(crate) runtime: Arc<dyn Runtime>,
}

impl Router {
    /// A router over a cluster.
    #[must_use]
    pub fn new(gateway: Arc<dyn Gateway>) -> Self {
        let heart = Heart::default();
        Self { gateway, interval: LEASE_INTERVAL, nodes: Mutex::default(), interests: Mutex::default(), heart }
    }

    /// The same router with another interval between heartbeats. Default 10 s; leases last 40 s.
    #[must_use]
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Routes and beats until `shutdown`. One task per process.
    pub async fn run(&self, shutdown: CancellationToken) {
        let both = async { tokio::join!(self.route(), self.heart.run(&*self.gateway, self.interval)) };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            _ = both => {}
        }
    }

    async fn route(&self) {
        let follow = |resource: &GroupResource| self.gateway.feed().follow(Some(resource)).1;
        let (pods, maps, secrets) =
            (resource_of_pods(), GroupResource::of::<ConfigMap>(), GroupResource::of::<Secret>());
        let (mut on_pods, mut on_maps, mut on_secrets) = (follow(&pods), follow(&maps), follow(&secrets));
        self.resync();
        loop {
            let heard = tokio::select! {
                biased;
                heard = next(&mut on_pods) => heard.map(|events| self.pods(&events)).map_err(|_| &pods),
                heard = next(&mut on_maps) => heard.map(|events| self.sources(&events)).map_err(|_| &maps),
                heard = next(&mut on_secrets) => heard.map(|events| self.sources(&events)).map_err(|_| &secrets),
            };
            if let Err(lagged) = heard {
                tracing::debug!(resource = %lagged, "the router fell behind; nodes read the world again");
                let again = follow(lagged);
                match lagged {
                    all if *all == pods => on_pods = again,
                    all if *all == maps => on_maps = again,
                    _ => on_secrets = again,
                }
                self.resync();
            }
        }
    }

    fn pods(&self, events: &[Arc<Event>]) {
        let nodes = lock(&self.nodes);
        for event in events {
            let pod = event.object.get::<Pod>();
            let node = pod.and_then(|pod| pod.spec.as_ref()?.node_name.as_deref());
            let Some(address) = node.and_then(|node| nodes.get(node)) else { continue };
            address.mailbox.post(|letters| {
                letters.pods.insert(event.object.key(), event.clone());
            });
        }
    }

    fn sources(&self, events: &[Arc<Event>]) {
        let (nodes, interests) = (lock(&self.nodes), lock(&self.interests));
        for event in events {
            let place = event.object.reference();
            for name in interests.get(&place).into_iter().flat_map(BTreeMap::keys) {
                if let Some(address) = nodes.get(name) {
                    address.mailbox.post(|letters| {
                        letters.sources.insert(place.clone());
                    });
                }
            }
        }
    }

    fn resync(&self) {
        for address in lock(&self.nodes).values() {
            address.mailbox.post(|letters| letters.resync = true);
        }
    }

    /// A node wants to hear of its pods from now on; it begins with a look at the world.
    pub(super) fn join(&self, name: &Arc<str>, runtime: Arc<dyn Runtime>) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox::default());
        mailbox.post(|letters| letters.resync = true);
        lock(&self.nodes).insert(name.clone(), Address { mailbox: mailbox.clone(), runtime });
        mailbox
    }

    pub(super) fn leave(&self, name: &str) {
        lock(&self.nodes).remove(name);
        lock(&self.interests).retain(|_, nodes| {
            nodes.remove(name);
            !nodes.is_empty()
        });
    }

    /// Pods of a node use these objects.
    pub(super) fn watch(&self, name: &Arc<str>, places: &[ObjectRef]) {
        let mut interests = lock(&self.interests);
        for place in places {
            *interests.entry(place.clone()).or_default().entry(name.clone()).or_default() += 1;
        }
    }

    /// A pod of a node uses these objects no more.
    pub(super) fn unwatch(&self, name: &str, places: &[ObjectRef]) {
        let mut interests = lock(&self.interests);
        for place in places {
            let Some(nodes) = interests.get_mut(place) else { continue };
            if let Some(count) = nodes.get_mut(name) {
                *count -= 1;
            }
            nodes.retain(|_, count| *count > 0);
            if nodes.is_empty() {
                interests.remove(place);
            }
        }
    }

    /// Where a node of this process is reached; `None` if it does not run here.
    pub(crate) fn address(&self, name: &str) -> Option<Address> {
        lock(&self.nodes).get(name).cloned()
    }
}

impl Address {
    /// Asks the node.
    pub(crate) fn ask(&self, question: super::mailbox::Question) {
        self.mailbox.post(|letters| letters.questions.push(question));
    }
}

pub(super) fn resource_of_pods() -> GroupResource {
    GroupResource::of::<Pod>()
}

async fn next(subscription: &mut Subscription) -> Result<Vec<Arc<Event>>, Lagged> {
    subscription.next(BATCH_EVENTS_MAX).await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Router {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Router")
    }
}
