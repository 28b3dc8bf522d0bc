//! How many requests are answered at a time. Source: apiserver `filters.WithPriorityAndFairness`, `WithMaxInFlightLimit`.

use std::sync::Arc;
use std::time::Duration;

use coracle_core::User;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body::Body;
use super::request_info::RequestInfo;
use super::respond;
use crate::fairness::{Admitted, Arrival, Fairness};

/// Requests at a time, watches and streams not counted.
///
/// With priority and fairness the sum is how many seats there are to divide; without, clients beyond a limit are told to come
/// back in a second (429), but for the group `system:masters`, which is always answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// Requests that read. Default 400; 0 for no limit. Source: kube-apiserver `--max-requests-inflight`.
    pub reads_max: usize,
    /// Requests that write. Default 200; 0 for no limit. Source: kube-apiserver `--max-mutating-requests-inflight`.
    pub writes_max: usize,
}

impl InFlight {
    /// How many seats priority and fairness divides; nothing if requests are not limited, which it cannot do.
    #[must_use]
    pub fn seats(self) -> Option<usize> {
        Some(self.reads_max.saturating_add(self.writes_max)).filter(|seats| *seats > 0)
    }
}

impl Default for InFlight {
    fn default() -> Self {
        Self { reads_max: 400, writes_max: 200 }
    }
}

/// What lets requests in.
pub(super) enum Gate {
    /// Priority and fairness.
    Fair(Arc<Fairness>),
    /// The same limits for everybody.
    Plain(Places),
}

/// What a request has while it is under way.
#[derive(Default)]
pub(super) enum Place {
    /// Nothing: it needs none.
    #[default]
    Free,
    Fair(Admitted),
    Plain(OwnedSemaphorePermit),
}

impl Gate {
    /// By default it is fair.
    pub(super) fn new(limits: InFlight) -> Self {
        match limits.seats() {
            Some(seats) => Self::Fair(Arc::new(Fairness::new(seats))),
            None => Self::Plain(Places::new(limits)),
        }
    }

    /// Lets a request in, or answers that there is no room. Watches are streams to the plain limits, but not to fairness:
    /// what is there already is told to them like a list.
    pub(super) async fn pass(&self, arrival: Arrival<'_>, granted: Duration) -> Result<Place, Response<Body>> {
        let info = arrival.info;
        match self {
            _ if info.is_long_running() && info.verb != "watch" => Ok(Place::Free),
            Self::Plain(_) if info.is_long_running() => Ok(Place::Free),
            Self::Plain(places) => places.take(info, arrival.user).ok_or_else(|| too_many(1)),
            Self::Fair(fairness) => match fairness.admit(&arrival, granted).await {
                Some(Ok(admitted)) => Ok(Place::Fair(admitted)),
                Some(Err(refused)) => {
                    let mut answer = too_many(refused.seconds);
                    refused.marks.write(answer.headers_mut());
                    Err(answer)
                }
                None => Ok(Place::Free),
            },
        }
    }

    /// How many requests that read, and that write, are under way.
    pub(super) fn under_way(&self) -> (usize, usize) {
        match self {
            Self::Fair(fairness) => fairness.under_way(),
            Self::Plain(places) => places.taken(),
        }
    }

    pub(super) fn fairness(&self) -> Option<&Fairness> {
        match self {
            Self::Fair(fairness) => Some(fairness),
            Self::Plain(_) => None,
        }
    }
}

impl Place {
    /// An answer that has its place until all of it was sent; a watch, until it was told what is there.
    pub(super) fn kept_by(self, mut answer: Response<Body>, is_watch: bool) -> Response<Body> {
        match self {
            Self::Free => answer,
            Self::Plain(place) => answer.map(|body| body.keeping(place)),
            Self::Fair(Admitted { marks, seat, watching }) => {
                marks.write(answer.headers_mut());
                answer.map(|body| match is_watch {
                    true => body.keeping_until_idle(seat).keeping(watching),
                    false => body.keeping(seat),
                })
            }
        }
    }
}

/// The places of requests under way, by the same limits for everybody.
pub(super) struct Places {
    limits: InFlight,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new(limits: InFlight) -> Self {
        let places = |limit: usize| {
            let limit = if limit == 0 { Semaphore::MAX_PERMITS } else { limit.min(Semaphore::MAX_PERMITS) };
            Arc::new(Semaphore::new(limit))
        };
        Self { limits, reads: places(limits.reads_max), writes: places(limits.writes_max) }
    }

    /// A place for a request, if one is free or it needs none. Source: `nonMutatingRequestVerbs`, `WithMaxInFlightLimit`.
    fn take(&self, info: &RequestInfo, user: &User) -> Option<Place> {
        let reads = matches!(&*info.verb, "get" | "list" | "watch");
        let places = if reads { &self.reads } else { &self.writes };
        match places.clone().try_acquire_owned() {
            Ok(place) => Some(Place::Plain(place)),
            // The powerful repair a crowded cluster, so they are never turned away.
            Err(_full) => user.groups.iter().any(|group| group == "system:masters").then_some(Place::Free),
        }
    }

    /// How many requests that read, and that write, have a place now.
    fn taken(&self) -> (usize, usize) {
        let taken = |limit: usize, places: &Semaphore| {
            let limit = if limit == 0 { Semaphore::MAX_PERMITS } else { limit };
            limit.saturating_sub(places.available_permits())
        };
        (taken(self.limits.reads_max, &self.reads), taken(self.limits.writes_max, &self.writes))
    }
}

/// 429, as plain text. Source: `filters.tooManyRequests`.
fn too_many(seconds: u64) -> Response<Body> {
    let mut response = respond::text(StatusCode::TOO_MANY_REQUESTS, "Too many requests, please try again later.\n");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}
