//! What a function knows of the container that it is.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use tokio_util::sync::CancellationToken;

use crate::runtime::{ContainerSpec, Mount};
use crate::runtimes::ring::{self, LineCutter, Ring};
use crate::runtimes::times::Times;

/// A function's container: what it was started with, where it prints, and when it is asked to stop. Cheap to clone.
#[derive(Clone)]
pub struct FunctionContext(Arc<Inner>);

struct Inner {
    name: String,
    pod: Arc<Pod>,
    addresses: Vec<IpAddr>,
    command: Vec<String>,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    mounts: Vec<Mount>,
    termination_message: PathBuf,
    stopping: CancellationToken,
    logs: Arc<Ring>,
    times: Times,
}

impl FunctionContext {
    pub(super) fn new(
        spec: &ContainerSpec,
        pod: Arc<Pod>,
        addresses: Vec<IpAddr>,
        logs: Arc<Ring>,
        times: Times,
    ) -> Self {
        Self(Arc::new(Inner {
            name: spec.name.clone(),
            pod,
            addresses,
            command: spec.command.clone(),
            args: spec.args.clone(),
            env: spec.env.iter().cloned().collect(),
            mounts: spec.mounts.clone(),
            termination_message: spec.termination_message.clone(),
            stopping: CancellationToken::new(),
            logs,
            times,
        }))
    }

    /// The container's name in its pod.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The pod as it was when its sandbox was started.
    #[must_use]
    pub fn pod(&self) -> &Arc<Pod> {
        &self.0.pod
    }

    /// The pod's address, for listening: other pods have others, so any port is free.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.0.addresses.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// The container's `command`; often empty.
    #[must_use]
    pub fn command(&self) -> &[String] {
        &self.0.command
    }

    /// The container's `args`.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.0.args
    }

    /// One variable of the container's environment. The program's own environment is not part of it.
    #[must_use]
    pub fn env(&self, name: &str) -> Option<&str> {
        self.0.env.get(name).map(String::as_str)
    }

    /// The container's whole environment.
    #[must_use]
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.0.env
    }

    /// Where on this machine something is that the pod mounts at `path` or above it.
    #[must_use]
    pub fn mount(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        let under = |mount: &&Mount| path.as_ref().starts_with(&mount.container_path);
        let mount = self.0.mounts.iter().filter(under).max_by_key(|mount| mount.container_path.len())?;
        let rest = path.as_ref().strip_prefix(&mount.container_path).ok()?;
        Some(if rest.as_os_str().is_empty() { mount.host_path.clone() } else { mount.host_path.join(rest) })
    }

    /// The file in which the function may write why it ended: the container's termination message.
    #[must_use]
    pub fn termination_message(&self) -> &Path {
        &self.0.termination_message
    }

    /// Prints a line to the container's log.
    pub fn log(&self, line: impl fmt::Display) {
        self.print(false, &line);
    }

    /// Prints a line to the container's log as standard error.
    pub fn log_error(&self, line: impl fmt::Display) {
        self.print(true, &line);
    }

    fn print(&self, error: bool, line: &dyn fmt::Display) {
        self.0.logs.push(ring::line(self.0.times.now(), error, format!("{line}\n").as_bytes()));
    }

    /// A writer whose lines are the container's log, for libraries that print.
    #[must_use]
    pub fn writer(&self) -> LogWriter {
        LogWriter { context: self.clone(), cutter: LineCutter::default() }
    }

    /// Waits until the container is asked to stop (what SIGTERM is to a process). From then on the grace period runs.
    pub async fn cancelled(&self) {
        self.0.stopping.cancelled().await;
    }

    /// Whether the container was asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.stopping.is_cancelled()
    }

    /// The same as a token, to hand on.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.0.stopping
    }
}

impl fmt::Debug for FunctionContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FunctionContext").field("name", &self.0.name).finish_non_exhaustive()
    }
}

/// Writes lines to a container's log; an unfinished one when it is flushed or dropped.
#[derive(Debug)]
pub struct LogWriter {
    context: FunctionContext,
    cutter: LineCutter,
}

impl io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Inner { logs, times, .. } = &*self.context.0;
        self.cutter.feed(bytes, |line| logs.push(ring::line(times.now(), false, line)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let Inner { logs, times, .. } = &*self.context.0;
        self.cutter.finish(|line| logs.push(ring::line(times.now(), false, line)));
        Ok(())
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        let _infallible = io::Write::flush(self);
    }
}
