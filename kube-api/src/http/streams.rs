//! What containers print and read: logs, exec and attach. The node side is a trait.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use coracle_core::field::{Errors, Path};
use coracle_core::{Object, Status};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use tokio::sync::mpsc;

use super::body::{Body, BoxError};
use super::query::Query;
use super::resources::Call;
use super::{respond, websocket};

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

/// Answers `pods/log`.
pub(super) async fn logs(call: Call<'_>) -> Result<Response<Body>, Status> {
    let now = call.server.reader.gateway().clock().now();
    let options = LogOptions::read(call.query, &call.info.name, now)?;
    let (object, container) = container_of(&call).await?;
    // A pod that is nowhere yet has printed nothing. Source: upstream's `LogLocation`.
    if object.get::<Pod>().is_none_or(|pod| !is_assigned(pod)) {
        return Ok(respond::text(StatusCode::OK, ""));
    }
    let streams = streams_of(&call)?;
    let lines = streams.logs(&object, &container, options.wanted.clone()).await?;
    let lines = options.format(lines).take_until(Box::pin(call.server.shutdown.clone().cancelled_owned()));
    let mut response = respond::text(StatusCode::OK, "");
    *response.body_mut() = Body::Stream(lines.boxed());
    Ok(response)
}

/// Answers `pods/exec` and `pods/attach`; refuses what is not supported.
pub(super) async fn connect(mut call: Call<'_>) -> Result<Response<Body>, Status> {
    if matches!(&*call.info.subresource, "portforward" | "proxy") {
        return Err(not_implemented(format!("{} is not supported by this server", call.info.full_resource())));
    }
    let handshake = websocket::Handshake::read(call.headers)?;
    let (object, container) = container_of(&call).await?;
    let pod = object.get::<Pod>().ok_or_else(|| Status::internal("not a pod"))?;
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") {
        let why = format!("cannot exec into a container in a completed pod; current phase is {phase}");
        return Err(Status::bad_request(why));
    }
    if !is_assigned(pod) {
        return Err(Status::bad_request(format!("pod {} does not have a host assigned", object.name())));
    }
    let upgrade = call.upgrade.take().ok_or_else(|| Status::bad_request("this connection cannot be upgraded"))?;
    let wanted = exec_wanted(call.query);
    let streams = streams_of(&call)?;
    let started = if call.info.subresource == "exec" {
        streams.exec(&object, &container, wanted).await?
    } else {
        streams.attach(&object, &container, wanted).await?
    };
    let stop = call.server.shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = websocket::run(upgrade, started) => {}
            () = stop.cancelled() => {}
        }
    });
    Ok(handshake.accept())
}

fn exec_wanted(query: &Query) -> ExecWanted {
    ExecWanted {
        command: query.all("command").map(str::to_owned).collect(),
        stdin: query.flag("stdin").unwrap_or(false),
        stdout: query.flag("stdout").unwrap_or(true),
        stderr: query.flag("stderr").unwrap_or(true),
        tty: query.flag("tty").unwrap_or(false),
    }
}

fn streams_of(call: &Call<'_>) -> Result<Arc<dyn PodStreams>, Status> {
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

/// `v1` PodLogOptions: what the node is asked, and what is done with its lines here.
#[derive(Clone, Debug, Default, PartialEq)]
struct LogOptions {
    wanted: LogsWanted,
    timestamps: bool,
    limit_bytes: Option<usize>,
    /// `true` for standard error only, `false` for standard output only.
    only: Option<bool>,
}

impl LogOptions {
    /// Reads and checks. Source: upstream's `ValidatePodLogOptions`.
    fn read(query: &Query, pod: &str, now: Timestamp) -> Result<Self, Status> {
        let mut errors = Errors::new();
        let (tail, limit) = (query.number("tailLines")?, query.number("limitBytes")?);
        let (seconds, time) = (query.number("sinceSeconds")?, query.text("sinceTime"));
        if let Some(tail) = tail.filter(|tail| *tail < 0) {
            errors.invalid(&Path::new("tailLines"), tail, "must be greater than or equal to 0");
        }
        if let Some(limit) = limit.filter(|limit| *limit < 1) {
            errors.invalid(&Path::new("limitBytes"), limit, "must be greater than 0");
        }
        match seconds {
            Some(_) if !time.is_empty() => {
                errors.forbidden(&Path::new(""), "at most one of `sinceTime` or `sinceSeconds` may be specified")
            }
            Some(seconds) if seconds < 1 => {
                errors.invalid(&Path::new("sinceSeconds"), seconds, "must be greater than 0");
            }
            _ => {}
        }
        if !errors.is_empty() {
            let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
            let message = format!("PodLogOptions {pod:?} is invalid: {}", texts.join(", "));
            return Err(Status::new(coracle_core::Reason::Invalid, message).with_causes(errors.to_causes()));
        }
        let since = match seconds {
            Some(seconds) => now.checked_sub(SignedDuration::from_secs(seconds)).ok(),
            None if time.is_empty() => None,
            None => Some(time.parse().map_err(|error: jiff::Error| Status::bad_request(error.to_string()))?),
        };
        Ok(Self {
            wanted: LogsWanted {
                follow: query.flag("follow").unwrap_or(false),
                previous: query.flag("previous").unwrap_or(false),
                since,
                tail_lines: tail.and_then(|tail| u64::try_from(tail).ok()),
            },
            timestamps: query.flag("timestamps").unwrap_or(false),
            limit_bytes: limit.and_then(|limit| usize::try_from(limit).ok()),
            only: match query.text("stream") {
                "Stdout" => Some(false),
                "Stderr" => Some(true),
                _ => None,
            },
        })
    }

    fn format(
        &self,
        lines: BoxStream<'static, Result<LogLine, BoxError>>,
    ) -> BoxStream<'static, Result<Bytes, BoxError>> {
        let (timestamps, only) = (self.timestamps, self.only);
        let texts = lines.try_filter_map(move |line| {
            let is_wanted = only.is_none_or(|error| error == line.error);
            let text = if timestamps { stamped(&line) } else { line.text };
            std::future::ready(Ok(is_wanted.then_some(text)))
        });
        match self.limit_bytes {
            None => texts.boxed(),
            Some(limit) => texts.scan(limit, |left, text| std::future::ready(cut(left, text))).boxed(),
        }
    }
}

fn stamped(line: &LogLine) -> Bytes {
    [line.at.to_string().as_bytes(), b" ", &line.text].concat().into()
}

/// The part of a text that is still within the limit; `None` once nothing is left.
fn cut(left: &mut usize, text: Result<Bytes, BoxError>) -> Option<Result<Bytes, BoxError>> {
    if *left == 0 {
        return None;
    }
    Some(text.map(|text| {
        let text = text.slice(..text.len().min(*left));
        *left -= text.len();
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(query: &str, lines: &[(&str, bool)], expected: &str) {
        let at = "2026-01-02T03:04:05.5Z".parse().unwrap();
        let options = LogOptions::read(&Query::parse(query), "web", at).unwrap();
        let lines: Vec<_> = lines
            .iter()
            .map(|(text, error)| Ok(LogLine { at, error: *error, text: Bytes::from((*text).to_owned()) }))
            .collect();
        let text: Vec<Bytes> = options.format(futures::stream::iter(lines).boxed()).try_collect().await.unwrap();
        assert_eq!(String::from_utf8(text.concat()).unwrap(), expected, "{query}");
    }

    #[tokio::test]
    async fn lines_are_formatted() {
        let lines = [("a\n", false), ("b\n", true)];
        check("", &lines, "a\nb\n").await;
        check("timestamps=true", &lines, "2026-01-02T03:04:05.5Z a\n2026-01-02T03:04:05.5Z b\n").await;
        check("limitBytes=3", &lines, "a\nb").await;
        check("stream=Stderr", &lines, "b\n").await;
    }

    #[test]
    fn options_are_checked() {
        let read = |query: &str| LogOptions::read(&Query::parse(query), "web", Timestamp::UNIX_EPOCH);
        assert_eq!(read("tailLines=5&follow").unwrap().wanted.tail_lines, Some(5));
        let refused = read("tailLines=-1").unwrap_err();
        assert_eq!(
            refused.message(),
            "PodLogOptions \"web\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0"
        );
        assert_eq!(refused.code(), 422);
        assert!(read("sinceSeconds=5&sinceTime=2026-01-02T03:04:05Z").is_err());
        assert_eq!(read("sinceTime=2026-01-02T03:04:05Z").unwrap().wanted.since.unwrap().as_second(), 1_767_323_045);
    }
}
