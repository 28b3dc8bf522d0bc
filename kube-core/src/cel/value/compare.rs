//! Equality and order. Numbers of all types compare by what they are worth.

use std::cmp::Ordering;

use super::collections::same_keys;
use super::{List, Map, Value};
use crate::cel::meter::Meter;
use crate::cel::shape::ListKind;

/// Whether two values are equal. Lists and maps tick the meter item by item;
/// when it stops, the answer means nothing.
pub(in crate::cel) fn equal<'a>(one: &Value<'a>, other: &Value<'a>, work: &mut Meter) -> bool {
    match (one, other) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::String(one), Value::String(other)) => **one == **other,
        (Value::Bytes(one), Value::Bytes(other)) => one == other,
        (Value::Timestamp(one), Value::Timestamp(other)) => one == other,
        (Value::Duration(one), Value::Duration(other)) => one == other,
        (Value::Type(one), Value::Type(other)) => **one == **other,
        (Value::List(one), Value::List(other)) => equal_lists(one, other, work),
        (Value::Map(one), Value::Map(other)) => equal_maps(one, other, work),
        (Value::Optional(one), Value::Optional(other)) => match (one, other) {
            (Some(one), Some(other)) => equal(one, other, work),
            (one, other) => one.is_none() && other.is_none(),
        },
        (Value::Opaque(one), Value::Opaque(other)) => one == other,
        _ => compare_numbers(one, other) == Some(Ordering::Equal),
    }
}

fn equal_lists<'a>(one: &List<'a>, other: &List<'a>, work: &mut Meter) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match one.kind() {
        ListKind::Atomic => one.iter().zip(other.iter()).all(|(one, other)| work.tick() && equal(&one, &other, work)),
        ListKind::Set => one.iter().all(|item| other.iter().any(|other| !work.tick() || equal(&item, &other, work))),
        ListKind::Map(keys) => one.iter().all(|item| {
            let same = other.iter().find(|other| !work.tick() || same_keys(&item, other, keys));
            same.is_some_and(|other| equal(&item, &other, work))
        }),
    }
}

/// Whether a list has an item. Whoever asks pays for the walk over the list.
pub(in crate::cel) fn contains<'a>(list: &List<'a>, item: &Value<'a>, work: &mut Meter) -> bool {
    list.iter().any(|known| equal(&known, item, work))
}

fn equal_maps<'a>(one: &Map<'a>, other: &Map<'a>, work: &mut Meter) -> bool {
    if let (Map::Json(fields, shape), Map::Json(others, _)) = (one, other) {
        // What is not declared counts too.
        return fields.len() == others.len()
            && fields.iter().all(|(name, field)| {
                let shape = shape.and_then(|shape| shape.child(name));
                let other = others.get(name);
                work.tick()
                    && other.is_some_and(|other| equal(&Value::of(field, shape), &Value::of(other, shape), work))
            });
    }
    one.len() == other.len()
        && one.entries().iter().all(|(key, value)| match other.get(key) {
            Some(Ok(other)) => work.tick() && equal(value, &other, work),
            _ => false,
        })
}

/// Which of two values comes first; `None` if they have no order.
pub(in crate::cel) fn compare(one: &Value<'_>, other: &Value<'_>) -> Option<Ordering> {
    match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::String(one), Value::String(other)) => Some((**one).cmp(&**other)),
        (Value::Bytes(one), Value::Bytes(other)) => Some(one.cmp(other)),
        (Value::Timestamp(one), Value::Timestamp(other)) => Some(one.cmp(other)),
        (Value::Duration(one), Value::Duration(other)) => Some(one.cmp(other)),
        _ => compare_numbers(one, other),
    }
}

fn compare_numbers(one: &Value<'_>, other: &Value<'_>) -> Option<Ordering> {
    match (one, other) {
        (Value::Double(one), Value::Double(other)) => one.partial_cmp(other),
        (Value::Double(one), other) => compare_to_whole(*one, whole(other)?),
        (one, Value::Double(other)) => compare_to_whole(*other, whole(one)?).map(Ordering::reverse),
        (one, other) => Some(whole(one)?.cmp(&whole(other)?)),
    }
}

fn whole(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Int(value) => Some((*value).into()),
        Value::Uint(value) => Some((*value).into()),
        _ => None,
    }
}

/// Compares without rounding the whole number.
fn compare_to_whole(double: f64, whole: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    let floor = double.floor();
    let order = (floor as i128).cmp(&whole);
    Some(if order == Ordering::Equal && floor < double { Ordering::Greater } else { order })
}
