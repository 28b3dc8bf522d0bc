//! Findings and their collector.

use super::{BadValue, Path, quote};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::StatusCause;
use std::fmt;

/// What kind of wrong a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A value must be given.
    Required,
    /// The value is malformed or out of bounds.
    Invalid,
    /// The value is none of the known ones.
    NotSupported,
    /// The value may not be given here or now.
    Forbidden,
    /// The value is too long; it is not shown.
    TooLong,
    /// The list has too many items.
    TooMany,
    /// The list has too few items.
    TooFew,
    /// The value must be unique and is not.
    Duplicate,
    /// What the value names is not there.
    NotFound,
    /// The value has not the field's type.
    TypeInvalid,
    /// Not the writer's mistake.
    Internal,
}

impl ErrorKind {
    /// The machine-readable reason in a `Status` cause.
    pub const fn reason(self) -> &'static str {
        match self {
            ErrorKind::Required => "FieldValueRequired",
            ErrorKind::Invalid => "FieldValueInvalid",
            ErrorKind::NotSupported => "FieldValueNotSupported",
            ErrorKind::Forbidden => "FieldValueForbidden",
            ErrorKind::TooLong => "FieldValueTooLong",
            ErrorKind::TooMany => "FieldValueTooMany",
            ErrorKind::TooFew => "FieldValueTooFew",
            ErrorKind::Duplicate => "FieldValueDuplicate",
            ErrorKind::NotFound => "FieldValueNotFound",
            ErrorKind::TypeInvalid => "FieldValueTypeInvalid",
            ErrorKind::Internal => "InternalError",
        }
    }

    /// How the message begins.
    const fn title(self) -> &'static str {
        match self {
            ErrorKind::Required => "Required value",
            ErrorKind::Invalid | ErrorKind::TypeInvalid => "Invalid value",
            ErrorKind::NotSupported => "Unsupported value",
            ErrorKind::Forbidden => "Forbidden",
            ErrorKind::TooLong => "Too long",
            ErrorKind::TooMany => "Too many",
            ErrorKind::TooFew => "Too few",
            ErrorKind::Duplicate => "Duplicate value",
            ErrorKind::NotFound => "Not found",
            ErrorKind::Internal => "Internal error",
        }
    }
}

/// One finding. Prints as `spec.replicas: Invalid value: -1: must be greater than or equal to 0`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {}", self.body())]
pub struct Error {
    /// What kind of wrong it is.
    pub kind: ErrorKind,
    /// The place, as text: `spec.containers[0].name`.
    pub field: String,
    /// The value as shown, for the kinds that show it.
    pub bad_value: Option<String>,
    /// What would be right; may be empty.
    pub detail: String,
}

impl Error {
    /// The message without the place, as a `Status` cause carries it.
    pub fn body(&self) -> String {
        let mut body = self.kind.title().to_owned();
        for part in
            self.bad_value.iter().map(String::as_str).chain(Some(self.detail.as_str()).filter(|it| !it.is_empty()))
        {
            body.push_str(": ");
            body.push_str(part);
        }
        body
    }

    /// This finding as a cause in a `Status`.
    pub fn to_cause(&self) -> StatusCause {
        StatusCause {
            field: Some(self.field.clone()),
            message: Some(self.body()),
            reason: Some(self.kind.reason().to_owned()),
        }
    }
}

/// All findings about one object, in the order they were found. Empty is good, and costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// No findings yet.
    pub const fn new() -> Self {
        Errors(Vec::new())
    }

    /// Whether the object is good.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The findings in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }

    /// The findings as causes of a `Status`.
    pub fn to_causes(&self) -> Vec<StatusCause> {
        self.0.iter().map(Error::to_cause).collect()
    }

    /// Adds a finding made elsewhere.
    pub fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    /// Adds all of `other`'s findings.
    pub fn append(&mut self, mut other: Errors) {
        self.0.append(&mut other.0);
    }

    /// A value must be given. `detail` may be empty.
    pub fn required(&mut self, path: &Path, detail: impl Into<String>) {
        self.add(ErrorKind::Required, path, None, detail);
    }

    /// The value is malformed, out of bounds, or may not change.
    pub fn invalid(&mut self, path: &Path, value: impl BadValue, detail: impl Into<String>) {
        self.add(ErrorKind::Invalid, path, Some(value.show()), detail);
    }

    /// One [`Errors::invalid`] for each message that a [`super::format`] check returned.
    pub fn invalid_each(&mut self, path: &Path, value: impl BadValue, messages: Vec<String>) {
        for message in messages {
            self.invalid(path, &value, message);
        }
    }

    /// One [`Errors::invalid`] for all messages together, if there are any.
    pub fn invalid_joined(&mut self, path: &Path, value: impl BadValue, messages: Vec<String>) {
        if !messages.is_empty() {
            self.invalid(path, value, messages.join("; "));
        }
    }

    /// The value is none of `supported`, which are listed in the order given (upstream sorts most of its lists).
    pub fn not_supported(&mut self, path: &Path, value: impl BadValue, supported: &[&str]) {
        let listed: Vec<_> = supported.iter().copied().map(quote).collect();
        let detail = if listed.is_empty() { String::new() } else { format!("supported values: {}", listed.join(", ")) };
        self.add(ErrorKind::NotSupported, path, Some(value.show()), detail);
    }

    /// The value may not be given here or now.
    pub fn forbidden(&mut self, path: &Path, detail: impl Into<String>) {
        self.add(ErrorKind::Forbidden, path, None, detail);
    }

    /// The value is longer than `bytes_max` bytes.
    pub fn too_long(&mut self, path: &Path, bytes_max: usize) {
        let unit = if bytes_max == 1 { "byte" } else { "bytes" };
        self.add(ErrorKind::TooLong, path, None, format!("may not be more than {bytes_max} {unit}"));
    }

    /// The list has `actual` items where `items_max` are allowed.
    pub fn too_many(&mut self, path: &Path, actual: usize, items_max: usize) {
        let unit = if items_max == 1 { "item" } else { "items" };
        self.add(ErrorKind::TooMany, path, Some(actual.to_string()), format!("must have at most {items_max} {unit}"));
    }

    /// The list has `actual` items where `items_min` are needed.
    pub fn too_few(&mut self, path: &Path, actual: usize, items_min: usize) {
        let unit = if items_min == 1 { "item" } else { "items" };
        self.add(ErrorKind::TooFew, path, Some(actual.to_string()), format!("must have at least {items_min} {unit}"));
    }

    /// The value must be unique and is not.
    pub fn duplicate(&mut self, path: &Path, value: impl BadValue) {
        self.add(ErrorKind::Duplicate, path, Some(value.show()), "");
    }

    /// What the value names is not there.
    pub fn not_found(&mut self, path: &Path, value: impl BadValue) {
        self.add(ErrorKind::NotFound, path, Some(value.show()), "");
    }

    /// The value has not the field's type.
    pub fn type_invalid(&mut self, path: &Path, value: impl BadValue, detail: impl Into<String>) {
        self.add(ErrorKind::TypeInvalid, path, Some(value.show()), detail);
    }

    /// Something of ours went wrong about this field.
    pub fn internal(&mut self, path: &Path, detail: impl Into<String>) {
        self.add(ErrorKind::Internal, path, None, detail);
    }

    #[cold]
    fn add(&mut self, kind: ErrorKind, path: &Path, bad_value: Option<String>, detail: impl Into<String>) {
        self.0.push(Error { kind, field: path.to_string(), bad_value, detail: detail.into() });
    }
}

impl IntoIterator for Errors {
    type Item = Error;
    type IntoIter = std::vec::IntoIter<Error>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Errors {
    type Item = &'a Error;
    type IntoIter = std::slice::Iter<'a, Error>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One finding prints plainly, several as `[first, second]`; a repeated one prints once. A `Status` message ends in this.
impl fmt::Display for Errors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts: Vec<String> = Vec::with_capacity(self.0.len());
        for text in self.0.iter().map(Error::to_string) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        match texts.as_slice() {
            [only] => out.write_str(only),
            texts => write!(out, "[{}]", texts.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Json;
    use super::*;
    use expect_test::expect;

    #[test]
    fn words_are_upstreams() {
        let mut errors = Errors::new();
        let spec = Path::new("spec");
        errors.invalid(&spec.field("replicas"), -1, "must be greater than or equal to 0");
        errors.not_supported(&spec.field("type"), "x", &["A", "B"]);
        errors.required(&spec.field("selector"), "");
        errors.forbidden(&spec.field("template").key("a/b"), "may not");
        errors.too_long(&spec.index(3), 1);
        errors.too_many(&spec, 3, 2);
        errors.duplicate(&spec, "a\n\"b\"");
        errors.not_found(&spec, "c");
        errors.invalid(&spec, Json(&vec!["a", "b"]), "no");
        errors.internal(&Path::ROOT, "boom");
        errors.required(&spec.field("selector"), "");
        let lines: Vec<_> = errors.iter().map(|error| format!("{} {error}", error.kind.reason())).collect();
        expect![[r#"
            FieldValueInvalid spec.replicas: Invalid value: -1: must be greater than or equal to 0
            FieldValueNotSupported spec.type: Unsupported value: "x": supported values: "A", "B"
            FieldValueRequired spec.selector: Required value
            FieldValueForbidden spec.template[a/b]: Forbidden: may not
            FieldValueTooLong spec[3]: Too long: may not be more than 1 byte
            FieldValueTooMany spec: Too many: 3: must have at most 2 items
            FieldValueDuplicate spec: Duplicate value: "a\n\"b\""
            FieldValueNotFound spec: Not found: "c"
            FieldValueInvalid spec: Invalid value: ["a","b"]: no
            InternalError <nil>: Internal error: boom
            FieldValueRequired spec.selector: Required value"#]]
        .assert_eq(&lines.join("\n"));
        assert_eq!(errors.to_string().matches("spec.selector").count(), 1);
    }

    #[test]
    fn one_error_prints_without_brackets() {
        let mut errors = Errors::new();
        errors.required(&Path::new("metadata").field("name"), "name or generateName is required");
        assert_eq!(errors.to_string(), "metadata.name: Required value: name or generateName is required");
        let cause = errors.to_causes().remove(0);
        assert_eq!(cause.field.as_deref(), Some("metadata.name"));
        assert_eq!(cause.message.as_deref(), Some("Required value: name or generateName is required"));
        assert_eq!(cause.reason.as_deref(), Some("FieldValueRequired"));
    }
}
