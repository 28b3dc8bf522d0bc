//! How many replicas an object wants and has, whatever its kind: the `scale` view. Custom kinds have it at the paths that
//! their definition names. Source: apiextensions `customResource.scaleFromCustomResource`, registry `apps/*/storage`.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use k8s_openapi::api::core::v1::ReplicationController;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::Value;

use crate::custom::{Version, path_of};
use crate::kind::Kind;
use crate::object::Object;
use crate::selector::Selector;

/// The scale view of an object, if its kind, in the version asked, has one.
#[must_use]
pub fn scale(kind: &Kind, object: &Object) -> Option<Scale> {
    let (spec, status) = match &kind.custom {
        Some(version) => custom(version, object)?,
        None => builtin(object)?,
    };
    let metadata = object.metadata();
    Some(Scale {
        metadata: ObjectMeta {
            name: metadata.name.clone(),
            namespace: metadata.namespace.clone(),
            uid: metadata.uid.clone(),
            resource_version: metadata.resource_version.clone(),
            creation_timestamp: metadata.creation_timestamp.clone(),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        status: Some(status),
    })
}

fn custom(version: &Version, object: &Object) -> Option<(ScaleSpec, ScaleStatus)> {
    let paths = version.scale.as_ref()?;
    let json: Value = serde_json::from_slice(object.stored()).ok()?;
    let number =
        |path: &str| path_of(&json, path).and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok());
    let selector = paths.label_selector_path.as_deref().and_then(|path| path_of(&json, path));
    let status = ScaleStatus {
        replicas: number(&paths.status_replicas_path).unwrap_or(0),
        selector: selector.and_then(Value::as_str).map(str::to_owned),
    };
    Some((ScaleSpec { replicas: number(&paths.spec_replicas_path) }, status))
}

fn builtin(object: &Object) -> Option<(ScaleSpec, ScaleStatus)> {
    let text = |selector: &LabelSelector| Some(Selector::from_label_selector(Some(selector)).ok()?.to_string());
    let (spec, replicas, selector) = if let Some(object) = object.get::<Deployment>() {
        let spec = object.spec.as_ref()?;
        (spec.replicas, object.status.as_ref().and_then(|status| status.replicas), text(&spec.selector))
    } else if let Some(object) = object.get::<ReplicaSet>() {
        let spec = object.spec.as_ref()?;
        (spec.replicas, object.status.as_ref().map(|status| status.replicas), text(&spec.selector))
    } else if let Some(object) = object.get::<StatefulSet>() {
        let spec = object.spec.as_ref()?;
        (spec.replicas, object.status.as_ref().map(|status| status.replicas), text(&spec.selector))
    } else {
        let object = object.get::<ReplicationController>()?;
        let spec = object.spec.as_ref()?;
        let selector = spec.selector.as_ref().map(|labels| Selector::from_labels(labels).to_string());
        (spec.replicas, object.status.as_ref().map(|status| status.replicas), selector)
    };
    Some((ScaleSpec { replicas: spec }, ScaleStatus { replicas: replicas.unwrap_or(0), selector }))
}
