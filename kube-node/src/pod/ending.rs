//! The end of a pod: hooks, signals, kills, in the order that is owed to its containers.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::event;
use super::member::{Member, Role};
use super::observation::{Cause, ContainerObservation, Ending, Life, PodObservation, StopReason, StopStage};
use super::span::{after, between};
use super::step::{Action, Step, grace_of};

/// What a container is given at least, once its hook has used up its grace. Source: kubelet `minimumGracePeriodInSeconds`.
const GRACE_MIN: Duration = Duration::from_secs(2);

/// How a container is to be ended.
#[derive(Clone, Copy)]
pub(super) struct Order {
    pub(super) why: StopReason,
    pub(super) deadline: Timestamp,
    pub(super) force: bool,
}

/// Ends everything, then removes what a pod that is gone or deleted leaves behind.
pub(super) fn end(
    pod: &Pod,
    members: &[Member],
    seen: &PodObservation,
    ending: &Ending,
    now: Timestamp,
    step: &mut Step,
) {
    let order = Order { why: StopReason::PodEnds, deadline: ending.deadline, force: ending.force };
    let others = |role: Role| role != Role::Sidecar;
    stop_all(members, seen, order, others, now, step);
    let only_sidecars =
        members.iter().zip(&seen.containers).all(|(member, container)| !others(member.role) || !container.is_active());
    if only_sidecars {
        stop_last_sidecar(members, seen, order, now, step);
    }
    if seen.is_quiet() && matches!(ending.cause, Cause::Deleted | Cause::Gone) {
        clean_up(pod, seen, ending.cause, step);
    }
}

/// Ends what still runs of a pod that has come to its own end: sidecars and ephemeral containers.
pub(super) fn wind_down(pod: &Pod, members: &[Member], seen: &PodObservation, now: Timestamp, step: &mut Step) {
    let order = Order { why: StopReason::PodEnds, deadline: after(now, grace_of(pod)), force: false };
    stop_all(members, seen, order, |role| role != Role::Sidecar, now, step);
    stop_last_sidecar(members, seen, order, now, step);
}

fn stop_all(
    members: &[Member],
    seen: &PodObservation,
    order: Order,
    chosen: impl Fn(Role) -> bool,
    now: Timestamp,
    step: &mut Step,
) {
    for (index, (member, container)) in members.iter().zip(&seen.containers).enumerate() {
        if chosen(member.role) {
            stop(index, member, container, order, now, step);
        }
    }
}

/// Sidecars end after the containers they serve, the last one first.
fn stop_last_sidecar(members: &[Member], seen: &PodObservation, order: Order, now: Timestamp, step: &mut Step) {
    let mut sidecars = members.iter().zip(&seen.containers).enumerate().rev();
    let last = sidecars.find(|(_, (member, container))| member.role == Role::Sidecar && container.is_active());
    if let Some((index, (member, container))) = last {
        stop(index, member, container, order, now, step);
    }
}

/// Brings one container one step closer to its end.
pub(super) fn stop(
    index: usize,
    member: &Member,
    container: &ContainerObservation,
    order: Order,
    now: Timestamp,
    step: &mut Step,
) {
    let Some(running) = container.running() else { return };
    let Order { why, force, .. } = order;
    let deadline = running.stop.map_or(order.deadline, |stop| stop.deadline.min(order.deadline));
    let ask = |grace| Action::Stop { container: index, id: running.id.clone(), grace, why };
    let left = between(now, deadline);
    let grace = if force { left } else { left.max(GRACE_MIN) };
    match running.stop.map(|stop| (stop.stage, stop.deadline)) {
        None => {
            step.act(Action::Tell(event::killing(index, member, why)));
            if has_pre_stop(member) && !force && !left.is_zero() {
                step.act(Action::PreStop(index, why, deadline));
                step.wake(deadline);
            } else {
                step.act(ask(grace));
            }
        }
        Some((StopStage::Hook, _)) if force => step.act(ask(Duration::ZERO)),
        Some((StopStage::Hook, _)) if left.is_zero() => step.act(ask(GRACE_MIN)),
        Some((StopStage::Hook, _)) => step.wake(deadline),
        Some((StopStage::HookDone, _)) => step.act(ask(grace)),
        // The pod's own end may come sooner than the container was told.
        Some((StopStage::Asked, asked)) if after(now, grace) < asked => step.act(ask(grace)),
        Some((StopStage::Asked, _)) => {}
    }
}

fn has_pre_stop(member: &Member) -> bool {
    member.spec.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.pre_stop.is_some())
}

fn clean_up(pod: &Pod, seen: &PodObservation, cause: Cause, step: &mut Step) {
    let sandbox = &seen.sandbox;
    if sandbox.busy || seen.volumes.busy || seen.containers.iter().any(|one| matches!(one.life, Life::Starting)) {
        return;
    }
    if let Some(id) = &sandbox.id {
        step.act(Action::RemoveSandbox(id.clone()));
    } else if !seen.volumes.removed {
        step.act(Action::Unmount);
    } else if cause == Cause::Gone && !seen.delete_asked {
        step.act(Action::Forget);
    } else if !seen.delete_asked && pod.metadata.deletion_timestamp.is_some() {
        step.act(Action::Delete);
    }
}
