//! `'%s has %d'.format([name, count])`. Source: cel-go `ext/formatting.go`.

use super::convert::show_double;
use super::{Call, Row, show_duration};
use crate::cel::cost::Cost;
use crate::cel::meter::Meter;
use crate::cel::{Error, List, Value};

pub(super) const ROWS: &[Row] = &[("format", &["string.(list(dyn)) string"], Cost::Walk(1.0), format)];

fn format<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let [Value::String(template), Value::List(args)] = call.args else { return Err(Error::no_such_overload()) };
    let mut out = Out { text: String::new(), meter: call.meter };
    let (mut letters, mut next) = (template.chars(), 0);
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.text.push(letter);
            continue;
        }
        let mut verb = letters.next();
        if verb == Some('%') {
            out.text.push('%');
            continue;
        }
        let mut precision = None;
        if verb == Some('.') {
            let rest = letters.as_str();
            let end = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
            let digits =
                rest.get(..end).and_then(|digits| digits.parse::<usize>().ok()).filter(|digits| *digits <= 1000);
            precision = Some(digits.ok_or_else(|| Error::failed("error while parsing precision"))?);
            letters = rest.get(end..).unwrap_or("").chars();
            verb = letters.next();
        }
        out.verb(verb, precision, argument(args, next)?)?;
        next += 1;
    }
    let text = out.text;
    call.meter.charge((text.len().saturating_sub(template.len()) / 10) as u64)?;
    Ok(text.into())
}

fn argument<'a>(args: &List<'a>, index: usize) -> Result<Value<'a>, Error> {
    args.get(index).ok_or_else(|| Error::failed(format!("index {index} out of range")))
}

struct Out<'m> {
    text: String,
    meter: &'m mut Meter,
}

impl Out<'_> {
    fn push(&mut self, text: &str) -> Result<(), Error> {
        self.meter.room(self.text.len() + text.len())?;
        self.text.push_str(text);
        if self.meter.tick() { Ok(()) } else { Err(Error::TooExpensive) }
    }

    fn verb(&mut self, verb: Option<char>, precision: Option<usize>, value: Value<'_>) -> Result<(), Error> {
        let verb = verb.ok_or_else(|| Error::failed("unexpected end of string"))?;
        let text = match (verb, &value) {
            ('s', _) => return self.any(&value),
            ('d', Value::Int(number)) => number.to_string(),
            ('d', Value::Uint(number)) => number.to_string(),
            ('f', _) => decimal(&value, precision.unwrap_or(6))?,
            ('e', _) => exponential(&value, precision.unwrap_or(6))?,
            ('b', Value::Bool(value)) => u8::from(*value).to_string(),
            ('b' | 'x' | 'X' | 'o', Value::Int(number)) => in_base(verb, *number < 0, number.unsigned_abs()),
            ('b' | 'x' | 'X' | 'o', Value::Uint(number)) => in_base(verb, false, *number),
            ('x' | 'X', Value::String(text)) => hexadecimal(verb, text.as_bytes()),
            ('x' | 'X', Value::Bytes(bytes)) => hexadecimal(verb, bytes),
            ('d' | 'b' | 'x' | 'X' | 'o', other) => {
                let what = if matches!(verb, 'd' | 'o') {
                    "integer clause can only be used on integers"
                } else {
                    "wrong clause"
                };
                return Err(Error::failed(format!("error during formatting: {what}, was given {}", other.type_name())));
            }
            (other, _) => {
                let why = format!("could not parse formatting clause: unrecognized formatting clause \"{other}\"");
                return Err(Error::failed(why));
            }
        };
        self.push(&text)
    }

    /// A value of any type as text.
    fn any(&mut self, value: &Value<'_>) -> Result<(), Error> {
        match value {
            Value::String(text) => self.push(text),
            Value::Null => self.push("null"),
            Value::Bool(value) => self.push(if *value { "true" } else { "false" }),
            Value::Int(value) => self.push(&value.to_string()),
            Value::Uint(value) => self.push(&value.to_string()),
            Value::Double(value) => {
                self.push(&show_double(*value).replace("+Inf", "Infinity").replace("-Inf", "-Infinity"))
            }
            Value::Bytes(bytes) => self.push(&String::from_utf8_lossy(bytes)),
            Value::Timestamp(moment) => self.push(&moment.to_string()),
            Value::Duration(nanoseconds) => self.push(&show_duration(*nanoseconds)),
            Value::Type(name) => self.push(name),
            Value::List(list) => {
                self.push("[")?;
                for (index, item) in list.iter().enumerate() {
                    self.push(if index > 0 { ", " } else { "" })?;
                    self.any(&item)?;
                }
                self.push("]")
            }
            Value::Map(map) => {
                let mut entries = map.entries();
                entries.sort_by_cached_key(|(key, _)| key.to_json().map(|json| json.to_string()));
                self.push("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.push(if index > 0 { ", " } else { "" })?;
                    self.any(key)?;
                    self.push(": ")?;
                    self.any(value)?;
                }
                self.push("}")
            }
            other => {
                let what = "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, \
                            and timestamps";
                Err(Error::failed(format!("error during formatting: {what}, was given {}", other.type_name())))
            }
        }
    }
}

fn number(value: &Value<'_>) -> Result<f64, Error> {
    match value {
        Value::Double(value) => Ok(*value),
        Value::Int(value) => Ok(*value as f64),
        Value::Uint(value) => Ok(*value as f64),
        Value::String(text) if matches!(&**text, "NaN" | "Infinity" | "-Infinity") => Ok(match &**text {
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            _ => f64::NAN,
        }),
        other => {
            let why = "error during formatting: fixed-point clause can only be used on doubles, was given";
            Err(Error::failed(format!("{why} {}", other.type_name())))
        }
    }
}

fn special(value: f64) -> Option<String> {
    let infinite = if value > 0.0 { "Infinity" } else { "-Infinity" };
    if value.is_nan() { Some("NaN".to_owned()) } else { value.is_infinite().then(|| infinite.to_owned()) }
}

fn decimal(value: &Value<'_>, precision: usize) -> Result<String, Error> {
    let value = number(value)?;
    Ok(special(value).unwrap_or_else(|| format!("{value:.precision$}")))
}

fn exponential(value: &Value<'_>, precision: usize) -> Result<String, Error> {
    let value = number(value)?;
    if let Some(special) = special(value) {
        return Ok(special);
    }
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |exponent| ("-", exponent));
    Ok(format!("{digits}e{sign}{exponent:0>2}"))
}

fn in_base(verb: char, is_negative: bool, size: u64) -> String {
    let digits = match verb {
        'b' => format!("{size:b}"),
        'o' => format!("{size:o}"),
        'x' => format!("{size:x}"),
        _ => format!("{size:X}"),
    };
    if is_negative { format!("-{digits}") } else { digits }
}

fn hexadecimal(verb: char, bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if verb == 'X' { digits.to_uppercase() } else { digits }
}
