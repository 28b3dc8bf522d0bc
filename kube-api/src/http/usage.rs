//! `metrics.k8s.io`: what pods and nodes use, measured when asked for. Source: metrics-server `pkg/api`.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::custom::CustomObject;
use coracle_core::metrics::PodUsage;
use coracle_core::quantity::Quantity;
use coracle_core::{Object, Reason, Status, World};
use http::{Response, StatusCode};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

use super::body::Body;
use super::resources::Call;
use crate::read::{Listing, Selection};

type Amounts = BTreeMap<String, Quantity>;

/// Answers a get or list of metrics.
pub(super) async fn answer(call: Call<'_>) -> Result<Response<Body>, Status> {
    let answering = call.answering()?;
    if call.info.verb != "get" {
        let options = call.query.list_options(false)?;
        let selection = Selection::new(call.kind.clone(), call.namespace(), &options)?;
        let (world, objects) = measure(&call, "").await?;
        let objects = objects.into_iter().filter(|object| selection.matches(object)).collect();
        let listing = Listing { objects, revision: world.revision(), continue_token: None, remaining: None };
        return answering.list(listing);
    }
    let (_, objects) = measure(&call, &call.info.name).await?;
    let found = objects.first().ok_or_else(|| Status::not_found(&call.kind.group_resource(), &call.info.name))?;
    answering.object(StatusCode::OK, found)
}

/// Measures the pods or nodes that the path names, in key order. Those of which nothing is known are left out.
async fn measure(call: &Call<'_>, name: &str) -> Result<(Arc<World>, Vec<Arc<Object>>), Status> {
    let gateway = call.server.reader.gateway();
    let (world, now) = (gateway.feed().world(), gateway.clock().now());
    let mut objects = Vec::new();
    if call.kind.namespaced {
        for pod in world.list_in::<Pod>(call.namespace()).filter(|pod| is_named(&pod.metadata, name)) {
            if let Some(usage) = of_pod(call, &pod).await? {
                objects.push(object(call, &pod.metadata, &usage, containers(&usage))?);
            }
        }
    } else {
        for node in world.list::<Node>().filter(|node| is_named(&node.metadata, name)) {
            if let Some(usage) = of_node(call, &world, &node, now).await? {
                let sum: Amounts = usage.containers.values().fold(Amounts::new(), |mut sum, used| {
                    used.iter().for_each(|(resource, amount)| *sum.entry(resource.clone()).or_default() += *amount);
                    sum
                });
                objects.push(object(call, &node.metadata, &usage, ("usage", amounts(&sum)))?);
            }
        }
    }
    Ok((world, objects))
}

fn is_named(metadata: &ObjectMeta, name: &str) -> bool {
    name.is_empty() || metadata.name.as_deref() == Some(name)
}

async fn of_pod(call: &Call<'_>, pod: &Pod) -> Result<Option<PodUsage>, Status> {
    let missing = || Status::new(Reason::ServiceUnavailable, "this server has no source of metrics");
    call.server.usage.as_ref().ok_or_else(missing)?.pod(pod).await
}

/// All that the pods of a node use, as if they were one pod; `None` if nobody knows of any.
async fn of_node(call: &Call<'_>, world: &World, node: &Node, now: Timestamp) -> Result<Option<PodUsage>, Status> {
    let name = node.metadata.name.as_deref().unwrap_or("");
    let mut all = PodUsage { at: now, window: std::time::Duration::ZERO, containers: BTreeMap::new() };
    let (mut pods, mut known) = (0, 0);
    for pod in world.pods_on(name).filter_map(|object| object.shared::<Pod>()) {
        pods += 1;
        let Some(usage) = of_pod(call, &pod).await? else { continue };
        known += 1;
        all.window = all.window.max(usage.window);
        let uid = pod.metadata.uid.as_deref().unwrap_or("");
        all.containers.extend(usage.containers.into_iter().map(|(name, used)| (format!("{uid}/{name}"), used)));
    }
    Ok((pods == 0 || known > 0).then_some(all))
}

fn containers(usage: &PodUsage) -> (&'static str, Value) {
    let one = |(name, used): (&String, &Amounts)| json!({"name": name, "usage": amounts(used)});
    ("containers", usage.containers.iter().map(one).collect())
}

fn amounts(used: &Amounts) -> Value {
    Value::Object(used.iter().map(|(resource, amount)| (resource.clone(), amount.to_string().into())).collect())
}

fn object(
    call: &Call<'_>,
    of: &ObjectMeta,
    usage: &PodUsage,
    (field, used): (&str, Value),
) -> Result<Arc<Object>, Status> {
    let window = format!("{}s", usage.window.as_secs_f64());
    let at = coracle_core::time::whole_seconds(usage.at);
    let fields = [("timestamp", json!(at)), ("window", window.into()), (field, used)];
    let object = CustomObject {
        api_version: call.kind.api_version(),
        kind: call.kind.kind.to_string(),
        metadata: ObjectMeta {
            name: of.name.clone(),
            namespace: of.namespace.clone(),
            labels: of.labels.clone(),
            creation_timestamp: Some(at),
            ..ObjectMeta::default()
        },
        fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
    };
    Object::transient(call.kind.clone(), Box::new(object)).map(Arc::new).map_err(Status::internal)
}
