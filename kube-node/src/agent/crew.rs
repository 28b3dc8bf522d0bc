//! The loop of a running node: hears what happened, steps each pod it concerns, acts, and writes what changed.
//!
//! All of a node's pods live in one task. What takes time is a [`Job`] beside it; one that answers at once never leaves the
//! step it was made in, so a pod whose runtime is quick goes from bound to ready in one go, with one status write.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use coracle_core::{Gateway, Happening, Object, ObjectKey, Request, Status, Target};
use futures::future::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node as NodeObject, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, Preconditions};
use tokio_util::sync::CancellationToken;

use super::jobs::{self, Done, Job, Probed, Write};
use super::mailbox::{Letters, Mailbox, Question, Wanted};
use super::router::Router;
use super::worker::Worker;
use super::{Node, OnShutdown, adopt, launch, registration};
use crate::pod::admission::{self, Demand};
use crate::pod::event::Tell;
use crate::pod::observation::{Cause, Life};
use crate::pod::span::{after, between, earliest, seconds};
use crate::pod::status::{self, Place};
use crate::pod::{Action, Outcome, step};
use crate::probe::ask::Asked;
use crate::probe::{Finding, Prober, Purpose};
use crate::runtime::{ContainerId, ContainerState, ImageId, RuntimeEvent, SandboxStatus};
use crate::volumes;

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

    // What is heard.

    fn read(&mut self, letters: Letters) {
        for event in letters.pods.into_values() {
            if event.deleted {
                self.gone(event.object.uid());
            } else {
                self.pod(&event.object);
            }
        }
        if letters.resync {
            self.resync();
        }
        let workers = self.workers.values_mut().filter(|_| !letters.sources.is_empty());
        for worker in workers {
            if worker.references.iter().any(|place| letters.sources.contains(place)) {
                worker.sources_changed();
                self.dirty.insert(worker.uid.clone());
            }
        }
        letters.questions.into_iter().for_each(|question| self.answer(question));
    }

    /// Letters were lost, or this is the beginning: the world says which pods are bound here.
    fn resync(&mut self) {
        let world = self.gateway.feed().world();
        let bound: Vec<_> = world.pods_on(&self.node.name).cloned().collect();
        let here: BTreeSet<&str> = bound.iter().map(|object| object.uid()).collect();
        let gone: Vec<_> = self.workers.keys().filter(|uid| !here.contains(&***uid)).cloned().collect();
        gone.iter().for_each(|uid| self.gone(uid));
        bound.iter().for_each(|object| self.pod(object));
        for (_, orphan) in std::mem::take(&mut self.found) {
            let remove = jobs::remove_sandbox(self.node.runtime.clone(), orphan.id);
            let directory = self.node.directory(&orphan.uid);
            self.jobs.push(Box::pin(async move {
                remove.await;
                jobs::unmount(directory).await;
                Done::Nothing
            }));
        }
    }

    fn pod(&mut self, object: &Arc<Object>) {
        let (Some(pod), now) = (object.shared::<Pod>(), self.now()) else { return };
        if let Some(worker) = self.workers.get_mut(object.uid()) {
            if object.revision() > worker.revision && worker.update(object, pod, now) {
                self.dirty.insert(worker.uid.clone());
            }
            return;
        }
        // Another pod of the same name has taken its place: this one is gone, even if nobody said so.
        if let Some(old) = self.uids.get(&object.key()).cloned() {
            self.gone(&old);
        }
        if !self.leaving {
            self.take_in(object, pod, now);
        }
    }

    fn take_in(&mut self, object: &Arc<Object>, pod: Arc<Pod>, now: Timestamp) {
        let mut worker = Worker::new(object, pod, now);
        let known = worker.pod.status.as_ref().filter(|status| status.start_time.is_some());
        let sandbox = self.found.remove(&worker.uid);
        match (sandbox, known) {
            (Some(sandbox), _) => adopt::adopt(&mut worker.seen, &worker.members, sandbox),
            (None, Some(status)) => adopt::recall(&mut worker.seen, &worker.members, status, now),
            (None, None) => self.admit(&mut worker),
        }
        worker.notice(now);
        self.router.watch(&self.node.name, &worker.references);
        self.uids.insert(worker.key.clone(), worker.uid.clone());
        self.dirty.insert(worker.uid.clone());
        self.workers.insert(worker.uid.clone(), worker);
    }

    fn admit(&self, worker: &mut Worker) {
        let Some(node) = self.gateway.feed().world().get::<NodeObject>("", &self.node.name) else { return };
        let taken: Vec<&Demand> =
            self.workers.values().filter(|worker| worker.takes_room()).map(|worker| &worker.demand).collect();
        let Err(rejection) = admission::admit(&worker.pod, &worker.demand, &node, taken.into_iter()) else { return };
        let mut happening = Happening::new("kubelet", &*worker.pod, coracle_core::Severity::Warning, "", "");
        happening.reason = admission::reason_word(&rejection.reason);
        happening.note.clone_from(&rejection.message);
        happening.host = self.node.name.clone();
        self.gateway.record(happening);
        worker.seen.rejected = Some(rejection);
    }

    fn gone(&mut self, uid: &str) {
        let now = self.now();
        let Some(worker) = self.workers.get_mut(uid) else { return };
        let grace = seconds(worker.pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
        worker.end(Cause::Gone, after(now, grace), grace.is_zero());
        self.dirty.insert(worker.uid.clone());
    }

    fn hear(&mut self, event: RuntimeEvent) {
        let Some(worker) = self.workers.get_mut(&event.uid) else { return };
        let exit = match event.state {
            ContainerState::Exited(exit) => exit,
            ContainerState::Running { .. } => return,
        };
        let running =
            |one: &crate::pod::ContainerObservation| one.running().is_some_and(|running| running.id == event.container);
        let index = worker.seen.containers.iter().position(running);
        let member = index.and_then(|index| worker.members.get(index));
        let attempt = index.and_then(|index| worker.seen.containers.get(index)).map_or(0, |one| one.attempt);
        let uid = worker.uid.clone();
        let Some(member) = member else {
            self.outcome(&uid, Outcome::Exited(event.container, exit, String::new()));
            return;
        };
        let file = self.node.directory(&uid).map(|pod| launch::message_file(&pod, &member.spec.name, attempt));
        let words = jobs::last_words(self.node.runtime.clone(), member.spec.clone(), file, event.container, exit);
        self.begin_job(Box::pin(async move { Done::Pod(uid, words.await) }));
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Nothing => {}
            Done::Pod(uid, outcome) => self.outcome(&uid, outcome),
            Done::Probed(uid, probed) => self.probed(&uid, &probed),
            Done::Written(answers) => {
                self.writing = false;
                answers.into_iter().for_each(|(uid, write, answer)| self.written(&uid, write, answer));
            }
        }
    }

    fn outcome(&mut self, uid: &Arc<str>, outcome: Outcome) {
        let now = self.now();
        let Some(worker) = self.workers.get_mut(uid) else { return };
        if let Outcome::Pulled(index, image, _) = &outcome
            && let Some(member) = worker.members.get(*index)
        {
            self.images.insert(member.image().to_owned(), image.clone());
        }
        let tells = worker.seen.apply(outcome, &worker.pod, &worker.members, now);
        self.dirty.insert(uid.clone());
        tells.into_iter().for_each(|tell| self.tell(uid, tell));
    }

    fn probed(&mut self, uid: &Arc<str>, probed: &Probed) {
        let now = self.now();
        let Some(worker) = self.workers.get_mut(uid) else { return };
        let Some(Some((id, prober))) = worker.probers.get_mut(probed.container) else { return };
        let Some(container) = worker.seen.containers.get_mut(probed.container) else { return };
        if *id != probed.id {
            return;
        }
        prober.take(probed.purpose, &probed.finding, &mut container.health, now);
        let word = probed.purpose.word();
        let note = match &probed.finding {
            Finding::Success => None,
            Finding::Failure(why) => Some(format!("{word} probe failed: {why}")),
            Finding::Error(why) => Some(format!("{word} probe errored and resulted in unknown state: {why}")),
        };
        self.dirty.insert(uid.clone());
        if let Some(note) = note {
            self.tell(uid, Tell::warning(Some(probed.container), "Unhealthy", note));
        }
    }

    fn written(&mut self, uid: &Arc<str>, write: Write, answer: Result<coracle_core::Response, Status>) {
        let now = self.now();
        let Some(worker) = self.workers.get_mut(uid) else { return };
        match (write, answer) {
            (Write::Delete, Ok(response)) if response.effect == coracle_core::request::Effect::Deleted => {
                self.forget(uid)
            }
            (Write::Delete, Err(status)) if status.is_not_found() || status.is_conflict() => self.forget(uid),
            (Write::Status, Err(status)) if status.is_not_found() || status.is_conflict() => worker.unwritten = None,
            (_, Ok(response)) => {
                let newer = response.object.filter(|object| object.revision() > worker.revision);
                if let Some((object, pod)) = newer.and_then(|object| Some((object.clone(), object.shared::<Pod>()?))) {
                    worker.update(&object, pod, now);
                    self.dirty.insert(uid.clone());
                }
            }
            (_, Err(error)) => {
                tracing::warn!(%error, pod = %worker.key, "a pod's status could not be written");
                worker.delete_sent = false;
                worker.write_again = Some(after(now, WRITE_AGAIN));
                self.dirty.insert(uid.clone());
            }
        }
    }

    fn answer(&self, question: Question) {
        let worker = self.workers.get(&*question.uid);
        match question.wanted {
            Wanted::Run { container, previous, running, answer } => {
                let found = worker.and_then(|worker| {
                    let index = worker.members.iter().position(|member| member.spec.name == container)?;
                    worker.seen.containers.get(index)
                });
                let pod = worker.map(|worker| worker.key.name()).unwrap_or_default();
                let run = crate::streams::choose_run(found, pod, &container, previous, running);
                let _nobody_waits = answer.send(run);
            }
            Wanted::Sandbox(answer) => {
                let _nobody_waits = answer.send(worker.and_then(|worker| worker.seen.sandbox.id.clone()));
            }
        }
    }

    // What is done about it.

    fn settle(&mut self) {
        while let Some(uid) = self.dirty.pop_first() {
            self.advance(&uid);
        }
        self.flush();
    }

    /// Steps a pod until there is nothing more to do at once.
    fn advance(&mut self, uid: &Arc<str>) {
        let mut wake_at = None;
        for _ in 0..STEPS_MAX {
            let now = self.now();
            let Some(worker) = self.workers.get(uid) else { return };
            let next = step(&worker.pod, &worker.members, &worker.seen, now);
            wake_at = next.wake_at;
            if next.actions.is_empty() {
                break;
            }
            next.actions.into_iter().for_each(|action| self.act(uid, action, now));
        }
        self.dirty.remove(uid);
        let now = self.now();
        let wake_at = earliest(wake_at, self.probe(uid, now));
        let Some(worker) = self.workers.get_mut(uid) else { return };
        // What is due is written below, or with the next flush; a time that is past must not wake the node again and again.
        worker.write_again = worker.write_again.filter(|at| *at > now);
        let quiet_end = worker.seen.ending.is_some_and(|ending| matches!(ending.cause, Cause::Gone | Cause::Shutdown));
        let changed = !quiet_end && worker.compare(&self.place, now);
        let delete = worker.seen.delete_asked && !worker.delete_sent;
        if changed || delete {
            self.outbox.insert(uid.clone());
        }
        let wake_at = earliest(wake_at, worker.write_again);
        if worker.timer != wake_at {
            if let Some(old) = worker.timer.take() {
                self.timers.remove(&(old, uid.clone()));
            }
            self.timers.extend(wake_at.map(|at| (at, uid.clone())));
            worker.timer = wake_at;
        }
    }

    fn act(&mut self, uid: &Arc<str>, action: Action, now: Timestamp) {
        let Some(worker) = self.workers.get_mut(uid) else { return };
        if let Action::Pull(index) | Action::Start(index) = &action
            && let Some(container) = worker.seen.containers.get(*index)
            && matches!(container.life, Life::Ended(_))
            && let Some(id) = container.last.as_ref().and_then(|outlived| outlived.id.clone())
        {
            self.remove_container(id);
        }
        let Some(worker) = self.workers.get_mut(uid) else { return };
        worker.seen.begin(&action, &worker.members, now);
        if let Action::Tell(tell) = action {
            self.tell(uid, tell);
        } else if action == Action::Forget {
            self.forget(uid);
        } else if let Some(job) = self.job(uid, action, now) {
            self.begin_job(job);
        }
    }

    /// A job that answers at once is done at once; only others are kept and woken.
    fn begin_job(&mut self, mut job: Job) {
        match job.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => self.done(done),
            Poll::Pending => self.jobs.push(job),
        }
    }

    fn job(&mut self, uid: &Arc<str>, action: Action, now: Timestamp) -> Option<Job> {
        let runtime = self.node.runtime.clone();
        let (node, gateway) = (&self.node, &self.gateway);
        let worker = self.workers.get_mut(uid)?;
        let uid = uid.clone();
        let for_pod = |outcome: futures::future::BoxFuture<'static, Outcome>| -> Option<Job> {
            let uid = uid.clone();
            Some(Box::pin(async move { Done::Pod(uid, outcome.await) }))
        };
        let at_once = |outcome: Outcome| for_pod(Box::pin(std::future::ready(outcome)));
        match action {
            Action::Mount => {
                let Some(directory) = node.directory(&uid) else { return at_once(Outcome::Mounted(None)) };
                let plans = match node.plan(worker, &gateway.feed().world()) {
                    Ok(plans) => plans,
                    Err(why) => return at_once(Outcome::MountFailed(why)),
                };
                worker.host_paths = volumes::host_paths(&directory, &plans);
                for_pod(Box::pin(jobs::mount(directory, plans, node.tokens.clone(), now)))
            }
            Action::Unmount => for_pod(Box::pin(jobs::unmount(node.directory(&uid)))),
            Action::StartSandbox => for_pod(Box::pin(jobs::start_sandbox(runtime, node.sandbox(worker)))),
            Action::RemoveSandbox(id) => for_pod(Box::pin(jobs::remove_sandbox(runtime, id))),
            Action::Pull(index) => {
                let member = worker.members.get(index)?;
                let present = self.images.get(member.image()).filter(|_| !pulls_always(&member.spec));
                if let Some(image) = present {
                    return at_once(jobs::present(index, image.clone()));
                }
                let (image, pod) = (member.image().to_owned(), worker.pod.clone());
                let note = format!("Pulling image {image:?}");
                let pull = for_pod(Box::pin(jobs::pull(runtime, gateway.clock().clone(), pod, index, image)));
                self.tell(&uid, Tell::normal(Some(index), "Pulling", note));
                pull
            }
            Action::Start(index) => match node.container(worker, index, &gateway.feed().world()) {
                Ok(spec) => for_pod(Box::pin(jobs::start(runtime, index, spec))),
                Err(error) => at_once(Outcome::StartFailed(index, error)),
            },
            Action::PostStart(index) => {
                let asked = asked(node, worker, index)?;
                let hook = asked.spec.lifecycle.as_ref()?.post_start.clone()?;
                for_pod(Box::pin(jobs::hook(asked, hook, None).map(move |end| Outcome::PostStarted(index, end))))
            }
            Action::PreStop(index, _, deadline) => {
                let asked = asked(node, worker, index)?;
                let hook = asked.spec.lifecycle.as_ref()?.pre_stop.clone()?;
                let limit = Some(jobs::hook_limit(now, deadline));
                for_pod(Box::pin(jobs::hook(asked, hook, limit).map(move |end| Outcome::PreStopped(index, end))))
            }
            Action::Stop { container, id, grace, .. } => Some(Box::pin(jobs::stop(runtime, uid, container, id, grace))),
            Action::End(_) | Action::BackOffPull(_) | Action::Delete | Action::Forget | Action::Tell(_) => None,
        }
    }

    fn remove_container(&mut self, id: ContainerId) {
        let runtime = self.node.runtime.clone();
        self.begin_job(Box::pin(async move {
            if let Err(error) = runtime.remove_container(&id).await {
                tracing::debug!(%error, container = %id, "an old run of a container could not be removed");
            }
            Done::Nothing
        }));
    }

    /// Asks the probes that are due; answers when the next one is.
    fn probe(&mut self, uid: &Arc<str>, now: Timestamp) -> Option<Timestamp> {
        let worker = self.workers.get_mut(uid)?;
        if worker.seen.ending.is_some() {
            return None;
        }
        let (mut wake_at, mut due) = (None, Vec::new());
        for (index, container) in worker.seen.containers.iter().enumerate() {
            let (Some(slot), Some(member)) = (worker.probers.get_mut(index), worker.members.get(index)) else {
                continue;
            };
            let Some(running) = container.running() else {
                *slot = None;
                continue;
            };
            if slot.as_ref().is_none_or(|(id, _)| *id != running.id) {
                let mut prober = Prober::start(&member.spec, running.since);
                if running.since < worker.taken_in {
                    prober.spread(self.gateway.entropy(), now);
                }
                *slot = Some((running.id.clone(), prober));
            }
            if running.stop.is_some() {
                continue;
            }
            let Some((_, prober)) = slot else { continue };
            due.extend(prober.due(&container.health, now).into_iter().map(|purpose| (index, purpose)));
            wake_at = earliest(wake_at, prober.wake_at(&container.health));
        }
        let jobs: Vec<_> = due.into_iter().filter_map(|(index, purpose)| self.ask(uid, index, purpose)).collect();
        for job in jobs {
            self.jobs.push(job);
        }
        wake_at
    }

    fn ask(&self, uid: &Arc<str>, index: usize, purpose: Purpose) -> Option<Job> {
        let asked = asked(&self.node, self.workers.get(uid)?, index)?;
        let probe = purpose.of(&asked.spec)?.clone();
        Some(Box::pin(jobs::probe(uid.clone(), index, purpose, asked, probe)))
    }

    fn tell(&mut self, uid: &Arc<str>, tell: Tell) {
        let Some(worker) = self.workers.get_mut(uid) else { return };
        self.gateway.record(Happening {
            regarding: worker.regarding(tell.container),
            severity: tell.severity,
            reason: tell.reason,
            note: tell.note,
            reporter: "kubelet",
            host: self.node.name.clone(),
            action: "",
        });
    }

    /// Writes what is to be written, all at once; while that is under way, more gathers.
    fn flush(&mut self) {
        if self.writing || self.outbox.is_empty() {
            return;
        }
        let now = self.now();
        let mut what = Vec::new();
        let mut requests = Vec::new();
        for uid in std::mem::take(&mut self.outbox) {
            let Some(worker) = self.workers.get_mut(&uid) else { continue };
            if worker.write_again.is_some_and(|at| at > now) {
                continue;
            }
            worker.write_again = None;
            if let Some(generated) = worker.unwritten.take() {
                what.push((uid.clone(), Write::Status));
                requests.push(write_status(&worker.pod, generated));
            }
            if worker.seen.delete_asked && !worker.delete_sent {
                worker.delete_sent = true;
                what.push((uid.clone(), Write::Delete));
                requests.push(delete(&worker.pod));
            }
        }
        if requests.is_empty() {
            return;
        }
        self.writing = true;
        let gateway = self.gateway.clone();
        self.jobs.push(Box::pin(async move {
            let answers = gateway.execute_all(requests).await;
            Done::Written(what.into_iter().zip(answers).map(|((uid, write), answer)| (uid, write, answer)).collect())
        }));
    }

    fn forget(&mut self, uid: &Arc<str>) {
        let Some(worker) = self.workers.remove(uid) else { return };
        self.router.unwatch(&self.node.name, &worker.references);
        if self.uids.get(&worker.key) == Some(uid) {
            self.uids.remove(&worker.key);
        }
        if let Some(at) = worker.timer {
            self.timers.remove(&(at, uid.clone()));
        }
        self.outbox.remove(uid);
    }
}

fn asked(node: &Node, worker: &Worker, index: usize) -> Option<Asked> {
    let running = worker.seen.containers.get(index)?.running()?;
    let address = node.pod_addresses(worker).into_iter().next().unwrap_or_default();
    let spec = worker.members.get(index)?.spec.clone();
    Some(Asked { runtime: node.runtime.clone(), id: running.id.clone(), spec, address })
}

/// Default: `Always` for images without a tag or with `latest`. Source: core/v1 Container.imagePullPolicy.
fn pulls_always(container: &k8s_openapi::api::core::v1::Container) -> bool {
    let image = container.image.as_deref().unwrap_or("");
    let name = image.rsplit('/').next().unwrap_or(image);
    match container.image_pull_policy.as_deref() {
        Some(policy) => policy == "Always",
        None => !image.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest"),
    }
}

fn write_status(pod: &Pod, generated: k8s_openapi::api::core::v1::PodStatus) -> Request {
    let uid = pod.metadata.uid.clone();
    Request::edit(Target::of(pod).below("status"), move |found: &mut Pod| {
        if found.metadata.uid != uid {
            let name = found.metadata.name.as_deref().unwrap_or("");
            return Err(Status::stale(&super::router::resource_of_pods(), name));
        }
        status::merge(found.status.get_or_insert_default(), &generated);
        Ok(())
    })
}

/// Deletes this very pod for good.
fn delete(pod: &Pod) -> Request {
    let preconditions = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
    let options =
        DeleteOptions { grace_period_seconds: Some(0), preconditions: Some(preconditions), ..DeleteOptions::default() };
    Request::new(Target::of(pod), coracle_core::Action::Delete(options))
}
