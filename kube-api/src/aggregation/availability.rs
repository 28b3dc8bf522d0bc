//! Whether APIServices can be reached. One task looks after all of them; a cluster without remote ones costs nothing.
//!
//! What a remote server answers to the check is also its part of discovery, so it is fetched with the trust that the
//! APIService asks for (upstream's check trusts anybody and fetches discovery apart).
//! Source: kube-aggregator `remote_available_controller.go`, `local_available_controller.go`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coracle_core::{Gateway, GroupResource, Request, Status, Target, World, any_changed};
use http::header::ACCEPT;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceCondition, APIServiceSpec};
use serde_json::Value;

use super::{Aggregation, is_remote, peer};
use crate::outbound::{Outbound, authority, full, read_whole, resolve, root_cause};

/// How often a server that answers is asked again. Source: the controller's resync period.
const RECHECK_PERIOD: Duration = Duration::from_secs(30);
/// How soon a server that does not answer is asked again.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// How long a server may take to answer. Source: `discoveryClient.Timeout`.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that discovery of one version may have.
const DOCUMENT_BYTES_MAX: usize = 4 << 20;

/// What a server was found to be.
struct Verdict {
    is_available: bool,
    reason: &'static str,
    message: String,
}

/// Source: the controller's words.
const ALL_WELL: &str = "all checks passed";

impl Verdict {
    fn well(reason: &'static str, message: &str) -> Self {
        Self { is_available: true, reason, message: message.to_owned() }
    }
}

/// The last good answer of a server, and what it depended on.
struct Seen {
    spec: APIServiceSpec,
    addresses: Vec<SocketAddr>,
    at: Timestamp,
}

impl Seen {
    fn is_recent(&self, spec: &APIServiceSpec, addresses: &[SocketAddr], now: Timestamp) -> bool {
        let age = now.duration_since(self.at).unsigned_abs();
        self.spec == *spec && self.addresses == addresses && age < RECHECK_PERIOD
    }
}

/// Looks after APIServices for as long as it lives. One task runs this.
pub async fn run(gateway: Arc<dyn Gateway>, outbound: Arc<dyn Outbound>, aggregation: Arc<Aggregation>) {
    let mut seen = BTreeMap::new();
    loop {
        let (world, changes) = gateway.feed().follow(Some(&GroupResource::of::<APIService>()));
        let mut awaited = vec![changes];
        let services: Vec<_> = world.list::<APIService>().collect();
        let has_remote = services.iter().any(|service| is_remote(service));
        if has_remote {
            for resource in [GroupResource::of::<Service>(), GroupResource::of::<EndpointSlice>()] {
                awaited.push(gateway.feed().follow(Some(&resource)).1);
            }
        }
        let mut all_well = true;
        for service in &services {
            let verdict = check(&*gateway, &*outbound, &aggregation, service, &mut seen).await;
            all_well &= verdict.is_available;
            if let Err(status) = note(&*gateway, service, verdict).await
                && !status.is_not_found()
            {
                tracing::warn!(service = service.metadata.name, %status, "the state of an APIService could not be noted");
                all_well = false;
            }
        }
        match (has_remote, all_well) {
            (false, true) => any_changed(&mut awaited).await,
            (_, false) => drop(tokio::time::timeout(RETRY_DELAY, any_changed(&mut awaited)).await),
            (true, true) => drop(tokio::time::timeout(RECHECK_PERIOD, any_changed(&mut awaited)).await),
        }
    }
}

async fn check(
    gateway: &dyn Gateway,
    outbound: &dyn Outbound,
    aggregation: &Aggregation,
    service: &APIService,
    seen: &mut BTreeMap<String, Seen>,
) -> Verdict {
    if !is_remote(service) {
        return Verdict::well("Local", "Local APIServices are always available");
    }
    let spec = service.spec.clone().unwrap_or_default();
    let name = service.metadata.name.clone().unwrap_or_default();
    let addresses = match endpoints(&gateway.feed().world(), &spec) {
        Ok(addresses) => addresses,
        Err(verdict) => return verdict,
    };
    let now = gateway.clock().now();
    if seen.get(&name).is_some_and(|seen| seen.is_recent(&spec, &addresses, now)) {
        return Verdict::well("Passed", ALL_WELL);
    }
    match tokio::time::timeout(TIMEOUT, ask(outbound, &spec)).await {
        Ok(Ok(document)) => {
            aggregation.learn(&name, document);
            seen.insert(name, Seen { spec, addresses, at: now });
            Verdict::well("Passed", ALL_WELL)
        }
        failed => {
            seen.remove(&name);
            let why = match failed {
                Ok(Err(why)) => why,
                _ => "context deadline exceeded".to_owned(),
            };
            let message = format!("failing or missing response from {}: {why}", url(&spec));
            Verdict { is_available: false, reason: "FailedDiscoveryCheck", message }
        }
    }
}

/// Where the server is, or why it is nowhere.
fn endpoints(world: &World, spec: &APIServiceSpec) -> Result<Vec<SocketAddr>, Verdict> {
    let bad = |reason, message| Err(Verdict { is_available: false, reason, message });
    let reference = spec.service.clone().unwrap_or_default();
    let (namespace, name) = (reference.namespace.unwrap_or_default(), reference.name.unwrap_or_default());
    let Some(service) = world.get::<Service>(&namespace, &name) else {
        return bad("ServiceNotFound", format!("service/{name} in {namespace:?} is not present"));
    };
    let service = service.spec.clone().unwrap_or_default();
    if service.type_.as_deref().unwrap_or("ClusterIP") != "ClusterIP" {
        return Ok(Vec::new());
    }
    let port = reference.port.unwrap_or(443);
    let Some(found) = service.ports.iter().flatten().find(|found| found.port == port) else {
        return bad("ServicePortError", format!("service/{name} in {namespace:?} is not listening on port {port}"));
    };
    let port_name = found.name.as_deref().unwrap_or("");
    let addresses = resolve::endpoints(world, &namespace, &name, port_name);
    if !addresses.is_empty() {
        return Ok(addresses);
    }
    if resolve::slices(world, &namespace, &name).next().is_none() {
        let message = format!("cannot find endpointslices for service/{name} in {namespace:?}");
        return bad("EndpointsNotFound", message);
    }
    let message =
        format!("endpointslices for service/{name} in {namespace:?} have no addresses with port name {port_name:?}");
    bad("MissingEndpoints", message)
}

fn url(spec: &APIServiceSpec) -> String {
    let host = peer(spec).map(|peer| authority(&peer.place)).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("https://{host}/apis/{}/{}", text(&spec.group), text(&spec.version))
}

/// Asks a server what it serves.
async fn ask(outbound: &dyn Outbound, spec: &APIServiceSpec) -> Result<Value, String> {
    let peer = peer(spec).ok_or("the service reference is incomplete")?;
    let url = url(spec);
    let request = http::Request::get(&url)
        .header(ACCEPT, "application/json")
        .header("x-remote-user", "system:kube-aggregator")
        .header("x-remote-group", "system:masters")
        .body(full(""))
        .map_err(|error| error.to_string())?;
    let response = outbound.send(&peer, request).await;
    let response = response.map_err(|error| format!("Get {url:?}: {}", root_cause(error)))?;
    if !response.status().is_success() {
        return Err(format!("bad status from {url}: {}", response.status().as_u16()));
    }
    let body = read_whole(response.into_body(), DOCUMENT_BYTES_MAX).await.map_err(|error| error.to_string())?;
    // A server that is alive but says nothing of use is available all the same, as upstream finds.
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

/// Writes the condition, if it is news.
async fn note(gateway: &dyn Gateway, service: &APIService, verdict: Verdict) -> Result<(), Status> {
    let Some(condition) = news(service, verdict, gateway.clock().now()) else { return Ok(()) };
    let edit = move |service: &mut APIService| {
        let conditions = service.status.get_or_insert_default().conditions.get_or_insert_default();
        conditions.retain(|known| known.type_ != condition.type_);
        conditions.push(condition.clone());
        Ok(())
    };
    gateway.execute(Request::edit(Target::of(service).below("status"), edit)).await.map(drop)
}

/// The condition that a verdict makes, if it differs from what is noted.
fn news(service: &APIService, verdict: Verdict, now: Timestamp) -> Option<APIServiceCondition> {
    let mut conditions = service.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let old = conditions.find(|condition| condition.type_ == "Available");
    let status = if verdict.is_available { "True" } else { "False" };
    let since = old.filter(|old| old.status == status).and_then(|old| old.last_transition_time.clone());
    let condition = APIServiceCondition {
        type_: "Available".to_owned(),
        status: status.to_owned(),
        reason: Some(verdict.reason.to_owned()),
        message: Some(verdict.message),
        last_transition_time: since.or(Some(coracle_core::time::whole_seconds(now))),
    };
    (old != Some(&condition)).then_some(condition)
}
