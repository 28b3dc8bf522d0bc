//! The loop of a running node: hears what happened, steps each pod it concerns, acts, and writes what changed.
//!
//! All of a node's pods live in one task. What takes time is a [`Job`] beside it; one that answers at once never leaves the
//! step it was made in, so a pod whose runtime is quick goes from bound to ready in one go, with one status write.

mod act;
mod hear;
mod room;
mod write;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use coracle_core::{Gateway, ObjectKey, Status};
use futures::future::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::jobs::Job;
use super::mailbox::Mailbox;
use super::router::Router;
use super::worker::Worker;
use super::{Node, OnShutdown, registration};
use crate::pod::observation::Cause;
use crate::pod::span::{after, between};
use crate::pod::status::Place;
use crate::runtime::{ImageId, RuntimeEvent, SandboxStatus};

/// How many steps a pod takes in one go before others have their turn.
const STEPS_MAX: usize = 256;
/// Things that are taken in before pods are stepped.
const BATCH_MAX: usize = 256;
/// After how long a write that failed is tried again.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// How a node's run went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Farewell {
    /// Pods whose containers were ended.
    pub stopped: usize,
    /// Pods whose containers were left to themselves.
    pub left: usize,
}

pub(super) async fn run(
    node: Node,
    gateway: Arc<dyn Gateway>,
    router: Arc<Router>,
    shutdown: CancellationToken,
) -> Result<Farewell, Status> {
    node.runtime.use_clock(gateway.clock());
    // Heard before the list is read, so that no end falls between.
    let events = node.runtime.events();
    let found = node.runtime.list().await.map_err(Status::internal)?;
    registration::register(&node, &*gateway).await?;
    router.heart.join(node.clone(), gateway.clock().now());
    let mut crew = Crew {
        mailbox: router.join(&node.name, node.runtime.clone()),
        place: node.place(),
        found: found.into_iter().map(|sandbox| (sandbox.uid.clone(), sandbox)).collect(),
        workers: HashMap::new(),
        uids: HashMap::new(),
        timers: BTreeSet::new(),
        jobs: FuturesUnordered::new(),
        dirty: BTreeSet::new(),
        resizes: BTreeSet::new(),
        outbox: BTreeSet::new(),
        writing: false,
        images: HashMap::new(),
        leaving: false,
        router,
        gateway,
        node,
    };
    let farewell = crew.work(events.fuse(), shutdown).await;
    crew.router.leave(&crew.node.name);
    crew.router.heart.leave(&crew.node.name);
    let last = registration::status(&crew.node, Some("node is shutting down"), crew.now());
    if let Err(error) = crew.gateway.execute(last).await {
        tracing::debug!(%error, node = %crew.node.name, "the last status of a node could not be written");
    }
    Ok(farewell)
}

struct Crew {
    node: Node,
    place: Place,
    gateway: Arc<dyn Gateway>,
    router: Arc<Router>,
    mailbox: Arc<Mailbox>,
    /// Sandboxes of the runtime that no pod has claimed yet.
    found: HashMap<Arc<str>, SandboxStatus>,
    workers: HashMap<Arc<str>, Worker>,
    uids: HashMap<ObjectKey, Arc<str>>,
    timers: BTreeSet<(Timestamp, Arc<str>)>,
    jobs: FuturesUnordered<Job>,
    /// Pods to be stepped.
    dirty: BTreeSet<Arc<str>>,
    /// Pods that ask for other resources than they have.
    resizes: BTreeSet<Arc<str>>,
    /// Pods with something to be written.
    outbox: BTreeSet<Arc<str>>,
    writing: bool,
    /// Images that were pulled.
    images: HashMap<String, ImageId>,
    leaving: bool,
}

type Events = futures::stream::Fuse<futures::stream::BoxStream<'static, RuntimeEvent>>;

impl Crew {
    fn now(&self) -> Timestamp {
        self.gateway.clock().now()
    }

    async fn work(&mut self, mut events: Events, shutdown: CancellationToken) -> Farewell {
        let mailbox = self.mailbox.clone();
        loop {
            if self.leaving && !self.writing && self.workers.values().all(|worker| worker.seen.is_quiet()) {
                return Farewell { stopped: self.workers.len(), left: 0 };
            }
            let wait = self.timers.first().map(|(at, _)| between(self.now(), *at));
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if !self.leaving => match self.node.on_shutdown {
                    OnShutdown::Leave => return Farewell { stopped: 0, left: self.workers.len() },
                    OnShutdown::Stop => self.leave(),
                },
                letters = mailbox.take() => self.read(letters),
                Some(event) = events.next() => {
                    self.hear(event);
                    for _ in 1..BATCH_MAX {
                        let Some(Some(event)) = events.next().now_or_never() else { break };
                        self.hear(event);
                    }
                }
                Some(done) = self.jobs.next(), if !self.jobs.is_empty() => {
                    self.done(done);
                    for _ in 1..BATCH_MAX {
                        let Some(Some(done)) = self.jobs.next().now_or_never() else { break };
                        self.done(done);
                    }
                }
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => self.ring(),
            }
            self.settle();
        }
    }

    /// Ends all pods because the node stops.
    fn leave(&mut self) {
        self.leaving = true;
        let now = self.now();
        for worker in self.workers.values_mut() {
            if worker.seen.ending.is_none() {
                worker.end(Cause::Shutdown, after(now, worker.grace()), false);
            }
            self.dirty.insert(worker.uid.clone());
        }
    }

    fn ring(&mut self) {
        let now = self.now();
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, uid)) = self.timers.pop_first() else { return };
            if let Some(worker) = self.workers.get_mut(&uid) {
                worker.timer = None;
            }
            self.dirty.insert(uid);
        }
    }

    fn settle(&mut self) {
        loop {
            while let Some(uid) = self.dirty.pop_first() {
                self.advance(&uid);
            }
            if !self.give_room() {
                break;
            }
        }
        self.flush();
    }
}
