//! The object in the version that a webhook or a policy wants, and what it made of it.

use coracle_core::custom::CustomObject;
use coracle_core::rules;
use coracle_core::{AnyResource, Codec, Kind, Object, Status, convert};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::Binding;
use k8s_openapi::api::policy::v1::Eviction;
use serde_json::Value;

use super::{Attributes, Operation};

/// The object as it is kept, for comparisons.
pub(super) fn plain(object: &dyn AnyResource) -> Result<Value, Status> {
    parse(&object.encode().map_err(Status::internal)?)
}

pub(super) fn parse(json: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(json).map_err(Status::internal)
}

/// The kind of a subresource's own body, if it has one.
fn own_body<'a>(kind: &'a Kind, subresource: &str) -> Option<&'a str> {
    let body = &kind.subresource(subresource)?.body;
    let is_whole = body.0 == kind.group && body.2 == kind.kind;
    (!is_whole).then_some(&*body.2)
}

/// The object in the version that is wanted.
pub(super) async fn outgoing(
    attributes: &Attributes<'_>,
    wanted: &Kind,
    object: &dyn AnyResource,
) -> Result<Value, Status> {
    let mut json = served(attributes, wanted, plain(object)?).await?;
    // The server's own fields are set after mutation, as far as clients can tell. Connects have no metadata at all.
    if attributes.operation == Operation::Connect {
        remove(&mut json, &["metadata"]);
    }
    Ok(json)
}

/// The version before the change in the version that is wanted.
pub(super) async fn outgoing_old(attributes: &Attributes<'_>, wanted: &Kind, old: &Object) -> Result<Value, Status> {
    served(attributes, wanted, parse(&old.json())?).await
}

async fn served(attributes: &Attributes<'_>, wanted: &Kind, json: Value) -> Result<Value, Status> {
    if own_body(attributes.kind, &attributes.target.subresource).is_some() {
        return Ok(json);
    }
    in_version(attributes, wanted, json).await
}

/// A kept object in a version.
pub(super) async fn in_version(attributes: &Attributes<'_>, wanted: &Kind, mut json: Value) -> Result<Value, Status> {
    if crate::custom::needs_webhook(wanted) {
        let converter = crate::custom::Converter::new(attributes.outbound, attributes.entropy, attributes.world);
        json = converter.convert(wanted, vec![json]).await?.pop().unwrap_or_default();
    }
    convert::from_storage(wanted, &mut json);
    Ok(json)
}

fn remove(json: &mut Value, names: &[&str]) {
    let fields = json.as_object_mut();
    fields.into_iter().for_each(|fields| names.iter().for_each(|name| drop(fields.remove(*name))));
}

/// Takes in what was made of the object: defaults are filled in, the server's own fields stay as they were.
pub(super) async fn incoming(
    attributes: &Attributes<'_>,
    wanted: &Kind,
    mut json: Value,
    object: &mut dyn AnyResource,
) -> Result<(), Status> {
    let kind = attributes.kind;
    let kept = attributes.world.kinds().storage(&kind.storage).filter(|_| !kind.is_storage_version());
    let kept: &Kind = kept.map_or(kind, |kept| &**kept);
    let codec = match own_body(kind, &attributes.target.subresource) {
        Some(body) => body_codec(body)?,
        None => {
            if let Some(custom) = &wanted.custom {
                custom.complete(&mut json);
            }
            if crate::custom::needs_webhook(wanted) && wanted.version != kind.version {
                let converter =
                    crate::custom::Converter::new(attributes.outbound, attributes.entropy, attributes.world);
                json = converter.convert(kind, vec![json]).await?.pop().unwrap_or_default();
            } else {
                convert::to_storage(wanted, &mut json);
            }
            kept.codec
        }
    };
    let mut value = codec.decode(json.to_string().as_bytes()).map_err(Status::internal)?;
    if let Some(rules) = rules::lookup(&kept.group, &kept.version, &kept.kind) {
        (rules.default)(value.as_any_mut());
    }
    keep_system_fields(&mut *value, object);
    if object.assign(value) {
        return Ok(());
    }
    Err(Status::internal("a webhook made another kind of the object"))
}

fn keep_system_fields(new: &mut dyn AnyResource, old: &dyn AnyResource) {
    let (new, old) = (new.metadata_mut(), old.metadata());
    new.uid.clone_from(&old.uid);
    new.creation_timestamp.clone_from(&old.creation_timestamp);
    new.deletion_timestamp.clone_from(&old.deletion_timestamp);
    new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    new.generation = old.generation;
    new.resource_version.clone_from(&old.resource_version);
}

/// How the bodies of subresources are read.
fn body_codec(kind: &str) -> Result<Codec, Status> {
    match kind {
        "Scale" => Ok(Codec::of::<Scale>()),
        "Binding" => Ok(Codec::of::<Binding>()),
        "Eviction" => Ok(Codec::of::<Eviction>()),
        "TokenRequest" => Ok(Codec::of::<TokenRequest>()),
        // What a connection is asked for.
        options if options.ends_with("Options") => Ok(Codec::of::<CustomObject>()),
        other => Err(Status::internal(format!("a webhook may not change a {other}"))),
    }
}
