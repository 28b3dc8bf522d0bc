//! The documents over HTTP, always of the kinds that are served now.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use coracle_core::{Gateway, Kinds};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{HeaderMap, Response, StatusCode};

use super::{Document, OpenApi};
use crate::http::body::Body;
use crate::http::negotiate::accepts_gzip;
use crate::http::query::Query;
use crate::http::respond;

const JSON: &str = "application/json";
/// How v2 in protobuf is answered. Clients ask for it under an older name too, which is no valid content type.
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
const PROTOBUF_ASKED: [&str; 2] = [PROTOBUF, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"];

/// The documents of whatever a gateway serves.
pub struct Published {
    gateway: Arc<dyn Gateway>,
    /// The newest documents, and of which kinds they are.
    current: Mutex<Option<(u64, Arc<OpenApi>)>>,
}

impl Published {
    /// The documents of what `gateway` serves.
    #[must_use]
    pub fn new(gateway: Arc<dyn Gateway>) -> Self {
        Self { gateway, current: Mutex::new(None) }
    }

    /// The documents of the kinds that are served now.
    #[must_use]
    pub fn current(&self) -> Arc<OpenApi> {
        let world = self.gateway.feed().world();
        let kinds = world.kinds();
        let now = fingerprint(kinds);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some((then, documents)) if *then == now => documents.clone(),
            _ => {
                let documents = Arc::new(OpenApi::new(kinds.clone()));
                *current = Some((now, documents.clone()));
                documents
            }
        }
    }
}

impl std::fmt::Debug for Published {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Published").finish_non_exhaustive()
    }
}

/// Rows are shared between sets of kinds, so the same rows stand in the same places.
fn fingerprint(kinds: &Kinds) -> u64 {
    let mut hasher = DefaultHasher::new();
    kinds.iter().for_each(|kind| Arc::as_ptr(kind).hash(&mut hasher));
    hasher.finish()
}

#[async_trait]
impl crate::http::OpenApi for Published {
    async fn answer(&self, path: &str, query: &Query, headers: &HeaderMap) -> Option<Response<Body>> {
        let documents = self.current();
        let path = path.strip_prefix("/openapi/")?.trim_end_matches('/');
        let (document, content_type) = match path {
            "v2" if wants_protobuf(headers) => (documents.v2_protobuf(), PROTOBUF),
            "v2" => (documents.v2(), JSON),
            "v3" => (documents.v3_index(), JSON),
            _ => (documents.v3(path.strip_prefix("v3/")?)?, JSON),
        };
        let is_named_by_hash = query.get("hash") == Some(document.hash.as_str());
        Some(answer(&document, content_type, is_named_by_hash, headers))
    }
}

/// A document of OpenAPI v2 that was put together, in the form that is asked for.
pub(crate) fn answer_v2(document: &serde_json::Value, headers: &HeaderMap) -> Response<Body> {
    let (bytes, content_type) = match wants_protobuf(headers) {
        true => (super::protobuf::document(document), PROTOBUF),
        false => (serde_json::to_vec(document).unwrap_or_default(), JSON),
    };
    answer(&Document::new(bytes), content_type, false, headers)
}

fn wants_protobuf(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut media =
        accept.flat_map(|value| value.split(',')).map(|clause| clause.split(';').next().unwrap_or("").trim());
    media.next().is_some_and(|first| PROTOBUF_ASKED.contains(&first))
}

/// A document named by its hash may be kept for ever.
fn answer(document: &Document, content_type: &'static str, keep: bool, headers: &HeaderMap) -> Response<Body> {
    let etag = format!("\"{}\"", document.hash);
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let zipped = if accepts_gzip(headers) && !is_known { gzip(&document.bytes) } else { None };
    let is_zipped = zipped.is_some();
    let mut response = match (is_known, zipped) {
        (true, _) => respond::answer(StatusCode::NOT_MODIFIED, content_type, Body::Full(Bytes::new())),
        (false, Some(zipped)) => respond::answer(StatusCode::OK, content_type, Body::Full(zipped)),
        (false, None) => respond::answer(StatusCode::OK, content_type, Body::Full(document.bytes.clone())),
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    if keep {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    }
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding, Accept"));
    if is_zipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn gzip(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}
