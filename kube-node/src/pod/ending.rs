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
    /// Whether it runs again afterwards.
    pub(super) again: bool,
    /// Whether it may be told to end: sidecars first wait for those they serve.
    pub(super) turn: bool,
}

impl Order {
    fn with_pod(deadline: Timestamp, force: bool) -> Self {
        Self { why: StopReason::PodEnds, deadline, force, again: false, turn: true }
    }
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
    stop_all(members, seen, Order::with_pod(ending.deadline, ending.force), now, step);
    match ending.cause {
        _ if !seen.is_quiet() => {}
        Cause::Deleted | Cause::Gone => clean_up(pod, seen, ending.cause, step),
        Cause::DeadlineExceeded | Cause::Terminal => release(seen, step),
        Cause::Shutdown => {}
    }
}

/// Ends what still runs of a pod that has come to its own end: sidecars and ephemeral containers.
pub(super) fn wind_down(pod: &Pod, members: &[Member], seen: &PodObservation, now: Timestamp, step: &mut Step) {
    stop_all(members, seen, Order::with_pod(after(now, grace_of(pod)), false), now, step);
    if seen.is_quiet() {
        release(seen, step);
    }
}

/// Ends all containers at once, except that sidecars wait for those they serve, the last one first; their hooks do not.
fn stop_all(members: &[Member], seen: &PodObservation, order: Order, now: Timestamp, step: &mut Step) {
    let pairs = || members.iter().zip(&seen.containers).enumerate();
    let (sidecars, others): (Vec<_>, Vec<_>) = pairs().partition(|(_, (member, _))| member.role == Role::Sidecar);
    let mut turn = others.iter().all(|(_, (_, container))| !container.is_active());
    for (index, (member, container)) in others {
        stop(index, member, container, order, now, step);
    }
    for (index, (member, container)) in sidecars.into_iter().rev() {
        stop(index, member, container, Order { turn, ..order }, now, step);
        turn &= !container.is_active();
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
    let turn = order.turn || force || left.is_zero();
    match running.stop.map(|stop| (stop.stage, stop.deadline)) {
        None => {
            step.act(Action::Tell(event::killing(index, member, why, order.again)));
            if has_pre_stop(member) && !force && !left.is_zero() {
                step.act(Action::PreStop(index, why, deadline));
                step.wake(deadline);
            } else if turn {
                step.act(ask(grace));
            } else {
                step.act(Action::WaitTurn(index, why, deadline));
                step.wake(deadline);
            }
        }
        Some((StopStage::Hook, _)) if force => step.act(ask(Duration::ZERO)),
        Some((StopStage::Hook, _)) if left.is_zero() => step.act(ask(GRACE_MIN)),
        Some((StopStage::Hook, _)) => step.wake(deadline),
        Some((StopStage::HookDone, _)) if turn => step.act(ask(grace)),
        Some((StopStage::HookDone, _)) => step.wake(deadline),
        // The pod's own end may come sooner than the container was told.
        Some((StopStage::Asked, asked)) if after(now, grace) < asked => step.act(ask(grace)),
        Some((StopStage::Asked, _)) => {}
    }
}

fn has_pre_stop(member: &Member) -> bool {
    member.spec.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.pre_stop.is_some())
}

/// What an ended pod has had of its node is for others; its containers and their logs stay until it is deleted.
fn release(seen: &PodObservation, step: &mut Step) {
    let sandbox = &seen.sandbox;
    if let Some(id) = sandbox.id.as_ref().filter(|_| !sandbox.busy && !sandbox.released) {
        step.act(Action::ReleaseSandbox(id.clone()));
    }
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
