use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use proptest::prelude::*;

use super::Schedule;

const NEW_YORK: &str = "America/New_York";

/// The time after `from`; an empty text for none.
#[track_caller]
fn check(schedule: &str, zone: &str, from: &str, expected: &str) {
    let tz = if zone.is_empty() { TimeZone::UTC } else { TimeZoneDatabase::from_env().get(zone).unwrap() };
    let next = Schedule::parse(schedule).unwrap().next(from.parse().unwrap(), &tz);
    let expected = (!expected.is_empty()).then(|| expected.parse::<Timestamp>().unwrap());
    assert_eq!(next, expected, "{schedule} {zone} after {from}");
}

#[test]
fn the_next_time_as_upstream_knows_it() {
    for (schedule, from, expected) in [
        ("0/15 * * * *", "2012-07-09T14:45:00Z", "2012-07-09T15:00:00Z"),
        ("0/15 * * * *", "2012-07-09T14:59:59Z", "2012-07-09T15:00:00Z"),
        ("20-35/15 * * * *", "2012-07-09T15:45:00Z", "2012-07-09T16:20:00Z"),
        ("*/15 2 * * *", "2012-07-09T23:46:00Z", "2012-07-10T02:00:00Z"),
        ("0 0 */2 * *", "2012-07-09T23:35:00Z", "2012-07-11T00:00:00Z"),
        ("0 0 9 Apr-Oct ?", "2012-07-09T23:35:00Z", "2012-08-09T00:00:00Z"),
        ("0 0 */5 Apr,Aug,Oct MON", "2012-07-09T23:35:00Z", "2012-08-01T00:00:00Z"),
        ("0 0 * Feb Mon", "2012-07-09T23:35:00Z", "2013-02-04T00:00:00Z"),
        ("0 0 * Feb Mon/2", "2012-07-09T23:35:00Z", "2013-02-01T00:00:00Z"),
        ("0 0 29 Feb ?", "2012-07-09T23:35:00Z", "2016-02-29T00:00:00Z"),
        ("0 0 1,15 * 1", "2012-07-10T00:00:00Z", "2012-07-15T00:00:00Z"),
        ("0 0 1 * ?", "2012-07-10T00:00:00Z", "2012-08-01T00:00:00Z"),
        ("0 0 30 Feb ?", "2012-07-09T23:35:00Z", ""),
        ("0 0 31 Apr ?", "2012-07-09T23:35:00Z", ""),
        ("@hourly", "2012-07-09T14:00:00Z", "2012-07-09T15:00:00Z"),
        ("@weekly", "2012-07-09T14:00:00Z", "2012-07-15T00:00:00Z"),
        ("@monthly", "2012-07-09T14:00:00Z", "2012-08-01T00:00:00Z"),
        ("@yearly", "2012-07-09T14:00:00Z", "2013-01-01T00:00:00Z"),
        ("@every 5m", "2012-07-09T14:45:10.5Z", "2012-07-09T14:50:10Z"),
        ("@every 1h30m10s", "2012-07-09T14:45:00Z", "2012-07-09T16:15:10Z"),
        ("@every 10ms", "2012-07-09T14:45:00Z", "2012-07-09T14:45:01Z"),
    ] {
        check(schedule, "", from, expected);
    }
}

#[test]
fn clocks_change() {
    for (schedule, from, expected) in [
        ("30 2 11 Mar ?", "2012-03-11T00:00:00-05:00", "2013-03-11T02:30:00-04:00"),
        ("0 * * * *", "2012-03-11T01:00:00-05:00", "2012-03-11T03:00:00-04:00"),
        ("0 2 * * *", "2012-03-11T00:00:00-05:00", "2012-03-12T02:00:00-04:00"),
        ("0 3 * * *", "2012-03-11T00:00:00-05:00", "2012-03-11T03:00:00-04:00"),
        ("30 2 04 Nov ?", "2012-11-04T00:00:00-04:00", "2012-11-04T02:30:00-05:00"),
        ("30 1 04 Nov ?", "2012-11-04T01:45:00-04:00", "2012-11-04T01:30:00-05:00"),
        ("0 * * * *", "2012-11-04T01:00:00-04:00", "2012-11-04T01:00:00-05:00"),
        ("0 1 * * *", "2012-11-04T00:00:00-04:00", "2012-11-04T01:00:00-04:00"),
        ("0 1 * * *", "2012-11-04T01:00:00-04:00", "2012-11-04T01:00:00-05:00"),
        ("0 1 * * *", "2012-11-04T01:00:00-05:00", "2012-11-05T01:00:00-05:00"),
    ] {
        check(schedule, NEW_YORK, from, expected);
    }
    check("0 0 * * *", "America/Sao_Paulo", "2018-11-03T05:00:00-03:00", "2018-11-05T00:00:00-02:00");
}

#[test]
fn what_is_no_schedule_is_refused() {
    for (schedule, reason) in [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("*/1/2 * * * *", "too many slashes: */1/2"),
        ("@nightly", "unrecognized descriptor: @nightly"),
        ("@every soon", "failed to parse duration @every soon: time: invalid duration \"soon\""),
        ("TZ=UTC * * * * *", "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
    ] {
        assert_eq!(Schedule::parse(schedule), Err(reason.to_owned()), "{schedule}");
    }
}

#[test]
fn the_last_time_is_found_however_long_ago() {
    let last = |schedule: &str, from: &str, now: &str| {
        let schedule = Schedule::parse(schedule).unwrap();
        schedule.last(from.parse().unwrap(), now.parse().unwrap(), 100, &TimeZone::UTC)
    };
    let (from, now) = ("2020-01-01T00:00:00Z", "2030-01-01T12:00:30Z");
    assert_eq!(last("* * * * *", from, now), Some(("2030-01-01T12:00:00Z".parse().unwrap(), true)));
    assert_eq!(last("@monthly", from, now), Some(("2030-01-01T00:00:00Z".parse().unwrap(), true)));
    assert_eq!(last("@yearly", from, now), Some(("2030-01-01T00:00:00Z".parse().unwrap(), false)));
    assert_eq!(last("* * 1 1 *", from, "2029-12-31T00:00:00Z").unwrap().0.to_string(), "2029-01-01T23:59:00Z");
    assert_eq!(last("@every 1h", from, now), Some(("2030-01-01T12:00:00Z".parse().unwrap(), true)));
    assert_eq!(last("@daily", "2030-01-01T01:00:00Z", now), None);
}

fn any_field(low: u32, high: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just("*".to_owned()),
        2 => (low..=high).prop_map(|number| number.to_string()),
        1 => (low..=high, low..=high).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (1..7_u32).prop_map(|step| format!("*/{step}")),
        1 => (low..=high, low..=high).prop_map(|(a, b)| format!("{a},{b}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Next is the smallest minute whose wall time matches: no earlier one does, and it does itself.
    #[test]
    fn next_is_the_smallest_matching_time(
        minute in any_field(0, 59), hour in any_field(0, 23), day in any_field(1, 31), weekday in any_field(0, 6),
        zone in prop_oneof![Just("UTC"), Just(NEW_YORK), Just("Australia/Lord_Howe"), Just("Asia/Kathmandu")],
        start in 0..1500_i64,
    ) {
        let text = format!("{minute} {hour} {day} * {weekday}");
        let schedule = Schedule::parse(&text).unwrap();
        let Schedule::Wall(wall) = &schedule else { unreachable!() };
        let tz = TimeZoneDatabase::from_env().get(zone).unwrap();
        let base: Timestamp = "2012-10-06T12:00:17Z".parse().unwrap();
        let from = base + SignedDuration::from_hours(start);
        let shows = |at: Timestamp| {
            let at = tz.to_datetime(at);
            at.second() == 0 && wall.has_date(at.date()) && super::has(wall.hours, at.hour()) && super::has(wall.minutes, at.minute())
        };
        let first_minute = Timestamp::from_second(from.as_second().div_euclid(60) * 60 + 60).unwrap();
        let slow = (0..60 * 24 * 14).map(|minute: i64| first_minute + minute.minutes()).find(|at| shows(*at));
        let fast = schedule.next(from, &tz);
        match slow {
            Some(slow) => prop_assert_eq!(fast, Some(slow), "{} in {}", text, zone),
            None => prop_assert!(fast.is_none_or(|fast| fast > first_minute + (60_i64 * 24 * 14 - 1).minutes())),
        }
    }
}

#[test]
fn what_is_wrong_with_a_schedule() {
    for (schedule, reason) in [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("*/1/2 * * * *", "too many slashes: */1/2"),
        ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
        ("@nightly", "unrecognized descriptor: @nightly"),
        ("@every 5", "failed to parse duration @every 5: time: invalid duration \"5\""),
    ] {
        assert_eq!(Schedule::parse(schedule), Err(reason.to_owned()), "{schedule}");
    }
}
