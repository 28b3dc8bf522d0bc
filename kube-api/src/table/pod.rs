//! Pods: the one kind whose status is worked out for the reader.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodSpec, PodStatus,
};
use serde_json::Value;

use super::age::{age, since};
use super::column::{AGE, NAME, field, string, text};
use super::text::{NONE, or, plain};
use super::{Printer, printer, row};

pub(super) static POD: Printer = printer!(
    Pod,
    pod,
    [
        NAME,
        string("Ready", text("The aggregate readiness state of this pod for accepting traffic.")),
        string("Status", text("The aggregate status of the containers in this pod.")),
        string(
            "Restarts",
            text(
                "The number of times the containers in this pod have been restarted and when the last container in this \
                 pod has restarted."
            )
        ),
        AGE,
        string("IP", field("core.v1.PodStatus", "podIP")).wide(),
        string("Node", field("core.v1.PodSpec", "nodeName")).wide(),
        string("Nominated Node", field("core.v1.PodStatus", "nominatedNodeName")).wide(),
        string("Readiness Gates", field("core.v1.PodSpec", "readinessGates")).wide(),
    ]
);

fn pod(pod: &Pod, now: Timestamp) -> Vec<Value> {
    let (no_spec, no_status) = (PodSpec::default(), PodStatus::default());
    let spec = pod.spec.as_ref().unwrap_or(&no_spec);
    let status = pod.status.as_ref().unwrap_or(&no_status);
    let seen = observe(spec, status);
    let ip = status.pod_ips.iter().flatten().next().map_or("", |first| &first.ip);
    row![
        plain(&pod.metadata.name),
        format!("{}/{}", seen.ready, containers_to_be_ready(spec)),
        reason(pod, status, seen.reason),
        seen.restarts.spelled(now),
        age(&pod.metadata, now),
        or(ip, NONE),
        or(plain(&spec.node_name), NONE),
        or(plain(&status.nominated_node_name), NONE),
        readiness_gates(spec, status),
    ]
}

/// What a row says besides its cells: whether the pod has run to its end, as reason and message.
pub(super) fn completion(pod: &Pod) -> Option<(&'static str, &'static str)> {
    match pod.status.as_ref()?.phase.as_deref()? {
        "Succeeded" => Some(("Succeeded", "The pod has completed successfully.")),
        "Failed" => Some(("Failed", "The pod failed.")),
        _ => None,
    }
}

/// What the containers' statuses come to.
struct Observation {
    reason: String,
    ready: usize,
    restarts: Restarts,
}

#[derive(Clone, Copy, Default)]
struct Restarts {
    count: i32,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, container: &ContainerStatus) {
        self.count += container.restart_count;
        let ended = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        self.last = self.last.max(ended.and_then(|ended| ended.finished_at.as_ref()).map(|time| time.0));
    }

    fn spelled(self, now: Timestamp) -> String {
        match self.last {
            Some(_) if self.count != 0 => format!("{} ({} ago)", self.count, since(self.last, now)),
            _ => self.count.to_string(),
        }
    }
}

/// Init containers first; once they are through, the others decide.
fn observe(spec: &PodSpec, status: &PodStatus) -> Observation {
    let mut all_restarts = Restarts::default();
    let mut sidecar_restarts = Restarts::default();
    let mut seen = Observation { reason: first_reason(status), ready: 0, restarts: sidecar_restarts };
    let mut initializing = false;
    for (index, container) in status.init_container_statuses.iter().flatten().enumerate() {
        all_restarts.add(container);
        let is_sidecar = is_sidecar(spec, &container.name);
        if is_sidecar {
            sidecar_restarts.add(container);
        }
        match init_step(container, is_sidecar) {
            InitStep::Done => {}
            InitStep::SidecarUp => seen.ready += usize::from(container.ready),
            InitStep::Stuck(reason) => {
                let at = || format!("{index}/{}", spec.init_containers.as_ref().map_or(0, Vec::len));
                seen.reason = format!("Init:{}", reason.unwrap_or_else(at));
                initializing = true;
                break;
            }
        }
    }
    seen.restarts = all_restarts;
    if !initializing || has_condition(status, "Initialized") {
        seen.restarts = sidecar_restarts;
        observe_containers(status, &mut seen);
    }
    seen
}

/// The phase, unless the status gives a reason of its own or a gate still holds the pod back.
fn first_reason(status: &PodStatus) -> String {
    let is_gated =
        status.conditions.iter().flatten().any(|condition| {
            condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("SchedulingGated")
        });
    if is_gated { "SchedulingGated".to_owned() } else { or(plain(&status.reason), plain(&status.phase)).to_owned() }
}

enum InitStep {
    Done,
    SidecarUp,
    /// With what it says of itself; `None` if it says nothing.
    Stuck(Option<String>),
}

fn init_step(container: &ContainerStatus, is_sidecar: bool) -> InitStep {
    let no_state = ContainerState::default();
    let state = container.state.as_ref().unwrap_or(&no_state);
    let waiting = state.waiting.as_ref().map_or("", |waiting| plain(&waiting.reason));
    match &state.terminated {
        Some(ended) if ended.exit_code == 0 => InitStep::Done,
        _ if is_sidecar && container.started == Some(true) => InitStep::SidecarUp,
        Some(ended) => InitStep::Stuck(Some(end(ended))),
        None if !matches!(waiting, "" | "PodInitializing") => InitStep::Stuck(Some(waiting.to_owned())),
        None => InitStep::Stuck(None),
    }
}

/// The reason of an end, else its signal, else its exit code.
fn end(ended: &ContainerStateTerminated) -> String {
    match (plain(&ended.reason), ended.signal.unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", ended.exit_code),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// The first container with something to say gives the reason.
fn observe_containers(status: &PodStatus, seen: &mut Observation) {
    let no_state = ContainerState::default();
    let mut is_running = false;
    for container in status.container_statuses.iter().flatten().rev() {
        seen.restarts.add(container);
        let state = container.state.as_ref().unwrap_or(&no_state);
        let waiting = state.waiting.as_ref().map_or("", |waiting| plain(&waiting.reason));
        match &state.terminated {
            _ if !waiting.is_empty() => seen.reason = waiting.to_owned(),
            Some(ended) => seen.reason = end(ended),
            None if container.ready && state.running.is_some() => {
                is_running = true;
                seen.ready += 1;
            }
            None => {}
        }
    }
    if seen.reason == "Completed" && is_running {
        seen.reason = if has_condition(status, "Ready") { "Running" } else { "NotReady" }.to_owned();
    }
}

/// Deletion outshines what the containers say, until the pod has come to its end.
fn reason(pod: &Pod, status: &PodStatus, seen: String) -> String {
    let has_ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    match pod.metadata.deletion_timestamp {
        Some(_) if status.reason.as_deref() == Some("NodeLost") => "Unknown".to_owned(),
        Some(_) if !has_ended => "Terminating".to_owned(),
        _ => seen,
    }
}

fn containers_to_be_ready(spec: &PodSpec) -> usize {
    let sidecars = spec.init_containers.iter().flatten().filter(|container| always_restarts(container)).count();
    spec.containers.len() + sidecars
}

fn is_sidecar(spec: &PodSpec, name: &str) -> bool {
    let container = spec.init_containers.iter().flatten().find(|container| container.name == name);
    container.is_some_and(always_restarts)
}

fn always_restarts(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn readiness_gates(spec: &PodSpec, status: &PodStatus) -> String {
    match spec.readiness_gates.as_deref().unwrap_or_default() {
        [] => NONE.to_owned(),
        gates => {
            let open = gates.iter().filter(|gate| has_condition(status, &gate.condition_type)).count();
            format!("{open}/{}", gates.len())
        }
    }
}

fn has_condition(status: &PodStatus, name: &str) -> bool {
    let condition = status.conditions.iter().flatten().find(|condition| condition.type_ == name);
    condition.is_some_and(|condition| condition.status == "True")
}
