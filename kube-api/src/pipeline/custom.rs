//! The care of custom resources: defaults, pruning and validation by the schema of their definition, if they have one.
//!
//! A creator sets no status, a writer of the object cannot touch the status, a writer of the status nothing else, and the
//! generation counts changes of everything but metadata and status. Source: apiextensions `customResourceStrategy`.

use coracle_core::field::{Errors, Path};
use coracle_core::rules::metadata;
use coracle_core::{AnyResource, Object, Reason, Status, convert};
use serde_json::{Map, Value};

use super::Call;

type Fields = Map<String, Value>;

impl Call<'_> {
    /// Nothing new is created of a kind whose definition is being deleted. Source: apiextensions `crdHandler.serveResource`.
    pub(super) fn refuse_terminating(&self) -> Result<(), Status> {
        if !self.kind.custom.as_ref().is_some_and(|custom| custom.is_terminating) {
            return Ok(());
        }
        let why = "create not allowed while custom resource definition is terminating";
        Err(Status::new(Reason::MethodNotAllowed, why))
    }

    pub(super) fn prepare_custom_create(&self, value: &mut Box<dyn AnyResource>) -> Result<(), Status> {
        let mut fields = self.fields(&**value)?;
        if self.has_status() {
            fields.remove("status");
        }
        *value = self.restore(fields)?;
        value.metadata_mut().generation = Some(1);
        Ok(())
    }

    pub(super) fn prepare_custom_update(&self, value: &mut Box<dyn AnyResource>, old: &Object) -> Result<(), Status> {
        let mut new = self.fields(&**value)?;
        let mut before = self.fields(old.value())?;
        if self.target.subresource == "status" {
            before.remove("status");
            before.extend(new.remove("status").map(|status| ("status".to_owned(), status)));
            keep_metadata(&mut before, &mut new);
            *value = self.restore(before)?;
            return Ok(());
        }
        if self.has_status() {
            new.remove("status");
            new.extend(before.get("status").map(|status| ("status".to_owned(), status.clone())));
        }
        let changed = !same_content(&new, &before);
        *value = self.restore(new)?;
        let generation = old.metadata().generation;
        value.metadata_mut().generation = if changed { Some(generation.unwrap_or(0) + 1) } else { generation };
        Ok(())
    }

    pub(super) fn validate_custom(&self, value: &dyn AnyResource, old: Option<&Object>) -> Errors {
        let (mut errors, path) = (Errors::new(), Path::new("metadata"));
        match old {
            Some(old) => metadata::validate_update(value.metadata(), old.metadata(), &path, &mut errors),
            None => {
                let namespaced = self.kind.namespaced;
                metadata::validate(value.metadata(), namespaced, metadata::dns_subdomain, &path, &mut errors);
            }
        }
        if let Some(custom) = &self.kind.custom {
            let json = |value: &dyn AnyResource| self.fields(value).map(Value::Object).ok();
            let old = old.and_then(|old| json(old.value()));
            match json(value) {
                Some(new) => errors.append(custom.validate(&new, old.as_ref())),
                None => errors.internal(&Path::ROOT, "the object cannot be encoded"),
            }
        }
        errors
    }

    fn has_status(&self) -> bool {
        self.kind.subresource("status").is_some()
    }

    /// The fields of a kept object as the version that was asked for has them.
    fn fields(&self, value: &dyn AnyResource) -> Result<Fields, Status> {
        let json = value.encode().map_err(Status::internal)?;
        let mut object = serde_json::from_slice(&json).map_err(Status::internal)?;
        if self.kind.custom.is_some() {
            convert::from_storage(&self.kind, &mut object);
        }
        match object {
            Value::Object(fields) => Ok(fields),
            _ => Err(Status::internal("an object is no JSON object")),
        }
    }

    fn restore(&self, fields: Fields) -> Result<Box<dyn AnyResource>, Status> {
        let mut object = Value::Object(fields);
        convert::to_storage(&self.kind, &mut object);
        self.stored.codec.decode(object.to_string().as_bytes()).map_err(Status::internal)
    }
}

/// The writer of a status may change no metadata but who owns what.
fn keep_metadata(kept: &mut Fields, new: &mut Fields) {
    let owners = new.get_mut("metadata").and_then(|metadata| metadata.as_object_mut()?.remove("managedFields"));
    if let Some(Value::Object(metadata)) = kept.get_mut("metadata") {
        metadata.remove("managedFields");
        metadata.extend(owners.map(|owners| ("managedFields".to_owned(), owners)));
    }
}

fn same_content(one: &Fields, other: &Fields) -> bool {
    fn content(fields: &Fields) -> impl Iterator<Item = (&String, &Value)> {
        fields.iter().filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status" | "apiVersion" | "kind"))
    }
    content(one).eq(content(other))
}
