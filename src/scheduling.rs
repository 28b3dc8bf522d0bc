//! Runs a scheduler: hears what changed, asks it about one waiting pod after another, and carries out what it decides.
//!
//! Decisions of one round are committed together. A pod that has to wait says why, in its `PodScheduled` condition and in an
//! Event, and is woken by what may help it; nothing polls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use coracle_core::volume::{SELECTED_NODE, selected_node};
use coracle_core::{Event, Gateway, Happening, Lagged, ObjectRef, Request, Severity, Status, Target};
use coracle_sched::{
    DEFAULT_SCHEDULER, Decision, Framework, PodInfo, Queue, Scheduler, Snapshot, Unschedulable, VOLUME_BINDING,
    open_claims,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodCondition};
use tokio::time::Instant;

use crate::driver::{delay_until, until};
use crate::parts::Group;

/// Pods that are decided about before the decisions are committed.
const ROUND_MAX: usize = 256;
/// Changes that are taken in at once.
const CHANGES_MAX: usize = 4_096;

/// The scheduler's own view of the cluster, shared with whoever asks it to explain itself.
pub(crate) type SharedSnapshot = Arc<Mutex<Snapshot>>;

/// Starts schedulers, each for the pods that name it; the default one too if it is not among them. Gives the default's snapshot.
pub(crate) fn start(
    mut schedulers: Vec<(String, Box<dyn Scheduler>)>,
    gateway: &Arc<dyn Gateway>,
    group: &Group,
) -> SharedSnapshot {
    if !schedulers.iter().any(|(name, _)| name == DEFAULT_SCHEDULER) {
        let framework = Framework::new(gateway.entropy().next());
        schedulers.push((DEFAULT_SCHEDULER.to_owned(), Box::new(framework)));
    }
    let mut snapshot = SharedSnapshot::default();
    for (name, scheduler) in schedulers {
        let own = SharedSnapshot::default();
        if name == DEFAULT_SCHEDULER {
            snapshot = own.clone();
        }
        group.spawn(run(name, scheduler, gateway.clone(), own));
    }
    snapshot
}

/// Runs a scheduler for the pods that name it, as long as the cluster lives.
pub(crate) async fn run(
    name: String,
    scheduler: Box<dyn Scheduler>,
    gateway: Arc<dyn Gateway>,
    snapshot: SharedSnapshot,
) {
    let reporter: &'static str = if name == DEFAULT_SCHEDULER { DEFAULT_SCHEDULER } else { "scheduler" };
    let queue = Queue::new(&name);
    let mut round = Round { name, reporter, scheduler, gateway, snapshot, queue, told: BTreeMap::new() };
    loop {
        let Lagged { .. } = round.follow().await;
        tracing::warn!(scheduler = round.name, "fell behind the changes and looks at everything again");
    }
}

struct Round {
    name: String,
    reporter: &'static str,
    scheduler: Box<dyn Scheduler>,
    gateway: Arc<dyn Gateway>,
    snapshot: SharedSnapshot,
    queue: Queue,
    /// What was last told about each waiting pod, by uid: the same is not told twice.
    told: BTreeMap<Arc<str>, String>,
}

/// A decision that is being committed.
struct Flight {
    pod: Arc<PodInfo>,
    node: Arc<str>,
}

impl Round {
    async fn follow(&mut self) -> Lagged {
        let (world, mut changes) = self.gateway.feed().follow(None);
        self.queue = Queue::new(&self.name);
        let waiting = {
            let mut snapshot = self.snapshot();
            *snapshot = Snapshot::new();
            snapshot.load(&world)
        };
        for pod in waiting {
            self.queue.add(pod, self.now());
        }
        loop {
            match changes.ready(CHANGES_MAX) {
                Ok(events) => events.iter().for_each(|event| self.take_in(event)),
                Err(lagged) => return lagged,
            }
            if self.decide().await {
                // Others get a turn, and what was committed comes back as changes.
                tokio::task::yield_now().await;
                continue;
            }
            let due = self.queue.next_wakeup().map(|at| Instant::now() + delay_until(at, self.now()));
            tokio::select! {
                biased;
                events = changes.next(CHANGES_MAX) => match events {
                    Ok(events) => events.iter().for_each(|event| self.take_in(event)),
                    Err(lagged) => return lagged,
                },
                () = until(due) => {}
            }
        }
    }

    fn take_in(&mut self, event: &Event) {
        let now = self.now();
        let snapshot = self.snapshot.clone();
        let mut snapshot = snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let change = snapshot.apply(event);
        self.queue.apply(&change, &*self.scheduler, &snapshot, now);
        if event.deleted {
            self.told.remove(event.object.uid());
        }
    }

    /// Decides about the pods that are ready; says whether there were any.
    async fn decide(&mut self) -> bool {
        let (mut flights, mut requests) = (Vec::new(), Vec::new());
        let mut others = Vec::new();
        for _ in 0..ROUND_MAX {
            let Some(pod) = self.queue.pop(self.now()) else { break };
            let decision = {
                let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
                self.scheduler.schedule(&pod, &snapshot)
            };
            match decision {
                Decision::Bind { node } if self.binds_volumes(&pod, &node, &mut others) => {}
                Decision::Bind { node } => {
                    self.snapshot().assume(&pod, &node);
                    requests.push(Request::bind(&pod.pod, &node));
                    flights.push(Flight { pod, node });
                }
                Decision::Wait(why) => self.wait(&pod, &why, None, &mut others),
                Decision::Preempt { node, victims, why } => {
                    let now = self.now();
                    let aside = self.snapshot().nominate(&pod, &node);
                    others.extend(aside.iter().map(|other| withdraw(other)));
                    others.extend(victims.iter().flat_map(|victim| preempt(victim, &pod, &node, now)));
                    self.wait(&pod, &why, Some(&node), &mut others);
                }
            }
        }
        let decided = !flights.is_empty() || !others.is_empty();
        let answers = self.gateway.execute_all(requests).await;
        for (flight, answer) in flights.into_iter().zip(answers) {
            self.land(&flight, answer.map(|_| ()));
        }
        for answer in self.gateway.execute_all(others).await {
            match answer {
                Err(status) if !status.is_not_found() => {
                    tracing::warn!(%status, "a scheduling decision was not carried out")
                }
                _ => {}
            }
        }
        decided
    }

    /// Claims that wait for the pod's node learn it first: the pod is tried again when they are bound, and goes to their node.
    fn binds_volumes(&mut self, pod: &Arc<PodInfo>, node: &str, requests: &mut Vec<Request>) -> bool {
        let now = self.now();
        let snapshot = self.snapshot.clone();
        let snapshot = snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let claims = open_claims(pod, &snapshot);
        if claims.is_empty() {
            return false;
        }
        let unaware = claims.iter().filter(|claim| selected_node(claim) != Some(node));
        requests.extend(unaware.map(|claim| select_node(claim, node)));
        self.queue.wait(pod, &[VOLUME_BINDING], &*self.scheduler, &snapshot, now);
        true
    }

    fn land(&mut self, flight: &Flight, answer: Result<(), Status>) {
        let Flight { pod, node } = flight;
        match answer {
            Ok(()) => {
                self.queue.done(pod);
                self.told.remove(pod.id());
                let note = format!("Successfully assigned {}/{} to {node}", pod.namespace(), pod.name());
                self.tell(pod, Severity::Normal, "Scheduled", note);
            }
            Err(status) => {
                let now = self.now();
                let change = self.snapshot().forget(pod);
                let snapshot = self.snapshot.clone();
                let snapshot = snapshot.lock().unwrap_or_else(PoisonError::into_inner);
                self.queue.apply(&change, &*self.scheduler, &snapshot, now);
                self.queue.retry(pod, now);
                tracing::debug!(%status, pod = pod.name(), "a binding was refused");
            }
        }
    }

    /// A pod has to wait: says why, once.
    fn wait(
        &mut self,
        pod: &Arc<PodInfo>,
        why: &Unschedulable,
        nominated: Option<&Arc<str>>,
        requests: &mut Vec<Request>,
    ) {
        {
            let now = self.now();
            let snapshot = self.snapshot.clone();
            let snapshot = snapshot.lock().unwrap_or_else(PoisonError::into_inner);
            self.queue.wait(pod, &why.plugins(), &*self.scheduler, &snapshot, now);
        }
        let message = why.to_string();
        if self.told.get(pod.id()).is_some_and(|told| *told == message) && nominated.is_none() {
            return;
        }
        self.told.insert(pod.id().clone(), message.clone());
        self.tell(pod, Severity::Warning, "FailedScheduling", message.clone());
        requests.push(note_waiting(pod, message, nominated, self.now()));
    }

    fn tell(&self, pod: &PodInfo, severity: Severity, reason: &'static str, note: String) {
        let action = if severity == Severity::Normal { "Binding" } else { "Scheduling" };
        self.gateway.record(Happening::new(self.reporter, &*pod.pod, severity, reason, note).acting(action));
    }

    fn snapshot(&self) -> std::sync::MutexGuard<'_, Snapshot> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.gateway.clock().now()
    }
}

/// Tells a claim for which node its volume is to be. Source: volumebinding `AssumePodVolumes`.
fn select_node(claim: &PersistentVolumeClaim, node: &str) -> Request {
    let node = node.to_owned();
    Request::edit_metadata(&ObjectRef::of(claim), move |metadata| {
        metadata.annotations.get_or_insert_default().insert(SELECTED_NODE.to_owned(), node.clone());
        Ok(())
    })
}

/// Writes down why a pod waits. Source: `handleSchedulingFailure`.
fn note_waiting(pod: &PodInfo, message: String, nominated: Option<&Arc<str>>, now: Timestamp) -> Request {
    let nominated = nominated.map(ToString::to_string);
    Request::edit(Target::of(&*pod.pod).below("status"), move |pod: &mut Pod| {
        let generation = pod.metadata.generation;
        let status = pod.status.get_or_insert_default();
        if nominated.is_some() {
            status.nominated_node_name.clone_from(&nominated);
        }
        set_condition(
            status.conditions.get_or_insert_default(),
            PodCondition {
                type_: "PodScheduled".to_owned(),
                status: "False".to_owned(),
                reason: Some("Unschedulable".to_owned()),
                message: Some(message.clone()),
                last_transition_time: Some(coracle_core::time::whole_seconds(now)),
                observed_generation: generation,
                ..PodCondition::default()
            },
        );
        Ok(())
    })
}

/// A node is kept for a pod no longer, because a more important one takes the room. Source: `prepareCandidate`.
fn withdraw(pod: &PodInfo) -> Request {
    Request::edit(Target::of(&*pod.pod).below("status"), |pod: &mut Pod| {
        if let Some(status) = &mut pod.status {
            status.nominated_node_name = None;
        }
        Ok(())
    })
}

/// Makes room: notes on the victim why it goes, then deletes it. Source: `preemption.PrepareCandidate`.
fn preempt(victim: &PodInfo, pod: &PodInfo, node: &str, now: Timestamp) -> [Request; 2] {
    tracing::debug!(victim = victim.name(), pod = pod.name(), node, "preempts");
    let message = format!("{}: preempting to accommodate a higher priority pod", pod.scheduler_name());
    let note = Request::edit(Target::of(&*victim.pod).below("status"), move |victim: &mut Pod| {
        let generation = victim.metadata.generation;
        set_condition(
            victim.status.get_or_insert_default().conditions.get_or_insert_default(),
            PodCondition {
                type_: "DisruptionTarget".to_owned(),
                status: "True".to_owned(),
                reason: Some("PreemptionByScheduler".to_owned()),
                message: Some(message.clone()),
                last_transition_time: Some(coracle_core::time::whole_seconds(now)),
                observed_generation: generation,
                ..PodCondition::default()
            },
        );
        Ok(())
    });
    [note, Request::delete(&*victim.pod)]
}

fn set_condition(conditions: &mut Vec<PodCondition>, mut new: PodCondition) {
    match conditions.iter_mut().find(|condition| condition.type_ == new.type_) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.take();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}
