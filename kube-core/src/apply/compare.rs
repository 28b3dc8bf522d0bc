//! Which fields two objects differ in. Source: structured-merge-diff `typed/compare.go`.

use super::path::{Element, equal};
use super::set::FieldSet;
use super::typed::{Kind, items, kind, member};
use crate::schema::{List, Type};
use serde_json::Value;
use std::collections::BTreeSet;

/// The fields that differ; each is in one of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Only in the new object.
    pub added: FieldSet,
    /// In both, with different values.
    pub modified: FieldSet,
    /// Only in the old object.
    pub removed: FieldSet,
}

impl Comparison {
    /// Without the fields of `ignored`, and what is below them.
    pub(super) fn without(mut self, ignored: &FieldSet) -> Self {
        if ignored.is_empty() {
            return self;
        }
        for set in [&mut self.added, &mut self.modified, &mut self.removed] {
            *set = set.recursive_difference(ignored);
        }
        self
    }
}

/// Compares two objects of a type.
pub fn compare(ty: Type<'_>, old: &Value, new: &Value) -> Comparison {
    values(Some(ty), Some(old), Some(new)).below
}

/// How a value itself differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Own {
    Same,
    Added,
    Modified,
    Removed,
}

/// How a value and what is below it differ.
struct Found {
    own: Own,
    below: Comparison,
}

impl Comparison {
    fn put(&mut self, element: Element, found: Found) {
        let Found { own, below } = found;
        self.added.put_if_any(&element, own == Own::Added, below.added);
        self.modified.put_if_any(&element, own == Own::Modified, below.modified);
        self.removed.put_if_any(&element, own == Own::Removed, below.removed);
    }
}

fn values(ty: Option<Type<'_>>, old: Option<&Value>, new: Option<&Value>) -> Found {
    let unchanged = || Found { own: Own::Same, below: Comparison::default() };
    if old == new {
        return unchanged();
    }
    match (kind(ty, old), kind(ty, new)) {
        (before, _) if new.is_none() => visit(before, ty, old, new),
        // A value of an open type that becomes an object, or ceases to be one, is also modified itself.
        (Kind::Object, Kind::Leaf) if old.is_some() => Found { below: members(ty, old, None), ..leaf(old, new) },
        (Kind::Leaf, Kind::Object) if old.is_some() => Found { below: members(ty, None, new), ..leaf(old, new) },
        (_, after) => visit(after, ty, old, new),
    }
}

/// Compares two values of the same kind. Two empty ones are leaves, to tell `{}` from nothing.
fn visit(kind: Kind<'_>, ty: Option<Type<'_>>, old: Option<&Value>, new: Option<&Value>) -> Found {
    let below = match kind {
        Kind::Object if size(old) + size(new) > 0 => members(ty, old, new),
        Kind::List(list) if size(old) + size(new) > 0 => list_items(list, ty.and_then(Type::item), old, new),
        _ => return leaf(old, new),
    };
    let own = match (old, new) {
        (None, _) => Own::Added,
        (_, None) => Own::Removed,
        _ => Own::Same,
    };
    Found { own, below }
}

fn leaf(old: Option<&Value>, new: Option<&Value>) -> Found {
    let own = match (old, new) {
        (None, _) => Own::Added,
        (_, None) => Own::Removed,
        (Some(old), Some(new)) if equal(old, new) => Own::Same,
        _ => Own::Modified,
    };
    Found { own, below: Comparison::default() }
}

fn members(ty: Option<Type<'_>>, old: Option<&Value>, new: Option<&Value>) -> Comparison {
    let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
    let mut found = Comparison::default();
    for (name, value) in old.into_iter().flatten() {
        let (element, ty, _) = member(ty, name);
        found.put(element, values(ty, Some(value), new.and_then(|new| new.get(name))));
    }
    for (name, value) in new.into_iter().flatten() {
        if old.is_none_or(|old| !old.contains_key(name)) {
            let (element, ty, _) = member(ty, name);
            found.put(element, values(ty, None, Some(value)));
        }
    }
    found
}

/// Items that share a key in one object count as one value there.
fn list_items(list: &List, ty: Option<Type<'_>>, old: Option<&Value>, new: Option<&Value>) -> Comparison {
    let (mut old, mut new) = (items(list, ty, old).found, items(list, ty, new).found);
    let steps: BTreeSet<Element> = old.keys().chain(new.keys()).cloned().collect();
    let mut found = Comparison::default();
    for step in steps {
        let (before, after) = (old.remove(&step).unwrap_or_default(), new.remove(&step).unwrap_or_default());
        let item = match (before.as_slice(), after.as_slice()) {
            ([] | [_], [] | [_]) => values(ty, before.first().copied(), after.first().copied()),
            ([_, _, ..], [_, _, ..]) => {
                let own = if before == after { Own::Same } else { Own::Modified };
                Found { own, below: Comparison::default() }
            }
            ([_, _, ..], single) => {
                let added = single.first().map(|value| values(ty, None, Some(value)));
                // The item that remains is new as such, while the group is gone.
                added
                    .iter()
                    .for_each(|_| found.put(step.clone(), Found { own: Own::Added, below: Comparison::default() }));
                Found { own: Own::Removed, below: added.map(|added| added.below).unwrap_or_default() }
            }
            (single, _) => {
                let removed = single.first().map(|value| values(ty, Some(value), None));
                removed
                    .iter()
                    .for_each(|_| found.put(step.clone(), Found { own: Own::Removed, below: Comparison::default() }));
                Found { own: Own::Added, below: removed.map(|removed| removed.below).unwrap_or_default() }
            }
        };
        found.put(step, item);
    }
    found
}

pub(super) fn size(value: Option<&Value>) -> usize {
    match value {
        Some(Value::Object(members)) => members.len(),
        Some(Value::Array(items)) => items.len(),
        Some(Value::Null) | None => 0,
        Some(_) => 1,
    }
}
