//! Bodies in and out.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use coracle_core::kind::split_api_version;
use coracle_core::protobuf::Envelope;
use coracle_core::{Kind, Reason, Status};
use futures::stream::BoxStream;
use futures::{Stream as _, StreamExt as _};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;

use super::negotiate::Media;

/// Any error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body, whatever transport it came by.
pub type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// Bytes a request's body may have. Source: apiserver `MaxRequestBodyBytes`.
pub const BODY_BYTES_MAX: usize = 3 << 20;

/// A response's body.
pub enum Body {
    /// All of it; often nothing.
    Full(Bytes),
    /// As it comes.
    Stream(BoxStream<'static, Result<Bytes, BoxError>>),
}

impl Body {
    /// A body that comes bit by bit and cannot fail.
    pub fn stream(bytes: impl futures::Stream<Item = Bytes> + Send + 'static) -> Self {
        Self::Stream(bytes.map(Ok).boxed())
    }

    /// The same body; `kept` is dropped once there is nothing more to take at once.
    pub(super) fn keeping_until_idle(self, kept: impl Send + Unpin + 'static) -> Self {
        match self {
            Self::Full(bytes) => Self::Full(bytes),
            Self::Stream(mut stream) => {
                let mut kept = Some(kept);
                let taking = futures::stream::poll_fn(move |context| {
                    let taken = stream.poll_next_unpin(context);
                    if !matches!(taken, Poll::Ready(Some(_))) {
                        drop(kept.take());
                    }
                    taken
                });
                Self::Stream(taking.boxed())
            }
        }
    }

    /// The same body; `kept` is dropped once all of it was taken.
    pub(super) fn keeping(self, kept: impl Send + 'static) -> Self {
        match self {
            Self::Full(bytes) => Self::Full(bytes),
            Self::Stream(stream) => Self::Stream(
                stream
                    .map(move |item| {
                        let _kept = &kept;
                        item
                    })
                    .boxed(),
            ),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::Full(bytes.into())
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(bytes) => write!(formatter, "Full({} bytes)", bytes.len()),
            Self::Stream(_) => formatter.write_str("Stream"),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(stream) => Pin::new(stream).poll_next(context).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// Reads a whole body.
///
/// # Errors
/// 413 if it is too long, 400 if it breaks off.
pub async fn collect(mut body: RequestBody) -> Result<Bytes, Status> {
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::bad_request(format!("error reading the body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if collected.len() + data.len() > BODY_BYTES_MAX {
            let message = format!("Request entity too large: limit is {BODY_BYTES_MAX}");
            return Err(Status::new(Reason::RequestEntityTooLarge, message));
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.freeze())
}

/// A body about a kind as JSON.
///
/// # Errors
/// 400 if it is not of the form that its content type says.
pub fn to_json(media: Media, body: Bytes, kind: &Kind) -> Result<Bytes, Status> {
    match media {
        Media::Json => Ok(body),
        Media::Yaml => yaml_to_json(&body),
        Media::Protobuf => protobuf_to_json(&body, kind),
    }
}

/// YAML as JSON.
///
/// # Errors
/// 400 if it is no YAML.
pub fn yaml_to_json(body: &[u8]) -> Result<Bytes, Status> {
    let refuse = |error: &dyn std::fmt::Display| Status::bad_request(format!("error converting YAML to JSON: {error}"));
    let text = std::str::from_utf8(body).map_err(|error| refuse(&error))?;
    let value: serde_json::Value = serde_saphyr::from_str(text).map_err(|error| refuse(&error))?;
    serde_json::to_vec(&value).map(Bytes::from).map_err(Status::internal)
}

/// Source of the texts: apiserver `handlers.transformDecodeError`.
fn protobuf_to_json(body: &[u8], kind: &Kind) -> Result<Bytes, Status> {
    let wanted = &kind.kind;
    let envelope = Envelope::read(body).map_err(|error| {
        let summary = summary(body);
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {wanted}): {error} ({summary})"
        ))
    })?;
    let envelope = envelope.or_kind(&kind.api_version(), wanted);
    envelope.to_json().map(Bytes::from).map_err(|error| {
        let (_, version) = split_api_version(&envelope.api_version);
        let kind = &envelope.kind;
        Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {wanted}: {error}"))
    })
}

/// The beginning of a body in hexadecimal. Source: apiserver `handlers.summarizeData`.
fn summary(body: &[u8]) -> String {
    const SHOWN_BYTES: usize = 30;
    let shown: String = body.iter().take(SHOWN_BYTES).map(|byte| format!("{byte:02x}")).collect();
    match body.len() {
        0 => "<empty>".to_owned(),
        1..=SHOWN_BYTES => shown,
        _ => shown + " ...",
    }
}

#[cfg(test)]
mod tests {
    use coracle_core::Kinds;

    use super::*;

    fn check(body: &[u8], expected: &str) {
        let kind = Kinds::builtin().by_kind("v1", "Pod").unwrap().clone();
        let refused = to_json(Media::Protobuf, Bytes::copy_from_slice(body), &kind).unwrap_err();
        assert_eq!((refused.code(), refused.message()), (400, expected));
    }

    #[test]
    fn broken_protobuf_is_refused_in_upstream_s_words() {
        let unrecognized = "the object provided is unrecognized (must be of type Pod)";
        check(b"", &format!("{unrecognized}: empty data (<empty>)"));
        check(b"k8s\0\x12", &format!("{unrecognized}: unexpected EOF (6b38730012)"));
        check(b"k8s\0\x12\x01\x0a", "Pod in version \"v1\" cannot be handled as a Pod: unexpected EOF");
    }
}
