//! How much work a request is thought to be: how many seats it takes, and for how long after its answer.
//!
//! Source: `flowcontrol/request` (`listWorkEstimator` by size of objects, `mutatingWorkEstimator`).

use std::time::Duration;

use coracle_core::World;

use crate::http::query::Query;
use crate::http::request_info::RequestInfo;

/// Seats that a list may take at most.
const LIST_SEATS_MAX: usize = 100;
/// Seats that a write may take at most.
const WRITE_SEATS_MAX: usize = 10;
/// What one seat holds of a list.
const SEAT_BYTES: usize = 100_000;
/// What a list from memory holds at a time, however long it is.
const STREAMED_BYTES_MAX: usize = 1_000_000;
/// Watchers that are told at the cost of one seat, and how long that takes.
const WATCHERS_PER_SEAT: usize = 10;
const TELLING: Duration = Duration::from_millis(5);
/// Objects whose size is looked at to know that of all. (Upstream averages over all of them.)
const SAMPLE_OBJECTS: usize = 8;

/// What a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    /// While it is answered.
    pub(super) seats: usize,
    /// After that, for as long as `linger`: watchers have to be told.
    pub(super) final_seats: usize,
    /// Zero if the seats are free with the answer.
    pub(super) linger: Duration,
}

impl Work {
    /// The least work.
    pub(super) const ONE: Self = Self { seats: 1, final_seats: 0, linger: Duration::ZERO };

    /// The seats that are taken, throughout.
    pub(super) fn seats_max(self) -> usize {
        self.seats.max(self.final_seats)
    }
}

/// What a collection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    objects: usize,
    object_bytes: usize,
}

/// Estimates a request. `seats_max` is what its level allows, if it says; `watchers` tells how many would hear of a write.
pub(super) fn estimate(
    info: &RequestInfo,
    query: &Query,
    world: &World,
    seats_max: Option<usize>,
    watchers: impl FnOnce() -> usize,
) -> Work {
    let at_most = |limit: usize| seats_max.map_or(limit, |seats| seats.min(limit));
    match &*info.verb {
        "list" | "watch" => {
            let seats = size(info, world).map_or(1, |size| seats_of_list(info, query, size));
            Work { seats: seats.clamp(1, at_most(LIST_SEATS_MAX).max(1)), ..Work::ONE }
        }
        // A token changes no object.
        "create" if info.resource == "serviceaccounts" && info.subresource == "token" => Work::ONE,
        "create" | "update" | "patch" | "delete" => work_of_write(watchers(), at_most(WRITE_SEATS_MAX)),
        _ => Work::ONE,
    }
}

/// How large a collection is; nothing of what is not kept here.
fn size(info: &RequestInfo, world: &World) -> Option<Size> {
    let kind = world.kinds().get(&info.group, &info.version, &info.resource)?;
    let sample = world.objects(&kind.storage).take(SAMPLE_OBJECTS);
    let (count, bytes) = sample.fold((0, 0), |(count, bytes), object| (count + 1, bytes + object.stored().len()));
    Some(Size { objects: world.count(&kind.storage), object_bytes: bytes / usize::max(count, 1) })
}

fn seats_of_list(info: &RequestInfo, query: &Query, size: Size) -> usize {
    let version = query.text("resourceVersion");
    if info.verb == "watch" && query.flag("sendInitialEvents") != Some(true) && !matches!(version, "" | "0") {
        return 1;
    }
    let limit = query.number("limit").ok().flatten().and_then(|limit| usize::try_from(limit).ok());
    let limited = limit.filter(|limit| *limit > 0).map_or(size.objects, |limit| limit.min(size.objects));
    let from_memory = info.verb == "watch" || is_from_memory(query, version, limit.is_some_and(|limit| limit > 0));
    let selects = !query.text("fieldSelector").is_empty() || !query.text("labelSelector").is_empty();
    let loaded = match () {
        () if !info.name.is_empty() => 1,
        () if !from_memory && selects => limited.max(size.objects / 2),
        () => limited,
    };
    let bytes = loaded.saturating_mul(size.object_bytes);
    let bytes = if from_memory { bytes.min(STREAMED_BYTES_MAX) } else { bytes };
    bytes.div_ceil(SEAT_BYTES)
}

/// Whether a list is about the present. Source: `delegator.ShouldDelegateList`.
fn is_from_memory(query: &Query, version: &str, is_limited: bool) -> bool {
    match query.text("resourceVersionMatch") {
        "NotOlderThan" => true,
        "" => query.text("continue").is_empty() && (!is_limited || matches!(version, "" | "0")),
        _ => false,
    }
}

fn work_of_write(watchers: usize, seats_max: usize) -> Work {
    if watchers < WATCHERS_PER_SEAT {
        return Work::ONE;
    }
    let wanted = watchers.div_ceil(WATCHERS_PER_SEAT);
    let final_seats = wanted.min(seats_max.max(1));
    // The same work by fewer takes longer.
    let linger = TELLING.mul_f64(wanted as f64 / final_seats as f64);
    Work { seats: 1, final_seats, linger }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn seats(target: &str, objects: usize) -> usize {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = Query::parse(query);
        let info = RequestInfo::of(&Method::GET, path, &query);
        seats_of_list(&info, &query, Size { objects, object_bytes: 10_000 })
    }

    #[test]
    fn lists_take_a_seat_for_each_100_kilobytes() {
        let pods = "/api/v1/pods";
        for (query, objects, expected) in [
            ("", 0, 0),
            ("", 11, 2),
            ("", 1_000, 10),
            ("?limit=30", 1_000, 3),
            ("?limit=30&continue=x", 1_000, 3),
            ("?limit=30&continue=x&labelSelector=a", 1_000, 50),
            ("?fieldSelector=metadata.name%3Da", 1_000, 1),
            ("?resourceVersion=7&resourceVersionMatch=Exact", 1_000, 100),
            ("?resourceVersion=7&limit=500", 1_000, 50),
            ("?resourceVersion=7&limit=500&resourceVersionMatch=NotOlderThan", 1_000, 10),
            ("?watch=true", 50, 5),
            ("?watch=true&resourceVersion=7", 50, 1),
            ("?watch=true&resourceVersion=7&sendInitialEvents=true", 50, 5),
        ] {
            assert_eq!(seats(&format!("{pods}{query}"), objects), expected, "{query} of {objects}");
        }
    }

    #[test]
    fn writes_take_a_seat_for_each_ten_watchers_once_they_are_answered() {
        assert_eq!(work_of_write(9, 10), Work::ONE);
        let check = |watchers, seats_max, final_seats, milliseconds| {
            let linger = Duration::from_millis(milliseconds);
            assert_eq!(work_of_write(watchers, seats_max), Work { seats: 1, final_seats, linger }, "{watchers}");
        };
        check(10, 10, 1, 5);
        check(11, 10, 2, 5);
        check(200, 10, 10, 10);
        check(200, 4, 4, 25);
    }

    #[test]
    fn what_is_not_kept_here_takes_one_seat() {
        let world = World::new(coracle_core::Kinds::builtin());
        let info = |method: Method, path| RequestInfo::of(&method, path, &Query::default());
        let estimate = |info| estimate(&info, &Query::default(), &world, None, || 20);
        assert_eq!(estimate(info(Method::GET, "/apis/other.example/v1/things")), Work::ONE);
        assert_eq!(estimate(info(Method::GET, "/version")), Work::ONE);
        let token = info(Method::POST, "/api/v1/namespaces/a/serviceaccounts/b/token");
        assert_eq!(estimate(token), Work::ONE);
        assert_eq!(estimate(info(Method::POST, "/api/v1/namespaces/a/pods")).final_seats, 2);
    }
}
