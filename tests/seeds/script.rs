//! What users do in a simulation: they make workloads, change them in mid-rollout, and delete some.

use std::time::Duration;

use coracle::core::Entropy;
use coracle::k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use coracle::k8s_openapi::api::batch::v1::{CronJob, Job};
use coracle::k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use coracle::k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
use coracle::simulation::Simulated;
use coracle::simulation::invariants::DELETED_BY_USER;
use coracle::{Api, Resource};
use serde_json::{Value, json};

fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn pick<T: Clone>(chance: &Entropy, all: &[T]) -> T {
    all[usize::try_from(chance.below(all.len() as u64)).unwrap()].clone()
}

fn probe() -> Value {
    json!({"exec": {"command": ["check"]}, "periodSeconds": 7, "failureThreshold": 2})
}

fn template(name: &str, chance: &Entropy) -> Value {
    let mut container = json!({"name": "c", "image": "app:v1", "readinessProbe": probe()});
    if chance.below(3) == 0 {
        container["livenessProbe"] = probe();
    }
    json!({"metadata": {"labels": {"app": name}}, "spec": {
        "containers": [container], "terminationGracePeriodSeconds": pick(chance, &[1, 10, 30]),
    }})
}

fn job_spec(chance: &Entropy) -> Value {
    let run_for = pick(chance, &["1s", "10s", "50s", "100s"]);
    let mut spec = json!({
        "completions": 1 + chance.below(6), "parallelism": 1 + chance.below(4), "backoffLimit": chance.below(5),
        "template": {
            "metadata": {"annotations": {"coracle.dev/run-for": run_for}},
            "spec": {"containers": [{"name": "c", "image": "job:v1"}], "restartPolicy": pick(chance, &["Never", "OnFailure"])},
        },
    });
    if chance.below(2) == 0 {
        spec["completionMode"] = json!("Indexed");
    }
    if chance.below(4) == 0 {
        spec["activeDeadlineSeconds"] = json!(60 + chance.below(300));
    }
    spec
}

/// A workload of some kind.
fn workload(number: u64, chance: &Entropy) -> Value {
    let kind = pick(chance, &["Deployment", "Deployment", "StatefulSet", "StatefulSet", "DaemonSet", "Job", "CronJob"]);
    let name = format!("{}-{number}", kind.to_lowercase());
    let labels = json!({"matchLabels": {"app": name}});
    let count = |text: &str| if text.ends_with('%') { json!(text) } else { json!(text.parse::<i32>().unwrap()) };
    let spec = match kind {
        "Deployment" => {
            let strategy = if chance.below(4) == 0 {
                json!({"type": "Recreate"})
            } else {
                let (surge, unavailable) =
                    (pick(chance, &["0", "1", "2", "25%", "100%"]), pick(chance, &["0", "1", "50%"]));
                let unavailable = if surge == "0" && unavailable == "0" { "1" } else { unavailable };
                json!({"rollingUpdate": {"maxSurge": count(surge), "maxUnavailable": count(unavailable)}})
            };
            json!({"replicas": chance.below(6), "selector": labels, "template": template(&name, chance), "strategy": strategy,
                "minReadySeconds": pick(chance, &[0, 0, 3]), "revisionHistoryLimit": pick(chance, &[0, 2, 10])})
        }
        "StatefulSet" => json!({"replicas": chance.below(5), "selector": labels, "template": template(&name, chance),
            "serviceName": name, "podManagementPolicy": pick(chance, &["OrderedReady", "OrderedReady", "Parallel"]),
            "minReadySeconds": pick(chance, &[0, 0, 3]),
            "updateStrategy": pick(chance, &[json!({"type": "RollingUpdate"}), json!({"type": "RollingUpdate"}),
                json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}})])}),
        "DaemonSet" => {
            let rolling = pick(
                chance,
                &[
                    json!({"maxUnavailable": 1}),
                    json!({"maxSurge": 1, "maxUnavailable": 0}),
                    json!({"maxUnavailable": "50%"}),
                ],
            );
            json!({"selector": labels, "template": template(&name, chance), "updateStrategy": {"rollingUpdate": rolling}})
        }
        "Job" => job_spec(chance),
        _ => json!({"schedule": pick(chance, &["* * * * *", "*/2 * * * *"]), "jobTemplate": {"spec": job_spec(chance)},
            "concurrencyPolicy": pick(chance, &["Allow", "Forbid", "Replace"]),
            "successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 1}),
    };
    let group = if matches!(kind, "Job" | "CronJob") { "batch/v1" } else { "apps/v1" };
    json!({"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

/// Asks until it is granted or refused for good: the store may fail meanwhile.
macro_rules! insist {
    ($ask:expr) => {
        for _ in 0..200 {
            match $ask.await {
                Err(status) if status.code() >= 500 => tokio::time::sleep(Duration::from_millis(500)).await,
                _granted_or_refused => break,
            }
        }
    };
}

async fn create(cluster: &Simulated, workload: &Value) {
    match workload["kind"].as_str().unwrap() {
        "Deployment" => insist!(cluster.api.namespaced("default").create(from::<Deployment>(workload.clone()))),
        "StatefulSet" => insist!(cluster.api.namespaced("default").create(from::<StatefulSet>(workload.clone()))),
        "DaemonSet" => insist!(cluster.api.namespaced("default").create(from::<DaemonSet>(workload.clone()))),
        "Job" => insist!(cluster.api.namespaced("default").create(from::<Job>(workload.clone()))),
        _ => insist!(cluster.api.namespaced("default").create(from::<CronJob>(workload.clone()))),
    }
}

async fn delete<K: Resource>(api: Api<K>, name: &str, chance: &Entropy) {
    let policy = pick(chance, &["Background", "Foreground", "Orphan"]);
    let options = DeleteOptions { propagation_policy: Some(policy.to_owned()), ..DeleteOptions::default() };
    insist!(api.delete_with(name, options.clone()));
}

fn set_image(template: &mut PodTemplateSpec, version: u64) {
    template.spec.as_mut().unwrap().containers[0].image = Some(format!("app:v{version}"));
}

/// One change of one workload, whatever stage it is at.
async fn change(cluster: &Simulated, workload: &Value) {
    let (kind, name) = (workload["kind"].as_str().unwrap(), workload["metadata"]["name"].as_str().unwrap());
    let (api, chance) = (&cluster.api, &*cluster.chance);
    let (what, size, version) = (chance.below(10), i32::try_from(chance.below(6)).unwrap(), 1 + chance.below(4));
    match kind {
        "Deployment" if what == 0 => delete(api.namespaced::<Deployment>("default"), name, chance).await,
        "Deployment" => insist!(api.namespaced("default").edit(name, move |found: &mut Deployment| {
            let spec = found.spec.as_mut().unwrap();
            match what {
                1..4 => spec.replicas = Some(size),
                4 => spec.paused = Some(true),
                5 => spec.paused = None,
                _ => set_image(&mut spec.template, version),
            }
        })),
        "StatefulSet" if what == 0 => delete(api.namespaced::<StatefulSet>("default"), name, chance).await,
        "StatefulSet" => insist!(api.namespaced("default").edit(name, move |found: &mut StatefulSet| {
            let spec = found.spec.as_mut().unwrap();
            match what {
                1..5 => spec.replicas = Some(size),
                _ => set_image(&mut spec.template, version),
            }
        })),
        "DaemonSet" if what == 0 => delete(api.namespaced::<DaemonSet>("default"), name, chance).await,
        "DaemonSet" => insist!(api.namespaced("default").edit(name, move |found: &mut DaemonSet| {
            set_image(&mut found.spec.as_mut().unwrap().template, version);
        })),
        "Job" if what == 0 => delete(api.namespaced::<Job>("default"), name, chance).await,
        "Job" => insist!(api.namespaced("default").edit(name, move |found: &mut Job| {
            let spec = found.spec.as_mut().unwrap();
            match what {
                1..3 => spec.suspend = Some(true),
                3..7 => spec.suspend = Some(false),
                _ => spec.parallelism = Some(size),
            }
        })),
        _ if what == 0 => delete(api.namespaced::<CronJob>("default"), name, chance).await,
        _ => insist!(api.namespaced("default").edit(name, move |found: &mut CronJob| {
            found.spec.suspend = Some(what < 3);
        })),
    }
}

/// Deletes a pod, as people do.
async fn delete_pod(cluster: &Simulated) {
    let pods = cluster.api.namespaced::<Pod>("default");
    let all = pods.list();
    if all.is_empty() {
        return;
    }
    let name = pick(&cluster.chance, &all).metadata.name.clone().unwrap();
    insist!(pods.edit(&name, |pod| {
        pod.metadata.annotations.get_or_insert_default().insert(DELETED_BY_USER.to_owned(), "yes".to_owned());
    }));
    insist!(pods.delete(&name));
}

async fn budget(cluster: &Simulated, workload: &Value) {
    let name = &workload["metadata"]["name"];
    let yaml = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name},
        "spec": {"minAvailable": 1 + cluster.chance.below(3), "selector": {"matchLabels": {"app": name}}}});
    insist!(cluster.api.apply_yaml(&yaml.to_string()));
}

/// Nothing more is asked for than what can come to an end.
async fn settle(cluster: &Simulated) {
    let api = &cluster.api;
    for deployment in api.namespaced::<Deployment>("default").list() {
        let name = deployment.metadata.name.clone().unwrap();
        insist!(
            api.namespaced("default").edit(&name, |found: &mut Deployment| found.spec.as_mut().unwrap().paused = None)
        );
    }
    for job in api.namespaced::<Job>("default").list() {
        let name = job.metadata.name.clone().unwrap();
        insist!(api.namespaced("default").edit(&name, |found: &mut Job| {
            let spec = found.spec.as_mut().unwrap();
            spec.suspend = Some(false);
            spec.parallelism = spec.parallelism.map(|parallelism| parallelism.max(1));
        }));
    }
    for cron_job in api.namespaced::<CronJob>("default").list() {
        let name = cron_job.metadata.name.clone().unwrap();
        insist!(api.namespaced("default").edit(&name, |found: &mut CronJob| found.spec.suspend = Some(true)));
    }
}

/// A few workloads, a dozen changes.
pub(crate) async fn story(cluster: Simulated) {
    let chance = cluster.chance.clone();
    let workloads: Vec<_> = (0..2 + chance.below(3)).map(|number| workload(number, &chance)).collect();
    let pause = pick(&chance, &[500, 5_000, 40_000]);
    for workload in &workloads {
        create(&cluster, workload).await;
        if chance.below(3) == 0 {
            budget(&cluster, workload).await;
        }
    }
    for _ in 0..4 + chance.below(16) {
        tokio::time::sleep(Duration::from_millis(chance.below(2 * pause))).await;
        match chance.below(8) {
            0 => delete_pod(&cluster).await,
            _ => change(&cluster, &pick(&chance, &workloads)).await,
        }
    }
    settle(&cluster).await;
}
