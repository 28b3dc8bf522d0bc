//! The usual care of kinds that have no rules of their own: custom resources, and built-in kinds whose rules are not written.
//!
//! A creator sets no status, a writer of the object cannot touch the status, a writer of the status nothing else, and the
//! generation counts changes of everything but metadata and status. Source: apiextensions `customResourceStrategy`.

use coracle_core::field::{Errors, Path};
use coracle_core::rules::metadata;
use coracle_core::{AnyResource, Object, Status};
use serde_json::{Map, Value};

use super::Call;

impl Call<'_> {
    pub(super) fn prepare_custom_create(&self, value: &mut Box<dyn AnyResource>) -> Result<(), Status> {
        value.metadata_mut().generation = Some(1);
        if self.has_status() {
            let mut fields = self.fields(&**value)?;
            if fields.remove("status").is_some() {
                *value = self.restore(fields)?;
            }
        }
        Ok(())
    }

    pub(super) fn prepare_custom_update(&self, value: &mut Box<dyn AnyResource>, old: &Object) -> Result<(), Status> {
        let mut new = self.fields(&**value)?;
        let mut before = self.fields(old.value())?;
        if self.target.subresource == "status" {
            let status = new.remove("status");
            before.remove("status");
            before.extend(status.map(|status| ("status".to_owned(), status)));
            before.extend(new.remove("metadata").map(|metadata| ("metadata".to_owned(), metadata)));
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
        errors
    }

    fn has_status(&self) -> bool {
        self.stored.subresource("status").is_some()
    }

    fn fields(&self, value: &dyn AnyResource) -> Result<Map<String, Value>, Status> {
        let json = value.encode().map_err(Status::internal)?;
        serde_json::from_slice(&json).map_err(Status::internal)
    }

    fn restore(&self, fields: Map<String, Value>) -> Result<Box<dyn AnyResource>, Status> {
        self.stored.codec.decode(Value::Object(fields).to_string().as_bytes()).map_err(Status::internal)
    }
}

fn same_content(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    fn content(fields: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
        fields.iter().filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status"))
    }
    content(one).eq(content(other))
}
