//! A set of fields, as a tree: what a manager owns.
//!
//! ```text
//! {"f:metadata":{"f:labels":{".":{},"f:app":{}}}}     .metadata.labels and .metadata.labels.app, not .metadata
//! ```
//!
//! Source: structured-merge-diff `fieldpath.Set`.

use super::path::Element;
use crate::schema::{Shape, Type};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Fields of an object. A parent is not a member because its child is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    members: BTreeSet<Element>,
    /// Steps to further members; never to an empty set.
    children: BTreeMap<Element, FieldSet>,
}

impl FieldSet {
    /// A set of paths of field names.
    pub fn of_fields(paths: &[&[&'static str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let path: Vec<_> = path.iter().map(|name| Element::field(*name)).collect();
            set.insert(&path);
        }
        set
    }

    /// Adds one path; the empty path is the whole object, which nobody owns.
    pub fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [last] => drop(self.members.insert(last.clone())),
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Adds a step and what is below it.
    pub(super) fn put(&mut self, element: Element, is_member: bool, below: FieldSet) {
        if is_member {
            self.members.insert(element.clone());
        }
        if !below.is_empty() {
            self.children.insert(element, below);
        }
    }

    /// Like [`FieldSet::put`], for a step that often has nothing to put.
    pub(super) fn put_if_any(&mut self, element: &Element, is_member: bool, below: FieldSet) {
        if is_member || !below.is_empty() {
            self.put(element.clone(), is_member, below);
        }
    }

    /// Whether no path is in it.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    /// Whether this very path is in it.
    pub fn contains(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.members.contains(last),
            [first, rest @ ..] => self.children.get(first).is_some_and(|child| child.contains(rest)),
        }
    }

    /// Whether this step is in it.
    pub(super) fn has(&self, element: &Element) -> bool {
        self.members.contains(element)
    }

    /// What is below a step.
    pub(super) fn below(&self, element: &Element) -> Option<&Self> {
        self.children.get(element)
    }

    /// Paths in either.
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.extend(other);
        all
    }

    /// [`FieldSet::union`] in place.
    pub fn extend(&mut self, other: &Self) {
        self.members.extend(other.members.iter().cloned());
        for (element, child) in &other.children {
            match self.children.get_mut(element) {
                Some(mine) => mine.extend(child),
                None => drop(self.children.insert(element.clone(), child.clone())),
            }
        }
    }

    /// Paths in both.
    pub fn intersection(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(element, child)| {
            let both = child.intersection(other.children.get(element)?);
            (!both.is_empty()).then(|| (element.clone(), both))
        });
        Self { members: self.members.intersection(&other.members).cloned().collect(), children: children.collect() }
    }

    /// Paths in this one only. A path stays though its parent is in `other`.
    pub fn difference(&self, other: &Self) -> Self {
        self.minus(other, false)
    }

    /// [`FieldSet::difference`] in place: cheap if `other` is small.
    pub fn subtract(&mut self, other: &Self) {
        for member in &other.members {
            self.members.remove(member);
        }
        for (element, gone) in &other.children {
            if let Some(child) = self.children.get_mut(element) {
                child.subtract(gone);
                if child.is_empty() {
                    self.children.remove(element);
                }
            }
        }
    }

    /// Paths in this one, of which neither they nor a parent are in `other`.
    pub fn recursive_difference(&self, other: &Self) -> Self {
        self.minus(other, true)
    }

    fn minus(&self, other: &Self, with_children: bool) -> Self {
        let children = self.children.iter().filter_map(|(element, child)| {
            if with_children && other.members.contains(element) {
                return None;
            }
            let rest =
                other.children.get(element).map_or_else(|| child.clone(), |gone| child.minus(gone, with_children));
            (!rest.is_empty()).then(|| (element.clone(), rest))
        });
        Self { members: self.members.difference(&other.members).cloned().collect(), children: children.collect() }
    }

    /// Paths that no other path continues.
    pub fn leaves(&self) -> Self {
        let members = self.members.iter().filter(|member| !self.children.contains_key(member)).cloned().collect();
        let children = self.children.iter().map(|(element, child)| (element.clone(), child.leaves())).collect();
        Self { members, children }
    }

    /// All paths, parents before children.
    pub fn paths(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &mut paths);
        paths
    }

    fn collect(&self, path: &mut Vec<Element>, paths: &mut Vec<Vec<Element>>) {
        for member in &self.members {
            paths.push(path.iter().chain([member]).cloned().collect());
        }
        for (element, child) in &self.children {
            path.push(element.clone());
            child.collect(path, paths);
            path.pop();
        }
    }

    /// This set with every declared field on the way to a member made a member too. Map keys and list items are not.
    pub(super) fn with_declared_parents(&self, ty: Option<Type<'_>>) -> Self {
        let mut members = self.members.clone();
        let mut children = BTreeMap::new();
        for (element, child) in &self.children {
            let child_type = match (element, ty.map(|ty| (ty, ty.shape()))) {
                (Element::Field(name), Some((ty, shape))) => {
                    if matches!(shape, Shape::Struct(object) if object.field(name).is_some()) {
                        members.insert(element.clone());
                    }
                    ty.member(name)
                }
                (Element::Key(_), Some((ty, Shape::List(_)))) => ty.item(),
                _ => None,
            };
            children.insert(element.clone(), child.with_declared_parents(child_type));
        }
        Self { members, children }
    }

    /// The set as a `fieldsV1`.
    pub fn encode(&self) -> Value {
        Value::Object(self.encode_members())
    }

    fn encode_members(&self) -> Map<String, Value> {
        let mut encoded = Map::new();
        for member in &self.members {
            encoded.insert(member.encode(), Value::Object(Map::new()));
        }
        for (element, child) in &self.children {
            let mut below = child.encode_members();
            if self.members.contains(element) {
                below.insert(".".into(), Value::Object(Map::new()));
            }
            encoded.insert(element.encode(), Value::Object(below));
        }
        encoded
    }

    /// Reads a `fieldsV1`. Errors if a member's name is no path element.
    pub fn decode(encoded: &Value) -> Result<Self, String> {
        let mut set = Self::default();
        for (name, below) in encoded.as_object().into_iter().flatten().filter(|(name, _)| *name != ".") {
            let Some(element) = Element::decode(name)? else { continue };
            let children = Self::decode(below)?;
            let is_member = children.is_empty() || below.get(".").is_some();
            set.put(element, is_member, children);
        }
        Ok(set)
    }
}
