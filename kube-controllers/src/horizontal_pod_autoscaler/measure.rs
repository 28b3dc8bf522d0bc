//! Asks for the metrics that a spec names. What cannot be had is told in upstream's words.
//! Source: `pkg/controller/podautoscaler/metrics/client.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::Metrics;
use coracle_core::metrics::PodUsage;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::{CrossVersionObjectReference, HorizontalPodAutoscaler, MetricSpec};
use k8s_openapi::api::core::v1::Pod;

use super::target::Target;

/// What was measured for one metric of a spec, or why it was not.
pub(super) type Measured = Result<Measurement, String>;

/// What was measured for one metric of a spec.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Measurement {
    /// By pod; some pods may be missing.
    Pods(Samples),
    /// One number for all, in thousandths.
    Value(i64),
}

/// What was measured of pods, by their names.
pub(super) type Samples = BTreeMap<String, Sample>;

/// What was measured of one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// In thousandths.
    pub(super) milli: i64,
    pub(super) at: Timestamp,
    pub(super) window: SignedDuration,
}

/// Asks for every metric of a spec, in its order.
pub(super) async fn all(metrics: &dyn Metrics, autoscaler: &HorizontalPodAutoscaler, target: &Target) -> Vec<Measured> {
    let Ok(pods) = &target.pods else { return Vec::new() };
    let mut measured = Vec::new();
    for spec in autoscaler.spec.metrics.iter().flatten() {
        measured.push(one(metrics, autoscaler, spec, pods).await);
    }
    measured
}

async fn one(
    metrics: &dyn Metrics,
    autoscaler: &HorizontalPodAutoscaler,
    spec: &MetricSpec,
    pods: &[Arc<Pod>],
) -> Measured {
    let namespace = autoscaler.metadata.namespace.as_deref().unwrap_or("");
    if let Some(source) = &spec.resource {
        return resource(metrics, pods, &source.name, None).await;
    }
    if let Some(source) = &spec.container_resource {
        return resource(metrics, pods, &source.name, Some(&source.container)).await;
    }
    if let Some(source) = &spec.pods {
        let mut samples = Samples::new();
        for pod in pods {
            let name = pod.metadata.name.clone().unwrap_or_default();
            let of = CrossVersionObjectReference {
                api_version: Some("v1".to_owned()),
                kind: "Pod".to_owned(),
                name: name.clone(),
            };
            let value = metrics.custom(&source.metric, namespace, &of).await.map_err(text)?;
            let sample = |milli| Sample { milli, at: Timestamp::UNIX_EPOCH, window: SignedDuration::ZERO };
            samples.extend(value.map(|value| (name, sample(value.milli_value()))));
        }
        return some_of(samples, "custom");
    }
    if let Some(source) = &spec.object {
        let value = metrics.custom(&source.metric, namespace, &source.described_object).await.map_err(text)?;
        let value = value.ok_or("no metrics returned from custom metrics API")?;
        return Ok(Measurement::Value(value.milli_value()));
    }
    let Some(source) = &spec.external else { return Err(String::new()) };
    let values = metrics.external(&source.metric, namespace).await.map_err(text)?;
    if values.is_empty() {
        return Err("no metrics returned from external metrics API".to_owned());
    }
    Ok(Measurement::Value(values.iter().fold(0, |sum, value| sum.saturating_add(value.milli_value()))))
}

async fn resource(metrics: &dyn Metrics, pods: &[Arc<Pod>], resource: &str, container: Option<&str>) -> Measured {
    let mut samples = Samples::new();
    for pod in pods {
        let Some(usage) = metrics.pod(pod).await.map_err(text)? else { continue };
        let name = pod.metadata.name.clone().unwrap_or_default();
        let milli = match container {
            None => whole(&usage, resource),
            Some(container) => Some(part(&usage, resource, container, pod)?),
        };
        let window = SignedDuration::try_from(usage.window).unwrap_or_default();
        samples.extend(milli.map(|milli| (name, Sample { milli, at: usage.at, window })));
    }
    some_of(samples, "resource")
}

/// What all containers use together; nothing if one of them does not tell.
fn whole(usage: &PodUsage, resource: &str) -> Option<i64> {
    let amounts = usage.containers.values().map(|used| used.get(resource));
    amounts.map(|amount| amount.map(|amount| amount.milli_value())).sum()
}

fn part(usage: &PodUsage, resource: &str, container: &str, pod: &Pod) -> Result<i64, String> {
    let amount = usage.containers.get(container).and_then(|used| used.get(resource));
    let metadata = &pod.metadata;
    let (namespace, name) = (metadata.namespace.as_deref().unwrap_or(""), metadata.name.as_deref().unwrap_or(""));
    let missing = || format!("container {container} not present in metrics for pod {namespace}/{name}");
    amount.map(|amount| amount.milli_value()).ok_or_else(missing)
}

fn some_of(samples: Samples, api: &str) -> Measured {
    if samples.is_empty() {
        return Err(format!("no metrics returned from {api} metrics API"));
    }
    Ok(Measurement::Pods(samples))
}

fn text(status: coracle_core::Status) -> String {
    status.message().to_owned()
}
