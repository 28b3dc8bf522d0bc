//! Text. Positions and sizes are in characters.

use super::{Call, Row};
use crate::cel::cost::Cost;
use crate::cel::{Error, Value};

pub(super) const ROWS: &[Row] = &[
    // Source: apiserver `library/jsonpatch.go`.
    ("jsonpatch.escapeKey", &["(string) string"], Cost::Walk(1.0), |call| match call.args {
        [Value::String(text)] => Ok(text.replace('~', "~0").replace('/', "~1").into()),
        _ => Err(Error::no_such_overload()),
    }),
    (
        "size",
        &[
            "string.() int",
            "bytes.() int",
            "list(A).() int",
            "map(A, B).() int",
            "(string) int",
            "(bytes) int",
            "(list(A)) int",
            "(map(A, B)) int",
        ],
        Cost::Units(1),
        |call| match call.args {
            [value @ (Value::String(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_))] => {
                Ok(Value::Int(value.size() as i64))
            }
            _ => Err(Error::no_such_overload()),
        },
    ),
    ("startsWith", &["string.(string) bool"], Cost::Walk(1.0), |call| {
        test(call, |text, other| text.starts_with(other))
    }),
    ("endsWith", &["string.(string) bool"], Cost::Walk(1.0), |call| test(call, |text, other| text.ends_with(other))),
    ("contains", &["string.(string) bool"], Cost::Search, |call| test(call, |text, other| text.contains(other))),
    ("lowerAscii", &["string.() string"], Cost::Walk(1.0), |call| change(call, |text| text.to_ascii_lowercase())),
    ("upperAscii", &["string.() string"], Cost::Walk(1.0), |call| change(call, |text| text.to_ascii_uppercase())),
    ("trim", &["string.() string"], Cost::Walk(1.0), |call| change(call, |text| text.trim().to_owned())),
    ("strings.quote", &["(string) string"], Cost::Walk(1.0), |call| change(call, quote)),
    ("charAt", &["string.(int) string"], Cost::Walk(1.0), char_at),
    ("substring", &["string.(int) string", "string.(int, int) string"], Cost::Walk(1.0), substring),
    ("replace", &["string.(string, string) string", "string.(string, string, int) string"], Cost::Walk(2.0), replace),
    ("split", &["string.(string) list(string)", "string.(string, int) list(string)"], Cost::Walk(2.0), split),
    ("join", &["list(string).() string", "list(string).(string) string"], Cost::Result, join),
];

fn test<'a>(call: &Call<'_, 'a>, holds: fn(&str, &str) -> bool) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::String(text), Value::String(other)] => Ok(Value::Bool(holds(text, other))),
        _ => Err(Error::no_such_overload()),
    }
}

fn change<'a>(call: &Call<'_, 'a>, change: fn(&str) -> String) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::String(text)] => Ok(change(text).into()),
        _ => Err(Error::no_such_overload()),
    }
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\u{b}' => quoted.push_str("\\v"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Where a character begins, in bytes.
fn offset(text: &str, index: usize) -> usize {
    text.char_indices().nth(index).map_or(text.len(), |(at, _)| at)
}

fn out_of_range(index: i64) -> Error {
    Error::failed(format!("index out of range: {index}"))
}

/// An index from zero up to the length.
fn checked(index: i64, length: usize) -> Result<usize, Error> {
    usize::try_from(index).ok().filter(|index| *index <= length).ok_or_else(|| out_of_range(index))
}

fn char_at<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let [Value::String(text), Value::Int(index)] = call.args else { return Err(Error::no_such_overload()) };
    let position = checked(*index, text.chars().count())?;
    Ok(text.chars().nth(position).map(String::from).unwrap_or_default().into())
}

fn substring<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let (text, start, end) = match call.args {
        [Value::String(text), Value::Int(start)] => (text, *start, None),
        [Value::String(text), Value::Int(start), Value::Int(end)] => (text, *start, Some(*end)),
        _ => return Err(Error::no_such_overload()),
    };
    let length = text.chars().count();
    let end = end.unwrap_or(length as i64);
    if start > end {
        return Err(Error::failed(format!("invalid substring range. start: {start}, end: {end}")));
    }
    let (start, end) = (checked(start, length)?, checked(end, length)?);
    Ok(text.get(offset(text, start)..offset(text, end)).unwrap_or("").to_owned().into())
}

/// The first or last place of a text in a text, from a character on or up to one.
pub(super) fn search<'a>(call: &Call<'_, 'a>, from_end: bool) -> Result<Value<'a>, Error> {
    let (text, wanted, limit) = match call.args {
        [Value::String(text), Value::String(wanted)] => (text, wanted, None),
        [Value::String(text), Value::String(wanted), Value::Int(limit)] => (text, wanted, Some(*limit)),
        _ => return Err(Error::no_such_overload()),
    };
    let length = text.chars().count();
    let limit = limit.map(|limit| checked(limit, length)).transpose()?;
    let found = if from_end {
        let end = limit.map_or(text.len(), |limit| (offset(text, limit) + wanted.len()).min(text.len()));
        (0..=end).rev().find_map(|end| text.get(..end)).and_then(|before| before.rfind(&**wanted))
    } else {
        let start = limit.map_or(0, |limit| offset(text, limit));
        text.get(start..).and_then(|after| after.find(&**wanted)).map(|at| at + start)
    };
    let index = found.and_then(|at| text.get(..at)).map_or(-1, |before| before.chars().count() as i64);
    Ok(Value::Int(index))
}

fn replace<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let (text, old, new, limit) = match call.args {
        [Value::String(text), Value::String(old), Value::String(new)] => (text, old, new, -1),
        [Value::String(text), Value::String(old), Value::String(new), Value::Int(limit)] => (text, old, new, *limit),
        _ => return Err(Error::no_such_overload()),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let places = text.matches(&**old).take(limit).count();
    let size = text.len().saturating_add(places.saturating_mul(new.len()));
    call.meter.room(size)?;
    call.meter.charge((size.saturating_sub(text.len()) / 10) as u64)?;
    Ok(text.replacen(&**old, new, limit).into())
}

fn split<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let (text, separator, limit) = match call.args {
        [Value::String(text), Value::String(separator)] => (text, separator, -1),
        [Value::String(text), Value::String(separator), Value::Int(limit)] => (text, separator, *limit),
        _ => return Err(Error::no_such_overload()),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let part = |part: &str| Value::from(part.to_owned());
    if limit == 0 {
        return Ok(Value::list(Vec::new()));
    }
    if separator.is_empty() {
        let singles = text.char_indices().map(|(at, letter)| (at, at + letter.len_utf8()));
        let mut parts: Vec<Value<'a>> =
            singles.clone().take(limit - 1).map(|(from, to)| part(text.get(from..to).unwrap_or(""))).collect();
        let rest = singles.skip(limit - 1).map(|(from, _)| from).next();
        parts.extend(rest.and_then(|from| text.get(from..)).map(part));
        return Ok(Value::list(parts));
    }
    Ok(Value::list(text.splitn(limit, &**separator).map(part).collect()))
}

fn join<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let (list, separator) = match call.args {
        [Value::List(list)] => (list, ""),
        [Value::List(list), Value::String(separator)] => (list, &**separator),
        _ => return Err(Error::no_such_overload()),
    };
    let mut joined = String::new();
    for (index, item) in list.iter().enumerate() {
        let Value::String(text) = item else { return Err(Error::no_such_overload()) };
        if !call.meter.tick() {
            return Err(Error::TooExpensive);
        }
        call.meter.room((joined.len() + separator.len() + text.len()) * 2)?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&text);
    }
    Ok(joined.into())
}
