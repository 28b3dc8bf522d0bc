//! The conditions that a node keeps of a pod. Source: kubelet `status/generate.go`.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};

use super::member::{Member, Role};
use super::observation::{ContainerObservation, PodObservation};
use super::resize::Change;

/// The condition types that a node writes; all others are other people's.
pub const OWNED: [&str; 7] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    "PodResizePending",
    "PodResizeInProgress",
];

/// One condition before it is compared with what it was.
struct Verdict {
    kind: &'static str,
    good: bool,
    reason: &'static str,
    message: String,
}

impl Verdict {
    fn good(kind: &'static str, reason: &'static str) -> Self {
        Self { kind, good: true, reason, message: String::new() }
    }

    fn bad(kind: &'static str, reason: &'static str, message: String) -> Self {
        Self { kind, good: false, reason, message }
    }
}

/// All conditions of the pod: other people's as they were, then the node's own as they are now.
#[must_use]
pub fn conditions(
    pod: &Pod,
    members: &[Member],
    seen: &PodObservation,
    phase: &str,
    now: Timestamp,
) -> Vec<PodCondition> {
    let old = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or(&[]);
    let containers_ready = containers_ready(members, seen, phase);
    let verdicts = [
        ready_to_start(seen),
        initialized(members, seen, phase),
        ready(pod, old, &containers_ready),
        containers_ready,
        Verdict::good("PodScheduled", ""),
    ];
    let generation = pod.metadata.generation;
    let others = old.iter().filter(|condition| !OWNED.contains(&condition.type_.as_str())).cloned();
    let pending = pending(seen).map(|verdict| settle(verdict, old, generation, now));
    let under_way = under_way(seen).map(|verdict| settle(verdict, old, seen.resize.under_way, now));
    let own = verdicts.into_iter().map(|verdict| settle(verdict, old, generation, now));
    others.chain(pending).chain(under_way).chain(own).collect()
}

/// A condition keeps the moment of its last turn.
fn settle(verdict: Verdict, old: &[PodCondition], generation: Option<i64>, now: Timestamp) -> PodCondition {
    let Verdict { kind, good, reason, message } = verdict;
    let status = if good { "True" } else { "False" };
    let same = old.iter().find(|condition| condition.type_ == kind && condition.status == status);
    let turned = same.and_then(|condition| condition.last_transition_time.clone());
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: (!reason.is_empty()).then(|| reason.to_owned()),
        message: (!message.is_empty()).then_some(message),
        last_probe_time: None,
        last_transition_time: turned.or_else(|| Some(coracle_core::time::whole_seconds(now))),
        observed_generation: generation,
    }
}

fn ready_to_start(seen: &PodObservation) -> Verdict {
    let good = seen.sandbox.id.is_some() && !seen.sandbox.released;
    Verdict { kind: "PodReadyToStartContainers", good, reason: "", message: String::new() }
}

/// Resizes show while there is something to say of them.
fn pending(seen: &PodObservation) -> Option<Verdict> {
    let pending = seen.resize.pending.as_ref()?;
    Some(Verdict { message: pending.message.clone(), ..Verdict::good("PodResizePending", pending.reason) })
}

fn under_way(seen: &PodObservation) -> Option<Verdict> {
    seen.resize.under_way?;
    let failed = seen.containers.iter().filter_map(ContainerObservation::running).find_map(|run| match &run.resize {
        Change::Failed(why, _) => Some(why.clone()),
        _ => None,
    });
    let reason = if failed.is_some() { "Error" } else { "" };
    Some(Verdict { message: failed.unwrap_or_default(), ..Verdict::good("PodResizeInProgress", reason) })
}

fn initialized(members: &[Member], seen: &PodObservation, phase: &str) -> Verdict {
    const KIND: &str = "Initialized";
    let done = |member: &Member, container: &ContainerObservation| match member.role {
        Role::Init => container.ended().is_some_and(|ended| ended.succeeded()),
        Role::Sidecar => container.is_started(),
        Role::Main | Role::Ephemeral => true,
    };
    if phase == "Succeeded" {
        return Verdict::good(KIND, "PodCompleted");
    }
    let pairs = || members.iter().zip(&seen.containers);
    if pairs().any(|(member, container)| member.role == Role::Main && container.has_begun()) {
        return Verdict::good(KIND, "");
    }
    let incomplete = names(pairs().filter(|(member, container)| !done(member, container)));
    if incomplete.is_empty() {
        return Verdict::good(KIND, "");
    }
    Verdict::bad(KIND, "ContainersNotInitialized", format!("containers with incomplete status: [{incomplete}]"))
}

fn containers_ready(members: &[Member], seen: &PodObservation, phase: &str) -> Verdict {
    const KIND: &str = "ContainersReady";
    match phase {
        "Succeeded" => return Verdict::bad(KIND, "PodCompleted", String::new()),
        "Failed" => return Verdict::bad(KIND, "PodFailed", String::new()),
        _ => {}
    }
    let counts = |member: &Member| matches!(member.role, Role::Main | Role::Sidecar);
    let pairs = members.iter().zip(&seen.containers);
    let unready = names(pairs.filter(|(member, container)| counts(member) && !container.is_ready()));
    if unready.is_empty() {
        return Verdict::good(KIND, "");
    }
    Verdict::bad(KIND, "ContainersNotReady", format!("containers with unready status: [{unready}]"))
}

fn ready(pod: &Pod, old: &[PodCondition], containers: &Verdict) -> Verdict {
    if !containers.good {
        return Verdict::bad("Ready", containers.reason, containers.message.clone());
    }
    let gates = pod.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten());
    let trouble = gates.filter_map(|gate| {
        let kind = &gate.condition_type;
        match old.iter().find(|condition| condition.type_ == *kind) {
            None => Some(format!("corresponding condition of pod readiness gate {kind:?} does not exist.")),
            Some(condition) if condition.status == "True" => None,
            Some(condition) => {
                Some(format!("the status of pod readiness gate {kind:?} is not \"True\", but {}", condition.status))
            }
        }
    });
    let trouble = trouble.collect::<Vec<_>>().join(", ");
    if trouble.is_empty() {
        return Verdict::good("Ready", "");
    }
    Verdict::bad("Ready", "ReadinessGatesNotReady", trouble)
}

fn names<'a>(pairs: impl Iterator<Item = (&'a Member, &'a ContainerObservation)>) -> String {
    pairs.map(|(member, _)| member.spec.name.as_str()).collect::<Vec<_>>().join(" ")
}
