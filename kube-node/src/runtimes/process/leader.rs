//! The main process of a container or of a command in one: the leader of a session.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::MemfdFlags;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::command::Invocation;
use super::descriptor::watched;
use super::session::{self, Birth};
use super::spawn::{self, Entry, Streams};
use super::watchdog::Watchdog;
use crate::runtime::RuntimeError;

/// A process that is watched. Dropping one that has not been reaped kills its session, unless it is to be kept.
pub(super) struct Leader {
    pid: Pid,
    /// A descriptor of the process itself: its number may be given to another one day, this cannot.
    process: AsyncFd<OwnedFd>,
    /// How it ended; from then on its number may belong to another. Held while signals are sent.
    reaped: Mutex<Option<End>>,
    watchdog: Option<Arc<Watchdog>>,
    kept: bool,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With an exit code, or by a signal and then with 128 and its number.
    Seen { code: i32, signal: i32 },
    /// Somebody else was told: it was started by an earlier host program.
    Unseen,
}

impl Leader {
    /// Starts a program. `birth` is where it writes who it is, if that is to be found again.
    pub(super) fn start(
        invocation: &Invocation,
        streams: Streams,
        birth: Option<OwnedFd>,
        watchdog: Option<Arc<Watchdog>>,
    ) -> Result<Self, RuntimeError> {
        let birth = birth.map_or_else(|| rustix::fs::memfd_create("birth", MemfdFlags::CLOEXEC), Ok);
        let birth = birth.map_err(io::Error::from)?;
        let entry = Entry {
            birth: birth.try_clone()?,
            watchdog: watchdog.as_ref().map(|watchdog| watchdog.entrance()).transpose()?,
        };
        let kept = watchdog.is_none();
        let pid = spawn::start(invocation, streams, entry).map_err(|error| {
            take_back(&birth, watchdog.as_deref());
            let name = invocation.words.first().map_or("", String::as_str);
            RuntimeError::Container(format!("exec: {name:?}: {error}"))
        })?;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("impossible pid"))?;
        Ok(Self::watch(pid, watchdog, kept)?)
    }

    /// Finds a process again that an earlier host program started; `None` if it is no more.
    pub(super) fn find(birth: &Option<Birth>) -> Option<Self> {
        let birth = birth.as_ref()?;
        let leader = Self::watch(birth.pid, None, true).ok();
        // In this order: what exists after the descriptor was made is what the descriptor is of.
        leader.filter(|_watched| birth.exists()).or_else(|| {
            // Its number is its session's: while others of the session live, the number cannot have been given away.
            let number_is_free = !std::path::Path::new(&format!("/proc/{}", birth.pid.as_raw_pid())).exists();
            if number_is_free && !session::living_members(birth.pid).is_empty() {
                session::kill(birth.pid);
            }
            None
        })
    }

    fn watch(pid: Pid, watchdog: Option<Arc<Watchdog>>, kept: bool) -> io::Result<Self> {
        let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        let process = watched(process, Interest::READABLE)?;
        Ok(Self { pid, process, reaped: Mutex::new(None), watchdog, kept })
    }

    /// Its number, which is its session's too.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until the process has ended.
    pub(super) async fn ended(&self) {
        // Ready once, ready for ever; an error means that the tokio runtime is ending.
        if self.process.readable().await.is_err() {
            std::future::pending().await
        }
    }

    /// Asks it to end: SIGTERM to its process group.
    pub(super) fn terminate(&self) {
        self.unless_reaped(|| {
            let _may_have_ended = rustix::process::kill_process_group(self.pid, Signal::TERM);
        });
    }

    /// Kills its whole session. Always true, for use in conditions that drop it then.
    pub(super) fn kill(&self) -> bool {
        self.unless_reaped(|| session::kill(self.pid));
        true
    }

    fn unless_reaped(&self, act: impl FnOnce()) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if reaped.is_none() {
            act();
        }
    }

    /// Takes note of its end: kills what is left of its session, then frees its number. To be called once it has
    /// ended; called again, it says the same.
    pub(super) fn reap(&self) -> End {
        let mut reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = *reaped {
            return end;
        }
        session::kill(self.pid);
        if let Some(watchdog) = &self.watchdog {
            watchdog.forget(self.pid);
        }
        let end = self.wait();
        *reaped = Some(end);
        end
    }

    fn wait(&self) -> End {
        let process = WaitId::PidFd(self.process.get_ref().as_fd());
        match rustix::process::waitid(process, WaitIdOptions::EXITED) {
            Ok(Some(status)) => {
                let signal = status.terminating_signal().unwrap_or(0);
                let code = status.exit_status().unwrap_or(128 + signal);
                End::Seen { code, signal }
            }
            // Not a child of this program, or of one that does not care for its children.
            Ok(None) | Err(_) => End::Unseen,
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let reaped = self.reaped.get_mut().unwrap_or_else(PoisonError::into_inner).is_some();
        if !reaped && !self.kept {
            self.kill();
            // A killed process ends at once, so this wait is short.
            self.reap();
        }
    }
}

/// A process that failed between entering itself and becoming the program is still on the watchdog's list.
fn take_back(birth: &OwnedFd, watchdog: Option<&Watchdog>) {
    let mut text = [0_u8; 1024];
    let length = rustix::io::pread(birth, &mut text, 0).unwrap_or_default();
    let entered = text.get(..length).and_then(|text| std::str::from_utf8(text).ok()).and_then(Birth::parse);
    if let (Some(birth), Some(watchdog)) = (entered, watchdog) {
        watchdog.forget(birth.pid);
    }
}
