//! `pods/log`: which lines are wanted, and how they are written.

use bytes::Bytes;
use coracle_core::Status;
use coracle_core::field::{Errors, Path};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::{LogLine, LogsWanted, container_of, is_assigned, streams_of};
use crate::http::body::{Body, BoxError};
use crate::http::query::Query;
use crate::http::resources::Call;
use crate::http::respond;

/// Answers `pods/log`.
pub(in crate::http) async fn logs(call: Call<'_>) -> Result<Response<Body>, Status> {
    let now = call.server.reader.gateway().clock().now();
    let options = LogOptions::read(call.query, &call.info.name, now)?;
    let (object, container) = container_of(&call).await?;
    // A pod that is nowhere yet has printed nothing. Source: upstream's `LogLocation`.
    if object.get::<Pod>().is_none_or(|pod| !is_assigned(pod)) {
        return Ok(respond::text(StatusCode::OK, ""));
    }
    let streams = streams_of(&call)?;
    let lines = streams.logs(&object, &container, options.wanted.clone()).await?;
    let lines = options.format(lines).take_until(Box::pin(call.server.shutdown.clone().cancelled_owned()));
    let mut response = respond::text(StatusCode::OK, "");
    *response.body_mut() = Body::Stream(lines.boxed());
    Ok(response)
}

/// `v1` PodLogOptions: what the node is asked, and what is done with its lines here.
#[derive(Clone, Debug, Default, PartialEq)]
struct LogOptions {
    wanted: LogsWanted,
    timestamps: bool,
    limit_bytes: Option<usize>,
    /// `true` for standard error only, `false` for standard output only.
    only: Option<bool>,
}

impl LogOptions {
    /// Reads and checks. Source: upstream's `ValidatePodLogOptions`.
    fn read(query: &Query, pod: &str, now: Timestamp) -> Result<Self, Status> {
        let mut errors = Errors::new();
        let (tail, limit) = (query.number("tailLines")?, query.number("limitBytes")?);
        let (seconds, time) = (query.number("sinceSeconds")?, query.text("sinceTime"));
        if let Some(tail) = tail.filter(|tail| *tail < 0) {
            errors.invalid(&Path::new("tailLines"), tail, "must be greater than or equal to 0");
        }
        if let Some(limit) = limit.filter(|limit| *limit < 1) {
            errors.invalid(&Path::new("limitBytes"), limit, "must be greater than 0");
        }
        match seconds {
            Some(_) if !time.is_empty() => {
                errors.forbidden(&Path::new(""), "at most one of `sinceTime` or `sinceSeconds` may be specified")
            }
            Some(seconds) if seconds < 1 => {
                errors.invalid(&Path::new("sinceSeconds"), seconds, "must be greater than 0");
            }
            _ => {}
        }
        if !errors.is_empty() {
            let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
            let message = format!("PodLogOptions {pod:?} is invalid: {}", texts.join(", "));
            return Err(Status::new(coracle_core::Reason::Invalid, message).with_causes(errors.to_causes()));
        }
        let since = match seconds {
            Some(seconds) => now.checked_sub(SignedDuration::from_secs(seconds)).ok(),
            None if time.is_empty() => None,
            None => Some(time.parse().map_err(|error: jiff::Error| Status::bad_request(error.to_string()))?),
        };
        Ok(Self {
            wanted: LogsWanted {
                follow: query.flag("follow").unwrap_or(false),
                previous: query.flag("previous").unwrap_or(false),
                since,
                tail_lines: tail.and_then(|tail| u64::try_from(tail).ok()),
            },
            timestamps: query.flag("timestamps").unwrap_or(false),
            limit_bytes: limit.and_then(|limit| usize::try_from(limit).ok()),
            only: match query.text("stream") {
                "Stdout" => Some(false),
                "Stderr" => Some(true),
                _ => None,
            },
        })
    }

    fn format(
        &self,
        lines: BoxStream<'static, Result<LogLine, BoxError>>,
    ) -> BoxStream<'static, Result<Bytes, BoxError>> {
        let (timestamps, only) = (self.timestamps, self.only);
        let texts = lines.try_filter_map(move |line| {
            let is_wanted = only.is_none_or(|error| error == line.error);
            let text = if timestamps { stamped(&line) } else { line.text };
            std::future::ready(Ok(is_wanted.then_some(text)))
        });
        match self.limit_bytes {
            None => texts.boxed(),
            Some(limit) => texts.scan(limit, |left, text| std::future::ready(cut(left, text))).boxed(),
        }
    }
}

fn stamped(line: &LogLine) -> Bytes {
    [line.at.to_string().as_bytes(), b" ", &line.text].concat().into()
}

/// The part of a text that is still within the limit; `None` once nothing is left.
fn cut(left: &mut usize, text: Result<Bytes, BoxError>) -> Option<Result<Bytes, BoxError>> {
    if *left == 0 {
        return None;
    }
    Some(text.map(|text| {
        let text = text.slice(..text.len().min(*left));
        *left -= text.len();
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(query: &str, lines: &[(&str, bool)], expected: &str) {
        let at = "2026-01-02T03:04:05.5Z".parse().unwrap();
        let options = LogOptions::read(&Query::parse(query), "web", at).unwrap();
        let lines: Vec<_> = lines
            .iter()
            .map(|(text, error)| Ok(LogLine { at, error: *error, text: Bytes::from((*text).to_owned()) }))
            .collect();
        let text: Vec<Bytes> = options.format(futures::stream::iter(lines).boxed()).try_collect().await.unwrap();
        assert_eq!(String::from_utf8(text.concat()).unwrap(), expected, "{query}");
    }

    #[tokio::test]
    async fn lines_are_formatted() {
        let lines = [("a\n", false), ("b\n", true)];
        check("", &lines, "a\nb\n").await;
        check("timestamps=true", &lines, "2026-01-02T03:04:05.5Z a\n2026-01-02T03:04:05.5Z b\n").await;
        check("limitBytes=3", &lines, "a\nb").await;
        check("stream=Stderr", &lines, "b\n").await;
    }

    #[test]
    fn options_are_checked() {
        let read = |query: &str| LogOptions::read(&Query::parse(query), "web", Timestamp::UNIX_EPOCH);
        assert_eq!(read("tailLines=5&follow").unwrap().wanted.tail_lines, Some(5));
        let refused = read("tailLines=-1").unwrap_err();
        assert_eq!(
            refused.message(),
            "PodLogOptions \"web\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0"
        );
        assert_eq!(refused.code(), 422);
        assert!(read("sinceSeconds=5&sinceTime=2026-01-02T03:04:05Z").is_err());
        assert_eq!(read("sinceTime=2026-01-02T03:04:05Z").unwrap().wanted.since.unwrap().as_second(), 1_767_323_045);
    }
}
