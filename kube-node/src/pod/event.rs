//! What people are told about a pod, as upstream words it.

use coracle_core::Severity;

use super::member::{Member, Role};
use super::observation::StopReason;

/// One thing to tell people about a pod or one of its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tell {
    /// The container it is about, by its place among the members; `None` for the pod itself.
    pub container: Option<usize>,
    /// How it went.
    pub severity: Severity,
    /// Why, in a word.
    pub reason: &'static str,
    /// For people.
    pub note: String,
}

impl Tell {
    /// Something to be expected.
    pub fn normal(container: Option<usize>, reason: &'static str, note: impl Into<String>) -> Self {
        Self { container, severity: Severity::Normal, reason, note: note.into() }
    }

    /// Something to look at.
    pub fn warning(container: Option<usize>, reason: &'static str, note: impl Into<String>) -> Self {
        Self { container, severity: Severity::Warning, reason, note: note.into() }
    }
}

pub(super) fn killing(index: usize, member: &Member, why: StopReason, again: bool) -> Tell {
    let name = &member.spec.name;
    let main = member.role == Role::Main;
    let container = if main { "Container" } else { "Init container" };
    let [restarts, changes] = [again, main].map(|said| if said { ", will be restarted" } else { "" });
    let note = match why {
        StopReason::PodEnds => format!("Stopping container {name}"),
        StopReason::Liveness => format!("{container} {name} failed liveness probe{restarts}"),
        StopReason::Startup => format!("{container} {name} failed startup probe{restarts}"),
        StopReason::PostStart => "FailedPostStartHook".to_owned(),
        StopReason::Changed => format!("{container} {name} definition changed{changes}"),
        StopReason::Resized => format!("Container {name} resize requires restart"),
    };
    Tell::normal(Some(index), "Killing", note)
}

pub(super) fn deadline_exceeded() -> Tell {
    Tell::normal(None, "DeadlineExceeded", super::status::DEADLINE_EXCEEDED)
}

pub(super) fn backing_off(index: usize, member: &Member) -> [Tell; 2] {
    [
        Tell::normal(Some(index), "BackOff", format!("Back-off pulling image {:?}", member.image())),
        Tell::warning(Some(index), "Failed", "Error: ImagePullBackOff"),
    ]
}
