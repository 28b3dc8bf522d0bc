//! Pods found again: from what the runtime still has, or else from what their status remembers.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState as ApiState, ContainerStateTerminated, PodStatus};

use crate::pod::observation::{Ended, Health, Hook, Life, Running};
use crate::pod::resize::Change;
use crate::pod::{ContainerObservation, Member, PodObservation};
use crate::runtime::{ContainerId, ContainerState, ContainerStatus, Exit, SandboxStatus};

/// Takes over a sandbox that the runtime still has. Running containers count as started; their probes will tell.
pub(super) fn adopt(seen: &mut PodObservation, members: &[Member], sandbox: SandboxStatus) {
    seen.sandbox.id = Some(sandbox.id);
    seen.sandbox.attempt = sandbox.attempt;
    seen.sandbox.addresses = sandbox.addresses;
    for (member, container) in members.iter().zip(&mut seen.containers) {
        let mut runs: Vec<_> = sandbox.containers.iter().filter(|one| one.name == member.spec.name).collect();
        runs.sort_by_key(|run| run.attempt);
        if let Some(newest) = runs.pop() {
            container.attempt = newest.attempt;
            container.begun = true;
            container.image = Some(newest.image_id.clone());
            container.last = runs.pop().and_then(ended);
            container.life = life(member, newest);
            container.health =
                Health { started: true, ready: member.spec.readiness_probe.is_none(), ..Health::default() };
        }
    }
}

fn life(member: &Member, run: &ContainerStatus) -> Life {
    match &run.state {
        ContainerState::Running { started_at } => Life::Running(Running {
            id: run.id.clone(),
            spec: member.spec.clone(),
            since: *started_at,
            hook: Hook::Done,
            resize: Change::Idle,
            stop: None,
        }),
        ContainerState::Exited(_) => ended(run).map_or_else(|| ContainerObservation::default().life, Life::Ended),
    }
}

fn ended(run: &ContainerStatus) -> Option<Ended> {
    let ContainerState::Exited(exit) = &run.state else { return None };
    let reason = if exit.code == 0 { "Completed" } else { "Error" };
    Some(Ended {
        id: Some(run.id.clone()),
        exit: exit.clone(),
        reason: reason.to_owned(),
        message: exit.message.clone(),
    })
}

/// Remembers from its status a pod of which the runtime has nothing: what ran then is lost, what had ended has ended.
pub(super) fn recall(seen: &mut PodObservation, members: &[Member], status: &PodStatus, now: Timestamp) {
    let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    for (member, container) in members.iter().zip(&mut seen.containers) {
        let mut all = lists.into_iter().flatten().flatten();
        let Some(old) = all.find(|old| old.name == member.spec.name) else { continue };
        container.attempt = u32::try_from(old.restart_count).unwrap_or(0);
        container.last = old.last_state.as_ref().and_then(|state| state.terminated.as_ref()).map(remembered);
        match &old.state {
            Some(ApiState { terminated: Some(terminated), .. }) => container.life = Life::Ended(remembered(terminated)),
            Some(ApiState { running: Some(_), .. }) => container.life = Life::Ended(Ended::lost(now)),
            // It was between two runs.
            _ => container.attempt += u32::from(container.last.is_some()),
        }
    }
}

fn remembered(terminated: &ContainerStateTerminated) -> Ended {
    let moment = |time: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
        time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
    };
    let id = terminated.container_id.as_deref().and_then(|id| id.split_once("://"));
    let exit = Exit {
        code: terminated.exit_code,
        signal: terminated.signal.unwrap_or(0),
        out_of_memory: terminated.reason.as_deref() == Some("OOMKilled"),
        started_at: moment(&terminated.started_at),
        finished_at: moment(&terminated.finished_at),
        message: String::new(),
    };
    Ended {
        id: id.map(|(_, id)| ContainerId(Arc::from(id))),
        exit,
        reason: terminated.reason.clone().unwrap_or_default(),
        message: terminated.message.clone().unwrap_or_default(),
    }
}
