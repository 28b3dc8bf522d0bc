//! Whole clusters in virtual time, asked what the official suite asks of workloads and pods.
//!
//! Objects are written as YAML and read back as one short line each, so a case is: apply this, and the cluster becomes that.

mod cron_job;
mod daemon_set;
mod deployment;
mod disruption;
mod job;
mod lost_node;
mod namespace;
mod pod;
mod replicas;
mod resize;
mod stateful_set;

use std::fmt::Write as _;
use std::time::Duration;

use coracle::core::{Request, Resource, Target};
use coracle::k8s_openapi::api::core::v1::{Container, Pod, PodCondition};
use coracle::node::runtimes::{Behaviour, SimulatedRuntime};
use coracle::{Api, Client, Cluster, Node};
use serde_json::{Value, json};

/// For how long of its own time a cluster is waited for.
const PATIENCE_SECONDS: u32 = 900;

/// A cluster in virtual time.
struct Lab {
    api: Client,
    _cluster: Cluster,
}

impl Lab {
    async fn new(nodes: usize) -> Self {
        let runtime = SimulatedRuntime::new().behaviour_by(does);
        let builder = Cluster::builder().seed(1).virtual_time().nodes(nodes, Node::simulated_by(runtime));
        let cluster = builder.start().await.unwrap();
        Self { api: cluster.api(), _cluster: cluster }
    }

    fn all<K: Resource>(&self) -> Api<K> {
        self.api.namespaced("default")
    }

    async fn apply(&self, yaml: &str) {
        self.api.apply_yaml(yaml).await.unwrap();
    }

    async fn delete<K: Resource>(&self, name: &str) {
        self.all::<K>().delete(name).await.unwrap();
    }

    /// Edits an object's status, as another controller would.
    async fn edit_status<K: Resource>(&self, name: &str, edit: impl Fn(&mut K) + Send + Sync + 'static) {
        let target = Target::named::<K>("default", name).below("status");
        let edit = move |object: &mut K| {
            edit(object);
            Ok(())
        };
        self.api.execute(Request::edit(target, edit)).await.unwrap();
    }

    /// Sets the condition that the pods' readiness gate asks for.
    async fn open_gate(&self, pod: &str, open: bool) {
        let status = if open { "True" } else { "False" };
        let condition =
            PodCondition { type_: "example.dev/open".to_owned(), status: status.to_owned(), ..Default::default() };
        self.edit_status(pod, move |pod: &mut Pod| {
            let conditions = pod.status.as_mut().unwrap().conditions.get_or_insert_default();
            conditions.retain(|held| held.type_ != condition.type_);
            conditions.push(condition.clone());
        })
        .await;
    }

    /// Waits until a description is as expected.
    async fn becomes(&self, describe: impl Fn(&Self) -> String, expected: &str) {
        for _ in 0..PATIENCE_SECONDS {
            if describe(self) == expected {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(describe(self), expected, "after {PATIENCE_SECONDS} seconds");
    }

    /// Whether a description is as expected after a while.
    async fn stays(&self, describe: impl Fn(&Self) -> String, expected: &str) {
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(describe(self), expected);
    }

    /// Pods by name: `web-0 v1 ready`.
    fn pods(&self) -> String {
        let pods = self.all::<Pod>().list();
        line(pods.iter().map(|pod| format!("{} {} {}", name(&**pod), image(pod), mood(pod))))
    }

    /// How many pods there are of each image: `v1 x3, v2 x1`.
    fn images(&self) -> String {
        let mut counts = std::collections::BTreeMap::<String, usize>::new();
        for pod in self.all::<Pod>().list() {
            *counts.entry(format!("{} {}", image(&pod), mood(&pod))).or_default() += 1;
        }
        line(counts.into_iter().map(|(what, count)| format!("{what} x{count}")))
    }

    fn uid(&self, pod: &str) -> String {
        self.all::<Pod>().get(pod).unwrap().metadata.uid.clone().unwrap()
    }

    /// Values of an object by their paths: `at::<Job>("j", "status.succeeded status.failed")`.
    fn at<K: Resource + serde::Serialize>(&self, name: &str, paths: &str) -> String {
        let value = self.all::<K>().get(name).map_or(Value::Null, |object| serde_json::to_value(&*object).unwrap());
        let mut text = String::new();
        for path in paths.split(' ') {
            let found = path.split('.').fold(&value, |value, key| match value {
                Value::Array(items) => items.iter().find(|item| item["type"] == key).unwrap_or(&Value::Null),
                _ => &value[key],
            });
            write!(text, " {}", found.as_str().map_or_else(|| found.to_string(), str::to_owned)).unwrap();
        }
        text.split_off(1)
    }
}

/// What a container does is in its image: `exit:3` ends with that code, `exit:0-5` after five seconds, `odd` fails for odd
/// completion indexes only, `nowhere` cannot be pulled; all others run.
fn does(pod: &Pod, container: &Container) -> Behaviour {
    let image = container.image.as_deref().unwrap_or("");
    let (what, tag) = image.split_once(':').unwrap_or((image, ""));
    let exit = |code: i32, after: u64| Behaviour {
        run_for: Some(Duration::from_secs(after)),
        exit_code: code,
        ..Behaviour::default()
    };
    match what {
        "nowhere" => Behaviour { pull_failure: 1.0, ..Behaviour::default() },
        "exit" => {
            let (code, after) = tag.split_once('-').unwrap_or((tag, "0"));
            exit(code.parse().unwrap(), after.parse().unwrap())
        }
        "odd" => {
            let labels = pod.metadata.labels.as_ref().unwrap();
            let index: i32 = labels["batch.kubernetes.io/job-completion-index"].parse().unwrap();
            exit(index % 2, 1)
        }
        _ => Behaviour::default(),
    }
}

fn line(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn name<K: Resource>(object: &K) -> String {
    object.metadata().name.clone().unwrap()
}

/// The image's tag, or the image if it has none.
fn image(pod: &Pod) -> String {
    let image = pod.spec.as_ref().unwrap().containers[0].image.clone().unwrap();
    image.strip_prefix("web:").map_or_else(|| image.clone(), str::to_owned)
}

/// How a pod is, in a word.
fn mood(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "leaving".to_owned();
    }
    let status = pod.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().flatten().any(|it| it.type_ == "Ready" && it.status == "True");
    if ready { "ready".to_owned() } else { status.phase.unwrap_or_default() }
}

fn condition(pod: &Pod, kind: &str) -> Option<PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|condition| condition.type_ == kind).cloned()
}

fn from<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}
