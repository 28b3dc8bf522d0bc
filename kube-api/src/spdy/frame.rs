//! Frames as values, and their bytes.
//!
//! ```text
//! data     0 | stream (31)                | flags (8) | length (24) | payload
//! control  1 | version (15) | type (16)   | flags (8) | length (24) | body
//! ```

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::Error;

/// Bytes that a frame may have unless it carries data.
pub const CONTROL_BYTES_MAX: usize = 64 << 10;
/// Data frames up to this size are handed on whole, larger ones in pieces as they come. Outgoing ones are no larger.
pub const PIECE_BYTES_MAX: usize = 32 << 10;

/// Reset because the stream was opened against the rules.
pub const PROTOCOL_ERROR: u32 = 1;
/// Reset because the stream is not wanted.
pub const REFUSED_STREAM: u32 = 3;

const VERSION: u16 = 3;
const HEAD_BYTES: usize = 8;
const CONTROL_BIT: u32 = 1 << 31;
const LENGTH_BITS: u32 = 0xff_ffff;
const FIN: u8 = 1;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GO_AWAY: u16 = 7;
const HEADERS: u16 = 8;

/// One frame. Headers are still compressed: what they mean depends on all headers before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream.
    SynStream {
        /// Its number; odd if a client opens it.
        stream: u32,
        /// Whether the opener sends nothing on it.
        fin: bool,
        /// Compressed.
        headers: Bytes,
    },
    /// Accepts a stream.
    SynReply {
        /// Its number.
        stream: u32,
        /// Whether the accepter sends nothing on it.
        fin: bool,
        /// Compressed.
        headers: Bytes,
    },
    /// Ends a stream in both directions.
    Reset {
        /// Its number.
        stream: u32,
        /// A status code.
        why: u32,
    },
    /// To be sent back by the other side, if it has the sender's parity.
    Ping(u32),
    /// The sender takes no more streams.
    GoAway {
        /// The last stream it took.
        last: u32,
        /// A status code.
        why: u32,
    },
    /// More headers of a stream.
    Headers {
        /// Its number.
        stream: u32,
        /// Whether they are the last that the sender sends on it.
        fin: bool,
        /// Compressed.
        headers: Bytes,
    },
    /// Bytes of a stream, or a piece of a large frame of them.
    Data {
        /// Its number.
        stream: u32,
        /// Whether they are the last that the sender sends on it.
        fin: bool,
        /// The bytes.
        payload: Bytes,
    },
    /// A frame that needs no answer: settings, window updates, and types that are not known.
    Other {
        /// Its type.
        kind: u16,
        /// Its flags.
        flags: u8,
        /// Its body.
        body: Bytes,
    },
}

impl Frame {
    /// Appends the frame's bytes. Data beyond the length that a frame can tell is cut off: see [`PIECE_BYTES_MAX`].
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::SynStream { stream, fin, headers } => {
                // Associated with no stream, at the highest priority.
                let fixed = [stream.to_be_bytes(), [0; 4]].concat();
                control(out, SYN_STREAM, u8::from(*fin), &[&fixed, &[0; 2], headers]);
            }
            Self::SynReply { stream, fin, headers } => {
                control(out, SYN_REPLY, u8::from(*fin), &[&stream.to_be_bytes(), headers]);
            }
            Self::Reset { stream, why } => {
                control(out, RST_STREAM, 0, &[&stream.to_be_bytes(), &why.to_be_bytes()]);
            }
            Self::Ping(id) => control(out, PING, 0, &[&id.to_be_bytes()]),
            Self::GoAway { last, why } => control(out, GO_AWAY, 0, &[&last.to_be_bytes(), &why.to_be_bytes()]),
            Self::Headers { stream, fin, headers } => {
                control(out, HEADERS, u8::from(*fin), &[&stream.to_be_bytes(), headers]);
            }
            Self::Data { stream, fin, payload } => {
                out.put_u32(*stream & !CONTROL_BIT);
                body(out, u8::from(*fin), &[payload]);
            }
            Self::Other { kind, flags, body } => control(out, *kind, *flags, &[body]),
        }
    }
}

fn control(out: &mut BytesMut, kind: u16, flags: u8, parts: &[&[u8]]) {
    out.put_u32(CONTROL_BIT | u32::from(VERSION) << 16 | u32::from(kind));
    body(out, flags, parts);
}

fn body(out: &mut BytesMut, flags: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).unwrap_or(u32::MAX).min(LENGTH_BITS);
    out.put_u32(u32::from(flags) << 24 | length);
    let mut left = usize::try_from(length).unwrap_or_default();
    for part in parts {
        let part = part.get(..left).unwrap_or(part);
        out.put_slice(part);
        left -= part.len();
    }
}

/// Takes frames off the front of received bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The data frame of which a part was handed on.
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    stream: u32,
    fin: bool,
    left: usize,
}

impl Decoder {
    /// The next frame; `None` until more bytes have come.
    ///
    /// # Errors
    /// If the bytes are no frame. Then nothing after them can be understood either.
    pub fn decode(&mut self, received: &mut BytesMut) -> Result<Option<Frame>, Error> {
        if let Some(begun) = self.begun.take() {
            return Ok(self.piece(begun, received));
        }
        let Some(mut head) = received.get(..HEAD_BYTES) else { return Ok(None) };
        let (first, second) = (head.get_u32(), head.get_u32());
        let length = usize::try_from(second & LENGTH_BITS).unwrap_or(usize::MAX);
        let flags = second.to_be_bytes()[0];
        if first & CONTROL_BIT == 0 {
            return Ok(self.data(first, flags & FIN != 0, length, received));
        }
        let version = u16::try_from(first >> 16 & 0x7fff).unwrap_or_default();
        if version != VERSION {
            return Err(Error::Version(version));
        }
        if length > CONTROL_BYTES_MAX {
            return Err(Error::TooLong { bytes: length });
        }
        if received.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        received.advance(HEAD_BYTES);
        let kind = u16::try_from(first & 0xffff).unwrap_or_default();
        read(kind, flags, received.split_to(length).freeze()).ok_or(Error::Malformed(kind)).map(Some)
    }

    fn data(&mut self, stream: u32, fin: bool, length: usize, received: &mut BytesMut) -> Option<Frame> {
        if length > PIECE_BYTES_MAX {
            received.advance(HEAD_BYTES);
            return self.piece(Begun { stream, fin, left: length }, received);
        }
        if received.len() < HEAD_BYTES + length {
            return None;
        }
        received.advance(HEAD_BYTES);
        Some(Frame::Data { stream, fin, payload: received.split_to(length).freeze() })
    }

    fn piece(&mut self, begun: Begun, received: &mut BytesMut) -> Option<Frame> {
        let Begun { stream, fin, left } = begun;
        let length = left.min(received.len()).min(PIECE_BYTES_MAX);
        let left = left - length;
        if left > 0 {
            self.begun = Some(Begun { stream, fin, left });
        }
        let payload = received.split_to(length).freeze();
        (length > 0).then(|| Frame::Data { stream, fin: fin && left == 0, payload })
    }
}

/// Reads a control frame's body; `None` if it is too short.
fn read(kind: u16, flags: u8, mut body: Bytes) -> Option<Frame> {
    let fin = flags & FIN != 0;
    let mut number = || body.try_get_u32().ok();
    Some(match kind {
        SYN_STREAM => {
            let stream = number()? & !CONTROL_BIT;
            let _associated = number()?;
            let _priority_and_slot = body.try_get_u16().ok()?;
            Frame::SynStream { stream, fin, headers: body }
        }
        SYN_REPLY => Frame::SynReply { stream: number()? & !CONTROL_BIT, fin, headers: body },
        RST_STREAM => Frame::Reset { stream: number()? & !CONTROL_BIT, why: number()? },
        PING => Frame::Ping(number()?),
        GO_AWAY => Frame::GoAway { last: number()? & !CONTROL_BIT, why: number()? },
        HEADERS => Frame::Headers { stream: number()? & !CONTROL_BIT, fin, headers: body },
        _ => Frame::Other { kind, flags, body },
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn frames() -> impl Strategy<Value = Frame> {
        let stream = || 0..CONTROL_BIT;
        let bytes = || vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        prop_oneof![
            (stream(), any::<bool>(), bytes()).prop_map(|(stream, fin, headers)| Frame::SynStream {
                stream,
                fin,
                headers
            }),
            (stream(), any::<bool>(), bytes()).prop_map(|(stream, fin, headers)| Frame::SynReply {
                stream,
                fin,
                headers
            }),
            (stream(), any::<u32>()).prop_map(|(stream, why)| Frame::Reset { stream, why }),
            any::<u32>().prop_map(Frame::Ping),
            (stream(), any::<u32>()).prop_map(|(last, why)| Frame::GoAway { last, why }),
            (stream(), any::<bool>(), bytes()).prop_map(|(stream, fin, headers)| Frame::Headers {
                stream,
                fin,
                headers
            }),
            (stream(), any::<bool>(), bytes()).prop_map(|(stream, fin, payload)| Frame::Data { stream, fin, payload }),
            (9..=u16::MAX, any::<u8>(), bytes()).prop_map(|(kind, flags, body)| Frame::Other { kind, flags, body }),
        ]
    }

    /// All frames of bytes that come in portions.
    fn decode(bytes: &[u8], portion: usize) -> Result<Vec<Frame>, Error> {
        let (mut decoder, mut received, mut frames) = (Decoder::default(), BytesMut::new(), Vec::new());
        for portion in bytes.chunks(portion) {
            received.extend_from_slice(portion);
            while let Some(frame) = decoder.decode(&mut received)? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    proptest! {
        #[test]
        fn frames_are_read_as_they_were_written(sent in vec(frames(), 0..8), portion in 1..50_usize) {
            let mut bytes = BytesMut::new();
            sent.iter().for_each(|frame| frame.encode(&mut bytes));
            prop_assert_eq!(decode(&bytes, portion).unwrap(), sent);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200), portion in 1..50_usize) {
            let _frames_or_error = decode(&bytes, portion);
            // The same as a control frame of the right version.
            let control = [&[0x80, 3, 0][..], &bytes].concat();
            let _frames_or_error = decode(&control, portion);
        }

        #[test]
        fn large_frames_come_in_pieces(length in PIECE_BYTES_MAX..200_000, portion in 1..100_000_usize) {
            let payload: Bytes = (0..length).map(|index| index.to_le_bytes()[0]).collect();
            let mut bytes = BytesMut::new();
            Frame::Data { stream: 1, fin: true, payload: payload.clone() }.encode(&mut bytes);
            let (mut joined, mut ends) = (Vec::new(), Vec::new());
            for frame in decode(&bytes, portion).unwrap() {
                let Frame::Data { stream: 1, fin, payload } = frame else { panic!("{frame:?}") };
                prop_assert!(payload.len() <= PIECE_BYTES_MAX);
                joined.extend_from_slice(&payload);
                ends.push(fin);
            }
            prop_assert_eq!(joined, payload);
            prop_assert_eq!(ends.iter().position(|end| *end), Some(ends.len() - 1));
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let refused = |bytes: &[u8]| decode(bytes, 100).unwrap_err().to_string();
        assert_eq!(refused(&[0x80, 2, 0, 1, 0, 0, 0, 0]), "SPDY version 2 is not 3");
        assert_eq!(refused(&[0x80, 3, 0, 1, 0, 2, 0, 0]), "a frame of 131072 bytes is longer than 65536");
        assert_eq!(refused(&[0x80, 3, 0, 6, 0, 0, 0, 2, 0, 0]), "malformed frame of type 6");
    }
}
