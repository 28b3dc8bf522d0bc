//! JSON from outside becomes a value of the kept version, or a refusal in upstream's words.

use bytes::Bytes;
use coracle_core::kind::split_api_version;
use coracle_core::schema::Schema;
use coracle_core::{AnyResource, Body, FieldValidation, Kind, Kinds, Status, convert, strict};
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
        check_type(self.world.kinds(), &self.kind, json)?;
        self.check_fields(json)?;
        decode_kept(&self.kind, &self.stored, json)
    }

    /// Unknown and duplicate fields and wrong types. Kinds known only as Rust types are judged by their decoder alone.
    pub(super) fn find(&self, json: &Bytes) -> Result<Option<strict::Findings>, Status> {
        let custom = self.kind.custom.as_ref().map(|custom| custom.schema().clone());
        let Some(schema) = custom.or_else(|| Schema::builtin(&self.kind.definition)) else { return Ok(None) };
        let mut findings =
            strict::check(&schema, json).map_err(|malformed| unrecognized(&self.kind, &malformed.to_string(), json))?;
        // Values of custom kinds are for their own schema to judge, later.
        if self.kind.custom.is_some() {
            findings.mismatch = None;
        }
        Ok(Some(findings))
    }

    fn check_fields(&mut self, json: &Bytes) -> Result<(), Status> {
        let Some(findings) = self.find(json)? else { return Ok(()) };
        if let Some(mismatch) = &findings.mismatch {
            if mismatch.starts_with(strict::NO_KIND) {
                return Err(unrecognized(&self.kind, mismatch, json));
            }
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
pub(super) fn check_type(kinds: &Kinds, kind: &Kind, json: &[u8]) -> Result<(), Status> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Type {
        api_version: Option<String>,
        kind: Option<String>,
    }
    // Malformed JSON and wrong types are found, and better worded, by the schema check that follows.
    let Ok(found) = serde_json::from_slice::<Type>(json) else { return Ok(()) };
    let expected = kind.api_version();
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let api_version = given(found.api_version).unwrap_or_else(|| expected.clone());
    let name = given(found.kind).unwrap_or_else(|| kind.kind.to_string());
    if api_version == expected && name == kind.kind {
        return Ok(());
    }
    let (group, version) = split_api_version(&api_version);
    let is_known = kinds.by_kind(&api_version, &name).is_some();
    if name == kind.kind && (is_known && group == kind.group || kind.custom.is_some()) {
        let why =
            format!("the API version in the data ({api_version}) does not match the expected API version ({expected})");
        return Err(Status::bad_request(why));
    }
    let why = if kind.custom.is_some() {
        let (given, asked) = ((group, version, &*name), (&*kind.group, &*kind.version, &*kind.kind));
        let text = |(group, version, kind): (&str, &str, &str)| format!("{group}/{version}, Kind={kind}");
        format!("expected {}, got {}", text(asked), text(given))
    } else if is_known {
        let package = kind.group.split('.').next().filter(|package| !package.is_empty()).unwrap_or("core");
        format!("converting ({version}.{name}) to ({package}.{}): unknown conversion", kind.kind)
    } else {
        format!("no kind \"{name}\" is registered for version \"{api_version}\" in scheme \"{SCHEME}\"")
    };
    let asked = &kind.kind;
    Err(Status::bad_request(format!("{name} in version \"{version}\" cannot be handled as a {asked}: {why}")))
}

/// Where upstream keeps the list of its types; its message says so.
const SCHEME: &str = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30";

/// The answer to a body that is not even an object of some kind. Source: apiserver `transformDecodeError`.
fn unrecognized(kind: &Kind, why: &str, body: &[u8]) -> Status {
    const SHOWN_BYTES_MAX: usize = 30;
    let shown = body.get(..SHOWN_BYTES_MAX).unwrap_or(body);
    let summary = match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(shown).into_owned(),
        Some(_) => shown.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    let dots = if shown.len() < body.len() { " ..." } else { "" };
    let kind = &kind.kind;
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {why} ({summary}{dots})"
    ))
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
