//! Deployment.

use super::check::{int_or_percent_value, is_absent, text};
use super::{Ruled, fill, pod_template, replica_set, same};
use crate::field::{Errors, Json, Path};
use crate::selector::label_selector_matches;
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStatus, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

impl Ruled for Deployment {
    const HAS_GENERATION: bool = true;

    fn fill_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        fill::value(&mut spec.replicas, 1);
        fill::value(&mut spec.revision_history_limit, 10);
        fill::value(&mut spec.progress_deadline_seconds, 600);
        let strategy = spec.strategy.get_or_insert_default();
        fill::text(&mut strategy.type_, "RollingUpdate");
        if strategy.type_.as_deref() == Some("RollingUpdate") {
            let rolling = strategy.rolling_update.get_or_insert_default();
            rolling.max_unavailable.get_or_insert_with(quarter);
            rolling.max_surge.get_or_insert_with(quarter);
        }
        pod_template::fill(&mut spec.template);
    }

    fn validate(&self, errors: &mut Errors) {
        let path = Path::new("spec");
        let Some(spec) = &self.spec else { return errors.required(&path, "") };
        validate_spec(spec, &path, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        if let (Some(new), Some(old)) = (&self.spec, &old.spec) {
            errors.immutable(&Path::new("spec.selector"), &new.selector, &old.selector);
        }
    }

    fn validate_status_update(&self, old: &Self, errors: &mut Errors) {
        let none = DeploymentStatus::default();
        validate_status(self.status.as_ref().unwrap_or(&none), old.status.as_ref().unwrap_or(&none), errors);
    }

    fn prepare_create(&mut self) {
        self.status = Some(Default::default());
    }

    fn prepare_update(&mut self, old: &Self) {
        self.status = old.status.clone();
    }

    fn prepare_status_update(&mut self, old: &Self) {
        self.spec = old.spec.clone();
        self.metadata.labels = old.metadata.labels.clone();
    }

    /// Annotations count too, since the controller copies them to the ReplicaSets.
    fn spec_changed(&self, old: &Self) -> bool {
        !same(&self.spec, &old.spec) || self.metadata.annotations != old.metadata.annotations
    }
}

fn quarter() -> IntOrString {
    IntOrString::String("25%".to_owned())
}

fn validate_spec(spec: &DeploymentSpec, path: &Path, errors: &mut Errors) {
    errors.non_negative(&path.field("replicas"), spec.replicas);
    errors.workload_selector(&path.field("selector"), &spec.selector, "deployment");
    let template_path = path.field("template");
    let selected =
        !is_absent(&spec.selector) && label_selector_matches(&spec.selector, pod_template::labels(&spec.template));
    pod_template::validate_selected(&spec.template, selected, &template_path, errors);
    pod_template::validate(&spec.template, &template_path, errors);
    pod_template::validate_runs_forever(&spec.template, "ReplicaSet", &template_path, errors);
    if let Some(strategy) = &spec.strategy {
        validate_strategy(strategy, &path.field("strategy"), errors);
    }
    errors.non_negative(&path.field("minReadySeconds"), spec.min_ready_seconds);
    errors.non_negative(&path.field("revisionHistoryLimit"), spec.revision_history_limit);
    errors.non_negative(&path.field("progressDeadlineSeconds"), spec.progress_deadline_seconds);
    if let Some(seconds) = spec.progress_deadline_seconds
        && seconds <= spec.min_ready_seconds.unwrap_or(0)
    {
        errors.invalid(&path.field("progressDeadlineSeconds"), seconds, "must be greater than minReadySeconds");
    }
}

fn validate_strategy(strategy: &DeploymentStrategy, path: &Path, errors: &mut Errors) {
    let rolling_path = path.field("rollingUpdate");
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("Recreate", Some(_)) => {
            errors.forbidden(&rolling_path, "may not be specified when strategy `type` is 'Recreate'");
        }
        ("Recreate", None) => {}
        ("RollingUpdate", Some(rolling)) => validate_rolling(rolling, &rolling_path, errors),
        ("RollingUpdate", None) => errors.required(&rolling_path, "this should be defaulted and never be nil"),
        _ => errors.not_supported(path, Json(strategy), &["Recreate", "RollingUpdate"]),
    }
}

fn validate_rolling(rolling: &RollingUpdateDeployment, path: &Path, errors: &mut Errors) {
    let zero = IntOrString::Int(0);
    let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
    errors.int_or_percent(&path.field("maxUnavailable"), unavailable);
    errors.int_or_percent(&path.field("maxSurge"), surge);
    if int_or_percent_value(unavailable) == 0 && int_or_percent_value(surge) == 0 {
        errors.invalid(&path.field("maxUnavailable"), Json(unavailable), "may not be 0 when `maxSurge` is 0");
    }
    errors.at_most_100_percent(&path.field("maxUnavailable"), unavailable);
}

fn validate_status(status: &DeploymentStatus, old: &DeploymentStatus, errors: &mut Errors) {
    let path = Path::new("status");
    errors.non_negative(&path.field("observedGeneration"), status.observed_generation);
    errors.non_negative(&path.field("unavailableReplicas"), status.unavailable_replicas);
    errors.non_negative(&path.field("collisionCount"), status.collision_count);
    let counts = [
        ("updatedReplicas", status.updated_replicas),
        ("readyReplicas", status.ready_replicas),
        ("availableReplicas", status.available_replicas),
    ];
    replica_set::validate_counts(status.replicas.unwrap_or(0), &counts, errors);
    if status.available_replicas.unwrap_or(0) > status.ready_replicas.unwrap_or(0) {
        let available = status.available_replicas.unwrap_or(0);
        errors.invalid(&path.field("availableReplicas"), available, "cannot be greater than readyReplicas");
    }
    validate_collisions(status.collision_count, old.collision_count, errors);
}

/// A count of hash collisions only grows.
pub(super) fn validate_collisions(new: Option<i32>, old: Option<i32>, errors: &mut Errors) {
    if old.is_some_and(|old| new.unwrap_or(-1) < old) {
        errors.invalid(&Path::new("status.collisionCount"), new.unwrap_or(0), "cannot be decremented");
    }
}
