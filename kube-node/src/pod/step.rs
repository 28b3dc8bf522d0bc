//! What to do next with a pod: one state further per call.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::ending;
use super::event::{self, Tell};
use super::member::{Member, Role};
use super::observation::{Cause, ContainerObservation, Ending, Hook, Life, PodObservation, Retry, Running, StopReason};
use super::resize::{self, Change};
use super::restart;
use super::span::{after, earliest, seconds};
use crate::runtime::{ContainerId, SandboxId};

/// Something for the node to do, or to note. [`PodObservation::begin`] notes that it is being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make the volumes, or bring them up to date.
    Mount,
    /// Make the place in which the containers run.
    StartSandbox,
    /// Make a container's image available.
    Pull(usize),
    /// Show a pull error as a wait.
    BackOffPull(usize),
    /// Start a container.
    Start(usize),
    /// Run a container's post-start hook.
    PostStart(usize),
    /// Run a container's pre-stop hook, for at most so long.
    PreStop(usize, StopReason, Timestamp),
    /// Note that a container is being ended whose turn has not come.
    WaitTurn(usize, StopReason, Timestamp),
    /// End a container: ask, and kill it after the grace.
    Stop {
        /// Which.
        container: usize,
        /// This run's name in the runtime.
        id: ContainerId,
        /// How long it is given.
        grace: Duration,
        /// Why.
        why: StopReason,
    },
    /// Give a running container the resources its pod was given.
    Resize(usize),
    /// Note that all containers have theirs.
    Resized,
    /// End the pod by its own doing.
    End(Ending),
    /// Give back the addresses of a sandbox in which nothing will run any more.
    ReleaseSandbox(SandboxId),
    /// Remove the sandbox with everything in it.
    RemoveSandbox(SandboxId),
    /// Remove the volumes.
    Unmount,
    /// Write the last status, then delete the object for good.
    Delete,
    /// Nothing is left to do: forget the pod.
    Forget,
    /// Tell people.
    Tell(Tell),
}

/// What to do now, and when to look again if nothing happens before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// In order.
    pub actions: Vec<Action>,
    /// `None`: only when something happens.
    pub wake_at: Option<Timestamp>,
}

impl Step {
    pub(super) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    pub(super) fn wake(&mut self, at: Timestamp) {
        self.wake_at = earliest(self.wake_at, Some(at));
    }
}

/// The next thing to do with a pod. Has no effect of its own: the same arguments give the same answer.
#[must_use]
pub fn step(pod: &Pod, members: &[Member], seen: &PodObservation, now: Timestamp) -> Step {
    let mut step = Step::default();
    if let Some(ending) = &seen.ending {
        ending::end(pod, members, seen, ending, now, &mut step);
    } else if seen.rejected.is_none() && restart::is_over(pod, members, seen) {
        ending::wind_down(pod, members, seen, now, &mut step);
    } else if seen.rejected.is_none() && !past_deadline(pod, seen, now, &mut step) && prepared(seen, now, &mut step) {
        live(pod, members, seen, now, &mut step);
    }
    step
}

/// Ends a pod that was active for longer than it may be.
fn past_deadline(pod: &Pod, seen: &PodObservation, now: Timestamp, step: &mut Step) -> bool {
    let limit = pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds);
    let Some((limit, started_at)) = limit.zip(seen.started_at) else { return false };
    let deadline = after(started_at, seconds(limit));
    if now < deadline {
        step.wake(deadline);
        return false;
    }
    step.act(Action::Tell(event::deadline_exceeded()));
    let deadline = after(now, grace_of(pod));
    step.act(Action::End(Ending { cause: Cause::DeadlineExceeded, deadline, force: false }));
    true
}

/// The grace the pod gives its containers. Default 30 s. Source: core/v1 PodSpec.terminationGracePeriodSeconds.
pub(super) fn grace_of(pod: &Pod) -> Duration {
    seconds(pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30))
}

/// Whether volumes and sandbox are there; if not, goes for them.
fn prepared(seen: &PodObservation, now: Timestamp, step: &mut Step) -> bool {
    let volumes = &seen.volumes;
    let old = volumes.refresh_at.is_some_and(|at| at <= now);
    if (!volumes.ready || volumes.stale || old) && !volumes.busy && due(volumes.retry_at, now, step) {
        step.act(Action::Mount);
    }
    if let Some(at) = volumes.refresh_at.filter(|at| *at > now) {
        step.wake(at);
    }
    let sandbox = &seen.sandbox;
    if volumes.ready && sandbox.id.is_none() && !sandbox.busy && due(sandbox.retry_at, now, step) {
        step.act(Action::StartSandbox);
    }
    volumes.ready && sandbox.id.is_some() && !sandbox.busy
}

fn due(retry_at: Option<Timestamp>, now: Timestamp, step: &mut Step) -> bool {
    match retry_at {
        Some(at) if at > now => {
            step.wake(at);
            false
        }
        _ => true,
    }
}

/// Brings containers to life: init containers and sidecars in order, each a gate for what follows; then all others.
fn live(pod: &Pod, members: &[Member], seen: &PodObservation, now: Timestamp, step: &mut Step) {
    let pairs = || members.iter().zip(&seen.containers).enumerate();
    let initialized = pairs().any(|(_, (member, container))| member.role == Role::Main && container.has_begun_here());
    let mut turn = Turn { pod, now, initialized, starting: pairs().any(|(_, (_, container))| is_starting(container)) };
    // A person who looks for what keeps a pod from starting need not wait for it to start.
    for (index, (member, container)) in pairs().filter(|(_, (member, _))| member.role == Role::Ephemeral) {
        turn.advance(index, member, container, step);
    }
    if let Some(generation) = seen.resize.under_way
        && pairs().all(|(_, (member, container))| has_what_was_given(member, container))
    {
        step.act(Action::Tell(resize::tell("Completed", members, generation, None)));
        step.act(Action::Resized);
    }
    for (index, (member, container)) in pairs() {
        let gate = match member.role {
            Role::Ephemeral => continue,
            Role::Init if initialized => continue,
            Role::Init => !container.ended().is_some_and(super::observation::Ended::succeeded),
            Role::Sidecar => !initialized && !container.is_started(),
            Role::Main => false,
        };
        turn.advance(index, member, container, step);
        if gate {
            return;
        }
    }
}

/// What does not run gets what it was given when it starts.
fn has_what_was_given(member: &Member, container: &ContainerObservation) -> bool {
    container.running().is_none_or(|running| resize::same(&running.spec, &member.spec))
}

/// Starts come one at a time, as upstream's do.
fn is_starting(container: &ContainerObservation) -> bool {
    matches!(container.life, Life::Starting)
        || container.running().is_some_and(|running| running.hook != Hook::Done && running.stop.is_none())
}

struct Turn<'a> {
    pod: &'a Pod,
    now: Timestamp,
    initialized: bool,
    starting: bool,
}

impl Turn<'_> {
    fn advance(&mut self, index: usize, member: &Member, container: &ContainerObservation, step: &mut Step) {
        match &container.life {
            Life::Pulling | Life::Starting => {}
            Life::Waiting(waiting) => match waiting.retry {
                Retry::OnChange => {}
                Retry::At(at) if at > self.now => step.wake(at),
                Retry::Now | Retry::At(_) => self.start(index, member, container, step),
            },
            Life::Ended(ended) => {
                let init_done = member.role == Role::Init && (ended.succeeded() || self.initialized);
                if init_done || !restart::wanted(self.pod, member, ended) {
                    return;
                }
                match container.crashes.due(ended.exit.finished_at) {
                    Some(at) if at > self.now => step.wake(at),
                    _ => self.start(index, member, container, step),
                }
            }
            Life::Running(running) => {
                if running.stop.is_none() && running.hook == Hook::Due {
                    step.act(Action::PostStart(index));
                }
                self.watch(index, member, container, step);
            }
        }
    }

    fn start(&mut self, index: usize, member: &Member, container: &ContainerObservation, step: &mut Step) {
        if container.pulled {
            if !self.starting {
                self.starting = true;
                step.act(Action::Start(index));
            }
            return;
        }
        match container.pulls.pending().filter(|due| *due > self.now) {
            None => step.act(Action::Pull(index)),
            Some(due) => {
                if matches!(&container.life, Life::Waiting(waiting) if waiting.reason == Some("ErrImagePull")) {
                    event::backing_off(index, member).into_iter().for_each(|tell| step.act(Action::Tell(tell)));
                    step.act(Action::BackOffPull(index));
                }
                step.wake(due);
            }
        }
    }

    /// Ends a running container that is sick or was changed, and carries on with an end that has begun.
    fn watch(&self, index: usize, member: &Member, container: &ContainerObservation, step: &mut Step) {
        let Some(running) = container.running() else { return };
        let why = match (running.stop, container.health.failed) {
            (Some(stop), _) => Some(stop.why),
            (None, Some(failed)) => Some(failed),
            (None, None) if running.spec.image != member.spec.image => Some(StopReason::Changed),
            (None, None) => match resize::same(&running.spec, &member.spec) {
                true => None,
                false if resize::restarts(&running.spec, &member.spec) => Some(StopReason::Resized),
                false => return self.resize(index, running, step),
            },
        };
        let Some(why) = why else { return };
        let grace = container.health.grace.unwrap_or_else(|| grace_of(self.pod));
        let deadline = running.stop.map_or_else(|| after(self.now, grace), |stop| stop.deadline);
        let again = restart::after_kill(self.pod, member);
        let order = ending::Order { why, deadline, force: false, again, turn: true };
        ending::stop(index, member, container, order, self.now, step);
    }

    fn resize(&self, index: usize, running: &Running, step: &mut Step) {
        match &running.resize {
            Change::Busy => {}
            Change::Failed(_, again) if *again > self.now => step.wake(*again),
            Change::Idle | Change::Failed(..) => step.act(Action::Resize(index)),
        }
    }
}
