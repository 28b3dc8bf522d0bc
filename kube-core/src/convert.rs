//! One object in several API versions: what is kept is one version, the others are the same content in other words.
//!
//! Most versions of a kind differ by name only; the few that differ in shape are listed in [`conversion`].

use serde_json::{Map, Value, json};

use crate::kind::Kind;

type Object = Map<String, Value>;

struct Conversion {
    to_storage: fn(&mut Object),
    from_storage: fn(&mut Object),
}

/// Rewrites an object from a served version into the one it is kept in.
pub fn to_storage(kind: &Kind, object: &mut Value) {
    if kind.is_storage_version() {
        return;
    }
    let Value::Object(fields) = object else { return };
    if let Some(conversion) = conversion(kind) {
        (conversion.to_storage)(fields);
    }
    let api_version = crate::kind::api_version(&kind.storage.group, &kind.storage_version);
    fields.insert("apiVersion".to_owned(), Value::String(api_version));
}

/// Rewrites an object from the version it is kept in into a served one.
pub fn from_storage(kind: &Kind, object: &mut Value) {
    if let Some(custom) = &kind.custom {
        if let Value::Object(fields) = object {
            fields.insert("apiVersion".to_owned(), Value::String(kind.api_version()));
        }
        // The definition may have changed since the object was written.
        return custom.complete(object);
    }
    if kind.is_storage_version() {
        return;
    }
    let Value::Object(fields) = object else { return };
    if let Some(conversion) = conversion(kind) {
        (conversion.from_storage)(fields);
    }
    fields.insert("apiVersion".to_owned(), Value::String(kind.api_version()));
}

fn conversion(kind: &Kind) -> Option<Conversion> {
    match (&*kind.group, &*kind.version, &*kind.kind) {
        ("events.k8s.io", "v1", "Event") => {
            Some(Conversion { to_storage: |event| rename(event, false), from_storage: |event| rename(event, true) })
        }
        ("autoscaling", "v1", "HorizontalPodAutoscaler") => {
            Some(Conversion { to_storage: autoscaler_to_v2, from_storage: autoscaler_to_v1 })
        }
        _ => None,
    }
}

/// Fields of `v1` Event and their names in `events.k8s.io/v1`.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

fn rename(event: &mut Object, forth: bool) {
    for (core, events) in EVENT_FIELDS {
        let (from, to) = if forth { (core, events) } else { (events, core) };
        if let Some(value) = event.remove(from) {
            event.insert(to.to_owned(), value);
        }
    }
}

/// v1 knows one metric, the CPU utilisation; the others it keeps in an annotation.
fn autoscaler_to_v2(autoscaler: &mut Object) {
    let metrics = autoscaler.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
    let metrics = metrics.and_then(Value::as_object_mut).and_then(|annotations| annotations.remove(METRICS_ANNOTATION));
    let metrics =
        metrics.as_ref().and_then(Value::as_str).and_then(|text| serde_json::from_str::<Vec<Value>>(text).ok());
    let mut metrics = metrics.unwrap_or_default();
    if let Some(Value::Object(spec)) = autoscaler.get_mut("spec") {
        if let Some(target) = spec.remove("targetCPUUtilizationPercentage") {
            let target = json!({"type": "Utilization", "averageUtilization": target});
            metrics.insert(0, json!({"type": "Resource", "resource": {"name": "cpu", "target": target}}));
        }
        if !metrics.is_empty() {
            spec.insert("metrics".to_owned(), Value::Array(metrics));
        }
    }
    if let Some(Value::Object(status)) = autoscaler.get_mut("status")
        && let Some(current) = status.remove("currentCPUUtilizationPercentage")
    {
        let current = json!({"name": "cpu", "current": {"averageUtilization": current}});
        status.insert("currentMetrics".to_owned(), json!([{"type": "Resource", "resource": current}]));
    }
}

fn autoscaler_to_v1(autoscaler: &mut Object) {
    let mut others = Vec::new();
    if let Some(Value::Object(spec)) = autoscaler.get_mut("spec") {
        spec.remove("behavior");
        for metric in spec.remove("metrics").and_then(into_array).unwrap_or_default() {
            match metric.pointer("/resource/target/averageUtilization") {
                Some(target) if metric.pointer("/resource/name") == Some(&json!("cpu")) => {
                    spec.insert("targetCPUUtilizationPercentage".to_owned(), target.clone());
                }
                _ => others.push(metric),
            }
        }
    }
    if let Some(Value::Object(status)) = autoscaler.get_mut("status") {
        status.remove("conditions");
        for metric in status.remove("currentMetrics").and_then(into_array).unwrap_or_default() {
            if metric.pointer("/resource/name") == Some(&json!("cpu"))
                && let Some(current) = metric.pointer("/resource/current/averageUtilization")
            {
                status.insert("currentCPUUtilizationPercentage".to_owned(), current.clone());
            }
        }
    }
    if !others.is_empty()
        && let Some(Value::Object(metadata)) = autoscaler.get_mut("metadata")
        && let Value::Object(annotations) = metadata.entry("annotations").or_insert_with(|| json!({}))
    {
        annotations.insert(METRICS_ANNOTATION.to_owned(), Value::String(Value::Array(others).to_string()));
    }
}

const METRICS_ANNOTATION: &str = "autoscaling.alpha.kubernetes.io/metrics";

fn into_array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kinds;

    fn check(api_version: &str, kind: &str, served: Value, stored: &Value) {
        let kinds = Kinds::with_previews();
        let kind = kinds.by_kind(api_version, kind).unwrap();
        let mut object = served.clone();
        to_storage(kind, &mut object);
        assert_eq!(&object, stored);
        from_storage(kind, &mut object);
        assert_eq!(object, served);
    }

    #[test]
    fn an_autoscaler_of_v1_keeps_its_target_as_a_metric() {
        let target = json!({"type": "Utilization", "averageUtilization": 50});
        let metrics = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
        check(
            "autoscaling/v1",
            "HorizontalPodAutoscaler",
            json!({"apiVersion": "autoscaling/v1", "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}}),
            &json!({"apiVersion": "autoscaling/v2", "spec": {"maxReplicas": 3, "metrics": metrics}}),
        );
    }

    #[test]
    fn an_event_is_one_event_in_both_groups() {
        check(
            "events.k8s.io/v1",
            "Event",
            json!({"apiVersion": "events.k8s.io/v1", "note": "hello", "regarding": {"name": "a"}, "deprecatedCount": 2}),
            &json!({"apiVersion": "v1", "message": "hello", "involvedObject": {"name": "a"}, "count": 2}),
        );
    }

    #[test]
    fn other_versions_differ_by_name() {
        check(
            "networking.k8s.io/v1beta1",
            "IPAddress",
            json!({"apiVersion": "networking.k8s.io/v1beta1", "kind": "IPAddress"}),
            &json!({"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress"}),
        );
    }
}
