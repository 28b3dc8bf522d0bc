//! As much of gRPC as a probe needs: `grpc.health.v1.Health/Check`, one message each way. Source: kubelet `probe/grpc`.

use bytes::Bytes;
use h2::client::ResponseFuture;
use http::{HeaderMap, Request};
use tokio::net::TcpStream;

/// Bytes of an answer that are read; an answer has two.
const ANSWER_BYTES_MAX: usize = 4_096;
/// The length of what comes before a message: a flag for compression, and the message's length.
const PREFIX_BYTES: usize = 5;

/// Why a service is not known to be well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// There is no connection.
    Connect(String),
    /// The server answered with this code and message.
    Status(u32, String),
    /// There was no answer that makes sense.
    Broken(String),
    /// The service answered this.
    Unhealthy(&'static str),
}

/// Asks a server whether a service is well; the empty name stands for all of it.
///
/// # Errors
/// Why it is not known to be.
pub(super) async fn check(host: &str, port: u16, service: &str) -> Result<(), Trouble> {
    let stream = TcpStream::connect((host, port)).await.map_err(|error| Trouble::Connect(error.to_string()))?;
    let (client, connection) = h2::client::handshake(stream).await.map_err(broken)?;
    let ask = async {
        let mut client = client.ready().await.map_err(broken)?;
        let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let request = Request::post(format!("http://{authority}/grpc.health.v1.Health/Check"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", "kube-probe/1.36")
            .body(())
            .map_err(broken)?;
        let (answer, mut body) = client.send_request(request, false).map_err(broken)?;
        body.send_data(message(service), true).map_err(broken)?;
        read(answer).await
    };
    tokio::select! {
        answer = ask => answer,
        ended = connection => Err(Trouble::Broken(ended.map_or_else(|error| error.to_string(), |()| "the connection was closed".to_owned()))),
    }
}

async fn read(answer: ResponseFuture) -> Result<(), Trouble> {
    let answer = answer.await.map_err(broken)?;
    status(answer.headers())?;
    if answer.status() != 200 {
        return Err(Trouble::Broken(format!("unexpected HTTP status code received from server: {}", answer.status())));
    }
    let (mut body, mut data) = (answer.into_body(), Vec::new());
    while let Some(part) = body.data().await {
        let part = part.map_err(broken)?;
        body.flow_control().release_capacity(part.len()).map_err(broken)?;
        data.extend_from_slice(&part);
        if data.len() > ANSWER_BYTES_MAX {
            return Err(Trouble::Broken("the answer is too long".to_owned()));
        }
    }
    status(&body.trailers().await.map_err(broken)?.unwrap_or_default())?;
    match serving(&data) {
        Some(1) => Ok(()),
        Some(0) => Err(Trouble::Unhealthy("UNKNOWN")),
        Some(2) => Err(Trouble::Unhealthy("NOT_SERVING")),
        Some(3) => Err(Trouble::Unhealthy("SERVICE_UNKNOWN")),
        _ => Err(Trouble::Broken("the answer is no HealthCheckResponse".to_owned())),
    }
}

fn broken(error: impl std::fmt::Display) -> Trouble {
    Trouble::Broken(error.to_string())
}

/// `HealthCheckRequest { service }` with its prefix.
fn message(service: &str) -> Bytes {
    let mut body = Vec::new();
    if !service.is_empty() {
        body.push(0x0a);
        varint(&mut body, service.len());
        body.extend_from_slice(service.as_bytes());
    }
    let mut message = vec![0];
    message.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    message.extend_from_slice(&body);
    message.into()
}

fn varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// `HealthCheckResponse { status }`; an empty message is status zero.
fn serving(data: &[u8]) -> Option<u8> {
    match data.get(PREFIX_BYTES..)? {
        [] => Some(0),
        [0x08, status] => Some(*status),
        _ => None,
    }
}

/// What headers or trailers say, if they say that it went wrong.
fn status(headers: &HeaderMap) -> Result<(), Trouble> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status").and_then(|code| code.parse().ok()) {
        None | Some(0) => Ok(()),
        Some(code) => Err(Trouble::Status(code, text("grpc-message").unwrap_or("").to_owned())),
    }
}
