//! ReplicationController.

use super::check::is_empty;
use super::{Ruled, fill, pod_template, spec_and_status};
use crate::field::{Errors, Path};
use k8s_openapi::api::core::v1::{ReplicationController, ReplicationControllerStatus};

impl Ruled for ReplicationController {
    spec_and_status!();

    fn fill_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        fill::value(&mut spec.replicas, 1);
        let Some(template) = &mut spec.template else { return };
        pod_template::fill(template);
        let Some(labels) = pod_template::labels(template) else { return };
        if is_empty(&spec.selector) {
            spec.selector = Some(labels.clone());
        }
        if is_empty(&self.metadata.labels) {
            self.metadata.labels = Some(labels.clone());
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let path = Path::new("spec");
        let Some(spec) = &self.spec else { return errors.required(&path, "") };
        errors.non_negative(&path.field("minReadySeconds"), spec.min_ready_seconds);
        if is_empty(&spec.selector) {
            errors.required(&path.field("selector"), "");
        }
        match spec.replicas {
            None => errors.required(&path.field("replicas"), ""),
            replicas => errors.non_negative(&path.field("replicas"), replicas),
        }
        let path = path.field("template");
        let Some(template) = &spec.template else { return errors.required(&path, "") };
        let labels = pod_template::labels(template);
        let selected =
            spec.selector.iter().flatten().all(|(key, value)| labels.and_then(|it| it.get(key)) == Some(value));
        pod_template::validate_selected(template, selected, &path, errors);
        pod_template::validate(template, &path, errors);
        pod_template::validate_runs_forever(template, "ReplicationController", &path, errors);
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        if let Some(status) = &self.status {
            validate_status(status, errors);
        }
    }
}

fn validate_status(status: &ReplicationControllerStatus, errors: &mut Errors) {
    let counts = [
        ("fullyLabeledReplicas", status.fully_labeled_replicas),
        ("readyReplicas", status.ready_replicas),
        ("availableReplicas", status.available_replicas),
    ];
    super::replica_set::validate_counts(status.replicas, &counts, errors);
    errors.non_negative(&Path::new("status.observedGeneration"), status.observed_generation);
    if status.available_replicas > status.ready_replicas {
        let available = status.available_replicas.unwrap_or(0);
        errors.invalid(&Path::new("status.availableReplicas"), available, "cannot be greater than readyReplicas");
    }
}
