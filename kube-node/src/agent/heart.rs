//! One timer for the heartbeats of all nodes of a process: a thousand leases are renewed by one batch, and nothing else wakes up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use coracle_core::{Gateway, Request};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node as NodeObject;
use tokio::sync::Notify;

use super::{Node, registration};
use crate::pod::span::between;

/// How often leases are renewed. Source: kubelet `nodeLeaseRenewIntervalFraction` of 40 s.
pub(super) const LEASE_INTERVAL: Duration = Duration::from_secs(10);
/// How often a status is written that has not changed. One that others have changed, because the node was silent for a while,
/// is set right with the next beat. Source: kubelet `nodeStatusReportFrequency`.
const STATUS_INTERVAL: Duration = Duration::from_secs(300);

/// The nodes that live, and when each last said how it is.
#[derive(Default)]
pub(super) struct Heart {
    nodes: Mutex<BTreeMap<Arc<str>, Beat>>,
    first: Notify,
}

struct Beat {
    node: Node,
    reported: Timestamp,
    leased: bool,
}

/// What one request of a batch was for.
enum Purpose {
    Renew,
    Create,
    Report,
}

impl Heart {
    /// A node lives from now on; its lease is written with the next beat, which comes at once if it is the first node.
    pub(super) fn join(&self, node: Node, now: Timestamp) {
        let beat = Beat { node: node.clone(), reported: now, leased: false };
        self.lock().insert(node.name.clone(), beat);
        self.first.notify_one();
    }

    /// A node lives no more.
    pub(super) fn leave(&self, name: &str) {
        self.lock().remove(name);
    }

    /// Beats for ever.
    pub(super) async fn run(&self, gateway: &dyn Gateway, interval: Duration) {
        loop {
            if self.lock().is_empty() {
                self.first.notified().await;
            }
            self.beat(gateway).await;
            let next = tokio::time::sleep(interval);
            tokio::pin!(next);
            loop {
                tokio::select! {
                    biased;
                    () = &mut next => break,
                    () = self.first.notified() => self.lease_new(gateway).await,
                }
            }
        }
    }

    async fn beat(&self, gateway: &dyn Gateway) {
        let (now, world) = (gateway.clock().now(), gateway.feed().world());
        let mut batch = Vec::new();
        for (name, beat) in self.lock().iter_mut() {
            let (purpose, request) = match beat.leased {
                true => (Purpose::Renew, registration::renew(name, now)),
                false => (Purpose::Create, registration::lease(name, gateway)),
            };
            batch.push((name.clone(), purpose, request));
            let mistaken = world.get::<NodeObject>("", name).is_some_and(|node| !registration::is_ready(&node));
            if mistaken || between(beat.reported, now) >= STATUS_INTERVAL {
                beat.reported = now;
                batch.push((name.clone(), Purpose::Report, registration::status(&beat.node, None, now)));
            }
        }
        self.send(gateway, batch).await;
    }

    /// Leases of nodes that joined between two beats.
    async fn lease_new(&self, gateway: &dyn Gateway) {
        let names: Vec<_> = self.lock().iter().filter(|(_, beat)| !beat.leased).map(|(name, _)| name.clone()).collect();
        let create = |name: Arc<str>| {
            let request = registration::lease(&name, gateway);
            (name, Purpose::Create, request)
        };
        self.send(gateway, names.into_iter().map(create).collect()).await;
    }

    async fn send(&self, gateway: &dyn Gateway, batch: Vec<(Arc<str>, Purpose, Request)>) {
        let mut purposes = Vec::with_capacity(batch.len());
        let mut requests = Vec::with_capacity(batch.len());
        for (name, purpose, request) in batch {
            purposes.push((name, purpose));
            requests.push(request);
        }
        let answers = gateway.execute_all(requests).await;
        for ((name, purpose), answer) in purposes.into_iter().zip(answers) {
            let leased = match (&purpose, &answer) {
                (Purpose::Create, Err(status)) => status.is_already_exists(),
                (Purpose::Renew, Err(status)) => !status.is_not_found(),
                (Purpose::Create | Purpose::Renew, Ok(_)) => true,
                (Purpose::Report, _) => continue,
            };
            if let Some(beat) = self.lock().get_mut(&name) {
                beat.leased = leased;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Beat>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
