//! A workload kind of your own beside the built-in ones: a `Website` becomes a ConfigMap and a Deployment, and says how it is.
//!
//! `cargo run --example custom_controller`

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use coracle::k8s_openapi::api::apps::v1::Deployment;
use coracle::k8s_openapi::api::core::v1::ConfigMap;
use coracle::{Cluster, Context, Controller, Next, Node, Watches};
use kube::{CustomResource, Resource as _, ResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A page, and how many servers show it.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "example.dev",
    version = "v1",
    kind = "Website",
    namespaced,
    status = "WebsiteStatus",
    shortname = "site"
)]
struct WebsiteSpec {
    page: String,
    servers: i32,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct WebsiteStatus {
    serving: i32,
}

struct Websites;

#[async_trait]
impl Controller for Websites {
    type Kind = Website;

    fn name(&self) -> &'static str {
        "website-controller"
    }

    fn watches(&self, on: &mut Watches<Website>) {
        on.owned::<Deployment>().owned::<ConfigMap>();
    }

    async fn reconcile(&self, site: Arc<Website>, cx: &Context) -> Result<Next, coracle::controllers::Error> {
        let (name, labels) = (site.name_any(), json!({"website": site.name_any()}));
        let metadata =
            json!({"name": name, "namespace": site.namespace(), "ownerReferences": [site.controller_owner_ref(&())]});
        let page: ConfigMap =
            serde_json::from_value(json!({"metadata": metadata, "data": {"index.html": site.spec.page}}))?;
        cx.apply(&page).await?;
        let volume = json!({"name": "page", "configMap": {"name": name}});
        let mount = json!({"name": "page", "mountPath": "/usr/share/nginx/html"});
        let container = json!({"name": "nginx", "image": "nginx", "volumeMounts": [mount]});
        let template =
            json!({"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": [volume]}});
        let spec = json!({"replicas": site.spec.servers, "selector": {"matchLabels": labels}, "template": template});
        let servers: Deployment = serde_json::from_value(json!({"metadata": metadata, "spec": spec}))?;
        let servers = cx.apply(&servers).await?;

        let serving = servers.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
        if site.status.as_ref().is_none_or(|status| status.serving != serving) {
            cx.update_status(Website { status: Some(WebsiteStatus { serving }), ..Website::clone(&site) }).await?;
        }
        Ok(Next::on_change())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let builder = Cluster::builder().kind::<Website>().controller(Websites).nodes(3, Node::simulated());
    let cluster = builder.start().await?;
    let sites = cluster.api().namespaced::<Website>("default");
    let spec = WebsiteSpec { page: "<h1>Hello</h1>".to_owned(), servers: 3 };
    sites.create(Website::new("hello", spec)).await?;
    let serves = |count: i32| {
        move |site: Option<&Website>| {
            site.and_then(|site| site.status.as_ref()).is_some_and(|status| status.serving == count)
        }
    };
    sites.until("hello", serves(3)).await?;
    println!("hello is served by 3 servers");

    sites.edit("hello", |site| site.spec.servers = 5).await?;
    sites.until("hello", serves(5)).await?;
    println!("hello is served by 5 servers");

    sites.delete("hello").await?;
    let deployments = cluster.api().namespaced::<Deployment>("default");
    deployments.until("hello", |servers| servers.is_none()).await?;
    println!("hello is gone, and its Deployment with it");
    cluster.shutdown().await;
    Ok(())
}
