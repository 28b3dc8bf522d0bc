//! The directory in which a runtime remembers what runs.
//!
//! ```text
//! lock                                  held by the runtime that uses the directory
//! sandboxes/<sandbox>/sandbox.json
//! sandboxes/<sandbox>/<name>.<run>.json   written before the process is made
//! sandboxes/<sandbox>/<name>.<run>.birth  written by the process itself, before it becomes the container's program
//! ```

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::{ContainerRecord, SandboxRecord, remove_all};
use super::session::{self, Birth};
use crate::runtime::RuntimeError;

/// A state directory that belongs to this runtime alone.
pub(super) struct StateDirectory {
    path: PathBuf,
    temporary: bool,
    lock: File,
}

impl StateDirectory {
    /// A new one, removed when it is dropped.
    pub(super) fn temporary() -> Result<Self, RuntimeError> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("coracle-processes-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Self::locked(path, true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// One that stays.
    pub(super) fn open(path: PathBuf) -> Result<Self, RuntimeError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Self::locked(path, false)
    }

    fn locked(path: PathBuf, temporary: bool) -> Result<Self, RuntimeError> {
        let lock = File::options().create(true).append(true).mode(0o600).open(path.join("lock"))?;
        let in_use = || RuntimeError::Container(format!("{} is in use by another process runtime", path.display()));
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_held| in_use())?;
        DirBuilder::new().recursive(true).mode(0o700).create(path.join("sandboxes"))?;
        Ok(Self { path, temporary, lock })
    }

    /// Lets another runtime have it from now on.
    pub(super) fn unlock(&self) {
        let _best_effort = flock(&self.lock, FlockOperation::Unlock);
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its path if it is to be removed.
    pub(super) fn temporary_path(&self) -> Option<&Path> {
        self.temporary.then_some(&*self.path)
    }

    fn sandbox(&self, id: &str) -> PathBuf {
        self.path.join("sandboxes").join(id)
    }

    fn container(&self, record: &ContainerRecord, extension: &str) -> PathBuf {
        self.sandbox(&record.sandbox).join(format!("{}.{}.{extension}", record.name, record.attempt))
    }

    pub(super) fn write_sandbox(&self, record: &SandboxRecord) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.sandbox(&record.id))?;
        write(&self.sandbox(&record.id).join("sandbox.json"), record)
    }

    pub(super) fn write_new_container(&self, record: &ContainerRecord) -> io::Result<()> {
        write(&self.container(record, "json"), record)
    }

    /// Writes how a container is now. If that fails its end will be told as unknown after a restart; it goes on.
    pub(super) fn write_container(&self, record: &ContainerRecord) {
        if let Err(error) = self.write_new_container(record) {
            tracing::warn!(container = record.id, %error, "cannot write the container's record");
        }
    }

    /// The file into which a process writes who it is.
    pub(super) fn birth_file(&self, record: &ContainerRecord) -> io::Result<OwnedFd> {
        let path = self.container(record, "birth");
        Ok(File::options().create(true).truncate(true).read(true).write(true).mode(0o600).open(path)?.into())
    }

    /// Which process a container is, if it was made at all and in this start of the machine.
    pub(super) fn birth(&self, record: &ContainerRecord) -> Option<Birth> {
        let text = fs::read_to_string(self.container(record, "birth")).ok()?;
        Birth::parse(&text).filter(|_birth| record.boot == session::boot())
    }

    pub(super) fn sandboxes(&self) -> io::Result<Vec<SandboxRecord>> {
        let folders = fs::read_dir(self.path.join("sandboxes"))?.filter_map(Result::ok);
        let mut records: Vec<SandboxRecord> =
            folders.filter_map(|folder| read(&folder.path().join("sandbox.json"))).collect();
        records.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(records)
    }

    /// The containers of a sandbox whose processes were made: one that was only about to be is as if it never was.
    pub(super) fn containers(&self, sandbox: &str) -> io::Result<Vec<ContainerRecord>> {
        let files = fs::read_dir(self.sandbox(sandbox))?.filter_map(Result::ok).map(|file| file.path());
        let records = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let records = records.filter(|path| path.file_name().is_some_and(|name| name != "sandbox.json"));
        let records = records.filter_map(|path| read::<ContainerRecord>(&path));
        let (mut made, planned): (Vec<_>, Vec<_>) = records.partition(|record| self.was_made(record));
        planned.iter().for_each(|record| self.forget_container(record));
        made.sort_by(|one, other| (&one.name, one.attempt).cmp(&(&other.name, other.attempt)));
        Ok(made)
    }

    fn was_made(&self, record: &ContainerRecord) -> bool {
        fs::metadata(self.container(record, "birth")).is_ok_and(|file| file.len() > 0)
    }

    pub(super) fn forget_container(&self, record: &ContainerRecord) {
        for extension in ["json", "birth"] {
            let _may_be_gone = fs::remove_file(self.container(record, extension));
        }
    }

    pub(super) fn forget_sandbox(&self, record: &SandboxRecord) {
        remove_all(&self.sandbox(&record.id));
        // Only if nothing else is in it.
        let _may_be_in_use = fs::remove_dir(record.directory.join("containers"));
    }
}

impl Drop for StateDirectory {
    fn drop(&mut self) {
        if self.temporary {
            remove_all(&self.path);
        }
    }
}

/// Replaces a file as a whole: readers see the old text or the new one.
fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    fs::rename(draft, path)
}

/// What a file says; one that was torn by the machine's end says nothing.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let text = fs::read(path).ok()?;
    serde_json::from_slice(&text).inspect_err(|error| tracing::warn!(path = %path.display(), %error, "unreadable")).ok()
}
