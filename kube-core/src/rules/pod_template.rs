//! Pod templates inside other kinds, and the kind PodTemplate.

use super::check::{items, text};
use super::{Ruled, pod_spec};
use crate::field::{Errors, Json, Path};
use crate::selector::Labels;
use k8s_openapi::api::core::v1::{PodTemplate, PodTemplateSpec};

/// Fills in a template's defaults.
pub(super) fn fill(template: &mut PodTemplateSpec) {
    pod_spec::defaults::fill(template.spec.get_or_insert_default());
}

/// The labels a template gives its pods.
pub(super) fn labels(template: &PodTemplateSpec) -> Option<&Labels> {
    template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref())
}

/// Checks a template.
pub(super) fn validate(template: &PodTemplateSpec, path: &Path, errors: &mut Errors) {
    if let Some(metadata) = &template.metadata {
        errors.labels(&path.field("labels"), &metadata.labels);
        errors.annotations(&path.field("annotations"), &metadata.annotations);
    }
    let path = path.field("spec");
    let Some(spec) = &template.spec else { return errors.required(&path.field("containers"), "") };
    pod_spec::validate(spec, None, &path, errors);
    if !items(&spec.ephemeral_containers).is_empty() {
        errors.forbidden(&path.field("ephemeralContainers"), "ephemeral containers not allowed in pod template");
    }
}

/// Checks that the owner selects the pods it makes.
pub(super) fn validate_selected(template: &PodTemplateSpec, selected: bool, path: &Path, errors: &mut Errors) {
    if !selected {
        let message = "`selector` does not match template `labels`";
        errors.invalid(&path.field("metadata").field("labels"), Json(&labels(template)), message);
    }
}

/// Checks what every template of pods that never end must hold; `owner` is the kind as the message names it.
pub(super) fn validate_runs_forever(template: &PodTemplateSpec, owner: &str, path: &Path, errors: &mut Errors) {
    let Some(spec) = &template.spec else { return };
    let path = path.field("spec");
    errors.one_of(&path.field("restartPolicy"), text(&spec.restart_policy), &["Always"]);
    if spec.active_deadline_seconds.is_some() {
        let message = std::format!("activeDeadlineSeconds in {owner} is not Supported");
        errors.forbidden(&path.field("activeDeadlineSeconds"), message);
    }
}

impl Ruled for PodTemplate {
    const HAS_GENERATION: bool = true;

    fn fill_defaults(&mut self) {
        fill(self.template.get_or_insert_default());
    }

    fn validate(&self, errors: &mut Errors) {
        if let Some(template) = &self.template {
            validate(template, &Path::new("template"), errors);
        }
    }

    fn spec_changed(&self, old: &Self) -> bool {
        !super::same(&self.template, &old.template)
    }
}
