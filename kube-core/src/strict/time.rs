//! Which strings are times, and what Go's `time.Parse` says of the others.

use super::quote::quote;

/// The layouts of `metav1.Time` and `metav1.MicroTime`, element by element.
const SECONDS: [&str; 12] = ["2006", "-", "01", "-", "02", "T", "15", ":", "04", ":", "05", "Z07:00"];
const MICROSECONDS: [&str; 13] = ["2006", "-", "01", "-", "02", "T", "15", ":", "04", ":", "05", ".000000", "Z07:00"];

/// What is wrong with `text` as an RFC 3339 time; `None` if nothing is.
pub(super) fn bad_time(text: &str, has_microseconds: bool) -> Option<String> {
    let layout = if has_microseconds { MICROSECONDS.as_slice() } else { SECONDS.as_slice() };
    let error = parse(text, layout).err()?;
    let text = quote(text);
    Some(match error {
        Wrong::Element { rest, element } => {
            format!(
                "parsing time {text} as {}: cannot parse {} as {}",
                quote(&layout.concat()),
                quote(rest),
                quote(element)
            )
        }
        Wrong::Range(what) => format!("parsing time {text}: {what} out of range"),
        Wrong::Extra(rest) => format!("parsing time {text}: extra text: {}", quote(rest)),
    })
}

enum Wrong<'a> {
    Element { rest: &'a str, element: &'static str },
    Range(&'static str),
    Extra(&'a str),
}

fn parse<'a>(text: &'a str, layout: &[&'static str]) -> Result<(), Wrong<'a>> {
    let has_fraction = layout.contains(&".000000");
    let (mut rest, mut year, mut month, mut day) = (text, 0_u32, 1, 1);
    for &element in layout {
        let wrong = Wrong::Element { rest, element };
        let number =
            |digits: usize| Some((rest.get(..digits)?, rest.get(digits..)?)).filter(|(head, _)| is_digits(head));
        let (value, after) = match element {
            "2006" => number(4).ok_or(wrong)?,
            "01" | "02" | "15" | "04" | "05" => number(2).ok_or(wrong)?,
            ".000000" => micros(rest).ok_or(wrong)?,
            "Z07:00" => zone(rest).ok_or(wrong)?,
            literal => ("", rest.strip_prefix(literal).ok_or(wrong)?),
        };
        let value = value.parse().unwrap_or(0);
        match (element, value) {
            ("2006", value) => year = value,
            ("01", value @ 1..=12) => month = value,
            ("01", _) => return Err(Wrong::Range("month")),
            ("02", value) => day = value,
            ("15", 24..) => return Err(Wrong::Range("hour")),
            ("04", 60..) => return Err(Wrong::Range("minute")),
            ("05", 60..) => return Err(Wrong::Range("second")),
            _ => {}
        }
        rest = if element == "05" && !has_fraction { skip_fraction(after) } else { after };
    }
    match rest {
        "" if (1..=days_in(year, month)).contains(&day) => Ok(()),
        "" => Err(Wrong::Range("day")),
        extra => Err(Wrong::Extra(extra)),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Go takes a fraction of a second though the layout has none.
fn skip_fraction(rest: &str) -> &str {
    let digits = rest.strip_prefix(['.', ',']).unwrap_or_default();
    match digits.trim_start_matches(|letter: char| letter.is_ascii_digit()) {
        after if after.len() < digits.len() => after,
        _ => rest,
    }
}

fn micros(rest: &str) -> Option<(&str, &str)> {
    let digits = rest.strip_prefix(['.', ','])?;
    let (head, after) = (digits.get(..6)?, digits.get(6..)?);
    is_digits(head).then_some((head, after))
}

/// `Z` or `+02:00`
fn zone(rest: &str) -> Option<(&str, &str)> {
    if let Some(after) = rest.strip_prefix('Z') {
        return Some(("", after));
    }
    let (hours, minutes) = rest.strip_prefix(['+', '-'])?.get(..5)?.split_once(':')?;
    let is_zone = hours.len() == 2 && is_digits(hours) && is_digits(minutes);
    is_zone.then_some(("", rest.get(6..)?))
}

fn days_in(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
