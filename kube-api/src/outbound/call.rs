//! One JSON document posted, one read back: within a time limit, up to a size limit, redirects refused.

use std::io::ErrorKind;
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
    /// The peer could not be reached or trusted, broke off, or answered more than [`RESPONSE_BYTES_MAX`].
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
    /// The peer answered with another code than 200. Worded as client-go does.
    #[error("{message}")]
    Refused {
        /// The code.
        code: u16,
        /// The words.
        message: String,
    },
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
    let answer = read_whole(response.into_body(), RESPONSE_BYTES_MAX).await.map_err(failed)?;
    let is_good = (200..=206).contains(&code.as_u16());
    if is_good { Ok(answer) } else { Err(CallError::Refused { code: code.as_u16(), message: refusal(code, &answer) }) }
}

/// Reads a body of at most so many bytes.
pub(crate) async fn read_whole(mut body: RequestBody, bytes_max: usize) -> Result<Bytes, BoxError> {
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if collected.len() + data.len() > bytes_max {
            return Err(format!("the response is longer than {bytes_max} bytes").into());
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.freeze())
}

/// A whole body.
pub(crate) fn full(body: impl Into<Bytes>) -> RequestBody {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The error at the bottom: clients wrap what happened in words that say nothing more. A connection that ends too early is an
/// `EOF`, as in Go.
pub(crate) fn root_cause(error: BoxError) -> BoxError {
    let mut cause: &(dyn std::error::Error + 'static) = &*error;
    loop {
        let ended = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind) == Some(ErrorKind::UnexpectedEof);
        if ended || cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
            return "EOF".into();
        }
        match cause.source() {
            Some(below) => cause = below,
            None => return cause.to_string().into(),
        }
    }
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
