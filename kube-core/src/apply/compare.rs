//! Which fields two objects differ in. Source: structured-merge-diff `typed/compare.go`.

use super::path::{Element, equal};
use super::set::FieldSet;
use super::typed::{Kind, items, kind, member};
use crate::schema::{List, Type};
use serde_json::Value;

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
        for set in [&mut self.added, &mut self.modified, &mut self.removed] {
            *set = set.recursive_difference(ignored);
        }
        self
    }
}

/// Compares two objects of a type.
pub fn compare(ty: Type<'_>, old: &Value, new: &Value) -> Comparison {
    let mut walk = Walk::default();
    walk.values(Some(ty), Some(old), Some(new));
    walk.found
}

#[derive(Default)]
struct Walk {
    path: Vec<Element>,
    found: Comparison,
}

impl Walk {
    fn values(&mut self, ty: Option<Type<'_>>, old: Option<&Value>, new: Option<&Value>) {
        let is_leaf = match (kind(ty, old), kind(ty, new)) {
            (before, _) if new.is_none() => self.visit(before, ty, old, new),
            (_, after) if old.is_none() => self.visit(after, ty, old, new),
            (Kind::Object, Kind::Leaf) => {
                self.members(ty, old, None);
                self.leaf(old, new)
            }
            (Kind::Leaf, Kind::Object) => {
                self.leaf(old, new);
                self.members(ty, None, new);
                false
            }
            (_, after) => self.visit(after, ty, old, new),
        };
        match (old, new) {
            (None, _) if !is_leaf => self.found.added.insert(&self.path),
            (_, None) if !is_leaf => self.found.removed.insert(&self.path),
            _ => {}
        }
    }

    /// Compares two values of the same kind; true if as leaves. Two empty values are leaves, to tell `{}` from nothing.
    fn visit(&mut self, kind: Kind<'_>, ty: Option<Type<'_>>, old: Option<&Value>, new: Option<&Value>) -> bool {
        match kind {
            Kind::Object if size(old) + size(new) > 0 => self.members(ty, old, new),
            Kind::List(list) if size(old) + size(new) > 0 => self.items(list, ty.and_then(Type::item), old, new),
            _ => return self.leaf(old, new),
        }
        false
    }

    fn leaf(&mut self, old: Option<&Value>, new: Option<&Value>) -> bool {
        match (old, new) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            (Some(old), Some(new)) if !equal(old, new) => self.found.modified.insert(&self.path),
            _ => {}
        }
        true
    }

    fn below(&mut self, element: Element, walk: impl FnOnce(&mut Self)) {
        self.path.push(element);
        walk(self);
        self.path.pop();
    }

    fn members(&mut self, ty: Option<Type<'_>>, old: Option<&Value>, new: Option<&Value>) {
        let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
        for (name, value) in old.into_iter().flatten() {
            let other = new.and_then(|new| new.get(name));
            let (element, ty, _) = member(ty, name);
            self.below(element, |walk| walk.values(ty, Some(value), other));
        }
        for (name, value) in new.into_iter().flatten() {
            if old.is_none_or(|old| !old.contains_key(name)) {
                let (element, ty, _) = member(ty, name);
                self.below(element, |walk| walk.values(ty, None, Some(value)));
            }
        }
    }

    /// Items that share a key in one object count as one value there.
    fn items(&mut self, list: &List, ty: Option<Type<'_>>, old: Option<&Value>, new: Option<&Value>) {
        let (old, new) = (items(list, ty, old), items(list, ty, new));
        let only_new = new.order.iter().filter(|element| !old.found.contains_key(element));
        for element in old.order.iter().chain(only_new) {
            let before = old.found.get(element).map_or(&[][..], Vec::as_slice);
            let after = new.found.get(element).map_or(&[][..], Vec::as_slice);
            self.below(element.clone(), |walk| match (before, after) {
                ([] | [_], [] | [_]) => walk.values(ty, before.first().copied(), after.first().copied()),
                ([_, _, ..], [_, _, ..]) if before != after => walk.found.modified.insert(&walk.path),
                ([_, _, ..], [_, _, ..]) => {}
                ([_, _, ..], single) => {
                    single.iter().for_each(|value| walk.values(ty, None, Some(value)));
                    walk.found.removed.insert(&walk.path);
                }
                (single, _) => {
                    single.iter().for_each(|value| walk.values(ty, Some(value), None));
                    walk.found.added.insert(&walk.path);
                }
            });
        }
    }
}

pub(super) fn size(value: Option<&Value>) -> usize {
    match value {
        Some(Value::Object(members)) => members.len(),
        Some(Value::Array(items)) => items.len(),
        Some(Value::Null) | None => 0,
        Some(_) => 1,
    }
}
