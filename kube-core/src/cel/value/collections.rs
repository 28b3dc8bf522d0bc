//! Lists and maps, borrowed or made.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map as JsonMap, Value as Json};

use super::super::Error;
use super::super::meter::Meter;
use super::super::shape::{ListKind, Shape};
use super::{Form, Text, Value, equal};

/// A list.
#[derive(Clone, Debug)]
pub enum List<'a> {
    /// A list of the data, and its declared form.
    Json(&'a [Json], Option<&'a Shape>),
    /// A list that was made.
    Made(Arc<Vec<Value<'a>>>),
}

/// A map or an object.
#[derive(Clone)]
pub enum Map<'a> {
    /// An object of the data, and its declared form.
    Json(&'a JsonMap<String, Json>, Option<&'a Shape>),
    /// A map that was made.
    Made(Arc<IndexMap<Key, (Value<'a>, Value<'a>)>>),
    /// An object whose fields are looked up when they are read.
    Lazy(&'a dyn Fields<'a>),
}

/// An object whose fields are looked up when they are read, such as `variables` of a policy.
pub trait Fields<'a>: Send + Sync {
    /// The field, if there is one.
    ///
    /// # Errors
    ///
    /// If the field is there, but has no value.
    fn field(&self, name: &str) -> Option<Result<Value<'a>, Error>>;
}

/// What identifies an entry of a map: numbers of all types are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Number(i128),
    /// Text.
    Text(Arc<str>),
}

impl Key {
    /// `None` for values that cannot be keys.
    pub(in crate::cel) fn of(value: &Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Number((*value).into()),
            Value::Uint(value) => Self::Number((*value).into()),
            Value::Double(value) if value.fract() == 0.0 && value.abs() < 1e19 => Self::Number(*value as i128),
            Value::String(Text::Shared(text)) => Self::Text(Arc::clone(text)),
            Value::String(Text::Borrowed(text)) => Self::Text((*text).into()),
            _ => return None,
        })
    }
}

impl<'a> List<'a> {
    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Json(items, _) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One item.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(items, shape) => items.get(index).map(|item| Value::of(item, element(*shape))),
            Self::Made(items) => items.get(index).cloned(),
        }
    }

    /// The items.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// What makes it equal to another.
    pub(super) fn kind(&self) -> &ListKind {
        match self {
            Self::Json(_, Some(Shape { form: Form::List(_, kind), .. })) => kind,
            _ => &ListKind::Atomic,
        }
    }

    /// This list and another. Sets keep one of what is equal, keyed lists take the other's item. Source: apiserver
    /// `pkg/cel/common/values.go`.
    pub(in crate::cel) fn with(&self, other: &List<'a>, work: &mut Meter) -> List<'a> {
        let mut items: Vec<Value<'a>> = self.iter().collect();
        for item in other.iter() {
            let same = match self.kind() {
                ListKind::Atomic => None,
                ListKind::Set => items.iter().position(|known| !work.tick() || equal(known, &item, work)),
                ListKind::Map(keys) => items.iter().position(|known| !work.tick() || same_keys(known, &item, keys)),
            };
            match (same.and_then(|index| items.get_mut(index)), self.kind()) {
                (None, _) => items.push(item),
                (Some(known), ListKind::Map(_)) => *known = item,
                (Some(_), _) => {}
            }
        }
        List::Made(Arc::new(items))
    }
}

/// Whether two items of a keyed list have the same keys.
pub(super) fn same_keys(one: &Value<'_>, other: &Value<'_>, keys: &[String]) -> bool {
    let (Value::Map(Map::Json(one, _)), Value::Map(Map::Json(other, _))) = (one, other) else { return false };
    keys.iter().all(|key| one.get(key) == other.get(key))
}

fn element(shape: Option<&Shape>) -> Option<&Shape> {
    shape.and_then(|shape| shape.element()).map(|shape| &**shape)
}

impl<'a> Map<'a> {
    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Json(fields, _) => fields.len(),
            Self::Made(entries) => entries.len(),
            Self::Lazy(_) => 0,
        }
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of its type.
    pub(super) fn type_name(&self) -> &str {
        match self {
            Self::Json(_, Some(shape)) if matches!(shape.form, Form::Object(..)) => shape.name(),
            Self::Lazy(_) => "object",
            _ => "map",
        }
    }

    /// The field or entry under a name.
    ///
    /// # Errors
    ///
    /// If a lazy field has no value.
    pub fn field(&self, name: &str) -> Option<Result<Value<'a>, Error>> {
        match self {
            Self::Json(fields, Some(shape)) if matches!(shape.form, Form::Object(..)) => {
                let field = shape.field(name)?;
                fields.get(&field.name).map(|value| Ok(Value::of(value, Some(&field.shape))))
            }
            Self::Json(fields, shape) => fields.get(name).map(|value| Ok(Value::of(value, element(*shape)))),
            Self::Made(entries) => entries.get(&Key::Text(name.into())).map(|(_, value)| Ok(value.clone())),
            Self::Lazy(fields) => fields.field(name),
        }
    }

    /// The value under a key.
    ///
    /// # Errors
    ///
    /// As [`Map::field`].
    pub fn get(&self, key: &Value<'a>) -> Option<Result<Value<'a>, Error>> {
        match (self, key) {
            (Self::Made(entries), _) => entries.get(&Key::of(key)?).map(|(_, value)| Ok(value.clone())),
            (_, Value::String(name)) => self.field(name),
            _ => None,
        }
    }

    /// All entries; of declared objects, those that are declared.
    #[must_use]
    pub fn entries(&self) -> Vec<(Value<'a>, Value<'a>)> {
        match self {
            Self::Json(fields, shape) => {
                let entry = |(name, value): (&'a String, &'a Json)| {
                    let (name, shape) = match shape {
                        Some(shape) if matches!(shape.form, Form::Object(..)) => {
                            let (name, field) = shape.declared(name)?;
                            (name, Some(&*field.shape))
                        }
                        shape => (name.as_str(), element(*shape)),
                    };
                    Some((Value::from(name), Value::of(value, shape)))
                };
                fields.iter().filter_map(entry).collect()
            }
            Self::Made(entries) => entries.values().cloned().collect(),
            Self::Lazy(_) => Vec::new(),
        }
    }

    /// A map of named fields.
    #[must_use]
    pub fn made(fields: impl IntoIterator<Item = (Cow<'a, str>, Value<'a>)>) -> Self {
        let entry = |(name, value): (Cow<'a, str>, Value<'a>)| {
            let key = Key::Text((&*name).into());
            let name = match name {
                Cow::Borrowed(name) => Value::from(name),
                Cow::Owned(name) => Value::from(name),
            };
            (key, (name, value))
        };
        Self::Made(Arc::new(fields.into_iter().map(entry).collect()))
    }
}

impl fmt::Debug for Map<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.entries()).finish()
    }
}
