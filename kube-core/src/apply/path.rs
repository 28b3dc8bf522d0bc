//! A field's path, one element per step: `.spec.containers[name="web"].args`.

use crate::schema::Text;
use crate::strict::quote::quote;
use serde_json::Value;
use std::cmp::Ordering;
use std::fmt;

/// One step of a path. Ordered as upstream orders them: fields, keys, values, indexes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A field of an object, `f:name`.
    Field(Text),
    /// The item of a list that has these keys, sorted by name, `k:{"name":"web"}`.
    Key(Vec<(Text, Atom)>),
    /// The item of a set that has this value, `v:"a"`.
    Value(Atom),
    /// The item of a list at this place, `i:0`.
    Index(i64),
}

impl Element {
    /// A step into a field.
    pub fn field(name: impl Into<Text>) -> Self {
        Self::Field(name.into())
    }

    /// The step as a member's name in a `fieldsV1`.
    pub fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let keys = keys.iter().map(|(name, atom)| (name.to_string(), atom.0.clone()));
                format!("k:{}", json(&Value::Object(keys.collect())))
            }
            Self::Value(atom) => format!("v:{}", json(&atom.0)),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    /// Reads a member's name of a `fieldsV1`. `Ok(None)` for a kind of step this version does not know; those are dropped.
    pub fn decode(text: &str) -> Result<Option<Self>, String> {
        let (kind, rest) = text.split_once(':').ok_or_else(|| format!("missing colon: {text}"))?;
        let value = || serde_json::from_str::<Value>(rest).map_err(|error| error.to_string());
        Ok(Some(match kind {
            "f" => Self::Field(rest.to_owned().into()),
            "i" => {
                Self::Index(rest.parse().map_err(|_| format!("strconv.Atoi: parsing {}: invalid syntax", quote(rest)))?)
            }
            "v" => Self::Value(Atom(value()?)),
            "k" => {
                let Value::Object(keys) = value()? else { return Err(format!("expected an object: {text}")) };
                let mut keys: Vec<_> = keys.into_iter().map(|(name, value)| (Text::from(name), Atom(value))).collect();
                keys.sort();
                Self::Key(keys)
            }
            _ => return Ok(None),
        }))
    }
}

impl fmt::Display for Element {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(formatter, ".{name}"),
            Self::Key(keys) => {
                let keys: Vec<_> = keys.iter().map(|(name, atom)| format!("{name}={atom}")).collect();
                write!(formatter, "[{}]", keys.join(","))
            }
            Self::Value(atom) => write!(formatter, "[={atom}]"),
            Self::Index(index) => write!(formatter, "[{index}]"),
        }
    }
}

/// JSON as Go writes it, with `<`, `>` and `&` escaped. They occur in strings only.
pub(super) fn json(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// A path as messages show it.
pub(super) fn print(path: &[Element]) -> String {
    path.iter().map(Element::to_string).collect()
}

/// A JSON value with upstream's order and equality: `1` and `1.0` are the same.
#[derive(Clone, Debug)]
pub struct Atom(pub Value);

impl fmt::Display for Atom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Value::String(text) => formatter.write_str(&quote(text)),
            other => write!(formatter, "{other}"),
        }
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        compare(&self.0, &other.0) == Ordering::Equal
    }
}

impl Eq for Atom {}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Atom {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

/// Whether two values are the same to upstream.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    left == right || compare(left, right) == Ordering::Equal
}

fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => left.as_f64().unwrap_or_default().total_cmp(&right.as_f64().unwrap_or_default()),
        },
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Array(left), Value::Array(right)) => {
            let pairs = left.iter().zip(right).map(|(left, right)| compare(left, right));
            pairs.fold(Ordering::Equal, Ordering::then).then(left.len().cmp(&right.len()))
        }
        (Value::Object(left), Value::Object(right)) => {
            let pairs =
                left.iter().zip(right).map(|(left, right)| left.0.cmp(right.0).then_with(|| compare(left.1, right.1)));
            pairs.fold(Ordering::Equal, Ordering::then).then(left.len().cmp(&right.len()))
        }
        _ => rank(left).cmp(&rank(right)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Bool(_) => 2,
        Value::Array(_) => 3,
        Value::Object(_) => 4,
        Value::Null => 5,
    }
}
