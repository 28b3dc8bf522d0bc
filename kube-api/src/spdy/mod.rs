//! SPDY/3.1, as far as Kubernetes streams use it: a server's side, on which clients open streams.
//!
//! | module | what it holds |
//! |---|---|
//! | [`frame`] | frames as values, and their bytes |
//! | [`headers`] | names and values, compressed with SPDY's dictionary |
//! | [`session`] | a connection: frames in, streams out |
//! | [`stream`] | the ends of one stream |
//!
//! **No flow control.** The library behind every client and server of Kubernetes neither announces windows nor keeps to
//! them, so one that waits for a window update waits for ever. As there, what a stream's reader has not taken yet is
//! bounded, and a connection with a full stream is not read until there is room again.
//!
//! Source: the draft "SPDY Protocol - Draft 3.1"; for what is left out of it, moby/spdystream.

pub mod frame;
pub mod headers;
pub mod session;
pub mod stream;

pub use frame::Frame;
pub use session::serve;
pub use stream::{Output, Stream};

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The other side speaks another version.
    #[error("SPDY version {0} is not 3")]
    Version(u16),
    /// A frame that is not data is longer than any that makes sense.
    #[error("a frame of {bytes} bytes is longer than {}", frame::CONTROL_BYTES_MAX)]
    TooLong {
        /// As its head says.
        bytes: usize,
    },
    /// A frame does not hold what its kind needs.
    #[error("malformed frame of type {0}")]
    Malformed(u16),
    /// Headers cannot be decompressed or read, so no later ones can.
    #[error("malformed headers: {0}")]
    Headers(&'static str),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
