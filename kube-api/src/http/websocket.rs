//! Exec and attach over WebSocket: one connection, a channel per stream, the channel's number in each message's first byte.
//!
//! Source: apimachinery `util/remotecommand` (`v4.channel.k8s.io`, and `v5` which can close single channels).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coracle_core::Status;
use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::body::Body;
use super::streams::ExecStreams;

const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// The next byte names the channel that the client closes. Only in v5.
const CLOSE: u8 = 255;

/// A client's wish to speak WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Handshake {
    accept: String,
    protocol: &'static str,
}

impl Handshake {
    /// Reads the headers.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Status> {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
        let upgrade = text(UPGRADE);
        if !upgrade.eq_ignore_ascii_case("websocket") {
            return Err(Status::bad_request(match upgrade {
                "" => "Upgrade request required".to_owned(),
                other => format!("unable to upgrade to {other}: this server speaks websocket only"),
            }));
        }
        let key = text(SEC_WEBSOCKET_KEY);
        let is_key = STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
        let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
        let offered: Vec<&str> = offered.flat_map(|value| value.split(',')).map(str::trim).collect();
        match PROTOCOLS.into_iter().find(|protocol| offered.contains(protocol)) {
            Some(protocol) if is_key => Ok(Self { accept: derive_accept_key(key.as_bytes()), protocol }),
            Some(_) => Err(Status::bad_request("the websocket key is missing or malformed")),
            None => Err(Status::bad_request(format!(
                "unable to upgrade: the client offers the protocols {offered:?}, this server speaks {PROTOCOLS:?}"
            ))),
        }
    }

    /// The answer after which both sides speak WebSocket.
    pub(super) fn accept(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(Bytes::new()));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(self.protocol));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        response
    }
}

/// Carries a command's streams until it ends or the client leaves.
pub(super) async fn run(upgrade: OnUpgrade, streams: ExecStreams) {
    let Ok(upgraded) = upgrade.await else { return };
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let (to_client, from_client) = socket.split();
    let ExecStreams { stdin, output, exit, resize } = streams;
    // Side by side, so that a command that waits for its output to be read does not keep its input from arriving.
    tokio::select! {
        () = inbound(from_client, stdin, resize) => {}
        _sent = outbound(to_client, output, exit) => {}
    }
}

async fn inbound(
    mut messages: impl Stream<Item = Result<Message, Error>> + Unpin,
    mut stdin: Option<tokio::sync::mpsc::Sender<Bytes>>,
    resize: Option<tokio::sync::mpsc::Sender<(u16, u16)>>,
) {
    while let Some(Ok(message)) = messages.next().await {
        let data = match message {
            Message::Binary(data) => data,
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => return,
            _ => continue,
        };
        let Some(channel) = data.first().copied() else { continue };
        let payload = data.slice(1..);
        match channel {
            STDIN => {
                let is_gone = match &stdin {
                    Some(sender) if !payload.is_empty() => sender.send(payload).await.is_err(),
                    _ => false,
                };
                if is_gone {
                    stdin = None;
                }
            }
            RESIZE => {
                if let (Some(resize), Some(size)) = (&resize, size(&payload)) {
                    let _command_is_gone = resize.send(size).await;
                }
            }
            CLOSE if payload.first() == Some(&STDIN) => stdin = None,
            _ => {}
        }
    }
}

/// Columns and rows of `{"Width":80,"Height":24}`.
fn size(payload: &[u8]) -> Option<(u16, u16)> {
    let value: serde_json::Value = serde_json::from_slice(payload).ok()?;
    let number = |name: &str| value.get(name)?.as_u64().and_then(|number| u16::try_from(number).ok());
    Some((number("Width")?, number("Height")?))
}

async fn outbound(
    mut socket: impl Sink<Message, Error = Error> + Unpin,
    mut output: futures::stream::BoxStream<'static, (bool, Bytes)>,
    exit: futures::future::BoxFuture<'static, Result<i32, String>>,
) -> Result<(), Error> {
    while let Some((is_error, bytes)) = output.next().await {
        socket.send(message(if is_error { STDERR } else { STDOUT }, &bytes)).await?;
    }
    let status = serde_json::to_vec(&outcome(exit.await)).unwrap_or_default();
    socket.send(message(ERROR, &status)).await?;
    // Without an explicit code, kubectl takes the close for a failure.
    socket.send(Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))).await
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    Message::Binary([&[channel], bytes].concat().into())
}

/// How a command ended, as clients read it on the error channel.
fn outcome(exit: Result<i32, String>) -> meta::Status {
    let failure = |message: String, reason: &str| meta::Status {
        message: Some(message),
        reason: Some(reason.to_owned()),
        status: Some("Failure".to_owned()),
        ..meta::Status::default()
    };
    match exit {
        Ok(0) => meta::Status { status: Some("Success".to_owned()), ..meta::Status::default() },
        Ok(code) => {
            let cause =
                meta::StatusCause { reason: Some("ExitCode".to_owned()), message: Some(code.to_string()), field: None };
            let details = meta::StatusDetails { causes: Some(vec![cause]), ..meta::StatusDetails::default() };
            let message = format!("command terminated with non-zero exit code: exit status {code}");
            meta::Status { details: Some(details), ..failure(message, "NonZeroExitCode") }
        }
        Err(why) => meta::Status { code: Some(500), ..failure(why, "InternalError") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_takes_the_newest_protocol_both_speak() {
        let headers = |pairs: &[(http::HeaderName, &str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
        };
        let key = (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
        let offers = (SEC_WEBSOCKET_PROTOCOL, "v4.channel.k8s.io, v5.channel.k8s.io");
        let wish = headers(&[(UPGRADE, "websocket"), key, offers]);
        let handshake = Handshake::read(&wish).unwrap();
        assert_eq!(handshake.protocol, "v5.channel.k8s.io");
        // The example of RFC 6455.
        assert_eq!(handshake.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(handshake.accept().status(), 101);
        assert_eq!(Handshake::read(&HeaderMap::new()).unwrap_err().message(), "Upgrade request required");
        assert!(Handshake::read(&headers(&[(UPGRADE, "SPDY/3.1")])).is_err());
    }

    #[test]
    fn exit_codes_are_causes() {
        let status = outcome(Ok(3));
        assert_eq!(status.reason.as_deref(), Some("NonZeroExitCode"));
        assert_eq!(status.details.unwrap().causes.unwrap()[0].message.as_deref(), Some("3"));
        assert_eq!(outcome(Ok(0)).status.as_deref(), Some("Success"));
        assert_eq!(size(br#"{"Width":80,"Height":24}"#), Some((80, 24)));
    }
}
