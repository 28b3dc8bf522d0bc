//! Regular expressions of Go's dialect. They run in linear time; making one is paid for.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

use super::{Call, Row};
use crate::cel::cost::Cost;
use crate::cel::meter::Meter;
use crate::cel::{Error, Value};

pub(super) const ROWS: &[Row] = &[
    ("matches", &["string.(string) bool", "(string, string) bool"], Cost::Pattern, |call| {
        with_pattern(call, |pattern, text, _| Value::Bool(pattern.is_match(text)))
    }),
    ("find", &["string.(string) string"], Cost::Pattern, |call| {
        with_pattern(call, |pattern, text, _| {
            pattern.find(text).map(|found| found.as_str().to_owned()).unwrap_or_default().into()
        })
    }),
    ("findAll", &["string.(string) list(string)", "string.(string, int) list(string)"], Cost::Pattern, |call| {
        with_pattern(call, |pattern, text, limit| {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            Value::list(pattern.find_iter(text).take(limit).map(|found| found.as_str().to_owned().into()).collect())
        })
    }),
];

/// How large a pattern may become, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// What making a pattern costs that the expression does not name literally.
const MAKE_PATTERN: u64 = 1_000;

/// The patterns that one evaluation has made so far.
#[derive(Debug, Default)]
pub(in crate::cel) struct Patterns(HashMap<String, Regex>);

impl Patterns {
    /// A pattern.
    ///
    /// # Errors
    ///
    /// If the text is none, or needs too much memory.
    pub(in crate::cel) fn compile(text: &str) -> Result<Regex, regex::Error> {
        RegexBuilder::new(&translate(text)).size_limit(PATTERN_BYTES_MAX).build()
    }

    fn get(&mut self, text: &str, meter: &mut Meter) -> Result<&Regex, Error> {
        if !self.0.contains_key(text) {
            meter.charge(MAKE_PATTERN)?;
            let wrong = |_| Error::failed(format!("error parsing regexp: {text}"));
            self.0.insert(text.to_owned(), Self::compile(text).map_err(wrong)?);
        }
        self.0.get(text).ok_or_else(Error::no_such_overload)
    }
}

fn with_pattern<'a>(call: &mut Call<'_, 'a>, run: fn(&Regex, &str, i64) -> Value<'a>) -> Result<Value<'a>, Error> {
    let (text, pattern, limit) = match call.args {
        [Value::String(text), Value::String(pattern)] => (text, pattern, -1),
        [Value::String(text), Value::String(pattern), Value::Int(limit)] => (text, pattern, *limit),
        _ => return Err(Error::no_such_overload()),
    };
    match call.pattern {
        Some(pattern) => Ok(run(pattern, text, limit)),
        None => call.patterns.get(pattern, call.meter).map(|pattern| run(pattern, text, limit)),
    }
}

/// Go's classes are ASCII, and its brackets hold no sets inside of sets.
fn translate(text: &str) -> String {
    let (mut out, mut letters) = (String::with_capacity(text.len()), text.chars());
    let (mut in_class, mut in_name, mut is_first) = (false, false, false);
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str("[\\t\\n\\f\\r ]"),
                Some('S') => out.push_str("[^\\t\\n\\f\\r ]"),
                Some('b') => out.push_str("(?-u:\\b)"),
                // Half a character or more would not be text: what is no boundary of ASCII is none of Unicode.
                Some('B') => out.push_str("\\B"),
                Some('Z') => out.push_str("\\Z"),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '[' if in_class && letters.as_str().starts_with(':') => {
                in_name = true;
                out.push('[');
            }
            '[' if in_class => out.push_str("\\["),
            '[' => {
                (in_class, is_first) = (true, true);
                out.push('[');
                if letters.as_str().starts_with('^') {
                    letters.next();
                    out.push('^');
                }
                continue;
            }
            // The first bracket of a class is one of its letters.
            ']' if in_class && is_first => out.push_str("\\]"),
            ']' => {
                in_class = in_class && in_name;
                in_name = false;
                out.push(']');
            }
            '&' | '~' if in_class => out.extend(['\\', letter]),
            '-' if in_class && letters.as_str().starts_with('-') => out.push_str("\\-"),
            other => out.push(other),
        }
        is_first = false;
    }
    out
}
