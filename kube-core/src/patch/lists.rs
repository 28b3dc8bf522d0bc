//! Lists in a strategic merge patch: merged by key or by value, then put in order.

use super::strategic::{DIRECTIVE, clean, merge_object, unknown_directive};
use super::{Error, go};
use crate::schema::Type;
use serde_json::{Map, Value};

/// Merges two lists of objects by `key`, or two lists of scalars by value.
pub(super) fn merge_list(
    old: Vec<Value>,
    change: Vec<Value>,
    key: Option<&str>,
    item: Type<'_>,
) -> Result<Vec<Value>, Error> {
    let is_object = match old.iter().chain(&change).next() {
        None => return Ok(old),
        Some(Value::Array(_)) => return Err(Error::Unprocessable("lists of lists are not supported".into())),
        Some(first) => first.is_object(),
    };
    if old.iter().chain(&change).any(|item| item.is_object() != is_object) {
        let lists = go::print(&Value::from(vec![Value::from(old), Value::from(change)]));
        return Err(Error::Internal(format!("list element types are not identical: {lists}")));
    }
    if !is_object {
        let mut merged = old.clone();
        change.iter().for_each(|value| {
            if !merged.contains(value) {
                merged.push(value.clone())
            }
        });
        return in_order(merged, &change, &old, None);
    }
    let key = key.ok_or_else(|| Error::Internal("cannot merge lists without merge key for struct".into()))?;
    let (old, change) = obey_directives(old, change, key)?;
    let merged = merge_objects(old.clone(), &change, key, item)?;
    in_order(merged, &change, &old, Some(key))
}

/// Carries out the items of a patch that are directives; returns both lists without them.
fn obey_directives(mut old: Vec<Value>, change: Vec<Value>, key: &str) -> Result<(Vec<Value>, Vec<Value>), Error> {
    let (mut plain, mut replace) = (Vec::new(), false);
    for item in change {
        let Some(object) = item.as_object() else { continue };
        match object.get(DIRECTIVE).map(|directive| (directive.as_str(), directive)) {
            None => plain.push(item),
            Some((Some("replace"), _)) => replace = true,
            Some((Some("delete"), _)) => {
                let gone = object.get(key).ok_or_else(|| no_merge_key(object, key))?.clone();
                old.retain(|item| item.get(key) != Some(&gone));
            }
            Some((Some("merge"), _)) => {
                return Err(Error::Internal("merging lists cannot yet be specified in the patch".into()));
            }
            Some((_, directive)) => return Err(unknown_directive(directive, object)),
        }
    }
    Ok(if replace { (plain, Vec::new()) } else { (old, plain) })
}

fn merge_objects(mut old: Vec<Value>, change: &[Value], key: &str, ty: Type<'_>) -> Result<Vec<Value>, Error> {
    for item in change {
        let Value::Object(item) = item else { continue };
        let wanted = item.get(key).ok_or_else(|| no_merge_key(item, key))?;
        match old.iter_mut().find(|old| old.get(key) == Some(wanted)) {
            Some(Value::Object(found)) => *found = merge_object(std::mem::take(found), item.clone(), ty)?,
            _ => old.extend(clean(Value::Object(item.clone()))),
        }
    }
    Ok(old)
}

/// Puts the items that `order` names in that order, and the rest where they were relative to those.
///
/// `[a b c d]` in the server with `order` `[d b]`: a and c follow no one's wish, so a stays before the first item that came
/// after it, and so on: `[a c d b]`.
pub(super) fn in_order(
    items: Vec<Value>,
    order: &[Value],
    before: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, Error> {
    for item in items.iter().chain(order).filter_map(Value::as_object) {
        if let Some(key) = key.filter(|key| !item.contains_key(*key)) {
            return Err(no_merge_key(item, key));
        }
    }
    let place = |list: &[Value], item: &Value| list.iter().position(|other| same(other, item, key));
    let (mut named, mut others): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item).unwrap_or(usize::MAX));
    others.sort_by_key(|item| place(before, item).unwrap_or(usize::MAX));

    let mut merged = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in named {
        let here = place(before, &item);
        while let Some(other) =
            others.next_if(|other| here.is_some() && place(before, other).is_some_and(|there| Some(there) < here))
        {
            merged.push(other);
        }
        merged.push(item);
    }
    merged.extend(others);
    Ok(merged)
}

/// A patch's list must have the relative order that its `$setElementOrder` asks for, and nothing else.
pub(super) fn check_order(change: &[Value], order: &[Value], key: Option<&str>) -> Result<(), Error> {
    if change.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut awaited = order.iter();
    for item in change.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        if let (Some(key), Some(object)) =
            (key, item.as_object().filter(|object| key.is_some_and(|key| !object.contains_key(key))))
        {
            return Err(no_merge_key(object, key));
        }
        if !awaited.any(|other| same(other, item, key)) {
            let (change, order) = (go::print(&Value::from(change)), go::print(&Value::from(order)));
            let text = format!("The order in patch list:\n{change}\n doesn't match $setElementOrder list:\n{order}\n");
            return Err(Error::Internal(text));
        }
    }
    Ok(())
}

fn same(left: &Value, right: &Value, key: Option<&str>) -> bool {
    match (key, left.as_object(), right.as_object()) {
        (Some(key), Some(left), Some(right)) => left.get(key) == right.get(key),
        _ => left == right,
    }
}

fn no_merge_key(item: &Map<String, Value>, key: &str) -> Error {
    let item = go::print(&Value::Object(item.clone()));
    Error::Internal(format!("map: {item} does not contain declared merge key: {key}"))
}
