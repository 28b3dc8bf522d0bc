//! JSON patch (RFC 6902): a list of operations on paths, all or none.

use super::{Error, go};
use json_patch::{PatchErrorKind, PatchOperation};
use serde_json::{Value, json};

/// Longer patches are refused. Source: apiserver `maxJSONPatchOperations`.
pub(super) const OPERATIONS_MAX: usize = 10_000;

/// Applies `patch`, an array of operations, to `object`; on an error `object` is as it was.
pub fn json(object: &mut Value, patch: &Value) -> Result<(), Error> {
    let Value::Array(operations) = patch else {
        let text = format!("json: cannot unmarshal {} into Go value of type jsonpatch.Patch", go::json_kind(patch));
        return Err(Error::BadRequest(text));
    };
    if operations.len() > OPERATIONS_MAX {
        return Err(Error::TooManyOperations { given: operations.len() });
    }
    let mut patched = object.clone();
    for operation in operations {
        apply(&mut patched, operation).map_err(Error::Unprocessable)?;
    }
    *object = patched;
    Ok(())
}

/// The messages are those of the library that upstream uses, evanphx/json-patch 4.
fn apply(document: &mut Value, operation: &Value) -> Result<(), String> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let kind = text("op").unwrap_or("unknown");
    if !["add", "remove", "replace", "move", "copy", "test"].contains(&kind) {
        return Err(format!("Unexpected kind: {kind}"));
    }
    let Some(path) = text("path") else {
        return Err(format!("{kind} operation failed to decode path: missing value"));
    };
    if matches!(kind, "move" | "copy") && text("from").is_none() {
        return Err(format!("{kind} operation failed to decode from: operation, missing from field: missing value"));
    }
    let mut operation = operation.clone();
    if let Some(members) = operation.as_object_mut() {
        if matches!(kind, "add" | "replace" | "test") {
            members.entry("value").or_insert(Value::Null);
        }
        if let Some(Value::String(from)) = members.get_mut("from") {
            *from = counted_from_front(document, from, false);
        }
        // What moves is gone from its old place before its new place is looked for.
        let left = if kind == "move" && path.contains("/-") { without(document, members.get("from")) } else { None };
        if let Some(Value::String(path)) = members.get_mut("path") {
            let adds = matches!(kind, "add" | "move" | "copy");
            *path = counted_from_front(left.as_ref().unwrap_or(document), path, adds);
        }
    }
    let operation: PatchOperation = serde_json::from_value(operation).map_err(|_| missing(kind, "path", path))?;
    json_patch::patch_unsafe(document, std::slice::from_ref(&operation))
        .map_err(|error| explain(document, &operation, &error.kind))
}

fn without(document: &Value, path: Option<&Value>) -> Option<Value> {
    let removal = serde_json::from_value(json!({ "op": "remove", "path": path? })).ok()?;
    let mut left = document.clone();
    json_patch::patch_unsafe(&mut left, &[removal]).ok()?;
    Some(left)
}

/// The path with indexes that count from a list's end, as `-1` does, counted from its front. Where an item is added, `-1` is the
/// place behind the last. Indexes that lead nowhere stay, to be refused.
fn counted_from_front(document: &Value, path: &str, adds: bool) -> String {
    if !path.starts_with('/') || !path.contains("/-") {
        return path.to_owned();
    }
    let mut at = Some(document);
    let mut counted = String::with_capacity(path.len());
    let mut steps = path.split('/').skip(1).peekable();
    while let Some(step) = steps.next() {
        let list = at.and_then(Value::as_array);
        let places = list.map(|list| list.len() + usize::from(adds && steps.peek().is_none()));
        let back = step.strip_prefix('-').and_then(|back| back.parse::<usize>().ok()).filter(|back| *back > 0);
        let front = places.zip(back).and_then(|(places, back)| places.checked_sub(back)).map(|index| index.to_string());
        let step = front.as_deref().unwrap_or(step);
        counted.push('/');
        counted.push_str(step);
        at = at.and_then(|at| at.pointer(&format!("/{step}")));
    }
    counted
}

fn missing(kind: &str, what: &str, path: &str) -> String {
    match kind {
        "add" | "remove" => {
            format!("{kind} operation does not apply: doc is missing {what}: \"{path}\": missing value")
        }
        "test" => format!("test operation does not apply: is missing {what}: {path}: missing value"),
        _ => format!("{kind} operation does not apply: doc is missing {what}: {path}: missing value"),
    }
}

fn explain(document: &Value, operation: &PatchOperation, kind: &PatchErrorKind) -> String {
    let path = operation.path().as_str();
    match (operation, kind) {
        (_, PatchErrorKind::TestFailed) => format!("testing value {path} failed: test failed"),
        (PatchOperation::Move(change), PatchErrorKind::InvalidFromPointer) => {
            missing("move", "from path", change.from.as_str())
        }
        (PatchOperation::Copy(change), PatchErrorKind::InvalidFromPointer) => {
            missing("copy", "from path", change.from.as_str())
        }
        (PatchOperation::Move(_), _) => missing("move", "destination path", path),
        (PatchOperation::Copy(_), _) => missing("copy", "destination path", path),
        (PatchOperation::Add(_), _) => in_parent(document, path, "add"),
        (PatchOperation::Remove(_), _) => in_parent(document, path, "remove"),
        (PatchOperation::Test(_), _) => in_parent(document, path, "test"),
        (PatchOperation::Replace(_), _) => {
            let what = if parent(document, path).is_some() { "key" } else { "path" };
            missing("replace", what, path)
        }
    }
}

fn parent<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    let (parent, _) = path.rsplit_once('/')?;
    document.pointer(parent).filter(|value| value.is_object() || value.is_array())
}

/// Why the last step of a path fails in the object or array that is there.
fn in_parent(document: &Value, path: &str, kind: &str) -> String {
    let key = path.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
    let reason = match parent(document, path) {
        None => return missing(kind, "path", path),
        Some(Value::Array(_)) => match key.parse::<i64>() {
            Ok(index) => format!("Unable to access invalid index: {index}: invalid index referenced"),
            Err(_) => {
                format!("value was not a proper array index: '{key}': strconv.Atoi: parsing \"{key}\": invalid syntax")
            }
        },
        Some(_) if kind == "remove" => format!("Unable to remove nonexistent key: {key}: missing value"),
        Some(_) => format!("unable to get nonexistent key: {key}: missing value"),
    };
    format!("error in {kind} for path: '{path}': {reason}")
}
