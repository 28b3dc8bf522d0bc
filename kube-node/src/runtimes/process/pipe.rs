//! Reading from and writing into descriptors without blocking.

use std::io;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::descriptor::watched;

/// How much is read at a time.
const CHUNK_BYTES: usize = 8 * 1024;

fn without_blocking(end: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_setfl(end, fcntl_getfl(end)? | OFlags::NONBLOCK)?)
}

/// The reading end of a pipe or a terminal.
pub(super) struct PipeReader {
    end: AsyncFd<OwnedFd>,
    open: bool,
    chunk: Vec<u8>,
}

impl PipeReader {
    pub(super) fn new(end: OwnedFd) -> io::Result<Self> {
        without_blocking(&end)?;
        let end = watched(end, Interest::READABLE)?;
        Ok(Self { end, open: true, chunk: Vec::with_capacity(CHUNK_BYTES) })
    }

    /// Waits for something to read and reads it, for [`PipeReader::chunk`]. For ever once there is nothing more to come.
    /// Nothing is lost if it is dropped while it waits.
    pub(super) async fn read(&mut self) {
        while self.open {
            self.chunk.clear();
            let chunk = &mut self.chunk;
            let read = self.end.async_io(Interest::READABLE, |end| read_into(end, chunk)).await;
            match read {
                Ok(1..) => return,
                // A terminal says EIO when its last user has gone.
                Ok(0) | Err(_) => self.open = false,
            }
        }
        std::future::pending().await
    }

    /// Reads what is there without waiting; false if there is nothing.
    pub(super) fn read_at_once(&mut self) -> bool {
        self.chunk.clear();
        self.open && read_into(self.end.get_ref(), &mut self.chunk).is_ok_and(|length| length > 0)
    }

    /// What was read last.
    pub(super) fn chunk(&self) -> &[u8] {
        &self.chunk
    }
}

fn read_into(end: &OwnedFd, chunk: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        match rustix::io::read(end, rustix::buffer::spare_capacity(chunk)) {
            Err(rustix::io::Errno::INTR) => {}
            read => return Ok(read?),
        }
    }
}

/// Writes what is sent, until the sender or the reader is gone.
pub(super) fn feed(end: OwnedFd) -> io::Result<mpsc::Sender<Bytes>> {
    const PIECES_WAITING_MAX: usize = 16;
    without_blocking(&end)?;
    let end = watched(end, Interest::WRITABLE)?;
    let (sender, mut pieces) = mpsc::channel::<Bytes>(PIECES_WAITING_MAX);
    tokio::spawn(async move {
        while let Some(mut piece) = pieces.recv().await {
            while !piece.is_empty() {
                let write = |end: &OwnedFd| Ok(rustix::io::write(end, &piece)?);
                let Ok(length) = end.async_io(Interest::WRITABLE, write).await else { return };
                let _written = piece.split_to(length);
            }
        }
    });
    Ok(sender)
}
