//! LimitRange.

use super::Ruled;
use super::fill::{self, ResourceList};
use super::resources::allows_overcommit;
use crate::field::{Errors, Path};
use crate::quantity::Quantity;
use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem};

impl Ruled for LimitRange {
    fn fill_defaults(&mut self) {
        for limit in self.spec.iter_mut().flat_map(|spec| &mut spec.limits) {
            fill_limit(limit);
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let limits = self.spec.as_ref().map_or(&[][..], |spec| spec.limits.as_slice());
        for (index, limit) in limits.iter().enumerate() {
            let path = Path::new("spec.limits");
            let path = path.index(index);
            validate_type(&limit.type_, &path.field("type"), errors);
            if limits.iter().take(index).any(|earlier| earlier.type_ == limit.type_) {
                errors.duplicate(&path.field("type"), &limit.type_);
            }
            validate_limit(limit, &path, errors);
        }
    }
}

fn fill_limit(limit: &mut LimitRangeItem) {
    let lists = [&mut limit.max, &mut limit.min, &mut limit.default, &mut limit.default_request];
    lists.into_iter().for_each(|list| fill::canonical_amounts(list.as_mut()));
    fill::canonical_amounts(limit.max_limit_request_ratio.as_mut());
    if limit.type_ == "Container" {
        fill::missing_amounts(&mut limit.default, limit.max.as_ref());
        fill::missing_amounts(&mut limit.default_request, limit.default.as_ref());
        fill::missing_amounts(&mut limit.default_request, limit.min.as_ref());
    }
}

fn validate_type(kind: &str, path: &Path, errors: &mut Errors) {
    let before = errors.len();
    errors.qualified_name(path, kind);
    let standard = ["Pod", "Container", "PersistentVolumeClaim"];
    if errors.len() == before && !kind.contains('/') && !standard.contains(&kind) {
        errors.invalid(path, kind, "must be a standard limit type or fully qualified");
    }
}

fn validate_limit(limit: &LimitRangeItem, path: &Path, errors: &mut Errors) {
    let of_containers = matches!(limit.type_.as_str(), "Pod" | "Container");
    let lists = [
        ("max", &limit.max),
        ("min", &limit.min),
        ("default", &limit.default),
        ("defaultRequest", &limit.default_request),
        ("maxLimitRequestRatio", &limit.max_limit_request_ratio),
    ];
    for (field, list) in lists {
        let path = path.field(field);
        if limit.type_ == "Pod" && field.starts_with("default") {
            if list.as_ref().is_some_and(|list| !list.is_empty()) {
                errors.forbidden(&path, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        for (name, amount) in list.iter().flatten() {
            match of_containers {
                true => errors.container_resource_name(&path.key(name), name),
                false => drop(errors.resource_name(&path.key(name), name)),
            }
            errors.quantity(&path.key(name), amount);
        }
    }
    let stores = |list: &Option<ResourceList>| list.as_ref().is_some_and(|list| list.contains_key("storage"));
    if limit.type_ == "PersistentVolumeClaim" && !stores(&limit.min) && !stores(&limit.max) {
        let message = "either minimum or maximum storage value is required, but neither was provided";
        errors.required(&path.field("limits"), message);
    }
    validate_order(limit, path, errors);
}

/// Minimum, default request, default and maximum of a resource must be in this order.
fn validate_order(limit: &LimitRangeItem, path: &Path, errors: &mut Errors) {
    let is_pod = limit.type_ == "Pod";
    let (given_request, given_default) = if is_pod { (&None, &None) } else { (&limit.default_request, &limit.default) };
    let (least, request) = (("min", "min", &limit.min), ("defaultRequest", "default request", given_request));
    let (default, most) = (("default", "default", given_default), ("max", "max", &limit.max));
    // The field that the error names, and the smaller and larger side with the words for them.
    for (field, smaller, larger, larger_words) in [
        ("min", least, most, "max value"),
        ("defaultRequest", least, request, "default request value"),
        ("defaultRequest", request, most, "max value"),
        ("defaultRequest", request, default, "default limit value"),
        ("default", least, default, "default value"),
        ("default", default, most, "max value"),
    ] {
        for (name, low) in smaller.2.iter().flatten() {
            let high = larger.2.as_ref().and_then(|list| list.get(name));
            let (Ok(low), Some(Ok(high))) = (Quantity::try_from(low), high.map(Quantity::try_from)) else { continue };
            if low > high {
                let shown = match (field, smaller.0) {
                    ("defaultRequest", "min") | ("default", "default") => high,
                    _ => low,
                };
                let message = format!("{} value {low} is greater than {larger_words} {high}", smaller.1);
                errors.invalid(&path.field(field).key(name), shown.to_string(), message);
            }
        }
    }
    validate_ratios(limit, &path.field("maxLimitRequestRatio"), errors);
    let path = path.field("defaultRequest");
    for (name, default) in limit.default.iter().flatten().filter(|(name, _)| !allows_overcommit(name)) {
        let request = limit.default_request.as_ref().and_then(|list| list.get(name)).map(Quantity::try_from);
        let (Ok(default), Some(Ok(request))) = (Quantity::try_from(default), request) else { continue };
        if default != request {
            let message = format!("default value {default} must equal to defaultRequest value {request} in {name}");
            errors.invalid(&path.key(name), request.to_string(), message);
        }
    }
}

/// A ratio of limit to request must be one at least, and one that minimum and maximum leave room for.
fn validate_ratios(limit: &LimitRangeItem, path: &Path, errors: &mut Errors) {
    let of = |list: &Option<ResourceList>, name: &str| list.as_ref()?.get(name)?.try_into().ok();
    for (name, ratio) in limit.max_limit_request_ratio.iter().flatten() {
        let Ok(ratio) = Quantity::try_from(ratio) else { continue };
        if ratio < Quantity::from_milli(1000) {
            errors.invalid(&path.key(name), ratio.to_string(), format!("ratio {ratio} is less than 1"));
        }
        let (Some(least), Some(most)): (Option<Quantity>, Option<Quantity>) =
            (of(&limit.min, name), of(&limit.max, name))
        else {
            continue;
        };
        let widest = most.milli_value() as f64 / least.milli_value() as f64;
        if ratio.milli_value() as f64 / 1000.0 > widest {
            let message = format!("ratio {ratio} is greater than max/min = {widest:.6}");
            errors.invalid(&path.key(name), ratio.to_string(), message);
        }
    }
}
