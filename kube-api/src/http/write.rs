//! Writes: from HTTP to a [`Request`], and from its outcome to an answer.

use std::sync::Arc;

use bytes::Bytes;
use coracle_core::{
    Action, Body as Content, Effect, GroupResource, Object, Options, Patch, Request, Status, Target, scale,
};
use http::{Response, StatusCode};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

use super::body::{Body, RequestBody, collect, to_json, yaml_to_json};
use super::negotiate::{self, Media, PatchType};
use super::options::{OptionsKind, delete_options, write_options};
use super::resources::Call;
use super::respond::{Answering, warn};
use crate::read::{Listing, Selection};

/// Kinds that an update may create. Source: the strategies' `AllowCreateOnUpdate` of upstream.
const CREATED_BY_UPDATE: [(&str, &str); 10] = [
    ("", "endpoints"),
    ("", "events"),
    ("", "limitranges"),
    ("", "services"),
    ("coordination.k8s.io", "leases"),
    ("events.k8s.io", "events"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("rbac.authorization.k8s.io", "roles"),
];

/// Kinds whose deletion answers with the object that was, not with a `Status`.
/// Source: the registries' `ReturnDeletedObject` of upstream.
const RETURNED_WHEN_DELETED: [(&str, &str); 11] = [
    ("", "persistentvolumeclaims"),
    ("", "persistentvolumes"),
    ("", "pods"),
    ("", "podtemplates"),
    ("", "resourcequotas"),
    ("", "serviceaccounts"),
    ("", "services"),
    ("storage.k8s.io", "csidrivers"),
    ("storage.k8s.io", "csinodes"),
    ("storage.k8s.io", "storageclasses"),
    ("storage.k8s.io", "volumeattachments"),
];

pub(super) async fn answer(call: Call<'_>, body: RequestBody) -> Result<Response<Body>, Status> {
    let answering = call.answering()?;
    match &*call.info.verb {
        "create" => {
            let (options, _) = write_options(OptionsKind::Create, call.query, call.headers)?;
            let json = to_json(content(&call)?, collect(body).await?, &call.kind)?;
            put(&call, &answering, Action::Create(Content::Json(json)), options).await
        }
        "update" => {
            let (mut options, _) = write_options(OptionsKind::Update, call.query, call.headers)?;
            let row = (&*call.kind.group, &*call.kind.plural);
            options.create_missing = call.info.subresource.is_empty() && CREATED_BY_UPDATE.contains(&row);
            let json = to_json(content(&call)?, collect(body).await?, &call.kind)?;
            put(&call, &answering, Action::Update(Content::Json(json)), options).await
        }
        "patch" => {
            let patch_type = negotiate::patch_type(call.headers)?;
            let kind = OptionsKind::Patch { apply: patch_type == PatchType::Apply };
            let (mut options, force) = write_options(kind, call.query, call.headers)?;
            options.create_missing = patch_type == PatchType::Apply && call.info.subresource.is_empty();
            let patch = patch(patch_type, collect(body).await?, force)?;
            put(&call, &answering, Action::Patch(patch), options).await
        }
        "delete" => {
            let (options, body) = deletion(&call, collect(body).await?)?;
            delete(&call, &answering, options, body).await
        }
        "deletecollection" => {
            let (options, body) = deletion(&call, collect(body).await?)?;
            delete_collection(&call, &answering, options, body).await
        }
        _ => Err(Status::method_not_allowed()),
    }
}

/// The form of a whole object that is sent.
fn content(call: &Call<'_>) -> Result<Media, Status> {
    negotiate::content(call.headers, negotiate::has_protobuf(&call.kind))
}

fn patch(patch_type: PatchType, body: Bytes, force: bool) -> Result<Patch, Status> {
    Ok(match patch_type {
        PatchType::Json => Patch::Json(body),
        PatchType::Merge => Patch::Merge(body),
        PatchType::Strategic => Patch::Strategic(body),
        PatchType::Apply => Patch::Apply { body: yaml_to_json(&body)?, force },
    })
}

/// What the call is about.
pub(super) fn target(call: &Call<'_>) -> Target {
    let (kind, info) = (&call.kind, call.info);
    Target {
        resource: kind.group_resource(),
        version: Some(kind.version.clone()),
        namespace: call.namespace().to_owned().into(),
        name: info.name.clone().into(),
        subresource: info.subresource.clone().into(),
    }
}

async fn execute(call: &Call<'_>, action: Action, options: Options) -> Result<coracle_core::Response, Status> {
    let options = Options { remarks: call.remarks.clone(), ..options };
    let request = Request { target: target(call), action, options, user: call.user.clone() };
    let reader = &call.server.reader;
    let mut outcome = reader.gateway().execute(request).await?;
    if let Some(object) = outcome.object.take() {
        outcome.object = reader.in_version(&call.kind, vec![object]).await?.pop();
    }
    outcome.objects = reader.in_version(&call.kind, outcome.objects).await?;
    Ok(outcome)
}

async fn put(
    call: &Call<'_>,
    answering: &Answering,
    action: Action,
    options: Options,
) -> Result<Response<Body>, Status> {
    let outcome = execute(call, action, options).await?;
    let is_created = outcome.effect == Effect::Created || call.info.verb == "create";
    let code = if is_created { StatusCode::CREATED } else { StatusCode::OK };
    // Orders are answered with a Status, whatever they changed.
    let is_order = matches!(&*call.info.subresource, "binding" | "eviction") || call.kind.kind == "Binding";
    let is_scale = call.info.subresource == "scale";
    let scaled = outcome.object.as_deref().filter(|_| is_scale).and_then(|object| scale(&call.kind, object));
    let mut response = match &outcome.object {
        Some(_) if scaled.is_some() => answering.value(code, &scaled)?,
        Some(object) if call.info.subresource == "token" => answering.value(code, &object.get::<TokenRequest>())?,
        Some(object) if !is_order => answering.object(code, object)?,
        _ => {
            let code_number = Some(i32::from(code.as_u16()));
            answering.value(code, &meta::Status { code: code_number, ..success() })?
        }
    };
    warn(&mut response, &outcome.warnings);
    Ok(response)
}

fn deletion(call: &Call<'_>, body: Bytes) -> Result<(Options, meta::DeleteOptions), Status> {
    let json = if body.is_empty() { body } else { to_json(negotiate::content(call.headers, true)?, body, &call.kind)? };
    let options = delete_options(call.query, &json)?;
    let dry_run = options.dry_run.as_ref().is_some_and(|values| !values.is_empty());
    Ok((Options { dry_run, ..Options::default() }, options))
}

async fn delete(
    call: &Call<'_>,
    answering: &Answering,
    options: Options,
    how: meta::DeleteOptions,
) -> Result<Response<Body>, Status> {
    let waits = how.orphan_dependents == Some(false) || how.propagation_policy.as_deref() == Some("Foreground");
    let outcome = execute(call, Action::Delete(how), options).await?;
    let is_gone = outcome.effect == Effect::Deleted;
    let code = if !is_gone && waits { StatusCode::ACCEPTED } else { StatusCode::OK };
    let row = (&*call.kind.group, &*call.kind.plural);
    let mut response = match &outcome.object {
        Some(object) if !is_gone || RETURNED_WHEN_DELETED.contains(&row) => answering.object(code, object)?,
        object => answering.value(code, &deleted(call, object.as_ref()))?,
    };
    warn(&mut response, &outcome.warnings);
    Ok(response)
}

/// Says what is gone.
fn deleted(call: &Call<'_>, object: Option<&Arc<Object>>) -> meta::Status {
    let resource: GroupResource = call.kind.group_resource();
    let details = meta::StatusDetails {
        name: Some(call.info.name.clone()),
        group: Some(resource.group.into_owned()).filter(|group| !group.is_empty()),
        kind: Some(resource.resource.into_owned()),
        uid: object.map(|object| object.uid().to_owned()),
        ..meta::StatusDetails::default()
    };
    meta::Status { details: Some(details), ..success() }
}

fn success() -> meta::Status {
    meta::Status { status: Some("Success".to_owned()), ..meta::Status::default() }
}

async fn delete_collection(
    call: &Call<'_>,
    answering: &Answering,
    options: Options,
    how: meta::DeleteOptions,
) -> Result<Response<Body>, Status> {
    let list_options = call.query.list_options(false)?;
    // Refuses fields that the kind has not.
    Selection::new(call.kind.clone(), call.namespace(), &list_options)?;
    let action = Action::DeleteCollection { options: how, labels: list_options.labels, fields: list_options.fields };
    let outcome = execute(call, action, options).await?;
    let revision = call.server.reader.gateway().feed().world().revision();
    let listing = Listing { objects: outcome.objects, revision, continue_token: None, remaining: None };
    let mut response = answering.list(listing)?;
    warn(&mut response, &outcome.warnings);
    Ok(response)
}
