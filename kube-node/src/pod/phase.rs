//! The one word for how a pod is. Source: kubelet `getPhase`.

use k8s_openapi::api::core::v1::Pod;

use super::member::{Member, Role};
use super::observation::{ContainerObservation, Ended, Life, PodObservation};
use super::restart;

/// Whether a pod of this phase is over.
#[must_use]
pub fn is_terminal(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed")
}

/// The phase: `Pending`, `Running`, `Succeeded` or `Failed`.
///
/// `over` says that nothing of the pod will run again whatever its policy, because it is being ended.
#[must_use]
pub fn phase(pod: &Pod, members: &[Member], seen: &PodObservation, over: bool) -> &'static str {
    let pairs = || members.iter().zip(&seen.containers);
    let initialized = pairs().any(|(member, one)| member.role == Role::Main && one.has_begun_here());
    let mut count = Count::default();
    pairs().for_each(|(member, container)| count.add(pod, member, container));
    match () {
        () if count.failed_for_good > 0 => "Failed",
        () if over && count.running == 0 && (count.waits(initialized) || count.stopped == 0) => "Failed",
        () if count.waits(initialized) => "Pending",
        () if count.running > 0 => "Running",
        () if count.stopped == 0 => "Pending",
        () if count.again > 0 && !over => "Running",
        () if count.succeeded == count.stopped => "Succeeded",
        () => "Failed",
    }
}

/// How many containers are how.
#[derive(Default)]
struct Count {
    /// Init containers that have not ended.
    init: usize,
    /// Init containers that will not be tried again.
    failed_for_good: usize,
    /// Sidecars that are not up for the first time.
    sidecars_not_up: usize,
    /// Main containers and sidecars that run.
    running: usize,
    /// Main containers and sidecars that have never run.
    waiting: usize,
    /// Main containers whose run is over.
    stopped: usize,
    /// Those of them that will run again.
    again: usize,
    /// Those of them that ended well.
    succeeded: usize,
}

impl Count {
    fn add(&mut self, pod: &Pod, member: &Member, container: &ContainerObservation) {
        let runs = container.running().is_some();
        let ended = latest_end(container);
        let again = ended.is_some_and(|ended| restart::wanted(pod, member, ended));
        let number = usize::from;
        match member.role {
            Role::Ephemeral => {}
            Role::Init => {
                let failed = ended.is_some_and(|ended| !ended.succeeded()) && !runs;
                self.failed_for_good += number(failed && !again);
                self.init += number(runs || ended.is_none());
            }
            Role::Sidecar => {
                let waits = !runs && ended.is_none();
                self.sidecars_not_up += number(waits || (runs && !container.is_started()));
                self.running += number(runs);
                self.waiting += number(waits);
            }
            Role::Main => {
                self.running += number(runs);
                self.waiting += number(!runs && ended.is_none());
                self.stopped += number(!runs && ended.is_some());
                self.again += number(!runs && again);
                self.succeeded += number(container.ended().is_some_and(Ended::succeeded));
            }
        }
    }

    fn waits(&self, initialized: bool) -> bool {
        self.init > 0 || (self.sidecars_not_up > 0 && !initialized) || self.waiting > 0
    }
}

/// How a container's latest run ended: one that gets ready for its next run has ended until then.
fn latest_end(container: &ContainerObservation) -> Option<&Ended> {
    match &container.life {
        Life::Ended(ended) => Some(ended),
        Life::Running(_) => None,
        Life::Waiting(_) | Life::Pulling | Life::Starting => container.last.as_ref(),
    }
}
