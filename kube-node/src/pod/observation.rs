//! What a node knows of one pod: pure data that [`super::step()`] decides on.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;

use super::admission::Rejection;
use super::back_off::BackOff;
use super::resize::{Change, Resize};
use crate::runtime::{ContainerId, Exit, ImageId, SandboxId};

/// What a node knows of one pod.
#[derive(Clone, Debug, Default)]
pub struct PodObservation {
    /// When the node took the pod in; `status.startTime`.
    pub started_at: Option<Timestamp>,
    /// Why the node does not take it, if so.
    pub rejected: Option<Rejection>,
    /// Its volumes.
    pub volumes: Volumes,
    /// Its sandbox.
    pub sandbox: SandboxObservation,
    /// Its containers, in the order of its members.
    pub containers: Vec<ContainerObservation>,
    /// Why and how it is being ended, if so.
    pub ending: Option<Ending>,
    /// How an in-place resize goes.
    pub resize: Resize,
    /// Ends that were told before their container's start was.
    pub early: Vec<(ContainerId, Exit)>,
    /// Whether it was active for longer than it may be.
    pub overdue: bool,
    /// Whether the object's final deletion was asked for.
    pub delete_asked: bool,
}

/// The volumes of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volumes {
    /// Whether all are there.
    pub ready: bool,
    /// Whether something is being done about them.
    pub busy: bool,
    /// Whether what they show has changed.
    pub stale: bool,
    /// Whether they were removed.
    pub removed: bool,
    /// When what they show gets old by itself: tokens.
    pub refresh_at: Option<Timestamp>,
    /// When to try again after trouble.
    pub retry_at: Option<Timestamp>,
    /// How patient to be.
    pub back_off: Option<BackOff>,
}

/// The sandbox of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxObservation {
    /// Its name, once it is there.
    pub id: Option<SandboxId>,
    /// Which one it is, or the next one will be.
    pub attempt: u32,
    /// Its addresses, the main one first; the pod shows them even when they were given back.
    pub addresses: Vec<IpAddr>,
    /// Whether its addresses were given back, since the pod is over.
    pub released: bool,
    /// Whether it is being started, released or removed.
    pub busy: bool,
    /// When to try again after trouble.
    pub retry_at: Option<Timestamp>,
    /// How patient to be.
    pub back_off: Option<BackOff>,
}

/// Why a pod is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its deletion was asked for.
    Deleted,
    /// There is no such object any more.
    Gone,
    /// `activeDeadlineSeconds` are over.
    DeadlineExceeded,
    /// Someone else said it has succeeded or failed.
    Terminal,
    /// The node stops.
    Shutdown,
}

/// A pod being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub cause: Cause,
    /// When its containers are killed.
    pub deadline: Timestamp,
    /// Whether there is no grace at all.
    pub force: bool,
}

/// What a node knows of one container.
#[derive(Clone, Debug)]
pub struct ContainerObservation {
    /// How it is.
    pub life: Life,
    /// Which run it is in, or the next one will be: `restartCount`.
    pub attempt: u32,
    /// How the run before ended.
    pub last: Option<Ended>,
    /// Whether it was started in this sandbox.
    pub begun: bool,
    /// The image as it was resolved last.
    pub image: Option<ImageId>,
    /// Whether the image was made available for the next run.
    pub pulled: bool,
    /// Its wait between runs.
    pub crashes: BackOff,
    /// Its wait between pulls.
    pub pulls: BackOff,
    /// What its probes say.
    pub health: Health,
}

impl Default for ContainerObservation {
    fn default() -> Self {
        Self {
            life: Life::Waiting(Waiting::default()),
            attempt: 0,
            last: None,
            begun: false,
            image: None,
            pulled: false,
            crashes: BackOff::CRASH,
            pulls: BackOff::CRASH,
            health: Health::default(),
        }
    }
}

/// How a container is.
#[derive(Clone, Debug, PartialEq)]
pub enum Life {
    /// It does not run yet.
    Waiting(Waiting),
    /// Its image is being pulled.
    Pulling,
    /// It is being started.
    Starting,
    /// It runs.
    Running(Running),
    /// It ended.
    Ended(Ended),
}

/// Why a container does not run yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// In a word; `None` while it is only its turn that has not come.
    pub reason: Option<&'static str>,
    /// For people.
    pub message: String,
    /// When to try again.
    pub retry: Retry,
}

/// When to try again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// At once.
    #[default]
    Now,
    /// From then on.
    At(Timestamp),
    /// When something it depends on changes.
    OnChange,
}

/// A running container.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// This run's name in the runtime.
    pub id: ContainerId,
    /// What it was started from; its resources are those in force.
    pub spec: Arc<Container>,
    /// Since when.
    pub since: Timestamp,
    /// Its post-start hook.
    pub hook: Hook,
    /// How the change of its resources goes.
    pub resize: Change,
    /// How it is being ended, if so.
    pub stop: Option<Stop>,
}

/// How far a post-start hook is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hook {
    /// There is none, or it is done.
    #[default]
    Done,
    /// It is still to be run.
    Due,
    /// It runs.
    Running,
}

/// A container being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// How far that is.
    pub stage: StopStage,
    /// When it is killed.
    pub deadline: Timestamp,
    /// Why.
    pub why: StopReason,
}

/// How far the end of a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopStage {
    /// Its pre-stop hook runs.
    Hook,
    /// The hook is done, the runtime is to be told.
    HookDone,
    /// The runtime was told.
    Asked,
}

/// Why a container is ended while its pod goes on, or with its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Its pod ends.
    PodEnds,
    /// Its liveness probe failed.
    Liveness,
    /// Its startup probe failed.
    Startup,
    /// Its post-start hook failed.
    PostStart,
    /// Its image was changed.
    Changed,
    /// Its resources were changed, which it does not bear while it runs.
    Resized,
}

/// A container that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// That run's name in the runtime; `None` if nobody knows.
    pub id: Option<ContainerId>,
    /// How.
    pub exit: Exit,
    /// In a word, such as `Completed`.
    pub reason: String,
    /// What it left to say.
    pub message: String,
}

impl Ended {
    /// Whether it ended well.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.exit.code == 0
    }

    /// A run of which nothing is left but the memory. Source: kubelet `convertStatusToAPIStatus`.
    #[must_use]
    pub fn lost(now: Timestamp) -> Self {
        let exit = Exit {
            code: 137,
            signal: 0,
            out_of_memory: false,
            started_at: Timestamp::UNIX_EPOCH,
            finished_at: now,
            message: String::new(),
        };
        Self {
            id: None,
            exit,
            reason: "ContainerStatusUnknown".to_owned(),
            message: "The container could not be located when the pod was terminated".to_owned(),
        }
    }
}

/// What the probes say of a running container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The startup probe succeeded, or there is none.
    pub started: bool,
    /// The readiness probe succeeded last, or there is none.
    pub ready: bool,
    /// The probe that wants it restarted.
    pub failed: Option<StopReason>,
    /// The grace that probe gives, if it gives one.
    pub grace: Option<Duration>,
}

impl PodObservation {
    /// Knows nothing yet of a pod with so many containers.
    #[must_use]
    pub fn of(containers: usize) -> Self {
        Self { containers: vec![ContainerObservation::default(); containers], ..Self::default() }
    }

    /// Whether any container runs or is about to.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        !self.containers.iter().any(ContainerObservation::is_active)
    }
}

impl ContainerObservation {
    /// The run, while it runs.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        if let Life::Running(running) = &self.life { Some(running) } else { None }
    }

    /// The run, while it runs, to be changed.
    pub fn running_mut(&mut self) -> Option<&mut Running> {
        if let Life::Running(running) = &mut self.life { Some(running) } else { None }
    }

    /// How it ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<&Ended> {
        if let Life::Ended(ended) = &self.life { Some(ended) } else { None }
    }

    /// Whether the runtime has or may get something of it that runs.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.life, Life::Running(_) | Life::Starting)
    }

    /// Whether it was started in this sandbox, or is about to be.
    #[must_use]
    pub fn has_begun_here(&self) -> bool {
        self.begun || matches!(self.life, Life::Starting)
    }

    /// Whether it was ever started.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.is_active() || matches!(self.life, Life::Ended(_)) || self.last.is_some()
    }

    /// Whether it runs, its post-start hook is done and its startup probe has succeeded.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.running().is_some_and(|running| running.hook == Hook::Done) && self.health.started
    }

    /// Whether it runs and is ready to serve.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_started() && self.health.ready
    }
}
