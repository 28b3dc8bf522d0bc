//! The AdmissionReview. Source: `admission/v1` types, apiserver `plugin/webhook/request/admissionreview.go`.

use std::collections::BTreeMap;

use coracle_core::{AnyResource, Kind, Status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::matching::operation_word;
use super::super::{Attributes, Operation};
use super::call::Invocation;

/// Which of the two kinds of webhooks is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Mutating,
    Validating,
}

/// What a webhook decided.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) allowed: bool,
    pub(super) status: Option<meta::Status>,
    /// Empty if nothing is to change.
    pub(super) patch: Vec<u8>,
    pub(super) patch_type: String,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    response: Option<Response>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    allowed: bool,
    status: Option<meta::Status>,
    patch: Option<String>,
    patch_type: Option<String>,
    audit_annotations: Option<BTreeMap<String, String>>,
    warnings: Option<Vec<String>>,
}

/// The first version of AdmissionReview that a webhook knows and we too.
pub(super) fn version_of(versions: &[String]) -> Result<&str, String> {
    let known = versions.iter().find(|version| matches!(version.as_str(), "v1" | "v1beta1"));
    let why =
        "could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)";
    known.map(String::as_str).ok_or_else(|| why.to_owned())
}

/// The question.
pub(super) fn question(
    attributes: &Attributes<'_>,
    invocation: &Invocation<'_>,
    version: &str,
    uid: &str,
    (object, old, name): (Option<Value>, Option<Value>, &str),
) -> Value {
    let mut request = request(attributes, &invocation.kind, name);
    if let Some(fields) = request.as_object_mut() {
        fields.insert("uid".to_owned(), uid.into());
        fields.insert("object".to_owned(), object.unwrap_or_default());
        fields.insert("oldObject".to_owned(), old.unwrap_or_default());
    }
    json!({"kind": "AdmissionReview", "apiVersion": format!("admission.k8s.io/{version}"), "request": request})
}

/// What is asked, apart from the objects.
pub(in super::super) fn request(attributes: &Attributes<'_>, wanted: &Kind, name: &str) -> Value {
    let (asked, target) = (attributes.kind, attributes.target);
    let mut request = json!({
        "kind": body_kind(wanted, &target.subresource),
        "resource": {"group": wanted.group, "version": wanted.version, "resource": wanted.plural},
        "requestKind": body_kind(asked, &target.subresource),
        "requestResource": {"group": asked.group, "version": asked.version, "resource": asked.plural},
        "operation": operation_word(attributes.operation),
        "userInfo": user_info(attributes),
        "dryRun": attributes.options.dry_run,
        "options": options(attributes),
    });
    let mut set = |key: &str, value: &str| {
        if let Some(fields) = request.as_object_mut().filter(|_| !value.is_empty()) {
            fields.insert(key.to_owned(), value.into());
        }
    };
    set("name", name);
    // The namespace of a Namespace is itself.
    let is_namespace = asked.group.is_empty() && asked.plural == "namespaces";
    set("namespace", if is_namespace { name } else { &target.namespace });
    set("subResource", &target.subresource);
    set("requestSubResource", &target.subresource);
    request
}

/// The kind of the object: that of the resource, unless its subresource has another.
fn body_kind(kind: &Kind, subresource: &str) -> Value {
    match kind.subresource(subresource) {
        Some(below) => json!({"group": below.body.0, "version": below.body.1, "kind": below.body.2}),
        None => json!({"group": kind.group, "version": kind.version, "kind": kind.kind}),
    }
}

fn user_info(attributes: &Attributes<'_>) -> Value {
    let user = attributes.user;
    let mut info = Map::new();
    info.insert("username".to_owned(), user.name.clone().into());
    if !user.uid.is_empty() {
        info.insert("uid".to_owned(), user.uid.clone().into());
    }
    if !user.groups.is_empty() {
        info.insert("groups".to_owned(), json!(user.groups));
    }
    if !user.extra.is_empty() {
        info.insert("extra".to_owned(), json!(user.extra));
    }
    Value::Object(info)
}

/// How the request is carried out, as `CreateOptions`, `UpdateOptions` or `DeleteOptions`.
fn options(attributes: &Attributes<'_>) -> Value {
    let mut options = match attributes.deletion {
        Some(deletion) => serde_json::to_value(deletion).unwrap_or_default(),
        None => json!({}),
    };
    let kind = match attributes.operation {
        Operation::Create => "CreateOptions",
        Operation::Update => "UpdateOptions",
        Operation::Delete => "DeleteOptions",
        Operation::Connect => return Value::Null,
    };
    let Some(fields) = options.as_object_mut() else { return options };
    fields.insert("kind".to_owned(), kind.into());
    fields.insert("apiVersion".to_owned(), "meta.k8s.io/v1".into());
    if attributes.options.dry_run {
        fields.insert("dryRun".to_owned(), json!(["All"]));
    }
    if !attributes.options.field_manager.is_empty() && attributes.operation != Operation::Delete {
        fields.insert("fieldManager".to_owned(), (*attributes.options.field_manager).into());
    }
    options
}

/// The name of what the request is about: the path's, or that of an object that has one already.
pub(in super::super) fn name_of(attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> String {
    if !attributes.target.name.is_empty() {
        return attributes.target.name.clone().into_owned();
    }
    let metadata = object.map(AnyResource::metadata);
    let given = metadata.filter(|metadata| metadata.generate_name.as_deref().unwrap_or("").is_empty());
    given.and_then(|metadata| metadata.name.clone()).unwrap_or_default()
}

/// Reads and checks the answer.
///
/// # Errors
/// What is wrong with it, as the reason of a failed call.
pub(super) fn read_answer(body: &[u8], version: &str, uid: &str, phase: Phase) -> Result<Answer, String> {
    let envelope: Envelope =
        serde_json::from_slice(body).map_err(|error| format!("failed to call webhook: {error}"))?;
    let invalid = |why: String| format!("received invalid webhook response: {why}");
    let response = envelope.response.ok_or_else(|| invalid("webhook response was absent".to_owned()))?;
    let patch = response.patch.unwrap_or_default();
    let mut patch_type = response.patch_type;
    // The older version let webhooks leave out what says that the answer is meant for this question.
    if version == "v1" {
        if response.uid != uid {
            return Err(invalid(format!("expected response.uid={uid:?}, got {:?}", response.uid)));
        }
        let (group, version) = coracle_core::kind::split_api_version(&envelope.api_version);
        if (group, version, &*envelope.kind) != ("admission.k8s.io", "v1", "AdmissionReview") {
            let got = format!("{group}/{version}, Kind={}", envelope.kind);
            let expected = "admission.k8s.io/v1, Kind=AdmissionReview";
            return Err(invalid(format!("expected webhook response of {expected}, got {got}")));
        }
        let why = match (phase, patch.is_empty(), &patch_type) {
            (Phase::Mutating, false, None) => Some("webhook returned response.patch but not response.patchType"),
            (Phase::Mutating, true, Some(_)) => Some("webhook returned response.patchType but not response.patch"),
            (Phase::Validating, false, _) => Some("validating webhook may not return response.patch"),
            (Phase::Validating, true, Some(_)) => Some("validating webhook may not return response.patchType"),
            _ => None,
        };
        if let Some(why) = why {
            return Err(invalid(why.to_owned()));
        }
    } else {
        patch_type = Some("JSONPatch".to_owned());
    }
    use base64::Engine as _;
    let patch = base64::engine::general_purpose::STANDARD.decode(&patch);
    Ok(Answer {
        allowed: response.allowed,
        status: response.status,
        patch: patch.map_err(|error| format!("failed to call webhook: {error}"))?,
        patch_type: patch_type.unwrap_or_default(),
        annotations: response.audit_annotations.unwrap_or_default(),
        warnings: response.warnings.unwrap_or_default(),
    })
}

/// A webhook's refusal as the client reads it. Source: `plugin/webhook/errors.ToStatusErr`.
pub(super) fn refusal(webhook: &str, status: Option<meta::Status>) -> Status {
    let denied = format!("admission webhook {webhook:?} denied the request");
    let mut status = status.unwrap_or_default();
    status.code = Some(status.code.unwrap_or(0).max(400));
    status.status = Some("Failure".to_owned());
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    status.message = Some(match (text(&status.message), text(&status.reason)) {
        (Some(message), _) => format!("{denied}: {message}"),
        (None, Some(reason)) => format!("{denied}: {reason}"),
        (None, None) => format!("{denied} without explanation"),
    });
    status.into()
}
