//! ReplicaSet.

use super::check::is_absent;
use super::{Ruled, fill, pod_template, spec_and_status};
use crate::field::{Errors, Path};
use crate::selector::label_selector_matches;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec, ReplicaSetStatus};

impl Ruled for ReplicaSet {
    spec_and_status!();

    fn fill_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        fill::value(&mut spec.replicas, 1);
        if let Some(template) = &mut spec.template {
            pod_template::fill(template);
        }
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

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        if let Some(status) = &self.status {
            validate_status(status, errors);
        }
    }
}

fn validate_spec(spec: &ReplicaSetSpec, path: &Path, errors: &mut Errors) {
    errors.non_negative(&path.field("replicas"), spec.replicas);
    errors.non_negative(&path.field("minReadySeconds"), spec.min_ready_seconds);
    errors.workload_selector(&path.field("selector"), &spec.selector, "deployment");
    let path = path.field("template");
    let Some(template) = &spec.template else { return errors.required(&path, "") };
    let selected = !is_absent(&spec.selector) && label_selector_matches(&spec.selector, pod_template::labels(template));
    pod_template::validate_selected(template, selected, &path, errors);
    pod_template::validate(template, &path, errors);
    pod_template::validate_runs_forever(template, "ReplicaSet", &path, errors);
}

fn validate_status(status: &ReplicaSetStatus, errors: &mut Errors) {
    let counts = [
        ("fullyLabeledReplicas", status.fully_labeled_replicas),
        ("readyReplicas", status.ready_replicas),
        ("availableReplicas", status.available_replicas),
    ];
    validate_counts(status.replicas, &counts, errors);
    errors.non_negative(&Path::new("status.observedGeneration"), status.observed_generation);
    if status.available_replicas > status.ready_replicas {
        let available = status.available_replicas.unwrap_or(0);
        errors.invalid(&Path::new("status.availableReplicas"), available, "cannot be greater than readyReplicas");
    }
}

/// Checks the counts of a status: none negative, none above all replicas.
pub(super) fn validate_counts(replicas: i32, counts: &[(&str, Option<i32>)], errors: &mut Errors) {
    let path = Path::new("status");
    errors.non_negative(&path.field("replicas"), replicas);
    for (field, count) in counts {
        errors.non_negative(&path.field(field), *count);
    }
    for (field, count) in counts {
        if let Some(count) = count.filter(|count| *count > replicas) {
            errors.invalid(&path.field(field), count, "cannot be greater than status.replicas");
        }
    }
}
