//! How a client may speak with `exec`, `attach` and `portforward`: the protocols, the handshake, the start.
//!
//! Source: apimachinery `util/remotecommand`, `httpstream`, `httpstream/wsstream`; kubelet `pkg/cri/streaming`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coracle_core::{Reason, Status};
use http::header::{CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::header::{SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, Method, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::command::{self, Command};
use super::forward::{self, Forward};
use super::{ExecWanted, container_of, is_assigned, streams_of, websocket};
use crate::http::body::Body;
use crate::http::requests::GoesOn;
use crate::http::resources::Call;
use crate::spdy::headers::Headers;
use crate::spdy::{self, Stream};

/// How SPDY clients name the protocols they offer, and the server the one it takes.
static STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// What carries streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    /// A connection of its own.
    Spdy,
    /// SPDY in the binary messages of a WebSocket.
    Tunnel,
    /// The channels of a WebSocket.
    Channels(websocket::Coding),
}

/// One way to speak.
#[derive(Debug, PartialEq, Eq)]
struct Protocol {
    carrier: Carrier,
    /// How clients name it; empty for those that name nothing.
    name: &'static str,
    /// From 3 on terminals have sizes; from 4 on how a command ended is told as a Status; from 5 on channels can be closed.
    version: u8,
}

const fn row(carrier: Carrier, name: &'static str, version: u8) -> Protocol {
    Protocol { carrier, name, version }
}

const BINARY: Carrier = Carrier::Channels(websocket::Coding::Binary);
const BASE64: Carrier = Carrier::Channels(websocket::Coding::Base64);

/// For `exec` and `attach`.
static COMMANDS: [Protocol; 11] = [
    row(BINARY, "v5.channel.k8s.io", 5),
    row(BINARY, "v4.channel.k8s.io", 4),
    row(BASE64, "v4.base64.channel.k8s.io", 4),
    row(BINARY, "channel.k8s.io", 3),
    row(BASE64, "base64.channel.k8s.io", 3),
    row(BINARY, "", 3),
    row(Carrier::Spdy, "v5.channel.k8s.io", 5),
    row(Carrier::Spdy, "v4.channel.k8s.io", 4),
    row(Carrier::Spdy, "v3.channel.k8s.io", 3),
    row(Carrier::Spdy, "v2.channel.k8s.io", 2),
    row(Carrier::Spdy, "channel.k8s.io", 1),
];

/// For `portforward`.
static FORWARDS: [Protocol; 5] = [
    row(Carrier::Tunnel, "SPDY/3.1+portforward.k8s.io", 4),
    row(BINARY, "v4.channel.k8s.io", 4),
    row(BASE64, "v4.base64.channel.k8s.io", 4),
    row(BINARY, "", 4),
    row(Carrier::Spdy, "portforward.k8s.io", 4),
];

/// An agreement on how to speak.
#[derive(Debug, PartialEq, Eq)]
struct Handshake {
    protocol: &'static Protocol,
    /// The proof that a WebSocket was understood.
    accept: Option<String>,
}

impl Handshake {
    /// Takes the first protocol that the client offers and the server speaks.
    fn read(headers: &HeaderMap, spoken: &'static [Protocol]) -> Result<Self, Status> {
        let upgrade = text(headers, &UPGRADE);
        if upgrade.eq_ignore_ascii_case("websocket") {
            let key = text(headers, &SEC_WEBSOCKET_KEY);
            if STANDARD.decode(key).map_or(0, |key| key.len()) != 16 {
                return Err(Status::bad_request("the websocket key is missing or malformed"));
            }
            let offered = list(headers, &SEC_WEBSOCKET_PROTOCOL);
            let offered = if offered.is_empty() { vec![""] } else { offered };
            let protocol = choose(&offered, spoken, |carrier| carrier != Carrier::Spdy);
            let protocol = protocol.map_err(Status::bad_request)?;
            return Ok(Self { protocol, accept: Some(derive_accept_key(key.as_bytes())) });
        }
        if upgrade.eq_ignore_ascii_case("SPDY/3.1") {
            let offered = list(headers, &STREAM_PROTOCOL);
            if offered.is_empty() {
                return Err(Status::bad_request("unable to upgrade: X-Stream-Protocol-Version is required"));
            }
            let protocol = choose(&offered, spoken, |carrier| carrier == Carrier::Spdy);
            let protocol = protocol.map_err(|why| Status::new(Reason::Forbidden, why))?;
            return Ok(Self { protocol, accept: None });
        }
        Err(Status::bad_request(match upgrade {
            "" => "Upgrade request required".to_owned(),
            other => format!("unable to upgrade to {other}: this server speaks websocket and SPDY/3.1"),
        }))
    }

    /// The answer after which both sides speak it.
    fn accept(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(Bytes::new()));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let (upgrade, named) = match &self.accept {
            Some(_) => ("websocket", &SEC_WEBSOCKET_PROTOCOL),
            None => ("SPDY/3.1", &STREAM_PROTOCOL),
        };
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(upgrade));
        if !self.protocol.name.is_empty() {
            headers.insert(named, HeaderValue::from_static(self.protocol.name));
        }
        if let Some(accept) = self.accept.as_ref().and_then(|accept| HeaderValue::from_str(accept).ok()) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        response
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The values of a header, however they are listed.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|value| !value.is_empty()).collect()
}

fn choose(
    offered: &[&str],
    spoken: &'static [Protocol],
    fits: impl Fn(Carrier) -> bool,
) -> Result<&'static Protocol, String> {
    let spoken = || spoken.iter().filter(|protocol| fits(protocol.carrier));
    let chosen = offered.iter().find_map(|offered| spoken().find(|protocol| protocol.name == *offered));
    chosen.ok_or_else(|| {
        let names: Vec<&str> = spoken().map(|protocol| protocol.name).filter(|name| !name.is_empty()).collect();
        let (offered, names) = (offered.join(" "), names.join(" "));
        format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{offered}], server accepts [{names}]"
        )
    })
}

/// What streams are for.
enum Purpose {
    Command(Command),
    Forward(Forward),
}

impl Purpose {
    async fn serve(self, streams: mpsc::Receiver<Stream>) {
        match self {
            Self::Command(command) => command.serve(streams).await,
            Self::Forward(forward) => forward.serve(streams).await,
        }
    }
}

/// Answers `pods/exec`, `pods/attach` and `pods/portforward`.
pub(in crate::http) async fn connect(mut call: Call<'_>) -> Result<Response<Body>, Status> {
    if !matches!(call.request.method, Method::GET | Method::POST) {
        return Err(Status::method_not_allowed());
    }
    let is_forward = call.info.subresource == "portforward";
    let handshake = Handshake::read(call.headers, if is_forward { &FORWARDS } else { &COMMANDS })?;
    let upgrade = call.upgrade.take().ok_or_else(|| Status::bad_request("this connection cannot be upgraded"))?;
    let (purpose, channels) =
        if is_forward { forward(&call, handshake.protocol).await? } else { command(&call, handshake.protocol).await? };
    let stop = call.server.shutdown.clone();
    let carried = carry(upgrade, handshake.protocol, channels, purpose);
    let mut answer = handshake.accept();
    GoesOn::carry(&mut answer, stop, carried);
    Ok(answer)
}

/// Starts a command, or attaches to one.
async fn command(call: &Call<'_>, protocol: &Protocol) -> Result<(Purpose, Vec<Headers>), Status> {
    let (object, container) = container_of(call).await?;
    let pod = object.get::<Pod>().ok_or_else(|| Status::internal("not a pod"))?;
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") {
        let why = format!("cannot exec into a container in a completed pod; current phase is {phase}");
        return Err(Status::bad_request(why));
    }
    check_assigned(pod)?;
    let wanted = wanted(call, protocol);
    let streams = streams_of(call)?;
    let running = if call.info.subresource == "exec" {
        streams.exec(&object, &container, wanted.clone()).await?
    } else {
        streams.attach(&object, &container, wanted.clone()).await?
    };
    Ok((Purpose::Command(Command { running, wanted, version: protocol.version }), command::channels()))
}

/// A client that opens a stream for each part says what it opens; one with channels has them all.
fn wanted(call: &Call<'_>, protocol: &Protocol) -> ExecWanted {
    let has_all = protocol.carrier != Carrier::Spdy;
    let tty = call.query.flag("tty").unwrap_or(false);
    ExecWanted {
        command: call.query.all("command").map(str::to_owned).collect(),
        stdin: call.query.flag("stdin").unwrap_or(false),
        stdout: call.query.flag("stdout").unwrap_or(has_all),
        stderr: call.query.flag("stderr").unwrap_or(has_all) && !tty,
        tty,
    }
}

async fn forward(call: &Call<'_>, protocol: &Protocol) -> Result<(Purpose, Vec<Headers>), Status> {
    let pod = call.server.reader.get(&call.kind, call.namespace(), &call.info.name, "").await?;
    check_assigned(pod.get::<Pod>().ok_or_else(|| Status::internal("not a pod"))?)?;
    let has_channels = matches!(protocol.carrier, Carrier::Channels(_));
    let channels = if has_channels { forward::channels(call.query)? } else { Vec::new() };
    Ok((Purpose::Forward(Forward { streams: streams_of(call)?, pod, announces: has_channels }), channels))
}

fn check_assigned(pod: &Pod) -> Result<(), Status> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let refuse = || Status::bad_request(format!("pod {name} does not have a host assigned"));
    if is_assigned(pod) { Ok(()) } else { Err(refuse()) }
}

/// Speaks with the client until one of both is done.
async fn carry(upgrade: OnUpgrade, protocol: &Protocol, channels: Vec<Headers>, purpose: Purpose) {
    let Ok(upgraded) = upgrade.await else { return };
    let connection = TokioIo::new(upgraded);
    let handle = |streams| purpose.serve(streams);
    let ended = match protocol.carrier {
        Carrier::Spdy => {
            let (source, sink) = tokio::io::split(connection);
            spdy::serve(source, sink, handle).await
        }
        Carrier::Tunnel => {
            let (source, sink) = websocket::tunnel(connection).await;
            spdy::serve(source, sink, handle).await
        }
        Carrier::Channels(coding) => {
            let rules = websocket::Rules { coding, closes: protocol.version >= 5 };
            websocket::serve(connection, rules, channels, handle).await;
            Ok(())
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a stream connection broke");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The headers offered against the name of the protocol taken, or the refusal.
    fn check(spoken: &'static [Protocol], offer: &[(&HeaderName, &str)], expected: Result<(&str, u16), &str>) {
        let mut headers = HeaderMap::new();
        for (name, value) in offer {
            headers.append(*name, value.parse().unwrap());
        }
        let taken = Handshake::read(&headers, spoken);
        let taken = taken.map(|handshake| (handshake.protocol.name, handshake.accept().status().as_u16()));
        assert_eq!(taken.map_err(|status| status.message().to_owned()), expected.map_err(str::to_owned), "{offer:?}");
    }

    #[test]
    fn the_client_s_first_choice_that_is_spoken_is_taken() {
        let websocket = (&UPGRADE, "websocket");
        let key = (&SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
        let offers = (&SEC_WEBSOCKET_PROTOCOL, "v9.channel.k8s.io, v5.channel.k8s.io,v4.channel.k8s.io");
        check(&COMMANDS, &[websocket, key, offers], Ok(("v5.channel.k8s.io", 101)));
        check(&FORWARDS, &[websocket, key, offers], Ok(("v4.channel.k8s.io", 101)));
        check(&COMMANDS, &[websocket, key], Ok(("", 101)));
        check(&COMMANDS, &[websocket], Err("the websocket key is missing or malformed"));
        let tunnel = (&SEC_WEBSOCKET_PROTOCOL, "SPDY/3.1+portforward.k8s.io");
        check(&FORWARDS, &[websocket, key, tunnel], Ok(("SPDY/3.1+portforward.k8s.io", 101)));
        let spdy = (&UPGRADE, "SPDY/3.1");
        let old = [spdy, (&STREAM_PROTOCOL, "v4.channel.k8s.io"), (&STREAM_PROTOCOL, "v3.channel.k8s.io")];
        check(&COMMANDS, &old, Ok(("v4.channel.k8s.io", 101)));
        check(&COMMANDS, &[spdy], Err("unable to upgrade: X-Stream-Protocol-Version is required"));
        let unknown =
            "unable to upgrade: unable to negotiate protocol: client supports [x], server accepts [portforward.k8s.io]";
        check(&FORWARDS, &[spdy, (&STREAM_PROTOCOL, "x")], Err(unknown));
        check(&FORWARDS, &[], Err("Upgrade request required"));
        let other = "unable to upgrade to h2c: this server speaks websocket and SPDY/3.1";
        check(&FORWARDS, &[(&UPGRADE, "h2c")], Err(other));
    }

    #[test]
    fn a_websocket_is_accepted_with_its_proof() {
        // The example of RFC 6455.
        let accept = Some(derive_accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        let response = Handshake { protocol: &COMMANDS[0], accept }.accept();
        assert_eq!(response.headers()[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
