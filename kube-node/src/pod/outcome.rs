//! What came of an action, and how it changes what is known. Pure: the second half of the pod machine.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};

use super::back_off::BackOff;
use super::event::Tell;
use super::member::{Member, Role};
use super::observation::{
    Cause, ContainerObservation, Ended, Health, Hook, Life, PodObservation, Retry, Running, Stop, StopReason,
    StopStage, Waiting,
};
use super::resize::{self, Change};
use super::restart;
use super::span::after;
use super::step::Action;
use crate::runtime::{ContainerId, Exit, ImageId, SandboxStatus};

/// For how long a pull error is shown as such before it is shown as a back-off: upstream's next look at the pod.
const PULL_ERROR_SHOWN: Duration = Duration::from_secs(1);
/// After how long a runtime that failed to change a container's resources is told again.
const RESIZE_AGAIN: Duration = Duration::from_secs(10);

/// What came of an action, or happened by itself.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The volumes are there; what they show gets old at that moment, if ever.
    Mounted(Option<Timestamp>),
    /// A volume could not be made. The message names it.
    MountFailed(String),
    /// The volumes are gone.
    Unmounted,
    /// The sandbox is there.
    SandboxStarted(SandboxStatus),
    /// The sandbox could not be started.
    SandboxFailed(String),
    /// The sandbox has no addresses any more.
    SandboxReleased,
    /// The sandbox is gone.
    SandboxRemoved(Result<(), String>),
    /// The image is there.
    Pulled(usize, ImageId, Pull),
    /// The image could not be had.
    PullFailed(usize, String),
    /// The container runs.
    Started(usize, ContainerId),
    /// The container could not be started.
    StartFailed(usize, StartError),
    /// The post-start hook ended.
    PostStarted(usize, Result<(), String>),
    /// The pre-stop hook ended.
    PreStopped(usize, Result<(), String>),
    /// A running container has these resources now, or the runtime could not give them.
    Resized(usize, Arc<Container>, Result<(), String>),
    /// The runtime says that there is no such container any more.
    Lost(usize, ContainerId),
    /// The container ended.
    Exited(ContainerId, Exit, String),
}

/// How an image was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// It was there before.
    Present,
    /// It was pulled, which took so long.
    Took(Duration),
}

/// Why a container could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// In a word, such as `CreateContainerConfigError`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Whether the sandbox itself is lost.
    pub sandbox_lost: bool,
}

impl StartError {
    /// What the container asks for cannot be worked out: it waits for a change.
    pub const CONFIG: &'static str = "CreateContainerConfigError";
    /// The runtime does not want the container as it is.
    pub const CREATE: &'static str = "CreateContainerError";
    /// The runtime could not start it.
    pub const RUN: &'static str = "RunContainerError";
}

impl PodObservation {
    /// Notes that an action is being carried out.
    pub fn begin(&mut self, action: &Action, members: &[Member], now: Timestamp) {
        match action {
            Action::Mount => {
                self.volumes.busy = true;
                self.volumes.stale = false;
            }
            Action::Unmount => self.volumes.busy = true,
            Action::StartSandbox | Action::ReleaseSandbox(_) | Action::RemoveSandbox(_) => self.sandbox.busy = true,
            Action::BackOffPull(index) => self.change(*index, |container| {
                let image = members.get(*index).map_or("", Member::image);
                container.back_off_pull(image);
            }),
            Action::Pull(index) => self.change(*index, |container| container.begin_run(now, Life::Pulling)),
            Action::Start(index) => self.change(*index, |container| container.begin_run(now, Life::Starting)),
            Action::PostStart(index) => self.change_running(*index, |running| running.hook = Hook::Running),
            Action::PreStop(index, why, deadline) => {
                let stop = Stop { stage: StopStage::Hook, deadline: *deadline, why: *why };
                self.change_running(*index, |running| running.stop = Some(stop));
            }
            Action::Stop { container, grace, why, .. } => {
                let stop = Stop { stage: StopStage::Asked, deadline: after(now, *grace), why: *why };
                self.change_running(*container, |running| running.stop = Some(stop));
            }
            Action::WaitTurn(index, why, deadline) => {
                let stop = Stop { stage: StopStage::HookDone, deadline: *deadline, why: *why };
                self.change_running(*index, |running| running.stop = Some(stop));
            }
            Action::End(ending) => {
                self.ending = Some(*ending);
                self.overdue |= ending.cause == Cause::DeadlineExceeded;
            }
            Action::Resize(index) => self.change_running(*index, |running| running.resize = Change::Busy),
            Action::Resized => self.resize.under_way = None,
            Action::Delete | Action::Forget => self.delete_asked = true,
            Action::Tell(_) => {}
        }
        debug_assert_eq!(members.len(), self.containers.len(), "one observation per member");
    }

    /// Takes in what came of an action; returns what people are told of it.
    pub fn apply(&mut self, outcome: Outcome, pod: &Pod, members: &[Member], now: Timestamp) -> Vec<Tell> {
        match outcome {
            Outcome::Mounted(refresh_at) => {
                let stale = self.volumes.stale;
                self.volumes = super::observation::Volumes { ready: true, stale, refresh_at, ..Default::default() };
                Vec::new()
            }
            Outcome::MountFailed(message) => {
                let volumes = &mut self.volumes;
                volumes.busy = false;
                volumes.refresh_at = None;
                let back_off = volumes.back_off.get_or_insert(BackOff::MOUNT);
                back_off.grow(now, now);
                volumes.retry_at = back_off.due(now);
                // What is shown already stays; the next try brings it up to date.
                volumes.stale = volumes.ready;
                vec![Tell::warning(None, "FailedMount", message)]
            }
            Outcome::Unmounted => {
                self.volumes.busy = false;
                self.volumes.removed = true;
                Vec::new()
            }
            Outcome::SandboxStarted(status) => {
                self.sandbox.busy = false;
                self.sandbox.retry_at = None;
                self.sandbox.back_off = None;
                self.sandbox.id = Some(status.id);
                self.sandbox.addresses = status.addresses;
                self.sandbox.released = false;
                self.initialize_again(members);
                Vec::new()
            }
            Outcome::SandboxFailed(message) => {
                let back_off = self.sandbox.back_off.get_or_insert(BackOff::MOUNT);
                back_off.grow(now, now);
                self.sandbox.busy = false;
                self.sandbox.retry_at = back_off.due(now);
                vec![Tell::warning(None, "FailedCreatePodSandBox", format!("Failed to create pod sandbox: {message}"))]
            }
            Outcome::SandboxReleased => {
                self.sandbox.busy = false;
                self.sandbox.released = true;
                Vec::new()
            }
            Outcome::SandboxRemoved(_) => {
                self.sandbox.busy = false;
                self.sandbox.id = None;
                Vec::new()
            }
            Outcome::Pulled(index, image, how) => self.pulled(index, image, how, members),
            Outcome::PullFailed(index, message) => self.pull_failed(index, &message, members, now),
            Outcome::Started(index, id) => self.started(index, id, pod, members, now),
            Outcome::StartFailed(index, error) => self.start_failed(index, error, now),
            Outcome::PostStarted(index, result) => self.post_started(index, result),
            Outcome::PreStopped(index, result) => self.pre_stopped(index, result),
            Outcome::Resized(index, spec, result) => self.resized(index, &spec, result, members, now),
            Outcome::Lost(index, id) => {
                let lost = self.containers.get(index).and_then(ContainerObservation::running);
                match lost.filter(|running| running.id == id).map(|running| running.since) {
                    Some(since) => {
                        let mut ended = Ended::lost(now);
                        (ended.exit.started_at, ended.id) = (since, Some(id));
                        self.change(index, |container| container.life = Life::Ended(ended));
                        Vec::new()
                    }
                    None => Vec::new(),
                }
            }
            Outcome::Exited(id, exit, message) => self.exited(&id, exit, message, pod, members, now),
        }
    }

    fn pulled(&mut self, index: usize, image: ImageId, how: Pull, members: &[Member]) -> Vec<Tell> {
        let Some(container) = self.containers.get_mut(index).filter(|one| one.life == Life::Pulling) else {
            return Vec::new();
        };
        container.image = Some(image);
        container.pulled = true;
        container.pulls = BackOff::CRASH;
        container.life = Life::Waiting(Waiting::default());
        let name = members.get(index).map_or("", Member::image);
        let note = match how {
            Pull::Present => {
                format!("Container image {name:?} already present on machine and can be accessed by the pod")
            }
            Pull::Took(time) => {
                let time = display(time);
                format!("Successfully pulled image {name:?} in {time} ({time} including waiting). Image size: 0 bytes.")
            }
        };
        vec![Tell::normal(Some(index), "Pulled", note)]
    }

    fn pull_failed(&mut self, index: usize, message: &str, members: &[Member], now: Timestamp) -> Vec<Tell> {
        let Some(container) = self.containers.get_mut(index).filter(|one| one.life == Life::Pulling) else {
            return Vec::new();
        };
        let member = members.get(index);
        let image = member.map_or("", Member::image);
        if member.is_some_and(|member| member.spec.image_pull_policy.as_deref() == Some("Never")) {
            let note = format!("Container image {image:?} is not present with pull policy of Never");
            container.wait("ErrImageNeverPull", note.clone(), Retry::OnChange);
            return vec![
                Tell::warning(Some(index), "ErrImageNeverPull", note),
                Tell::warning(Some(index), "Failed", "Error: ErrImageNeverPull"),
            ];
        }
        container.pulls.grow(now, now);
        container.wait("ErrImagePull", message.to_owned(), Retry::At(after(now, PULL_ERROR_SHOWN)));
        vec![
            Tell::warning(Some(index), "Failed", format!("Failed to pull image {image:?}: {message}")),
            Tell::warning(Some(index), "Failed", "Error: ErrImagePull"),
        ]
    }

    fn started(&mut self, index: usize, id: ContainerId, pod: &Pod, members: &[Member], now: Timestamp) -> Vec<Tell> {
        let (Some(container), Some(member)) = (self.containers.get_mut(index), members.get(index)) else {
            return Vec::new();
        };
        container.begun = true;
        let hook = member.spec.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.post_start.is_some());
        container.life = Life::Running(Running {
            id: id.clone(),
            spec: member.spec.clone(),
            since: now,
            hook: if hook { Hook::Due } else { Hook::Done },
            resize: Change::Idle,
            stop: None,
        });
        container.health = Health {
            started: member.spec.startup_probe.is_none(),
            ready: member.spec.readiness_probe.is_none(),
            ..Health::default()
        };
        let mut tells = vec![
            Tell::normal(Some(index), "Created", "Container created"),
            Tell::normal(Some(index), "Started", "Container started"),
        ];
        if let Some(early) = self.early.iter().position(|(early, _)| *early == id) {
            let (id, exit) = self.early.swap_remove(early);
            tells.extend(self.exited(&id, exit, String::new(), pod, members, now));
        }
        tells
    }

    fn start_failed(&mut self, index: usize, error: StartError, now: Timestamp) -> Vec<Tell> {
        let StartError { reason, message, sandbox_lost } = error;
        if sandbox_lost {
            self.lose_sandbox(now);
            let note = "Pod sandbox changed, it will be killed and re-created.";
            return vec![Tell::normal(None, "SandboxChanged", note)];
        }
        let Some(container) = self.containers.get_mut(index) else { return Vec::new() };
        let retry = if reason == StartError::CONFIG {
            Retry::OnChange
        } else {
            container.crashes.grow(now, now);
            container.crashes.pending().map_or(Retry::OnChange, Retry::At)
        };
        container.wait(reason, message.clone(), retry);
        vec![Tell::warning(Some(index), "Failed", format!("Error: {message}"))]
    }

    /// What init containers and sidecars did in an earlier sandbox does not count in a new one.
    fn initialize_again(&mut self, members: &[Member]) {
        let first = |member: &Member| matches!(member.role, Role::Init | Role::Sidecar);
        for (_, container) in members.iter().zip(&mut self.containers).filter(|(member, _)| first(member)) {
            if let Life::Ended(ended) = &container.life {
                container.last = Some(ended.clone());
                container.attempt += 1;
                container.life = Life::Waiting(Waiting::default());
            }
        }
    }

    /// Starts over: what ran in a sandbox that is no more has ended, and init containers run again.
    pub fn lose_sandbox(&mut self, now: Timestamp) {
        self.sandbox.id = None;
        self.sandbox.busy = false;
        self.sandbox.attempt += 1;
        for container in &mut self.containers {
            let last = match std::mem::replace(&mut container.life, Life::Waiting(Waiting::default())) {
                Life::Running(_) => Some(Ended::lost(now)),
                Life::Ended(ended) => Some(ended),
                Life::Waiting(_) | Life::Pulling | Life::Starting => None,
            };
            container.attempt += u32::from(last.is_some());
            container.last = last.or(container.last.take());
            container.begun = false;
            container.pulled = false;
        }
    }

    fn post_started(&mut self, index: usize, result: Result<(), String>) -> Vec<Tell> {
        let Some(container) = self.containers.get_mut(index) else { return Vec::new() };
        let Some(running) = container.running_mut().filter(|running| running.hook == Hook::Running) else {
            return Vec::new();
        };
        running.hook = Hook::Done;
        let Err(why) = result else { return Vec::new() };
        // What a hook says may be secret: it is for those who read the node's log.
        tracing::debug!(%why, "a post-start hook failed");
        container.health.failed = Some(StopReason::PostStart);
        vec![Tell::warning(Some(index), "FailedPostStartHook", "PostStartHook failed")]
    }

    fn resized(
        &mut self,
        index: usize,
        spec: &Arc<Container>,
        result: Result<(), String>,
        members: &[Member],
        now: Timestamp,
    ) -> Vec<Tell> {
        let generation = self.resize.under_way.unwrap_or_default();
        let Some(running) = self.containers.get_mut(index).and_then(ContainerObservation::running_mut) else {
            return Vec::new();
        };
        match result {
            Ok(()) => {
                running.resize = Change::Idle;
                running.spec = Arc::new(Container { resources: spec.resources.clone(), ..(*running.spec).clone() });
                Vec::new()
            }
            Err(why) => {
                let tell = resize::tell("Error", members, generation, Some(&why));
                running.resize = Change::Failed(why, after(now, RESIZE_AGAIN));
                vec![tell]
            }
        }
    }

    fn pre_stopped(&mut self, index: usize, result: Result<(), String>) -> Vec<Tell> {
        let running = self.containers.get_mut(index).and_then(ContainerObservation::running_mut);
        let Some(stop) = running.and_then(|running| running.stop.as_mut()) else { return Vec::new() };
        if stop.stage == StopStage::Hook {
            stop.stage = StopStage::HookDone;
        }
        let Err(why) = result else { return Vec::new() };
        tracing::debug!(%why, "a pre-stop hook failed");
        vec![Tell::warning(Some(index), "FailedPreStopHook", "PreStopHook failed")]
    }

    fn exited(
        &mut self,
        id: &ContainerId,
        exit: Exit,
        message: String,
        pod: &Pod,
        members: &[Member],
        now: Timestamp,
    ) -> Vec<Tell> {
        let runs = |container: &ContainerObservation| container.running().is_some_and(|running| running.id == *id);
        let Some(index) = self.containers.iter().position(runs) else {
            if self.containers.iter().any(|container| container.life == Life::Starting) {
                self.early.push((id.clone(), exit));
            }
            return Vec::new();
        };
        let (Some(container), Some(member)) = (self.containers.get_mut(index), members.get(index)) else {
            return Vec::new();
        };
        let ended = Ended { id: Some(id.clone()), reason: reason_of(&exit).to_owned(), exit, message };
        let again = self.ending.is_none() && restart::wanted(pod, member, &ended);
        let due = container.crashes.due(ended.exit.finished_at).filter(|due| again && *due > now);
        container.life = Life::Ended(ended);
        container.pulled = false;
        container.health = Health::default();
        due.map(|_| {
            let note = format!(
                "Back-off restarting failed container {} in pod {}",
                member.spec.name,
                super::status::full_name(pod)
            );
            Tell::warning(Some(index), "BackOff", note)
        })
        .into_iter()
        .collect()
    }

    fn change(&mut self, index: usize, change: impl FnOnce(&mut ContainerObservation)) {
        if let Some(container) = self.containers.get_mut(index) {
            change(container);
        }
    }

    fn change_running(&mut self, index: usize, change: impl FnOnce(&mut Running)) {
        if let Some(running) = self.containers.get_mut(index).and_then(ContainerObservation::running_mut) {
            change(running);
        }
    }
}

impl ContainerObservation {
    /// A run begins with its pull; its start only goes on with it.
    fn begin_run(&mut self, now: Timestamp, life: Life) {
        let was = std::mem::replace(&mut self.life, life);
        if let Life::Ended(ended) = was {
            self.crashes.grow(ended.exit.finished_at, now);
            self.attempt += 1;
            self.last = Some(ended);
        }
    }

    /// A pull error that was shown for a while is shown as a wait.
    fn back_off_pull(&mut self, image: &str) {
        let due = self.pulls.pending().map_or(Retry::Now, Retry::At);
        if let Life::Waiting(waiting) = &mut self.life {
            let message = format!("Back-off pulling image {image:?}: ErrImagePull: {}", waiting.message);
            *waiting = Waiting { reason: Some("ImagePullBackOff"), message, retry: due };
        }
    }

    fn wait(&mut self, reason: &'static str, message: String, retry: Retry) {
        self.life = Life::Waiting(Waiting { reason: Some(reason), message, retry });
    }
}

/// As upstream names ends.
fn reason_of(exit: &Exit) -> &'static str {
    match exit {
        Exit { out_of_memory: true, .. } => "OOMKilled",
        Exit { code: 0, .. } => "Completed",
        _ => "Error",
    }
}

fn display(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{}ms", time.as_millis())
    } else {
        format!("{:.3}s", time.as_secs_f64())
    }
}
