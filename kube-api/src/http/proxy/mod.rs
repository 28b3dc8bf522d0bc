//! HTTP to pods, services and nodes through the API server: `pods/web:8080/proxy/a?b`.
//!
//! | module | what it holds |
//! |---|---|
//! | `target` | which pod and port a name means |
//! | `pass` | requests on, and answers back |
//! | `tls` | connections to pods that speak HTTPS |
//!
//! Pods are reached through their node, so every runtime works that lets its pods listen. Of nodes there are the pages of
//! their own server. Source: registry `core/{pod,service,node}`, apimachinery `util/proxy`.

mod pass;
mod target;
mod tls;

use coracle_core::{Reason, Status};
use http::header::{HeaderValue, LOCATION};
use http::{Method, Response, StatusCode};

use super::body::{Body, RequestBody};
use super::resources::Call;
use super::{respond, streams};
pub(super) use target::Name;

/// Answers `pods/proxy`, `services/proxy` and `nodes/proxy`.
pub(super) async fn answer(call: Call<'_>, body: RequestBody) -> Result<Response<Body>, Status> {
    let (before, after) = split_path(&call.info.path);
    let is_look = matches!(call.request.method, Method::GET | Method::HEAD);
    if after.is_empty() && is_look && call.upgrade.is_none() {
        return Ok(moved(before, call.request.uri.query()));
    }
    let name = Name::parse(&call.info.name, &call.kind)?;
    let target = match &*call.info.resource {
        "nodes" => return page(&call, &name, after).await,
        "services" => target::of_service(&call, &name)?,
        _ => target::of_pod(&call, &name).await?,
    };
    pass::pass(call, body, target).await
}

/// The path up to `proxy`, and what follows.
fn split_path(path: &str) -> (&str, &str) {
    // `/api/v1/nodes/a/proxy`, `/api/v1/namespaces/x/pods/a/proxy`.
    let is_namespaced = path.split('/').filter(|segment| !segment.is_empty()).nth(2) == Some("namespaces");
    let mut left = if is_namespaced { 7 } else { 5 };
    let mut in_segment = false;
    for (index, byte) in path.bytes().enumerate() {
        let ends = in_segment && byte == b'/';
        left -= usize::from(ends);
        if left == 0 {
            return path.split_at(index);
        }
        in_segment = byte != b'/';
    }
    (path, "")
}

/// A page without a final slash is asked for again with one, so that its relative links lead back here.
fn moved(path: &str, query: Option<&str>) -> Response<Body> {
    let location = format!("{path}/{}{}", if query.is_some() { "?" } else { "" }, query.unwrap_or_default());
    let mut response = respond::text(StatusCode::MOVED_PERMANENTLY, "");
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// A page of a node's own server.
async fn page(call: &Call<'_>, name: &Name<'_>, path: &str) -> Result<Response<Body>, Status> {
    let node = call.server.reader.get(&call.kind, "", name.name, "").await?;
    // Nodes of a process have no address of their own, so there is nothing else behind one.
    if !matches!(name.port, "" | "10250") {
        let why = format!("port {} of node {}: only the kubelet's own is served", name.port, node.name());
        return Err(unreachable(&why));
    }
    if !matches!(call.request.method, Method::GET | Method::HEAD) {
        return Err(Status::method_not_allowed());
    }
    let page =
        streams::streams_of(call)?.page(node.name(), path).await.map_err(|status| unreachable(status.message()))?;
    let Some(page) = page else { return Ok(respond::text(StatusCode::NOT_FOUND, "404 page not found\n")) };
    Ok(respond::answer(StatusCode::OK, page.content_type, page.text))
}

/// 503. Source: apimachinery `util/proxy/transport.go`.
fn unreachable(why: &str) -> Status {
    unavailable(format!("error trying to reach service: {why}"))
}

fn unavailable(message: String) -> Status {
    Status::new(Reason::ServiceUnavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_proxy_is_the_path_as_it_was_sent() {
        for (path, expected) in [
            ("/api/v1/nodes/a/proxy", ""),
            ("/api/v1/nodes/a/proxy/", "/"),
            ("/api/v1/namespaces/x/pods/a:80/proxy/b%2Fc//d/", "/b%2Fc//d/"),
            ("/api/v1/namespaces/x/services/a/proxy", ""),
            ("//api/v1/nodes/a/proxy/b", "/b"),
        ] {
            assert_eq!(split_path(path).1, expected, "{path}");
        }
        let moved = moved("/api/v1/nodes/a/proxy", Some("b=c"));
        assert_eq!(moved.headers()[LOCATION], "/api/v1/nodes/a/proxy/?b=c");
    }
}
