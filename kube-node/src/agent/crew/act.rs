//! What a node does: steps its pods and starts what takes time.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;

use super::super::Node;
use super::super::jobs::{self, Done, Job};
use super::super::worker::Worker;
use super::{Crew, STEPS_MAX};
use crate::pod::event::Tell;
use crate::pod::observation::{Cause, Life};
use crate::pod::span::earliest;
use crate::pod::{Action, Outcome, step};
use crate::probe::ask::Asked;
use crate::probe::{Prober, Purpose};
use crate::runtime::ContainerId;
use crate::volumes;

impl Crew {
    /// Steps a pod until there is nothing more to do at once.
    pub(super) fn advance(&mut self, uid: &Arc<str>) {
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
        if worker.asks_resize {
            self.resizes.insert(uid.clone());
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

    pub(super) fn act(&mut self, uid: &Arc<str>, action: Action, now: Timestamp) {
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
    pub(super) fn begin_job(&mut self, mut job: Job) {
        match job.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => self.done(done),
            Poll::Pending => self.jobs.push(job),
        }
    }

    pub(super) fn job(&mut self, uid: &Arc<str>, action: Action, now: Timestamp) -> Option<Job> {
        let runtime = self.node.runtime.clone();
        let (node, gateway) = (&self.node, &self.gateway);
        let worker = self.workers.get_mut(uid)?;
        let uid = uid.clone();
        let for_pod = |outcome: BoxFuture<'static, Outcome>| -> Option<Job> {
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
            Action::ReleaseSandbox(id) => for_pod(Box::pin(jobs::release_sandbox(runtime, id))),
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
            Action::Resize(index) => {
                let spec = worker.members.get(index)?.spec.clone();
                let id = worker.seen.containers.get(index)?.running()?.id.clone();
                for_pod(Box::pin(jobs::resize(runtime, index, id, spec)))
            }
            Action::Stop { container, id, grace, .. } => Some(Box::pin(jobs::stop(runtime, uid, container, id, grace))),
            Action::End(_) | Action::BackOffPull(_) | Action::Resized | Action::WaitTurn(..) => None,
            Action::Delete | Action::Forget | Action::Tell(_) => None,
        }
    }

    pub(super) fn remove_container(&mut self, id: ContainerId) {
        let runtime = self.node.runtime.clone();
        self.begin_job(Box::pin(async move {
            if let Err(error) = runtime.remove_container(&id).await {
                tracing::debug!(%error, container = %id, "an old run of a container could not be removed");
            }
            Done::Nothing
        }));
    }

    /// Asks the probes that are due; answers when the next one is.
    pub(super) fn probe(&mut self, uid: &Arc<str>, now: Timestamp) -> Option<Timestamp> {
        let worker = self.workers.get_mut(uid)?;
        let ending = worker.seen.ending.map(|ending| ending.cause);
        if matches!(ending, Some(Cause::Gone | Cause::Shutdown)) {
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
            let Some((_, prober)) = slot else { continue };
            if ending.is_some() || running.stop.is_some() {
                prober.only_readiness();
            }
            due.extend(prober.due(&container.health, now).into_iter().map(|purpose| (index, purpose)));
            wake_at = earliest(wake_at, prober.wake_at(&container.health));
        }
        let jobs: Vec<_> = due.into_iter().filter_map(|(index, purpose)| self.ask(uid, index, purpose)).collect();
        for job in jobs {
            self.jobs.push(job);
        }
        wake_at
    }

    pub(super) fn ask(&self, uid: &Arc<str>, index: usize, purpose: Purpose) -> Option<Job> {
        let asked = asked(&self.node, self.workers.get(uid)?, index)?;
        let probe = purpose.of(&asked.spec)?.clone();
        Some(Box::pin(jobs::probe(uid.clone(), index, purpose, asked, probe)))
    }
}

fn asked(node: &Node, worker: &Worker, index: usize) -> Option<Asked> {
    let running = worker.seen.containers.get(index)?.running()?;
    let address = node.pod_addresses(worker).into_iter().next().unwrap_or_default();
    let spec = worker.members.get(index)?.spec.clone();
    Some(Asked { runtime: node.runtime.clone(), id: running.id.clone(), spec, address })
}

/// Default: `Always` for images without a tag or with `latest`. Source: core/v1 Container.imagePullPolicy.
fn pulls_always(container: &Container) -> bool {
    let image = container.image.as_deref().unwrap_or("");
    let name = image.rsplit('/').next().unwrap_or(image);
    match container.image_pull_policy.as_deref() {
        Some(policy) => policy == "Always",
        None => !image.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest"),
    }
}
