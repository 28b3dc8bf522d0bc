//! Pods by load and machines by demand, in whole clusters and virtual time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use coracle::core::metrics::{Metrics, PodUsage};
use coracle::core::quantity::Quantity;
use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, MetricIdentifier};
use coracle::k8s_openapi::api::core::v1::{Event, Node as NodeObject, Pod, Service};
use coracle::k8s_openapi::api::policy::v1::PodDisruptionBudget;
use coracle::node::runtimes::SimulatedRuntime;
use coracle::runtime::Usage;
use coracle::{Api, Client, Cluster, Node, SimulatedCloud, Status};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn manifest(name: &str) -> String {
    let path = format!("{}/../shared/manifests/hpa/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn reasons(api: &Client, namespace: &str, kind: &str) -> Vec<String> {
    let events = api.namespaced::<Event>(namespace).list();
    let of_kind = events.iter().filter(|event| event.involved_object.kind.as_deref() == Some(kind));
    let mut reasons: Vec<_> = of_kind.filter_map(|event| event.reason.clone()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    reasons
}

async fn replicas(deployments: &Api<Deployment>, name: &str, count: i32) {
    let has = |found: Option<&Deployment>| {
        let status = found.and_then(|found| found.status.as_ref());
        status
            .is_some_and(|status| status.ready_replicas.unwrap_or(0) == count && status.replicas.unwrap_or(0) == count)
    };
    deployments.until(name, has).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_walkthrough_of_the_documentation() {
    let (load, api) = (Arc::new(AtomicU64::new(0)), Arc::new(OnceLock::<Client>::new()));
    let (shared_load, shared_api) = (load.clone(), api.clone());
    // The load is shared out among the pods there are.
    let runtime = SimulatedRuntime::new().using(move |_, _| {
        let pods = shared_api.get().map_or(1, |api| api.namespaced::<Pod>("default").list().len().max(1));
        Usage { cpu_nano_cores: shared_load.load(Ordering::Relaxed) * 1_000_000 / pods as u64, ..Usage::default() }
    });
    let builder = Cluster::builder().seed(1).virtual_time().nodes(2, Node::simulated_by(runtime));
    let cluster = builder.start().await.unwrap();
    let api = api.get_or_init(|| cluster.api());
    for file in ["php-apache.yaml", "php-apache-hpa.yaml"] {
        api.apply_yaml(&manifest(file)).await.unwrap();
    }
    let deployments = api.namespaced::<Deployment>("default");
    let autoscalers = api.namespaced::<HorizontalPodAutoscaler>("default");
    replicas(&deployments, "php-apache", 1).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    replicas(&deployments, "php-apache", 1).await;
    load.store(650, Ordering::Relaxed);
    replicas(&deployments, "php-apache", 7).await;
    load.store(5_000, Ordering::Relaxed);
    replicas(&deployments, "php-apache", 10).await;
    load.store(0, Ordering::Relaxed);
    let begun = tokio::time::Instant::now();
    replicas(&deployments, "php-apache", 1).await;
    let minutes = begun.elapsed().as_secs() / 60;
    assert!((4..8).contains(&minutes), "the size is held for five minutes, and was for {minutes}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let status = autoscalers.get("php-apache").unwrap().status.clone().unwrap();
    assert_eq!((status.current_replicas, status.desired_replicas), (Some(1), 1));
    let current = status.current_metrics.unwrap()[0].resource.clone().unwrap().current;
    assert_eq!((current.average_utilization, current.average_value.unwrap().0.as_str()), (Some(0), "0"));
    let conditions: Vec<_> =
        status.conditions.unwrap().iter().map(|it| format!("{}={}", it.type_, it.status)).collect();
    assert_eq!(conditions, ["AbleToScale=True", "ScalingActive=True", "ScalingLimited=True"]);
    assert!(reasons(api, "default", "HorizontalPodAutoscaler").contains(&"SuccessfulRescale".to_owned()));
}

#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "example.com",
    version = "v1",
    kind = "Fleet",
    namespaced,
    status = "FleetStatus",
    scale(
        spec_replicas_path = ".spec.boats",
        status_replicas_path = ".status.boats",
        label_selector_path = ".status.selector"
    )
)]
struct FleetSpec {
    boats: i32,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct FleetStatus {
    boats: i32,
    selector: String,
}

/// How many passengers wait on the quay.
struct Quay(Arc<AtomicU64>);

#[async_trait]
impl Metrics for Quay {
    async fn pod(&self, _pod: &Pod) -> Result<Option<PodUsage>, Status> {
        Ok(None)
    }

    async fn external(&self, metric: &MetricIdentifier, _namespace: &str) -> Result<Vec<Quantity>, Status> {
        assert_eq!(metric.name, "passengers");
        Ok(vec![Quantity::from_milli(i64::try_from(self.0.load(Ordering::Relaxed)).unwrap() * 1_000)])
    }
}

#[tokio::test(start_paused = true)]
async fn a_custom_kind_scales_to_nothing_and_back_by_metrics_of_the_embedder() {
    let passengers = Arc::new(AtomicU64::new(0));
    let builder = Cluster::builder().seed(1).virtual_time().kind::<Fleet>().metrics(Quay(passengers.clone()));
    let cluster = builder.start().await.unwrap();
    let fleets = cluster.api().namespaced::<Fleet>("default");
    let mut fleet = Fleet::new("ferries", FleetSpec { boats: 3 });
    fleet.status = Some(FleetStatus { boats: 3, selector: "fleet=ferries".to_owned() });
    let fleet = fleets.create(fleet).await.unwrap();
    let status = Some(FleetStatus { boats: 3, selector: "fleet=ferries".to_owned() });
    fleets.replace_status(Fleet { status, ..Fleet::clone(&fleet) }).await.unwrap();
    let metric = json!({"metric": {"name": "passengers"}, "target": {"type": "AverageValue", "averageValue": "20"}});
    let rules =
        json!({"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 100, "periodSeconds": 15}]});
    let autoscaler = json!({"metadata": {"name": "ferries"}, "spec": {
        "scaleTargetRef": {"apiVersion": "example.com/v1", "kind": "Fleet", "name": "ferries"},
        "minReplicas": 0, "maxReplicas": 50, "metrics": [{"type": "External", "external": metric}],
        "behavior": {"scaleDown": rules, "scaleUp": {"stabilizationWindowSeconds": 0}},
    }});
    let autoscalers = cluster.api().namespaced::<HorizontalPodAutoscaler>("default");
    autoscalers.create(from(autoscaler)).await.unwrap();
    let boats = |count| move |fleet: Option<&Fleet>| fleet.is_some_and(|fleet| fleet.spec.boats == count);
    fleets.until("ferries", boats(0)).await.unwrap();
    passengers.store(95, Ordering::Relaxed);
    fleets.until("ferries", boats(5)).await.unwrap();
    passengers.store(0, Ordering::Relaxed);
    fleets.until("ferries", boats(0)).await.unwrap();
    let refused = autoscalers.edit("ferries", |it| it.spec.metrics = None).await.unwrap_err();
    assert!(refused.message().contains("must specify at least one Object or External metric"), "{}", refused.message());
}

fn deployment(name: &str, replicas: i32, cpu: &str) -> Deployment {
    let labels = json!({"app": name});
    let container = json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}});
    from(json!({"metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }}))
}

fn names(nodes: &Api<NodeObject>) -> Vec<String> {
    nodes.list().iter().filter_map(|node| node.metadata.name.clone()).collect()
}

async fn cloud() -> Cluster {
    let cloud = |machines| {
        let cloud = SimulatedCloud::new(machines);
        cloud.group("small", 1..=4, "4", "16Gi").group("large", 0..=2, "16", "64Gi")
    };
    Cluster::builder().seed(1).virtual_time().cloud(cloud).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn machines_come_for_pods_and_go_without_them() {
    let cluster = cloud().await;
    let api = cluster.api();
    let (deployments, nodes) = (api.namespaced::<Deployment>("default"), api.all::<NodeObject>());
    nodes.until("small-0", |node| node.is_some()).await.unwrap();
    // Ten pods of one processor: three small machines. One pod of ten: a large one.
    deployments.create(deployment("many", 10, "1")).await.unwrap();
    replicas(&deployments, "many", 10).await;
    assert_eq!(names(&nodes), ["small-0", "small-1", "small-2"]);
    deployments.create(deployment("big", 1, "10")).await.unwrap();
    replicas(&deployments, "big", 1).await;
    assert_eq!(names(&nodes), ["large-0", "small-0", "small-1", "small-2"]);
    let node = nodes.until("large-0", |node| node.is_some_and(|it| it.spec.as_ref().unwrap().provider_id.is_some()));
    let node = node.await.unwrap().unwrap();
    assert_eq!(node.metadata.labels.as_ref().unwrap()["topology.kubernetes.io/zone"], "simulated-a");
    // What fits nowhere orders nothing.
    deployments.create(deployment("huge", 1, "100")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(names(&nodes).len(), 4);
    let told = reasons(&api, "default", "Pod");
    assert!(
        told.contains(&"TriggeredScaleUp".to_owned()) && told.contains(&"NotTriggerScaleUp".to_owned()),
        "{told:?}"
    );
    deployments.delete("huge").await.unwrap();

    // Three pods that must not all be away at once: their nodes are emptied one pod after the other. However they are spread,
    // one node is less than half full until a single one is left.
    let budget = json!({"metadata": {"name": "many"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "many"}}}});
    api.namespaced::<PodDisruptionBudget>("default").create(from(budget)).await.unwrap();
    deployments.delete("big").await.unwrap();
    deployments.edit("many", |many| many.spec.as_mut().unwrap().replicas = Some(3)).await.unwrap();
    let begun = tokio::time::Instant::now();
    let ready = || {
        let pods = api.namespaced::<Pod>("default").list();
        let is_ready = |pod: &&Arc<Pod>| {
            let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
            conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
        };
        pods.iter().filter(is_ready).count()
    };
    replicas(&deployments, "many", 3).await;
    let fewest = std::cell::Cell::new(3);
    let one_left = |_: Option<&NodeObject>| {
        fewest.set(fewest.get().min(ready()));
        names(&nodes).len() == 1
    };
    nodes.until("small-0", one_left).await.unwrap();
    assert!(fewest.get() >= 2, "the budget holds: {}", fewest.get());
    assert!(begun.elapsed() >= Duration::from_secs(600), "nodes are kept for a while: {:?}", begun.elapsed());
    replicas(&deployments, "many", 3).await;
    assert!(reasons(&api, "default", "Node").contains(&"ScaleDown".to_owned()));
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(names(&nodes).len(), 1, "the group has no fewer than its least");
    assert_eq!(cluster.shutdown().await.left, 0);
}

#[tokio::test(start_paused = true)]
async fn pods_that_must_stay_keep_their_node() {
    let cluster = cloud().await;
    let api = cluster.api();
    let (deployments, nodes) = (api.namespaced::<Deployment>("default"), api.all::<NodeObject>());
    let mut held = deployment("held", 1, "8");
    let template = held.spec.as_mut().unwrap().template.metadata.as_mut().unwrap();
    let annotation = ("cluster-autoscaler.kubernetes.io/safe-to-evict".to_owned(), "false".to_owned());
    template.annotations = Some([annotation].into());
    deployments.create(held).await.unwrap();
    replicas(&deployments, "held", 1).await;
    assert_eq!(names(&nodes), ["large-0", "small-0"]);
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    assert_eq!(names(&nodes), ["large-0", "small-0"]);
}

#[tokio::test(start_paused = true)]
async fn services_get_addresses_and_give_them_back() {
    let cluster = cloud().await;
    let services = cluster.api().namespaced::<Service>("default");
    let service = json!({"metadata": {"name": "web"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
    services.create(from(service)).await.unwrap();
    let address = |service: Option<&Service>| {
        let ingress = service?.status.as_ref()?.load_balancer.as_ref()?.ingress.clone()?;
        ingress.first()?.ip.clone()
    };
    let balanced = services.until("web", |service| address(service).is_some()).await.unwrap();
    assert_eq!(address(balanced.as_deref()).unwrap(), "198.18.0.1");
    let closed = |web: &mut Service| {
        let spec = web.spec.as_mut().unwrap();
        spec.type_ = Some("ClusterIP".to_owned());
        (spec.allocate_load_balancer_node_ports, spec.external_traffic_policy) = (None, None);
    };
    services.edit("web", closed).await.unwrap();
    services.until("web", |web| web.is_some_and(|web| web.metadata.finalizers.is_none())).await.unwrap();
    services.edit("web", |web| web.spec.as_mut().unwrap().type_ = Some("LoadBalancer".to_owned())).await.unwrap();
    services.until("web", |service| address(service).is_some()).await.unwrap();
    services.delete("web").await.unwrap();
    services.until("web", |web| web.is_none()).await.unwrap();
    let told = reasons(&cluster.api(), "default", "Service");
    assert_eq!(told, ["DeletedLoadBalancer", "DeletingLoadBalancer", "EnsuredLoadBalancer", "EnsuringLoadBalancer"]);
}
