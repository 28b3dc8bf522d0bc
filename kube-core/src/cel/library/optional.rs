//! Optionals. Source: cel-go `cel/library.go`.

use super::{Call, Row};
use crate::cel::cost::Cost;
use crate::cel::{Error, Value};

pub(super) const ROWS: &[Row] = &[
    ("optional.of", &["(A) optional(A)"], Cost::Units(1), |call| match call.args {
        [value] => Ok(Value::some(value.clone())),
        _ => Err(Error::no_such_overload()),
    }),
    ("optional.ofNonZeroValue", &["(A) optional(A)"], Cost::Units(1), |call| match call.args {
        [value] if is_zero(value) => Ok(Value::none()),
        [value] => Ok(Value::some(value.clone())),
        _ => Err(Error::no_such_overload()),
    }),
    ("optional.none", &["() optional(A)"], Cost::Units(1), |_| Ok(Value::none())),
    ("hasValue", &["optional(A).() bool"], Cost::Units(1), |call| match call.args {
        [Value::Optional(inner)] => Ok(Value::Bool(inner.is_some())),
        _ => Err(Error::no_such_overload()),
    }),
    ("value", &["optional(A).() A"], Cost::Units(1), |call| match call.args {
        [Value::Optional(Some(inner))] => Ok((**inner).clone()),
        [Value::Optional(None)] => Err(Error::failed("optional.none() dereference")),
        _ => Err(Error::no_such_overload()),
    }),
    ("or", &["optional(A).(optional(A)) optional(A)"], Cost::Units(1), |call| match call.args {
        [Value::Optional(None), other] => Ok(other.clone()),
        [first @ Value::Optional(_), _] => Ok(first.clone()),
        _ => Err(Error::no_such_overload()),
    }),
    ("orValue", &["optional(A).(A) A"], Cost::Units(1), |call| match call.args {
        [Value::Optional(None), other] => Ok(other.clone()),
        [Value::Optional(Some(inner)), _] => Ok((**inner).clone()),
        _ => Err(Error::no_such_overload()),
    }),
    ("optional.unwrap", &["(list(optional(A))) list(A)"], Cost::Units(1), unwrap),
    ("unwrapOpt", &["list(optional(A)).() list(A)"], Cost::Units(1), unwrap),
    ("first", &["list(A).() optional(A)"], Cost::Units(1), |call| end(call, false)),
    ("last", &["list(A).() optional(A)"], Cost::Units(1), |call| end(call, true)),
];

fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null
        | Value::Bool(false)
        | Value::Int(0)
        | Value::Uint(0)
        | Value::Duration(0)
        | Value::Optional(None) => true,
        Value::Double(value) => *value == 0.0,
        Value::String(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_) => value.size() == 0,
        _ => false,
    }
}

fn unwrap<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let [Value::List(list)] = call.args else { return Err(Error::no_such_overload()) };
    let present = list.iter().filter_map(|item| match item {
        Value::Optional(inner) => inner.map(|inner| Ok((*inner).clone())),
        _ => Some(Err(Error::no_such_overload())),
    });
    present.collect::<Result<_, _>>().map(Value::list)
}

fn end<'a>(call: &Call<'_, 'a>, is_last: bool) -> Result<Value<'a>, Error> {
    let [Value::List(list)] = call.args else { return Err(Error::no_such_overload()) };
    let index = if is_last { list.len().wrapping_sub(1) } else { 0 };
    Ok(list.get(index).map_or(Value::none(), Value::some))
}
