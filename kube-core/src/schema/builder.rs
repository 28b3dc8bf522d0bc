//! Makes a graph of types in code: custom resources bring their own.

use super::{Field, Id, Patch, Schema, Shape, Struct, Text, Type, Types};
use std::collections::HashMap;
use std::sync::Arc;

/// Collects shapes, then becomes a [`Schema`].
///
/// ```
/// use coracle_core::schema::{Builder, Scalar, Shape};
///
/// let mut builder = Builder::default();
/// let replicas = builder.add(Shape::Scalar(Scalar::Int64));
/// let root = builder.object(vec![Builder::field("replicas", replicas)], None);
/// let schema = builder.finish(root);
/// assert!(schema.root().member("metadata").is_some());
/// assert!(schema.root().member("image").is_none());
/// ```
#[derive(Debug, Default)]
pub struct Builder {
    types: Types,
}

impl Builder {
    /// Adds a type. Ids inside `shape` must come from this builder; a struct's fields may be in any order.
    pub fn add(&mut self, mut shape: Shape) -> Id {
        if let Shape::Struct(object) = &mut shape {
            object.fields.sort_by(|left, right| left.name.cmp(&right.name));
            object.fields.dedup_by(|later, first| later.name == first.name);
        }
        self.types.add(shape)
    }

    /// Adds the type of a whole object: `fields`, and the `apiVersion`, `kind` and `metadata` that every object has.
    pub fn object(&mut self, mut fields: Vec<Field>, rest: Option<Id>) -> Id {
        let string = self.add(Shape::Scalar(super::Scalar::String));
        let metadata = self.import("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta").unwrap_or(string);
        fields.retain(|field| !["apiVersion", "kind", "metadata"].contains(&field.name.as_ref()));
        fields.extend([
            Self::field("apiVersion", string),
            Self::field("kind", string),
            Self::field("metadata", metadata),
        ]);
        self.add(Shape::Struct(Struct { fields, rest, ..Struct::default() }))
    }

    /// An optional field without merge rules.
    pub fn field(name: impl Into<Text>, ty: Id) -> Field {
        Field { name: name.into(), ty, required: false, default: None, patch: Patch::default() }
    }

    /// Copies a built-in definition, and what it refers to, into this graph. `None` if there is none of that name.
    pub fn import(&mut self, definition: &str) -> Option<Id> {
        let schema = Schema::builtin(definition)?;
        Some(self.copy(schema.root(), &mut HashMap::new()))
    }

    fn copy(&mut self, ty: Type<'_>, copied: &mut HashMap<Id, Id>) -> Id {
        if let Some(&id) = copied.get(&ty.id) {
            return id;
        }
        let mut shape = ty.shape().clone();
        let id = self.types.add(shape.clone());
        copied.insert(ty.id, id);
        match &mut shape {
            Shape::Struct(object) => {
                object.rest = object.rest.map(|rest| self.copy(ty.at(rest), copied));
                for field in &mut object.fields {
                    field.ty = self.copy(ty.at(field.ty), copied);
                }
            }
            Shape::Map(map) => map.element = self.copy(ty.at(map.element), copied),
            Shape::List(list) => list.item = self.copy(ty.at(list.item), copied),
            Shape::Scalar(_) | Shape::Any(_) => return id,
        }
        if let Some(place) = self.types.shapes.get_mut(id.0 as usize) {
            *place = shape;
        }
        id
    }

    /// The schema whose objects have the type `root`.
    pub fn finish(self, root: Id) -> Schema {
        Schema { types: Arc::new(self.types), root }
    }
}
