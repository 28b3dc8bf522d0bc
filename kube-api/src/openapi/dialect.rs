//! OpenAPI v2 and v3 differ in where they put things; this is the only place that knows.

use serde_json::{Map, Value, json};

/// A version of OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V3,
}

impl Dialect {
    /// A reference to a definition.
    pub(super) fn reference(self, definition: &str) -> Value {
        match self {
            Self::V2 => json!({"$ref": format!("#/definitions/{definition}")}),
            Self::V3 => json!({"$ref": format!("#/components/schemas/{definition}")}),
        }
    }

    /// A field that refers to a definition and says something of its own: v3 ignores what stands beside a `$ref`.
    pub(super) fn annotated_reference(self, definition: &str, has_annotations: bool) -> Map<String, Value> {
        let reference = self.reference(definition);
        let wrapped = json!({"allOf": [reference.clone()]});
        let field = if self == Self::V3 && has_annotations { wrapped } else { reference };
        if let Value::Object(field) = field { field } else { Map::new() }
    }

    /// A parameter of the query or the path.
    pub(super) fn parameter(self, name: &str, place: &str, type_: &str, description: &str) -> Value {
        let mut parameter = json!({"name": name, "in": place, "description": description});
        match self {
            Self::V2 => set(&mut parameter, "type", type_),
            Self::V3 => set(&mut parameter, "schema", json!({"type": type_})),
        }
        if place == "path" {
            set(&mut parameter, "required", true);
        }
        parameter
    }

    /// Adds what the client sends.
    pub(super) fn add_body(self, operation: &mut Value, definition: &str, types: &[&str], is_required: bool) {
        let schema = self.reference(definition);
        match self {
            Self::V2 => {
                set(operation, "consumes", types);
                let mut body = json!({"name": "body", "in": "body", "schema": schema});
                if is_required {
                    set(&mut body, "required", true);
                }
                if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
                    parameters.push(body);
                }
            }
            Self::V3 => {
                let content: Map<_, _> = types.iter().map(|it| ((*it).to_owned(), json!({"schema": schema}))).collect();
                let mut body = json!({"content": content});
                if is_required {
                    set(&mut body, "required", true);
                }
                set(operation, "requestBody", body);
            }
        }
    }

    /// An answer: a definition, or a plain string.
    pub(super) fn response(self, description: &str, definition: Option<&str>, types: &[&str]) -> Value {
        let schema = definition.map_or_else(|| json!({"type": "string"}), |definition| self.reference(definition));
        match self {
            Self::V2 => json!({"description": description, "schema": schema}),
            Self::V3 => {
                let content: Map<_, _> = types.iter().map(|it| ((*it).to_owned(), json!({"schema": schema}))).collect();
                json!({"description": description, "content": content})
            }
        }
    }
}

/// Sets a member of an object.
pub(super) fn set(object: &mut Value, name: &str, member: impl Into<Value>) {
    if let Value::Object(members) = object {
        members.insert(name.to_owned(), member.into());
    }
}
