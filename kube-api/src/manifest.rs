//! YAML files with several objects become requests, as `kubectl apply --server-side -f` would make them.

use coracle_core::{Action, FieldValidation, GroupResource, Kinds, Patch, Request, Status, Target};
use serde_json::Value;

/// The field manager of manifests that are applied in process.
pub const MANAGER: &str = "coracle";

/// Reads a manifest: one request to apply for each object, in order. Objects without a namespace get `namespace`. Unknown and
/// duplicate fields are refused when the request is carried out.
///
/// # Errors
/// 400 if the text is no YAML, or an object is of a kind that is not served.
pub fn parse(kinds: &Kinds, text: &str, namespace: &str) -> Result<Vec<Request>, Status> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)
        .map_err(|error| Status::bad_request(format!("error parsing manifest: {error}")))?;
    let documents = documents.into_iter().filter(|document| !document.is_null());
    documents.flat_map(items).map(|object| request(kinds, object, namespace)).collect()
}

/// The objects of a `List`, or the object itself.
fn items(document: Value) -> Vec<Value> {
    match document {
        Value::Object(mut list) if list.get("kind").and_then(Value::as_str) == Some("List") => {
            match list.remove("items") {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            }
        }
        object => vec![object],
    }
}

fn request(kinds: &Kinds, mut object: Value, namespace: &str) -> Result<Request, Status> {
    let text = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
    let (api_version, kind) = (text(&object, "/apiVersion"), text(&object, "/kind"));
    let Some(row) = kinds.by_kind(&api_version, &kind) else {
        let (group, version) = coracle_core::kind::split_api_version(&api_version);
        return Err(Status::bad_request(format!("no matches for kind \"{kind}\" in version \"{group}/{version}\"")));
    };
    let name = text(&object, "/metadata/name");
    if name.is_empty() {
        return Err(Status::bad_request(format!("{kind} without a name: generateName cannot be applied")));
    }
    let mut namespace = namespace.to_owned();
    if row.namespaced {
        let given = text(&object, "/metadata/namespace");
        if !given.is_empty() {
            namespace = given;
        } else if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
            metadata.insert("namespace".to_owned(), Value::String(namespace.clone()));
        }
    } else {
        namespace.clear();
    }
    let target = Target {
        resource: GroupResource::new(row.group.clone(), row.plural.clone()),
        version: Some(row.version.clone()),
        namespace: namespace.into(),
        name: name.into(),
        subresource: "".into(),
    };
    let patch = Patch::Apply { body: object.to_string().into(), force: true };
    let mut request = Request::new(target, Action::Patch(patch));
    request.options.field_manager = MANAGER.into();
    request.options.field_validation = FieldValidation::Strict;
    Ok(request)
}
