//! Answers: statuses, objects, lists, warnings.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use coracle_core::protobuf::{self, ListWriter};
use coracle_core::{Object, Status};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER, VARY, WARNING};
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde::Serialize;

use super::body::{Body, BoxError};
use super::negotiate::Media;
use crate::read::form::{LIST_END, write_json};
use crate::read::{Form, Listing};

/// Lists from this size on are compressed for clients that take it. Source: apiserver `defaultGzipThresholdBytes`.
const GZIP_BYTES_MIN: usize = 128 << 10;
/// Bytes of a large list that are encoded at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// An answer with a content type.
pub fn answer(code: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// Plain text.
pub fn text(code: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = answer(code, "text/plain; charset=utf-8", text.into());
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// Any value as JSON.
pub fn json(code: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(body) => answer(code, "application/json", body),
        Err(error) => refusal(&Status::internal(error)),
    }
}

/// A refusal.
#[must_use]
pub fn refusal(status: &Status) -> Response<Body> {
    refusal_in(Media::Json, status)
}

/// A refusal in the client's media type; in JSON if that is none for it.
#[must_use]
pub fn refusal_in(media: Media, status: &Status) -> Response<Body> {
    let code = StatusCode::from_u16(status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = serde_json::to_vec(status.as_api()).unwrap_or_default();
    let encoded = (media == Media::Protobuf).then(|| protobuf::encode(&json).ok()).flatten();
    let mut response = match encoded {
        Some(body) => answer(code, protobuf::CONTENT_TYPE, body),
        None => answer(code, "application/json", json),
    };
    let details = status.as_api().details.as_ref();
    if let Some(seconds) = details.and_then(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// How the client reads, and the time that tables show.
#[derive(Clone, Debug)]
pub struct Answering {
    /// Version and shape.
    pub form: Form,
    /// JSON, YAML or protobuf.
    pub media: Media,
    /// Whether large answers may be compressed.
    pub gzip: bool,
    /// Now.
    pub now: Timestamp,
}

impl Answering {
    /// One object.
    ///
    /// # Errors
    /// 500 if it cannot be encoded.
    pub fn object(&self, code: StatusCode, object: &Object) -> Result<Response<Body>, Status> {
        if self.media == Media::Protobuf {
            return Ok(answer(code, self.media.content_type(), self.form.protobuf(object, self.now)?.into_owned()));
        }
        let mut out = Vec::with_capacity(object.stored().len() + 64);
        self.form.write_object(object, self.now, &mut out)?;
        self.document(code, out)
    }

    /// A document that is not stored, in the client's media type.
    ///
    /// # Errors
    /// 500 if it cannot be encoded.
    pub fn value(&self, code: StatusCode, value: &impl Serialize) -> Result<Response<Body>, Status> {
        let mut out = Vec::new();
        write_json(value, &mut out)?;
        self.document(code, out)
    }

    fn document(&self, code: StatusCode, json: Vec<u8>) -> Result<Response<Body>, Status> {
        let body = match self.media {
            Media::Json => json,
            Media::Yaml => {
                let value: serde_json::Value = serde_json::from_slice(&json).map_err(Status::internal)?;
                serde_saphyr::to_string(&value).map_err(Status::internal)?.into_bytes()
            }
            Media::Protobuf => protobuf::encode(&json).map_err(Status::internal)?,
        };
        Ok(answer(code, self.media.content_type(), body))
    }

    /// A page of a list. A large one is encoded while the client reads, so that it never is in memory as a whole.
    ///
    /// # Errors
    /// 500 if it cannot be encoded.
    pub fn list(&self, listing: Listing) -> Result<Response<Body>, Status> {
        if self.media == Media::Protobuf {
            return self.protobuf_list(listing);
        }
        let size: usize = listing.objects.iter().map(|object| object.stored().len()).sum();
        let mut chunks = Chunks::start(self, listing)?;
        if size < GZIP_BYTES_MIN || self.media == Media::Yaml {
            chunks.write(usize::MAX)?;
            return self.document(StatusCode::OK, chunks.plain);
        }
        chunks.gzip = self.gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let mut response = answer(StatusCode::OK, "application/json", Bytes::new());
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        if self.gzip {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        *response.body_mut() = Body::Stream(Box::pin(futures::stream::iter(chunks)));
        Ok(response)
    }

    /// A page of a list in protobuf. Its length stands in front, so it is encoded as a whole, item by item.
    fn protobuf_list(&self, mut listing: Listing) -> Result<Response<Body>, Status> {
        let objects = std::mem::take(&mut listing.objects);
        let mut json = Vec::new();
        self.form.write_list_start(&listing, &mut json)?;
        json.extend_from_slice(LIST_END);
        let mut list = ListWriter::new(&json).map_err(Status::internal)?;
        for object in objects {
            list.push(&self.form.protobuf(&object, self.now)?).map_err(Status::internal)?;
        }
        let plain = list.finish();
        if plain.len() < GZIP_BYTES_MIN || !self.gzip {
            return Ok(answer(StatusCode::OK, self.media.content_type(), plain));
        }
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&plain).map_err(Status::internal)?;
        let body = gzip.finish().map_err(Status::internal)?;
        let mut response = answer(StatusCode::OK, self.media.content_type(), body);
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        Ok(response)
    }
}

/// The bytes of a list, piece by piece.
struct Chunks {
    form: Form,
    now: Timestamp,
    objects: std::vec::IntoIter<Arc<Object>>,
    /// Encoded and not taken yet.
    plain: Vec<u8>,
    is_first: bool,
    is_done: bool,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Chunks {
    fn start(answering: &Answering, mut listing: Listing) -> Result<Self, Status> {
        let objects = std::mem::take(&mut listing.objects).into_iter();
        let mut plain = Vec::new();
        answering.form.write_list_start(&listing, &mut plain)?;
        let (form, now) = (answering.form.clone(), answering.now);
        Ok(Self { form, now, objects, plain, is_first: true, is_done: false, gzip: None })
    }

    /// Encodes objects until there are so many bytes, or no more objects.
    fn write(&mut self, bytes: usize) -> Result<(), Status> {
        while self.plain.len() < bytes {
            let Some(object) = self.objects.next() else {
                self.is_done = true;
                self.plain.extend_from_slice(LIST_END);
                return Ok(());
            };
            if !std::mem::take(&mut self.is_first) {
                self.plain.push(b',');
            }
            self.form.write_item(&object, self.now, &mut self.plain)?;
        }
        Ok(())
    }

    fn next_chunk(&mut self) -> Result<Bytes, BoxError> {
        self.write(CHUNK_BYTES)?;
        let plain = std::mem::take(&mut self.plain);
        let Some(gzip) = &mut self.gzip else { return Ok(plain.into()) };
        gzip.write_all(&plain)?;
        if self.is_done {
            gzip.try_finish()?;
        }
        Ok(std::mem::take(gzip.get_mut()).into())
    }
}

impl Iterator for Chunks {
    type Item = Result<Bytes, BoxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done { None } else { Some(self.next_chunk()) }
    }
}

/// Adds what the client should be told beside the answer. Source: apimachinery `net.NewWarningHeader`.
pub fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for warning in warnings {
        let plain: String = warning.chars().filter(|character| !character.is_control()).collect();
        let quoted = plain.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted_text_on_one_line() {
        let mut response = text(StatusCode::OK, "");
        warn(&mut response, &["unknown field \"spec.x\"\nand more".to_owned()]);
        assert_eq!(response.headers()[WARNING], "299 - \"unknown field \\\"spec.x\\\"and more\"");
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let response = refusal(&Status::new(coracle_core::Reason::TooManyRequests, "slow down").retry_after(7));
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[RETRY_AFTER], "7");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    }
}
