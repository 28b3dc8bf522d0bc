//! Quantities such as `500m` and `1Gi`. Source: apiserver `library/quantity.go`.

use std::sync::Arc;

use super::{Call, Opaque, Row};
use crate::cel::cost::Cost;
use crate::cel::{Error, Value};
use crate::quantity::{Format, Quantity};

const ONE: Cost = Cost::Units(1);
const WITH: &[&str] = &["quantity.(quantity) quantity", "quantity.(int) quantity"];

pub(super) const ROWS: &[Row] = &[
    ("quantity", &["(string) quantity"], Cost::Walk(1.0), |call| match call.args {
        [Value::String(text)] => Quantity::parse(text).map(value).map_err(|why| Error::failed(why.to_string())),
        _ => Err(Error::no_such_overload()),
    }),
    ("isQuantity", &["(string) bool"], Cost::Walk(1.0), |call| match call.args {
        [Value::String(text)] => Ok(Value::Bool(Quantity::parse(text).is_ok())),
        _ => Err(Error::no_such_overload()),
    }),
    ("sign", &["quantity.() int"], ONE, |call| {
        on(call, |quantity| Ok(Value::Int(quantity.cmp(&Quantity::ZERO) as i64)))
    }),
    ("isInteger", &["quantity.() bool"], ONE, |call| on(call, |quantity| Ok(Value::Bool(is_integer(quantity))))),
    ("asInteger", &["quantity.() int"], ONE, |call| {
        on(call, |quantity| match is_integer(quantity) {
            true => Ok(Value::Int(quantity.value())),
            false => Err(Error::failed("cannot convert value to integer")),
        })
    }),
    ("asApproximateFloat", &["quantity.() double"], ONE, |call| {
        on(call, |quantity| Ok(Value::Double(quantity.as_f64())))
    }),
    ("add", WITH, ONE, |call| with(call, |one, other| one + other)),
    ("sub", WITH, ONE, |call| with(call, |one, other| one - other)),
];

fn value<'a>(quantity: Quantity) -> Value<'a> {
    Value::Opaque(Arc::new(Opaque::Quantity(quantity)))
}

fn units(count: i64) -> Quantity {
    Quantity::new(count, Format::DecimalSi)
}

/// Whether it is a whole number of 64 bits.
fn is_integer(quantity: Quantity) -> bool {
    units(quantity.value()) == quantity
}

pub(super) fn of(value: &Value<'_>) -> Option<Quantity> {
    match value {
        Value::Opaque(opaque) => match &**opaque {
            Opaque::Quantity(quantity) => Some(*quantity),
            _ => None,
        },
        _ => None,
    }
}

fn on<'a>(call: &Call<'_, 'a>, read: fn(Quantity) -> Result<Value<'static>, Error>) -> Result<Value<'a>, Error> {
    let quantity = call.args.first().and_then(of).ok_or_else(Error::no_such_overload)?;
    match read(quantity)? {
        Value::Int(value) => Ok(Value::Int(value)),
        Value::Bool(value) => Ok(Value::Bool(value)),
        Value::Double(value) => Ok(Value::Double(value)),
        _ => Err(Error::no_such_overload()),
    }
}

fn with<'a>(call: &Call<'_, 'a>, combine: fn(Quantity, Quantity) -> Quantity) -> Result<Value<'a>, Error> {
    let [one, other] = call.args else { return Err(Error::no_such_overload()) };
    let one = of(one).ok_or_else(Error::no_such_overload)?;
    let other = match other {
        Value::Int(number) => units(*number),
        other => of(other).ok_or_else(Error::no_such_overload)?,
    };
    Ok(value(combine(one, other)))
}
