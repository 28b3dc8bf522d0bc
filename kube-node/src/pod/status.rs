//! A pod's status as upstream's kubelet writes it. Source: kubelet `kubelet_pods.go`, `status/generate.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, HostIP,
    Pod, PodCondition, PodIP, PodStatus, VolumeMountStatus,
};

use coracle_core::time::whole_seconds;

use super::conditions::{self, OWNED};
use super::member::{Member, Role};
use super::observation::{ContainerObservation, Ended, Life, PodObservation, Running, Waiting};
use super::{phase, restart};
use crate::runtime::ContainerId;

/// What a pod that was active for too long says. Source: kubelet `active_deadline.go`.
pub const DEADLINE_EXCEEDED: &str = "Pod was active on the node longer than the specified deadline";

/// What a status needs to know of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The node's addresses, the main one first.
    pub host_addresses: Vec<String>,
    /// The runtime's name, as container ids carry it.
    pub runtime: String,
}

/// The pod as messages name it: `name_namespace(uid)`.
#[must_use]
pub fn full_name(pod: &Pod) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    format!("{}_{}({})", text(&pod.metadata.name), text(&pod.metadata.namespace), text(&pod.metadata.uid))
}

/// Whether the pod's status says that it is over.
#[must_use]
pub fn is_terminal(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase.is_some_and(phase::is_terminal)
}

/// The node's part of the status as things are.
#[must_use]
pub fn generate(pod: &Pod, members: &[Member], seen: &PodObservation, place: &Place, now: Timestamp) -> PodStatus {
    let old = pod.status.as_ref();
    let mut status = PodStatus {
        observed_generation: pod.metadata.generation,
        qos_class: old
            .and_then(|old| old.qos_class.clone())
            .or_else(|| Some(coracle_core::rules::quality_of_service(pod).to_owned())),
        start_time: old.and_then(|old| old.start_time.clone()).or_else(|| seen.started_at.map(whole_seconds)),
        ..PodStatus::default()
    };
    if let Some(rejection) = &seen.rejected {
        status.phase = Some("Failed".to_owned());
        status.reason = Some(rejection.reason.clone());
        status.message = Some(format!("Pod was rejected: {}", rejection.message));
        status.conditions = old.and_then(|old| old.conditions.clone());
        return status;
    }
    let quiet = seen.is_quiet();
    let phase = if seen.overdue { "Failed" } else { phase::phase(pod, members, seen, seen.ending.is_some() && quiet) };
    status.conditions = Some(conditions::conditions(pod, members, seen, phase, now));
    let over = phase::is_terminal(phase);
    // Who hears that a pod is over counts on it that nothing of it runs.
    let before = || old.and_then(|old| old.phase.clone()).unwrap_or_else(|| "Pending".to_owned());
    status.phase = Some(if over && !quiet { before() } else { phase.to_owned() });
    if seen.overdue && quiet {
        status.reason = Some("DeadlineExceeded".to_owned());
        status.message = Some(DEADLINE_EXCEEDED.to_owned());
    }
    addresses(pod, seen, place, &mut status);
    containers(pod, members, seen, place, now, &mut status);
    if over && quiet {
        unknown_ends(members, &mut status);
    }
    status
}

/// Containers of an ended pod that never ended, nor will begin, count as failed: all of an initialized pod, and the init
/// containers up to the last one that began. Source: status manager `TerminatePod`.
fn unknown_ends(members: &[Member], status: &mut PodStatus) {
    let ended = |one: &ContainerStatus| one.state.as_ref().is_some_and(|state| state.terminated.is_some());
    let began = |one: &ContainerStatus| ended(one) || one.last_state.is_some();
    let init = status.init_container_statuses.as_deref_mut().unwrap_or_default();
    let main = status.container_statuses.as_deref_mut().unwrap_or_default();
    let last_init_ended_well = init.last().is_some_and(|one| one.ready)
        && !members
            .iter()
            .any(|member| member.role == Role::Sidecar && Some(&member.spec.name) == init.last().map(|one| &one.name));
    let initialized = init.is_empty() || main.iter().any(began) || last_init_ended_well;
    let begun = init.iter().rposition(began).unwrap_or(0) + 1;
    let main = main.iter_mut().filter(|_| initialized);
    for one in init.iter_mut().take(begun).chain(main).filter(|one| !ended(one)) {
        let Ended { exit, reason, message, .. } = Ended::lost(Timestamp::UNIX_EPOCH);
        let terminated = ContainerStateTerminated {
            exit_code: exit.code,
            reason: Some(reason),
            message: Some(message),
            ..ContainerStateTerminated::default()
        };
        one.state = Some(ContainerState { terminated: Some(terminated), ..ContainerState::default() });
    }
}

/// Puts the node's part into a status and leaves what others wrote; a pod that is over stays so.
pub fn merge(status: &mut PodStatus, generated: &PodStatus) {
    let over = status.phase.as_deref().is_some_and(phase::is_terminal);
    let generated = generated.clone();
    if !over {
        // What others say of a phase is kept with it.
        let same = status.phase == generated.phase;
        status.phase = generated.phase;
        status.reason = generated.reason.or(status.reason.take().filter(|_| same));
        status.message = generated.message.or(status.message.take().filter(|_| same));
    }
    let own = |condition: &PodCondition| OWNED.contains(&condition.type_.as_str());
    let mut conditions = status.conditions.take().unwrap_or_default();
    conditions.retain(|condition| !own(condition));
    conditions.extend(generated.conditions.into_iter().flatten().filter(own));
    status.conditions = Some(conditions);
    status.observed_generation = generated.observed_generation;
    status.qos_class = generated.qos_class;
    status.start_time = status.start_time.take().or(generated.start_time);
    status.host_ip = generated.host_ip.or(status.host_ip.take());
    status.host_ips = generated.host_ips.or(status.host_ips.take());
    status.pod_ip = generated.pod_ip.or(status.pod_ip.take());
    status.pod_ips = generated.pod_ips.or(status.pod_ips.take());
    status.container_statuses = generated.container_statuses.or(status.container_statuses.take());
    status.init_container_statuses = generated.init_container_statuses.or(status.init_container_statuses.take());
    status.ephemeral_container_statuses =
        generated.ephemeral_container_statuses.or(status.ephemeral_container_statuses.take());
}

fn addresses(pod: &Pod, seen: &PodObservation, place: &Place, status: &mut PodStatus) {
    let hosts = &place.host_addresses;
    status.host_ip = hosts.first().cloned();
    status.host_ips = (!hosts.is_empty()).then(|| hosts.iter().map(|ip| HostIP { ip: ip.clone() }).collect());
    let host_network = pod.spec.as_ref().is_some_and(|spec| spec.host_network == Some(true));
    let own: Vec<String> = match (host_network, seen.sandbox.id.is_some()) {
        (true, true) => hosts.clone(),
        _ => seen.sandbox.addresses.iter().map(ToString::to_string).collect(),
    };
    status.pod_ip = own.first().cloned();
    status.pod_ips = (!own.is_empty()).then(|| own.into_iter().map(|ip| PodIP { ip }).collect());
}

fn containers(
    pod: &Pod,
    members: &[Member],
    seen: &PodObservation,
    place: &Place,
    now: Timestamp,
    status: &mut PodStatus,
) {
    let has_init = members.iter().any(|member| matches!(member.role, Role::Init | Role::Sidecar));
    let view = View { pod, place, now, has_init, seen };
    for (member, container) in members.iter().zip(&seen.containers) {
        let list = match member.role {
            Role::Init | Role::Sidecar => &mut status.init_container_statuses,
            Role::Main => &mut status.container_statuses,
            Role::Ephemeral => &mut status.ephemeral_container_statuses,
        };
        list.get_or_insert_default().push(view.container(member, container));
    }
    // Upstream has them in the order of their names, all but init containers.
    for list in [&mut status.container_statuses, &mut status.ephemeral_container_statuses].into_iter().flatten() {
        list.sort_by(|one, other| one.name.cmp(&other.name));
    }
}

struct View<'a> {
    pod: &'a Pod,
    place: &'a Place,
    seen: &'a PodObservation,
    now: Timestamp,
    has_init: bool,
}

impl View<'_> {
    fn container(&self, member: &Member, container: &ContainerObservation) -> ContainerStatus {
        let (state, last) = self.states(member, container);
        let latest = match &container.life {
            Life::Running(running) => Some(&running.id),
            Life::Ended(ended) => ended.id.as_ref(),
            _ => container.last.as_ref().and_then(|ended| ended.id.as_ref()),
        };
        let init_done = member.role == Role::Init && container.ended().is_some_and(Ended::succeeded);
        let (given, in_force) = match &container.life {
            Life::Running(running) => (Some(&member.spec), Some(&running.spec)),
            Life::Ended(_) => (Some(&member.spec), Some(&member.spec)),
            _ => (None, None),
        };
        // A run counts once its container is there.
        let next = u32::from(matches!(container.life, Life::Waiting(_) | Life::Pulling | Life::Starting));
        ContainerStatus {
            name: member.spec.name.clone(),
            image: member.image().to_owned(),
            image_id: container.image.as_ref().map(|image| image.0.to_string()).unwrap_or_default(),
            container_id: latest.map(|id| self.name(id)),
            ready: init_done || (member.role != Role::Ephemeral && container.is_ready()),
            started: (member.role != Role::Ephemeral).then(|| container.is_started()),
            restart_count: i32::try_from(container.attempt.saturating_sub(next)).unwrap_or(i32::MAX),
            allocated_resources: given.and_then(|spec| spec.resources.as_ref()?.requests.clone()),
            resources: in_force.map(|spec| spec.resources.clone().unwrap_or_default()),
            volume_mounts: mounts(member),
            state: Some(state),
            last_state: last.map(|ended| self.terminated(ended)),
            ..ContainerStatus::default()
        }
    }

    /// The state, and how the run before ended. An ended container that waits for its next run is shown as waiting.
    fn states<'a>(&self, member: &Member, container: &'a ContainerObservation) -> (ContainerState, Option<&'a Ended>) {
        let last = container.last.as_ref();
        match &container.life {
            Life::Running(running) => (running_state(running), last),
            Life::Ended(ended) => match self.back_off(member, container, ended) {
                Some(message) => (waiting("CrashLoopBackOff", message), Some(ended)),
                None => (self.terminated(ended), last),
            },
            Life::Waiting(Waiting { reason: Some(reason), message, .. }) => (waiting(reason, message.clone()), last),
            Life::Waiting(_) | Life::Pulling | Life::Starting => {
                let reason = if self.has_init { "PodInitializing" } else { "ContainerCreating" };
                (waiting(reason, String::new()), last)
            }
        }
    }

    fn back_off(&self, member: &Member, container: &ContainerObservation, ended: &Ended) -> Option<String> {
        if self.seen.ending.is_some() || !restart::wanted(self.pod, member, ended) {
            return None;
        }
        let finished_at = ended.exit.finished_at;
        let due = container.crashes.due(finished_at).filter(|due| *due > self.now)?;
        let wait = go_duration(super::span::between(finished_at, due).as_secs());
        let name = &member.spec.name;
        Some(format!("back-off {wait} restarting failed container={name} pod={}", full_name(self.pod)))
    }

    fn terminated(&self, ended: &Ended) -> ContainerState {
        let unknown = ended.exit.started_at == Timestamp::UNIX_EPOCH;
        let terminated = ContainerStateTerminated {
            container_id: ended.id.as_ref().map(|id| self.name(id)),
            exit_code: ended.exit.code,
            finished_at: (!unknown).then(|| whole_seconds(ended.exit.finished_at)),
            started_at: (!unknown).then(|| whole_seconds(ended.exit.started_at)),
            reason: Some(ended.reason.clone()),
            message: (!ended.message.is_empty()).then(|| ended.message.clone()),
            signal: (ended.exit.signal != 0).then_some(ended.exit.signal),
        };
        ContainerState { terminated: Some(terminated), ..ContainerState::default() }
    }

    fn name(&self, id: &ContainerId) -> String {
        format!("{}://{id}", self.place.runtime)
    }
}

fn running_state(running: &Running) -> ContainerState {
    let running = ContainerStateRunning { started_at: Some(whole_seconds(running.since)) };
    ContainerState { running: Some(running), ..ContainerState::default() }
}

fn waiting(reason: &str, message: String) -> ContainerState {
    let message = (!message.is_empty()).then_some(message);
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn mounts(member: &Member) -> Option<Vec<VolumeMountStatus>> {
    let mounts = member.spec.volume_mounts.as_ref().filter(|mounts| !mounts.is_empty())?;
    let of = |mount: &k8s_openapi::api::core::v1::VolumeMount| VolumeMountStatus {
        name: mount.name.clone(),
        mount_path: mount.mount_path.clone(),
        read_only: mount.read_only.filter(|read_only| *read_only),
        recursive_read_only: (mount.read_only == Some(true)).then(|| "Disabled".to_owned()),
        ..VolumeMountStatus::default()
    };
    Some(mounts.iter().map(of).collect())
}

/// Seconds as Go prints them: `10s`, `1m20s`, `5m0s`.
fn go_duration(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}
