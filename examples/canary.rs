//! A workload kind on the public API alone: a `Canary` tries a new image on more and more pods, and takes them back if they fail.
//!
//! `cargo run --example canary`

use std::{error::Error, sync::Arc, time::Duration};

use async_trait::async_trait;
use coracle::controllers::Error as Fault;
use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::node::runtimes::{Behaviour, SimulatedRuntime};
use coracle::{Cluster, Context, Controller, Next, Node, Severity, Watches};
use kube::{CustomResource, Resource as _, ResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "example.dev", version = "v1", kind = "Canary", namespaced, status = "CanaryStatus")]
struct CanarySpec {
    image: String,
    replicas: i32,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
struct CanaryStatus {
    stable: Option<String>,
    trial: i32,
    failed: Option<String>,
}

struct Canaries;

#[async_trait]
impl Controller for Canaries {
    type Kind = Canary;

    fn name(&self) -> &'static str {
        "canary-controller"
    }

    fn watches(&self, on: &mut Watches<Canary>) {
        on.owned::<Deployment>();
    }

    async fn reconcile(&self, canary: Arc<Canary>, cx: &Context) -> Result<Next, Fault> {
        let (spec, mut status) = (&canary.spec, canary.status.clone().unwrap_or_default());
        let stable = status.stable.get_or_insert_with(|| spec.image.clone());
        let trying = spec.image != *stable && status.failed.as_ref() != Some(&spec.image);
        let trial = if trying { status.trial.max(1) } else { 0 };
        apply(&canary, "stable", stable, spec.replicas - trial, cx).await?;
        let found = apply(&canary, "canary", &spec.image, trial, cx).await?;
        let now = found.status.clone().unwrap_or_default();
        let stuck = now.conditions.iter().flatten().any(|it| it.reason.as_deref() == Some("ProgressDeadlineExceeded"));
        let well = now.observed_generation == found.metadata.generation && now.available_replicas.unwrap_or(0) == trial;
        status.trial = trial;
        if trying && stuck {
            cx.event(&*canary, Severity::Warning, "RolledBack", &*spec.image);
            (status.trial, status.failed) = (0, Some(spec.image.clone()));
        } else if trying && well && trial >= spec.replicas {
            cx.event(&*canary, Severity::Normal, "Promoted", &*spec.image);
            status = CanaryStatus { stable: Some(spec.image.clone()), ..CanaryStatus::default() };
        } else if trying && well {
            status.trial = (trial * 2).min(spec.replicas);
        }
        if canary.status.as_ref() != Some(&status) {
            cx.update_status(Canary { status: Some(status), ..Canary::clone(&canary) }).await?;
        }
        Ok(Next::on_change())
    }
}

async fn apply(canary: &Canary, track: &str, image: &str, count: i32, cx: &Context) -> Result<Arc<Deployment>, Fault> {
    let (name, owner) = (format!("{}-{track}", canary.name_any()), canary.controller_owner_ref(&()));
    let labels = json!({"canary": canary.name_any(), "track": track});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}});
    let spec = json!({"replicas": count, "selector": {"matchLabels": labels}, "template": pod, "minReadySeconds": 5,
        "progressDeadlineSeconds": 10});
    let metadata = json!({"name": name, "namespace": canary.namespace(), "ownerReferences": [owner]});
    cx.apply(&serde_json::from_value::<Deployment>(json!({"metadata": metadata, "spec": spec}))?).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    tokio::time::pause(); // Minutes pass in an instant.
    let runtime = SimulatedRuntime::new().behaviour_by(|_, container| {
        let bad = container.image.as_deref() == Some("web:v3");
        Behaviour { run_for: bad.then_some(Duration::from_secs(1)), exit_code: 1, ..Behaviour::default() }
    });
    let builder = Cluster::builder().virtual_time().kind::<Canary>().controller(Canaries);
    let cluster = builder.nodes(3, Node::simulated_by(runtime)).start().await?;
    let canaries = cluster.api().namespaced::<Canary>("default");
    canaries.create(Canary::new("web", CanarySpec { image: "web:v1".into(), replicas: 6 })).await?;
    for image in ["web:v2", "web:v3"] {
        canaries.edit("web", move |web| web.spec.image = image.into()).await?;
        let tried = |it: &CanaryStatus| [&it.stable, &it.failed].contains(&&Some(image.into()));
        let over = |web: Option<&Canary>| web.and_then(|web| web.status.as_ref()).is_some_and(tried);
        canaries.until("web", over).await?;
        println!("{image} was tried: {:?}", canaries.get("web")?.status);
    }
    Ok(())
}
