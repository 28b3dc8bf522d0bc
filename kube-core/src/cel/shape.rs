//! What JSON data looks like: declared types with bounds, for the checker, the estimate of costs, and reading values. Source:
//! apiserver `pkg/cel/types.go` (`DeclType`), `pkg/cel/limits.go`, `pkg/cel/common/schemas.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Type, is_keyword};

/// What can be sent in one request, in bytes.
pub(crate) const REQUEST_BYTES_MAX: u64 = 3 * 1024 * 1024;

/// The declared form of a JSON value.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What it is.
    pub form: Form,
    /// How many characters, items or entries it has at most.
    pub size_max: u64,
    /// How many bytes of JSON it takes at least.
    pub bytes_min: u64,
}

/// What a JSON value is.
#[derive(Clone, Debug)]
pub enum Form {
    /// Anything, such as a number or a string.
    Any,
    /// A boolean.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// A string.
    String,
    /// Base64.
    Bytes,
    /// A day, read as the timestamp of its first moment.
    Date,
    /// A timestamp.
    DateTime,
    /// A duration such as `1h30m`.
    Duration,
    /// A list, its items, and what makes two lists equal.
    List(Arc<Shape>, ListKind),
    /// A map from strings, and its values.
    Map(Arc<Shape>),
    /// An object: its type's name, and its fields under the names that expressions use.
    Object(Arc<str>, BTreeMap<String, Field>),
}

/// What makes two lists equal, and what adding one to another does. Source: apiserver `pkg/cel/common/values.go`.
#[derive(Clone, Debug, PartialEq)]
pub enum ListKind {
    /// Order counts.
    Atomic,
    /// Order does not count.
    Set,
    /// Order does not count; items are told apart by these fields.
    Map(Vec<String>),
}

/// A declared field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in JSON.
    pub name: String,
    /// What it is.
    pub shape: Arc<Shape>,
}

impl Shape {
    /// A value without bounds worth mentioning.
    #[must_use]
    pub fn new(form: Form) -> Self {
        let (size_max, bytes_min) = match &form {
            Form::Bool => (0, 4),
            Form::Int | Form::Double | Form::Any => (0, 1),
            _ => (0, 2),
        };
        Self { form, size_max, bytes_min }
    }

    /// An object with these fields. Fields whose names no expression can say are left out.
    #[must_use]
    pub fn object(name: &str, fields: impl IntoIterator<Item = (String, Arc<Shape>)>) -> Self {
        let fields = fields.into_iter().filter_map(|(name, shape)| Some((escape(&name)?, Field { name, shape })));
        Self::new(Form::Object(name.into(), fields.collect()))
    }

    /// The name of an object's type.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.form {
            Form::Object(name, _) => name,
            _ => "object",
        }
    }

    /// The type that expressions see.
    #[must_use]
    pub fn type_of(self: &Arc<Self>) -> Type {
        match &self.form {
            Form::Any => Type::Dyn,
            Form::Bool => Type::Bool,
            Form::Int => Type::Int,
            Form::Double => Type::Double,
            Form::String => Type::String,
            Form::Bytes => Type::Bytes,
            Form::Date | Form::DateTime => Type::Timestamp,
            Form::Duration => Type::Duration,
            Form::List(items, _) => Type::list(items.type_of()),
            Form::Map(values) => Type::map(Type::String, values.type_of()),
            Form::Object(..) => Type::Object(Arc::clone(self)),
        }
    }

    /// The field that expressions call `name`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        match &self.form {
            Form::Object(_, fields) => fields.get(name),
            _ => None,
        }
    }

    /// What stands under a name in JSON.
    pub(super) fn child(&self, name: &str) -> Option<&Shape> {
        self.declared(name).map(|(_, field)| &*field.shape).or(match &self.form {
            Form::Map(values) => Some(values),
            _ => None,
        })
    }

    /// The field of a name in JSON, and the name that expressions use.
    pub(super) fn declared(&self, name: &str) -> Option<(&str, &Field)> {
        let Form::Object(_, fields) = &self.form else { return None };
        let same = fields.get_key_value(name).filter(|(_, field)| field.name == name);
        let escaped = || escape(name).and_then(|escaped| fields.get_key_value(&escaped));
        same.or_else(escaped).map(|(name, field)| (name.as_str(), field))
    }

    /// What the items of a list or the values of a map are.
    pub(super) fn element(&self) -> Option<&Arc<Shape>> {
        match &self.form {
            Form::List(items, _) => Some(items),
            Form::Map(values) => Some(values),
            _ => None,
        }
    }
}

/// The name by which expressions reach a property: `__dash__` for `-` and the like. `None` if there is none. Source: apiserver
/// `pkg/cel/escaping.go`.
#[must_use]
pub fn escape(name: &str) -> Option<String> {
    if is_keyword(name) {
        return Some(format!("__{name}__"));
    }
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "_.-/".contains(it);
    if name.is_empty() || !name.chars().all(is_plain) || name.starts_with(|it: char| it.is_ascii_digit()) {
        return None;
    }
    let escaped = name.replace("__", "__underscores__");
    Some(escaped.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__"))
}
