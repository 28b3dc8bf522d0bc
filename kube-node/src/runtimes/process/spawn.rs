//! The moment between fork and exec: a new process leads a session of its own and enters itself in the records before it
//! becomes the program. So there is no instant at which it exists and nobody knows of it.
//!
//! # Safety
//!
//! The unsafe thing is [`CommandExt::pre_exec`], whose closure runs in the forked child of a program that
//! may have many threads. There, only async-signal-safe things may be done: no allocation, no locks, nothing that another
//! thread may have left half done. The closure, [`Entry::enter`], makes only direct system calls (setsid, ioctl, open, read,
//! write) through rustix, on a constant C string, on descriptors that the closure owns and on arrays on its own stack; errors
//! are made from numbers (`io::Error::from_raw_os_error` does not allocate).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use tokio::sync::mpsc;

use super::command::Invocation;
use super::pipe;

/// Where a process reads from and prints to.
pub(super) struct Streams {
    pub(super) stdin: Stdio,
    pub(super) stdout: Stdio,
    pub(super) stderr: Stdio,
    /// The terminal that becomes its session's own, if it has one.
    pub(super) terminal: Option<OwnedFd>,
}

/// Where a process enters itself.
pub(super) struct Entry {
    /// Gets the text of its `/proc/<pid>/stat`: who it is, in a way that outlives the reuse of its number.
    pub(super) birth: OwnedFd,
    /// Gets `+ <pid>`: to be killed when the host program ends.
    pub(super) watchdog: Option<OwnedFd>,
}

/// Starts a program that leads its own session. On an error it may have entered itself before it failed.
pub(super) fn start(invocation: &Invocation, streams: Streams, entry: Entry) -> io::Result<u32> {
    let mut command = Command::new(&invocation.program);
    command.arg0(invocation.words.first().map_or("", String::as_str)).args(invocation.words.iter().skip(1));
    command.env_clear().envs(&invocation.env).current_dir(&invocation.directory);
    command.stdin(streams.stdin).stdout(streams.stdout).stderr(streams.stderr);
    let terminal = streams.terminal;
    // SAFETY: see the module's documentation.
    unsafe { command.pre_exec(move || entry.enter(terminal.as_ref())) };
    // The child is waited for through its pidfd; dropping the handle does nothing.
    command.spawn().map(|child| child.id())
}

impl Entry {
    /// Runs in the child. A single write of so few bytes into a pipe is whole or not at all.
    fn enter(&self, terminal: Option<&OwnedFd>) -> io::Result<()> {
        rustix::process::setsid()?;
        if let Some(terminal) = terminal {
            rustix::process::ioctl_tiocsctty(terminal)?;
        }
        let mut stat = [0_u8; 1024];
        let file = rustix::fs::open(c"/proc/self/stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let length = rustix::io::read(&file, &mut stat)?;
        let text = stat.get(..length).unwrap_or_default();
        rustix::io::write(&self.birth, text)?;
        let Some(watchdog) = &self.watchdog else { return Ok(()) };
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
        let mut line = [0_u8; 32];
        let mut length = 0;
        for (slot, byte) in line.iter_mut().zip(b"+ ".iter().chain(digits).chain(b"\n")) {
            *slot = *byte;
            length += 1;
        }
        rustix::io::write(watchdog, line.get(..length).unwrap_or_default())?;
        Ok(())
    }
}

/// Standard input for a process: empty, or what is sent.
pub(super) fn stdin(wanted: bool) -> io::Result<(Stdio, Option<mpsc::Sender<Bytes>>)> {
    if !wanted {
        return Ok((Stdio::null(), None));
    }
    let (reader, writer) = io::pipe()?;
    Ok((reader.into(), Some(pipe::feed(writer.into())?)))
}
