//! The OpenAPI documents of other API servers: the index names them, and they are fetched from where they are.
//! (The one document of OpenAPI v2 describes only what is served here.)

use bytes::Bytes;
use coracle_core::World;
use http::header::{ACCEPT_ENCODING, HeaderMap, IF_NONE_MATCH};
use http::{Response, StatusCode};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use serde_json::{Value, json};

use super::{is_available, is_remote};
use crate::http::OpenApi;
use crate::http::body::Body;
use crate::http::query::Query;
use crate::http::respond;

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
    let mut plain = headers.clone();
    [ACCEPT_ENCODING, IF_NONE_MATCH].into_iter().for_each(|name| drop(plain.remove(name)));
    let Body::Full(own) = open_api.answer("/openapi/v3", query, &plain).await?.into_body() else { return None };
    Some(respond::json(StatusCode::OK, &merged(&own, others)))
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
