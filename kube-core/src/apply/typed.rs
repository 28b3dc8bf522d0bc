//! A value seen through its type: as leaves, objects and keyed lists; checked, and turned into the set of fields it has.
//!
//! Source: structured-merge-diff `typed`.

use super::path::{Atom, Element};
use super::set::FieldSet;
use crate::schema::{Any, List, ListKind, Scalar, Shape, Text, Type};
use crate::strict::quote::quote;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How a value takes part in a merge.
#[derive(Clone, Copy)]
pub(super) enum Kind<'a> {
    /// As one value.
    Leaf,
    /// Member by member.
    Object,
    /// Item by item.
    List(&'a List),
}

/// How a value of a type takes part. `None` is a field that no schema knows: a leaf.
pub(super) fn kind<'a>(ty: Option<Type<'a>>, value: Option<&Value>) -> Kind<'a> {
    match ty.map(Type::shape) {
        Some(Shape::Struct(object)) if !object.atomic => Kind::Object,
        Some(Shape::Map(map)) if !map.atomic => Kind::Object,
        Some(Shape::List(list)) if list.kind != ListKind::Atomic => Kind::List(list),
        Some(Shape::Any(Any::Open | Any::Opaque)) if value.is_none_or(|value| value.is_object() || value.is_null()) => {
            Kind::Object
        }
        _ => Kind::Leaf,
    }
}

/// The step to an object's member, the member's type, and whether that member is declared by name.
pub(super) fn member<'a>(ty: Option<Type<'a>>, name: &str) -> (Element, Option<Type<'a>>, bool) {
    if let Some((ty, Shape::Struct(object))) = ty.map(|ty| (ty, ty.shape()))
        && let Some(field) = object.field(name)
    {
        return (Element::Field(field.name.clone()), Some(ty.at(field.ty)), true);
    }
    (Element::Field(Text::Owned(name.to_owned())), ty.and_then(|ty| ty.member(name)), false)
}

/// The step to an item of a keyed list or set.
pub(super) fn item(list: &List, ty: Option<Type<'_>>, value: &Value) -> Result<Element, String> {
    let ListKind::Map(keys) = &list.kind else {
        return match value {
            Value::Object(_) => Err("associative list without keys has an element that's a map type".into()),
            Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
            Value::Null => Err("associative list without keys has an element that's an explicit null".into()),
            scalar => Ok(Element::Value(Atom(scalar.clone()))),
        };
    };
    match value {
        Value::Null => return Err("associative list with keys may not have a null element".into()),
        Value::Object(_) => {}
        _ => return Err("associative list with keys may not have non-map elements".into()),
    }
    let found = keys.iter().filter_map(|key| {
        let given = value.get(key.as_ref()).or_else(|| default_of(ty, key))?;
        Some((key.clone(), Atom(given.clone())))
    });
    let mut found: Vec<_> = found.collect();
    found.sort();
    if found.is_empty() {
        let keys: Vec<_> = keys.iter().map(|key| quote(key)).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
            keys.join(" ")
        ));
    }
    Ok(Element::Key(found))
}

fn default_of<'a>(ty: Option<Type<'a>>, key: &str) -> Option<&'a Value> {
    match ty?.shape() {
        Shape::Struct(object) => object.field(key)?.default.as_ref(),
        _ => None,
    }
}

/// The items of a list by their steps, in order of first appearance; several if a step is not unique.
pub(super) struct Items<'v> {
    pub(super) order: Vec<Element>,
    pub(super) found: BTreeMap<Element, Vec<&'v Value>>,
}

/// Items without a step (only in stored objects that no longer fit their type) are left out.
pub(super) fn items<'v>(list: &List, ty: Option<Type<'_>>, value: Option<&'v Value>) -> Items<'v> {
    let mut items = Items { order: Vec::new(), found: BTreeMap::new() };
    for value in value.and_then(Value::as_array).into_iter().flatten() {
        let Ok(element) = item(list, ty, value) else { continue };
        let values = items.found.entry(element.clone()).or_default();
        if values.is_empty() {
            items.order.push(element);
        }
        values.push(value);
    }
    items
}

/// The fields that a value has.
pub(super) fn fields(ty: Type<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    fill(Some(ty), value, &mut set);
    set
}

/// Collects what is below a value; true if the value itself is a field of its parent's set.
fn fill(ty: Option<Type<'_>>, value: &Value, set: &mut FieldSet) -> bool {
    match (kind(ty, Some(value)), value) {
        (Kind::Leaf, _) => return true,
        (_, Value::Null) => {}
        (Kind::Object, Value::Object(members)) => {
            for (name, value) in members {
                let (element, ty, is_declared) = member(ty, name);
                let mut below = FieldSet::default();
                let is_leaf = fill(ty, value, &mut below);
                let is_empty = value.is_null() || value.as_object().is_some_and(|members| members.is_empty());
                set.put(element, is_leaf || is_empty || !is_declared, below);
            }
        }
        (Kind::List(list), Value::Array(_)) => {
            let ty = ty.and_then(Type::item);
            for (element, values) in items(list, ty, Some(value)).found {
                let mut below = FieldSet::default();
                if let [value] = values.as_slice() {
                    fill(ty, value, &mut below);
                }
                set.put(element, true, below);
            }
        }
        _ => return true,
    }
    false
}

/// What is wrong with a value, in upstream's words; empty if it fits its type. Keyed lists must not hold an item twice.
pub(super) fn check(ty: Type<'_>, value: &Value) -> Vec<String> {
    let mut check = Check::default();
    check.value(ty, value);
    check.errors
}

#[derive(Default)]
struct Check<'v> {
    path: Vec<Step<'v>>,
    errors: Vec<String>,
}

enum Step<'v> {
    Member(&'v str),
    Item(Element),
}

impl<'v> Check<'v> {
    fn error(&mut self, error: String) {
        let path = self.path.iter().map(|step| match step {
            Step::Member(name) => format!(".{name}"),
            Step::Item(element) => element.to_string(),
        });
        let path: String = path.collect();
        self.errors.push(if path.is_empty() { error } else { format!("{path}: {error}") });
    }

    fn below(&mut self, step: Step<'v>, ty: Type<'_>, value: &'v Value) {
        self.path.push(step);
        self.value(ty, value);
        self.path.pop();
    }

    fn value(&mut self, ty: Type<'_>, value: &'v Value) {
        match (ty.shape(), value) {
            (_, Value::Null) | (Shape::Any(_), _) => {}
            (Shape::Scalar(scalar), value) => {
                check_scalar(*scalar, value).into_iter().for_each(|error| self.error(error))
            }
            (Shape::Struct(_) | Shape::Map(_), Value::Object(members)) => {
                for (name, value) in members {
                    let Some(ty) = ty.member(name) else {
                        self.path.push(Step::Member(name));
                        self.error("field not declared in schema".into());
                        self.path.pop();
                        return;
                    };
                    self.below(Step::Member(name), ty, value);
                }
            }
            (Shape::Struct(_) | Shape::Map(_), value) => self.error(format!("expected map, got &{{{}}}", print(value))),
            (Shape::List(list), Value::Array(values)) => self.items(list, ty.at(list.item), values),
            (Shape::List(_), value) => self.error(format!("expected list, got &{{{}}}", print(value))),
        }
    }

    fn items(&mut self, list: &List, ty: Type<'_>, values: &'v [Value]) {
        let mut seen = BTreeSet::new();
        for (index, value) in values.iter().enumerate() {
            let element = match list.kind {
                ListKind::Atomic => Element::Index(index as i64),
                _ => match item(list, Some(ty), value) {
                    Ok(element) => element,
                    Err(error) => return self.error(format!("element {index}: {error}")),
                },
            };
            if list.kind != ListKind::Atomic && !seen.insert(element.clone()) {
                self.error(format!("duplicate entries for key {element}"));
            }
            self.below(Step::Item(element), ty, value);
        }
    }
}

fn check_scalar(scalar: Scalar, value: &Value) -> Option<String> {
    match scalar {
        Scalar::Int32 | Scalar::Int64 | Scalar::Double if !value.is_number() => {
            Some(format!("expected numeric (int or float), got {}", go_type(value)))
        }
        Scalar::String | Scalar::Bytes if !value.is_string() => {
            Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", print_typed(value)))
        }
        Scalar::Bool if !value.is_boolean() => Some(format!("expected boolean, got &{{{}}}", print(value))),
        _ if value.is_object() || value.is_array() => Some(format!("expected any scalar, got &{{{}}}", print(value))),
        _ => None,
    }
}

/// Go's `%T`, `%v` and `%#v` of a decoded JSON value.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn print(value: &Value) -> String {
    crate::patch::go_print(value)
}

fn print_typed(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::String(text) => quote(text),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(print_typed).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(name, value)| format!("{}:{}", quote(name), print_typed(value))).collect();
            format!("map[string]interface {{}}{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}
