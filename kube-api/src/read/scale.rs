//! The scale of what has replicas, as autoscalers and `kubectl scale` read it.

use coracle_core::selector::Selector;
use coracle_core::{Kind, Object, Status};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use k8s_openapi::api::core::v1::ReplicationController;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

/// The scale of an object. Source: `autoscaling/v1` Scale.
///
/// # Errors
/// 404 if the kind has no scale.
pub fn scale_of(kind: &Kind, object: &Object) -> Result<Scale, Status> {
    let Some((desired, observed, selector)) = replicas(object) else {
        return Err(Status::not_found(&kind.group_resource(), object.name()));
    };
    let metadata = object.metadata();
    let metadata = ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        creation_timestamp: metadata.creation_timestamp.clone(),
        ..ObjectMeta::default()
    };
    let status = ScaleStatus { replicas: observed, selector: Some(selector).filter(|text| !text.is_empty()) };
    Ok(Scale { metadata, spec: Some(ScaleSpec { replicas: desired }), status: Some(status) })
}

/// Desired and observed replicas, and the selector of their pods as text.
fn replicas(object: &Object) -> Option<(Option<i32>, i32, String)> {
    if let Some(it) = object.get::<Deployment>() {
        let spec = it.spec.as_ref()?;
        let observed = it.status.as_ref().and_then(|status| status.replicas).unwrap_or(0);
        return Some((spec.replicas, observed, text(&spec.selector)));
    }
    if let Some(it) = object.get::<ReplicaSet>() {
        let spec = it.spec.as_ref()?;
        return Some((spec.replicas, it.status.as_ref().map_or(0, |status| status.replicas), text(&spec.selector)));
    }
    if let Some(it) = object.get::<StatefulSet>() {
        let spec = it.spec.as_ref()?;
        return Some((spec.replicas, it.status.as_ref().map_or(0, |status| status.replicas), text(&spec.selector)));
    }
    let it = object.get::<ReplicationController>()?;
    let spec = it.spec.as_ref()?;
    let selector = Selector::from_labels(spec.selector.iter().flatten()).to_string();
    Some((spec.replicas, it.status.as_ref().map_or(0, |status| status.replicas), selector))
}

fn text(selector: &LabelSelector) -> String {
    Selector::from_label_selector(Some(selector)).map(|selector| selector.to_string()).unwrap_or_default()
}
