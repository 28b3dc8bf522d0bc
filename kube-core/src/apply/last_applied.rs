//! Moves objects of client-side `kubectl apply` over to server-side apply: what its annotation says counts as kubectl's own.
//!
//! Source: apimachinery `lastappliedmanager.go`, `lastappliedupdater.go`.

use super::compare::compare;
use super::path::json;
use super::set::FieldSet;
use super::{Conflicts, Manager, typed};
use crate::schema::Schema;
use serde_json::Value;

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
const KUBECTL: &str = "kubectl";
/// All annotations together. Source: apimachinery `TotalAnnotationSizeLimitB`.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// The conflicts that remain when `manager` is kubectl and had applied those fields from the client's side.
///
/// All or none: if one remains, those that the annotation excuses are still left out of the message.
pub(super) fn unexcused(schema: &Schema, live: &Value, manager: &Manager<'_>, conflicts: Conflicts) -> Conflicts {
    let own = (manager.name == KUBECTL).then(|| client_side(schema, live, manager)).flatten();
    let Some(own) = own else { return conflicts };
    let left = conflicts.into_iter().map(|(id, set)| (id, set.difference(&own)));
    left.filter(|(_, set)| !set.is_empty()).collect()
}

/// The fields that the annotation sets, and that still have its values.
fn client_side(schema: &Schema, live: &Value, manager: &Manager<'_>) -> Option<FieldSet> {
    let annotation = live.get("metadata")?.get("annotations")?.get(ANNOTATION)?.as_str()?;
    let applied: Value = serde_json::from_str(annotation).ok()?;
    let is_sound =
        applied.get("apiVersion")? == manager.api_version && typed::check(schema.root(), &applied).is_empty();
    is_sound.then(|| {
        let found = compare(schema.root(), &applied, live);
        let set = typed::fields(schema.root(), &applied);
        set.difference(&found.modified).difference(&found.added).difference(&found.removed)
    })
}

/// Keeps an annotation that is there up to date when kubectl applies.
pub(super) fn refresh(object: &mut Value, applied: &Value, manager: &Manager<'_>) {
    let annotations = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
    let Some(annotations) = annotations.and_then(Value::as_object_mut).filter(|_| manager.name == KUBECTL) else {
        return;
    };
    if annotations.get(ANNOTATION).and_then(Value::as_str).is_none_or(str::is_empty) {
        return;
    }
    let mut applied = applied.clone();
    let given = applied.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"));
    if let Some(given) = given.and_then(Value::as_object_mut) {
        given.remove(ANNOTATION);
        if given.is_empty() {
            applied.get_mut("metadata").and_then(Value::as_object_mut).map(|metadata| metadata.remove("annotations"));
        }
    }
    annotations.insert(ANNOTATION.into(), Value::from(json(&applied) + "\n"));
    let bytes: usize = annotations.iter().map(|(name, text)| name.len() + text.as_str().map_or(0, str::len)).sum();
    if bytes > ANNOTATIONS_BYTES_MAX {
        annotations.remove(ANNOTATION);
    }
}
