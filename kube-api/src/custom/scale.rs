//! Scaling custom kinds: the wanted number goes to the path that the definition names.

use coracle_core::custom::Version;
use coracle_core::{AnyResource, Codec, Status};
use serde_json::{Map, Value};

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
