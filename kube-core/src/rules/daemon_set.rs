//! DaemonSet.

use super::check::{asks_nothing, int_or_percent_value, is_absent, text};
use super::{Ruled, deployment, fill, pod_template, spec_and_status};
use crate::field::{Errors, Json, Path};
use crate::selector::label_selector_matches;
use k8s_openapi::api::apps::v1::{
    DaemonSet, DaemonSetSpec, DaemonSetStatus, DaemonSetUpdateStrategy, RollingUpdateDaemonSet,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

impl Ruled for DaemonSet {
    spec_and_status!();

    fn fill_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        let strategy = spec.update_strategy.get_or_insert_default();
        fill::text(&mut strategy.type_, "RollingUpdate");
        if strategy.type_.as_deref() == Some("RollingUpdate") {
            let rolling = strategy.rolling_update.get_or_insert_default();
            fill::value(&mut rolling.max_unavailable, IntOrString::Int(1));
            fill::value(&mut rolling.max_surge, IntOrString::Int(0));
        }
        fill::value(&mut spec.revision_history_limit, 10);
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
        let Some(status) = &self.status else { return };
        validate_status(status, errors);
        let old = old.status.as_ref().and_then(|old| old.collision_count);
        deployment::validate_collisions(status.collision_count, old, errors);
    }
}

fn validate_spec(spec: &DaemonSetSpec, path: &Path, errors: &mut Errors) {
    errors.label_selector(&path.field("selector"), Some(&spec.selector));
    let template_path = path.field("template");
    let selected =
        !is_absent(&spec.selector) && label_selector_matches(&spec.selector, pod_template::labels(&spec.template));
    pod_template::validate_selected(&spec.template, selected, &template_path, errors);
    if !is_absent(&spec.selector) && asks_nothing(&spec.selector) {
        let message = "empty selector is invalid for daemonset";
        errors.invalid(&path.field("selector"), Json(&spec.selector), message);
    }
    pod_template::validate(&spec.template, &template_path, errors);
    pod_template::validate_runs_forever(&spec.template, "DaemonSet", &template_path, errors);
    errors.non_negative(&path.field("minReadySeconds"), spec.min_ready_seconds);
    if let Some(strategy) = &spec.update_strategy {
        validate_strategy(strategy, &path.field("updateStrategy"), errors);
    }
    errors.non_negative(&path.field("revisionHistoryLimit"), spec.revision_history_limit);
}

fn validate_strategy(strategy: &DaemonSetUpdateStrategy, path: &Path, errors: &mut Errors) {
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("OnDelete", _) => {}
        ("RollingUpdate", Some(rolling)) => validate_rolling(rolling, &path.field("rollingUpdate"), errors),
        ("RollingUpdate", None) => errors.required(&path.field("rollingUpdate"), ""),
        _ => errors.not_supported(path, Json(strategy), &["RollingUpdate", "OnDelete"]),
    }
}

fn validate_rolling(rolling: &RollingUpdateDaemonSet, path: &Path, errors: &mut Errors) {
    let zero = IntOrString::Int(0);
    let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
    for (field, value) in [("maxUnavailable", unavailable), ("maxSurge", surge)] {
        errors.int_or_percent(&path.field(field), value);
    }
    for (field, value) in [("maxUnavailable", unavailable), ("maxSurge", surge)] {
        errors.at_most_100_percent(&path.field(field), value);
    }
    match (int_or_percent_value(unavailable), int_or_percent_value(surge)) {
        (0, 0) => errors.required(&path.field("maxUnavailable"), "cannot be 0 when maxSurge is 0"),
        (0, _) | (_, 0) => {}
        _ => errors.invalid(&path.field("maxSurge"), Json(surge), "may not be set when maxUnavailable is non-zero"),
    }
}

fn validate_status(status: &DaemonSetStatus, errors: &mut Errors) {
    let path = Path::new("status");
    for (field, count) in [
        ("currentNumberScheduled", Some(status.current_number_scheduled)),
        ("numberMisscheduled", Some(status.number_misscheduled)),
        ("desiredNumberScheduled", Some(status.desired_number_scheduled)),
        ("numberReady", Some(status.number_ready)),
        ("updatedNumberScheduled", status.updated_number_scheduled),
        ("numberAvailable", status.number_available),
        ("numberUnavailable", status.number_unavailable),
        ("collisionCount", status.collision_count),
    ] {
        errors.non_negative(&path.field(field), count);
    }
    errors.non_negative(&path.field("observedGeneration"), status.observed_generation);
}
