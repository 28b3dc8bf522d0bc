//! What one metric of a spec asks for, in numbers and in upstream's words. Source: `computeReplicasForMetric` and the functions
//! below it.

use std::fmt::Write as _;

use coracle_core::quantity::{Quantity, QuantityText};
use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricStatus, ExternalMetricStatus, MetricIdentifier, MetricSpec, MetricStatus, MetricTarget,
    MetricValueStatus, ObjectMetricStatus, PodsMetricStatus, ResourceMetricStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::measure::{Measured, Measurement, Samples};
use super::replicas::{Answer, PodTarget, Situation, by_pods, by_share, by_value};

/// What a metric asks for.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) replicas: i32,
    /// The metric, as events and conditions name it.
    pub(super) metric: String,
    pub(super) status: MetricStatus,
}

/// Why a metric asks for nothing.
#[derive(Debug)]
pub(super) struct Failure {
    /// Of the event and the condition.
    pub(super) reason: &'static str,
    /// As event and condition tell it.
    pub(super) why: String,
    /// As it is told of all metrics together.
    pub(super) error: String,
}

/// What a metric asks for, given what was measured.
pub(super) fn propose(spec: &MetricSpec, measured: &Measured, situation: &Situation<'_>) -> Result<Proposal, Failure> {
    let kind = spec.type_.as_str();
    if let Some(source) = &spec.resource {
        let resource = Resource { name: &source.name, container: None, target: &source.target };
        let (replicas, metric, current) = resource.propose(measured, situation)?;
        let status = ResourceMetricStatus { name: source.name.clone(), current };
        return Ok(Proposal { replicas, metric, status: MetricStatus { resource: Some(status), ..of_kind(kind) } });
    }
    if let Some(source) = &spec.container_resource {
        let resource = Resource { name: &source.name, container: Some(&source.container), target: &source.target };
        let (replicas, metric, current) = resource.propose(measured, situation)?;
        let (name, container) = (source.name.clone(), source.container.clone());
        let status = Some(ContainerResourceMetricStatus { container, current, name });
        return Ok(Proposal { replicas, metric, status: MetricStatus { container_resource: status, ..of_kind(kind) } });
    }
    if let Some(source) = &spec.pods {
        let name = &source.metric.name;
        let fail = |why: String| {
            let error = format!("failed to get pods metric value: {why}");
            Failure { reason: "FailedGetPodsMetric", why, error }
        };
        let samples = samples(measured).map_err(|why| fail(format!("unable to get metric {name}: {why}")))?;
        let target = PodTarget::Average(milli(source.target.average_value.as_ref()).unwrap_or(0));
        let answer = by_pods(samples.clone(), &target, false, situation).map_err(fail)?;
        let status = PodsMetricStatus { current: average(answer), metric: source.metric.clone() };
        let status = MetricStatus { pods: Some(status), ..of_kind(kind) };
        return Ok(Proposal { replicas: answer.replicas, metric: format!("pods metric {name}"), status });
    }
    if let Some(source) = &spec.object {
        let (name, object) = (&source.metric.name, &source.described_object);
        let namespace = situation.namespace;
        let fail = |why: String, error: String| {
            let error = format!("failed to get object metric value: {error}");
            Failure { reason: "FailedGetObjectMetric", why, error }
        };
        // The order of the words is upstream's.
        let unknown =
            |why: &str| format!("unable to get metric {name}: {} on {namespace} {}/{why}", object.kind, object.name);
        let (replicas, current, metric) = match numbers(&source.target) {
            (Some(target), None) => {
                let value = value(measured).map_err(|why| fail(unknown(why), unknown(why)))?;
                let replicas = by_value(value, target, situation).map_err(|why| fail(why.clone(), why))?;
                (replicas, total(value), format!("{} metric {name}", object.kind))
            }
            (_, Some(target)) => {
                let wrap =
                    |why: &str| fail(unknown(why), format!("failed to get {name} object metric: {}", unknown(why)));
                let answer = by_share(value(measured).map_err(wrap)?, target, situation);
                (answer.replicas, average(answer), external_name(&source.metric))
            }
            (None, None) => {
                let why = "invalid object metric source: neither a value target nor an average value target was set";
                return Err(fail(why.to_owned(), why.to_owned()));
            }
        };
        let status = ObjectMetricStatus { current, described_object: object.clone(), metric: source.metric.clone() };
        return Ok(Proposal { replicas, metric, status: MetricStatus { object: Some(status), ..of_kind(kind) } });
    }
    let Some(source) = &spec.external else { return Err(unknown_type(kind)) };
    let name = &source.metric.name;
    let fail = |why: String, error: String| {
        let error = format!("failed to get {name} external metric value: {error}");
        Failure { reason: "FailedGetExternalMetric", why, error }
    };
    let unknown = |why: &str| {
        let selector = go_selector(source.metric.selector.as_ref());
        format!("unable to get external metric {}/{name}/{selector}: {why}", situation.namespace)
    };
    let (replicas, current) = match numbers(&source.target) {
        (_, Some(target)) => {
            let wrap =
                |why: &str| fail(unknown(why), format!("failed to get {name} external metric: {}", unknown(why)));
            let answer = by_share(value(measured).map_err(wrap)?, target, situation);
            (answer.replicas, average(answer))
        }
        (Some(target), None) => {
            let wrap = |why: String| fail(why.clone(), format!("failed to get external metric {name}: {why}"));
            let value = value(measured).map_err(|why| wrap(unknown(why)))?;
            (by_value(value, target, situation).map_err(wrap)?, total(value))
        }
        (None, None) => {
            let why = "invalid external metric source: neither a value target nor an average value target was set";
            return Err(fail(why.to_owned(), why.to_owned()));
        }
    };
    let status = ExternalMetricStatus { current, metric: source.metric.clone() };
    let status = MetricStatus { external: Some(status), ..of_kind(kind) };
    Ok(Proposal { replicas, metric: external_name(&source.metric), status })
}

/// A resource of pods, of one container or of all.
struct Resource<'a> {
    name: &'a str,
    container: Option<&'a str>,
    target: &'a MetricTarget,
}

impl Resource<'_> {
    /// Source: `computeStatusForResourceMetricGeneric`.
    fn propose(
        &self,
        measured: &Measured,
        situation: &Situation<'_>,
    ) -> Result<(i32, String, MetricValueStatus), Failure> {
        let name = self.name;
        let is_cpu = name == "cpu";
        let unknown = |why: &str| format!("unable to get metrics for resource {name}: {why}");
        if let Some(target) = milli(self.target.average_value.as_ref()) {
            let fail = |why: String| self.failure(format!("failed to get {name} usage: {why}"));
            let samples = samples(measured).map_err(|why| fail(unknown(why)))?;
            let answer = by_pods(samples.clone(), &PodTarget::Average(target), is_cpu, situation).map_err(fail)?;
            return Ok((answer.replicas, format!("{name} resource"), average(answer)));
        }
        let Some(percent) = self.target.average_utilization else {
            let why = "invalid resource metric source: neither an average utilization target nor an average value (usage) \
                       target was set";
            return Err(self.failure(why.to_owned()));
        };
        let fail = |why: String| self.failure(format!("failed to get {name} utilization: {why}"));
        let samples = samples(measured).map_err(|why| fail(unknown(why)))?;
        let target = PodTarget::Percent { percent, resource: name, container: self.container };
        let answer = by_pods(samples.clone(), &target, is_cpu, situation).map_err(fail)?;
        let scope = if self.container.is_some() { "container " } else { "" };
        let metric = format!("{name} {scope}resource utilization (percentage of request)");
        Ok((answer.replicas, metric, average(answer)))
    }

    fn failure(&self, why: String) -> Failure {
        let (reason, scope) = match self.container {
            None => ("FailedGetResourceMetric", "resource"),
            Some(_) => ("FailedGetContainerResourceMetric", "container"),
        };
        let error = format!("failed to get {} {scope} metric value: {why}", self.name);
        Failure { reason, why, error }
    }
}

fn unknown_type(kind: &str) -> Failure {
    let why = format!("unknown metric source type {kind:?}");
    Failure { reason: "InvalidMetricSourceType", error: why.clone(), why }
}

/// The status of a metric of which nothing more is known.
pub(super) fn of_kind(kind: &str) -> MetricStatus {
    MetricStatus { type_: kind.to_owned(), ..MetricStatus::default() }
}

fn samples(measured: &Measured) -> Result<&Samples, &str> {
    match measured {
        Ok(Measurement::Pods(samples)) => Ok(samples),
        Ok(Measurement::Value(_)) => Err("one value for all pods"),
        Err(why) => Err(why),
    }
}

fn value(measured: &Measured) -> Result<i64, &str> {
    match measured {
        Ok(Measurement::Value(value)) => Ok(*value),
        Ok(Measurement::Pods(_)) => Err("a value for each pod"),
        Err(why) => Err(why),
    }
}

/// The target for all together, and the one for each pod.
fn numbers(target: &MetricTarget) -> (Option<i64>, Option<i64>) {
    (milli(target.value.as_ref()), milli(target.average_value.as_ref()))
}

fn milli(quantity: Option<&QuantityText>) -> Option<i64> {
    Some(Quantity::try_from(quantity?).ok()?.milli_value())
}

fn average(answer: Answer) -> MetricValueStatus {
    let value = Some(Quantity::from_milli(answer.average).into());
    MetricValueStatus { average_utilization: answer.percent, average_value: value, value: None }
}

fn total(milli: i64) -> MetricValueStatus {
    MetricValueStatus { value: Some(Quantity::from_milli(milli).into()), ..MetricValueStatus::default() }
}

fn external_name(metric: &MetricIdentifier) -> String {
    format!("external metric {}({})", metric.name, go_selector(metric.selector.as_ref()))
}

/// A selector as Go prints one, which is how it stands in upstream's texts.
fn go_selector(selector: Option<&LabelSelector>) -> String {
    let Some(selector) = selector else { return "nil".to_owned() };
    let mut text = "&LabelSelector{MatchLabels:map[string]string{".to_owned();
    // Writing to a String cannot fail.
    for (key, value) in selector.match_labels.iter().flatten() {
        let _infallible = write!(text, "{key}: {value},");
    }
    text.push_str("},MatchExpressions:[]LabelSelectorRequirement{");
    for one in selector.match_expressions.iter().flatten() {
        let values = one.values.as_deref().unwrap_or(&[]).join(" ");
        let _infallible =
            write!(text, "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{values}],}},", one.key, one.operator);
    }
    text.push_str("},}");
    text
}
