//! Pods that are async functions of this program.
//!
//! ```
//! use coracle_node::runtimes::FunctionRuntime;
//!
//! let runtime = FunctionRuntime::new().with("registry/greeter", |cx| async move {
//!     cx.log(format!("hello, {}", cx.env("WHO").unwrap_or("world")));
//!     cx.cancelled().await;
//! });
//! ```
//!
//! The image selects the function: by its whole name, or by its name without tag and digest. A function that returns has
//! ended with code 0, `Err` with 1, a number with that number, a panic with 101. Stopping resolves
//! [`FunctionContext::cancelled`]; a function that has not returned when the grace period is over is dropped at its next
//! `await` and has ended with 137. Each pod has a loopback address of its own to listen on.

mod context;
mod exec;
mod exit;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coracle_core::Clock;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError};

pub use context::{FunctionContext, LogWriter};
pub use exit::{FunctionExit, IntoExit};

use super::addresses;
use super::book::Book;
use super::ring::Ring;
use super::times::Times;
use crate::runtime::{
    Connection, ContainerId, ContainerSpec, Exec, ExecOutput, Exit, ImageId, LogLine, LogOptions, Logs, Ports, Runtime,
    RuntimeError, RuntimeEvent, Sandbox, SandboxId, SandboxStatus,
};

/// How many lines of each container are kept by default.
pub const LOG_LINES_MAX: usize = 10_000;

type Function = Arc<dyn Fn(FunctionContext) -> BoxFuture<'static, FunctionExit> + Send + Sync>;
type Command = Arc<dyn Fn(FunctionContext, Vec<String>) -> BoxFuture<'static, ExecOutput> + Send + Sync>;

/// Runs containers as async functions, as tasks of the tokio runtime in which the node runs. Dropping it drops them all.
pub struct FunctionRuntime {
    functions: BTreeMap<String, Function>,
    commands: BTreeMap<String, Command>,
    log_lines_max: usize,
    times: Times,
    book: Arc<Book<Arc<Pod>, Arc<Running>>>,
}

/// What is kept of one run.
struct Running {
    context: FunctionContext,
    logs: Arc<Ring>,
    task: AbortHandle,
    /// Closed when the run has ended.
    ended: watch::Receiver<()>,
    image: String,
}

impl Default for FunctionRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl FunctionRuntime {
    /// A runtime without any function: every image is unknown.
    #[must_use]
    pub fn new() -> Self {
        Self {
            functions: BTreeMap::new(),
            commands: BTreeMap::new(),
            log_lines_max: LOG_LINES_MAX,
            times: Times::default(),
            book: Arc::default(),
        }
    }

    /// Makes `function` what containers of `image` run. An image without tag stands for all its tags.
    #[must_use]
    pub fn with<F, T>(mut self, image: impl Into<String>, function: F) -> Self
    where
        F: Fn(FunctionContext) -> T + Send + Sync + 'static,
        T: Future<Output: IntoExit> + Send + 'static,
    {
        let function: Function = Arc::new(move |context| function(context).map(IntoExit::into_exit).boxed());
        self.functions.insert(image.into(), function);
        self
    }

    /// Answers commands in containers of `image`: exec probes, hooks, `kubectl exec`. Without it they are unsupported.
    #[must_use]
    pub fn with_exec<F, T>(mut self, image: impl Into<String>, command: F) -> Self
    where
        F: Fn(FunctionContext, Vec<String>) -> T + Send + Sync + 'static,
        T: Future<Output = ExecOutput> + Send + 'static,
    {
        self.commands.insert(image.into(), Arc::new(move |context, line| command(context, line).boxed()));
        self
    }

    /// How many lines of each container are kept. Default [`LOG_LINES_MAX`]; at least one.
    #[must_use]
    pub fn log_lines_max(mut self, lines: usize) -> Self {
        self.log_lines_max = lines;
        self
    }

    /// Where times come from. Default: the cluster's clock.
    #[must_use]
    pub fn clock(self, clock: &Arc<dyn Clock>) -> Self {
        self.times.give(clock);
        self
    }

    fn function(&self, image: &str) -> Result<Function, RuntimeError> {
        let unknown = || RuntimeError::Image { image: image.into(), why: "no function has this name".into() };
        by_image(&self.functions, image).cloned().ok_or_else(unknown)
    }
}

/// The entry under an image's whole name, or under its name without digest and tag.
fn by_image<'a, T>(entries: &'a BTreeMap<String, T>, image: &str) -> Option<&'a T> {
    let undigested = image.split_once('@').map_or(image, |(name, _digest)| name);
    let after_host = undigested.rfind('/').map_or(0, |slash| slash + 1);
    let colon = undigested.get(after_host..).and_then(|name| name.find(':')).map(|colon| after_host + colon);
    let untagged = colon.and_then(|colon| undigested.get(..colon)).unwrap_or(undigested);
    [image, undigested, untagged].into_iter().find_map(|name| entries.get(name))
}

/// Waits for a function and enters its end.
async fn watch(
    task: impl Future<Output = Result<FunctionExit, JoinError>>,
    id: ContainerId,
    book: Arc<Book<Arc<Pod>, Arc<Running>>>,
    times: Times,
    logs: Arc<Ring>,
    _ended: watch::Sender<()>,
) {
    let how = task.await.unwrap_or_else(exit::of_lost_task);
    if !how.message.is_empty() {
        logs.push(super::ring::line(times.now(), true, format!("{}\n", how.message).as_bytes()));
    }
    logs.close();
    book.end(&id, |started_at| Exit {
        code: how.code,
        signal: how.signal,
        out_of_memory: false,
        started_at,
        finished_at: times.now(),
        message: how.message,
    });
}

#[async_trait]
impl Runtime for FunctionRuntime {
    fn name(&self) -> &str {
        "function"
    }

    fn use_clock(&self, clock: &Arc<dyn Clock>) {
        self.times.give(clock);
    }

    async fn pull(&self, image: &str, _pod: &Pod) -> Result<ImageId, RuntimeError> {
        self.function(image).map(|_known| ImageId(image.into()))
    }

    async fn start_sandbox(&self, sandbox: &Sandbox) -> Result<SandboxStatus, RuntimeError> {
        self.book.open(sandbox, |_id| {
            let none_left = || RuntimeError::Container("no loopback address is left".into());
            Ok((vec![addresses::take_loopback().ok_or_else(none_left)?], Arc::clone(&sandbox.pod)))
        })
    }

    async fn start(&self, spec: &ContainerSpec) -> Result<ContainerId, RuntimeError> {
        if let Some(id) = self.book.started(spec) {
            return Ok(id);
        }
        let function = self.function(&spec.image)?;
        let (addresses, pod) = self.book.sandbox(&spec.sandbox)?;
        let logs = Arc::new(Ring::new(self.log_lines_max));
        let context = FunctionContext::new(spec, pod, addresses, Arc::clone(&logs), self.times.clone());
        // The function is called within its task, so that a panic before its first await is caught too.
        let call = context.clone();
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            match wait.await {
                Ok(()) => function(call).await,
                Err(_never_entered) => FunctionExit { code: 137, signal: 9, message: String::new() },
            }
        });
        let (ending, ended) = watch::channel(());
        let abort = task.abort_handle();
        let running = Running { context, logs: Arc::clone(&logs), task: abort, ended, image: spec.image.clone() };
        let id = self.book.begin(spec, self.times.now(), Arc::new(running))?;
        let _started = go.send(());
        tokio::spawn(watch(task, id.clone(), Arc::clone(&self.book), self.times.clone(), logs, ending));
        Ok(id)
    }

    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError> {
        let (_, running) = self.book.container(id)?;
        let mut ended = running.ended.clone();
        running.context.token().cancel();
        if tokio::time::timeout(grace, ended.changed()).await.is_err() {
            running.task.abort();
            let _closed = ended.changed().await;
        }
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        self.book.forget_container(id).map(drop)
    }

    async fn release_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.book.release(id).into_iter().for_each(addresses::give_back_loopback);
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        for container in self.book.running_in(id) {
            self.stop(&container, Duration::ZERO).await?;
        }
        self.release_sandbox(id).await?;
        self.book.forget_sandbox(id);
        Ok(())
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        self.book.events()
    }

    async fn list(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        Ok(self.book.list())
    }

    fn logs(&self) -> Option<&dyn Logs> {
        Some(self)
    }

    fn exec(&self) -> Option<&dyn Exec> {
        Some(self)
    }

    fn ports(&self) -> Option<&dyn Ports> {
        Some(self)
    }
}

#[async_trait]
impl Ports for FunctionRuntime {
    async fn connect(&self, id: &SandboxId, port: u16) -> Result<Connection, RuntimeError> {
        addresses::connect(&self.book.sandbox(id)?.0, port).await
    }
}

#[async_trait]
impl Logs for FunctionRuntime {
    async fn logs(
        &self,
        id: &ContainerId,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, RuntimeError> {
        Ok(self.book.container(id)?.1.logs.read(options))
    }
}

impl Drop for FunctionRuntime {
    fn drop(&mut self) {
        for (_, running) in self.book.running() {
            running.task.abort();
        }
        for address in self.book.list().into_iter().flat_map(|sandbox| sandbox.addresses) {
            addresses::give_back_loopback(address);
        }
    }
}

impl std::fmt::Debug for FunctionRuntime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FunctionRuntime").field("images", &self.functions.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
