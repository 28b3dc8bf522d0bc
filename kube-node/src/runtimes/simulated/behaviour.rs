//! How simulated containers behave: for all, by container, by annotation.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Container, Pod};

use super::How;

/// Annotation: how long the pod's containers take to start.
pub const START_AFTER: &str = "coracle.dev/start-after";
/// Annotation: how long the pod's containers run before they end by themselves.
pub const RUN_FOR: &str = "coracle.dev/run-for";
/// Annotation: the exit code of the pod's containers when they end by themselves.
pub const EXIT_CODE: &str = "coracle.dev/exit-code";

/// What a simulated container does. By default it starts at once, runs until it is stopped, and never fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// How long pulling its image takes. Default zero.
    pub pull: Duration,
    /// How probable it is that a pull fails, 0 to 1. Default 0.
    pub pull_failure: f64,
    /// How long starting takes. Default zero.
    pub start: Duration,
    /// How probable it is that a start fails, 0 to 1. Default 0.
    pub start_failure: f64,
    /// How long it runs before it ends by itself; zero ends it at once. Default `None`: until it is stopped.
    pub run_for: Option<Duration>,
    /// Its exit code when it ends by itself. Default 0.
    pub exit_code: i32,
    /// How probable it is that it ends with `crash_code` instead, 0 to 1; matters only with `run_for`. Default 0.
    pub crash: f64,
    /// Its exit code when it crashes. Default 1.
    pub crash_code: i32,
    /// How long it takes to end when asked to; longer than the grace period means that it is killed. Default zero.
    pub stop: Duration,
    /// Its exit code when it was asked to end and did. Default 0.
    pub stop_code: i32,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            pull: Duration::ZERO,
            pull_failure: 0.0,
            start: Duration::ZERO,
            start_failure: 0.0,
            run_for: None,
            exit_code: 0,
            crash: 0.0,
            crash_code: 1,
            stop: Duration::ZERO,
            stop_code: 0,
        }
    }
}

/// The containers of one pod that do not behave like all.
#[derive(Clone, Debug)]
pub(super) struct PodBehaviour(Vec<(String, Behaviour)>);

impl PodBehaviour {
    /// Worked out when the sandbox starts, so that nothing of the pod need be kept; `None` for a pod like all.
    pub(super) fn of_pod(how: &How, pod: &Pod) -> Option<Box<Self>> {
        let chosen = containers(pod).map(|container| (container.name.clone(), for_container(how, pod, container)));
        let special: Vec<_> = chosen.filter(|(_, behaviour)| *behaviour != how.fixed).collect();
        (!special.is_empty()).then(|| Box::new(Self(special)))
    }

    pub(super) fn of(&self, container: &str) -> Option<&Behaviour> {
        self.0.iter().find(|(name, _)| name == container).map(|(_, behaviour)| behaviour)
    }
}

/// How the first container with this image behaves.
pub(super) fn for_image(how: &How, pod: &Pod, image: &str) -> Behaviour {
    let container = containers(pod).find(|container| container.image.as_deref() == Some(image));
    container.map_or_else(|| how.fixed.clone(), |container| for_container(how, pod, container))
}

fn for_container(how: &How, pod: &Pod, container: &Container) -> Behaviour {
    let mut behaviour = how.choose.as_ref().map_or_else(|| how.fixed.clone(), |choose| choose(pod, container));
    let annotation = |name| pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(name));
    if let Some(start) = annotation(START_AFTER).and_then(|text| duration(text)) {
        behaviour.start = start;
    }
    if let Some(run_for) = annotation(RUN_FOR).and_then(|text| duration(text)) {
        behaviour.run_for = Some(run_for);
    }
    if let Some(code) = annotation(EXIT_CODE).and_then(|text| text.trim().parse().ok()) {
        behaviour.exit_code = code;
        // A code without a time to run is a container that ends at once.
        behaviour.run_for.get_or_insert(Duration::ZERO);
    }
    behaviour
}

fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let spec = pod.spec.iter();
    spec.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers))
}

/// As Go spells durations: `30s`, `1m30s`, `500ms`. What cannot be read is as if it were not there.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "0" {
        return Some(Duration::ZERO);
    }
    text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_spells_them() {
        let check = |text, expected| assert_eq!(duration(text), expected, "{text}");
        check("30s", Some(Duration::from_secs(30)));
        check("1m30s", Some(Duration::from_secs(90)));
        check("500ms", Some(Duration::from_millis(500)));
        check("1.5h", Some(Duration::from_secs(5_400)));
        check("0", Some(Duration::ZERO));
        check("0s", Some(Duration::ZERO));
        check("-1s", None);
        check("soon", None);
    }
}
