//! What is counted, and that counting change by change comes to the same as counting anew.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{GroupResource, Kinds, Object, ObjectKey, Revision, World};

struct Small(World);

impl Small {
    fn new() -> Self {
        Self(World::new(Kinds::builtin()))
    }

    fn put(&mut self, kind: &str, name: &str, mut body: Value) -> &mut Self {
        let kinds = Kinds::builtin();
        let kind = kinds.iter().find(|row| row.kind == kind && row.is_storage_version()).unwrap();
        body["metadata"] = json!({"name": name, "namespace": "a", "uid": name});
        let value = kind.codec.decode(body.to_string().as_bytes()).unwrap();
        let stored = value.encode().unwrap().into();
        let object = Object::committed(kind.clone(), value, stored, self.0.revision().next());
        self.0.put(Arc::new(object));
        self
    }

    fn quota(&mut self, spec: Value) -> &mut Self {
        self.put("ResourceQuota", "q", json!({"spec": spec}))
    }

    fn used(&self) -> String {
        self.0.quota("a/q").map(|used| used.used().to_string()).unwrap_or_default()
    }
}

fn pod(resources: Value) -> Value {
    json!({"spec": {"containers": [{"name": "main", "resources": resources}]}})
}

#[track_caller]
fn check(hard: &[&str], kind: &str, body: Value, expected: &str) {
    let hard: serde_json::Map<_, _> = hard.iter().map(|name| ((*name).to_owned(), json!("9"))).collect();
    let mut small = Small::new();
    small.quota(json!({"hard": hard})).put(kind, "x", body);
    assert_eq!(small.used(), expected);
}

#[test]
fn what_is_counted() {
    let asks = json!({"requests": {"cpu": "500m", "memory": "1Gi", "example.com/gpu": "2", "hugepages-2Mi": "4Mi"},
        "limits": {"cpu": "1", "ephemeral-storage": "1Gi"}});
    check(
        &["pods", "count/pods", "cpu", "requests.cpu", "limits.cpu"],
        "Pod",
        pod(asks.clone()),
        "count/pods=1,cpu=500m,limits.cpu=1,pods=1,requests.cpu=500m",
    );
    check(
        &["requests.memory", "limits.ephemeral-storage", "requests.example.com/gpu", "hugepages-2Mi"],
        "Pod",
        pod(asks.clone()),
        "hugepages-2Mi=4Mi,limits.ephemeral-storage=1Gi,requests.example.com/gpu=2,requests.memory=1Gi",
    );
    let mut ended = pod(asks);
    ended["status"] = json!({"phase": "Succeeded"});
    check(&["pods", "count/pods", "cpu"], "Pod", ended, "count/pods=1,cpu=0,pods=0");
    let service = |kind: &str| json!({"spec": {"type": kind, "ports": [{"port": 1}, {"port": 2}]}});
    let services = ["services", "services.nodeports", "services.loadbalancers", "count/services"];
    check(
        &services,
        "Service",
        service("ClusterIP"),
        "count/services=1,services=1,services.loadbalancers=0,services.nodeports=0",
    );
    check(
        &services,
        "Service",
        service("LoadBalancer"),
        "count/services=1,services=1,services.loadbalancers=1,services.nodeports=2",
    );
    let claim = json!({"spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "2Gi"}}}});
    check(
        &[
            "persistentvolumeclaims",
            "requests.storage",
            "gold.storageclass.storage.k8s.io/requests.storage",
            "gold.storageclass.storage.k8s.io/persistentvolumeclaims",
            "tin.storageclass.storage.k8s.io/requests.storage",
        ],
        "PersistentVolumeClaim",
        claim,
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims=1,gold.storageclass.storage.k8s.io/requests.storage=2Gi,\
         persistentvolumeclaims=1,requests.storage=2Gi,tin.storageclass.storage.k8s.io/requests.storage=0",
    );
    let gpu = |mode: &str, count: i64| json!({"deviceClassName": "gpu", "allocationMode": mode, "count": count});
    let requests = json!([{"name": "a", "exactly": gpu("ExactCount", 2)},
        {"name": "b", "firstAvailable": [gpu("ExactCount", 3), gpu("ExactCount", 1)]}, {"name": "c", "exactly": gpu("All", 0)}]);
    let mut requests = requests;
    for choice in requests[1]["firstAvailable"].as_array_mut().unwrap() {
        choice["name"] = json!("x");
    }
    check(
        &["gpu.deviceclass.resource.k8s.io/devices", "count/resourceclaims.resource.k8s.io"],
        "ResourceClaim",
        json!({"spec": {"devices": {"requests": requests}}}),
        "count/resourceclaims.resource.k8s.io=1,gpu.deviceclass.resource.k8s.io/devices=37",
    );
    check(&["count/deployments.apps"], "Deployment", json!({}), "count/deployments.apps=1");
    check(&["configmaps", "secrets"], "ConfigMap", json!({}), "configmaps=1,secrets=0");
    check(&["resourcequotas"], "ConfigMap", json!({}), "resourcequotas=1");
}

#[test]
fn scopes_choose_pods() {
    #[track_caller]
    fn check(scope: Value, expected: &str) {
        let mut small = Small::new();
        let mut plain = pod(json!({}));
        plain["spec"]["priorityClassName"] = json!("high");
        let mut job = pod(json!({"requests": {"cpu": "1"}}));
        job["spec"]["activeDeadlineSeconds"] = json!(5);
        let mut spec = json!({"hard": {"pods": "9", "configmaps": "9"}});
        let field = if scope.is_string() { "scopes" } else { "scopeSelector" };
        spec[field] = if scope.is_string() { json!([scope]) } else { json!({"matchExpressions": [scope]}) };
        small.quota(spec).put("Pod", "plain", plain).put("Pod", "job", job).put("ConfigMap", "c", json!({}));
        let pods: Vec<_> = ["plain", "job"]
            .into_iter()
            .filter(|name| {
                let pod = small.0.get::<Pod>("a", name).unwrap();
                !small.0.quota("a/q").unwrap().of(&GroupResource::of::<Pod>(), &*pod).is_empty()
            })
            .collect();
        assert_eq!(format!("{} {}", pods.join(","), small.used()), expected);
    }
    check(json!("Terminating"), "job configmaps=0,pods=1");
    check(json!("NotTerminating"), "plain configmaps=0,pods=1");
    check(json!("BestEffort"), "plain configmaps=0,pods=1");
    check(json!("NotBestEffort"), "job configmaps=0,pods=1");
    check(json!("PriorityClass"), "plain configmaps=0,pods=1");
    let priority =
        |operator: &str, values: Value| json!({"scopeName": "PriorityClass", "operator": operator, "values": values});
    check(priority("In", json!(["high"])), "plain configmaps=0,pods=1");
    check(priority("NotIn", json!(["high"])), "job configmaps=0,pods=1");
    check(priority("DoesNotExist", json!([])), "job configmaps=0,pods=1");
    check(json!("CrossNamespacePodAffinity"), " configmaps=0,pods=0");
}

#[test]
fn what_is_exceeded_and_what_is_missing() {
    let mut small = Small::new();
    small.quota(json!({"hard": {"pods": "2", "requests.cpu": "1", "limits.memory": "1Gi"}}));
    small.put("Pod", "one", pod(json!({"requests": {"cpu": "600m"}})));
    let quota = small.0.quota("a/q").unwrap();
    let next: Pod = serde_json::from_value(pod(json!({"requests": {"cpu": "500m"}}))).unwrap();
    let uses = quota.of(&GroupResource::of::<Pod>(), &next);
    let reserved = Amounts::default();
    assert_eq!(
        quota.allow(&uses, &reserved).unwrap_err(),
        "exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=600m, limited: requests.cpu=1"
    );
    let mut reserved = Amounts::default();
    reserved.set_count("pods", 1);
    assert_eq!(
        quota.allow(&uses, &reserved).unwrap_err(),
        "exceeded quota: q, requested: pods=1,requests.cpu=500m, used: pods=2,requests.cpu=600m, limited: \
         pods=2,requests.cpu=1"
    );
    assert_eq!(quota.missing(&next).unwrap(), "limits.memory for: main");
}

/// A change of a small world: which object, and what becomes of it.
fn change() -> impl Strategy<Value = (u8, u8, i64)> {
    (0..4u8, 0..5u8, 1..4i64)
}

proptest! {
    #[test]
    fn counting_each_change_is_counting_anew(changes in prop::collection::vec(change(), 1..40)) {
        let mut small = Small::new();
        small.quota(json!({"hard": {"pods": "9", "cpu": "9", "count/configmaps": "9"}}));
        for (name, what, cpu) in changes {
            let name = format!("x{name}");
            let asks = pod(json!({"requests": {"cpu": cpu.to_string()}}));
            match what {
                0 => drop(small.put("ConfigMap", &name, json!({}))),
                1 => drop(small.put("Pod", &name, asks)),
                2 => {
                    let mut ended = asks;
                    ended["status"] = json!({"phase": "Failed"});
                    small.put("Pod", &name, ended);
                }
                3 => {
                    let at = small.0.revision().next();
                    let _gone = small.0.remove(&GroupResource::of::<Pod>(), &ObjectKey::new("a", &name), at);
                }
                _ => {
                    let at: Revision = small.0.revision().next();
                    let resource = GroupResource::new("", "configmaps");
                    let _gone = small.0.remove(&resource, &ObjectKey::new("a", &name), at);
                }
            }
        }
        let counted = small.used();
        let quota: ResourceQuota = (*small.0.get::<ResourceQuota>("a", "q").unwrap()).clone();
        let at = small.0.revision().next();
        small.0.remove(&GroupResource::of::<ResourceQuota>(), &ObjectKey::new("a", "q"), at);
        prop_assert_eq!(small.used(), "");
        small.0.insert(quota).unwrap();
        prop_assert_eq!(counted, small.used());
    }
}
