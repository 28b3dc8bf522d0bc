//! Whether a text is a schedule: five fields, or a descriptor such as `@daily` or `@every 5m`. Reasons are worded as by the
//! library that upstream parses with.

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

const DESCRIPTORS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Checks a schedule; the error is the reason.
pub(super) fn check(schedule: &str) -> Result<(), String> {
    let zoned = schedule.starts_with("TZ=") || schedule.starts_with("CRON_TZ=");
    let schedule = match schedule.split_once(' ') {
        Some((_, rest)) if zoned => rest.trim(),
        _ => schedule,
    };
    if schedule.starts_with('@') {
        return check_descriptor(schedule);
    }
    let fields: Vec<_> = schedule.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    let expressions = fields.iter().zip(&FIELDS).flat_map(|(text, field)| text.split(',').map(move |it| (it, field)));
    expressions
        .filter(|(expression, _)| !expression.is_empty())
        .try_for_each(|(expression, field)| field.check(expression))
}

fn check_descriptor(descriptor: &str) -> Result<(), String> {
    match descriptor.strip_prefix("@every ") {
        Some(duration) if is_duration(duration) => Ok(()),
        Some(duration) => Err(format!("failed to parse duration {descriptor}: time: invalid duration {duration:?}")),
        None if DESCRIPTORS.contains(&descriptor) => Ok(()),
        None => Err(format!("unrecognized descriptor: {descriptor}")),
    }
}

/// Numbers each with a unit: `1h30m`.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    while !rest.is_empty() {
        let after = rest.trim_start_matches(|character: char| character.is_ascii_digit() || character == '.');
        let unit = ["ns", "us", "µs", "ms", "s", "m", "h"].into_iter().find_map(|unit| after.strip_prefix(unit));
        match unit {
            Some(next) if after.len() < rest.len() => rest = next,
            _ => return false,
        }
    }
    !text.is_empty()
}

impl Field {
    /// Checks one of `*`, `5`, `1-5`, `*/2`, `1-5/2`, `mon`.
    fn check(&self, expression: &str) -> Result<(), String> {
        let mut parts = expression.split('/');
        let range = parts.next().unwrap_or("");
        let step = parts.next();
        let (low, high) = self.range(range, expression)?;
        let step_number = step.map(number).transpose()?;
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
        if step_number == Some(0) {
            return Err(format!("step of range should be a positive number: {expression}"));
        }
        Ok(())
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
        match self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            Some(position) => Ok(self.low + position as u32),
            None => number(text),
        }
    }
}

fn number(text: &str) -> Result<u32, String> {
    let invalid = |_| format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax");
    text.parse().map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn good_schedules() {
        for schedule in
            ["* * * * *", "*/5 1-3 1,15 jan-mar MON", "0 0 ? * 0/2", "@daily", "@every 1h30m", "CRON_TZ=UTC 0 0 * * *"]
        {
            assert_eq!(check(schedule), Ok(()), "{schedule}");
        }
    }

    #[test]
    fn bad_schedules() {
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
        ] {
            assert_eq!(check(schedule), Err(reason.to_owned()), "{schedule}");
        }
    }
}
