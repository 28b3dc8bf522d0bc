//! Where records go.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::record::Record;

/// Takes records. Implement it to send them elsewhere; it is called on the way of the request and should not wait.
pub trait Sink: Send + Sync + 'static {
    /// Takes one record.
    fn record(&self, record: &Record);
}

/// A file of one JSON record a line, as `--audit-log-path` writes. A request is answered when its record is written, as with
/// upstream's default mode `blocking`: what the file cannot take is lost, and the program's log says so.
pub struct LogFile {
    path: PathBuf,
    bytes_max: u64,
    backups: usize,
    open: Mutex<Open>,
}

struct Open {
    file: File,
    bytes: u64,
}

impl LogFile {
    /// Appends to a file. When it would grow beyond `bytes_max` it is renamed to `<path>.1`, that to `<path>.2` and so on; so many
    /// `backups` are kept.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(path: impl Into<PathBuf>, bytes_max: u64, backups: usize) -> io::Result<Self> {
        let path = path.into();
        let open = Mutex::new(Open::at(&path)?);
        Ok(Self { path, bytes_max, backups, open })
    }

    fn write(&self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let length = line.len() as u64;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.bytes > 0 && open.bytes + length > self.bytes_max {
            self.rotate()?;
            *open = Open::at(&self.path)?;
        }
        open.file.write_all(&line)?;
        open.bytes += length;
        Ok(())
    }

    fn rotate(&self) -> io::Result<()> {
        for number in (1..self.backups).rev() {
            match fs::rename(self.backup(number), self.backup(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.backups == 0 { fs::remove_file(&self.path) } else { fs::rename(&self.path, self.backup(1)) }
    }

    fn backup(&self, number: usize) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(format!(".{number}"));
        path.into()
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }
}

impl Sink for LogFile {
    fn record(&self, record: &Record) {
        if let Err(error) = self.write(record) {
            tracing::error!(%error, path = %self.path.display(), audit_id = record.audit_id, "an audit record is lost");
        }
    }
}

impl std::fmt::Debug for LogFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LogFile").field("path", &self.path).finish_non_exhaustive()
    }
}
