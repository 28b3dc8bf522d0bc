//! The door to whatever runs containers: processes, functions, a simulation, a container engine, your own.
//!
//! A runtime knows sandboxes (one per pod) and containers in them; it knows nothing of the API, of restarts, probes or
//! volumes. Everything it is told is complete: environment, mounts and arguments are already worked out.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use coracle_core::Clock;
use futures::stream::BoxStream;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::io::{AsyncRead, AsyncWrite};

/// Runs the containers of pods. Calls about one sandbox come one at a time, except that [`Runtime::stop`]s
/// overlap (of several containers, and again of one whose grace got shorter); calls about different ones may overlap.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// What it is called in `status.containerRuntimeVersion` and in container ids, such as `process`.
    fn name(&self) -> &str;

    /// Told once by the node before anything else: the cluster's clock, from which the times in statuses and logs come.
    /// A runtime that was given a clock of its own when it was made keeps that one; one without times needs neither.
    fn use_clock(&self, clock: &Arc<dyn Clock>) {
        let _unused = clock;
    }

    /// Makes an image available. A runtime without images accepts every name that it could start.
    ///
    /// # Errors
    /// [`RuntimeError::Image`] if there is no such image: the pod shows `ErrImagePull`, then `ImagePullBackOff`.
    async fn pull(&self, image: &str, pod: &Pod) -> Result<ImageId, RuntimeError>;

    /// Makes the place in which a pod's containers run. Told twice with the same uid and attempt, it does nothing more.
    async fn start_sandbox(&self, sandbox: &Sandbox) -> Result<SandboxStatus, RuntimeError>;

    /// Starts a container. Its end, whenever it comes, is told through [`Runtime::events`]. Told twice with the same
    /// sandbox, name and attempt, it does nothing more and answers the same id.
    async fn start(&self, container: &ContainerSpec) -> Result<ContainerId, RuntimeError>;

    /// Gives a running container the resources of this version of it. A runtime that enforces none has nothing to do.
    async fn resize(&self, id: &ContainerId, container: &Container) -> Result<(), RuntimeError> {
        let _unused = (id, container);
        Ok(())
    }

    /// Asks a container to end and kills it after `grace`; returns once it has ended. Ending what has ended is no error.
    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError>;

    /// Forgets an ended container and its logs. Forgetting what is unknown is no error; one that still runs is one.
    async fn remove_container(&self, id: &ContainerId) -> Result<(), RuntimeError>;

    /// Gives back what a sandbox holds in which nothing runs any more: its addresses. Its containers are still listed, and
    /// their logs can be read. Releasing what is unknown, or twice, is no error. By default there is nothing to give back.
    async fn release_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        let _unused = id;
        Ok(())
    }

    /// Kills what is left in a sandbox and forgets it, with all its containers, files and logs. Forgetting what is
    /// unknown is no error.
    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError>;

    /// What happens to containers from now on: one `Running` and one `Exited` per run. Ends when the runtime ends, or when
    /// its reader fell hopelessly behind: subscribe again, then [`Runtime::list`].
    fn events(&self) -> BoxStream<'static, RuntimeEvent>;

    /// Every sandbox there is: how a node finds its pods again after a restart of the host program.
    async fn list(&self) -> Result<Vec<SandboxStatus>, RuntimeError>;

    /// Reading what containers print, if this runtime can.
    fn logs(&self) -> Option<&dyn Logs> {
        None
    }

    /// Running commands in containers, if this runtime can.
    fn exec(&self) -> Option<&dyn Exec> {
        None
    }

    /// Connecting to what listens in sandboxes, if this runtime can.
    fn ports(&self) -> Option<&dyn Ports> {
        None
    }

    /// Measuring what containers use, if this runtime can.
    fn stats(&self) -> Option<&dyn Stats> {
        None
    }
}

/// Names a sandbox within its runtime.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SandboxId(pub Arc<str>);

/// Names one run of a container within its runtime.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(pub Arc<str>);

/// Names an image as it was resolved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(pub Arc<str>);

impl fmt::Display for SandboxId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The place in which a pod's containers run.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// The pod, for what a runtime may want of it (names, labels, security context, host ports).
    pub pod: Arc<Pod>,
    /// The pod's uid.
    pub uid: Arc<str>,
    /// Counts sandboxes of the same pod from zero; a pod gets another when its first one is lost.
    pub attempt: u32,
    /// Host name that the containers see.
    pub hostname: String,
    /// The directory in which the node keeps this pod's volumes and logs. Exists already; empty if the node
    /// keeps no files.
    pub directory: PathBuf,
}

/// One container to start: everything worked out, nothing left to look up.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Where.
    pub sandbox: SandboxId,
    /// The container's name in the pod.
    pub name: String,
    /// Counts the runs of this container from zero.
    pub attempt: u32,
    /// The image as the pod names it.
    pub image: String,
    /// The image as it was resolved.
    pub image_id: ImageId,
    /// The entry point; empty means the image's own.
    pub command: Vec<String>,
    /// Its arguments; empty means the image's own, unless `command` is given.
    pub args: Vec<String>,
    /// Working directory; empty means the runtime's own choice.
    pub working_dir: String,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// What is mounted where.
    pub mounts: Vec<Mount>,
    /// Where the container may write why it ended; read by the node when it has.
    pub termination_message: PathBuf,
    /// The container as the pod has it, for what a runtime may want of it (resources, security context, ports).
    pub spec: Arc<Container>,
}

/// A directory or file of the host shown inside a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where on the host.
    pub host_path: PathBuf,
    /// Where in the container.
    pub container_path: String,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// A sandbox as the runtime sees it.
#[derive(Clone, Debug)]
pub struct SandboxStatus {
    /// Its name.
    pub id: SandboxId,
    /// The pod's uid.
    pub uid: Arc<str>,
    /// Which sandbox of the pod it is.
    pub attempt: u32,
    /// Its addresses, the main one first; none once it was released.
    pub addresses: Vec<IpAddr>,
    /// Its containers, the newest run of each name and older ones that were not removed.
    pub containers: Vec<ContainerStatus>,
}

/// One run of a container as the runtime sees it.
#[derive(Clone, Debug)]
pub struct ContainerStatus {
    /// Its name in the runtime.
    pub id: ContainerId,
    /// Its name in the pod.
    pub name: String,
    /// Which run it is.
    pub attempt: u32,
    /// The image as it was resolved.
    pub image_id: ImageId,
    /// How it is.
    pub state: ContainerState,
}

/// How one run of a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// It runs.
    Running {
        /// Since when.
        started_at: Timestamp,
    },
    /// It ended.
    Exited(Exit),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code; 128 + n if signal n ended it.
    pub code: i32,
    /// The signal that ended it, or zero.
    pub signal: i32,
    /// Whether it ended for want of memory.
    pub out_of_memory: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What the runtime knows of the reason beyond the code; often empty.
    pub message: String,
}

/// Something happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeEvent {
    /// In which sandbox.
    pub sandbox: SandboxId,
    /// The pod's uid.
    pub uid: Arc<str>,
    /// Which run.
    pub container: ContainerId,
    /// How it is now.
    pub state: ContainerState,
}

/// Why a runtime could not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// There is no such image: the node waits and tries again.
    #[error("failed to pull image {image:?}: {why}")]
    Image {
        /// As the pod names it.
        image: String,
        /// In the runtime's words.
        why: String,
    },
    /// The container cannot run as it is specified: the node shows `CreateContainerError` or `RunContainerError`.
    #[error("{0}")]
    Container(String),
    /// There is no such sandbox or container.
    #[error("{0} not found")]
    NotFound(String),
    /// Something this runtime cannot do, by name.
    #[error("the {runtime} runtime does not support {what}")]
    Unsupported {
        /// The runtime.
        runtime: String,
        /// What was asked of it.
        what: String,
    },
    /// The system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reading what containers print.
#[async_trait]
pub trait Logs: Send + Sync {
    /// The lines of one run, oldest first; with `follow` it goes on until the container ends.
    async fn logs(
        &self,
        id: &ContainerId,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, RuntimeError>;
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Whether to go on until the container ends.
    pub follow: bool,
    /// Only lines from then on.
    pub since: Option<Timestamp>,
    /// Only so many lines at the end (before following).
    pub tail: Option<u64>,
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

/// Connecting to what listens in sandboxes.
#[async_trait]
pub trait Ports: Send + Sync {
    /// A connection to a port of a sandbox, as from within it.
    async fn connect(&self, id: &SandboxId, port: u16) -> Result<Connection, RuntimeError>;
}

/// Bytes in both directions.
pub type Connection = Box<dyn Duplex>;

/// What can be read from and written to.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Measuring what containers use.
#[async_trait]
pub trait Stats: Send + Sync {
    /// What a running container of this pod uses; `None` if nobody knows (yet).
    async fn usage(&self, pod: &Pod, id: &ContainerId) -> Result<Option<Usage>, RuntimeError>;
}

/// What a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processors, in billionths of one.
    pub cpu_nano_cores: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Over how long a time the use of processors was measured. Default zero: it is how it is now.
    pub window: Duration,
}

/// Running commands in containers.
#[async_trait]
pub trait Exec: Send + Sync {
    /// Runs a command to its end without input: what probes and hooks need. Killed after `timeout`.
    async fn run(&self, id: &ContainerId, command: &[String], timeout: Duration) -> Result<ExecOutput, RuntimeError>;

    /// Starts a command with streams.
    async fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<ExecStreams, RuntimeError>;

    /// Streams of the container's own main process.
    async fn attach(&self, id: &ContainerId, request: ExecRequest) -> Result<ExecStreams, RuntimeError>;
}

/// What a command printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code; `None` if it was killed for taking too long.
    pub code: Option<i32>,
    /// Standard output and error together, at most 10 KiB.
    pub output: Vec<u8>,
}

/// How a command is started with streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// The command; empty for attach.
    pub command: Vec<String>,
    /// Whether standard input is wanted.
    pub stdin: bool,
    /// Whether to give it a terminal.
    pub tty: bool,
}

/// The ends of a running command's streams.
pub struct ExecStreams {
    /// Bytes for standard input; dropped means end of input.
    pub stdin: Option<tokio::sync::mpsc::Sender<Bytes>>,
    /// What it prints: `false` for standard output, `true` for standard error. Ends with the command.
    pub output: BoxStream<'static, (bool, Bytes)>,
    /// How it ended.
    pub exit: futures::future::BoxFuture<'static, Result<i32, RuntimeError>>,
    /// Terminal sizes (columns, rows).
    pub resize: Option<tokio::sync::mpsc::Sender<(u16, u16)>>,
}

impl fmt::Debug for ExecStreams {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ExecStreams")
    }
}
