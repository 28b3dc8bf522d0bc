//! A definition of the API as a JSON schema. Source: kube-openapi `generators`.

use std::collections::BTreeSet;

use coracle_core::schema::{Any, Field, ListKind, Patch, Scalar, Schema, Shape, Strategy, Struct, Type, docs};
use serde_json::{Map, Value, json};

use super::dialect::{Dialect, set};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const EXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

/// Makes definitions, and remembers which others they refer to.
pub(super) struct Definitions {
    pub(super) dialect: Dialect,
    pub(super) referred: BTreeSet<String>,
}

impl Definitions {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, referred: BTreeSet::new() }
    }

    /// The schema of a built-in definition; `None` if there is none of that name.
    pub(super) fn definition(&mut self, name: &str) -> Option<Value> {
        let schema = Schema::builtin(name)?;
        let mut definition = match schema.root().shape() {
            Shape::Struct(object) => self.object(name, schema.root(), object),
            Shape::Scalar(scalar) => self.scalar(*scalar),
            Shape::Any(Any::Opaque) => json!({"type": "object"}),
            Shape::Any(_) | Shape::Map(_) | Shape::List(_) => json!({}),
        };
        if let Some(text) = docs::definition(name) {
            set(&mut definition, "description", text);
        }
        Some(definition)
    }

    fn object(&mut self, name: &str, ty: Type<'_>, object: &Struct) -> Value {
        let mut properties = Map::new();
        for field in &object.fields {
            properties.insert(field.name.to_string(), self.field(name, ty, field));
        }
        // The types' source holds every object's metadata as always present; on the wire it may be absent.
        let required = object.fields.iter().filter(|field| field.required && field.name != "metadata");
        let required: Vec<_> = required.map(|field| field.name.as_ref()).collect();
        let mut definition = json!({"type": "object"});
        if !properties.is_empty() {
            set(&mut definition, "properties", properties);
        }
        if !required.is_empty() {
            set(&mut definition, "required", required);
        }
        if object.atomic {
            set(&mut definition, "x-kubernetes-map-type", "atomic");
        }
        definition
    }

    fn field(&mut self, definition: &str, owner: Type<'_>, field: &Field) -> Value {
        let description = docs::field(definition, &field.name);
        let ty = owner.at(field.ty);
        let mut schema = match self.named(definition, &field.name, ty) {
            Some(name) => {
                let default = field.default.is_some();
                let mut schema = self.refer(&name, description.is_some() || default || field.patch != Patch::default());
                if is_made_granular(&name, ty) {
                    schema.insert("x-kubernetes-map-type".to_owned(), "granular".into());
                }
                schema
            }
            None => self.unnamed(definition, &field.name, ty),
        };
        if let Some(text) = description {
            schema.insert("description".to_owned(), text.into());
        }
        if let Some(default) = field.default.as_ref().filter(|_| self.dialect == Dialect::V3) {
            schema.insert("default".to_owned(), default.clone());
        }
        add_patch_rules(&mut schema, &field.patch);
        Value::Object(schema)
    }

    /// A type without a definition of its own: a list, a map, or a plain value.
    fn unnamed(&mut self, definition: &str, field: &str, ty: Type<'_>) -> Map<String, Value> {
        let schema = match ty.shape() {
            Shape::List(list) => {
                let mut schema = json!({"type": "array", "items": self.element(definition, field, ty.at(list.item))});
                let (kind, keys) = match &list.kind {
                    ListKind::Atomic => ("atomic", None),
                    ListKind::Set => ("set", None),
                    ListKind::Map(keys) => ("map", Some(keys)),
                };
                set(&mut schema, "x-kubernetes-list-type", kind);
                if let Some(keys) = keys {
                    set(&mut schema, "x-kubernetes-list-map-keys", json!(keys));
                }
                schema
            }
            Shape::Map(map) => {
                let element = self.element(definition, field, ty.at(map.element));
                let mut schema = json!({"type": "object", "additionalProperties": element});
                if map.atomic {
                    set(&mut schema, "x-kubernetes-map-type", "atomic");
                }
                schema
            }
            Shape::Scalar(scalar) => self.scalar(*scalar),
            Shape::Struct(_) | Shape::Any(_) => json!({"type": "object"}),
        };
        if let Value::Object(schema) = schema { schema } else { Map::new() }
    }

    fn element(&mut self, definition: &str, field: &str, ty: Type<'_>) -> Value {
        match self.named(definition, field, ty) {
            Some(name) => self.refer(&name, false).into(),
            None => self.unnamed(definition, field, ty).into(),
        }
    }

    fn refer(&mut self, name: &str, has_annotations: bool) -> Map<String, Value> {
        self.referred.insert(name.to_owned());
        self.dialect.annotated_reference(name, has_annotations)
    }

    /// The definition of a type that has one.
    fn named(&self, definition: &str, field: &str, ty: Type<'_>) -> Option<String> {
        match ty.shape() {
            Shape::Struct(object) if !object.name.is_empty() => Some(object.name.to_string()),
            Shape::Scalar(Scalar::Quantity) => Some("io.k8s.apimachinery.pkg.api.resource.Quantity".to_owned()),
            Shape::Scalar(Scalar::IntOrString) => Some("io.k8s.apimachinery.pkg.util.intstr.IntOrString".to_owned()),
            Shape::Scalar(Scalar::Time) => Some(format!("{META}.Time")),
            Shape::Scalar(Scalar::MicroTime) => Some(format!("{META}.MicroTime")),
            Shape::Any(Any::Opaque) if field == "fieldsV1" => Some(format!("{META}.FieldsV1")),
            Shape::Any(Any::Opaque) => Some("io.k8s.apimachinery.pkg.runtime.RawExtension".to_owned()),
            Shape::Any(Any::Atomic) if definition.ends_with(".JSONSchemaProps") => {
                let name = match field {
                    "items" => "JSONSchemaPropsOrArray",
                    "additionalItems" | "additionalProperties" => "JSONSchemaPropsOrBool",
                    "dependencies" => "JSONSchemaPropsOrStringArray",
                    _ => "JSON",
                };
                Some(format!("{EXTENSIONS}.{name}"))
            }
            _ => None,
        }
    }

    fn scalar(&self, scalar: Scalar) -> Value {
        match (scalar, self.dialect) {
            (Scalar::String, _) | (Scalar::Quantity, Dialect::V2) => json!({"type": "string"}),
            (Scalar::Bytes, _) => json!({"type": "string", "format": "byte"}),
            (Scalar::Int32, _) => json!({"type": "integer", "format": "int32"}),
            (Scalar::Int64, _) => json!({"type": "integer", "format": "int64"}),
            (Scalar::Double, _) => json!({"type": "number", "format": "double"}),
            (Scalar::Bool, _) => json!({"type": "boolean"}),
            (Scalar::Quantity, Dialect::V3) => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            (Scalar::IntOrString, Dialect::V2) => json!({"type": "string", "format": "int-or-string"}),
            (Scalar::IntOrString, Dialect::V3) => {
                json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"})
            }
            (Scalar::Time | Scalar::MicroTime, _) => json!({"type": "string", "format": "date-time"}),
        }
    }
}

/// Whether a field owns member by member what the definition it refers to holds as one value.
fn is_made_granular(name: &str, ty: Type<'_>) -> bool {
    let Shape::Struct(here) = ty.shape() else { return false };
    let defined = Schema::builtin(name);
    defined.is_some_and(|schema| matches!(schema.root().shape(), Shape::Struct(it) if it.atomic && !here.atomic))
}

fn add_patch_rules(schema: &mut Map<String, Value>, patch: &Patch) {
    let strategy = match patch.strategy {
        Strategy::Default => None,
        Strategy::Merge => Some("merge"),
        Strategy::Replace => Some("replace"),
    };
    let strategies: Vec<_> = strategy.into_iter().chain(patch.retain_keys.then_some("retainKeys")).collect();
    if !strategies.is_empty() {
        schema.insert("x-kubernetes-patch-strategy".to_owned(), strategies.join(",").into());
    }
    if let Some(key) = &patch.merge_key {
        schema.insert("x-kubernetes-patch-merge-key".to_owned(), key.as_ref().into());
    }
}
