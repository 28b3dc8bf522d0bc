//! A scheduler of your own: pods of one team stay together on as few nodes as possible, to keep their caches warm.
//!
//! `cargo run --example custom_scheduler`

use std::collections::BTreeMap;
use std::error::Error;

use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::k8s_openapi::api::core::v1::Pod;
use coracle::sched::{Framework, PodInfo};
use coracle::{Cluster, Decision, Node, Scheduler, Snapshot};

/// Prefers the node that has most pods of the same team; everything else is left to the default scheduler.
struct Together {
    default: Framework,
    pods_per_node_max: usize,
}

impl Scheduler for Together {
    fn schedule(&mut self, pod: &PodInfo, cluster: &Snapshot) -> Decision {
        let team = |pod: &PodInfo| pod.pod.metadata.labels.as_ref().and_then(|labels| labels.get("team").cloned());
        let Some(wanted) = team(pod) else { return self.default.schedule(pod, cluster) };
        let mates = |node: &coracle::sched::NodeInfo| {
            node.pods().iter().filter(|other| team(other).as_ref() == Some(&wanted)).count()
        };
        let room = |count: usize| (1..self.pods_per_node_max).contains(&count);
        let best = cluster.nodes().map(|(_, node)| (mates(node), node)).filter(|(count, _)| room(*count));
        match best.max_by_key(|(count, _)| *count) {
            Some((_, node)) => Decision::Bind { node: node.name().clone() },
            None => self.default.schedule(pod, cluster),
        }
    }
}

fn deployment(team: &str, replicas: i32) -> Result<Deployment, serde_json::Error> {
    let labels = serde_json::json!({"team": team});
    serde_json::from_value(serde_json::json!({
        "metadata": {"name": team},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": "app"}]},
            },
        },
    }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let scheduler = Together { default: Framework::new(1), pods_per_node_max: 4 };
    let cluster = Cluster::builder().scheduler(scheduler).nodes(6, Node::simulated()).start().await?;
    let deployments = cluster.api().namespaced::<Deployment>("default");
    for (team, replicas) in [("red", 6), ("blue", 4)] {
        deployments.create(deployment(team, replicas)?).await?;
        let ready = move |found: Option<&Deployment>| {
            found.and_then(|found| found.status.as_ref()?.ready_replicas) == Some(replicas)
        };
        deployments.until(team, ready).await?;
    }
    let mut placed = BTreeMap::<(String, String), usize>::new();
    for pod in cluster.api().namespaced::<Pod>("default").list() {
        let team = pod.metadata.labels.as_ref().and_then(|labels| labels.get("team").cloned()).unwrap_or_default();
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
        *placed.entry((team, node)).or_default() += 1;
    }
    for ((team, node), pods) in &placed {
        println!("{team}: {pods} pods on {node}");
    }
    let nodes_of = |team: &str| placed.keys().filter(|(other, _)| other == team).count();
    assert_eq!((nodes_of("red"), nodes_of("blue")), (2, 1), "six fill a node and a half, four fill one");
    cluster.shutdown().await;
    Ok(())
}
