//! The Pod Security Standards: what pods of a namespace may ask for. Pure; admission asks.
//!
//! | file | what it holds |
//! |---|---|
//! | `policy` | levels, versions, and what the labels of a namespace say |
//! | `checks` | the table of checks: from which version on, at which level, instead of which other |
//! | `baseline`, `restricted` | the checks themselves |
//! | `subject` | the parts of a pod that checks look at; how violations are worded |
//!
//! Source: `k8s.io/pod-security-admission`.

mod baseline;
mod checks;
mod policy;
mod restricted;
mod subject;
#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

pub use checks::CHECKS;
pub use policy::{Level, LevelVersion, Policy, Version};
pub use subject::{Subject, Violation};

/// What of a pod violates a level as it was at a version, in the order in which it is told: baseline before restricted.
#[must_use]
pub fn violations(wanted: LevelVersion, metadata: &ObjectMeta, spec: &PodSpec) -> Vec<Violation> {
    let subject = Subject { metadata, spec };
    checks::of(wanted).filter_map(|check| check(subject)).collect()
}

/// Violations with their details: `privileged (container "x" must not set ...), hostPort (...)`.
#[must_use]
pub fn details(violations: &[Violation]) -> String {
    let one = |violation: &Violation| match violation.detail.as_str() {
        "" => violation.reason.to_owned(),
        detail => format!("{} ({detail})", violation.reason),
    };
    violations.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Violations without their details.
#[must_use]
pub fn reasons(violations: &[Violation]) -> String {
    violations.iter().map(|violation| violation.reason).collect::<Vec<_>>().join(", ")
}
