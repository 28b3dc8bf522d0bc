//! The columns a custom resource definition asks for (`additionalPrinterColumns`).

use coracle_core::Object;
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use serde_json::Value;

use super::age::since;
use super::column::{Column, Description, NAME};
use super::path::Path;

/// The columns of one custom kind: its name, then what its definition asks for. Source: apiextensions `tableconvertor`.
#[derive(Clone, Debug)]
pub struct CustomColumns(Vec<CustomColumn>);

#[derive(Clone, Debug)]
struct CustomColumn {
    definition: CustomResourceColumnDefinition,
    description: String,
    path: Path,
}

/// A column's JSON path is not of the form that columns may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unrecognized column definition {0:?}")]
pub struct UnknownColumn(pub String);

impl CustomColumns {
    /// The columns of a definition. Without any, do not make this: the kind's own [`columns`](super::columns) then show its age.
    ///
    /// # Errors
    /// If a column's path is not understood.
    pub fn new(definitions: &[CustomResourceColumnDefinition]) -> Result<Self, UnknownColumn> {
        definitions.iter().map(CustomColumn::new).collect::<Result<_, _>>().map(Self)
    }

    /// What the columns are called and tell.
    #[must_use]
    pub fn columns(&self) -> Vec<Column<'_>> {
        std::iter::once(NAME).chain(self.0.iter().map(CustomColumn::column)).collect()
    }

    /// The cells of one object; `null` where it has nothing to show.
    #[must_use]
    pub fn cells(&self, object: &Object, now: Timestamp) -> Vec<Value> {
        let json = serde_json::from_slice(object.stored()).unwrap_or(Value::Null);
        let cells = self.0.iter().map(|column| column.cell(&json, now));
        std::iter::once(Value::from(object.name())).chain(cells).collect()
    }
}

impl CustomColumn {
    fn new(definition: &CustomResourceColumnDefinition) -> Result<Self, UnknownColumn> {
        let json_path = &definition.json_path;
        let path = Path::parse(json_path).ok_or_else(|| UnknownColumn(json_path.clone()))?;
        let default = || format!("Custom resource definition column (in JSONPath format): {json_path}");
        let description = definition.description.clone().filter(|text| !text.is_empty()).unwrap_or_else(default);
        Ok(Self { definition: definition.clone(), description, path })
    }

    fn column(&self) -> Column<'_> {
        Column {
            name: &self.definition.name,
            type_: &self.definition.type_,
            format: self.definition.format.as_deref().unwrap_or(""),
            description: Description::Text(&self.description),
            priority: self.definition.priority.unwrap_or(0),
        }
    }

    fn cell(&self, json: &Value, now: Timestamp) -> Value {
        self.path.first(json).map_or(Value::Null, |value| cell(&self.definition.type_, value, now))
    }
}

/// A value as its column's type shows it; `null` if it is of another type.
fn cell(type_: &str, value: &Value, now: Timestamp) -> Value {
    match (type_, value) {
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("string", other) => Value::from(other.to_string()),
        ("integer", Value::Number(number)) => {
            number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)).map_or(Value::Null, Value::from)
        }
        ("number", Value::Number(number)) => number.as_f64().map_or(Value::Null, Value::from),
        ("date", Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(at) => since(Some(at), now).into(),
            Err(_) => "<invalid>".into(),
        },
        _ => Value::Null,
    }
}
