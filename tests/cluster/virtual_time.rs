//! Whole clusters, in process and in virtual time.

use std::sync::Arc;
use std::time::Duration;

use coracle::k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use coracle::k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod, Service};
use coracle::k8s_openapi::api::discovery::v1::EndpointSlice;
use coracle::node::runtimes::{Behaviour, SimulatedRuntime};
use coracle::store::Recorded;
use coracle::{Api, Cluster, Memory, Node};
use serde_json::{Value, json};

fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn deployment(name: &str, replicas: i32, image: &str) -> Deployment {
    let labels = json!({"app": name});
    let probe = json!({"exec": {"command": ["check"]}, "periodSeconds": 5, "failureThreshold": 2});
    let container = json!({"name": "c", "image": image, "livenessProbe": probe, "ports": [{"containerPort": 80}]});
    from(json!({"metadata": {"name": name}, "spec": {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }}))
}

fn is_complete(replicas: i32) -> impl Fn(Option<&Deployment>) -> bool {
    move |found| {
        found.is_some_and(|found| {
            let status = found.status.clone().unwrap_or_default();
            let counts = [status.replicas, status.updated_replicas, status.available_replicas];
            status.observed_generation == found.metadata.generation
                && counts.iter().all(|count| count.unwrap_or(0) == replicas)
        })
    }
}

async fn complete(deployments: &Api<Deployment>, name: &str, replicas: i32) {
    deployments.until(name, is_complete(replicas)).await.unwrap();
}

/// An hour of a cluster whose containers crash now and then and fail their probes: rollouts, scaling, deletions.
async fn an_hour(seed: u64) -> Vec<String> {
    let store = Arc::new(Recorded::new(Memory::default()));
    let entropy = Arc::new(coracle::core::Entropy::seeded(seed));
    let chance = entropy.clone();
    let runtime = SimulatedRuntime::new().chance(entropy).behaviour(Behaviour {
        start: Duration::from_millis(700),
        run_for: Some(Duration::from_secs(400)),
        crash: 0.5,
        ..Behaviour::default()
    });
    let runtime = runtime.answering(move |_, _| coracle::runtime::ExecOutput {
        code: Some(i32::from(chance.below(20) == 0)),
        output: Vec::new(),
    });
    let builder = Cluster::builder().seed(seed).virtual_time().store(store.clone());
    let cluster = builder.nodes(3, Node::simulated_by(runtime)).start().await.unwrap();
    let deployments = cluster.api().namespaced::<Deployment>("default");
    deployments.create(deployment("web", 4, "web:v1")).await.unwrap();
    for version in 2..8 {
        tokio::time::sleep(Duration::from_secs(550)).await;
        let image = format!("web:v{version}");
        let edit = move |web: &mut Deployment| {
            let spec = web.spec.as_mut().unwrap();
            spec.replicas = Some(3 + version % 3);
            spec.template.spec.as_mut().unwrap().containers[0].image = Some(image.clone());
        };
        deployments.edit("web", edit).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(300)).await;
    cluster.shutdown().await;
    store.take().writes().iter().map(|write| format!("{write:?}")).collect()
}

fn run(future: impl Future<Output = Vec<String>>) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

#[test]
fn the_same_seed_gives_the_same_hour() {
    let (one, two) = (run(an_hour(7)), run(an_hour(7)));
    assert!(one.len() > 500, "an hour of crashes and rollouts writes more than {} times", one.len());
    for (number, (one, two)) in one.iter().zip(&two).enumerate() {
        assert_eq!(one, two, "write {number}");
    }
    assert_eq!(one.len(), two.len());
    assert_ne!(one, run(an_hour(8)), "another seed gives another hour");
}

async fn cluster(nodes: usize) -> Cluster {
    Cluster::builder().seed(1).virtual_time().nodes(nodes, Node::simulated()).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_deployment_rolls_out_rolls_back_and_goes_with_everything_it_owns() {
    let cluster = cluster(3).await;
    let api = cluster.api();
    let (deployments, pods) = (api.namespaced::<Deployment>("default"), api.namespaced::<Pod>("default"));
    deployments.create(deployment("web", 3, "web:v1")).await.unwrap();
    complete(&deployments, "web", 3).await;
    let set_image = |image: &'static str| {
        move |web: &mut Deployment| {
            web.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].image = Some(image.to_owned());
        }
    };
    for (image, revision) in [("web:v2", "2"), ("web:v1", "3")] {
        deployments.edit("web", set_image(image)).await.unwrap();
        complete(&deployments, "web", 3).await;
        let web = deployments.get("web").unwrap();
        assert_eq!(web.metadata.annotations.as_ref().unwrap()["deployment.kubernetes.io/revision"], revision);
        pods.until("nobody", |_| pods.list().len() == 3).await.unwrap();
        let images = pods.list().into_iter().map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone().unwrap());
        assert_eq!(images.collect::<Vec<_>>(), [image; 3]);
    }
    assert_eq!(api.namespaced::<ReplicaSet>("default").list().len(), 2);
    deployments.delete("web").await.unwrap();
    pods.until("nobody", |_| pods.list().is_empty()).await.unwrap();
    assert!(api.namespaced::<ReplicaSet>("default").list().is_empty());
    let reasons: std::collections::BTreeSet<_> =
        api.namespaced::<Event>("default").list().iter().filter_map(|event| event.reason.clone()).collect();
    for reason in ["ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Pulled", "Created", "Started", "Killing"] {
        assert!(reasons.contains(reason), "{reason} in {reasons:?}");
    }
    assert_eq!(cluster.shutdown().await.left, 0);
}

#[tokio::test(start_paused = true)]
async fn pods_that_fit_nowhere_say_why_and_are_placed_when_there_is_room() {
    let cluster = cluster(1).await;
    let pods = cluster.api().namespaced::<Pod>("default");
    let pod = |name: &str| {
        let container = json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": "20"}}});
        from::<Pod>(json!({"metadata": {"name": name}, "spec": {"containers": [container]}}))
    };
    pods.create(pod("first")).await.unwrap();
    let placed = |pod: Option<&Pod>| pod.is_some_and(|pod| pod.spec.as_ref().unwrap().node_name.is_some());
    pods.until("first", placed).await.unwrap();
    pods.create(pod("second")).await.unwrap();
    let condition = |pod: Option<&Pod>| {
        let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.clone()).unwrap_or_default();
        conditions.into_iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
    };
    let waiting = pods.until("second", |pod| condition(pod).is_some()).await.unwrap();
    let message = condition(waiting.as_deref()).unwrap().message.unwrap();
    assert!(message.starts_with("0/1 nodes are available: 1 Insufficient cpu."), "{message}");
    assert!(cluster.explain("default", "second").unwrap().to_string().contains("Insufficient cpu"));
    pods.delete("first").await.unwrap();
    pods.until("second", placed).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_service_finds_the_pods_that_are_ready() {
    let cluster = cluster(2).await;
    let api = cluster.api();
    let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
    api.namespaced::<Service>("default").create(from(service)).await.unwrap();
    api.namespaced::<Deployment>("default").create(deployment("web", 5, "web:v1")).await.unwrap();
    let slices = api.namespaced::<EndpointSlice>("default");
    let ready = || {
        let endpoints = slices.list().into_iter().flat_map(|slice| slice.endpoints.clone().unwrap_or_default());
        endpoints.filter(|endpoint| endpoint.conditions.as_ref().and_then(|found| found.ready) == Some(true)).count()
    };
    slices.until("nobody", |_| ready() == 5).await.unwrap();
    api.namespaced::<Deployment>("default").delete("web").await.unwrap();
    slices.until("nobody", |_| ready() == 0).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_namespace_goes_with_everything_in_it() {
    let cluster = cluster(2).await;
    let api = cluster.api();
    let namespaces = api.all::<Namespace>();
    namespaces.create(from(json!({"metadata": {"name": "shop"}}))).await.unwrap();
    let accounts = api.namespaced::<coracle::k8s_openapi::api::core::v1::ServiceAccount>("shop");
    accounts.until("default", |account| account.is_some()).await.unwrap();
    let deployments = api.namespaced::<Deployment>("shop");
    deployments.create(deployment("web", 3, "web:v1")).await.unwrap();
    complete(&deployments, "web", 3).await;
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.dev/hold"]}});
    api.namespaced::<ConfigMap>("shop").create(from(held)).await.unwrap();
    namespaces.delete("shop").await.unwrap();
    api.namespaced::<Pod>("shop").until("nobody", |_| api.namespaced::<Pod>("shop").list().is_empty()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(namespaces.get("shop").is_ok(), "the finalizer holds the namespace");
    api.namespaced::<ConfigMap>("shop").edit("held", |map| map.metadata.finalizers = None).await.unwrap();
    namespaces.until("shop", |shop| shop.is_none()).await.unwrap();
}

#[tokio::test]
async fn many_clusters_live_in_one_process() {
    let starts = (0..20).map(|_| Cluster::builder().nodes(1, Node::simulated()).start());
    let clusters = futures::future::try_join_all(starts).await.unwrap();
    for (number, cluster) in clusters.iter().enumerate() {
        let name = format!("only-in-{number}");
        let map = from::<ConfigMap>(json!({"metadata": {"name": name}}));
        cluster.api().namespaced::<ConfigMap>("default").create(map).await.unwrap();
    }
    for (number, cluster) in clusters.iter().enumerate() {
        let names: Vec<_> = cluster.api().namespaced::<ConfigMap>("default").list();
        assert_eq!(names.len(), 1);
        assert_eq!(names[0].metadata.name, Some(format!("only-in-{number}")));
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_are_sealed_in_the_store_and_keys_rotate() {
    use coracle::k8s_openapi::api::core::v1::Secret;
    use coracle::store::{At, KeyRange, SealingKey, Store as _};
    let store = Arc::new(Memory::default());
    let key = |name, byte| SealingKey::new(name, &[byte; 32]).unwrap();
    let start = async |builder: coracle::Builder| builder.virtual_time().store(store.clone()).start().await.unwrap();
    let kept = async || {
        let page = store.range(KeyRange::all(), At::Latest, usize::MAX).await.unwrap();
        page.items.into_iter().filter(|item| item.key.as_str().unwrap().contains("/secrets/")).map(|item| item.value)
    };
    let resources = || [coracle::GroupResource::of::<Secret>()];
    let secret: Secret = from(json!({"metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}));

    let cluster = start(Cluster::builder()).await;
    cluster.api().namespaced::<Secret>("default").create(secret).await.unwrap();
    cluster.shutdown().await;
    assert!(kept().await.all(|value| value.starts_with(b"{")));
    for (key, older) in [(key("a", 1), vec![]), (key("b", 2), vec![key("a", 1)]), (key("b", 2), vec![])] {
        let cluster = start(Cluster::builder().encrypt(resources(), key, older)).await;
        let read = cluster.api().namespaced::<Secret>("default").get("s").unwrap();
        assert_eq!(read.data.as_ref().unwrap()["password"].0, b"hunter2");
        cluster.shutdown().await;
        assert!(kept().await.all(|value| value.starts_with(b"k8s:enc:aesgcm:v1:")));
    }
    let wrong = Cluster::builder().store(store.clone()).encrypt(resources(), key("a", 1), vec![]).start().await;
    assert!(matches!(wrong, Err(coracle::Error::Store(_))));
}

#[tokio::test]
async fn tokens_stay_good_when_a_cluster_starts_again_with_its_keys() {
    use coracle::k8s_openapi::api::authentication::v1::{TokenRequest, TokenReview};
    use coracle::k8s_openapi::api::core::v1::ServiceAccount;
    let (store, folder) = (Arc::new(Memory::default()), std::env::temp_dir());
    let folder = folder.join(format!("coracle-cluster-keys-{}", std::process::id()));
    let start = async |builder: coracle::Builder| {
        builder.store(store.clone()).serve(([127, 0, 0, 1], 0).into()).start().await.unwrap()
    };
    let is_good = async |cluster: &Cluster, token: &str| {
        let review: TokenReview = from(json!({"metadata": {}, "spec": {"token": token}}));
        let reviews: kube::Api<TokenReview> = kube::Api::all(cluster.kube_client());
        reviews.create(&Default::default(), &review).await.unwrap().status.unwrap().authenticated == Some(true)
    };
    let cluster = start(Cluster::builder().keys_in(&folder)).await;
    let accounts: kube::Api<ServiceAccount> = kube::Api::namespaced(cluster.kube_client(), "default");
    let wish: TokenRequest = from(json!({"metadata": {}, "spec": {"audiences": []}}));
    let token = accounts.create_token_request("default", &Default::default(), &wish).await.unwrap();
    let token = token.status.unwrap().token.unwrap();
    assert!(is_good(&cluster, &token).await);
    cluster.shutdown().await;
    let again = start(Cluster::builder().keys_in(&folder)).await;
    assert!(is_good(&again, &token).await);
    again.shutdown().await;
    let stranger = start(Cluster::builder()).await;
    assert!(!is_good(&stranger, &token).await);
    std::fs::remove_dir_all(folder).unwrap();
}

/// The set's pods have a claim each, which is bound to a volume on the pod's node, and outlives the pod, but not its deletion.
#[tokio::test(start_paused = true)]
async fn a_stateful_set_gets_volumes_and_keeps_them() {
    use coracle::k8s_openapi::api::apps::v1::StatefulSet;
    use coracle::k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

    let folder = std::env::temp_dir().join("coracle-no-volumes-here");
    let builder = Cluster::builder().seed(7).virtual_time().local_volumes(folder);
    let cluster = builder.nodes(3, Node::simulated()).start().await.unwrap();
    let api = cluster.api();
    let (sets, pods) = (api.namespaced::<StatefulSet>("default"), api.namespaced::<Pod>("default"));
    let (claims, volumes) = (api.namespaced::<PersistentVolumeClaim>("default"), api.all::<PersistentVolume>());
    let labels = json!({"app": "db"});
    let container = json!({"name": "c", "image": "db", "volumeMounts": [{"name": "data", "mountPath": "/data"}]});
    let claim = json!({"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
    }});
    let set = json!({"metadata": {"name": "db"}, "spec": {
        "serviceName": "db", "replicas": 2, "selector": {"matchLabels": labels}, "volumeClaimTemplates": [claim],
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }});
    sets.create(from(set)).await.unwrap();
    let is_ready = |set: Option<&StatefulSet>| {
        set.is_some_and(|set| set.status.as_ref().is_some_and(|status| status.ready_replicas == Some(2)))
    };
    sets.until("db", is_ready).await.unwrap();

    let claim = claims.get("data-db-0").unwrap();
    let name = claim.spec.as_ref().unwrap().volume_name.clone().unwrap();
    assert_eq!(claim.status.as_ref().unwrap().phase.as_deref(), Some("Bound"));
    let volume = volumes.get(&name).unwrap();
    assert_eq!(volume.status.as_ref().unwrap().phase.as_deref(), Some("Bound"));
    let pod = pods.get("db-0").unwrap();
    let node = pod.spec.as_ref().unwrap().node_name.clone().unwrap();
    let affinity = serde_json::to_string(&volume.spec.as_ref().unwrap().node_affinity).unwrap();
    assert!(affinity.contains(&node), "{affinity}");

    let former = pod.metadata.uid.clone();
    pods.delete("db-0").await.unwrap();
    let came_back = move |pod: Option<&Pod>| {
        pod.is_some_and(|pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            pod.metadata.uid != former && phase == Some("Running")
        })
    };
    pods.until("db-0", came_back).await.unwrap();
    assert_eq!(pods.get("db-0").unwrap().spec.as_ref().unwrap().node_name.as_ref(), Some(&node));
    let kept = claims.get("data-db-0").unwrap();
    assert_eq!(
        (&kept.metadata.uid, &kept.spec.as_ref().unwrap().volume_name),
        (&claim.metadata.uid, &Some(name.clone()))
    );

    let grow = |claim: &mut PersistentVolumeClaim| {
        let resources = claim.spec.as_mut().unwrap().resources.as_mut().unwrap();
        resources.requests = Some(from(json!({"storage": "2Gi"})));
    };
    claims.edit("data-db-0", grow).await.unwrap();
    let has_grown = |claim: Option<&PersistentVolumeClaim>| {
        let capacity = claim.and_then(|claim| claim.status.as_ref()?.capacity.as_ref()?.get("storage").cloned());
        capacity.is_some_and(|capacity| capacity.0 == "2Gi")
    };
    claims.until("data-db-0", has_grown).await.unwrap();

    sets.delete("db").await.unwrap();
    pods.until("db-0", |pod| pod.is_none()).await.unwrap();
    assert!(claims.get("data-db-0").is_ok(), "claims outlive their set");
    claims.delete("data-db-0").await.unwrap();
    volumes.until(&name, |volume| volume.is_none()).await.unwrap();
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_cluster_that_does_not_serve_mounts_nothing_and_has_no_roles() {
    use coracle::k8s_openapi::api::rbac::v1::ClusterRole;
    let cluster = Cluster::builder().node(Node::simulated()(0)).start().await.unwrap();
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: x}]}}";
    cluster.api().apply_yaml(pod).await.unwrap();
    let pod = cluster.api().namespaced::<Pod>("default").get("a").unwrap();
    assert_eq!(pod.spec.as_ref().unwrap().volumes, None);
    assert_eq!(cluster.api().all::<ClusterRole>().list().len(), 0);
}
