//! HorizontalPodAutoscaler, v1 and v2. What its metrics measure is in `metrics`.

mod metrics;

use super::check::{items, text};
use super::{Ruled, fill, status_apart};
use crate::field::{Errors, Path};
use k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler as V1;
use k8s_openapi::api::autoscaling::v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler as V2, MetricSpec, MetricTarget, ResourceMetricSource,
};

const CPU_PERCENT: i32 = 80;
const PERIOD_SECONDS_MAX: i32 = 1800;
const WINDOW_SECONDS_MAX: i32 = 3600;
const SPEC: Path<'static> = Path::new("spec");

impl Ruled for V1 {
    status_apart!();

    fn fill_defaults(&mut self) {
        fill::value(&mut self.spec.min_replicas, 1);
    }

    fn validate(&self, errors: &mut Errors) {
        let spec = &self.spec;
        validate_replicas(spec.min_replicas, spec.max_replicas, false, errors);
        let target = &spec.scale_target_ref;
        validate_reference(
            &target.kind,
            &target.name,
            text(&target.api_version),
            &SPEC.field("scaleTargetRef"),
            errors,
        );
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        if let Some(status) = &self.status {
            validate_status(Some(status.current_replicas), status.desired_replicas, errors);
        }
    }
}

impl Ruled for V2 {
    status_apart!();

    fn fill_defaults(&mut self) {
        let spec = &mut self.spec;
        fill::value(&mut spec.min_replicas, 1);
        if items(&spec.metrics).is_empty() {
            spec.metrics = Some(vec![cpu_utilization()]);
        }
        if let Some(behavior) = &mut spec.behavior {
            fill_rules(&mut behavior.scale_up, 0, &[("Pods", 4), ("Percent", 100)]);
            fill_rules(&mut behavior.scale_down, None, &[("Percent", 100)]);
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let spec = &self.spec;
        let is_from_outside = |metric: &MetricSpec| metric.object.is_some() || metric.external.is_some();
        let sees_demand = items(&spec.metrics).iter().any(is_from_outside);
        validate_replicas(spec.min_replicas, spec.max_replicas, sees_demand, errors);
        let target = &spec.scale_target_ref;
        validate_reference(
            &target.kind,
            &target.name,
            text(&target.api_version),
            &SPEC.field("scaleTargetRef"),
            errors,
        );
        for (index, metric) in items(&spec.metrics).iter().enumerate() {
            metrics::validate(metric, &SPEC.field("metrics").index(index), errors);
        }
        if let Some(behavior) = &spec.behavior {
            let path = SPEC.field("behavior");
            for (field, rules) in [("scaleUp", &behavior.scale_up), ("scaleDown", &behavior.scale_down)] {
                if let Some(rules) = rules {
                    validate_rules(rules, &path.field(field), errors);
                }
            }
        }
    }

    fn validate_status_update(&self, _old: &Self, errors: &mut Errors) {
        if let Some(status) = &self.status {
            validate_status(status.current_replicas, status.desired_replicas, errors);
        }
    }
}

fn validate_status(current: Option<i32>, desired: i32, errors: &mut Errors) {
    errors.non_negative(&Path::new("status.currentReplicas"), current);
    errors.non_negative(&Path::new("status.desiredReplicas"), desired);
}

fn cpu_utilization() -> MetricSpec {
    let target =
        MetricTarget { type_: "Utilization".to_owned(), average_utilization: Some(CPU_PERCENT), ..Default::default() };
    let resource = Some(ResourceMetricSource { name: "cpu".to_owned(), target });
    MetricSpec { type_: "Resource".to_owned(), resource, ..Default::default() }
}

fn fill_rules(rules: &mut Option<HPAScalingRules>, window_seconds: impl Into<Option<i32>>, policies: &[(&str, i32)]) {
    let rules = rules.get_or_insert_default();
    fill::value(&mut rules.select_policy, "Max".to_owned());
    if rules.stabilization_window_seconds.is_none() {
        rules.stabilization_window_seconds = window_seconds.into();
    }
    rules.policies.get_or_insert_with(|| {
        let policy = |(kind, value): &(&str, i32)| HPAScalingPolicy {
            type_: kind.to_string(),
            value: *value,
            period_seconds: 15,
        };
        policies.iter().map(policy).collect()
    });
}

/// `sees_demand`: a metric tells of demand even while there are no pods. Scaling to zero is on: upstream's feature
/// HPAScaleToZero.
fn validate_replicas(least: Option<i32>, most: i32, sees_demand: bool, errors: &mut Errors) {
    if least == Some(0) && !sees_demand {
        let message = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.forbidden(&SPEC.field("metrics"), message);
    }
    if let Some(least) = least.filter(|least| *least < 0) {
        errors.invalid(&SPEC.field("minReplicas"), least, "must be greater than or equal to 0");
    }
    if most < 1 {
        errors.invalid(&SPEC.field("maxReplicas"), most, "must be greater than 0");
    }
    if least.is_some_and(|least| most < least) {
        errors.invalid(&SPEC.field("maxReplicas"), most, "must be greater than or equal to `minReplicas`");
    }
}

fn validate_reference(kind: &str, name: &str, api_version: &str, path: &Path, errors: &mut Errors) {
    errors.given_path_segment(&path.field("kind"), kind);
    errors.given_path_segment(&path.field("name"), name);
    if api_version.matches('/').count() > 1 {
        let message = std::format!("unexpected GroupVersion string: {api_version}");
        errors.invalid(&path.field("apiVersion"), api_version, message);
    }
}

fn validate_rules(rules: &HPAScalingRules, path: &Path, errors: &mut Errors) {
    let window_path = path.field("stabilizationWindowSeconds");
    match rules.stabilization_window_seconds {
        Some(seconds) if seconds < 0 => {
            errors.invalid(&window_path, seconds, "must be greater than or equal to zero");
        }
        Some(seconds) if seconds > WINDOW_SECONDS_MAX => {
            let message = std::format!("must be less than or equal to {WINDOW_SECONDS_MAX}");
            errors.invalid(&window_path, seconds, message);
        }
        _ => {}
    }
    errors.any_of(&path.field("selectPolicy"), &rules.select_policy, &["Disabled", "Max", "Min"]);
    let path_of_policies = path.field("policies");
    let policies = items(&rules.policies);
    if policies.is_empty() {
        errors.required(&path_of_policies, "must specify at least one Policy");
    }
    for (index, policy) in policies.iter().enumerate() {
        validate_policy(policy, &path_of_policies.index(index), errors);
    }
    if let Some(tolerance) = &rules.tolerance {
        errors.non_negative_quantity(&path.field("tolerance"), tolerance);
    }
}

fn validate_policy(policy: &HPAScalingPolicy, path: &Path, errors: &mut Errors) {
    errors.one_of(&path.field("type"), &policy.type_, &["Percent", "Pods"]);
    errors.positive(&path.field("value"), policy.value);
    errors.positive(&path.field("periodSeconds"), policy.period_seconds);
    if policy.period_seconds > PERIOD_SECONDS_MAX {
        let message = std::format!("must be less than or equal to {PERIOD_SECONDS_MAX}");
        errors.invalid(&path.field("periodSeconds"), policy.period_seconds, message);
    }
}
