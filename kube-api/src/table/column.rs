//! One column of a table.

use std::borrow::Cow;

use coracle_core::schema::docs;
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// One column. Source: meta/v1 TableColumnDefinition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    /// What people read; clients show it in capitals.
    pub name: &'a str,
    /// An OpenAPI type, such as `string`, `integer` or `date`.
    pub type_: &'a str,
    /// `name` marks the column that names the object. Default: empty.
    pub format: &'a str,
    /// What the column tells.
    pub description: Description<'a>,
    /// 0 is always shown; anything higher only when asked for more (`-o wide`).
    pub priority: i32,
}

/// Where a column's description stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Description<'a> {
    /// Here.
    Text(&'a str),
    /// In the API's documentation of a definition's field; a definition outside `apimachinery` goes without `io.k8s.api.`.
    Field(&'static str, &'static str),
}

impl<'a> Description<'a> {
    /// The description; empty if the field is not documented.
    #[must_use]
    pub fn text(self) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Field(definition, field) => docs::field(&full_name(definition), field).unwrap_or(""),
        }
    }
}

fn full_name(definition: &'static str) -> Cow<'static, str> {
    if definition.starts_with("io.") { definition.into() } else { format!("io.k8s.api.{definition}").into() }
}

impl Serialize for Column<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("TableColumnDefinition", 5)?;
        fields.serialize_field("name", self.name)?;
        fields.serialize_field("type", self.type_)?;
        fields.serialize_field("format", self.format)?;
        fields.serialize_field("description", self.description.text())?;
        fields.serialize_field("priority", &self.priority)?;
        fields.end()
    }
}

const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The object's name: the first column of nearly every kind.
pub(super) const NAME: Column = string("Name", field(METADATA, "name")).format("name");
/// How long ago the object was made.
pub(super) const AGE: Column = string("Age", field(METADATA, "creationTimestamp"));
/// The same, for custom resources, where the column's type says that the cell is a date.
pub(super) const CUSTOM_AGE: Column = Column { type_: "date", ..AGE };
/// When the object was made, for kinds that nobody wrote a printer for.
pub(super) const CREATED_AT: Column = Column { name: "Created At", type_: "date", ..AGE };
/// The containers of a template.
pub(super) const CONTAINERS: Column = string("Containers", text("Names of each container in the template.")).wide();
/// The images of a template.
pub(super) const IMAGES: Column = string("Images", text("Images referenced by each container in the template.")).wide();

/// A column of text.
pub(super) const fn string(name: &'static str, description: Description<'static>) -> Column<'static> {
    Column { name, type_: "string", format: "", description, priority: 0 }
}

/// A column of integers.
pub(super) const fn integer(name: &'static str, description: Description<'static>) -> Column<'static> {
    Column { type_: "integer", ..string(name, description) }
}

/// A column of `true` and `false`.
pub(super) const fn boolean(name: &'static str, description: Description<'static>) -> Column<'static> {
    Column { type_: "boolean", ..string(name, description) }
}

/// A description that only tables have.
pub(super) const fn text(text: &'static str) -> Description<'static> {
    Description::Text(text)
}

/// The description that the API's documentation has of a field.
pub(super) const fn field(definition: &'static str, field: &'static str) -> Description<'static> {
    Description::Field(definition, field)
}

impl Column<'static> {
    /// Shown only when more is asked for.
    pub(super) const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }

    pub(super) const fn format(self, format: &'static str) -> Self {
        Self { format, ..self }
    }
}
