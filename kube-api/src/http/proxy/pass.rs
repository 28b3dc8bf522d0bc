//! Requests on, and answers back: what is left out, added and rewritten on the way.
//!
//! Source: Go's `httputil.ReverseProxy`, apimachinery `util/proxy` (`UpgradeAwareHandler`, `Transport`).

use std::net::SocketAddr;

use coracle_core::Status;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, LOCATION};
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use tokio_util::sync::CancellationToken;

use super::target::{Target, address_of};
use super::{split_path, tls, unreachable};
use crate::http::body::{Body, BoxError, RequestBody};
use crate::http::relay::{ask_upgrade, end_to_end, join, wants_upgrade};
use crate::http::requests::GoesOn;
use crate::http::resources::Call;
use crate::http::streams::{Connection, streams_of};

const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Asks the target what the client asks.
pub(super) async fn pass(mut call: Call<'_>, body: RequestBody, target: Target) -> Result<Response<Body>, Status> {
    let forward = streams_of(&call)?.port_forward(&target.pod, target.port).await;
    let connection = forward.map_err(|status| unreachable(status.message()))?;
    let connection: Connection = match target.is_https {
        true => Box::new(
            tls::connect(connection, call.server.reader.gateway().clock())
                .await
                .map_err(|error| unreachable(&error.to_string()))?,
        ),
        false => connection,
    };
    let upgrade = call.upgrade.take().filter(|_| wants_upgrade(call.headers));
    let request = outgoing(&call, body, upgrade.is_some())?;
    let stop = call.server.shutdown.clone();
    let mut response = ask(connection, request, stop.clone()).await.map_err(|error| unreachable(&error.to_string()))?;
    let place = Place::of(&call, &target);
    match upgrade {
        Some(upgrade) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let there = hyper::upgrade::on(&mut response);
            let mut response = response.map(|_| Body::Full(bytes::Bytes::new()));
            GoesOn::carry(&mut response, stop, join(upgrade, there));
            Ok(response)
        }
        Some(_) if response.status().as_u16() < 400 => {
            Err(Status::internal(format!("invalid upgrade response: status code {}", response.status().as_u16())))
        }
        _ => Ok(incoming(response, &place)),
    }
}

async fn ask(
    connection: Connection,
    request: Request<RequestBody>,
    stop: CancellationToken,
) -> Result<Response<Incoming>, hyper::Error> {
    let (mut sender, driver) = http1::handshake(TokioIo::new(connection)).await?;
    let driver = driver.with_upgrades().boxed();
    tokio::spawn(async move { stop.run_until_cancelled_owned(driver).await });
    sender.send_request(request).await
}

/// The client's request as the target gets it.
fn outgoing(call: &Call<'_>, body: RequestBody, upgrades: bool) -> Result<Request<RequestBody>, Status> {
    let (_, path) = split_path(&call.info.path);
    let path = if path.is_empty() { "/" } else { path };
    let query = call.request.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let uri: PathAndQuery = format!("{path}{query}").parse().map_err(Status::internal)?;
    let mut request = Request::new(body);
    *request.method_mut() = call.request.method.clone();
    *request.uri_mut() = Uri::from(uri);
    *request.version_mut() = Version::HTTP_11;
    let mut headers = end_to_end(call.headers);
    // Who asks was found out here, and is not the target's to know.
    headers.remove(AUTHORIZATION);
    for name in headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
    if let Some(host) = host(call).and_then(|host| HeaderValue::from_str(host).ok()) {
        headers.insert(HOST, host);
    }
    if let Ok(asked) = HeaderValue::from_str(&call.info.path) {
        headers.insert(FORWARDED_URI, asked);
    }
    if let Some(route) = route(call).and_then(|route| HeaderValue::from_str(&route).ok()) {
        headers.insert(FORWARDED_FOR, route);
    }
    if upgrades {
        ask_upgrade(call.headers, &mut headers);
    }
    *request.headers_mut() = headers;
    Ok(request)
}

/// By which addresses the request came, the last of them the one that is known.
fn route(call: &Call<'_>) -> Option<String> {
    let peer = call.request.extensions.get::<SocketAddr>()?.ip().to_string();
    let before = call.headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    Some(before.chain([&*peer]).collect::<Vec<_>>().join(", "))
}

/// The server as the client calls it.
fn host<'a>(call: &'a Call<'_>) -> Option<&'a str> {
    let authority = call.request.uri.authority().map(http::uri::Authority::as_str);
    authority.or_else(|| call.headers.get(HOST)?.to_str().ok())
}

/// The target's answer as the client gets it.
fn incoming(response: Response<Incoming>, place: &Place) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let mut answer = Response::new(Body::Stream(body.into_data_stream().map_err(BoxError::from).boxed()));
    *answer.status_mut() = parts.status;
    let mut headers = end_to_end(&parts.headers);
    if let Some(location) = headers.get(LOCATION).and_then(|location| location.to_str().ok())
        && let Ok(location) = HeaderValue::from_str(&place.seen(location))
    {
        headers.insert(LOCATION, location);
    }
    *answer.headers_mut() = headers;
    answer
}

/// Where the target is, and where it is for the client.
#[derive(Debug)]
struct Place {
    /// Its own `host:port`.
    target: String,
    /// The server's, as the client calls it.
    host: String,
    /// The path up to `proxy`.
    prefix: String,
}

impl Place {
    fn of(call: &Call<'_>, target: &Target) -> Self {
        let address = target.pod.get::<Pod>().map_or("", address_of);
        let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        Self {
            target: format!("{address}:{}", target.port),
            host: host(call).unwrap_or_default().to_owned(),
            prefix: split_path(&call.info.path).0.to_owned(),
        }
    }

    /// A location of the target as the client reaches it; others stay as they are. Source: `Transport.rewriteURL`.
    fn seen(&self, location: &str) -> String {
        let Ok(uri) = location.parse::<Uri>() else { return location.to_owned() };
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        let is_elsewhere = !["", &*self.target, &*self.host].contains(&authority);
        if is_elsewhere || !uri.path().starts_with('/') {
            return location.to_owned();
        }
        let origin = if authority.is_empty() || authority != self.host {
            String::new()
        } else {
            format!("{}://{authority}", uri.scheme_str().unwrap_or("https"))
        };
        let prefix = if uri.path().starts_with(&self.prefix) { "" } else { &self.prefix };
        let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
        format!("{origin}{prefix}{}{query}", uri.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_lead_back_through_the_proxy() {
        let place = Place { target: "10.0.0.1:80".into(), host: "api:6443".into(), prefix: "/p/proxy".into() };
        for (location, expected) in [
            ("/a?b", "/p/proxy/a?b"),
            ("/p/proxy/a", "/p/proxy/a"),
            ("http://10.0.0.1:80/a/", "/p/proxy/a/"),
            ("https://api:6443/a", "https://api:6443/p/proxy/a"),
            ("http://elsewhere/a", "http://elsewhere/a"),
            ("a/b", "a/b"),
        ] {
            assert_eq!(place.seen(location), expected, "{location}");
        }
    }
}
