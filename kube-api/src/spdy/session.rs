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
            Frame::Ping(id) if !id.is_multiple_of(2) => self.send(Frame::Ping(id)).await,
            // Nobody asks for them, but the next ones are compressed with respect to them.
            Frame::SynReply { headers, .. } | Frame::Headers { headers, .. } => drop(self.headers.read(&headers)?),
            Frame::Ping(_) | Frame::GoAway { .. } | Frame::Other { .. } => {}
        }
        Ok(())
    }

    async fn open(&mut self, id: u32, fin: bool, headers: &[u8]) -> Result<(), Error> {
        let headers = self.headers.read(headers)?;
        if id.is_multiple_of(2) || id <= self.newest {
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

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::spdy::headers::Headers;

    /// A client, which writes what it likes and reads frames.
    struct Client {
        connection: DuplexStream,
        compressor: Compressor,
        decoder: Decoder,
        received: BytesMut,
    }

    impl Client {
        /// With a server that echoes what comes on accepted streams and refuses those of type `unwanted`.
        fn start() -> (Self, JoinHandle<Result<(), Error>>) {
            let (connection, server) = tokio::io::duplex(1 << 10);
            let (source, sink) = tokio::io::split(server);
            let serving = tokio::spawn(async move { serve(source, sink, echo).await });
            let (compressor, decoder) = (Compressor::new().unwrap(), Decoder::default());
            (Self { connection, compressor, decoder, received: BytesMut::new() }, serving)
        }

        async fn send(&mut self, frame: Frame) {
            let mut bytes = BytesMut::new();
            frame.encode(&mut bytes);
            self.connection.write_all(&bytes).await.unwrap();
        }

        async fn open(&mut self, stream: u32, kind: &str) {
            let headers: Headers = vec![("streamtype".to_owned(), kind.to_owned())];
            let headers = self.compressor.write(&headers).unwrap();
            self.send(Frame::SynStream { stream, fin: false, headers }).await;
        }

        async fn data(&mut self, stream: u32, text: &'static str, fin: bool) {
            self.send(Frame::Data { stream, fin, payload: Bytes::from_static(text.as_bytes()) }).await;
        }

        /// The next frame, shortly.
        async fn next(&mut self) -> String {
            loop {
                match self.decoder.decode(&mut self.received).unwrap() {
                    Some(Frame::SynReply { stream, .. }) => return format!("{stream} accepted"),
                    Some(Frame::Reset { stream, why }) => return format!("{stream} reset {why}"),
                    Some(Frame::Data { stream, fin: true, payload }) if payload.is_empty() => {
                        return format!("{stream} end");
                    }
                    Some(Frame::Data { stream, payload, .. }) => {
                        return format!("{stream} {}", String::from_utf8_lossy(&payload));
                    }
                    Some(other) => return format!("{other:?}"),
                    None if self.connection.read_buf(&mut self.received).await.unwrap() == 0 => return "gone".into(),
                    None => {}
                }
            }
        }

        async fn expect(&mut self, frames: &[&str]) {
            for frame in frames {
                assert_eq!(self.next().await, *frame);
            }
        }
    }

    /// Done when a stream of type `last` has come.
    async fn echo(mut streams: mpsc::Receiver<Stream>) {
        while let Some(mut stream) = streams.recv().await {
            match stream.header("streamtype") {
                "unwanted" => stream.refuse().await,
                "last" => return stream.accept().await,
                _ => {
                    stream.accept().await;
                    tokio::spawn(async move {
                        while let Some(bytes) = stream.input.recv().await {
                            stream.output.write(bytes).await.unwrap();
                        }
                        stream.output.end().await;
                    });
                }
            }
        }
    }

    #[tokio::test]
    async fn streams_are_carried_side_by_side() {
        let (mut client, serving) = Client::start();
        client.open(1, "echo").await;
        client.open(3, "echo").await;
        client.expect(&["1 accepted", "3 accepted"]).await;
        client.data(3, "three", false).await;
        client.expect(&["3 three"]).await;
        client.data(1, "one", true).await;
        client.expect(&["1 one", "1 end"]).await;
        client.open(5, "unwanted").await;
        client.expect(&["5 reset 3"]).await;
        // Numbers only go up, and even ones are the server's.
        client.open(5, "echo").await;
        client.open(8, "echo").await;
        client.expect(&["5 reset 1", "8 reset 1"]).await;
        client.send(Frame::Ping(7)).await;
        client.expect(&["Ping(7)"]).await;
        client.data(99, "nobody's", false).await;
        client.data(3, "more", true).await;
        client.expect(&["3 more", "3 end"]).await;
        drop(client);
        serving.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_done_leaves_the_client_time_to_read() {
        let (mut client, serving) = Client::start();
        client.open(1, "last").await;
        client.expect(&["1 accepted", "gone"]).await;
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn no_more_streams_than_there_is_room_for() {
        let (mut client, _serving) = Client::start();
        let ids: Vec<u32> = (0..).map(|index| index * 2 + 1).take(STREAMS_MAX + 1).collect();
        for id in &ids {
            client.open(*id, "echo").await;
            let is_last = ids.last() == Some(id);
            client.expect(&[&*if is_last { format!("{id} reset 3") } else { format!("{id} accepted") }]).await;
        }
        // One that is over makes room.
        client.send(Frame::Reset { stream: 1, why: 5 }).await;
        client.open(9_999, "echo").await;
        client.expect(&["9999 accepted"]).await;
    }

    #[tokio::test]
    async fn what_is_not_spdy_ends_the_connection() {
        let (mut client, serving) = Client::start();
        client.connection.write_all(&[0x80, 2, 0, 1, 0, 0, 0, 0]).await.unwrap();
        assert!(matches!(serving.await.unwrap(), Err(Error::Version(2))));
    }
}
