//! Schedules: five fields, or a descriptor such as `@daily` or `@every 5m`.
//!
//! Source: robfig/cron v3 `ParseStandard`, with which upstream validates CronJobs and finds their times.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// For how many years a match is looked for. Source: `SpecSchedule.Next`.
const YEARS_MAX: i16 = 5;

/// When something is due, again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Whenever the clock on the wall shows one of these.
    Wall(Wall),
    /// In equal intervals, of whole seconds.
    Every(SignedDuration),
}

/// What the clock on the wall must show. One bit per number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wall {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether days of the month, or of the week, are any: then only the others count. If neither is, one match is enough.
    any_day: bool,
}

/// One field's bounds, and the names that stand for numbers counted from its lower bound.
struct Field {
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { low: 0, high: 59, names: &[] },
    Field { low: 0, high: 23, names: &[] },
    Field { low: 1, high: 31, names: &[] },
    Field {
        low: 1,
        high: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Field { low: 0, high: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

const DESCRIPTORS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

impl Schedule {
    /// Reads a schedule. Time zones in it are refused: they have a field of their own.
    ///
    /// # Errors
    /// Says what is wrong with the schedule, in upstream's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
            return Err("cannot use TZ or CRON_TZ in schedule, use timeZone field instead".to_owned());
        }
        if let Some(duration) = text.strip_prefix("@every ") {
            let invalid = || format!("failed to parse duration {text}: time: invalid duration {duration:?}");
            let seconds = i64::try_from(whole_seconds(duration).ok_or_else(invalid)?).unwrap_or(i64::MAX);
            return Ok(Self::Every(SignedDuration::from_secs(seconds.max(1))));
        }
        if text.starts_with('@') {
            let meaning = DESCRIPTORS.iter().find(|(name, _)| *name == text).map(|(_, meaning)| *meaning);
            return Wall::parse(meaning.ok_or_else(|| format!("unrecognized descriptor: {text}"))?).map(Self::Wall);
        }
        Wall::parse(text).map(Self::Wall)
    }

    /// The first time after `after`; `None` if there is none within years.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(interval) => floor(after).checked_add(*interval).ok(),
            Self::Wall(wall) => wall.next(after, zone),
        }
    }

    /// The last of the times after `from` that are not after `now`, and whether there were more than `many`.
    pub fn last(&self, from: Timestamp, now: Timestamp, many: usize, zone: &TimeZone) -> Option<(Timestamp, bool)> {
        let walk = |from| {
            std::iter::successors(self.next(from, zone), |time| self.next(*time, zone)).take_while(|time| *time <= now)
        };
        let (count, last) = walk(from).take(many + 1).fold((0, None), |(count, _), time| (count + 1, Some(time)));
        if count <= many {
            return Some((last?, false));
        }
        if let Self::Every(interval) = self {
            let first = self.next(from, zone)?;
            let rest = now.duration_since(first).as_secs() % interval.as_secs().max(1);
            return Some((floor(now) - SignedDuration::from_secs(rest), true));
        }
        // Looks back twice as far each time, rather than walk through years of minutes.
        let mut back = SignedDuration::from_mins(1);
        loop {
            let start = now.checked_sub(back).unwrap_or(from).max(from);
            match walk(start).last() {
                Some(last) => return Some((last, true)),
                None if start == from => return None,
                None => back = back.checked_mul(2)?,
            }
        }
    }
}

fn floor(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

impl Wall {
    fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<_> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
        };
        let [minute, hour, day, month, weekday] = &FIELDS;
        let is_any = |field: &str| field.split(',').any(is_any);
        Ok(Self {
            minutes: minute.bits(minutes)?,
            hours: hour.bits(hours)?,
            days: day.bits(days)?,
            months: month.bits(months)?,
            weekdays: weekday.bits(weekdays)?,
            any_day: is_any(days) || is_any(weekdays),
        })
    }

    /// Whether the clock shows it.
    fn has_date(&self, date: Date) -> bool {
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let day = has(self.days, date.day());
        has(self.months, date.month()) && if self.any_day { day && weekday } else { day || weekday }
    }

    /// Goes from one change of the clocks to the next: in between, wall time and time run alike. What clocks skip does not
    /// happen, what they show twice happens twice.
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut from = floor(after).checked_add(SignedDuration::from_secs(1)).ok()?;
        let year_max = zone.to_datetime(from).year().saturating_add(YEARS_MAX);
        loop {
            let offset = zone.to_offset(from);
            let until = zone.following(from).next().map(|change| change.timestamp());
            let end = until.map(|until| offset.to_datetime(until));
            let found = self.next_shown(offset.to_datetime(from), end, year_max);
            let found = found.and_then(|shown| offset.to_timestamp(shown).ok());
            match (found, until) {
                (Some(found), _) => return Some(found),
                (None, Some(until)) if zone.to_datetime(until).year() <= year_max => from = until,
                _ => return None,
            }
        }
    }

    /// The first match from `start` on and before `end`.
    fn next_shown(&self, start: DateTime, end: Option<DateTime>, year_max: i16) -> Option<DateTime> {
        let minute = start.time().with().second(0).subsec_nanosecond(0).build().ok()?;
        let is_whole = minute == start.time();
        let mut date = start.date();
        let mut time = if is_whole { Some(minute) } else { minute_after(minute) };
        while date.year() <= year_max && end.is_none_or(|end| date <= end.date()) {
            let shown = time.filter(|_| self.has_date(date)).and_then(|time| self.next_time(time));
            if let Some(time) = shown {
                let found = date.to_datetime(time);
                return end.is_none_or(|end| found < end).then_some(found);
            }
            date = date.tomorrow().ok()?;
            time = Some(Time::midnight());
        }
        None
    }

    /// The first match of the day from `start` on.
    fn next_time(&self, start: Time) -> Option<Time> {
        let minute = |from: i8| (from..60).find(|minute| has(self.minutes, *minute));
        if has(self.hours, start.hour())
            && let Some(minute) = minute(start.minute())
        {
            return Time::new(start.hour(), minute, 0, 0).ok();
        }
        let hour = (start.hour() + 1..24).find(|hour| has(self.hours, *hour))?;
        Time::new(hour, minute(0)?, 0, 0).ok()
    }
}

fn minute_after(time: Time) -> Option<Time> {
    time.checked_add(SignedDuration::from_mins(1)).ok()
}

fn has(bits: u64, number: i8) -> bool {
    bits & (1 << number) != 0
}

/// Whether an expression leaves its field open. With a step that skips, it does not.
fn is_any(expression: &str) -> bool {
    let (range, step) = expression.split_once('/').unwrap_or((expression, "1"));
    let first = range.split('-').next();
    matches!(first, Some("*" | "?")) && number(step).is_ok_and(|step| step <= 1)
}

impl Field {
    fn bits(&self, text: &str) -> Result<u64, String> {
        let expressions = text.split(',').filter(|expression| !expression.is_empty());
        expressions.map(|expression| self.expression(expression)).try_fold(0, |all, bits| Ok(all | bits?))
    }

    /// Reads one of `*`, `5`, `1-5`, `*/2`, `1-5/2`, `mon`.
    fn expression(&self, expression: &str) -> Result<u64, String> {
        let mut parts = expression.split('/');
        let range = parts.next().unwrap_or("");
        let step = parts.next();
        let (low, high) = self.range(range, expression)?;
        let step_size = step.map_or(Ok(1), number)?;
        if parts.next().is_some() {
            return Err(format!("too many slashes: {expression}"));
        }
        let high = if step.is_some() && !range.contains('-') { self.high } else { high };
        if low < self.low {
            return Err(format!("beginning of range ({low}) below minimum ({}): {expression}", self.low));
        }
        if high > self.high {
            return Err(format!("end of range ({high}) above maximum ({}): {expression}", self.high));
        }
        if low > high {
            return Err(format!("beginning of range ({low}) beyond end of range ({high}): {expression}"));
        }
        if step_size == 0 {
            return Err(format!("step of range should be a positive number: {expression}"));
        }
        let step_size = usize::try_from(step_size).unwrap_or(usize::MAX);
        Ok((low..=high).step_by(step_size).fold(0, |bits, number| bits | 1 << number))
    }

    fn range(&self, range: &str, expression: &str) -> Result<(u32, u32), String> {
        let mut ends = range.split('-');
        let first = ends.next().unwrap_or("");
        if matches!(first, "*" | "?") {
            return Ok((self.low, self.high));
        }
        let low = self.number_or_name(first)?;
        let high = ends.next().map_or(Ok(low), |last| self.number_or_name(last))?;
        if ends.next().is_some() { Err(format!("too many hyphens: {expression}")) } else { Ok((low, high)) }
    }

    fn number_or_name(&self, text: &str) -> Result<u32, String> {
        match self.names.iter().zip(self.low..).find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            Some((_, number)) => Ok(number),
            None => number(text),
        }
    }
}

fn number(text: &str) -> Result<u32, String> {
    let invalid = |_| format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax");
    text.parse().map_err(invalid)
}

/// The whole seconds of a duration in Go's form, such as `1h30m` or `1.5h`; none of a negative one.
fn whole_seconds(text: &str) -> Option<u64> {
    if let Some(negative) = text.strip_prefix('-') {
        return whole_seconds(negative).map(|_| 0);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut total = Duration::ZERO;
    let mut parts = 0;
    while !rest.is_empty() {
        let after = rest.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
        let amount: f64 = rest.strip_suffix(after)?.parse().ok()?;
        let units = [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let (next, seconds) = units.into_iter().find_map(|(unit, size)| Some((after.strip_prefix(unit)?, size)))?;
        total = total.checked_add(Duration::try_from_secs_f64(amount * seconds).ok()?)?;
        (rest, parts) = (next, parts + 1);
    }
    (parts > 0).then_some(total.as_secs())
}

#[cfg(test)]
mod tests;
