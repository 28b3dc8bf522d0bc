//! LimitRanges: what containers get that ask for nothing, and how little and how much may be asked for. Pure; admission asks.
//!
//! Source: `plugin/pkg/admission/limitranger`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod};

use crate::quantity::{Quantity, QuantityText};
use crate::quota::{Amounts, PodAmounts, pod_limits, pod_requests};

type List = BTreeMap<String, QuantityText>;

/// Gives containers what they do not ask for, and says so in an annotation.
pub fn fill(range: &LimitRange, pod: &mut Pod) {
    let (mut requests, mut limits) = (List::new(), List::new());
    for item in items(range).filter(|item| item.type_ == "Container") {
        requests.extend(item.default_request.clone().into_iter().flatten());
        limits.extend(item.default.clone().into_iter().flatten());
    }
    let Some(spec) = &mut pod.spec else { return };
    let containers = spec.containers.iter_mut().map(|container| ("container", container));
    let init = spec.init_containers.iter_mut().flatten().map(|container| ("init container", container));
    let told: Vec<_> = containers
        .chain(init)
        .flat_map(|(sort, container)| fill_container(container, sort, &requests, &limits))
        .collect();
    if !told.is_empty() {
        let text = format!("LimitRanger plugin set: {}", told.join("; "));
        pod.metadata.annotations.get_or_insert_default().insert("kubernetes.io/limit-ranger".to_owned(), text);
    }
}

/// `cpu, memory request for container web`.
fn fill_container(container: &mut Container, sort: &str, requests: &List, limits: &List) -> Vec<String> {
    if requests.is_empty() && limits.is_empty() {
        return Vec::new();
    }
    let resources = container.resources.get_or_insert_default();
    let fill = |list: &mut Option<List>, defaults: &List| -> Vec<String> {
        let held = list.get_or_insert_default();
        let missing: Vec<_> = defaults.iter().filter(|(name, _)| !held.contains_key(*name)).collect();
        held.extend(missing.iter().map(|(name, amount)| ((*name).clone(), (*amount).clone())));
        missing.into_iter().map(|(name, _)| name.clone()).collect()
    };
    let (set_limits, set_requests) = (fill(&mut resources.limits, limits), fill(&mut resources.requests, requests));
    [(set_requests, "request"), (set_limits, "limit")]
        .into_iter()
        .filter(|(names, _)| !names.is_empty())
        .map(|(names, what)| format!("{} {what} for {sort} {}", names.join(", "), container.name))
        .collect()
}

/// What a pod asks too little or too much of; `None` if it is within the range.
#[must_use]
pub fn check_pod(range: &LimitRange, pod: &Pod) -> Option<String> {
    let containers = || {
        let spec = pod.spec.iter();
        spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()))
    };
    let of = |container: &Container| {
        let resources = container.resources.as_ref();
        let requests = Amounts::of(resources.and_then(|resources| resources.requests.as_ref()));
        (requests, Amounts::of(resources.and_then(|resources| resources.limits.as_ref())))
    };
    let mut wrong = Vec::new();
    for item in items(range) {
        match item.type_.as_str() {
            "Container" => containers().for_each(|container| {
                let (requests, limits) = of(container);
                check_item(item, &requests, &limits, &mut wrong);
            }),
            "Pod" => {
                let options = PodAmounts::default();
                check_item(item, &pod_requests(pod, options), &pod_limits(pod, options), &mut wrong);
            }
            _ => {}
        }
    }
    together(wrong)
}

/// What a claim asks too little or too much of.
#[must_use]
pub fn check_claim(range: &LimitRange, claim: &PersistentVolumeClaim) -> Option<String> {
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let requests = Amounts::of(resources.and_then(|resources| resources.requests.as_ref()));
    let mut wrong = Vec::new();
    for item in items(range).filter(|item| item.type_ == "PersistentVolumeClaim") {
        let [min, max] = [&item.min, &item.max].map(|list| Amounts::of(list.as_ref()));
        for (name, least) in min.iter() {
            wrong.extend(below(item, name, least, &requests, &Amounts::default()));
        }
        // What a claim requests is its limit.
        for (name, most) in max.iter() {
            wrong.extend(above(item, name, most, &requests, &requests));
        }
    }
    together(wrong)
}

fn items(range: &LimitRange) -> impl Iterator<Item = &LimitRangeItem> {
    range.spec.iter().flat_map(|spec| &spec.limits)
}

fn check_item(item: &LimitRangeItem, requests: &Amounts, limits: &Amounts, wrong: &mut Vec<String>) {
    let [min, max, ratio] =
        [&item.min, &item.max, &item.max_limit_request_ratio].map(|list| Amounts::of(list.as_ref()));
    wrong.extend(min.iter().filter_map(|(name, least)| below(item, name, least, requests, limits)));
    wrong.extend(max.iter().filter_map(|(name, most)| above(item, name, most, requests, limits)));
    wrong.extend(ratio.iter().filter_map(|(name, ratio)| too_far(item, name, ratio, requests, limits)));
}

fn below(item: &LimitRangeItem, name: &str, least: Quantity, requests: &Amounts, limits: &Amounts) -> Option<String> {
    let start = format!("minimum {name} usage per {} is {least}", item.type_);
    match (requests.get(name), limits.get(name)) {
        (None, _) => Some(format!("{start}.  No request is specified")),
        (Some(request), _) if request < least => Some(format!("{start}, but request is {request}")),
        (_, Some(limit)) if limit < least => Some(format!("{start}, but limit is {limit}")),
        _ => None,
    }
}

fn above(item: &LimitRangeItem, name: &str, most: Quantity, requests: &Amounts, limits: &Amounts) -> Option<String> {
    let start = format!("maximum {name} usage per {} is {most}", item.type_);
    match (limits.get(name), requests.get(name)) {
        (None, _) => Some(format!("{start}.  No limit is specified")),
        (Some(limit), _) if limit > most && item.type_ != "PersistentVolumeClaim" => {
            Some(format!("{start}, but limit is {limit}"))
        }
        (_, Some(request)) if request > most => Some(format!("{start}, but request is {request}")),
        _ => None,
    }
}

fn too_far(item: &LimitRangeItem, name: &str, ratio: Quantity, requests: &Amounts, limits: &Amounts) -> Option<String> {
    let start = format!("{name} max limit to request ratio per {} is {ratio}", item.type_);
    let some = |amounts: &Amounts| amounts.get(name).filter(|amount| !amount.is_zero());
    let Some(request) = some(requests) else {
        return Some(format!("{start}, but no request is specified or request is 0"));
    };
    let Some(limit) = some(limits) else {
        return Some(format!("{start}, but no limit is specified or limit is 0"));
    };
    let found = limit.as_f64() / request.as_f64();
    (found > ratio.as_f64()).then(|| format!("{start}, but provided ratio is {found:.6}"))
}

/// Several messages in one, each once, as upstream's aggregates show them.
fn together(wrong: Vec<String>) -> Option<String> {
    let mut seen: Vec<String> = Vec::new();
    for message in wrong {
        if !seen.contains(&message) {
            seen.push(message);
        }
    }
    match seen.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("[{}]", many.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn range(limits: Value) -> LimitRange {
        serde_json::from_value(json!({"metadata": {"name": "r"}, "spec": {"limits": [limits]}})).unwrap()
    }

    fn pod(resources: Value) -> Pod {
        let spec = json!({"containers": [{"name": "a", "resources": resources}]});
        serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap()
    }

    #[track_caller]
    fn check(limits: Value, resources: Value, expected: &str) {
        assert_eq!(check_pod(&range(limits), &pod(resources)).unwrap_or_default(), expected);
    }

    #[test]
    fn containers_get_what_they_do_not_ask_for() {
        let range = range(json!({"type": "Container", "default": {"cpu": "2", "memory": "2Gi"},
            "defaultRequest": {"cpu": "1", "memory": "1Gi"}}));
        let mut pod = pod(json!({"requests": {"cpu": "500m"}}));
        fill(&range, &mut pod);
        let resources = serde_json::to_value(&pod.spec.as_ref().unwrap().containers[0].resources).unwrap();
        assert_eq!(
            resources,
            json!({"limits": {"cpu": "2", "memory": "2Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}})
        );
        assert_eq!(
            pod.metadata.annotations.unwrap()["kubernetes.io/limit-ranger"],
            "LimitRanger plugin set: memory request for container a; cpu, memory limit for container a"
        );
    }

    #[test]
    fn minimum_maximum_and_ratio() {
        let min = json!({"type": "Container", "min": {"cpu": "100m"}});
        check(min.clone(), json!({}), "minimum cpu usage per Container is 100m.  No request is specified");
        check(min, json!({"requests": {"cpu": "50m"}}), "minimum cpu usage per Container is 100m, but request is 50m");
        let max = json!({"type": "Pod", "max": {"cpu": "1", "memory": "1Gi"}});
        check(max.clone(), json!({"limits": {"cpu": "1", "memory": "1Gi"}}), "");
        check(
            max,
            json!({"limits": {"cpu": "2"}}),
            "[maximum cpu usage per Pod is 1, but limit is 2, maximum memory usage per Pod is 1Gi.  No limit is specified]",
        );
        let ratio = json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}});
        check(
            ratio.clone(),
            json!({"limits": {"cpu": "1"}, "requests": {"cpu": "250m"}}),
            "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000",
        );
        check(
            ratio,
            json!({"limits": {"cpu": "1"}}),
            "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
        );
    }

    #[test]
    fn claims_have_sizes() {
        let range =
            range(json!({"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}));
        for (size, expected) in [
            ("1Gi", ""),
            ("500Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi"),
            ("3Gi", "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"),
        ] {
            let spec = json!({"resources": {"requests": {"storage": size}}});
            let claim = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
            assert_eq!(check_claim(&range, &claim).unwrap_or_default(), expected);
        }
    }
}
