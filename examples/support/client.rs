//! What the quickstart does to its pods from outside: calls, kills, counts and tells.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use coracle::k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use coracle::k8s_openapi::api::core::v1::Pod;
use coracle::{Api, Change};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

type Anyhow<T> = Result<T, Box<dyn Error>>;

/// Begins a chapter.
pub(crate) fn say(what: &str) {
    println!("\n> {what}");
}

/// Prints what becomes of each pod, as it happens.
pub(crate) fn tell_story(pods: &Api<Pod>) -> JoinHandle<()> {
    let (_, mut watch) = pods.watch();
    tokio::spawn(async move {
        let mut told = BTreeMap::new();
        while let Ok(changes) = watch.next().await {
            for change in changes {
                let (pod, text) = match &change {
                    Change::Added(pod) | Change::Modified(pod) => (pod, describe(pod)),
                    Change::Deleted(pod) => (pod, "gone".to_owned()),
                };
                if told.insert(name(pod), text.clone()) != Some(text.clone()) {
                    println!("  {} {text}", name(pod));
                }
            }
        }
    })
}

fn describe(pod: &Pod) -> String {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    match (pod.metadata.deletion_timestamp.is_some(), is_ready(Some(pod)), node) {
        (true, ..) => "terminating".to_owned(),
        (false, true, _) => format!("ready, {} restarts", restarts(Some(pod))),
        (false, false, Some(node)) => format!("scheduled on {node}, {}", phase(pod)),
        (false, false, None) => "waiting for a node".to_owned(),
    }
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// Waits until a Deployment's rollout is complete with so many pods.
pub(crate) async fn wait_for(deployments: &Api<Deployment>, replicas: i32) -> Anyhow<()> {
    let complete = |web: Option<&Deployment>| {
        let Some((status, generation)) = web.and_then(|web| Some((web.status.as_ref()?, web.metadata.generation)))
        else {
            return false;
        };
        let counts = [status.replicas, status.updated_replicas, status.available_replicas, status.ready_replicas];
        status.observed_generation == generation && counts.iter().all(|count| *count == Some(replicas))
    };
    deployments.until("web", complete).await?;
    Ok(())
}

/// The pods that are ready and not on their way out.
pub(crate) fn ready_pods(pods: &Api<Pod>) -> Vec<Arc<Pod>> {
    let serves = |pod: &Arc<Pod>| is_ready(Some(pod)) && pod.metadata.deletion_timestamp.is_none();
    pods.list().into_iter().filter(serves).collect()
}

/// The pod's name.
pub(crate) fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

/// Whether the pod's `Ready` condition holds.
pub(crate) fn is_ready(pod: Option<&Pod>) -> bool {
    let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// How often the pod's container was started again.
pub(crate) fn restarts(pod: Option<&Pod>) -> i32 {
    let statuses = pod.and_then(|pod| pod.status.as_ref()?.container_statuses.as_ref());
    statuses.into_iter().flatten().map(|status| status.restart_count).sum()
}

/// The Deployment's spec, to be changed.
pub(crate) fn spec(web: &mut Deployment) -> &mut DeploymentSpec {
    web.spec.get_or_insert_default()
}

/// Asks for another version of the server.
pub(crate) fn set_version(web: &mut Deployment, version: &str) {
    for container in spec(web).template.spec.iter_mut().flat_map(|pod| &mut pod.containers) {
        container.image = Some(format!("coracle.dev/example-server:{version}"));
        for variable in container.env.iter_mut().flatten().filter(|variable| variable.name == "VERSION") {
            variable.value = Some(version.to_owned());
        }
    }
}

/// Calls a pod over HTTP and returns what it says.
pub(crate) async fn call(pod: &Pod) -> Anyhow<String> {
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).ok_or("the pod has no address")?;
    let mut stream = TcpStream::connect(format!("{address}:8080")).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    Ok(body.filter(|body| !body.is_empty()).ok_or("the answer has no body")?)
}

/// The process ids of all ready pods.
pub(crate) async fn processes(pods: &Api<Pod>) -> Anyhow<BTreeSet<u32>> {
    let mut ids = BTreeSet::new();
    for pod in ready_pods(pods) {
        ids.insert(process(&pod).await?);
    }
    Ok(ids)
}

async fn process(pod: &Pod) -> Anyhow<u32> {
    Ok(call(pod).await?.split_whitespace().nth(1).ok_or("the pod does not say its process id")?.parse()?)
}

/// Kills the pod's process, as the kernel would for want of memory.
pub(crate) async fn kill(pod: &Pod) -> Anyhow<()> {
    let id = process(pod).await?.to_string();
    let killed = tokio::process::Command::new("kill").args(["-KILL", &id]).status().await?;
    if killed.success() { Ok(()) } else { Err(format!("process {id} could not be killed").into()) }
}

/// Waits until every pod is gone, then checks that no process is left.
pub(crate) async fn all_gone(pods: &Api<Pod>, processes: &BTreeSet<u32>) -> Anyhow<()> {
    let (mut left, mut watch) = pods.watch();
    while !left.is_empty() {
        watch.next().await?;
        left = pods.list();
    }
    let alive: Vec<_> = processes.iter().filter(|id| std::path::Path::new(&format!("/proc/{id}")).exists()).collect();
    if alive.is_empty() { Ok(()) } else { Err(format!("processes {alive:?} are still there").into()) }
}

/// A client that calls one ready pod after another, without a pause.
pub(crate) struct Caller {
    task: JoinHandle<Calls>,
    stop: tokio::sync::watch::Sender<bool>,
}

/// What came of the calls.
#[derive(Default)]
pub(crate) struct Calls {
    /// How many there were.
    pub(crate) total: u32,
    /// How many got no answer.
    pub(crate) failed: u32,
    versions: BTreeMap<String, u32>,
}

impl Caller {
    /// Starts calling.
    pub(crate) fn start(pods: &Api<Pod>) -> Self {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let pods = pods.clone();
        let task = tokio::spawn(async move {
            let mut calls = Calls::default();
            while !*stopped.borrow() {
                for pod in ready_pods(&pods) {
                    calls.note(call(&pod).await, &pod);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            calls
        });
        Self { task, stop }
    }

    /// Stops calling.
    pub(crate) async fn stop(self) -> Calls {
        let _receiver_is_gone = self.stop.send(true);
        self.task.await.unwrap_or_default()
    }
}

impl Calls {
    fn note(&mut self, answer: Anyhow<String>, pod: &Pod) {
        self.total += 1;
        match answer {
            Ok(text) => {
                *self.versions.entry(text.split_whitespace().next().unwrap_or("").to_owned()).or_default() += 1;
            }
            Err(error) => {
                eprintln!("  {} did not answer: {error}", name(pod));
                self.failed += 1;
            }
        }
    }

    /// Such as `v1 x 120, v2 x 80`.
    pub(crate) fn versions(&self) -> String {
        let parts: Vec<_> = self.versions.iter().map(|(version, count)| format!("{version} x {count}")).collect();
        parts.join(", ")
    }
}
