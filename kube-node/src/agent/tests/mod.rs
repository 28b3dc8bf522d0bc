//! Whole nodes in virtual time, over a small cluster in memory and a scripted runtime.

mod cluster;
mod scripted;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node as NodeObject, Pod};
use tokio_util::sync::CancellationToken;

use self::cluster::Cluster;
use self::scripted::Scripted;
use super::{Node, Router};

async fn started() -> (Arc<Cluster>, Arc<Scripted>, CancellationToken) {
    started_with(Node::without_files).await
}

async fn started_with(more: impl Fn(Node) -> Node) -> (Arc<Cluster>, Arc<Scripted>, CancellationToken) {
    let cluster = Cluster::new();
    let router = Arc::new(Router::new(cluster.clone()));
    let runtime = Arc::new(Scripted::new(cluster.clock()));
    let shutdown = CancellationToken::new();
    let (routed, stop) = (router.clone(), shutdown.clone());
    tokio::spawn(async move { routed.run(stop).await });
    let node = more(Node::shared("n", runtime.clone()));
    tokio::spawn(node.run(cluster.clone(), router, shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    (cluster, runtime, shutdown)
}

fn pod(name: &str, spec: &str) -> Pod {
    let yaml = format!("metadata: {{name: {name}, namespace: ns}}\nspec: {spec}");
    let mut pod: Pod = serde_saphyr::from_str(&yaml).unwrap();
    pod.spec.as_mut().unwrap().node_name = Some("n".to_owned());
    pod
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_ready_with_one_write_and_gone_after_its_deletion() {
    let (cluster, _runtime, _shutdown) = started().await;
    cluster.put(pod("web", "{containers: [{name: a, image: run}]}"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let web = cluster.pod("web").unwrap();
    let status = web.status.as_ref().unwrap();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert!(status.conditions.iter().flatten().all(|condition| condition.status == "True"));
    assert_eq!(cluster.writes("web"), 1);
    assert_eq!(cluster.told("web"), ["Pulling", "Pulled", "Created", "Started"]);
    cluster.mark_deleted("web", 30);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(cluster.pod("web").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_crashes_is_told_the_same_way_each_time() {
    let hour = async || {
        let (cluster, runtime, _shutdown) = started().await;
        cluster.put(pod("web", "{containers: [{name: a, image: crash}]}"));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let status = cluster.pod("web").unwrap().status.clone().unwrap();
        (status.container_statuses.unwrap()[0].restart_count, cluster.told("web"), runtime.starts())
    };
    let (restarts, told, starts) = hour().await;
    // One at once, then after 10, 20, 40, 80, 160 s, then every 300 s, each run lasting one second.
    assert_eq!((restarts, starts), (16, 17));
    assert_eq!(hour().await, (restarts, told, starts));
}

#[tokio::test(start_paused = true)]
async fn probes_make_ready_and_kill() {
    let (cluster, runtime, _shutdown) = started().await;
    let probe = "{exec: {command: [x]}, periodSeconds: 10, failureThreshold: 3}";
    cluster.put(pod(
        "web",
        &format!("{{containers: [{{name: a, image: run, livenessProbe: {probe}, readinessProbe: {probe}}}]}}"),
    ));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let ready = || cluster.pod("web").unwrap().status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0].clone();
    assert!(ready().ready);
    runtime.fall_ill();
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert_eq!((ready().ready, ready().restart_count), (false, 1));
    let told = cluster.told("web");
    assert!(told.contains(&"Unhealthy") && told.contains(&"Killing"), "{told:?}");
}

/// Seed 7 of the simulation: a node whose write had succeeded after all woke itself without end.
#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_not_waited_for() {
    let (cluster, _runtime, _shutdown) = started().await;
    cluster.loses_answers.store(true, std::sync::atomic::Ordering::Relaxed);
    cluster.put(pod("web", "{containers: [{name: a, image: run}]}"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.writes("web"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_says_that_it_lives_and_that_it_stops() {
    let (cluster, _runtime, shutdown) = started().await;
    let ready = || {
        let node = cluster.get::<NodeObject>("", "n").unwrap();
        let conditions = node.status.as_ref().unwrap().conditions.clone().unwrap();
        conditions.into_iter().find(|condition| condition.type_ == "Ready").unwrap().status
    };
    let renewed = || cluster.get::<Lease>("kube-node-lease", "n").unwrap().spec.clone().unwrap().renew_time.unwrap();
    assert_eq!(ready(), "True");
    let before = renewed();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(renewed().0 > before.0);
    shutdown.cancel();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ready(), "False");
}

#[tokio::test(start_paused = true)]
async fn volumes_follow_their_sources_and_go_with_the_pod() {
    let root = std::env::temp_dir().join(format!("node-test-{}", std::process::id()));
    let (cluster, _runtime, _shutdown) = started_with(|node| node.root(&root)).await;
    let second = || tokio::time::sleep(Duration::from_secs(1));
    cluster.put(pod("web", "{containers: [{name: a, image: run}], volumes: [{name: v, configMap: {name: map}}]}"));
    second().await;
    // Once at first, once more after half a second.
    assert_eq!(cluster.told("web"), ["FailedMount", "FailedMount"]);
    let map = |value: &str| -> k8s_openapi::api::core::v1::ConfigMap {
        serde_saphyr::from_str(&format!("metadata: {{name: map, namespace: ns}}\ndata: {{k: {value}}}")).unwrap()
    };
    let directory = root.join("pods").join(cluster.pod("web").unwrap().metadata.uid.as_deref().unwrap());
    let shown = || std::fs::read_to_string(directory.join("volumes/v/k")).unwrap();
    cluster.put(map("one"));
    second().await;
    assert_eq!(shown(), "one");
    assert_eq!(cluster.pod("web").unwrap().status.as_ref().unwrap().phase.as_deref(), Some("Running"));
    cluster.put(map("two"));
    second().await;
    assert_eq!(shown(), "two");
    cluster.mark_deleted("web", 0);
    second().await;
    assert!(cluster.pod("web").is_none() && !directory.exists());
    std::fs::remove_dir_all(root).unwrap();
}
