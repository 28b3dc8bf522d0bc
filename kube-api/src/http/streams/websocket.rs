//! Streams in a WebSocket: as channels, whose number is each message's first byte, or tunnelled SPDY.
//!
//! Source: apimachinery `util/httpstream/wsstream`, client-go `tools/portforward/tunneling_connection.go`.

use std::future::Future;
use std::io;
use std::pin::pin;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{Sink, SinkExt as _, StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use crate::spdy::headers::Headers;
use crate::spdy::session::{FRAMES_UNSENT_MAX, LINGER};
use crate::spdy::stream::{self, Entry};
use crate::spdy::{Frame, Stream};

/// Bytes that one message may have.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Instead of a channel: the next byte names the channel that the client closes.
const CLOSE: u8 = 255;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// Binary messages; the channel is a byte.
    Binary,
    /// Text messages; the channel is a digit, the rest is base64.
    Base64,
}

/// What the channels of a WebSocket can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) coding: Coding,
    /// Whether the client can close a channel and leave the others open.
    pub(super) closes: bool,
}

async fn socket<S: AsyncRead + AsyncWrite + Unpin>(connection: S) -> WebSocketStream<S> {
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX));
    WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await
}

/// The bytes of binary messages, and a way to send more of them.
pub(super) async fn tunnel<S>(connection: S) -> (impl AsyncRead + Unpin, impl AsyncWrite + Unpin)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sink, source) = socket(connection).await.split();
    let bytes =
        source.try_filter_map(async |message| Ok(if let Message::Binary(data) = message { Some(data) } else { None }));
    let sink = sink.with(async |bytes: Bytes| Ok::<_, Error>(Message::Binary(bytes)));
    let reader = StreamReader::new(Box::pin(bytes.map_err(io::Error::other)));
    (reader, SinkWriter::new(CopyToBytes::new(Box::pin(sink.sink_map_err(io::Error::other)))))
}

/// Shows `handle` one stream per channel, and carries them until the client closes the socket or `handle` is done. If
/// the client goes first, `handle` is dropped.
pub(super) async fn serve<F: Future<Output = ()>>(
    connection: impl AsyncRead + AsyncWrite + Unpin,
    rules: Rules,
    channels: Vec<Headers>,
    handle: impl FnOnce(mpsc::Receiver<Stream>) -> F,
) {
    let (sink, source) = socket(connection).await.split();
    let (frames, unsent) = mpsc::channel(FRAMES_UNSENT_MAX);
    let (arrivals, streams) = mpsc::channel(channels.len().max(1));
    let mut entries = Vec::new();
    for (id, headers) in (0..).zip(channels) {
        let (stream, entry) = stream::open(id, headers, frames.clone());
        let _there_is_room = arrivals.try_send(stream);
        entries.push(entry);
    }
    drop(arrivals);
    let mut reading = pin!(read(source, entries, rules));
    let handling = async {
        handle(streams).await;
        drop(frames);
    };
    let serving = async { tokio::join!(write(sink, unsent, rules.coding), handling).0 };
    tokio::select! {
        () = reading.as_mut() => {}
        _written = serving => {
            let _in_time = tokio::time::timeout(LINGER, reading).await;
        }
    }
}

async fn read(
    mut messages: impl futures::Stream<Item = Result<Message, Error>> + Unpin,
    mut channels: Vec<Entry>,
    rules: Rules,
) {
    // After a close the socket has to be read on, until the answer to it is sent.
    while let Some(Ok(message)) = messages.next().await {
        let Some((number, payload)) = decode(message, rules.coding) else { continue };
        let (number, payload, fin) = match payload.first() {
            Some(closed) if number == CLOSE && rules.closes => (*closed, Bytes::new(), true),
            _ => (number, payload, false),
        };
        if let Some(channel) = channels.get_mut(usize::from(number)) {
            channel.take(payload, fin).await;
        }
    }
}

fn decode(message: Message, coding: Coding) -> Option<(u8, Bytes)> {
    let data = match message {
        Message::Binary(data) => data,
        Message::Text(text) => Bytes::from(text),
        _ => return None,
    };
    let first = *data.first()?;
    let rest = data.slice(1..);
    match coding {
        Coding::Binary => Some((first, rest)),
        Coding::Base64 => Some((first.checked_sub(b'0')?, STANDARD.decode(rest).ok()?.into())),
    }
}

fn encode(channel: u8, payload: &[u8], coding: Coding) -> Message {
    match coding {
        Coding::Binary => Message::Binary([&[channel], payload].concat().into()),
        Coding::Base64 => {
            let digit = char::from(b'0'.saturating_add(channel));
            Message::Text(format!("{digit}{}", STANDARD.encode(payload)).into())
        }
    }
}

/// Sends what is written to the channels. They are there from the start and have no end of their own.
async fn write(
    mut socket: impl Sink<Message, Error = Error> + Unpin,
    mut unsent: mpsc::Receiver<Frame>,
    coding: Coding,
) -> Result<(), Error> {
    while let Some(frame) = unsent.recv().await {
        if let Frame::Data { stream, payload, .. } = frame
            && let (Ok(channel), false) = (u8::try_from(stream), payload.is_empty())
        {
            socket.send(encode(channel, &payload, coding)).await?;
        }
    }
    // Without an explicit code, kubectl takes the close for a failure.
    socket.send(Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_were_written() {
        for coding in [Coding::Binary, Coding::Base64] {
            let message = encode(2, b"hi", coding);
            assert_eq!(decode(message, coding), Some((2, Bytes::from_static(b"hi"))), "{coding:?}");
            assert_eq!(decode(Message::Binary(Bytes::new()), coding), None);
        }
        assert_eq!(encode(1, b"hi", Coding::Base64), Message::Text("1aGk=".into()));
        assert_eq!(decode(Message::Text("1?".into()), Coding::Base64), None);
    }
}
