//! What goes on in pods, as streams: logs, commands, connections. The node side is a trait.
//!
//! | module | what it holds |
//! |---|---|
//! | `logs` | `pods/log` |
//! | `door` | how a client may speak with the others: one table of protocols, one handshake |
//! | `websocket` | streams as numbered channels of a WebSocket; SPDY in a WebSocket |
//! | `command` | `pods/exec`, `pods/attach`: the streams of a command |
//! | `forward` | `pods/portforward`: streams in pairs, each a connection |
//!
//! Whatever carries them, streams come as [`spdy::Stream`](crate::spdy::Stream)s with headers that say what they are for.

mod command;
mod door;
mod forward;
mod logs;
mod websocket;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use coracle_core::{Object, Status};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::body::BoxError;
use super::resources::Call;
pub(super) use door::connect;
pub(super) use logs::logs;

/// Streams of containers, wherever they run.
#[async_trait]
pub trait PodStreams: Send + Sync + 'static {
    /// The lines of a container, oldest first.
    async fn logs(
        &self,
        pod: &Arc<Object>,
        container: &str,
        wanted: LogsWanted,
    ) -> Result<BoxStream<'static, Result<LogLine, BoxError>>, Status>;

    /// Starts a command in a container.
    async fn exec(&self, pod: &Arc<Object>, container: &str, wanted: ExecWanted) -> Result<ExecStreams, Status>;

    /// The streams of a container's own main process.
    async fn attach(&self, pod: &Arc<Object>, container: &str, wanted: ExecWanted) -> Result<ExecStreams, Status>;

    /// A connection to a port of a pod.
    async fn port_forward(&self, pod: &Arc<Object>, port: u16) -> Result<Connection, Status>;

    /// A page of a node's own HTTP server, such as `/healthz`; `None` if it has no such page.
    async fn page(&self, node: &str, path: &str) -> Result<Option<Page>, Status>;
}

/// Bytes in both directions.
pub type Connection = Box<dyn Duplex>;

/// What can be read from and written to.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// What an HTTP server shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its media type.
    pub content_type: &'static str,
    /// All of it.
    pub text: String,
}

/// Which lines are wanted. Source: `v1` PodLogOptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogsWanted {
    /// Whether to go on until the container ends.
    pub follow: bool,
    /// Whether the run before the current one is meant.
    pub previous: bool,
    /// Only lines from then on.
    pub since: Option<Timestamp>,
    /// Only so many lines at the end (before following).
    pub tail_lines: Option<u64>,
}

/// One line as it was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// Whether to standard error.
    pub error: bool,
    /// The line with its newline, if it had one.
    pub text: Bytes,
}

/// How a command is started. Source: `v1` PodExecOptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecWanted {
    /// The command; empty for attach.
    pub command: Vec<String>,
    /// Whether the client sends standard input.
    pub stdin: bool,
    /// Whether the client reads standard output.
    pub stdout: bool,
    /// Whether the client reads standard error.
    pub stderr: bool,
    /// Whether the command gets a terminal.
    pub tty: bool,
}

/// The ends of a running command's streams.
pub struct ExecStreams {
    /// Bytes for standard input; dropped means end of input.
    pub stdin: Option<mpsc::Sender<Bytes>>,
    /// What it prints: `false` for standard output, `true` for standard error. Ends with the command.
    pub output: BoxStream<'static, (bool, Bytes)>,
    /// Its exit code, or why that is not known.
    pub exit: BoxFuture<'static, Result<i32, String>>,
    /// Terminal sizes (columns, rows).
    pub resize: Option<mpsc::Sender<(u16, u16)>>,
}

impl std::fmt::Debug for ExecStreams {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ExecStreams")
    }
}

pub(super) fn streams_of(call: &Call<'_>) -> Result<Arc<dyn PodStreams>, Status> {
    let missing = || not_implemented("this server has no nodes that stream".to_owned());
    call.server.streams.clone().ok_or_else(missing)
}

fn is_assigned(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|node| !node.is_empty())
}

/// 501.
fn not_implemented(message: String) -> Status {
    let status = meta::Status {
        code: Some(501),
        message: Some(message),
        reason: Some("NotImplemented".to_owned()),
        status: Some("Failure".to_owned()),
        ..meta::Status::default()
    };
    status.into()
}

/// The pod, and the container that is meant. Source: upstream's `podCommandAndContainer` and `LogLocation`.
async fn container_of(call: &Call<'_>) -> Result<(Arc<Object>, String), Status> {
    let object = call.server.reader.get(&call.kind, call.namespace(), &call.info.name, "").await?;
    let spec = object.get::<Pod>().and_then(|pod| pod.spec.as_ref());
    let init = spec.iter().flat_map(|spec| spec.init_containers.iter().flatten()).map(|container| &container.name);
    let main = spec.iter().flat_map(|spec| spec.containers.iter()).map(|container| &container.name);
    let ephemeral = spec.iter().flat_map(|spec| spec.ephemeral_containers.iter().flatten()).map(|it| &it.name);
    let names: Vec<&str> = init.chain(main.clone()).chain(ephemeral).map(String::as_str).collect();
    let asked = call.query.text("container");
    let mut main = main;
    let container = match (asked, main.next(), main.next()) {
        ("", Some(only), None) => only.clone(),
        ("", _, _) => {
            let choice =
                if names.is_empty() { String::new() } else { format!(", choose one of: [{}]", names.join(" ")) };
            let why = format!("a container name must be specified for pod {}{choice}", object.name());
            return Err(Status::bad_request(why));
        }
        _ if names.contains(&asked) => asked.to_owned(),
        _ => return Err(Status::bad_request(format!("container {asked} is not valid for pod {}", object.name()))),
    };
    Ok((object, container))
}
