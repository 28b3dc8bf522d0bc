//! A part of a new version: the three patches that say what to change, and apply, which says what to have.
//!
//! Source: apiserver `endpoints/handlers/patch.go`.

use bytes::Bytes;
use coracle_core::field::{Errors, Path};
use coracle_core::{AnyResource, FieldValidation, Object, Patch, Reason, Status, convert, patch, strict};
use serde_json::Value;

use super::create::{check_place, revision_of};
use super::update::check_version;
use super::{Call, Pipeline, Prepared};

/// A patched object, and what an error about it has to tell.
struct Patched {
    object: Value,
    /// What is wrong with the patch itself: fields that are unknown or there twice.
    findings: Vec<String>,
    /// What upstream shows of a patch whose result is refused: the result, or the patch if it was a strategic one.
    shown: String,
    is_strategic: bool,
}

impl Pipeline {
    pub(super) async fn patch(&self, call: &mut Call<'_>, patch: &Patch) -> Result<Prepared, Status> {
        if let Patch::Apply { body, force } = patch {
            let applied = call.configuration(body)?;
            return self.apply(call, applied, *force).await;
        }
        let existing = call.existing()?;
        let before = served(call, &existing)?;
        let patched = call.patched(before, patch)?;
        let mut value = call.decode_patched(patched)?;
        check_place(call, value.metadata_mut())?;
        // A patch that names another resourceVersion or uid than the newest is refused, as a replacement would be.
        check_version(call, value.metadata(), &existing)?;
        self.update(call, &existing, value, None).await
    }

    /// Applies a configuration of the object, or of what the subresource shows of it.
    pub(super) async fn apply(&self, call: &mut Call<'_>, applied: Value, force: bool) -> Result<Prepared, Status> {
        let existing = call.current();
        let before = existing.as_deref().map(|existing| served(call, existing)).transpose()?;
        let after = call.merge_applied(before.as_ref(), &applied, force, self.clock.now())?;
        let json = Bytes::from(after.to_string());
        let value = super::body::decode_kept(&call.kind, &call.stored, &json)?;
        match existing {
            Some(existing) => {
                if let Some(given) = applied.pointer("/metadata/resourceVersion").and_then(Value::as_str)
                    && given != existing.revision().to_string()
                {
                    return Err(Status::stale(&call.kind.group_resource(), &call.target.name));
                }
                self.update(call, &existing, value, None).await
            }
            None if revision_of(value.metadata()).is_some() || !call.target.subresource.is_empty() => {
                Err(call.not_found())
            }
            None => self.create_value(call, value).await,
        }
    }
}

impl Call<'_> {
    /// Reads a configuration to apply. That its fields are known is for the merge to check, which knows the schema.
    pub(super) fn configuration(&mut self, body: &Bytes) -> Result<Value, Status> {
        let applied: Value = serde_json::from_slice(body)
            .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
        self.check_applied(&applied)?;
        let twice = strict::check_merge_patch(body).map_err(|error| Status::bad_request(error.to_string()))?;
        match self.options.field_validation {
            FieldValidation::Strict if !twice.is_empty() => {
                Err(Status::bad_request(format!("error strict decoding YAML: {}", twice.join(", "))))
            }
            FieldValidation::Warn => {
                self.warnings.extend(twice);
                Ok(applied)
            }
            _ => Ok(applied),
        }
    }

    fn patched(&self, mut object: Value, wish: &Patch) -> Result<Patched, Status> {
        let (patched, findings) = match wish {
            Patch::Json(text) => (patch::json(&mut object, &parse(text)?), strict::check_json_patch(text)),
            Patch::Merge(text) => (patch::merge(&mut object, &parse(text)?), strict::check_merge_patch(text)),
            Patch::Strategic(text) => return self.merged(object, text),
            Patch::Apply { .. } => return Err(Status::internal("apply is no patch of this form")),
        };
        patched.map_err(|error| self.refuse(&error))?;
        let findings = findings.unwrap_or_default();
        let shown = object.to_string();
        Ok(Patched { object, findings, shown, is_strategic: false })
    }

    fn merged(&self, object: Value, text: &Bytes) -> Result<Patched, Status> {
        let schema = self.schema();
        if !schema.is_builtin() {
            let why = "strategic merge patch format is not supported";
            return Err(Status::new(Reason::UnsupportedMediaType, why));
        }
        let findings = strict::check_merge_patch(text).unwrap_or_default();
        let wish = parse(text)?;
        let shown = patch::go_print(&wish);
        let object = patch::strategic(&schema, object, wish).map_err(|error| self.refuse(&error))?;
        Ok(Patched { object, findings, shown, is_strategic: true })
    }

    /// Reads a patched object. What is wrong with it is told as an invalid field `patch`.
    fn decode_patched(&mut self, patched: Patched) -> Result<Box<dyn AnyResource>, Status> {
        let json = Bytes::from(patched.object.to_string());
        let Patched { mut findings, shown, is_strategic, .. } = patched;
        super::body::check_type(self.world.kinds(), &self.kind, &json)?;
        if let Some(found) = self.find(&json)? {
            match found.mismatch {
                Some(mismatch) if is_strategic => {
                    return Err(invalid_patch(&shown, &strict::conversion_error(&mismatch)));
                }
                Some(mismatch) => return Err(invalid_patch(&shown, &mismatch)),
                None => findings.extend(found.fields),
            }
        }
        match self.options.field_validation {
            FieldValidation::Strict if !findings.is_empty() => {
                let why = format!("strict decoding error: {}", findings.join(", "));
                return Err(invalid_patch(&shown, &why));
            }
            FieldValidation::Warn => self.warnings.extend(findings),
            _ => {}
        }
        super::body::decode_kept(&self.kind, &self.stored, &json)
    }

    pub(super) fn refuse(&self, error: &patch::Error) -> Status {
        let text = error.to_string();
        match error {
            patch::Error::BadRequest(_) => Status::bad_request(text),
            patch::Error::TooManyOperations { .. } => Status::new(Reason::RequestEntityTooLarge, text),
            patch::Error::Unprocessable(_) => {
                Status::new(Reason::Invalid, text).about(&self.kind.group_resource(), &self.target.name)
            }
            patch::Error::Internal(_) => Status::internal(text),
        }
    }
}

/// Upstream names neither kind nor object here.
fn invalid_patch(shown: &str, why: &str) -> Status {
    let mut errors = Errors::new();
    errors.invalid(&Path::new("patch"), shown, why);
    Status::invalid(("", ""), "", errors.to_causes())
}

/// An object as JSON of the version that was asked for.
fn served(call: &Call<'_>, object: &Object) -> Result<Value, Status> {
    let mut value = serde_json::from_slice(&object.json()).map_err(Status::internal)?;
    convert::from_storage(&call.kind, &mut value);
    Ok(value)
}

pub(super) fn parse(text: &Bytes) -> Result<Value, Status> {
    serde_json::from_slice(text).map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))
}
