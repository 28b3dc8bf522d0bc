//! A request passed on to another API server: who asks is said in headers, which that server believes because of the
//! certificate that we show. Source: kube-aggregator `handler_proxy.go`, client-go `transport.SetAuthProxyHeaders`.

use std::sync::Arc;

use coracle_core::{Status, User};
use futures::TryStreamExt as _;
use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::upgrade::OnUpgrade;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use tokio_util::sync::CancellationToken;

use super::{is_available, peer};
use crate::http::body::{Body, RequestBody};
use crate::http::relay::{ask_upgrade, end_to_end, join, wants_upgrade};
use crate::http::respond::text;
use crate::outbound::{Outbound, authority};

/// A request that is to be passed on.
pub(crate) struct Proxied<'a> {
    pub(crate) service: &'a APIService,
    pub(crate) user: &'a User,
    pub(crate) parts: &'a Parts,
    pub(crate) upgrade: Option<OnUpgrade>,
    /// Ends streams when the server stops.
    pub(crate) shutdown: CancellationToken,
}

/// Passes a request on.
///
/// # Errors
/// 400 if the user cannot be named in a header. What goes wrong at the other server is an answer, as upstream words it.
pub(crate) async fn proxy(
    outbound: &Arc<dyn Outbound>,
    call: Proxied<'_>,
    body: RequestBody,
) -> Result<Response<Body>, Status> {
    let unavailable = || Ok(text(StatusCode::SERVICE_UNAVAILABLE, "service unavailable\n"));
    let Some(peer) = call.service.spec.as_ref().and_then(peer).filter(|_| is_available(call.service)) else {
        return unavailable();
    };
    let path = call.parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(call.parts.method.clone())
        .uri(format!("https://{}{path}", authority(&peer.place)))
        .body(body)
        .map_err(|error| Status::bad_request(error.to_string()))?;
    *request.headers_mut() = headers(call.parts, call.user)?;
    let mut response = match outbound.send(&peer, request).await {
        Ok(response) => response,
        Err(error) => {
            let why = format!("error trying to reach service: {}\n", crate::outbound::root_cause(error));
            return Ok(text(StatusCode::SERVICE_UNAVAILABLE, why));
        }
    };
    if response.status().is_redirection() && response.headers().contains_key(LOCATION) {
        let why = "the backend attempted to redirect this request, which is not permitted";
        return Ok(text(StatusCode::BAD_GATEWAY, why));
    }
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if let Some(ours) = call.upgrade.filter(|_| switches) {
        let theirs = hyper::upgrade::on(&mut response);
        tokio::spawn(call.shutdown.run_until_cancelled_owned(join(ours, theirs)));
    }
    let (mut parts, body) = response.into_parts();
    parts.extensions.clear();
    if !switches {
        parts.headers = end_to_end(&parts.headers);
    }
    let frames = body.into_data_stream().map_err(Into::into);
    let body = if switches { Body::Full(bytes::Bytes::new()) } else { Body::Stream(Box::pin(frames)) };
    Ok(Response::from_parts(parts, body))
}

/// The client's headers, without what is for us, and with who asks.
fn headers(parts: &Parts, user: &User) -> Result<HeaderMap, Status> {
    let mut headers = end_to_end(&parts.headers);
    let is_ours =
        |name: &HeaderName| name.as_str().starts_with("x-remote-") || name.as_str().starts_with("impersonate-");
    let ours: Vec<HeaderName> = headers.keys().filter(|name| is_ours(name)).cloned().collect();
    ours.into_iter().chain([AUTHORIZATION, HOST]).for_each(|name| drop(headers.remove(name)));
    if wants_upgrade(&parts.headers) {
        ask_upgrade(&parts.headers, &mut headers);
    }
    let mut add = |name: &str, value: &str| -> Result<(), Status> {
        let refuse = |_| Status::bad_request("the user's name, groups or extra cannot be sent in headers");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse(()))?;
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| refuse(()))?);
        Ok(())
    };
    add("x-remote-user", &user.name)?;
    if !user.uid.is_empty() {
        add("x-remote-uid", &user.uid)?;
    }
    for group in &user.groups {
        add("x-remote-group", group)?;
    }
    for (key, values) in &user.extra {
        let name = format!("x-remote-extra-{}", escaped(key));
        values.iter().try_for_each(|value| add(&name, value))?;
    }
    Ok(headers)
}

/// A key as part of a header's name. Source: client-go `transport.headerKeyEscape`.
fn escaped(key: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte);
    let escape = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    key.to_lowercase().bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_said_by_us_alone() {
        let request = Request::builder()
            .uri("/apis/a/v1/b")
            .header("authorization", "Bearer secret")
            .header("x-remote-user", "root")
            .header("X-Remote-Group", "system:masters")
            .header("impersonate-user", "root")
            .header("connection", "keep-alive, X-Remote-User, X-Remote-Group")
            .header("accept", "application/json");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let extra = [("example.org/Scope".to_owned(), vec!["a".to_owned(), "b".to_owned()])].into();
        let user = User { name: "jane".to_owned(), groups: vec!["dev".to_owned()], extra, ..User::default() };
        let mut told: Vec<String> = headers(&parts, &user)
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        told.sort();
        let expected = [
            "accept: application/json",
            "x-remote-extra-example.org%2fscope: a",
            "x-remote-extra-example.org%2fscope: b",
            "x-remote-group: dev",
            "x-remote-user: jane",
        ];
        assert_eq!(told, expected);
    }
}
