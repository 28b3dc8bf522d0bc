//! How many requests are answered at a time. Source: apiserver `filters.WithMaxInFlightLimit`.

use std::sync::Arc;

use coracle_core::User;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body::Body;
use super::request_info::RequestInfo;
use super::respond;

/// Requests at a time, watches and streams not counted. Beyond that clients are told to come back in a second (429), but for
/// the group `system:masters`, which is always answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// Requests that read. Default 400; 0 for no limit. Source: kube-apiserver `--max-requests-inflight`.
    pub reads_max: usize,
    /// Requests that write. Default 200; 0 for no limit. Source: kube-apiserver `--max-mutating-requests-inflight`.
    pub writes_max: usize,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { reads_max: 400, writes_max: 200 }
    }
}

/// The places of requests under way.
pub(super) struct Places {
    limits: InFlight,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

/// A place that a request has until it is dropped.
pub(super) type Place = Option<OwnedSemaphorePermit>;

impl Places {
    pub(super) fn new(limits: InFlight) -> Self {
        let places = |limit: usize| {
            let limit = if limit == 0 { Semaphore::MAX_PERMITS } else { limit.min(Semaphore::MAX_PERMITS) };
            Arc::new(Semaphore::new(limit))
        };
        Self { limits, reads: places(limits.reads_max), writes: places(limits.writes_max) }
    }

    /// A place for a request, if one is free or it needs none. Source: `nonMutatingRequestVerbs`, `WithMaxInFlightLimit`.
    pub(super) fn take(&self, info: &RequestInfo, user: &User) -> Option<Place> {
        if info.is_long_running() {
            return Some(None);
        }
        let reads = matches!(&*info.verb, "get" | "list" | "watch");
        let places = if reads { &self.reads } else { &self.writes };
        match places.clone().try_acquire_owned() {
            Ok(place) => Some(Some(place)),
            // The powerful repair a crowded cluster, so they are never turned away.
            Err(_full) => user.groups.iter().any(|group| group == "system:masters").then_some(None),
        }
    }

    /// How many requests that read, and that write, have a place now.
    pub(super) fn taken(&self) -> (usize, usize) {
        let taken = |limit: usize, places: &Semaphore| {
            let limit = if limit == 0 { Semaphore::MAX_PERMITS } else { limit };
            limit.saturating_sub(places.available_permits())
        };
        (taken(self.limits.reads_max, &self.reads), taken(self.limits.writes_max, &self.writes))
    }
}

/// 429, as plain text. Source: `filters.tooManyRequests`.
pub(super) fn too_many() -> Response<Body> {
    let mut response = respond::text(StatusCode::TOO_MANY_REQUESTS, "Too many requests, please try again later.\n");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
