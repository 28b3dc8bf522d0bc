//! The scale of custom kinds: numbers at the paths that the definition names. Source: apiextensions
//! `customresource.scaleFromCustomResource`.

use coracle_core::custom::{Version, path_of};
use coracle_core::{AnyResource, Codec, Object, Status};
use k8s_openapi::api::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value};

/// The scale view of an object; `None` if its definition has none.
pub(crate) fn read_scale(version: &Version, object: &Object) -> Option<Scale> {
    let paths = version.scale.as_ref()?;
    let json: Value = serde_json::from_slice(object.stored()).ok()?;
    let number =
        |path: &str| path_of(&json, path).and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok());
    let selector = paths.label_selector_path.as_deref().and_then(|path| path_of(&json, path));
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
        spec: Some(ScaleSpec { replicas: number(&paths.spec_replicas_path) }),
        status: Some(ScaleStatus {
            replicas: number(&paths.status_replicas_path).unwrap_or(0),
            selector: selector.and_then(Value::as_str).map(str::to_owned),
        }),
    })
}

/// Writes the wanted number where the definition has it.
///
/// # Errors
/// 404 if the definition has no scale; 500 if something that is no object is in the way.
pub(crate) fn set_replicas(
    version: &Version,
    codec: Codec,
    value: &dyn AnyResource,
    replicas: i32,
) -> Result<Box<dyn AnyResource>, Status> {
    let path = &version.scale.as_ref().ok_or_else(Status::no_such_path)?.spec_replicas_path;
    let json = value.encode().map_err(Status::internal)?;
    let mut object: Value = serde_json::from_slice(&json).map_err(Status::internal)?;
    let mut place = &mut object;
    for name in path.trim_start_matches('.').split('.') {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let fields = place.as_object_mut().ok_or_else(|| Status::internal(format!("{path} leads through a scalar")))?;
        place = fields.entry(name).or_insert(Value::Null);
    }
    *place = replicas.into();
    codec.decode(object.to_string().as_bytes()).map_err(Status::internal)
}
