//! What a node hears: of its pods, its runtime, its probes, and from who asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use coracle_core::Object;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::super::jobs::{self, Done, Probed};
use super::super::mailbox::{Letters, Question, Wanted};
use super::super::worker::Worker;
use super::super::{adopt, launch};
use super::Crew;
use crate::pod::Outcome;
use crate::pod::event::Tell;
use crate::pod::observation::{Cause, ContainerObservation};
use crate::pod::span::{after, seconds};
use crate::probe::Finding;
use crate::runtime::{ContainerState, RuntimeEvent};

impl Crew {
    pub(super) fn read(&mut self, letters: Letters) {
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
    pub(super) fn resync(&mut self) {
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

    pub(super) fn pod(&mut self, object: &Arc<Object>) {
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

    pub(super) fn take_in(&mut self, object: &Arc<Object>, pod: Arc<Pod>, now: Timestamp) {
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

    pub(super) fn gone(&mut self, uid: &str) {
        let now = self.now();
        let Some(worker) = self.workers.get_mut(uid) else { return };
        let grace = seconds(worker.pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
        worker.end(Cause::Gone, after(now, grace), grace.is_zero());
        self.dirty.insert(worker.uid.clone());
    }

    pub(super) fn hear(&mut self, event: RuntimeEvent) {
        let Some(worker) = self.workers.get_mut(&event.uid) else { return };
        let exit = match event.state {
            ContainerState::Exited(exit) => exit,
            ContainerState::Running { .. } => return,
        };
        let running = |one: &ContainerObservation| one.running().is_some_and(|running| running.id == event.container);
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

    pub(super) fn done(&mut self, done: Done) {
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

    pub(super) fn outcome(&mut self, uid: &Arc<str>, outcome: Outcome) {
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

    pub(super) fn probed(&mut self, uid: &Arc<str>, probed: &Probed) {
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

    pub(super) fn answer(&self, question: Question) {
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
}
