//! The one word for how a pod is. Source: kubelet `getPhase`.

use k8s_openapi::api::core::v1::Pod;

use super::member::{Member, Role};
use super::observation::{ContainerObservation, Life, PodObservation};
use super::restart;

/// The phase: `Pending`, `Running`, `Succeeded` or `Failed`.
///
/// `over` says that nothing of the pod will run again whatever its policy, because it is being ended.
#[must_use]
pub fn phase(pod: &Pod, members: &[Member], seen: &PodObservation, over: bool) -> &'static str {
    let pairs = || members.iter().zip(&seen.containers);
    let count = |test: &dyn Fn(&Member, &ContainerObservation) -> bool| pairs().filter(|(a, b)| test(a, b)).count();
    let main = |member: &Member| member.role == Role::Main;
    let initialized = pairs().any(|(member, container)| main(member) && container.has_begun());

    let failed_for_good = |member: &Member, container: &ContainerObservation| {
        let ended = container.ended().filter(|ended| !ended.succeeded());
        member.role == Role::Init && ended.is_some_and(|ended| over || !restart::wanted(pod, member, ended))
    };
    if count(&failed_for_good) > 0 && !initialized {
        return "Failed";
    }
    let init_pending = count(&|member, container| match member.role {
        Role::Init => !container.ended().is_some_and(super::observation::Ended::succeeded),
        Role::Sidecar => !container.is_started(),
        Role::Main | Role::Ephemeral => false,
    });
    let running = count(&|member, container| main(member) && container.running().is_some());
    let waiting = count(&|member, container| main(member) && waits_for_first_run(container));
    let succeeded = |container: &ContainerObservation| container.ended().is_some_and(|ended| ended.succeeded());
    let unsuccessful = count(&|member, container| main(member) && !succeeded(container));
    let again = |member: &Member, container: &ContainerObservation| match &container.life {
        Life::Ended(ended) => restart::wanted(pod, member, ended),
        _ => true,
    };
    match () {
        () if over && running == 0 && initialized => finished(unsuccessful),
        () if over && running == 0 => "Failed",
        () if (init_pending > 0 && !initialized) || waiting > 0 => "Pending",
        () if running > 0 => "Running",
        () if count(&|member, container| main(member) && again(member, container)) > 0 => "Running",
        () => finished(unsuccessful),
    }
}

fn finished(unsuccessful: usize) -> &'static str {
    if unsuccessful == 0 { "Succeeded" } else { "Failed" }
}

fn waits_for_first_run(container: &ContainerObservation) -> bool {
    container.last.is_none() && matches!(container.life, Life::Waiting(_) | Life::Pulling | Life::Starting)
}
