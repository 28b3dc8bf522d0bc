//! Semantic versions; and comparisons of all types that have them by function. Source: apiserver `library/semverlib.go`.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Call, Opaque, Row, quantity};
use crate::cel::cost::Cost;
use crate::cel::{Error, Value};

/// A semantic version (2.0.0) without build metadata, which does not order.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    numbers: [u64; 3],
    pre_release: Vec<Part>,
}

/// A part of a pre-release: numbers come before words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

const NEW: Cost = Cost::Walk(1.0);
const ONE: Cost = Cost::Units(1);
const ORDER: &[&str] = &["quantity.(quantity) bool", "semver.(semver) bool"];

pub(super) const ROWS: &[Row] = &[
    ("semver", &["(string) semver", "(string, bool) semver"], NEW, |call| {
        let version = given(call)?.ok_or_else(|| Error::failed("No Major.Minor.Patch elements found"))?;
        Ok(Value::Opaque(Arc::new(Opaque::Version(version))))
    }),
    ("isSemver", &["(string) bool", "(string, bool) bool"], NEW, |call| {
        given(call).map(|found| Value::Bool(found.is_some()))
    }),
    ("major", &["semver.() int"], ONE, |call| number(call, 0)),
    ("minor", &["semver.() int"], ONE, |call| number(call, 1)),
    ("patch", &["semver.() int"], ONE, |call| number(call, 2)),
    ("isLessThan", ORDER, ONE, |call| Ok(Value::Bool(order(call)? == Ordering::Less))),
    ("isGreaterThan", ORDER, ONE, |call| Ok(Value::Bool(order(call)? == Ordering::Greater))),
    ("compareTo", &["quantity.(quantity) int", "semver.(semver) int"], ONE, |call| Ok(Value::Int(order(call)? as i64))),
];

fn given(call: &Call<'_, '_>) -> Result<Option<Version>, Error> {
    match call.args {
        [Value::String(text)] => Ok(parse(text)),
        [Value::String(text), Value::Bool(false)] => Ok(parse(text)),
        [Value::String(text), Value::Bool(true)] => Ok(parse(&normalized(text))),
        _ => Err(Error::no_such_overload()),
    }
}

/// `v1.02` as `1.2.0`.
fn normalized(text: &str) -> String {
    let text = text.trim().trim_start_matches('v');
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let trimmed = |number: &str| match number.trim_start_matches('0') {
        "" if !number.is_empty() => "0".to_owned(),
        other => other.to_owned(),
    };
    let mut numbers: Vec<String> = numbers.split('.').map(trimmed).collect();
    while numbers.len() < 3 {
        numbers.push("0".to_owned());
    }
    numbers.join(".") + rest
}

fn whole(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}

fn parse(text: &str) -> Option<Version> {
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (numbers, pre_release) = text.split_once('-').map_or((text, None), |(text, pre)| (text, Some(pre)));
    let is_word =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if build.is_some_and(|build| !build.split('.').all(is_word)) {
        return None;
    }
    let mut parts = numbers.split('.').map(whole);
    let mut next = || parts.next().flatten();
    let numbers = [next()?, next()?, next()?];
    if parts.next().is_some() {
        return None;
    }
    let part = |part: &str| match part.bytes().all(|byte| byte.is_ascii_digit()) {
        true => whole(part).map(Part::Number),
        false => Some(Part::Word(part.to_owned())),
    };
    let pre_release =
        pre_release.map(|pre| pre.split('.').map(|it| if is_word(it) { part(it) } else { None }).collect());
    Some(Version { numbers, pre_release: pre_release.unwrap_or(Some(Vec::new()))? })
}

impl Version {
    fn order(&self, other: &Self) -> Ordering {
        let by_pre_release = || match (self.pre_release.is_empty(), other.pre_release.is_empty()) {
            (false, false) => self.pre_release.cmp(&other.pre_release),
            (one, other) => one.cmp(&other),
        };
        self.numbers.cmp(&other.numbers).then_with(by_pre_release)
    }
}

fn of<'c>(value: &'c Value<'_>) -> Option<&'c Version> {
    match value {
        Value::Opaque(opaque) => match &**opaque {
            Opaque::Version(version) => Some(version),
            _ => None,
        },
        _ => None,
    }
}

fn number<'a>(call: &Call<'_, 'a>, index: usize) -> Result<Value<'a>, Error> {
    let version = call.args.first().and_then(of).ok_or_else(Error::no_such_overload)?;
    Ok(Value::Int(version.numbers.get(index).copied().unwrap_or(0) as i64))
}

fn order(call: &Call<'_, '_>) -> Result<Ordering, Error> {
    let [one, other] = call.args else { return Err(Error::no_such_overload()) };
    let quantities = || Some(quantity::of(one)?.cmp(&quantity::of(other)?));
    let versions = || Some(of(one)?.order(of(other)?));
    quantities().or_else(versions).ok_or_else(Error::no_such_overload)
}
