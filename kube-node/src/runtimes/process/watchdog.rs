//! Sees the host program's end, even one by SIGKILL, and then kills what is on its list.
//!
//! It is a shell that reads from a pipe. The host program holds the only other end (and, between fork and exec, each new
//! process, which enters itself there), so the pipe ends when the host program does, in whatever way.

use std::io::{self, PipeWriter, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Pid;

/// A running watchdog. Dropping it makes it do its work and waits for that.
pub(super) struct Watchdog {
    pipe: Mutex<Option<PipeWriter>>,
    process: Mutex<Child>,
}

impl Watchdog {
    /// Starts one that in the end also removes `directory`, if there is one.
    pub(super) fn start(directory: Option<&Path>) -> io::Result<Self> {
        let (reader, pipe) = io::pipe()?;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(include_str!("watchdog.sh")).arg("coracle-watchdog").env_clear();
        command.envs(directory.map(|directory| ("directory", directory)));
        // Not in the host program's process group: what is typed at its terminal is not for the watchdog.
        command.stdin(reader).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/").process_group(0);
        let process = command.spawn()?;
        Ok(Self { pipe: Mutex::new(Some(pipe)), process: Mutex::new(process) })
    }

    /// The end of the pipe in which a new process enters itself.
    ///
    /// # Errors
    /// If the watchdog is gone: nothing should be started that nobody watches.
    pub(super) fn entrance(&self) -> io::Result<OwnedFd> {
        let ended = self.process.lock().unwrap_or_else(PoisonError::into_inner).try_wait()?;
        match (&*self.pipe(), ended) {
            (Some(pipe), None) => Ok(pipe.try_clone()?.into()),
            _ => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the process runtime's watchdog is gone")),
        }
    }

    fn pipe(&self) -> MutexGuard<'_, Option<PipeWriter>> {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session off the list. Must be told before the leader is reaped and its number free for others.
    pub(super) fn forget(&self, leader: Pid) {
        if let Some(pipe) = self.pipe().as_mut() {
            let _told_at_the_next_start = writeln!(pipe, "- {}", leader.as_raw_pid());
        }
    }

    /// Lets it do its work now and waits until it has.
    pub(super) fn finish(&self) {
        drop(self.pipe().take());
        let _reaped = self.process.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.finish();
    }
}
