//! Controllers that are stopped at any point of any plan and started again reach the end that they would have reached.

use std::collections::BTreeSet;
use std::time::Duration;

use coracle::k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use coracle::k8s_openapi::api::batch::v1::CronJob;
use coracle::k8s_openapi::api::core::v1::Namespace;
use coracle::k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
use coracle::simulation::{Report, Simulated, Simulation};
use serde_json::Value;

use crate::{assert_none, for_each, seeds};

/// Something for every controller to do.
const OBJECTS: &str = r#"
{apiVersion: v1, kind: Namespace, metadata: {name: other}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: kept, namespace: other}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 3, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: "a:v1"}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: once}
spec: {replicas: 2, strategy: {type: Recreate}, selector: {matchLabels: {app: once}}, template: {metadata: {labels: {app: once}}, spec: {containers: [{name: c, image: "a:v1"}]}}}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: old}
spec: {replicas: 2, selector: {app: old}, template: {metadata: {labels: {app: old}}, spec: {containers: [{name: c, image: "a:v1"}]}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec: {serviceName: db, replicas: 3, selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: "a:v1"}]}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec: {selector: {matchLabels: {app: agent}}, template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: c, image: "a:v1"}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: work}
spec: {completions: 4, parallelism: 2, completionMode: Indexed, template: {metadata: {annotations: {coracle.dev/run-for: 5s}}, spec: {restartPolicy: Never, containers: [{name: c, image: "a:v1"}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: fails}
spec: {backoffLimit: 1, ttlSecondsAfterFinished: 100, template: {metadata: {annotations: {coracle.dev/run-for: 5s, coracle.dev/exit-code: "3"}}, spec: {restartPolicy: Never, containers: [{name: c, image: "a:v1"}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: tick}
spec: {schedule: "* * * * *", successfulJobsHistoryLimit: 1, jobTemplate: {spec: {template: {metadata: {annotations: {coracle.dev/run-for: 5s}}, spec: {restartPolicy: Never, containers: [{name: c, image: "a:v1"}]}}}}}
"#;

async fn story(cluster: Simulated) {
    let api = &cluster.api;
    api.apply_yaml(OBJECTS).await.unwrap();
    tokio::time::sleep(Duration::from_secs(200)).await;
    api.namespaced::<CronJob>("default").edit("tick", |tick| tick.spec.suspend = Some(true)).await.unwrap();
    for name in ["web", "once"] {
        let roll = |found: &mut Deployment| {
            let spec = found.spec.as_mut().unwrap();
            spec.replicas = Some(4);
            spec.template.spec.as_mut().unwrap().containers[0].image = Some("a:v2".to_owned());
        };
        api.namespaced("default").edit(name, roll).await.unwrap();
    }
    let roll = |found: &mut StatefulSet| {
        let spec = found.spec.as_mut().unwrap();
        spec.replicas = Some(2);
        spec.template.spec.as_mut().unwrap().containers[0].image = Some("a:v2".to_owned());
    };
    api.namespaced("default").edit("db", roll).await.unwrap();
    let roll = |found: &mut DaemonSet| {
        found.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].image = Some("a:v2".to_owned());
    };
    api.namespaced("default").edit("agent", roll).await.unwrap();
    api.all::<Namespace>().delete("other").await.unwrap();
    tokio::time::sleep(Duration::from_secs(200)).await;
    let orphan = DeleteOptions { propagation_policy: Some("Orphan".to_owned()), ..DeleteOptions::default() };
    api.namespaced::<Deployment>("default").delete_with("once", orphan).await.unwrap();
    let foreground = DeleteOptions { propagation_policy: Some("Foreground".to_owned()), ..DeleteOptions::default() };
    api.namespaced::<StatefulSet>("default").delete_with("db", foreground).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
}

/// What remains of an object when times, ids and chance are taken out.
fn essence(value: &Value) -> Value {
    const CHANCE: [&str; 22] = [
        "uid",
        "resourceVersion",
        "generation",
        "observedGeneration",
        "podIP",
        "podIPs",
        "hostIP",
        "hostIPs",
        "nodeName",
        "containerID",
        "managedFields",
        "lastScheduleTime",
        "controller-uid",
        "batch.kubernetes.io/controller-uid",
        "endpoints.kubernetes.io/last-change-trigger-time",
        "addresses",
        "ip",
        "clusterIP",
        "clusterIPs",
        "message",
        "lastSuccessfulTime",
        "matchFields",
    ];
    let is_chance = |key: &str| {
        CHANCE.contains(&key) || key.ends_with("Time") || key.ends_with("Timestamp") || key.ends_with("edAt")
    };
    match value {
        Value::Object(fields) => {
            let generated =
                fields.get("generateName").and_then(Value::as_str).map(|prefix| Value::from(format!("{prefix}*")));
            let kept = fields.iter().filter(|(key, _)| !is_chance(key)).map(|(key, value)| match &generated {
                Some(name) if key == "name" => (key.clone(), name.clone()),
                _ => (key.clone(), essence(value)),
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().map(essence).collect();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        other => other.clone(),
    }
}

/// Everything in the end, but Events, nodes and what they hold.
fn end(report: &Report) -> Vec<String> {
    let world = &report.world;
    let told = |resource: &&coracle::GroupResource| {
        !matches!(&*resource.resource, "events" | "leases" | "nodes" | "endpointslices" | "endpoints")
    };
    let objects = world.resources().filter(told).flat_map(|resource| world.objects(resource));
    let mut ends: Vec<_> = objects
        .map(|object| {
            let value: Value = serde_json::from_slice(object.stored()).unwrap();
            essence(&value).to_string()
        })
        .collect();
    ends.sort();
    ends
}

fn simulation() -> Simulation {
    Simulation::new(1).nodes(2).builtin_invariants()
}

/// A usual run tries one point in so many; `CORACLE_SEEDS=1..100000` tries all.
const STRIDE: u64 = 40;

#[test]
fn controllers_stopped_at_any_request_reach_the_same_end() {
    crate::trace();
    let undisturbed = simulation().run(story).unwrap();
    let expected = end(&undisturbed);
    assert!(undisturbed.requests > 200, "{} requests", undisturbed.requests);
    let few = std::env::var("CORACLE_SEEDS").is_err();
    let all = undisturbed.requests as u64;
    let points = if few { 1..all / STRIDE } else { seeds().start..all.min(seeds().end) };
    assert_none(&for_each(points, |point| {
        let requests = usize::try_from(if few { point * STRIDE } else { point }).unwrap();
        let report = simulation().stop_controllers_after(requests).run(story)?;
        let (expected, found): (BTreeSet<_>, BTreeSet<_>) =
            (expected.iter().collect(), end(&report).into_iter().collect());
        let missing: Vec<_> = expected.iter().filter(|one| !found.contains(**one)).collect();
        let extra: Vec<_> = found.iter().filter(|one| !expected.contains(one)).collect();
        assert!(missing.is_empty() && extra.is_empty(), "stopped after {requests}: not\n{missing:#?}\nbut\n{extra:#?}");
        Ok(())
    }));
}
