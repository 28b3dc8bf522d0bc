//! Managed fields: who owns which part of an object.
//!
//! Requests from outside name a manager and are tracked; requests from inside the process are tracked only for objects that
//! have owners already. Source: apiserver `managedfields`.

use coracle_core::apply::{self, FieldSet, Manager};
use coracle_core::schema::Schema;
use coracle_core::{AnyResource, Object, Reason, Status};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, StatusCause};
use serde_json::Value;

use super::Call;

/// Who owns what the cluster's own parts change. Upstream names each binary; here there is one.
const OWN_MANAGER: &str = "coracle";

impl Call<'_> {
    /// Notes who owns what a write changes.
    pub(super) fn own(&self, old: Option<&Object>, new: &mut dyn AnyResource, now: Timestamp) -> Result<(), Status> {
        let tracked = old.is_some_and(|old| old.metadata().managed_fields.is_some());
        if self.applied || (self.options.field_manager.is_empty() && !tracked) {
            return Ok(());
        }
        let schema = self.schema();
        let before = old.map(json_of).transpose()?;
        new.metadata_mut().resource_version = None;
        let after = serde_json::from_slice(&new.encode().map_err(Status::internal)?).map_err(Status::internal)?;
        let api_version = self.kind.api_version();
        let manager = self.manager(&api_version, now);
        let tracked = apply::track_update(&schema, before.as_ref(), after, &manager, &self.untouched());
        new.metadata_mut().managed_fields = entries(&tracked)?;
        Ok(())
    }

    /// Checks that a configuration says whose it is and what it is about.
    pub(super) fn check_applied(&self, applied: &Value) -> Result<(), Status> {
        let text = |pointer| applied.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let name = text("/metadata/name");
        if !name.is_empty() && name != self.target.name {
            let asked = &self.target.name;
            let why = format!("the name of the object ({name}) does not match the name on the URL ({asked})");
            return Err(Status::bad_request(why));
        }
        if self.options.field_manager.is_empty() {
            let cause = StatusCause {
                field: Some("fieldManager".to_owned()),
                message: Some("Required value: is required for apply patch".to_owned()),
                reason: Some("FieldValueRequired".to_owned()),
            };
            return Err(Status::invalid(("meta.k8s.io", "PatchOptions"), "", vec![cause]));
        }
        if text("/apiVersion").is_empty() || text("/kind").is_empty() {
            return Err(Status::bad_request("invalid object type: /, Kind="));
        }
        Ok(())
    }

    /// The object after a configuration was applied to it.
    pub(super) fn merge_applied(
        &mut self,
        live: Option<&Value>,
        applied: &Value,
        force: bool,
        now: Timestamp,
    ) -> Result<Value, Status> {
        self.applied = true;
        let api_version = self.kind.api_version();
        let manager = self.manager(&api_version, now);
        let merged = apply::apply(&self.schema(), live, applied, &manager, force, &self.untouched());
        merged.map_err(|error| match error {
            apply::Error::BadRequest(why) => Status::bad_request(why),
            apply::Error::Internal(why) => Status::internal(why),
            apply::Error::Conflict { message, causes } => {
                let cause = |cause: apply::Cause| StatusCause {
                    field: Some(cause.field),
                    message: Some(cause.message),
                    reason: Some("FieldManagerConflict".to_owned()),
                };
                Status::new(Reason::Conflict, message).with_causes(causes.into_iter().map(cause).collect())
            }
        })
    }

    /// The schema of the version that was asked for. A kind without one has whatever JSON it is as fields, with lists as one
    /// piece.
    pub(super) fn schema(&self) -> Schema {
        let custom = self.kind.custom.as_ref().map(|custom| custom.schema().clone());
        custom.or_else(|| Schema::builtin(&self.kind.definition)).unwrap_or_else(Schema::schemaless)
    }

    fn manager<'a>(&'a self, api_version: &'a str, now: Timestamp) -> Manager<'a> {
        let name = if self.options.field_manager.is_empty() { OWN_MANAGER } else { &self.options.field_manager };
        Manager { name, api_version, subresource: &self.target.subresource, now }
    }

    /// What a write through this path never changes.
    fn untouched(&self) -> FieldSet {
        match &*self.target.subresource {
            "status" => FieldSet::of_fields(&[&["spec"], &["metadata"]]),
            "" if self.stored.subresource("status").is_some() => FieldSet::of_fields(&[&["status"]]),
            _ => FieldSet::default(),
        }
    }
}

fn json_of(object: &Object) -> Result<Value, Status> {
    serde_json::from_slice(object.stored()).map_err(Status::internal)
}

fn entries(object: &Value) -> Result<Option<Vec<ManagedFieldsEntry>>, Status> {
    let Some(entries) = object.pointer("/metadata/managedFields") else { return Ok(None) };
    serde_json::from_str(&entries.to_string()).map(Some).map_err(Status::internal)
}
