//! Puts an applied configuration onto an object, and takes fields out of one. Source: structured-merge-diff `typed`.

use super::compare::size;
use super::path::Element;
use super::set::FieldSet;
use super::typed::{Items, Kind, item, items, kind, member};
use crate::schema::{List, Type};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, VecDeque};

/// `config` over `live`: no field goes, fields in both have `config`'s value.
pub(super) fn merge(ty: Type<'_>, live: &Value, config: &Value) -> Value {
    values(Some(ty), Some(live), Some(config)).unwrap_or(Value::Null)
}

/// Where a value has lists, maps or objects that are one piece: `.spec.selector`, `.spec.items[0].args`. Source: apiserver
/// `mutating/patch/smd.go` (`findAtomics`).
pub(super) fn pieces(ty: Type<'_>, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    find_pieces(Some(ty), value, "", &mut found);
    found
}

fn find_pieces(ty: Option<Type<'_>>, value: &Value, path: &str, found: &mut Vec<String>) {
    let is_piece = matches!(kind(ty, Some(value)), Kind::Leaf);
    match value {
        Value::Object(_) | Value::Array(_) if ty.is_none() => {}
        Value::Object(members) => {
            found.extend(is_piece.then(|| path.to_owned()));
            for (name, value) in members {
                find_pieces(member(ty, name).1, value, &format!("{path}.{name}"), found);
            }
        }
        Value::Array(items) => {
            found.extend(is_piece.then(|| path.to_owned()));
            for (index, value) in items.iter().enumerate() {
                find_pieces(ty.and_then(Type::item), value, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

fn values(ty: Option<Type<'_>>, live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
    let kind = if config.is_some() { kind(ty, config) } else { kind(ty, live) };
    match kind {
        Kind::Object if size(live) + size(config) > 0 => members(ty, live, config),
        Kind::List(list) if size(live) + size(config) > 0 => merge_items(list, ty.and_then(Type::item), live, config),
        _ => config.or(live).cloned(), // Two empty values stay what they are: `{}` is not nothing.
    }
}

fn members(ty: Option<Type<'_>>, live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
    let (live, config) = (live.and_then(Value::as_object), config.and_then(Value::as_object));
    let mut merged = Map::new();
    for (name, value) in live.into_iter().flatten() {
        let other = config.and_then(|config| config.get(name));
        merged.extend(values(member(ty, name).1, Some(value), other).map(|value| (name.clone(), value)));
    }
    for (name, value) in config.into_iter().flatten() {
        if live.is_none_or(|live| !live.contains_key(name)) {
            merged.extend(values(member(ty, name).1, None, Some(value)).map(|value| (name.clone(), value)));
        }
    }
    (!merged.is_empty()).then_some(Value::Object(merged))
}

/// Interleaves two lists: shared items in `config`'s order, each one's own items where they stand in their list.
fn merge_items(list: &List, ty: Option<Type<'_>>, live: Option<&Value>, config: Option<&Value>) -> Option<Value> {
    let left = steps(list, ty, live);
    let (before, after) = (items(list, ty, live), items(list, ty, config));
    let mut shared: VecDeque<&Element> = after.order.iter().filter(|step| before.found.contains_key(step)).collect();
    let mut left = left.into_iter().peekable();
    let mut right = after.order.iter().peekable();
    let (mut merged, mut done) = (Vec::new(), BTreeSet::new());
    while left.peek().is_some() || right.peek().is_some() {
        if let (Some((step, _)), Some(next)) = (left.peek(), right.peek())
            && step != *next
            && after.found.contains_key(step)
            && shared.front().is_some_and(|first| *first != step)
        {
            left.next(); // A shared item whose turn comes later.
            continue;
        }
        if let Some((_, value)) = left.next_if(|(step, _)| !after.found.contains_key(step)) {
            merged.extend(values(ty, Some(value), None));
            continue;
        }
        left.next_if(|(step, _)| done.contains(step) || right.peek() == Some(&step));
        if let Some(step) = right.next() {
            merged.extend(values(ty, single(&before, step), single(&after, step)));
            done.insert(step.clone());
            if shared.front() == Some(&step) {
                shared.pop_front();
            }
        }
    }
    (!merged.is_empty()).then_some(Value::Array(merged))
}

fn steps<'v>(list: &List, ty: Option<Type<'_>>, value: Option<&'v Value>) -> Vec<(Element, &'v Value)> {
    let values = value.and_then(Value::as_array).into_iter().flatten();
    values.filter_map(|value| Some((item(list, ty, value).ok()?, value))).collect()
}

/// The item of that step; nothing to merge with if there are several.
fn single<'v>(items: &Items<'v>, step: &Element) -> Option<&'v Value> {
    match items.found.get(step)?.as_slice() {
        [value] => Some(value),
        _ => None,
    }
}

/// `value` without the fields in `gone`. What is emptied by that is `null`.
pub(super) fn remove(ty: Option<Type<'_>>, value: &Value, gone: &FieldSet) -> Value {
    match (kind(ty, Some(value)), value) {
        (Kind::Object, Value::Object(members)) => {
            let kept = members.iter().filter_map(|(name, value)| {
                let (element, ty, _) = member(ty, name);
                Some((name.clone(), remove_below(&element, ty, value, gone)?))
            });
            let kept: Map<_, _> = kept.collect();
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        (Kind::List(list), Value::Array(values)) => {
            let ty = ty.and_then(Type::item);
            let kept = values.iter().filter_map(|value| match item(list, ty, value) {
                Ok(element) => remove_below(&element, ty, value, gone),
                Err(_) => Some(value.clone()),
            });
            let kept: Vec<_> = kept.collect();
            if kept.is_empty() { Value::Null } else { Value::Array(kept) }
        }
        _ => value.clone(),
    }
}

fn remove_below(element: &Element, ty: Option<Type<'_>>, value: &Value, gone: &FieldSet) -> Option<Value> {
    match gone.below(element) {
        _ if gone.has(element) => None,
        Some(below) if !below.is_empty() => Some(remove(ty, value, below)),
        _ => Some(value.clone()),
    }
}
