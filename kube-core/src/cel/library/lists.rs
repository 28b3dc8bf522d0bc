//! Lists, and lists as sets. Source: apiserver `library/lists.go`, cel-go `ext/lists.go`, `ext/sets.go`.

use std::cmp::Ordering;

use super::strings::search;
use super::{Call, Row};
use crate::cel::cost::Cost;
use crate::cel::value::{compare, contains, equal};
use crate::cel::{Error, List, Value};

const ORDERED: &[&str] = &[
    "list(int).() int",
    "list(uint).() uint",
    "list(double).() double",
    "list(bool).() bool",
    "list(string).() string",
    "list(bytes).() bytes",
    "list(duration).() duration",
    "list(timestamp).() timestamp",
];
const SORTABLE: &[&str] = &[
    "list(int).() bool",
    "list(uint).() bool",
    "list(double).() bool",
    "list(bool).() bool",
    "list(string).() bool",
    "list(bytes).() bool",
    "list(duration).() bool",
    "list(timestamp).() bool",
];
const SUMMABLE: &[&str] =
    &["list(int).() int", "list(uint).() uint", "list(double).() double", "list(duration).() duration"];
const SEARCHED: &[&str] = &["list(A).(A) int", "string.(string) int", "string.(string, int) int"];
const SETS: &[&str] = &["(list(A), list(A)) bool"];

pub(super) const ROWS: &[Row] = &[
    ("isSorted", SORTABLE, Cost::Items, is_sorted),
    ("sum", SUMMABLE, Cost::Items, sum),
    ("min", ORDERED, Cost::Items, |call| extreme(call, Ordering::Less, "min")),
    ("max", ORDERED, Cost::Items, |call| extreme(call, Ordering::Greater, "max")),
    ("indexOf", SEARCHED, Cost::Items, |call| index_of(call, false)),
    ("lastIndexOf", SEARCHED, Cost::Items, |call| index_of(call, true)),
    ("slice", &["list(A).(int, int) list(A)"], Cost::Items, slice),
    ("flatten", &["list(list(A)).() list(A)", "list(dyn).(int) list(dyn)"], Cost::Items, flatten),
    ("sort", &["list(A).() list(A)"], Cost::Sort, |call| match call.args {
        [Value::List(list)] => {
            let mut items: Vec<_> = list.iter().collect();
            sort(&mut items, |item| item)?;
            Ok(Value::list(items))
        }
        _ => Err(Error::no_such_overload()),
    }),
    ("distinct", &["list(A).() list(A)"], Cost::Sort, distinct),
    ("reverse", &["list(A).() list(A)"], Cost::Items, |call| match call.args {
        [Value::List(list)] => Ok(Value::list(list.iter().rev().collect())),
        _ => Err(Error::no_such_overload()),
    }),
    ("lists.range", &["(int) list(int)"], Cost::Units(1), range),
    ("sets.contains", SETS, Cost::Pairs, |call| on_sets(call, |one, other, call| every(other, one, call))),
    ("sets.intersects", SETS, Cost::Pairs, |call| {
        on_sets(call, |one, other, call| one.iter().any(|item| contains(other, &item, call.meter)))
    }),
    ("sets.equivalent", SETS, Cost::Pairs, |call| {
        on_sets(call, |one, other, call| every(one, other, call) && every(other, one, call))
    }),
];

/// Whether every item of a list is one of another.
fn every<'a>(list: &List<'a>, other: &List<'a>, call: &mut Call<'_, 'a>) -> bool {
    list.iter().all(|item| contains(other, &item, call.meter))
}

type OnSets = for<'a, 'b, 'c> fn(&'b List<'a>, &'b List<'a>, &'b mut Call<'c, 'a>) -> bool;

fn on_sets<'a>(call: &mut Call<'_, 'a>, holds: OnSets) -> Result<Value<'a>, Error> {
    let [Value::List(one), Value::List(other)] = call.args else { return Err(Error::no_such_overload()) };
    Ok(Value::Bool(holds(one, other, call)))
}

fn the_list<'c, 'a>(call: &Call<'c, 'a>) -> Result<&'c List<'a>, Error> {
    match call.args {
        [Value::List(list), ..] => Ok(list),
        _ => Err(Error::no_such_overload()),
    }
}

fn is_sorted<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let list = the_list(call)?;
    for (one, other) in list.iter().zip(list.iter().skip(1)) {
        match compare(&one, &other) {
            Some(Ordering::Greater) => return Ok(Value::Bool(false)),
            Some(_) => {}
            None => return Err(Error::no_such_overload()),
        }
    }
    Ok(Value::Bool(true))
}

fn sum<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let mut total = None;
    for item in the_list(call)?.iter() {
        total = Some(match total {
            None => item,
            Some(total) => {
                let args = [total, item];
                let mut add =
                    Call { args: &args, meter: call.meter, pattern: None, patterns: call.patterns, authorizer: None };
                super::operators::add(&mut add)?
            }
        });
    }
    Ok(total.unwrap_or(Value::Int(0)))
}

fn extreme<'a>(call: &mut Call<'_, 'a>, wanted: Ordering, name: &str) -> Result<Value<'a>, Error> {
    let mut found: Option<Value<'a>> = None;
    for item in the_list(call)?.iter() {
        let Some(known) = &found else {
            found = Some(item);
            continue;
        };
        if compare(&item, known).ok_or_else(Error::no_such_overload)? == wanted {
            found = Some(item);
        }
    }
    found.ok_or_else(|| Error::failed(format!("{name} called on empty list")))
}

fn index_of<'a>(call: &mut Call<'_, 'a>, from_end: bool) -> Result<Value<'a>, Error> {
    let [Value::List(list), wanted] = call.args else { return search(call, from_end) };
    let meter = &mut *call.meter;
    let mut found = None;
    for (index, item) in list.iter().enumerate() {
        if equal(&item, wanted, meter) && (from_end || found.is_none()) {
            found = Some(index);
        }
    }
    Ok(Value::Int(found.map_or(-1, |index| index as i64)))
}

fn slice<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let [Value::List(list), Value::Int(start), Value::Int(end)] = call.args else {
        return Err(Error::no_such_overload());
    };
    let range = |why: &str| Error::failed(format!("cannot slice({start}, {end}), {why}"));
    let (Ok(from), Ok(to)) = (usize::try_from(*start), usize::try_from(*end)) else {
        return Err(range("negative indexes not supported"));
    };
    if from > to {
        return Err(range("start index must be less than or equal to end index"));
    }
    if to > list.len() {
        return Err(range(&format!("list is length {}", list.len())));
    }
    Ok(Value::list((from..to).filter_map(|index| list.get(index)).collect()))
}

fn flatten<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let depth = match call.args {
        [_] => 1,
        [_, Value::Int(depth)] if *depth >= 0 => *depth,
        [_, Value::Int(_)] => return Err(Error::failed("level must be non-negative")),
        _ => return Err(Error::no_such_overload()),
    };
    let (mut out, list) = (Vec::new(), the_list(call)?);
    flatten_into(list, depth, &mut out, call)?;
    Ok(Value::list(out))
}

fn flatten_into<'a>(
    list: &List<'a>,
    depth: i64,
    out: &mut Vec<Value<'a>>,
    call: &mut Call<'_, 'a>,
) -> Result<(), Error> {
    for item in list.iter() {
        if !call.meter.tick() {
            return Err(Error::TooExpensive);
        }
        match item {
            Value::List(inner) if depth > 0 => flatten_into(&inner, depth - 1, out, call)?,
            other => out.push(other),
        }
    }
    Ok(())
}

/// Sorts by a key; all keys must be of one type that has an order.
pub(in crate::cel) fn sort<'a, T>(items: &mut [T], key: fn(&T) -> &Value<'a>) -> Result<(), Error> {
    let is_sortable = |item: &T| compare(key(item), key(item)).is_some();
    let first = items.first().map(|item| key(item).type_name().to_owned());
    if items.iter().any(|item| !is_sortable(item)) {
        return Err(Error::failed(format!("list elements must be comparable, but got {}", first.unwrap_or_default())));
    }
    if items.iter().any(|item| Some(key(item).type_name()) != first.as_deref()) {
        return Err(Error::failed("list elements must have the same type"));
    }
    items.sort_by(|one, other| compare(key(one), key(other)).unwrap_or(Ordering::Equal));
    Ok(())
}

fn distinct<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let mut items: Vec<Value<'a>> = Vec::new();
    for item in the_list(call)?.iter() {
        if !items.iter().any(|known| call.meter.tick() && equal(known, &item, call.meter)) {
            items.push(item);
        }
    }
    Ok(Value::list(items))
}

fn range<'a>(call: &mut Call<'_, 'a>) -> Result<Value<'a>, Error> {
    let [Value::Int(count)] = call.args else { return Err(Error::no_such_overload()) };
    call.meter.charge(u64::try_from(*count).unwrap_or(0))?;
    Ok(Value::list((0..*count).map(Value::Int).collect()))
}
