//! Whether a container that ended runs again, and whether a pod is over.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::member::{Member, Role};
use super::observation::{ContainerObservation, Ended, PodObservation};

/// Whether a container that ended so is to run again.
///
/// A container's own rules come first, then its own policy, then the pod's (default `Always`); a sidecar always runs again, an
/// init container until it succeeds unless the policy is `Never`. Source: kubelet `ShouldContainerBeRestarted`.
#[must_use]
pub fn wanted(pod: &Pod, member: &Member, ended: &Ended) -> bool {
    match member.role {
        Role::Ephemeral => false,
        Role::Sidecar => true,
        Role::Init => !ended.succeeded() && (by_rules(&member.spec, ended) || policy(pod, &member.spec) != "Never"),
        Role::Main if by_rules(&member.spec, ended) => true,
        Role::Main => match policy(pod, &member.spec) {
            "Never" => false,
            "OnFailure" => !ended.succeeded(),
            _ => true,
        },
    }
}

/// Whether people are told that a main container that is killed for its probes runs again. Rules that go by exit codes do not
/// count: it has none yet. Of sidecars, which always do, upstream does not say it.
#[must_use]
pub fn after_kill(pod: &Pod, member: &Member) -> bool {
    member.role == Role::Main && policy(pod, &member.spec) != "Never"
}

/// Whether the pod has come to its own end: no container will run again, or an init container has failed for good.
#[must_use]
pub fn is_over(pod: &Pod, members: &[Member], seen: &PodObservation) -> bool {
    let for_good = |(member, container): (&Member, &ContainerObservation)| {
        container.ended().is_some_and(|ended| !wanted(pod, member, ended))
    };
    let pairs = || members.iter().zip(&seen.containers);
    let failed = |(member, container): (&Member, &ContainerObservation)| {
        member.role == Role::Init
            && container.ended().is_some_and(|ended| !ended.succeeded() && !wanted(pod, member, ended))
    };
    pairs().any(failed) || pairs().filter(|(member, _)| member.role == Role::Main).all(for_good)
}

fn policy<'a>(pod: &'a Pod, container: &'a Container) -> &'a str {
    let of_pod = || pod.spec.as_ref()?.restart_policy.as_deref();
    container.restart_policy.as_deref().or_else(of_pod).unwrap_or("Always")
}

fn by_rules(container: &Container, ended: &Ended) -> bool {
    container.restart_policy_rules.iter().flatten().any(|rule| {
        let Some(codes) = &rule.exit_codes else { return false };
        let listed = codes.values.iter().flatten().any(|code| *code == ended.exit.code);
        rule.action == "Restart" && listed == (codes.operator == "In")
    })
}
