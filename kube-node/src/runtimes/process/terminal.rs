//! Terminals for commands that people talk to.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::sync::mpsc;

/// The two ends of a new terminal: the program's, and ours.
pub(super) fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let name = ptsname(&ours, Vec::new())?;
    let path = std::ffi::OsStr::from_bytes(name.as_bytes());
    // Opened by this program, which must not make it its own terminal.
    let flags = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).unwrap_or_default();
    let mut options = File::options();
    let options = std::os::unix::fs::OpenOptionsExt::custom_flags(options.read(true).write(true), flags);
    Ok((options.open(path)?.into(), ours))
}

/// Sets the terminal's size to what is sent: columns and rows.
pub(super) fn resize(ours: OwnedFd) -> mpsc::Sender<(u16, u16)> {
    let (sender, mut sizes) = mpsc::channel(4);
    tokio::spawn(async move {
        while let Some((columns, rows)) = sizes.recv().await {
            let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            let _may_have_ended = tcsetwinsize(&ours, size);
        }
    });
    sender
}
