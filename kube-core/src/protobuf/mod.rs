//! Kubernetes' protobuf form of objects, which typed clients of Go send and prefer.
//!
//! ```text
//! "k8s\0" ─ Unknown { 1: TypeMeta { 1: apiVersion, 2: kind }, 2: message of that kind, 3: "", 4: "" }
//! ```
//!
//! One encoder and one decoder serve every built-in kind: they walk the [`schema`](crate::schema) and a table of field
//! numbers, `data/wire.tsv` (see `data/generate-wire`). Inside, and in the store, objects stay JSON; this is a form for
//! the wire only. Custom resources have no such form, as upstream.
//!
//! | module | what it holds |
//! |---|---|
//! | `table` | which field has which number, and how its values are written |
//! | `encode` | JSON text to messages, without a value in between |
//! | `decode` | messages to JSON |
//! | `envelope` | what stands around a message: objects, lists, frames of a watch |
//! | `wire` | varints, tags, lengths |
//!
//! Source: apimachinery `runtime/serializer/protobuf`, and the `generated.proto` of each API group.

mod decode;
mod encode;
mod envelope;
mod table;
mod wire;

pub use envelope::{Envelope, ListWriter, encode, watch_frame};
pub use table::knows;

/// What every protobuf body begins with. Source: apimachinery `protoEncodingPrefix`.
pub const MAGIC: &[u8; 4] = b"k8s\0";

/// The content type of objects and lists; a watch adds `;stream=watch`.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// Why bytes are no object, or an object has no bytes. The texts of the first ones are upstream's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing: send a body.
    #[error("empty data")]
    EmptyData,
    /// There is the prefix and nothing else.
    #[error("empty body")]
    EmptyBody,
    /// The prefix is missing: the body is in another form than its content type says.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    NotProtobuf,
    /// The body breaks off.
    #[error("unexpected EOF")]
    UnexpectedEnd,
    /// A number has more than 64 bits.
    #[error("proto: integer overflow")]
    Overflow,
    /// A field's number or wire type cannot be.
    #[error("proto: illegal tag {number} (wire type {wire})")]
    IllegalTag {
        /// The field's number.
        number: u64,
        /// The kind of value that is said to follow.
        wire: u8,
    },
    /// A field has another type here than there.
    #[error("proto: wrong wireType = {wire} for field {field}")]
    WrongType {
        /// The kind of value that was sent.
        wire: u8,
        /// The field's name in JSON.
        field: &'static str,
    },
    /// Messages are nested too deeply.
    #[error("proto: exceeded max depth")]
    TooDeep,
    /// A time that has no date: its year is not one of 1 to 9999.
    #[error("time {0} s is out of range")]
    TimeOutOfRange(i64),
    /// The kind has no protobuf form here.
    #[error("no kind {kind:?} is registered for version {api_version:?}")]
    UnknownKind {
        /// Group and version.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// The JSON is not of the kind's type, or JSON inside a message is none.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

#[cfg(test)]
mod tests;
