//! A part of a new version: the three patches that say what to change, and apply, which says what to have.

use bytes::Bytes;
use coracle_core::{Object, Patch, Reason, Status, convert, patch};
use serde_json::Value;

use super::create::{check_place, revision_of};
use super::update::check_version;
use super::{Call, Pipeline, Prepared};

impl Pipeline {
    pub(super) async fn patch(&self, call: &mut Call<'_>, patch: &Patch) -> Result<Prepared, Status> {
        if let Patch::Apply { body, force } = patch {
            return self.apply(call, body, *force).await;
        }
        let existing = call.existing()?;
        let before = served(call, &existing)?;
        let after = call.patched(before, patch)?;
        let json = Bytes::from(after.to_string());
        let mut value = call.decode_json(&json)?;
        check_place(call, value.metadata_mut())?;
        // A patch that names another resourceVersion or uid than the newest is refused, as a replacement would be.
        check_version(call, value.metadata(), &existing)?;
        self.update(call, &existing, value, None).await
    }

    async fn apply(&self, call: &mut Call<'_>, body: &Bytes, force: bool) -> Result<Prepared, Status> {
        let existing = call.current();
        let applied: Value = serde_json::from_slice(body)
            .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?;
        call.check_applied(body, &applied)?;
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
    fn patched(&self, mut object: Value, wish: &Patch) -> Result<Value, Status> {
        match wish {
            Patch::Json(text) => patch::json(&mut object, &parse(text)?).map_err(|error| self.refuse(&error))?,
            Patch::Merge(text) => patch::merge(&mut object, &parse(text)?).map_err(|error| self.refuse(&error))?,
            Patch::Strategic(text) => {
                let schema = self.schema();
                if !schema.is_builtin() {
                    let why = "strategic merge patch format is not supported";
                    return Err(Status::new(Reason::UnsupportedMediaType, why));
                }
                return patch::strategic(&schema, object, parse(text)?).map_err(|error| self.refuse(&error));
            }
            Patch::Apply { .. } => return Err(Status::internal("apply is no patch of this form")),
        }
        Ok(object)
    }

    fn refuse(&self, error: &patch::Error) -> Status {
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

/// An object as JSON of the version that was asked for.
fn served(call: &Call<'_>, object: &Object) -> Result<Value, Status> {
    let mut value = serde_json::from_slice(&object.json()).map_err(Status::internal)?;
    convert::from_storage(&call.kind, &mut value);
    Ok(value)
}

fn parse(text: &Bytes) -> Result<Value, Status> {
    serde_json::from_slice(text).map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))
}
