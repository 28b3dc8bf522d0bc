//! One pass over a request body, before anything is built from it: unknown fields, duplicate fields, values of a wrong type.
//!
//! Field validation `Strict` refuses a body with findings, `Warn` sends each as a warning, `Ignore` drops them; a value of
//! the wrong type is an error in any case. The texts are upstream's.
//!
//! Source: sigs.k8s.io/json `UnmarshalStrict`, apimachinery `runtime/serializer/json`.

pub(crate) mod quote;
mod scalar;
mod syntax;
mod time;
mod walk;

use crate::schema::{Any, Builder, List, ListKind, Scalar, Schema, Shape, Struct};
use serde::de::DeserializeSeed;
use std::sync::LazyLock;

/// At most this many unknown and duplicate fields are reported. Source: sigs.k8s.io/json `saveStrictError`.
const FINDINGS_MAX: usize = 100;

/// What upstream puts before an error in reading the `apiVersion` and `kind` of a body.
pub const NO_KIND: &str = "couldn't get version/kind; json parse error: ";

/// What a body that is JSON has against it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Unknown and duplicate fields, each in upstream's words (`unknown field "spec.foo"`), at most 100, none twice.
    pub fields: Vec<String>,
    /// The first value of a wrong type, in upstream's words
    /// (`json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`).
    /// Only meaningful for built-in types: a custom resource's values are for its OpenAPI schema to judge.
    pub mismatch: Option<String>,
}

impl Findings {
    /// The error of field validation `Strict`: `strict decoding error: unknown field "a", duplicate field "b"`.
    pub fn strict_error(&self) -> Option<String> {
        (!self.fields.is_empty()).then(|| format!("strict decoding error: {}", self.fields.join(", ")))
    }

    fn add(&mut self, finding: String) {
        if self.fields.len() < FINDINGS_MAX && !self.fields.contains(&finding) {
            self.fields.push(finding);
        }
    }
}

/// What upstream says of a value of a wrong type where it reads no JSON but a patched map: after a strategic merge patch.
/// `mismatch` is the same in the words of [`Findings::mismatch`].
///
/// Source: apimachinery `runtime/converter.go`.
pub fn conversion_error(mismatch: &str) -> String {
    let words = mismatch.strip_prefix("json: cannot unmarshal ").and_then(|rest| rest.split_once(' '));
    let Some((given, wanted)) = words.and_then(|(given, rest)| Some((given, rest.rsplit_once(" of type ")?.1))) else {
        return mismatch.to_owned();
    };
    let given = match given {
        "number" => "int64",
        "object" => "map",
        "array" => "slice",
        other => other,
    };
    match wanted {
        _ if wanted.starts_with("[]") => format!("cannot restore slice from {given}"),
        _ if wanted.starts_with("map[") => format!("cannot restore map from {given}"),
        _ if wanted.contains('.') => format!("cannot restore struct from: {given}"),
        "string" if given == "int64" => format!("cannot convert {given} to {wanted}"),
        _ => format!("unrecognized type: {wanted}"),
    }
}

/// The body is not JSON, or nested deeper than 127 levels (upstream: 10,000): answer 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{NO_KIND}{reason}")]
pub struct Malformed {
    /// The parser's own words, as Go's: `invalid character '}' looking for beginning of value`.
    pub reason: String,
}

/// Walks `body` as an object of `schema`. Errors if it is no JSON.
pub fn check(schema: &Schema, body: &[u8]) -> Result<Findings, Malformed> {
    let mut state = walk::State::default();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let walked = walk::Seed { ty: schema.root(), state: &mut state }.deserialize(&mut reader);
    match walked.and_then(|()| reader.end()) {
        Ok(()) => Ok(state.findings),
        Err(error) => Err(Malformed { reason: syntax::explain(body).unwrap_or_else(|| beyond_go(&error)) }),
    }
}

/// The findings in the body of a JSON patch: `json patch unknown field "[0].foo"`. Source: apiserver `jsonPatcher.applyJSPatch`.
pub fn check_json_patch(body: &[u8]) -> Result<Vec<String>, Malformed> {
    static OPERATIONS: LazyLock<Schema> = LazyLock::new(|| {
        let mut builder = Builder::default();
        let string = builder.add(Shape::Scalar(Scalar::String));
        let value = builder.add(Shape::Any(Any::Opaque));
        let mut fields: Vec<_> = ["op", "path", "from"].map(|name| Builder::field(name, string)).into();
        fields.push(Builder::field("value", value));
        let item = builder.add(Shape::Struct(Struct { fields, ..Struct::default() }));
        let root = builder.add(Shape::List(List { item, kind: ListKind::Atomic }));
        builder.finish(root)
    });
    let findings = check(&OPERATIONS, body)?;
    Ok(findings.fields.into_iter().map(|finding| format!("json patch {finding}")).collect())
}

/// The findings in the body of a merge patch, strategic or not: only that fields are there twice, since the patched object
/// is checked anyway.
pub fn check_merge_patch(body: &[u8]) -> Result<Vec<String>, Malformed> {
    static ANYTHING: LazyLock<Schema> = LazyLock::new(|| {
        let mut builder = Builder::default();
        let root = builder.add(Shape::Any(Any::Open));
        builder.finish(root)
    });
    Ok(check(&ANYTHING, body)?.fields)
}

/// Words for what Go's parser would take and ours does not: deep nesting, broken UTF-8, numbers beyond a double.
fn beyond_go(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("recursion limit") { "exceeded max depth".into() } else { text }
}

#[cfg(test)]
mod tests;
