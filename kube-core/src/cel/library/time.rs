//! Timestamps and durations.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::{Call, Row};
use crate::cel::cost::Cost;
use crate::cel::{Error, Value};

const MOMENT: &[&str] = &["timestamp.() int", "timestamp.(string) int"];
const BOTH: &[&str] = &["timestamp.() int", "timestamp.(string) int", "duration.() int"];

pub(super) const ROWS: &[Row] = &[
    ("getFullYear", MOMENT, Cost::Units(1), |call| part(call, |at| at.year().into())),
    ("getMonth", MOMENT, Cost::Units(1), |call| part(call, |at| i64::from(at.month()) - 1)),
    ("getDayOfMonth", MOMENT, Cost::Units(1), |call| part(call, |at| i64::from(at.day()) - 1)),
    ("getDate", MOMENT, Cost::Units(1), |call| part(call, |at| at.day().into())),
    ("getDayOfWeek", MOMENT, Cost::Units(1), |call| part(call, |at| at.weekday().to_sunday_zero_offset().into())),
    ("getDayOfYear", MOMENT, Cost::Units(1), |call| part(call, |at| i64::from(at.day_of_year()) - 1)),
    ("getHours", BOTH, Cost::Units(1), |call| time_part(call, 3_600_000_000_000, |at| at.hour().into())),
    ("getMinutes", BOTH, Cost::Units(1), |call| time_part(call, 60_000_000_000, |at| at.minute().into())),
    ("getSeconds", BOTH, Cost::Units(1), |call| time_part(call, 1_000_000_000, |at| at.second().into())),
    ("getMilliseconds", BOTH, Cost::Units(1), |call| match call.args {
        [Value::Duration(nanoseconds)] => Ok(Value::Int(nanoseconds % 1_000_000_000 / 1_000_000)),
        _ => part(call, |at| at.millisecond().into()),
    }),
];

fn part<'a>(call: &Call<'_, 'a>, read: fn(DateTime) -> i64) -> Result<Value<'a>, Error> {
    let (moment, zone) = match call.args {
        [Value::Timestamp(moment)] => (moment, TimeZone::UTC),
        [Value::Timestamp(moment), Value::String(name)] => (moment, zone(name)?),
        _ => return Err(Error::no_such_overload()),
    };
    Ok(Value::Int(read(zone.to_datetime(*moment))))
}

/// A part of a timestamp, or all of a duration in a unit.
fn time_part<'a>(call: &Call<'_, 'a>, unit: i64, read: fn(DateTime) -> i64) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::Duration(nanoseconds)] => Ok(Value::Int(nanoseconds / unit)),
        _ => part(call, read),
    }
}

/// `UTC`, `+02:00`, or a name of the time zone database, as far as the machine has it.
fn zone(name: &str) -> Result<TimeZone, Error> {
    let unknown = || Error::failed(format!("unknown time zone {name}"));
    let Some((hours, minutes)) = name.split_once(':') else {
        return if matches!(name, "UTC" | "") { Ok(TimeZone::UTC) } else { TimeZone::get(name).map_err(|_| unknown()) };
    };
    let is_behind = hours.starts_with('-');
    let hours: i32 = hours.trim_start_matches(['+', '-']).parse().map_err(|_| unknown())?;
    let minutes: i32 = minutes.parse().map_err(|_| unknown())?;
    let seconds = hours.checked_mul(3600).and_then(|seconds| seconds.checked_add(minutes.checked_mul(60)?));
    let seconds = seconds.ok_or_else(unknown)?;
    let offset = Offset::from_seconds(if is_behind { -seconds } else { seconds }).map_err(|_| unknown())?;
    Ok(TimeZone::fixed(offset))
}

/// Moments lie between the years 1 and 9999.
pub(super) fn checked(moment: Timestamp) -> Result<Timestamp, Error> {
    let is_known = (-62_135_596_800..=253_402_300_799).contains(&moment.as_second());
    is_known.then_some(moment).ok_or_else(|| Error::failed("timestamp overflow"))
}

/// Nanoseconds of Go's units.
const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Go's `time.ParseDuration`, in nanoseconds.
pub(in crate::cel) fn parse_duration(text: &str) -> Option<i64> {
    let is_negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let (number, unit) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || number.len() > 30 {
            return None;
        }
        let end = unit.find(|it: char| it.is_ascii_digit() || it == '.').unwrap_or(unit.len());
        let (unit, after) = unit.split_at(end);
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let size = i128::from(*size);
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let (mut part, mut scale) = (0, size);
        for digit in fraction.chars() {
            scale /= 10;
            part += scale * i128::from(digit.to_digit(10)?);
        }
        total = total.checked_add(whole.checked_mul(size)?)?.checked_add(part)?;
        rest = after;
    }
    i64::try_from(if is_negative { -total } else { total }).ok()
}

/// A duration in seconds, as the language prints it: `5400s`, `0.5s`.
pub(in crate::cel) fn show_duration(nanoseconds: i64) -> String {
    let (sign, size) = (if nanoseconds < 0 { "-" } else { "" }, nanoseconds.unsigned_abs());
    let (seconds, rest) = (size / 1_000_000_000, size % 1_000_000_000);
    if rest == 0 {
        return format!("{sign}{seconds}s");
    }
    let fraction = format!("{rest:09}");
    format!("{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
}
