//! The OpenAPI documents of other API servers: the index of v3 names them, the one document of v2 has them in it. They are fetched
//! from where they are when somebody asks. Source: kube-aggregator `pkg/controllers/openapi/aggregator`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coracle_core::{User, World};
use futures::future::join_all;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{Proxied, is_available, is_remote, proxy};
use crate::http::OpenApi;
use crate::http::body::Body;
use crate::http::query::Query;
use crate::http::respond;
use crate::openapi;
use crate::outbound::{Outbound, RESPONSE_BYTES_MAX, full};

/// As whom others are asked for their documents. Source: `aggregator.aggregatorUser`.
const ASKING: &str = "system:aggregator";
/// How long they may take; whoever does not answer is not described.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The index of OpenAPI v3 with the documents of others; `None` if there are no others.
pub(crate) async fn index(
    world: &World,
    open_api: &dyn OpenApi,
    query: &Query,
    headers: &HeaderMap,
) -> Option<Response<Body>> {
    let others: Vec<String> = world
        .list::<APIService>()
        .filter(|service| is_remote(service) && is_available(service))
        .filter_map(|service| service.spec.as_ref().map(|spec| (spec.group.clone(), spec.version.clone())))
        .map(|(group, version)| format!("apis/{}/{}", group.unwrap_or_default(), version.unwrap_or_default()))
        .collect();
    if others.is_empty() {
        return None;
    }
    let own = plain(open_api, "/openapi/v3", query, headers).await?;
    Some(respond::json(StatusCode::OK, &merged(&own, others)))
}

/// Our own document as plain JSON.
async fn plain(open_api: &dyn OpenApi, path: &str, query: &Query, headers: &HeaderMap) -> Option<Bytes> {
    let mut plain = headers.clone();
    [ACCEPT, ACCEPT_ENCODING, IF_NONE_MATCH].into_iter().for_each(|name| drop(plain.remove(name)));
    match open_api.answer(path, query, &plain).await?.into_body() {
        Body::Full(own) => Some(own),
        Body::Stream(_) => None,
    }
}

/// OpenAPI v2 of all servers; `None` if there are no others.
pub(crate) async fn v2(
    world: &World,
    outbound: &Arc<dyn Outbound>,
    open_api: &dyn OpenApi,
    query: &Query,
    headers: &HeaderMap,
) -> Option<Response<Body>> {
    // A server is asked once, however many versions it serves.
    let mut servers: BTreeMap<(String, String), Vec<Arc<APIService>>> = BTreeMap::new();
    for service in world.list::<APIService>().filter(|service| is_remote(service) && is_available(service)) {
        let place = service.spec.as_ref().and_then(|spec| spec.service.clone()).unwrap_or_default();
        let place = (place.namespace.unwrap_or_default(), place.name.unwrap_or_default());
        servers.entry(place).or_default().push(service);
    }
    if servers.is_empty() {
        return None;
    }
    let own = plain(open_api, "/openapi/v2", query, headers).await?;
    let mut document: Value = serde_json::from_slice(&own).ok()?;
    let fetched = servers.values().map(|services| async move {
        let theirs = tokio::time::timeout(TIMEOUT, fetch(outbound, services.first()?)).await.ok().flatten()?;
        Some((services, theirs))
    });
    for (services, theirs) in join_all(fetched).await.into_iter().flatten() {
        merge(&mut document, theirs, services);
    }
    Some(openapi::answer_v2(&document, headers))
}

async fn fetch(outbound: &Arc<dyn Outbound>, service: &APIService) -> Option<Value> {
    let request = Request::get("/openapi/v2").header(ACCEPT, HeaderValue::from_static("application/json"));
    let (parts, ()) = request.body(()).ok()?.into_parts();
    let user = User { name: ASKING.to_owned(), ..User::default() };
    let call = Proxied { service, user: &user, parts: &parts, upgrade: None, shutdown: CancellationToken::new() };
    let response = proxy(outbound, call, full(Bytes::new())).await.ok()?;
    if response.status() != StatusCode::OK {
        return None;
    }
    let body = Limited::new(response.into_body(), RESPONSE_BYTES_MAX).collect().await.ok()?.to_bytes();
    serde_json::from_slice(&body).ok()
}

/// Adds what another server says of the versions it serves. A definition that is another than ours of the same name gets a number.
fn merge(document: &mut Value, mut theirs: Value, services: &[Arc<APIService>]) {
    let none = Map::new();
    let of = |document: &Value, part: &str| document.get(part).and_then(Value::as_object).unwrap_or(&none).clone();
    let (known, definitions) = (of(document, "definitions"), of(&theirs, "definitions"));
    let clashes = definitions.iter().filter(|(name, definition)| known.get(*name).is_some_and(|it| it != *definition));
    let renamed: BTreeMap<String, String> = clashes
        .map(|(name, _)| {
            let is_free = |name: &String| !known.contains_key(name) && !definitions.contains_key(name);
            let free = (2..).map(|number| format!("{name}_v{number}")).find(is_free);
            (name.clone(), free.unwrap_or_default())
        })
        .collect();
    rename(&mut theirs, &renamed);
    let prefixes: Vec<String> = services
        .iter()
        .filter_map(|service| service.spec.as_ref())
        .map(|spec| {
            let text = |name: &Option<String>| name.clone().unwrap_or_default();
            format!("/apis/{}/{}/", text(&spec.group), text(&spec.version))
        })
        .collect();
    let is_theirs = |path: &String| prefixes.iter().any(|prefix| format!("{path}/").starts_with(prefix.as_str()));
    let paths = of(&theirs, "paths").into_iter().filter(|(path, _)| is_theirs(path));
    let definitions = definitions.into_iter().map(|(name, mut definition)| {
        rename(&mut definition, &renamed);
        (renamed.get(&name).cloned().unwrap_or(name), definition)
    });
    for (part, more) in [("paths", paths.collect::<Vec<_>>()), ("definitions", definitions.collect())] {
        let Some(all) = document.get_mut(part).and_then(Value::as_object_mut) else { continue };
        for (name, value) in more {
            all.entry(name).or_insert(value);
        }
    }
}

/// Lets references follow definitions to their new names.
fn rename(value: &mut Value, renamed: &BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match value {
            Value::String(target) if name == "$ref" => {
                let new = target.strip_prefix("#/definitions/").and_then(|name| renamed.get(name));
                if let Some(new) = new {
                    *target = format!("#/definitions/{new}");
                }
            }
            value => rename(value, renamed),
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
        _ => {}
    }
}

fn merged(own: &Bytes, others: Vec<String>) -> Value {
    let mut index: Value = serde_json::from_slice(own).unwrap_or_default();
    if let Some(paths) = index.get_mut("paths").and_then(Value::as_object_mut) {
        paths.extend(others.into_iter().map(|path| {
            let url = format!("/openapi/v3/{path}");
            (path, json!({"serverRelativeURL": url}))
        }));
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clashing_definitions_get_a_number() {
        let reference = |name: &str| json!({"$ref": format!("#/definitions/{name}")});
        let mut document = json!({"paths": {"/api/": 1}, "definitions": {"a": {"x": 1}, "b": {}, "a_v2": {}}});
        let theirs = json!({
            "paths": {"/apis/g/v1/lamps": reference("a"), "/apis/g/v1": [reference("b")], "/apis/g/v10/x": 2, "/api/": 3},
            "definitions": {"a": {"x": 2, "again": reference("a")}, "b": {}, "c": reference("a")},
        });
        let service: APIService = serde_json::from_value(json!({"metadata": {}, "spec": {
            "group": "g", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}}))
        .unwrap();
        merge(&mut document, theirs, &[Arc::new(service)]);
        let expected = json!({
            "paths": {"/api/": 1, "/apis/g/v1/lamps": reference("a_v3"), "/apis/g/v1": [reference("b")]},
            "definitions": {
                "a": {"x": 1}, "b": {}, "a_v2": {}, "a_v3": {"x": 2, "again": reference("a_v3")}, "c": reference("a_v3"),
            },
        });
        assert_eq!(document, expected);
    }
}
