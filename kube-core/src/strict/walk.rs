//! The pass itself: serde drives, the type graph steers.

use super::quote::quote;
use super::scalar::{Given, Mismatch, check_scalar, go_type, mismatch};
use super::{Findings, NO_KIND};
use crate::schema::{Any, Shape, Struct, Type};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Where the walk is, and what it found.
#[derive(Default)]
pub(super) struct State<'de, 'a> {
    path: Vec<Step<'de, 'a>>,
    pub(super) findings: Findings,
}

/// One step of a path.
enum Step<'de, 'a> {
    /// Into a declared field of a struct.
    Field { owner: &'a Struct, name: &'a str },
    /// Into a member of a map.
    Key(Cow<'de, str>),
    /// Into an item of a list.
    Item(usize),
}

impl State<'_, '_> {
    fn unknown(&mut self, name: &str) {
        let finding = format!("unknown field {}", quote(&self.path_to(name)));
        self.findings.add(finding);
    }

    fn duplicate(&mut self, name: &str) {
        let finding = format!("duplicate field {}", quote(&self.path_to(name)));
        self.findings.add(finding);
    }

    /// `spec.containers[0].name`
    fn path_to(&self, name: &str) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Item(index) => path += &format!("[{index}]"),
                Step::Field { name, .. } => push_name(&mut path, name),
                Step::Key(name) => push_name(&mut path, name),
            }
        }
        push_name(&mut path, name);
        path
    }

    /// Keeps the first type error, with Go's idea of the path: fields only, and the struct that has the last of them.
    fn mismatched(&mut self, error: Mismatch) {
        if self.findings.mismatch.is_some() {
            return;
        }
        let (value, go_type) = match error {
            Mismatch::Type { value, go_type } => (value, go_type),
            Mismatch::Own(message) => return self.findings.mismatch = Some(message),
        };
        let fields: Vec<&str> = self.path.iter().filter_map(Step::field).collect();
        let owner = self.path.iter().rev().find_map(|step| match step {
            Step::Field { owner, .. } => owner.name.rsplit('.').next(),
            _ => None,
        });
        // These three are read once more, before all else, by a struct without a name.
        self.findings.mismatch = Some(match fields.as_slice() {
            [] => format!(
                "{NO_KIND}json: cannot unmarshal {value} into Go value of type struct {{ APIVersion string \
                 \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
            ),
            [field @ ("apiVersion" | "kind")] => {
                format!("{NO_KIND}json: cannot unmarshal {value} into Go struct field .{field} of type {go_type}")
            }
            _ => format!(
                "json: cannot unmarshal {value} into Go struct field {}.{} of type {go_type}",
                owner.unwrap_or_default(),
                fields.join(".")
            ),
        });
    }
}

impl<'a> Step<'_, 'a> {
    fn field(&self) -> Option<&'a str> {
        match self {
            Step::Field { name, .. } => Some(name),
            _ => None,
        }
    }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// Reads one value of a type.
pub(super) struct Seed<'s, 'de, 'a> {
    pub(super) ty: Type<'a>,
    pub(super) state: &'s mut State<'de, 'a>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        match self.ty.shape() {
            Shape::Any(Any::Opaque | Any::Atomic) => reader.deserialize_ignored_any(IgnoredAny).map(drop),
            _ => reader.deserialize_any(self),
        }
    }
}

impl Seed<'_, '_, '_> {
    fn scalar(self, given: Given<'_>) {
        let wrong = match self.ty.shape() {
            Shape::Scalar(scalar) => check_scalar(*scalar, given),
            Shape::Any(_) => None,
            Shape::Struct(_) | Shape::Map(_) | Shape::List(_) => Some(mismatch(given, go_type(self.ty))),
        };
        if let Some(wrong) = wrong {
            self.state.mismatched(wrong);
        }
    }
}

impl<'de, 'a> Visitor<'de> for Seed<'_, 'de, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(()) // Null is the absence of any type.
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.scalar(Given::Bool);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.scalar(Given::Integer(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.scalar(i64::try_from(value).map_or(Given::Number(value as f64), Given::Integer));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.scalar(Given::Number(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.scalar(Given::String(value));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some(item) = self.ty.item() else {
            self.scalar(Given::Array);
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        for index in 0.. {
            self.state.path.push(Step::Item(index));
            let more = items.next_element_seed(Seed { ty: item, state: &mut *self.state })?;
            self.state.path.pop();
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        match self.ty.shape() {
            Shape::Struct(object) => visit_struct(self, object, members),
            Shape::Map(map) => visit_keys(self.ty.at(map.element), self.state, members),
            Shape::Any(_) => visit_keys(self.ty, self.state, members),
            Shape::Scalar(_) | Shape::List(_) => {
                self.scalar(Given::Object);
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(())
            }
        }
    }
}

fn visit_struct<'de, 'a, A: MapAccess<'de>>(
    seed: Seed<'_, 'de, 'a>,
    object: &'a Struct,
    mut members: A,
) -> Result<(), A::Error> {
    let Seed { ty, state } = seed;
    let mut seen = SmallVec::<[u64; 2]>::from_elem(0, object.fields.len().div_ceil(64));
    let mut others = HashSet::new();
    while let Some(Key(name)) = members.next_key()? {
        let declared = object.position(&name).and_then(|position| Some((position, object.fields.get(position)?)));
        let (step, ty) = match (declared, object.rest) {
            (Some((position, field)), _) => {
                if !insert(&mut seen, position) {
                    state.duplicate(&name);
                }
                (Step::Field { owner: object, name: &field.name }, ty.at(field.ty))
            }
            (None, Some(rest)) => {
                if !others.insert(name.clone()) {
                    state.duplicate(&name);
                }
                (Step::Key(name), ty.at(rest))
            }
            (None, None) => {
                state.unknown(&name);
                members.next_value::<IgnoredAny>()?;
                continue;
            }
        };
        state.path.push(step);
        members.next_value_seed(Seed { ty, state: &mut *state })?;
        state.path.pop();
    }
    Ok(())
}

fn visit_keys<'de, 'a, A: MapAccess<'de>>(
    element: Type<'a>,
    state: &mut State<'de, 'a>,
    mut members: A,
) -> Result<(), A::Error> {
    let mut seen = HashSet::new();
    while let Some(Key(name)) = members.next_key()? {
        if !seen.insert(name.clone()) {
            state.duplicate(&name);
        }
        state.path.push(Step::Key(name));
        members.next_value_seed(Seed { ty: element, state: &mut *state })?;
        state.path.pop();
    }
    Ok(())
}

/// Sets a bit; false if it was set.
fn insert(bits: &mut [u64], position: usize) -> bool {
    let Some(word) = bits.get_mut(position / 64) else { return true };
    let bit = 1 << (position % 64);
    let new = *word & bit == 0;
    *word |= bit;
    new
}

/// A member's name, borrowed from the body where it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Name;
        impl<'de> Visitor<'de> for Name {
            type Value = Key<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }
        reader.deserialize_str(Name)
    }
}
