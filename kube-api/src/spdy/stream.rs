//! The ends of one stream, whichever connection carries it.

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::Frame;
use super::frame::{PIECE_BYTES_MAX, REFUSED_STREAM};
use super::headers::{self, Headers};

/// Pieces of a stream that its reader may leave unread before its connection is not read any more.
const PIECES_UNREAD_MAX: usize = 8;

/// A stream that the other side opened. It is to be accepted or refused before anything is sent on it.
#[derive(Debug)]
pub struct Stream {
    /// Its number.
    pub id: u32,
    /// What it is for.
    pub headers: Headers,
    /// What comes on it; ends when the other side ends it or is gone.
    pub input: mpsc::Receiver<Bytes>,
    /// Where to send.
    pub output: Output,
}

impl Stream {
    /// The first value of a header; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        headers::value(&self.headers, name)
    }

    /// Says yes to it.
    pub async fn accept(&self) {
        self.output.send(Frame::SynReply { stream: self.id, fin: false, headers: Bytes::new() }).await;
    }

    /// Says no to it.
    pub async fn refuse(self) {
        self.output.send(Frame::Reset { stream: self.id, why: REFUSED_STREAM }).await;
    }
}

/// The other side does not want any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream is closed")]
pub struct Closed;

/// Sends on a stream. To be ended; one that is dropped leaves its stream open until the connection ends.
#[derive(Debug)]
pub struct Output {
    stream: u32,
    frames: mpsc::Sender<Frame>,
    /// Closed when the other side resets the stream.
    reset: watch::Receiver<()>,
}

impl Output {
    /// Sends bytes, waiting while the connection is busy.
    ///
    /// # Errors
    /// If nobody reads them any more.
    pub async fn write(&self, mut bytes: Bytes) -> Result<(), Closed> {
        while !bytes.is_empty() {
            let payload = bytes.split_to(bytes.len().min(PIECE_BYTES_MAX));
            let frame = Frame::Data { stream: self.stream, fin: false, payload };
            let is_sent = tokio::select! {
                biased;
                () = self.closed() => false,
                is_sent = self.send(frame) => is_sent,
            };
            if !is_sent {
                return Err(Closed);
            }
        }
        Ok(())
    }

    /// Says that nothing more is sent.
    pub async fn end(self) {
        // A reset stream has no end to speak of.
        if self.reset.has_changed().is_ok() {
            self.send(Frame::Data { stream: self.stream, fin: true, payload: Bytes::new() }).await;
        }
    }

    /// Waits until the other side has reset the stream.
    pub async fn closed(&self) {
        let mut reset = self.reset.clone();
        while reset.changed().await.is_ok() {}
    }

    async fn send(&self, frame: Frame) -> bool {
        self.frames.send(frame).await.is_ok()
    }
}

/// What a connection keeps of an open stream.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Where to put what comes; `None` once nothing more comes or nobody reads.
    pub(crate) input: Option<mpsc::Sender<Bytes>>,
    reset: watch::Sender<()>,
}

impl Entry {
    /// Puts in what came.
    pub(crate) async fn take(&mut self, payload: Bytes, fin: bool) {
        if let Some(input) = self.input.as_ref().filter(|_| !payload.is_empty())
            && input.send(payload).await.is_err()
        {
            self.input = None;
        }
        if fin {
            self.input = None;
        }
    }

    /// Whether nobody has any of the stream's ends any more.
    pub(crate) fn is_over(&self) -> bool {
        self.reset.is_closed() && self.input.as_ref().is_none_or(mpsc::Sender::is_closed)
    }
}

/// Makes both sides of a stream.
pub(crate) fn open(id: u32, headers: Headers, frames: mpsc::Sender<Frame>) -> (Stream, Entry) {
    let (sender, input) = mpsc::channel(PIECES_UNREAD_MAX);
    let (reset, is_reset) = watch::channel(());
    let output = Output { stream: id, frames, reset: is_reset };
    (Stream { id, headers, input, output }, Entry { input: Some(sender), reset })
}
