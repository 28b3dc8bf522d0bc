//! Arithmetic, order, equality, membership, indexes. Whole numbers never wrap around.

use std::cmp::Ordering;

use super::{Call, Row};
use crate::cel::cost::Cost;
use crate::cel::value::{compare, contains, equal};
use crate::cel::{Error, Map, Text, Value};
use jiff::Timestamp;

const ORDERED: &[&str] = &[
    "(bool, bool) bool",
    "(int, int) bool",
    "(int, uint) bool",
    "(int, double) bool",
    "(uint, uint) bool",
    "(uint, int) bool",
    "(uint, double) bool",
    "(double, double) bool",
    "(double, int) bool",
    "(double, uint) bool",
    "(string, string) bool",
    "(bytes, bytes) bool",
    "(timestamp, timestamp) bool",
    "(duration, duration) bool",
];

pub(super) const ROWS: &[Row] = &[
    ("_&&_", &["(bool, bool) bool"], Cost::Free, unreached),
    ("_||_", &["(bool, bool) bool"], Cost::Free, unreached),
    ("_?_:_", &["(bool, A, A) A"], Cost::Free, unreached),
    ("!_", &["(bool) bool"], Cost::Units(1), not),
    ("-_", &["(int) int", "(double) double"], Cost::Units(1), negate),
    ("_==_", &["(A, A) bool"], Cost::Shorter, |call| is_equal(call, true)),
    ("_!=_", &["(A, A) bool"], Cost::Shorter, |call| is_equal(call, false)),
    ("_<_", ORDERED, Cost::Shorter, |call| order(call, |order| order == Ordering::Less)),
    ("_<=_", ORDERED, Cost::Shorter, |call| order(call, |order| order != Ordering::Greater)),
    ("_>_", ORDERED, Cost::Shorter, |call| order(call, |order| order == Ordering::Greater)),
    ("_>=_", ORDERED, Cost::Shorter, |call| order(call, |order| order != Ordering::Less)),
    (
        "_+_",
        &[
            "(int, int) int",
            "(uint, uint) uint",
            "(double, double) double",
            "(string, string) string",
            "(bytes, bytes) bytes",
            "(list(A), list(A)) list(A)",
            "(timestamp, duration) timestamp",
            "(duration, timestamp) timestamp",
            "(duration, duration) duration",
        ],
        Cost::Add,
        add,
    ),
    (
        "_-_",
        &[
            "(int, int) int",
            "(uint, uint) uint",
            "(double, double) double",
            "(timestamp, timestamp) duration",
            "(timestamp, duration) timestamp",
            "(duration, duration) duration",
        ],
        Cost::Units(1),
        subtract,
    ),
    ("_*_", &["(int, int) int", "(uint, uint) uint", "(double, double) double"], Cost::Units(1), multiply),
    ("_/_", &["(int, int) int", "(uint, uint) uint", "(double, double) double"], Cost::Units(1), divide),
    ("_%_", &["(int, int) int", "(uint, uint) uint"], Cost::Units(1), modulo),
    ("@in", &["(A, list(A)) bool", "(A, map(A, B)) bool"], Cost::In, is_in),
    (
        "_[_]",
        &[
            "(list(A), int) A",
            "(map(A, B), A) B",
            "(optional(list(A)), int) optional(A)",
            "(optional(map(A, B)), A) optional(B)",
        ],
        Cost::Units(1),
        index,
    ),
    (
        "_[?_]",
        &[
            "(list(A), int) optional(A)",
            "(map(A, B), A) optional(B)",
            "(optional(list(A)), int) optional(A)",
            "(optional(map(A, B)), A) optional(B)",
        ],
        Cost::Units(1),
        |call| match call.args {
            [container, key] => optional_index(container, key),
            _ => Err(Error::no_such_overload()),
        },
    ),
];

/// Logic decides by itself what it evaluates.
fn unreached<'a>(_: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    Err(Error::no_such_overload())
}

fn overflow(what: &'static str) -> Error {
    Error::failed(what)
}

const INT: &str = "integer overflow";
const UINT: &str = "unsigned integer overflow";
const DURATION: &str = "duration overflow";
const TIMESTAMP: &str = "timestamp overflow";

fn not<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::Bool(value)] => Ok(Value::Bool(!value)),
        _ => Err(Error::no_such_overload()),
    }
}

fn negate<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::Int(value)] => value.checked_neg().map(Value::Int).ok_or_else(|| overflow(INT)),
        [Value::Double(value)] => Ok(Value::Double(-value)),
        _ => Err(Error::no_such_overload()),
    }
}

fn is_equal<'a>(call: &mut Call<'_, 'a>, wanted: bool) -> Result<Value<'a>, Error> {
    let [one, other] = call.args else { return Err(Error::no_such_overload()) };
    let is_equal = equal(one, other, call.meter);
    call.meter.charge(0)?;
    Ok(Value::Bool(is_equal == wanted))
}

fn order<'a>(call: &mut Call<'_, 'a>, is_right: fn(Ordering) -> bool) -> Result<Value<'a>, Error> {
    let [one, other] = call.args else { return Err(Error::no_such_overload()) };
    match compare(one, other) {
        Some(order) => Ok(Value::Bool(is_right(order))),
        None if matches!((one, other), (Value::Double(_), _) | (_, Value::Double(_))) => Ok(Value::Bool(false)),
        None => Err(Error::no_such_overload()),
    }
}

/// A moment so many nanoseconds later.
fn later<'a>(moment: Timestamp, nanoseconds: i128) -> Result<Value<'a>, Error> {
    let moment = Timestamp::from_nanosecond(moment.as_nanosecond() + nanoseconds).map_err(|_| overflow(TIMESTAMP))?;
    super::time::checked(moment).map(Value::Timestamp)
}

pub(super) fn add<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::Int(one), Value::Int(other)] => one.checked_add(*other).map(Value::Int).ok_or_else(|| overflow(INT)),
        [Value::Uint(one), Value::Uint(other)] => {
            one.checked_add(*other).map(Value::Uint).ok_or_else(|| overflow(UINT))
        }
        [Value::Double(one), Value::Double(other)] => Ok(Value::Double(one + other)),
        [Value::String(one), Value::String(other)] => {
            call.meter.room(one.len() + other.len())?;
            let text: String = [&**one, &**other].concat();
            Ok(text.into())
        }
        [Value::Bytes(one), Value::Bytes(other)] => {
            call.meter.room(one.len() + other.len())?;
            Ok(Value::Bytes([&**one, &**other].concat().into()))
        }
        [Value::List(one), Value::List(other)] => {
            // Upstream links lists in no time; ours are copied, which must not be free, or lists could double for ever.
            call.meter.charge((one.len() + other.len()) as u64 / 2)?;
            let list = one.with(other, call.meter);
            call.meter.charge(0)?;
            Ok(Value::List(list))
        }
        [Value::Timestamp(moment), Value::Duration(span)] | [Value::Duration(span), Value::Timestamp(moment)] => {
            later(*moment, (*span).into())
        }
        [Value::Duration(one), Value::Duration(other)] => {
            one.checked_add(*other).map(Value::Duration).ok_or_else(|| overflow(DURATION))
        }
        _ => Err(Error::no_such_overload()),
    }
}

fn subtract<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::Int(one), Value::Int(other)] => one.checked_sub(*other).map(Value::Int).ok_or_else(|| overflow(INT)),
        [Value::Uint(one), Value::Uint(other)] => {
            one.checked_sub(*other).map(Value::Uint).ok_or_else(|| overflow(UINT))
        }
        [Value::Double(one), Value::Double(other)] => Ok(Value::Double(one - other)),
        [Value::Timestamp(one), Value::Timestamp(other)] => {
            let span = one.as_nanosecond() - other.as_nanosecond();
            i64::try_from(span).map(Value::Duration).map_err(|_| overflow(DURATION))
        }
        [Value::Timestamp(moment), Value::Duration(span)] => later(*moment, -i128::from(*span)),
        [Value::Duration(one), Value::Duration(other)] => {
            one.checked_sub(*other).map(Value::Duration).ok_or_else(|| overflow(DURATION))
        }
        _ => Err(Error::no_such_overload()),
    }
}

fn multiply<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::Int(one), Value::Int(other)] => one.checked_mul(*other).map(Value::Int).ok_or_else(|| overflow(INT)),
        [Value::Uint(one), Value::Uint(other)] => {
            one.checked_mul(*other).map(Value::Uint).ok_or_else(|| overflow(UINT))
        }
        [Value::Double(one), Value::Double(other)] => Ok(Value::Double(one * other)),
        _ => Err(Error::no_such_overload()),
    }
}

fn divide<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => Err(Error::failed("division by zero")),
        [Value::Int(one), Value::Int(other)] => one.checked_div(*other).map(Value::Int).ok_or_else(|| overflow(INT)),
        [Value::Uint(one), Value::Uint(other)] => {
            one.checked_div(*other).map(Value::Uint).ok_or_else(|| overflow(UINT))
        }
        [Value::Double(one), Value::Double(other)] => Ok(Value::Double(one / other)),
        _ => Err(Error::no_such_overload()),
    }
}

fn modulo<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => Err(Error::failed("modulus by zero")),
        [Value::Int(one), Value::Int(other)] => one.checked_rem(*other).map(Value::Int).ok_or_else(|| overflow(INT)),
        [Value::Uint(one), Value::Uint(other)] => {
            one.checked_rem(*other).map(Value::Uint).ok_or_else(|| overflow(UINT))
        }
        _ => Err(Error::no_such_overload()),
    }
}

fn is_in<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    match call.args {
        [item, Value::List(list)] => {
            let is_in = contains(list, item, call.meter);
            call.meter.charge(0)?;
            Ok(Value::Bool(is_in))
        }
        [key, Value::Map(map)] => Ok(Value::Bool(map.get(key).transpose()?.is_some())),
        _ => Err(Error::no_such_overload()),
    }
}

/// The index of a list that a number names.
fn position(key: &Value<'_>) -> Result<usize, Error> {
    let out_of_bounds = |index: &dyn std::fmt::Display| Error::failed(format!("index out of bounds: {index}"));
    match key {
        Value::Int(index) => usize::try_from(*index).map_err(|_| out_of_bounds(index)),
        Value::Uint(index) => usize::try_from(*index).map_err(|_| out_of_bounds(index)),
        Value::Double(index) if index.fract() == 0.0 && *index >= 0.0 && *index < 1e15 => Ok(*index as usize),
        _ => Err(Error::failed(format!("unsupported index type '{}' in list", key.type_name()))),
    }
}

fn index<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    match call.args {
        [Value::List(list), key] => {
            let index = position(key)?;
            list.get(index).ok_or_else(|| Error::failed(format!("index out of bounds: {index}")))
        }
        [Value::Map(map), key] => map.get(key).unwrap_or_else(|| Err(Error::no_such_key(shown_key(key)))),
        [container @ Value::Optional(_), key] => optional_index(container, key),
        _ => Err(Error::no_such_overload()),
    }
}

fn shown_key(key: &Value<'_>) -> String {
    match key {
        Value::String(text) => text.to_string(),
        other => other.to_json().map(|json| json.to_string()).unwrap_or_default(),
    }
}

/// What stands under a key, if anything does.
fn optional_index<'a>(container: &Value<'a>, key: &Value<'a>) -> Result<Value<'a>, Error> {
    let found = match container {
        Value::Optional(None) => None,
        Value::Optional(Some(inner)) => return optional_index(inner, key),
        Value::List(list) => position(key).ok().and_then(|index| list.get(index)),
        Value::Map(map) => map.get(key).transpose()?,
        _ => return Err(Error::no_such_overload()),
    };
    Ok(found.map_or(Value::none(), Value::some))
}

/// The field of an object or an entry of a map.
pub(in crate::cel) fn select<'a>(operand: &Value<'a>, field: &str) -> Result<Value<'a>, Error> {
    match operand {
        Value::Map(map) => map.field(field).unwrap_or_else(|| Err(Error::no_such_key(field))),
        Value::Optional(_) => optional_select(operand, field),
        _ => Err(Error::no_such_overload()),
    }
}

/// Whether there is such a field.
pub(in crate::cel) fn has<'a>(operand: &Value<'a>, field: &str) -> Result<bool, Error> {
    match operand {
        Value::Map(Map::Lazy(fields)) => Ok(fields.field(field).is_some()),
        Value::Map(map) => map.field(field).transpose().map(|found| found.is_some()),
        Value::Optional(None) => Ok(false),
        Value::Optional(Some(inner)) => has(inner, field),
        _ => Err(Error::no_such_overload()),
    }
}

/// The field, if there is one.
pub(in crate::cel) fn optional_select<'a>(operand: &Value<'a>, field: &str) -> Result<Value<'a>, Error> {
    let key = Value::String(Text::Shared(field.into()));
    optional_index(operand, &key)
}
