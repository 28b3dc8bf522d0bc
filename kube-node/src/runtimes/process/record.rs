//! What is remembered of sandboxes and containers across the host program's end, and where their files are.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::paths::{self, Paths};
use super::session;
use crate::runtime::{ContainerId, ContainerSpec, ContainerState, ContainerStatus, Exit, ImageId, RuntimeError};
use crate::runtimes::book;

/// A sandbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SandboxRecord {
    pub(super) id: String,
    pub(super) uid: String,
    pub(super) attempt: u32,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) hostname: String,
    pub(super) directory: PathBuf,
}

/// One run of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ContainerRecord {
    pub(super) id: String,
    pub(super) sandbox: String,
    pub(super) name: String,
    pub(super) attempt: u32,
    pub(super) image_id: String,
    /// Which start of the machine its process belongs to: process ids mean nothing in another.
    pub(super) boot: String,
    #[serde(with = "as_text")]
    pub(super) started_at: Timestamp,
    pub(super) exit: Option<ExitRecord>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) working_directory: PathBuf,
    /// Paths in the container and what stands for them on the host.
    pub(super) mounts: Vec<(String, String)>,
    /// Its own directory: log, pipes, and the directory in which it works.
    pub(super) directory: PathBuf,
}

/// How it ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ExitRecord {
    pub(super) code: i32,
    pub(super) signal: i32,
    #[serde(with = "as_text")]
    pub(super) finished_at: Timestamp,
    pub(super) message: String,
}

/// An end that happened while no runtime looked on. 137 is what Kubernetes says of containers whose end it missed.
/// Source: kubelet `convertStatusToAPIStatus`, reason `ContainerStatusUnknown`.
pub(super) fn unseen_end(finished_at: Timestamp) -> ExitRecord {
    let message = "the exit code is unknown: the host program that started the container did not see its end".into();
    ExitRecord { code: 137, signal: 0, finished_at, message }
}

/// What is part of a file name may not lead elsewhere.
///
/// # Errors
/// If it could.
pub(super) fn check_file_name(name: &str) -> Result<(), RuntimeError> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
        return Err(RuntimeError::Container(format!("{name:?} cannot be part of a file name")));
    }
    Ok(())
}

impl ContainerRecord {
    pub(super) fn of(spec: &ContainerSpec, sandbox: &SandboxRecord, started_at: Timestamp) -> Self {
        let directory = sandbox.directory.join("containers").join(format!("{}.{}", spec.name, spec.attempt));
        let message_path = spec.spec.termination_message_path.as_deref().unwrap_or("/dev/termination-log");
        let message = (message_path.to_owned(), paths::text(&spec.termination_message));
        let has_message_file = !spec.termination_message.as_os_str().is_empty();
        let mounts = spec.mounts.iter().map(|mount| (mount.container_path.clone(), paths::text(&mount.host_path)));
        let mounts: Vec<_> = mounts.chain(has_message_file.then_some(message)).collect();
        let paths = Paths::new(mounts.iter().cloned());
        let own = directory.join("work");
        let wanted = PathBuf::from(paths.rewrite(&spec.working_dir));
        let working_directory = if wanted.is_absolute() && wanted.is_dir() { wanted } else { own.clone() };
        Self {
            id: book::container_id(&spec.sandbox, &spec.name, spec.attempt).to_string(),
            sandbox: sandbox.id.clone(),
            name: spec.name.clone(),
            attempt: spec.attempt,
            image_id: spec.image_id.0.to_string(),
            boot: session::boot(),
            started_at,
            exit: None,
            env: environment(spec, &paths, &own, &sandbox.hostname),
            working_directory,
            mounts,
            directory,
        }
    }

    pub(super) fn paths(&self) -> Paths {
        Paths::new(self.mounts.iter().cloned())
    }

    pub(super) fn status(&self) -> ContainerStatus {
        let started_at = self.started_at;
        let state = match &self.exit {
            None => ContainerState::Running { started_at },
            Some(exit) => ContainerState::Exited(exit.of_run(started_at)),
        };
        ContainerStatus {
            id: ContainerId(self.id.as_str().into()),
            name: self.name.clone(),
            attempt: self.attempt,
            image_id: ImageId(self.image_id.as_str().into()),
            state,
        }
    }

    pub(super) fn make_directory(&self) -> io::Result<()> {
        // What an earlier attempt to start left is not for this one.
        self.remove_directory();
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(self.directory.join("work"))?;
        builder.create(self.log_directory())
    }

    pub(super) fn remove_directory(&self) {
        remove_all(&self.directory);
    }

    pub(super) fn log_directory(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// The pipe that the container prints into, opened for both directions: it then never lacks a reader.
    pub(super) fn open_pipe(&self, name: &str) -> io::Result<OwnedFd> {
        let path = self.directory.join(name);
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        Ok(File::options().read(true).write(true).open(path)?.into())
    }

    /// The end from which the runtime reads.
    pub(super) fn read_pipe(&self, name: &str) -> io::Result<OwnedFd> {
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let mut options = OpenOptions::new();
        Ok(options.read(true).custom_flags(flags).open(self.directory.join(name))?.into())
    }
}

impl ExitRecord {
    pub(super) fn of_run(&self, started_at: Timestamp) -> Exit {
        Exit {
            code: self.code,
            signal: self.signal,
            out_of_memory: false,
            started_at,
            finished_at: self.finished_at,
            message: self.message.clone(),
        }
    }
}

/// The environment as given, and what no program wants to miss.
fn environment(spec: &ContainerSpec, paths: &Paths, home: &Path, hostname: &str) -> BTreeMap<String, String> {
    let search = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into());
    let defaults = [("PATH", search), ("HOME", paths::text(home)), ("HOSTNAME", hostname.to_owned())];
    let defaults = defaults.into_iter().map(|(name, value)| (name.to_owned(), value));
    let given = spec.env.iter().map(|(name, value)| (name.clone(), paths.rewrite(value)));
    defaults.chain(given).collect()
}

/// Removes files that may be gone already; what cannot be removed is said and left.
pub(super) fn remove_all(path: &Path) {
    match fs::remove_dir_all(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %path.display(), %error, "cannot remove"),
    }
}

/// Timestamps as RFC 3339 text.
mod as_text {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
