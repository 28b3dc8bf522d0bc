//! Conversion webhooks: objects of custom kinds from one version to another, called over HTTPS.
//!
//! Source: apiextensions `pkg/apiserver/conversion/webhook_converter.go`.

use std::sync::Arc;
use std::time::Duration;

use coracle_core::kind::split_api_version;
use coracle_core::{Entropy, Kind, Object, Status, World};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, WebhookConversion};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::outbound::{Hook, Outbound, post};

/// How long a webhook may take. Source: apiserver `util/webhook.defaultRequestTimeout`.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Whether a webhook converts between the versions of a kind.
pub(crate) fn needs_webhook(kind: &Kind) -> bool {
    kind.custom.as_ref().is_some_and(|custom| custom.needs_webhook)
}

/// The row as if its version were the one that is kept.
pub(crate) fn standing_alone(kind: &Kind) -> Kind {
    Kind { storage_version: kind.version.clone(), ..kind.clone() }
}

/// The `apiVersion` of an object's JSON.
pub(crate) fn api_version_of(json: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Versioned {
        api_version: String,
    }
    serde_json::from_slice::<Versioned>(json).map(|found| found.api_version).unwrap_or_default()
}

/// Converts objects by the webhooks that their definitions name.
pub(crate) struct Converter<'a> {
    outbound: &'a dyn Outbound,
    entropy: &'a Entropy,
    world: &'a World,
}

impl<'a> Converter<'a> {
    pub(crate) fn new(outbound: &'a dyn Outbound, entropy: &'a Entropy, world: &'a World) -> Self {
        Self { outbound, entropy, world }
    }

    /// Kept objects in the version of a kind, in one call. Those in it already stay as they are.
    pub(crate) async fn objects(&self, kind: &Kind, mut objects: Vec<Arc<Object>>) -> Result<Vec<Arc<Object>>, Status> {
        let wanted = kind.api_version();
        let other = |object: &Arc<Object>| api_version_of(object.stored()) != wanted;
        let places: Vec<usize> = (0..objects.len()).filter(|place| objects.get(*place).is_some_and(other)).collect();
        if places.is_empty() {
            return Ok(objects);
        }
        let alone = Arc::new(standing_alone(kind));
        let chosen: Vec<Arc<Object>> = places.iter().filter_map(|place| objects.get(*place).cloned()).collect();
        let json = chosen.iter().map(|object| serde_json::from_slice(&object.json()));
        let json = json.collect::<Result<_, _>>().map_err(Status::internal)?;
        for ((place, old), json) in places.into_iter().zip(&chosen).zip(self.convert(kind, json).await?) {
            let value = kind.codec.decode(json.to_string().as_bytes()).map_err(Status::internal)?;
            let mut kept = value.duplicate();
            kept.metadata_mut().resource_version = None;
            let stored = kept.encode().map_err(Status::internal)?.into();
            if let Some(object) = objects.get_mut(place) {
                *object = Arc::new(Object::committed(alone.clone(), value, stored, old.revision()));
            }
        }
        Ok(objects)
    }

    /// JSON objects in the version of a kind, in one call. Those in it already stay as they are.
    pub(crate) async fn convert(&self, kind: &Kind, mut objects: Vec<Value>) -> Result<Vec<Value>, Status> {
        let wanted = kind.api_version();
        let is_other = |object: &Value| version_of(object) != wanted;
        let asked: Vec<Value> = objects.iter().filter(|object| is_other(object)).cloned().collect();
        let Some(first) = asked.first() else { return Ok(objects) };
        let (group, version) = split_api_version(version_of(first));
        let what = format!("conversion webhook for {group}/{version}, Kind={}", text(first, "kind"));
        let answer = self.ask(kind, &wanted, &asked).await;
        let converted = answer.map_err(|why| failed(format!("{what} failed: {why}")))?;
        if converted.len() != asked.len() {
            let (got, expected) = (converted.len(), asked.len());
            return Err(failed(format!("{what} returned {got} objects, expected {expected}")));
        }
        let mut converted = asked.iter().zip(converted).enumerate().map(|(index, (old, new))| {
            let new = check(old, new, &wanted);
            new.map_err(|(thing, why)| failed(format!("{what} returned invalid {thing} at index {index}: {why}")))
        });
        for object in objects.iter_mut().filter(|object| version_of(object) != wanted) {
            *object = converted.next().transpose()?.unwrap_or_default();
        }
        Ok(objects)
    }

    async fn ask(&self, kind: &Kind, wanted: &str, objects: &[Value]) -> Result<Vec<Value>, String> {
        let name = format!("{}.{}", kind.plural, kind.group);
        let definition = self.world.get::<CustomResourceDefinition>("", &name);
        let conversion =
            definition.as_ref().and_then(|definition| definition.spec.conversion.as_ref()?.webhook.as_ref());
        let conversion: &WebhookConversion = conversion.ok_or("the definition names no webhook")?;
        let hook = Hook::conversion(conversion.client_config.as_ref().ok_or("the definition names no webhook")?)?;
        let known = conversion.conversion_review_versions.iter().find(|version| is_known(version));
        let version = known.ok_or("no supported conversion review version")?;
        let uid = self.entropy.uid();
        let review = json!({
            "kind": "ConversionReview",
            "apiVersion": format!("apiextensions.k8s.io/{version}"),
            "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": objects},
        });
        let body = serde_json::to_vec(&review).map_err(|error| error.to_string())?;
        let answer = post(self.outbound, &hook, body, TIMEOUT).await.map_err(|error| error.to_string())?;
        read_answer(&answer, version, &uid)
    }
}

fn is_known(version: &str) -> bool {
    matches!(version, "v1" | "v1beta1")
}

fn version_of(object: &Value) -> &str {
    text(object, "apiVersion")
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// 500 with nothing but the message, as upstream's generic errors are.
fn failed(message: String) -> Status {
    let status = Some("Failure".to_owned());
    meta::Status { code: Some(500), message: Some(message), status, ..meta::Status::default() }.into()
}

/// Source: `getConvertedObjectsFromResponse`.
fn read_answer(body: &[u8], version: &str, uid: &str) -> Result<Vec<Value>, String> {
    let mut review: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    // The older version let webhooks leave out what says that the answer is meant for this question.
    let is_strict = version == "v1";
    let (group, got) = split_api_version(version_of(&review));
    let kind = text(&review, "kind");
    if is_strict && (group, got, kind) != ("apiextensions.k8s.io", "v1", "ConversionReview") {
        let expected = "apiextensions.k8s.io/v1, Kind=ConversionReview";
        return Err(format!("expected webhook response of {expected}, got {group}/{got}, Kind={kind}"));
    }
    let response = review.get_mut("response").filter(|response| response.is_object()).ok_or("no response provided")?;
    if is_strict && text(response, "uid") != uid {
        return Err(format!("expected response.uid={uid:?}, got {:?}", text(response, "uid")));
    }
    let result = response.get("result").cloned().unwrap_or_default();
    match (text(&result, "status"), text(&result, "message")) {
        ("Success", _) => {}
        (status, "") => return Err(format!("response.result.status was '{status}', not 'Success'")),
        (_, message) => return Err(message.to_owned()),
    }
    match response.get_mut("convertedObjects").map(Value::take) {
        Some(Value::Array(objects)) => Ok(objects),
        _ => Ok(Vec::new()),
    }
}

/// Whether a converted object is the same in another version; only labels and annotations of its metadata may differ, the rest
/// is put back. Source: `validateConvertedObject`, `restoreObjectMeta`.
fn check(old: &Value, mut new: Value, wanted: &str) -> Result<Value, (&'static str, String)> {
    let object = |why: String| ("converted object", why);
    let metadata = |why: String| ("metadata in object", why);
    if version_of(&new) != wanted {
        let got = version_of(&new);
        return Err(object(format!("invalid groupVersion (expected {wanted}, received {got})")));
    }
    if text(&new, "kind") != text(old, "kind") {
        let (expected, got) = (text(old, "kind"), text(&new, "kind"));
        return Err(object(format!("invalid kind (expected {expected}, received {got})")));
    }
    for (name, word) in [("name", "name"), ("namespace", "namespace"), ("uid", "UID")] {
        let at = format!("/metadata/{name}");
        let of = |object: &Value| object.pointer(&at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (before, after) = (of(old), of(&new));
        if before != after {
            return Err(object(format!("must have the same {word}: {before} != {after}")));
        }
    }
    let given = match new.get_mut("metadata").map(Value::take) {
        None | Some(Value::Null) => return Err(metadata("missing metadata in converted object".to_owned())),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(metadata("invalid metadata of type in converted object".to_owned())),
    };
    let restored = restore(old, given).map_err(metadata)?;
    if let Some(fields) = new.as_object_mut() {
        fields.insert("metadata".to_owned(), Value::Object(restored));
    }
    Ok(new)
}

fn restore(old: &Value, mut given: Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut kept = old.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    for name in ["labels", "annotations"] {
        kept.remove(name);
        match given.remove(name) {
            None | Some(Value::Null) => {}
            Some(Value::Object(values)) if values.values().all(Value::is_string) => {
                kept.insert(name.to_owned(), Value::Object(values));
            }
            Some(_) => return Err(format!("metadata.{name}: must be a map of strings")),
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old() -> Value {
        json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "a", "uid": "u", "generation": 3,
               "labels": {"a": "1"}}, "spec": 1})
    }

    fn check_error(new: Value, expected: &str) {
        assert_eq!(check(&old(), new, "g/v2").unwrap_err().1, expected);
    }

    #[test]
    fn only_labels_and_annotations_of_the_metadata_may_change() {
        let new = json!({"apiVersion": "g/v2", "kind": "K", "spec": 2, "metadata": {
            "name": "a", "uid": "u", "generation": 7, "finalizers": ["x"], "annotations": {"b": "2"}}});
        let expected = json!({"apiVersion": "g/v2", "kind": "K", "spec": 2, "metadata": {
            "name": "a", "uid": "u", "generation": 3, "annotations": {"b": "2"}}});
        assert_eq!(check(&old(), new, "g/v2").unwrap(), expected);
    }

    #[test]
    fn lies_are_found() {
        check_error(json!({"apiVersion": "g/v1"}), "invalid groupVersion (expected g/v2, received g/v1)");
        check_error(json!({"apiVersion": "g/v2", "kind": "L"}), "invalid kind (expected K, received L)");
        let renamed = json!({"apiVersion": "g/v2", "kind": "K", "metadata": {"name": "b", "uid": "u"}});
        check_error(renamed, "must have the same name: a != b");
        let reborn = json!({"apiVersion": "g/v2", "kind": "K", "metadata": {"name": "a"}});
        check_error(reborn, "must have the same UID: u != ");
        let labels =
            json!({"apiVersion": "g/v2", "kind": "K", "metadata": {"name": "a", "uid": "u", "labels": {"a": 1}}});
        check_error(labels, "metadata.labels: must be a map of strings");
    }
}
