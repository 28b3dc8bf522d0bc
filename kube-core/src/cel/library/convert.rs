//! From type to type.

use super::time::{parse_duration, show_duration};
use super::{Call, Row};
use crate::cel::cost::Cost;
use crate::cel::{Error, Text, Value};
use jiff::Timestamp;

pub(super) const ROWS: &[Row] = &[
    ("type", &["(A) type(A)"], Cost::Units(1), |call| match call.args {
        [value] => Ok(Value::Type(Text::Shared(value.type_name().into()))),
        _ => Err(Error::no_such_overload()),
    }),
    ("dyn", &["(A) dyn"], Cost::Units(1), |call| call.args.first().cloned().ok_or_else(Error::no_such_overload)),
    ("bool", &["(bool) bool", "(string) bool"], Cost::Units(1), to_bool),
    ("int", &["(int) int", "(uint) int", "(double) int", "(string) int", "(timestamp) int"], Cost::Units(1), to_int),
    ("uint", &["(uint) uint", "(int) uint", "(double) uint", "(string) uint"], Cost::Units(1), to_uint),
    ("double", &["(double) double", "(int) double", "(uint) double", "(string) double"], Cost::Units(1), to_double),
    (
        "string",
        &[
            "(string) string",
            "(bool) string",
            "(int) string",
            "(uint) string",
            "(double) string",
            "(bytes) string",
            "(timestamp) string",
            "(duration) string",
            "(ip) string",
            "(cidr) string",
        ],
        Cost::Units(1),
        to_string,
    ),
    ("bytes", &["(bytes) bytes", "(string) bytes"], Cost::Walk(1.0), |call| match call.args {
        [value @ Value::Bytes(_)] => Ok(value.clone()),
        [Value::String(text)] => Ok(Value::Bytes(text.as_bytes().into())),
        _ => Err(Error::no_such_overload()),
    }),
    ("timestamp", &["(timestamp) timestamp", "(string) timestamp", "(int) timestamp"], Cost::Units(1), to_timestamp),
    ("duration", &["(duration) duration", "(string) duration", "(int) duration"], Cost::Units(1), |call| {
        match call.args {
            [value @ Value::Duration(_)] => Ok(value.clone()),
            [Value::Int(nanoseconds)] => Ok(Value::Duration(*nanoseconds)),
            [Value::String(text)] => {
                let invalid = || Error::failed(format!("time: invalid duration {:?}", &**text));
                parse_duration(text).map(Value::Duration).ok_or_else(invalid)
            }
            _ => Err(Error::no_such_overload()),
        }
    }),
];

fn conversion<T>(from: &str, value: &str, to: &str) -> Result<T, Error> {
    Err(Error::failed(format!("type conversion error from '{from}' to '{to}': {value}")))
}

fn to_bool<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::Bool(value)] => Ok(Value::Bool(*value)),
        [Value::String(text)] => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            other => conversion("string", other, "bool"),
        },
        _ => Err(Error::no_such_overload()),
    }
}

fn to_int<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let overflow = || Error::failed("integer overflow");
    match call.args {
        [Value::Int(value)] => Ok(Value::Int(*value)),
        [Value::Uint(value)] => i64::try_from(*value).map(Value::Int).map_err(|_| overflow()),
        // The ends of the range cannot be told apart from what lies beyond.
        [Value::Double(value)] if *value > -9_223_372_036_854_775_808.0 && *value < 9_223_372_036_854_775_807.0 => {
            Ok(Value::Int(*value as i64))
        }
        [Value::Double(_)] => Err(overflow()),
        [Value::String(text)] => text.parse().map(Value::Int).or_else(|_| conversion("string", text, "int")),
        [Value::Timestamp(moment)] => Ok(Value::Int(moment.as_nanosecond().div_euclid(1_000_000_000) as i64)),
        _ => Err(Error::no_such_overload()),
    }
}

fn to_uint<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let overflow = || Error::failed("unsigned integer overflow");
    match call.args {
        [Value::Uint(value)] => Ok(Value::Uint(*value)),
        [Value::Int(value)] => u64::try_from(*value).map(Value::Uint).map_err(|_| overflow()),
        [Value::Double(value)] if *value >= 0.0 && *value < 18_446_744_073_709_551_615.0 => {
            Ok(Value::Uint(*value as u64))
        }
        [Value::Double(_)] => Err(overflow()),
        [Value::String(text)] => text.parse().map(Value::Uint).or_else(|_| conversion("string", text, "uint")),
        _ => Err(Error::no_such_overload()),
    }
}

fn to_double<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::Double(value)] => Ok(Value::Double(*value)),
        [Value::Int(value)] => Ok(Value::Double(*value as f64)),
        [Value::Uint(value)] => Ok(Value::Double(*value as f64)),
        [Value::String(text)] => text.parse().map(Value::Double).or_else(|_| conversion("string", text, "double")),
        _ => Err(Error::no_such_overload()),
    }
}

/// A number as Go's shortest form prints it.
pub(super) fn show_double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e21).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |exponent| ("-", exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    value.to_string()
}

fn to_string<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    Ok(match call.args {
        [value @ Value::String(_)] => value.clone(),
        [Value::Bool(value)] => value.to_string().into(),
        [Value::Int(value)] => value.to_string().into(),
        [Value::Uint(value)] => value.to_string().into(),
        [Value::Double(value)] => show_double(*value).into(),
        [Value::Bytes(bytes)] => {
            call.meter.charge(bytes.len() as u64 / 10)?;
            let text = std::str::from_utf8(bytes);
            text.map_err(|_| Error::failed("invalid UTF-8 in bytes, cannot convert to string"))?.to_owned().into()
        }
        [Value::Timestamp(moment)] => moment.to_string().into(),
        [Value::Duration(nanoseconds)] => show_duration(*nanoseconds).into(),
        [Value::Opaque(opaque)] => super::network::show(opaque).ok_or_else(Error::no_such_overload)?.into(),
        _ => return Err(Error::no_such_overload()),
    })
}

fn to_timestamp<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let moment = match call.args {
        [value @ Value::Timestamp(_)] => return Ok(value.clone()),
        [Value::Int(seconds)] => Timestamp::from_second(*seconds).map_err(|_| Error::failed("timestamp overflow"))?,
        [Value::String(text)] => {
            let parsed = text.parse::<Timestamp>();
            parsed.or_else(|_| conversion("string", text, "google.protobuf.Timestamp"))?
        }
        _ => return Err(Error::no_such_overload()),
    };
    super::time::checked(moment).map(Value::Timestamp)
}
