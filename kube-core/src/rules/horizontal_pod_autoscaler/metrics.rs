//! What an autoscaler measures: each metric has one source, of the type it names.

use crate::field::{Errors, Path};
use crate::quantity::{Quantity, QuantityText};
use crate::rules::check::text;
use k8s_openapi::api::autoscaling::v2::{MetricIdentifier, MetricSpec, MetricTarget};

/// Type, field, in upstream's order of looking.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];
const TYPES: &[&str] = &["ContainerResource", "External", "Object", "Pods", "Resource"];

/// Checks one metric.
pub(super) fn validate(metric: &MetricSpec, path: &Path, errors: &mut Errors) {
    if metric.type_.is_empty() {
        errors.required(&path.field("type"), "must specify a metric source type");
    }
    errors.one_of(&path.field("type"), &metric.type_, TYPES);
    let is_given = |field: &str| match field {
        "object" => metric.object.is_some(),
        "external" => metric.external.is_some(),
        "pods" => metric.pods.is_some(),
        "resource" => metric.resource.is_some(),
        _ => metric.container_resource.is_some(),
    };
    let given: Vec<&str> = SOURCES.iter().map(|(_, field)| *field).filter(|field| is_given(field)).collect();
    if let Some(first) = given.first() {
        validate_source(metric, first, &path.field(first), errors);
    }
    let expected = SOURCES.iter().find(|(kind, _)| *kind == metric.type_).map(|(_, field)| *field);
    if let Some(field) = expected.filter(|field| !is_given(field)) {
        errors.required(&path.field(field), "must populate information for the given metric source");
    }
    if given.len() != 1 {
        for field in given.into_iter().filter(|field| Some(*field) != expected) {
            errors.forbidden(&path.field(field), "must populate the given metric source only");
        }
    }
}

fn validate_source(metric: &MetricSpec, field: &str, path: &Path, errors: &mut Errors) {
    let target_path = path.field("target");
    if let Some(source) = metric.object.as_ref().filter(|_| field == "object") {
        let object = &source.described_object;
        let api_version = text(&object.api_version);
        super::validate_reference(&object.kind, &object.name, api_version, &path.field("describedObject"), errors);
        validate_identifier(&source.metric, &path.field("metric"), errors);
        validate_target(&source.target, &target_path, errors);
        validate_value_given(&source.target, "must set either a target value or averageValue", &target_path, errors);
    }
    if let Some(source) = metric.external.as_ref().filter(|_| field == "external") {
        validate_identifier(&source.metric, &path.field("metric"), errors);
        validate_target(&source.target, &target_path, errors);
        let message = "must set either a target value for metric or a per-pod target";
        validate_value_given(&source.target, message, &target_path, errors);
        if source.target.value.is_some() && source.target.average_value.is_some() {
            let message = "may not set both a target value for metric and a per-pod target";
            errors.forbidden(&target_path.field("value"), message);
        }
    }
    if let Some(source) = metric.pods.as_ref().filter(|_| field == "pods") {
        validate_identifier(&source.metric, &path.field("metric"), errors);
        validate_target(&source.target, &target_path, errors);
        if source.target.average_value.is_none() {
            let message = "must specify a positive target averageValue";
            errors.required(&target_path.field("averageValue"), message);
        }
    }
    if let Some(source) = metric.resource.as_ref().filter(|_| field == "resource") {
        if source.name.is_empty() {
            errors.required(&path.field("name"), "must specify a resource name");
        }
        validate_resource_target(&source.target, &target_path, errors);
    }
    if let Some(source) = metric.container_resource.as_ref().filter(|_| field == "containerResource") {
        match source.name.as_str() {
            "" => errors.required(&path.field("name"), "must specify a resource name"),
            name => errors.container_resource_name(&path.field("name"), name),
        }
        match source.container.as_str() {
            "" => errors.required(&path.field("container"), "must specify a container"),
            container => errors.dns_label(&path.field("container"), container),
        }
        validate_resource_target(&source.target, &target_path, errors);
    }
}

fn validate_identifier(metric: &MetricIdentifier, path: &Path, errors: &mut Errors) {
    match metric.name.as_str() {
        "" => errors.required(&path.field("name"), "must specify a metric name"),
        name => errors.path_segment(&path.field("name"), name),
    }
}

fn validate_value_given(target: &MetricTarget, message: &str, path: &Path, errors: &mut Errors) {
    if target.value.is_none() && target.average_value.is_none() {
        errors.required(&path.field("averageValue"), message);
    }
}

fn validate_resource_target(target: &MetricTarget, path: &Path, errors: &mut Errors) {
    validate_target(target, path, errors);
    match (target.average_utilization, &target.average_value) {
        (None, None) => {
            let message = "must set either a target raw value or a target utilization";
            errors.required(&path.field("averageUtilization"), message);
        }
        (Some(_), Some(_)) => {
            let message = "may not set both a target raw value and a target utilization";
            errors.forbidden(&path.field("averageValue"), message);
        }
        _ => {}
    }
}

fn validate_target(target: &MetricTarget, path: &Path, errors: &mut Errors) {
    let kind = target.type_.as_str();
    if kind.is_empty() {
        errors.required(&path.field("type"), "must specify a metric target type");
    }
    if !["Utilization", "Value", "AverageValue"].contains(&kind) {
        errors.invalid(&path.field("type"), kind, "must be either Utilization, Value, or AverageValue");
    }
    validate_positive(target.value.as_ref(), &path.field("value"), errors);
    validate_positive(target.average_value.as_ref(), &path.field("averageValue"), errors);
    if let Some(percent) = target.average_utilization.filter(|percent| *percent < 1) {
        errors.invalid(&path.field("averageUtilization"), percent, "must be greater than 0");
    }
}

fn validate_positive(amount: Option<&QuantityText>, path: &Path, errors: &mut Errors) {
    let Some(amount) = amount.and_then(|amount| Quantity::try_from(amount).ok()) else { return };
    if amount.is_zero() || amount.is_negative() {
        errors.invalid(path, amount.to_string(), "must be positive");
    }
}
