//! Why an apply is refused, in upstream's words. Source: apimachinery `structuredmerge.go`, `versioncheck.go`, `conflict.go`.

use super::set::FieldSet;
use super::{Cause, Conflicts, Error, Manager, managed_fields, path, typed};
use crate::schema::Schema;
use serde_json::Value;

/// Refuses a configuration of another type, or one that claims ownership itself.
pub(super) fn check_request(live: Option<&Value>, applied: &Value, manager: &Manager<'_>) -> Result<(), Error> {
    let kind = applied.get("kind");
    let is_other_kind = live.and_then(|live| live.get("kind")).is_some_and(|live| Some(live) != kind);
    if applied.get("apiVersion").and_then(Value::as_str) != Some(manager.api_version) || is_other_kind {
        return Err(Error::BadRequest(format!("invalid object type: {}", print_kind(applied))));
    }
    match managed_fields(applied) {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(Error::BadRequest("metadata.managedFields must be nil".into())),
    }
}

/// Refuses a configuration that does not fit its type.
pub(super) fn check_type(schema: &Schema, applied: &Value) -> Result<(), Error> {
    let errors = typed::check(schema.root(), applied);
    let errors = match errors.as_slice() {
        [] => return Ok(()),
        [error] => error.clone(),
        errors => format!("errors:\n  {}", errors.join("\n  ")),
    };
    let text = |name| applied.pointer(name).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let kind = print_kind(applied);
    Err(Error::Internal(format!("failed to create typed patch object ({namespace}/{name}; {kind}): {errors}")))
}

/// `apps/v1, Kind=Deployment`
fn print_kind(object: &Value) -> String {
    let text = |name| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
}

/// The error of an apply that would take these fields.
pub(super) fn conflict(found: &Conflicts) -> Error {
    let paths = |set: &FieldSet| set.paths().iter().map(|path| path::print(path)).collect::<Vec<_>>();
    let causes = found.iter().flat_map(|(id, set)| {
        let message = format!("conflict with {}", id.print());
        paths(set).into_iter().map(move |field| Cause { message: message.clone(), field })
    });
    let causes: Vec<Cause> = causes.collect();
    let message = match causes.as_slice() {
        [only] => format!("Apply failed with 1 conflict: {}: {}", only.message, only.field),
        many => {
            let groups =
                found.iter().map(|(id, set)| format!("conflicts with {}:\n- {}", id.print(), paths(set).join("\n- ")));
            format!("Apply failed with {} conflicts: {}", many.len(), groups.collect::<Vec<_>>().join("\n"))
        }
    };
    Error::Conflict { message, causes }
}
