//! The parts of a pod that checks look at, and how violations are worded.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ContainerPort, Lifecycle, PodSecurityContext, PodSpec, Probe, SecurityContext};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub(super) type Check = fn(Subject<'_>) -> Option<Violation>;

/// A pod, or the template of one.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its metadata.
    pub metadata: &'a ObjectMeta,
    /// Its spec.
    pub spec: &'a PodSpec,
}

/// What is wrong, in a few words and at length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule is broken.
    pub reason: &'static str,
    /// By whom and how.
    pub detail: String,
}

impl Violation {
    pub(super) fn new(reason: &'static str, detail: String) -> Option<Self> {
        Some(Self { reason, detail })
    }
}

/// A container of any of the three sorts.
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    pub(super) security: Option<&'a SecurityContext>,
    pub(super) ports: &'a [ContainerPort],
    pub(super) probes: [Option<&'a Probe>; 3],
    pub(super) lifecycle: Option<&'a Lifecycle>,
}

/// The view of a container, or of an ephemeral one: two types with the same fields.
macro_rules! part {
    ($container:expr) => {
        Part {
            name: &$container.name,
            security: $container.security_context.as_ref(),
            ports: $container.ports.as_deref().unwrap_or_default(),
            probes: [
                $container.liveness_probe.as_ref(),
                $container.readiness_probe.as_ref(),
                $container.startup_probe.as_ref(),
            ],
            lifecycle: $container.lifecycle.as_ref(),
        }
    };
}

impl<'a> Subject<'a> {
    /// Init containers, containers, ephemeral containers.
    pub(super) fn parts(self) -> impl Iterator<Item = Part<'a>> {
        let containers = self.spec.init_containers.iter().flatten().chain(&self.spec.containers);
        let ephemeral = self.spec.ephemeral_containers.iter().flatten();
        containers.map(|container| part!(container)).chain(ephemeral.map(|container| part!(container)))
    }

    /// The names of containers that something is true of.
    pub(super) fn named(self, is: impl Fn(&Part<'a>) -> bool) -> Vec<&'a str> {
        self.parts().filter(|part| is(part)).map(|part| part.name).collect()
    }

    pub(super) fn security(self) -> Option<&'a PodSecurityContext> {
        self.spec.security_context.as_ref()
    }

    pub(super) fn is_windows(self) -> bool {
        self.spec.os.as_ref().is_some_and(|os| os.name == "windows")
    }

    /// Whether the pod has users of its own, so that its root is nobody on the node.
    pub(super) fn has_own_users(self) -> bool {
        self.spec.host_users == Some(false)
    }

    /// Finds a setting that the pod or its containers have wrong: who has it, and the wrong values.
    pub(super) fn wrong(
        self,
        of_pod: Option<&str>,
        of_container: impl Fn(&SecurityContext) -> Option<&str>,
    ) -> (Vec<String>, BTreeSet<String>) {
        let mut values: BTreeSet<String> = of_pod.into_iter().map(str::to_owned).collect();
        let mut bad = Vec::new();
        for part in self.parts() {
            if let Some(value) = part.security.and_then(&of_container) {
                values.insert(value.to_owned());
                bad.push(part.name);
            }
        }
        (setters(of_pod.is_some(), &bad), values)
    }
}

/// `"a", "b"`.
pub(super) fn quoted<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    items.into_iter().map(|item| format!("\"{}\"", item.as_ref())).collect::<Vec<_>>().join(", ")
}

/// `container "a"`, or `containers "a", "b"`.
pub(super) fn containers(names: &[&str]) -> String {
    format!("{} {}", plural(names.len(), "container", "containers"), quoted(names))
}

/// Who set something: `pod`, `container "a"`, or both.
pub(super) fn setters(pod: bool, names: &[&str]) -> Vec<String> {
    let containers = (!names.is_empty()).then(|| containers(names));
    pod.then(|| "pod".to_owned()).into_iter().chain(containers).collect()
}

pub(super) const fn plural<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}
