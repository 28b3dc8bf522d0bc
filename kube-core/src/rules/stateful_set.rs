//! StatefulSet. As upstream, the template's pod spec is not checked here but when pods are made of it, since its mounts may
//! name volumes that come from the claim templates.

use super::check::{int_or_percent_value, is_absent, text};
use super::pod_spec::defaults::fill_claim;
use super::{Ruled, deployment, fill, metadata, pod_template, replica_set, same, spec_and_status};
use crate::field::{Errors, Json, Path};
use crate::selector::label_selector_matches;
use k8s_openapi::api::apps::v1::{
    RollingUpdateStatefulSetStrategy, StatefulSet, StatefulSetSpec, StatefulSetStatus, StatefulSetUpdateStrategy,
};

impl Ruled for StatefulSet {
    /// The name becomes part of its pods' host names.
    const NAME: metadata::NameRule = metadata::dns_label;
    spec_and_status!();

    fn fill_defaults(&mut self) {
        let spec = self.spec.get_or_insert_default();
        fill::text(&mut spec.pod_management_policy, "OrderedReady");
        fill_strategy(spec.update_strategy.get_or_insert_default());
        let retention = spec.persistent_volume_claim_retention_policy.get_or_insert_default();
        fill::text(&mut retention.when_deleted, "Retain");
        fill::text(&mut retention.when_scaled, "Retain");
        fill::value(&mut spec.replicas, 1);
        fill::value(&mut spec.revision_history_limit, 10);
        pod_template::fill(&mut spec.template);
        for claim in spec.volume_claim_templates.iter_mut().flatten() {
            fill_claim(claim.spec.get_or_insert_default());
            fill::text(&mut claim.status.get_or_insert_default().phase, "Pending");
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let path = Path::new("spec");
        let Some(spec) = &self.spec else { return errors.required(&path, "") };
        validate_spec(spec, &path, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        self.validate(errors);
        if let (Some(new), Some(old)) = (&self.spec, &old.spec)
            && new != old
            && !same(&with_changeable_of(new, old), old)
        {
            errors.forbidden(
                &Path::new("spec"),
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
                 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
            );
        }
    }

    fn validate_status_update(&self, old: &Self, errors: &mut Errors) {
        let none = StatefulSetStatus::default();
        validate_status(self.status.as_ref().unwrap_or(&none), old.status.as_ref().unwrap_or(&none), errors);
    }
}

fn fill_strategy(strategy: &mut StatefulSetUpdateStrategy) {
    if text(&strategy.type_).is_empty() {
        strategy.type_ = Some("RollingUpdate".to_owned());
        strategy.rolling_update.get_or_insert_default();
    }
    if strategy.type_.as_deref() == Some("RollingUpdate")
        && let Some(rolling) = &mut strategy.rolling_update
    {
        fill::value(&mut rolling.partition, 0);
    }
}

/// The new spec with all that may change put back, so that what still differs may not.
fn with_changeable_of(new: &StatefulSetSpec, old: &StatefulSetSpec) -> StatefulSetSpec {
    StatefulSetSpec {
        replicas: old.replicas,
        ordinals: old.ordinals.clone(),
        template: old.template.clone(),
        update_strategy: old.update_strategy.clone(),
        revision_history_limit: old.revision_history_limit,
        persistent_volume_claim_retention_policy: old.persistent_volume_claim_retention_policy.clone(),
        min_ready_seconds: old.min_ready_seconds,
        ..new.clone()
    }
}

fn validate_spec(spec: &StatefulSetSpec, path: &Path, errors: &mut Errors) {
    let policy = text(&spec.pod_management_policy);
    if errors.given(&path.field("podManagementPolicy"), policy) && !matches!(policy, "OrderedReady" | "Parallel") {
        errors.invalid(&path.field("podManagementPolicy"), policy, "must be 'OrderedReady' or 'Parallel'");
    }
    match &spec.update_strategy {
        None => errors.required(&path.field("updateStrategy"), ""),
        Some(strategy) => validate_strategy(strategy, &path.field("updateStrategy"), errors),
    }
    if let Some(retention) = &spec.persistent_volume_claim_retention_policy {
        let path = path.field("persistentVolumeClaimRetentionPolicy");
        errors.one_of(&path.field("whenDeleted"), text(&retention.when_deleted), &["Retain", "Delete"]);
        errors.one_of(&path.field("whenScaled"), text(&retention.when_scaled), &["Retain", "Delete"]);
    }
    errors.non_negative(&path.field("replicas"), spec.replicas);
    errors.non_negative(&path.field("minReadySeconds"), spec.min_ready_seconds);
    errors.non_negative(&path.field("revisionHistoryLimit"), spec.revision_history_limit);
    let start = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start);
    errors.non_negative(&path.field("ordinals.start"), start);
    errors.workload_selector(&path.field("selector"), &spec.selector, "statefulset");
    let path = path.field("template");
    let selected =
        !is_absent(&spec.selector) && label_selector_matches(&spec.selector, pod_template::labels(&spec.template));
    pod_template::validate_selected(&spec.template, selected, &path, errors);
    if let Some(metadata) = &spec.template.metadata {
        errors.labels(&path.field("labels"), &metadata.labels);
        errors.annotations(&path.field("annotations"), &metadata.annotations);
    }
    pod_template::validate_runs_forever(&spec.template, "StatefulSet", &path, errors);
}

fn validate_strategy(strategy: &StatefulSetUpdateStrategy, path: &Path, errors: &mut Errors) {
    let rolling_path = path.field("rollingUpdate");
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("", _) => errors.required(path, ""),
        ("OnDelete", Some(rolling)) => {
            errors.invalid(&rolling_path, Json(rolling), "only allowed for updateStrategy 'RollingUpdate'");
        }
        ("RollingUpdate", Some(rolling)) => validate_rolling(rolling, &rolling_path, errors),
        ("OnDelete" | "RollingUpdate", None) => {}
        _ => errors.invalid(path, Json(strategy), "must be 'RollingUpdate' or 'OnDelete'"),
    }
}

fn validate_rolling(rolling: &RollingUpdateStatefulSetStrategy, path: &Path, errors: &mut Errors) {
    errors.non_negative(&path.field("partition"), rolling.partition);
    let Some(unavailable) = &rolling.max_unavailable else { return };
    let path = path.field("maxUnavailable");
    errors.int_or_percent(&path, unavailable);
    if int_or_percent_value(unavailable) == 0 {
        errors.invalid(&path, Json(unavailable), "cannot be 0");
    }
    errors.at_most_100_percent(&path, unavailable);
}

fn validate_status(status: &StatefulSetStatus, old: &StatefulSetStatus, errors: &mut Errors) {
    let path = Path::new("status");
    let counts = [
        ("readyReplicas", status.ready_replicas),
        ("currentReplicas", status.current_replicas),
        ("updatedReplicas", status.updated_replicas),
        ("availableReplicas", status.available_replicas),
    ];
    replica_set::validate_counts(status.replicas, &counts, errors);
    errors.non_negative(&path.field("observedGeneration"), status.observed_generation);
    errors.non_negative(&path.field("collisionCount"), status.collision_count);
    if status.available_replicas.unwrap_or(0) > status.ready_replicas.unwrap_or(0) {
        let available = status.available_replicas.unwrap_or(0);
        errors.invalid(&path.field("availableReplicas"), available, "cannot be greater than status.readyReplicas");
    }
    deployment::validate_collisions(status.collision_count, old.collision_count, errors);
}
