//! Autoscalers, kept as `autoscaling/v2` whatever version is asked for, and the scale they set.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use super::age::age;
use super::column::{AGE, Column, NAME, field, integer, string};
use super::text::{NONE, UNKNOWN, UNSET, first, plain, quantity};
use super::{Printer, printer, row};

pub(super) static HORIZONTAL_POD_AUTOSCALER: Printer = printer!(
    HorizontalPodAutoscaler,
    horizontal_pod_autoscaler,
    [
        NAME,
        string("Reference", field("autoscaling.v2.HorizontalPodAutoscalerSpec", "scaleTargetRef")),
        string("Targets", field("autoscaling.v2.HorizontalPodAutoscalerSpec", "metrics")),
        string("MinPods", field("autoscaling.v2.HorizontalPodAutoscalerSpec", "minReplicas")),
        string("MaxPods", field("autoscaling.v2.HorizontalPodAutoscalerSpec", "maxReplicas")),
        string("Replicas", field("autoscaling.v2.HorizontalPodAutoscalerStatus", "currentReplicas")),
        AGE,
    ]
);

fn horizontal_pod_autoscaler(autoscaler: &HorizontalPodAutoscaler, now: Timestamp) -> Vec<Value> {
    let spec = &autoscaler.spec;
    let status = autoscaler.status.as_ref();
    let current = status.and_then(|status| status.current_metrics.as_deref()).unwrap_or_default();
    row![
        plain(&autoscaler.metadata.name),
        format!("{}/{}", spec.scale_target_ref.kind, spec.scale_target_ref.name),
        targets(spec.metrics.as_deref().unwrap_or_default(), current),
        spec.min_replicas.map_or_else(|| UNSET.to_owned(), |replicas| replicas.to_string()),
        spec.max_replicas,
        status.and_then(|status| status.current_replicas).unwrap_or(0),
        age(&autoscaler.metadata, now),
    ]
}

/// `cpu: 80%/50%, 12/10 (avg)`: what each metric is, and what it should be.
fn targets(specs: &[MetricSpec], statuses: &[MetricStatus]) -> String {
    let metrics: Vec<_> = specs.iter().enumerate().map(|(index, spec)| metric(spec, statuses.get(index))).collect();
    if metrics.is_empty() { NONE.to_owned() } else { first(&metrics, 2, ", ") }
}

fn metric(spec: &MetricSpec, status: Option<&MetricStatus>) -> String {
    match spec.type_.as_str() {
        "External" => {
            let current = status.and_then(|status| status.external.as_ref()).map(|status| &status.current);
            spec.external.as_ref().map(|external| value_or_average(&external.target, current))
        }
        "Object" => {
            let current = status.and_then(|status| status.object.as_ref()).map(|status| &status.current);
            spec.object.as_ref().map(|object| value_or_average(&object.target, current))
        }
        "Pods" => {
            let current = status.and_then(|status| status.pods.as_ref()).map(|status| &status.current);
            spec.pods.as_ref().map(|pods| average(&pods.target, current))
        }
        "Resource" => {
            let current = status.and_then(|status| status.resource.as_ref()).map(|status| &status.current);
            spec.resource.as_ref().map(|resource| named(&resource.name, &resource.target, current))
        }
        "ContainerResource" => {
            let current = status.and_then(|status| status.container_resource.as_ref()).map(|status| &status.current);
            spec.container_resource.as_ref().map(|resource| named(&resource.name, &resource.target, current))
        }
        _ => None,
    }
    .unwrap_or_else(|| "<unknown type>".to_owned())
}

fn value_or_average(target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    if target.average_value.is_some() {
        let current = current.and_then(|current| current.average_value.as_ref());
        let current = current.map_or_else(|| UNKNOWN.to_owned(), |current| quantity(Some(current)));
        format!("{current}/{} (avg)", pointer(target.average_value.as_ref()))
    } else {
        let current = current.map_or_else(|| UNKNOWN.to_owned(), |current| pointer(current.value.as_ref()));
        format!("{current}/{}", pointer(target.value.as_ref()))
    }
}

fn average(target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    let current = current.map_or_else(|| UNKNOWN.to_owned(), |current| pointer(current.average_value.as_ref()));
    format!("{current}/{}", pointer(target.average_value.as_ref()))
}

fn named(resource: &str, target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    if target.average_value.is_some() {
        return format!("{resource}: {}", average(target, current));
    }
    let percent =
        |share: Option<i32>, absent: &str| share.map_or_else(|| absent.to_owned(), |share| format!("{share}%"));
    let current = percent(current.and_then(|current| current.average_utilization), UNKNOWN);
    format!("{resource}: {current}/{}", percent(target.average_utilization, "<auto>"))
}

/// As Go prints a pointer to a quantity.
fn pointer(value: Option<&Quantity>) -> String {
    value.map_or_else(|| "<nil>".to_owned(), |value| quantity(Some(value)))
}

pub(super) static SCALE: Printer = printer!(
    Scale,
    scale,
    [
        Column { format: "", ..NAME },
        integer("Desired", field("autoscaling.v1.ScaleSpec", "replicas")),
        integer("Available", field("autoscaling.v1.ScaleStatus", "replicas")),
        AGE,
    ]
);

fn scale(scale: &Scale, now: Timestamp) -> Vec<Value> {
    row![
        plain(&scale.metadata.name),
        scale.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0),
        scale.status.as_ref().map_or(0, |status| status.replicas),
        age(&scale.metadata, now),
    ]
}
