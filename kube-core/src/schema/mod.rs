//! The type graph: which fields an object has, of which type, and how each merges.
//!
//! ```text
//! Schema ── root() ──► Type ── shape() ──► Struct { fields } | Map | List { kind } | Scalar | Any
//!                       ▲                              │
//!                       └────────── at(id) ◄───────────┘
//! ```
//!
//! [`Schema::builtin`] and [`Schema::of_kind`] answer for Kubernetes' own types, from one table that is read once;
//! [`Builder`] makes the same thing for a custom resource. [`docs`] holds the texts, apart, because few ask for them.
//!
//! Source: the Kubernetes 1.36 OpenAPI document (types, `x-kubernetes-*` merge rules).

mod builder;
mod builtin;
pub mod docs;

pub use builder::Builder;

use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// A name: borrowed for built-in types, owned for those made at run time.
pub type Text = Cow<'static, str>;

/// One type of a graph of types, with the graph it lives in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Schema {
    types: Arc<Types>,
    root: Id,
}

impl Schema {
    /// The built-in definition of that OpenAPI name, such as `io.k8s.api.core.v1.Pod`.
    pub fn builtin(definition: &str) -> Option<Self> {
        let types = builtin::types();
        types.names.get(definition).map(|&root| Self { types: types.clone(), root })
    }

    /// The built-in definition of a kind (or of its list), such as `apps/v1` and `Deployment`.
    pub fn of_kind(api_version: &str, kind: &str) -> Option<Self> {
        let types = builtin::types();
        let group = if api_version.contains('/') { "" } else { "/" };
        types
            .kinds
            .get(format!("{group}{api_version}/{kind}").as_str())
            .map(|&root| Self { types: types.clone(), root })
    }

    /// Names of all built-in definitions, sorted.
    pub fn builtin_names() -> &'static [&'static str] {
        &builtin::types().definitions
    }

    /// All built-in kinds and kinds of lists, as `group/version/Kind` (the group empty for core) and definition, sorted.
    pub fn builtin_kinds() -> Vec<(&'static str, &'static str)> {
        let types = builtin::types();
        let kinds = types.kinds.iter().filter_map(|(kind, id)| Some((*kind, *types.definitions.get(id.0 as usize)?)));
        let mut kinds: Vec<_> = kinds.collect();
        kinds.sort_unstable();
        kinds
    }

    /// An object of which only `apiVersion`, `kind` and `metadata` are known; everything else is [`Any::Open`].
    pub fn schemaless() -> Self {
        let mut builder = Builder::default();
        let rest = builder.add(Shape::Any(Any::Open));
        let root = builder.object(Vec::new(), Some(rest));
        builder.finish(root)
    }

    /// Where a walk begins.
    pub fn root(&self) -> Type<'_> {
        Type { types: &self.types, id: self.root }
    }

    /// Whether this is a built-in type, whose Go struct tags a strategic merge patch needs.
    pub fn is_builtin(&self) -> bool {
        Arc::ptr_eq(&self.types, builtin::types())
    }
}

/// The arena that all types of one graph share.
#[derive(Debug, Default)]
struct Types {
    shapes: Vec<Shape>,
    /// Names of the first shapes, in their order. Empty if the graph was built in code.
    definitions: Vec<&'static str>,
    names: HashMap<&'static str, Id>,
    /// `group/version/Kind`, with an empty group for core.
    kinds: HashMap<&'static str, Id>,
}

/// A type's place in its graph; resolve it with [`Type::at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(u32);

/// A type during a walk: its shape, and the way to its children.
#[derive(Clone, Copy, Debug)]
pub struct Type<'a> {
    types: &'a Types,
    id: Id,
}

/// What stands for a type that is not in the graph; [`Builder`] cannot make one, so this is only a safe answer.
static UNKNOWN: Shape = Shape::Any(Any::Opaque);

impl<'a> Type<'a> {
    /// What values of this type look like.
    pub fn shape(self) -> &'a Shape {
        self.types.shapes.get(self.id.0 as usize).unwrap_or(&UNKNOWN)
    }

    /// The OpenAPI definition that describes this type, for a `$ref`; `None` for lists, maps, scalars without a name, and
    /// types made in code.
    pub fn definition(self) -> Option<&'a str> {
        let named = self.types.definitions.get(self.id.0 as usize).copied();
        named.or_else(|| match self.shape() {
            Shape::Struct(object) => Some(object.name.as_ref()).filter(|name| !name.is_empty()),
            _ => None,
        })
    }

    /// The type with that id in the same graph.
    pub fn at(self, id: Id) -> Self {
        Self { types: self.types, id }
    }

    /// The type of a member of an object: a field's, a map's element, whatever an open type allows. `None` if there is no such field.
    pub fn member(self, name: &str) -> Option<Self> {
        match self.shape() {
            Shape::Struct(object) => object.field(name).map(|field| field.ty).or(object.rest).map(|id| self.at(id)),
            Shape::Map(map) => Some(self.at(map.element)),
            Shape::Any(_) => Some(self),
            Shape::List(_) | Shape::Scalar(_) => None,
        }
    }

    /// The type of a list's items; `None` if this is no list.
    pub fn item(self) -> Option<Self> {
        match self.shape() {
            Shape::List(list) => Some(self.at(list.item)),
            Shape::Any(_) => Some(self),
            _ => None,
        }
    }
}

/// What values of a type look like.
#[derive(Clone, Debug)]
pub enum Shape {
    /// One value without parts.
    Scalar(Scalar),
    /// An object with declared fields.
    Struct(Struct),
    /// An object with free keys.
    Map(Map),
    /// An array.
    List(List),
    /// Anything.
    Any(Any),
}

/// The scalar types of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// A string.
    String,
    /// Bytes, written as a base64 string.
    Bytes,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A floating point number.
    Double,
    /// `true` or `false`.
    Bool,
    /// A resource quantity: a string such as `100m`, or a number.
    Quantity,
    /// An int32 or a string.
    IntOrString,
    /// RFC 3339 to the second.
    Time,
    /// RFC 3339 to the microsecond.
    MicroTime,
}

/// An object with declared fields.
#[derive(Clone, Debug, Default)]
pub struct Struct {
    /// The OpenAPI definition's name; empty if it has none.
    pub name: Text,
    /// Declared fields, sorted by name.
    pub fields: Vec<Field>,
    /// The type of fields that are not declared; `None` if there may be none.
    pub rest: Option<Id>,
    /// Whether server-side apply owns and replaces it as one value (`x-kubernetes-map-type: atomic`).
    pub atomic: bool,
}

impl Struct {
    /// The declared field of that name (case matters, as upstream).
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.get(self.position(name)?)
    }

    /// Where [`Struct::fields`] has that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.binary_search_by(|field| field.name.as_ref().cmp(name)).ok()
    }
}

/// One declared field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in JSON.
    pub name: Text,
    /// Its type.
    pub ty: Id,
    /// Whether the OpenAPI document requires it.
    pub required: bool,
    /// What stands for it when it is absent from the key of a list item.
    pub default: Option<Value>,
    /// How a strategic merge patch merges it.
    pub patch: Patch,
}

/// How a strategic merge patch merges a field. Source: Go struct tags `patchStrategy` and `patchMergeKey`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// What happens to the field's value. Default: objects merge, lists are replaced.
    pub strategy: Strategy,
    /// Whether the client may send `$retainKeys`.
    pub retain_keys: bool,
    /// The field that tells items of a list of objects apart.
    pub merge_key: Option<Text>,
}

/// The strategy of a [`Patch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Nothing said: objects merge, lists are replaced.
    #[default]
    Default,
    /// Lists merge item by item.
    Merge,
    /// Even an object is replaced.
    Replace,
}

/// An object with free keys.
#[derive(Clone, Debug)]
pub struct Map {
    /// The type of its values.
    pub element: Id,
    /// Whether server-side apply owns and replaces it as one value.
    pub atomic: bool,
}

/// An array.
#[derive(Clone, Debug)]
pub struct List {
    /// The type of its items.
    pub item: Id,
    /// How server-side apply tells its items apart.
    pub kind: ListKind,
}

/// How server-side apply tells a list's items apart (`x-kubernetes-list-type`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Not at all: the list is one value.
    Atomic,
    /// By value.
    Set,
    /// By these fields of each item (`x-kubernetes-list-map-keys`).
    Map(Vec<Text>),
}

/// Kinds of values that the graph does not describe further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Any {
    /// Part of the object: members are owned one by one, lists as one value, and duplicate fields count as errors.
    Open,
    /// An embedded object that is decoded later: members are owned one by one, duplicate fields go unnoticed. Source: RawExtension.
    Opaque,
    /// Any JSON, owned as one value. Source: apiextensions JSON.
    Atomic,
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
