//! Durations as people read them.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

/// A duration in two or three significant figures: `45s`, `4m20s`, `5h`, `3d2h`, `2y45d`. One second in the future counts as
/// now, because clocks differ; more is `<invalid>`. Source: apimachinery `duration.HumanDuration`.
#[must_use]
pub fn human_duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two_figures(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two_figures(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two_figures(days, "d", hours % 24, "h"),
        () if days < 365 * 2 => format!("{days}d"),
        () if days < 365 * 8 => two_figures(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

fn two_figures(major: i64, major_unit: &str, minor: i64, minor_unit: &str) -> String {
    if minor == 0 { format!("{major}{major_unit}") } else { format!("{major}{major_unit}{minor}{minor_unit}") }
}

/// How long ago that was; `<unknown>` if it is not said.
pub(super) fn since(at: Option<Timestamp>, now: Timestamp) -> String {
    at.map_or_else(|| "<unknown>".to_owned(), |at| human_duration(now.duration_since(at)))
}

/// How long ago a field says it was.
pub(super) fn since_time(at: Option<&Time>, now: Timestamp) -> String {
    since(at.map(|time| time.0), now)
}

/// How long ago the object was made.
pub(super) fn age(metadata: &ObjectMeta, now: Timestamp) -> String {
    since_time(metadata.creation_timestamp.as_ref(), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |seconds, expected: &str| assert_eq!(human_duration(SignedDuration::from_secs(seconds)), expected);
        let (minute, hour, day) = (60, 3600, 86400);
        check(-2, "<invalid>");
        check(-1, "0s");
        check(0, "0s");
        check(119, "119s");
        check(2 * minute, "2m");
        check(3 * minute + 1, "3m1s");
        check(10 * minute + 59, "10m");
        check(3 * hour - 1, "179m");
        check(3 * hour, "3h");
        check(7 * hour + 5 * minute, "7h5m");
        check(8 * hour + 59 * minute, "8h");
        check(47 * hour, "47h");
        check(2 * day, "2d");
        check(5 * day + 3 * hour, "5d3h");
        check(8 * day + 3 * hour, "8d");
        check(729 * day, "729d");
        check(730 * day, "2y");
        check(775 * day, "2y45d");
        check(8 * 365 * day + 20 * day, "8y");
    }

    #[test]
    fn an_unset_time_is_unknown() {
        assert_eq!(since(None, Timestamp::UNIX_EPOCH), "<unknown>");
    }
}
