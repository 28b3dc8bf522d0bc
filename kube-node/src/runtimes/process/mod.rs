//! Pods that are real processes of this machine. Linux, no root needed.
//!
//! **Image.** Only a name: every image is there, unless [`Builder::images`] says which commands images stand for. A
//! container needs a command of its own or one from there.
//!
//! **Process.** Each container leads a session of its own, with exactly the environment it was given, plus `PATH` (the host
//! program's), `HOME` (its own directory) and `HOSTNAME` where missing. It runs as the host program's user, in
//! `workingDir` if that exists, else in a directory of its own that is new with every run. Security context and resource
//! limits are not enforced.
//!
//! **Files.** A process sees the host's files: there is no mount namespace. Instead, wherever a mount's path stands in
//! `command`, `args`, `env`, `workingDir` or an exec'd command (as a whole path: `/config` in `--file=/config/a.yaml`, not
//! in `/etc/config`), the path on the host is put in its place. The termination message's path is treated like a mount.
//! Read-only mounts are not enforced.
//!
//! **Network.** Each pod has a loopback address of its own, so many pods can listen on the same port: on *their* address
//! (`fieldRef: status.podIP`). What binds 0.0.0.0 takes the port from all of them.
//!
//! **End.** Stopping sends SIGTERM to the process group and SIGKILL to the session after the grace period. When a
//! container's main process ends, the rest of its session is killed. A process that left for a session of its own
//! (`setsid`, a daemon) escapes.
//!
//! **The host program's end.** By default containers end with it, even if it is killed: a small watchdog process sees the
//! end of a pipe and kills what was on its list, where every process enters itself before it becomes the container's
//! program. With [`Builder::keep_running`] they go on instead, and the next runtime on the same state directory finds them
//! again. They print into named pipes of which they hold both ends, so they neither die nor lose a line in between; one
//! that prints more than the pipe holds (64 KiB) waits. The exit code of a container that ended in between, or of one that
//! was found again, is unknown and told as 137.
//!
//! Real processes need real time: under tokio's paused clock a grace period is over at once.

mod command;
mod descriptor;
mod exec;
mod leader;
mod log_file;
mod log_read;
mod monitor;
mod paths;
mod pipe;
mod record;
mod session;
mod spawn;
mod state_directory;
mod terminal;
mod usage;
mod watchdog;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use coracle_core::Clock;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::addresses;
use super::book::{Book, SandboxEntry};
use super::times::Times;
use crate::runtime::{
    Connection, ContainerId, ContainerSpec, ContainerStatus, Exec, ImageId, LogLine, LogOptions, Logs, Ports, Runtime,
    RuntimeError, RuntimeEvent, Sandbox, SandboxId, SandboxStatus, Stats,
};
use command::Invocation;
use leader::Leader;
pub use log_file::LogLimits;
use record::{ContainerRecord, SandboxRecord};
use state_directory::StateDirectory;
use watchdog::Watchdog;

/// Runs containers as processes. Dropping it ends them all, unless they are to be kept.
pub struct ProcessRuntime {
    shared: Arc<Shared>,
}

type Images = Arc<dyn Fn(&str) -> Option<Vec<String>> + Send + Sync>;
type ProcessBook = Book<Arc<SandboxRecord>, Arc<Kept>>;

struct Shared {
    images: Option<Images>,
    pod_addresses: bool,
    log_limits: LogLimits,
    times: Times,
    book: ProcessBook,
    /// Watches containers, unless they are to be kept.
    watchdog: Option<Arc<Watchdog>>,
    /// Watches commands in kept containers: nobody would find those again.
    commands: Mutex<Option<Arc<Watchdog>>>,
    directory: StateDirectory,
    /// Cancelled when the runtime is dropped: what goes on then is not watched any more.
    leaving: CancellationToken,
}

/// What is kept of one run.
struct Kept {
    record: ContainerRecord,
    /// `None` if it was found ended.
    leader: Option<Arc<Leader>>,
    stdin: Option<mpsc::Sender<Bytes>>,
    /// Changes when something was printed; closed when the container has ended and all is written.
    printed: watch::Receiver<()>,
    meter: usage::Meter,
}

/// What a [`ProcessRuntime`] can be told before it is made.
#[derive(Clone, Default)]
pub struct Builder {
    images: Option<Images>,
    state: Option<PathBuf>,
    keep: bool,
    host_addresses: bool,
    log_limits: LogLimits,
    times: Times,
}

impl Builder {
    /// Which command an image stands for; `None` means that there is no such image. Default: every image is there and
    /// stands for no command.
    #[must_use]
    pub fn images(mut self, images: impl Fn(&str) -> Option<Vec<String>> + Send + Sync + 'static) -> Self {
        self.images = Some(Arc::new(images));
        self
    }

    /// Where to remember what runs; made if missing, readable by the owner only since environments are kept in it.
    /// Default: a new directory below the system's temporary one, removed at the end.
    #[must_use]
    pub fn state_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.state = Some(directory.into());
        self
    }

    /// Whether containers go on when the host program ends, to be found again by the next runtime on the same state
    /// directory, which must be given then. Default no.
    #[must_use]
    pub fn keep_running(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// Gives all pods the address 127.0.0.1 instead of one of their own. Pods with `hostNetwork` always have it.
    #[must_use]
    pub fn host_addresses(mut self) -> Self {
        self.host_addresses = true;
        self
    }

    /// How large logs may become. Default 5 files of 10 MiB per container.
    #[must_use]
    pub fn log_limits(mut self, limits: LogLimits) -> Self {
        self.log_limits = limits;
        self
    }

    /// Where times come from. Default: the cluster's clock.
    #[must_use]
    pub fn clock(self, clock: &Arc<dyn Clock>) -> Self {
        self.times.give(clock);
        self
    }

    /// Makes the runtime. What runs according to the state directory is found again, or killed if it is not to be kept.
    /// Must be called within a tokio runtime, in which the containers are then watched.
    ///
    /// # Errors
    /// If the state directory cannot be made or belongs to another runtime that is alive, if the watchdog (`/bin/sh`)
    /// cannot be started, or if containers are to be kept without a state directory.
    pub fn build(self) -> Result<ProcessRuntime, RuntimeError> {
        if self.keep && self.state.is_none() {
            return Err(RuntimeError::Container("containers can only be kept with a state directory".into()));
        }
        let directory = self.state.map_or_else(StateDirectory::temporary, StateDirectory::open)?;
        let watchdog = if self.keep { None } else { Some(Arc::new(Watchdog::start(directory.temporary_path())?)) };
        let shared = Arc::new(Shared {
            images: self.images,
            pod_addresses: !self.host_addresses,
            log_limits: self.log_limits,
            times: self.times,
            book: ProcessBook::default(),
            watchdog,
            commands: Mutex::default(),
            directory,
            leaving: CancellationToken::new(),
        });
        shared.find_again(self.keep)?;
        Ok(ProcessRuntime { shared })
    }
}

impl ProcessRuntime {
    /// A runtime whose processes end with the host program. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn new() -> Result<Self, RuntimeError> {
        Self::builder().build()
    }

    /// A runtime whose processes outlive the host program and are found again in `state_directory`. Must be called within
    /// a tokio runtime.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn open(state_directory: impl Into<PathBuf>) -> Result<Self, RuntimeError> {
        Self::builder().state_directory(state_directory).keep_running(true).build()
    }

    /// Everything that can be told.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Shared {
    /// Reads the state directory: sandboxes, containers that run, containers that ended.
    fn find_again(self: &Arc<Self>, keep: bool) -> Result<(), RuntimeError> {
        for sandbox in self.directory.sandboxes()? {
            let sandbox = Arc::new(sandbox);
            sandbox.addresses.iter().copied().for_each(addresses::reserve_loopback);
            let containers = self.directory.containers(&sandbox.id)?;
            let found: Vec<_> = containers.into_iter().map(|record| self.find_container(record, keep)).collect();
            let mut monitors = Vec::new();
            let mut entries = Vec::new();
            for (status, kept, monitor) in found {
                monitors.extend(monitor);
                entries.push((status, kept));
            }
            let entry = SandboxEntry {
                uid: sandbox.uid.as_str().into(),
                attempt: sandbox.attempt,
                addresses: sandbox.addresses.clone(),
                own: Arc::clone(&sandbox),
                containers: entries,
            };
            self.book.adopt(SandboxId(sandbox.id.as_str().into()), entry);
            monitors.into_iter().for_each(monitor::Monitor::spawn);
        }
        Ok(())
    }

    /// One container of the state directory: still alive, or ended in some way that nobody saw.
    fn find_container(
        self: &Arc<Self>,
        mut record: ContainerRecord,
        keep: bool,
    ) -> (ContainerStatus, Arc<Kept>, Option<monitor::Monitor>) {
        let (printing, printed) = watch::channel(());
        let leader = record.exit.is_none().then(|| Leader::find(&self.directory.birth(&record))).flatten();
        let leader = leader.filter(|leader| keep || !leader.kill());
        if leader.is_none() && record.exit.is_none() {
            record.exit = Some(record::unseen_end(self.times.now()));
            self.directory.write_container(&record);
        }
        let status = record.status();
        let leader = leader.map(Arc::new);
        let kept =
            Arc::new(Kept { record, leader: leader.clone(), stdin: None, printed, meter: usage::Meter::default() });
        let monitor = leader.and_then(|leader| {
            let outputs = monitor::Outputs::of(&kept.record).ok()?;
            monitor::Monitor::of(self, &kept.record, outputs, leader, printing).ok()
        });
        (status, kept, monitor)
    }

    fn sandbox_record(&self, id: &SandboxId, sandbox: &Sandbox) -> Result<SandboxRecord, RuntimeError> {
        let host_network = sandbox.pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true);
        let address = if host_network || !self.pod_addresses {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            let none_left = || RuntimeError::Container("no loopback address is left".into());
            addresses::take_loopback().ok_or_else(none_left)?
        };
        Ok(SandboxRecord {
            id: id.to_string(),
            uid: sandbox.uid.to_string(),
            attempt: sandbox.attempt,
            addresses: vec![address],
            hostname: sandbox.hostname.clone(),
            directory: sandbox.directory.clone(),
        })
    }

    /// The command an image stands for.
    fn image_command(&self, image: &str) -> Result<Vec<String>, RuntimeError> {
        let unknown = || RuntimeError::Image { image: image.into(), why: "no command is known for it".into() };
        self.images.as_ref().map_or_else(|| Ok(Vec::new()), |images| images(image).ok_or_else(unknown))
    }

    /// Starts a container's process; everything about it is on record before it is.
    fn launch(self: &Arc<Self>, spec: &ContainerSpec) -> Result<ContainerId, RuntimeError> {
        let (_, sandbox) = self.book.sandbox(&spec.sandbox)?;
        let entry_point = self.image_command(&spec.image)?;
        let record = ContainerRecord::of(spec, &sandbox, self.times.now());
        record.make_directory()?;
        let invocation = Invocation::of_container(spec, &entry_point, &record)?;
        self.directory.write_new_container(&record)?;
        let started = self.launch_recorded(spec, &invocation, &record);
        if started.is_err() {
            self.directory.forget_container(&record);
            record.remove_directory();
        }
        started
    }

    fn launch_recorded(
        self: &Arc<Self>,
        spec: &ContainerSpec,
        invocation: &Invocation,
        record: &ContainerRecord,
    ) -> Result<ContainerId, RuntimeError> {
        let (output, error) = (record.open_pipe("stdout")?, record.open_pipe("stderr")?);
        let outputs = monitor::Outputs::of(record)?;
        let birth = self.directory.birth_file(record)?;
        let (stdin, feed) = spawn::stdin(spec.spec.stdin == Some(true))?;
        let streams = spawn::Streams { stdin, stdout: output.into(), stderr: error.into(), terminal: None };
        let leader = Leader::start(invocation, streams, Some(birth), self.watchdog.clone())?;
        let leader = Arc::new(leader);
        let (printing, printed) = watch::channel(());
        let monitor = monitor::Monitor::of(self, record, outputs, Arc::clone(&leader), printing);
        // What cannot be watched must not go on unwatched.
        let monitor = monitor.inspect_err(|_error| {
            let _killed = leader.kill();
        })?;
        let kept =
            Kept { record: record.clone(), leader: Some(leader), stdin: feed, printed, meter: usage::Meter::default() };
        let id = self.book.begin(spec, record.started_at, Arc::new(kept))?;
        monitor.spawn();
        Ok(id)
    }

    /// Commands end with the host program in any case.
    fn watchdog_for_commands(&self) -> Result<Arc<Watchdog>, RuntimeError> {
        if let Some(watchdog) = &self.watchdog {
            return Ok(Arc::clone(watchdog));
        }
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watchdog) = &*commands {
            return Ok(Arc::clone(watchdog));
        }
        Ok(Arc::clone(commands.insert(Arc::new(Watchdog::start(None)?))))
    }

    fn finish_watchdogs(&self) {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.watchdog.iter().chain(&commands).for_each(|watchdog| watchdog.finish());
    }

    fn forget_files(&self, kept: &Kept) {
        self.directory.forget_container(&kept.record);
        kept.record.remove_directory();
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn name(&self) -> &str {
        "process"
    }

    fn use_clock(&self, clock: &Arc<dyn Clock>) {
        self.shared.times.give(clock);
    }

    async fn pull(&self, image: &str, _pod: &Pod) -> Result<ImageId, RuntimeError> {
        self.shared.image_command(image).map(|_known| ImageId(image.into()))
    }

    async fn start_sandbox(&self, sandbox: &Sandbox) -> Result<SandboxStatus, RuntimeError> {
        record::check_file_name(&sandbox.uid)?;
        self.shared.book.open(sandbox, |id| {
            let record = self.shared.sandbox_record(id, sandbox)?;
            self.shared.directory.write_sandbox(&record)?;
            Ok((record.addresses.clone(), Arc::new(record)))
        })
    }

    async fn start(&self, spec: &ContainerSpec) -> Result<ContainerId, RuntimeError> {
        record::check_file_name(&spec.name)?;
        if let Some(id) = self.shared.book.started(spec) {
            return Ok(id);
        }
        self.shared.launch(spec)
    }

    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError> {
        let (_, kept) = self.shared.book.container(id)?;
        let Some(leader) = &kept.leader else { return Ok(()) };
        let mut printed = kept.printed.clone();
        if !grace.is_zero() {
            leader.terminate();
            if tokio::time::timeout(grace, closed(&mut printed)).await.is_ok() {
                return Ok(());
            }
        }
        leader.kill();
        closed(&mut printed).await;
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        if let Some(kept) = self.shared.book.forget_container(id)? {
            self.shared.forget_files(&kept);
        }
        Ok(())
    }

    async fn release_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        let Ok((_, record)) = self.shared.book.sandbox(id) else { return Ok(()) };
        // Who finds the sandbox again must not take the addresses from those who have them by then.
        self.shared.directory.write_sandbox(&SandboxRecord { addresses: Vec::new(), ..(*record).clone() })?;
        self.shared.book.release(id).into_iter().for_each(addresses::give_back_loopback);
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        for container in self.shared.book.running_in(id) {
            self.stop(&container, Duration::ZERO).await?;
        }
        let Some(entry) = self.shared.book.forget_sandbox(id) else { return Ok(()) };
        entry.containers.iter().for_each(|(_, kept)| self.shared.forget_files(kept));
        self.shared.directory.forget_sandbox(&entry.own);
        entry.addresses.into_iter().for_each(addresses::give_back_loopback);
        Ok(())
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        self.shared.book.events()
    }

    async fn list(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        Ok(self.shared.book.list())
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

    fn stats(&self) -> Option<&dyn Stats> {
        Some(self)
    }
}

#[async_trait]
impl Ports for ProcessRuntime {
    async fn connect(&self, id: &SandboxId, port: u16) -> Result<Connection, RuntimeError> {
        addresses::connect(&self.shared.book.sandbox(id)?.0, port).await
    }
}

/// Waits until the container has ended and all that it printed is written.
async fn closed(printed: &mut watch::Receiver<()>) {
    while printed.changed().await.is_ok() {}
}

#[async_trait]
impl Logs for ProcessRuntime {
    async fn logs(
        &self,
        id: &ContainerId,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, RuntimeError> {
        let (_, kept) = self.shared.book.container(id)?;
        log_read::read(&kept.record.log_directory(), options, kept.printed.clone())
    }
}

impl Drop for ProcessRuntime {
    /// Nothing is left when this returns, except what is to be kept.
    fn drop(&mut self) {
        self.shared.leaving.cancel();
        self.shared.finish_watchdogs();
        for address in self.shared.book.list().into_iter().flat_map(|sandbox| sandbox.addresses) {
            addresses::give_back_loopback(address);
        }
        self.shared.directory.unlock();
    }
}

impl std::fmt::Debug for ProcessRuntime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ProcessRuntime").field("state", &self.shared.directory.path()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Builder").field("state", &self.state).field("keep", &self.keep).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
