//! One JSON document posted, one read back: within a time limit, up to a size limit, redirects refused.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};

use super::{BoxError, Hook, Outbound, RequestBody};

/// Bytes an answer may have. Lists of converted objects are the longest.
pub const RESPONSE_BYTES_MAX: usize = 32 << 20;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The peer could not be reached or trusted, or broke off.
    #[error("Post \"{url}\": {source}")]
    Failed {
        /// What was called.
        url: String,
        /// Why.
        source: BoxError,
    },
    /// The peer did not answer in time.
    #[error("Post \"{url}\": context deadline exceeded")]
    TimedOut {
        /// What was called.
        url: String,
    },
    /// The answer has too many bytes.
    #[error("Post \"{url}\": the response is longer than {RESPONSE_BYTES_MAX} bytes")]
    TooLong {
        /// What was called.
        url: String,
    },
    /// The peer answered with another code than 200. Worded as client-go does.
    #[error("{0}")]
    Refused(String),
}

/// Posts a JSON document and returns the answer's body.
///
/// # Errors
/// See [`CallError`].
pub async fn post(outbound: &dyn Outbound, hook: &Hook, body: Vec<u8>, limit: Duration) -> Result<Bytes, CallError> {
    let separator = if hook.path.contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}timeout={}s", hook.uri(), limit.as_secs());
    match tokio::time::timeout(limit, exchange(outbound, hook, &url, body)).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(CallError::TimedOut { url }),
    }
}

async fn exchange(outbound: &dyn Outbound, hook: &Hook, url: &str, body: Vec<u8>) -> Result<Bytes, CallError> {
    let failed = |source: BoxError| CallError::Failed { url: url.to_owned(), source: root_cause(source) };
    let request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, */*")
        .header(USER_AGENT, "kube-apiserver-admission")
        .body(full(body))
        .map_err(|error| failed(error.into()))?;
    let response = outbound.send(&hook.peer, request).await.map_err(failed)?;
    let code = response.status();
    let mut collected = BytesMut::new();
    let mut answer = response.into_body();
    while let Some(frame) = answer.frame().await {
        let Ok(data) = frame.map_err(failed)?.into_data() else { continue };
        if collected.len() + data.len() > RESPONSE_BYTES_MAX {
            return Err(CallError::TooLong { url: url.to_owned() });
        }
        collected.extend_from_slice(&data);
    }
    let is_good = (200..=206).contains(&code.as_u16());
    if is_good { Ok(collected.freeze()) } else { Err(CallError::Refused(refusal(code, &collected))) }
}

/// A whole body.
pub(crate) fn full(body: impl Into<Bytes>) -> RequestBody {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The error at the bottom: clients wrap what happened in words that say nothing more.
fn root_cause(error: BoxError) -> BoxError {
    let mut cause: &(dyn std::error::Error + 'static) = &*error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string().into()
}

/// Source: apimachinery `errors.NewGenericServerResponse`.
fn refusal(code: StatusCode, body: &[u8]) -> String {
    const SHOWN_BYTES: usize = 2_048;
    match code.as_u16() {
        400 => "the server rejected our request for an unknown reason".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        404 => "the server could not find the requested resource".to_owned(),
        405 => "the server does not allow this method on the requested resource".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => {
            "the server was unable to return a response in the time allotted, but may still be processing the request"
                .to_owned()
        }
        500.. => {
            let text = String::from_utf8_lossy(body.get(..SHOWN_BYTES).unwrap_or(body)).into_owned();
            let text = if text.trim().is_empty() { "unknown".to_owned() } else { text };
            format!("an error on the server ({:?}) has prevented the request from succeeding", text.trim())
        }
        code => format!("the server responded with the status code {code} but did not return more information"),
    }
}
