//! A connection on which a client opens streams.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use super::frame::{Decoder, PROTOCOL_ERROR, REFUSED_STREAM};
use super::headers::{Compressor, Decompressor};
use super::stream::{self, Entry, Stream};
use super::{Error, Frame};

/// Streams that may be open at a time; others are refused.
pub const STREAMS_MAX: usize = 1_000;
/// Frames that wait to be written before those who send have to wait.
pub(crate) const FRAMES_UNSENT_MAX: usize = 16;
/// Bytes that are written at a time.
const WRITE_BYTES: usize = 64 << 10;
/// How long a client is left to close the connection. Older clients lose what they have not read when the server closes
/// it, so they get time to read everything.
pub(crate) const LINGER: Duration = Duration::from_secs(30);

/// Carries a connection until the client closes it or `handle`, which is given the client's streams as they are opened,
/// is done. If the client goes first, `handle` is dropped.
///
/// # Errors
/// If the connection breaks, or the client does not speak SPDY.
pub async fn serve<F: Future<Output = ()>>(
    source: impl AsyncRead + Unpin,
    sink: impl AsyncWrite + Unpin,
    handle: impl FnOnce(mpsc::Receiver<Stream>) -> F,
) -> Result<(), Error> {
    let (frames, unsent) = mpsc::channel(FRAMES_UNSENT_MAX);
    let (arrivals, streams) = mpsc::channel(1);
    // With a weak end, so that the writer is done when `handle` is done and has dropped all streams.
    let mut reading = pin!(Reader::new(arrivals, frames.downgrade()).read(source));
    let handling = async {
        handle(streams).await;
        drop(frames);
    };
    let serving = async { tokio::join!(write(sink, unsent), handling).0 };
    tokio::select! {
        ended = reading.as_mut() => ended,
        written = serving => {
            let mut sink = written?;
            let _in_time = tokio::time::timeout(LINGER, reading).await;
            Ok(sink.shutdown().await?)
        }
    }
}

/// Writes frames until nobody can send any more; gives the sink back.
async fn write<W: AsyncWrite + Unpin>(mut sink: W, mut unsent: mpsc::Receiver<Frame>) -> Result<W, Error> {
    let mut compressor = Compressor::new()?;
    let mut bytes = BytesMut::new();
    while let Some(first) = unsent.recv().await {
        let mut next = Some(first);
        while let Some(frame) = next {
            encode(frame, &mut compressor, &mut bytes)?;
            next = if bytes.len() < WRITE_BYTES { unsent.try_recv().ok() } else { None };
        }
        sink.write_all(&bytes).await?;
        sink.flush().await?;
        bytes.clear();
    }
    Ok(sink)
}

/// Headers are compressed in the order in which they are written. Replies never have any.
fn encode(mut frame: Frame, compressor: &mut Compressor, bytes: &mut BytesMut) -> Result<(), Error> {
    if let Frame::SynReply { headers, .. } = &mut frame {
        *headers = compressor.write(&Vec::new())?;
    }
    frame.encode(bytes);
    Ok(())
}

struct Reader {
    decoder: Decoder,
    headers: Decompressor,
    streams: HashMap<u32, Entry>,
    /// The newest stream's number.
    newest: u32,
    arrivals: mpsc::Sender<Stream>,
    frames: mpsc::WeakSender<Frame>,
}

impl Reader {
    fn new(arrivals: mpsc::Sender<Stream>, frames: mpsc::WeakSender<Frame>) -> Self {
        let (decoder, headers) = (Decoder::default(), Decompressor::default());
        Self { decoder, headers, streams: HashMap::new(), newest: 0, arrivals, frames }
    }

    async fn read(mut self, mut source: impl AsyncRead + Unpin) -> Result<(), Error> {
        let mut received = BytesMut::new();
        loop {
            while let Some(frame) = self.decoder.decode(&mut received)? {
                self.take(frame).await?;
            }
            if source.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn take(&mut self, frame: Frame) -> Result<(), Error> {
        match frame {
            Frame::SynStream { stream, fin, headers } => self.open(stream, fin, &headers).await?,
            Frame::Data { stream, fin, payload } => {
                // Of a stream that was reset, perhaps.
                if let Some(entry) = self.streams.get_mut(&stream) {
                    entry.take(payload, fin).await;
                }
            }
            Frame::Reset { stream, .. } => drop(self.streams.remove(&stream)),
            // Even numbers are answers.
            Frame::Ping(id) if id % 2 == 1 => self.send(Frame::Ping(id)).await,
            // Nobody asks for them, but the next ones are compressed with respect to them.
            Frame::SynReply { headers, .. } | Frame::Headers { headers, .. } => drop(self.headers.read(&headers)?),
            Frame::Ping(_) | Frame::GoAway { .. } | Frame::Other { .. } => {}
        }
        Ok(())
    }

    async fn open(&mut self, id: u32, fin: bool, headers: &[u8]) -> Result<(), Error> {
        let headers = self.headers.read(headers)?;
        if id % 2 == 0 || id <= self.newest {
            self.send(Frame::Reset { stream: id, why: PROTOCOL_ERROR }).await;
            return Ok(());
        }
        self.newest = id;
        self.streams.retain(|_, entry| !entry.is_over());
        let Some(frames) = self.frames.upgrade().filter(|_| self.streams.len() < STREAMS_MAX) else {
            self.send(Frame::Reset { stream: id, why: REFUSED_STREAM }).await;
            return Ok(());
        };
        let (stream, mut entry) = stream::open(id, headers, frames);
        entry.take(Bytes::new(), fin).await;
        if let Err(unwanted) = self.arrivals.send(stream).await {
            unwanted.0.refuse().await;
        } else {
            self.streams.insert(id, entry);
        }
        Ok(())
    }

    async fn send(&self, frame: Frame) {
        if let Some(frames) = self.frames.upgrade() {
            let _nobody_writes = frames.send(frame).await;
        }
    }
}
