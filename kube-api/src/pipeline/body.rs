//! JSON from outside becomes a value of the kept version, or a refusal in upstream's words.

use bytes::Bytes;
use coracle_core::schema::Schema;
use coracle_core::{AnyResource, Body, FieldValidation, Kind, Status, convert, strict};
use serde_json::Value;

use super::Call;

impl Call<'_> {
    /// Takes the value out of a body for good: a create is prepared only once.
    pub(super) fn take(&mut self, body: &mut Body) -> Result<Box<dyn AnyResource>, Status> {
        match std::mem::replace(body, Body::Json(Bytes::new())) {
            Body::Value(value) if self.kind.is_storage_version() => Ok(value),
            other => self.decode(&other),
        }
    }

    /// Reads a body. A value from inside the process is taken as it is.
    pub(super) fn decode(&mut self, body: &Body) -> Result<Box<dyn AnyResource>, Status> {
        match body {
            Body::Value(value) if self.kind.is_storage_version() => Ok(value.duplicate()),
            Body::Value(value) => {
                let json = value.encode().map_err(Status::internal)?;
                decode_kept(&self.kind, &self.stored, &json)
            }
            Body::Json(json) => self.decode_json(json),
        }
    }

    /// Checks JSON against the kind's schema and decodes it.
    pub(super) fn decode_json(&mut self, json: &Bytes) -> Result<Box<dyn AnyResource>, Status> {
        check_type(&self.kind, json)?;
        self.check_fields(json)?;
        decode_kept(&self.kind, &self.stored, json)
    }

    /// Finds unknown and duplicate fields and wrong types. Kinds known only as Rust types are judged by their decoder alone.
    pub(super) fn check_fields(&mut self, json: &Bytes) -> Result<(), Status> {
        let custom = self.kind.custom.as_ref().map(|custom| custom.schema().clone());
        let Some(schema) = custom.or_else(|| Schema::builtin(&self.kind.definition)) else { return Ok(()) };
        let findings = strict::check(&schema, json).map_err(|malformed| Status::bad_request(malformed.to_string()))?;
        // Values of custom kinds are for their own schema to judge, later.
        if let Some(mismatch) = findings.mismatch.as_ref().filter(|_| self.kind.custom.is_none()) {
            return Err(Status::bad_request(cannot_be_handled(&self.kind, mismatch)));
        }
        match (self.options.field_validation, findings.strict_error()) {
            (FieldValidation::Strict, Some(error)) => {
                return Err(Status::bad_request(cannot_be_handled(&self.kind, error)));
            }
            (FieldValidation::Warn, Some(_)) => self.warnings.extend(findings.fields),
            _ => {}
        }
        Ok(())
    }
}

/// `Deployment in version "v1" cannot be handled as a Deployment: ...`
fn cannot_be_handled(kind: &Kind, why: impl std::fmt::Display) -> String {
    format!(
        "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}",
        kind = kind.kind,
        version = kind.version
    )
}

/// Whether the body says it is what the path says.
fn check_type(kind: &Kind, json: &[u8]) -> Result<(), Status> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Type {
        api_version: Option<String>,
        kind: Option<String>,
    }
    // Malformed JSON and wrong types are found, and better worded, by the schema check that follows.
    let Ok(found) = serde_json::from_slice::<Type>(json) else { return Ok(()) };
    let (api_version, name) = (found.api_version.unwrap_or_default(), found.kind.unwrap_or_default());
    let expected = kind.api_version();
    if (api_version.is_empty() || api_version == expected) && (name.is_empty() || name == kind.kind) {
        return Ok(());
    }
    if name == kind.kind {
        let why =
            format!("the API version in the data ({api_version}) does not match the expected API version ({expected})");
        return Err(Status::bad_request(why));
    }
    let (group, version) = coracle_core::kind::split_api_version(&api_version);
    let given = group_version_kind(group, version, &name);
    let asked = group_version_kind(&kind.group, &kind.version, &kind.kind);
    Err(Status::bad_request(format!(
        "{name} in version \"{version}\" cannot be handled as a {}: expected {asked}, got {given}",
        kind.kind
    )))
}

fn group_version_kind(group: &str, version: &str, kind: &str) -> String {
    format!("{group}/{version}, Kind={kind}")
}

/// Decodes JSON of a served version into the kept one.
pub(super) fn decode_kept(kind: &Kind, stored: &Kind, json: &[u8]) -> Result<Box<dyn AnyResource>, Status> {
    let refuse = |error: serde_json::Error| Status::bad_request(cannot_be_handled(kind, error));
    if kind.is_storage_version() && kind.custom.is_none() {
        return kind.codec.decode(json).map_err(refuse);
    }
    let mut value: Value = serde_json::from_slice(json).map_err(refuse)?;
    if let Some(custom) = &kind.custom {
        custom.complete(&mut value);
    }
    convert::to_storage(kind, &mut value);
    stored.codec.decode(value.to_string().as_bytes()).map_err(refuse)
}
