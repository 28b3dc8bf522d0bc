//! Values as JSON, for what is given back or shown.

use base64::Engine as _;
use serde_json::Value as Json;

use super::{Map, Value};
use crate::cel::library::show_duration;

impl Value<'_> {
    /// The value as JSON. Empty optionals are left out, keys become text.
    ///
    /// `None` for types, and for what only functions can look into.
    #[must_use]
    pub fn to_json(&self) -> Option<Json> {
        Some(match self {
            Self::Null => Json::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Uint(value) => (*value).into(),
            Self::Double(value) => (*value).into(),
            Self::String(text) => Json::String(text.to_string()),
            Self::Bytes(bytes) => base64::engine::general_purpose::STANDARD.encode(bytes).into(),
            Self::Timestamp(moment) => moment.to_string().into(),
            Self::Duration(nanoseconds) => show_duration(*nanoseconds).into(),
            Self::List(list) => list.iter().map(|item| item.to_json()).collect::<Option<_>>()?,
            Self::Map(Map::Json(fields, _)) => Json::Object((*fields).clone()),
            Self::Map(map) => {
                let name = |key: &Value<'_>| match key {
                    Value::String(text) => Some(text.to_string()),
                    other => other.to_json().map(|json| json.to_string()),
                };
                let entries = map.entries().into_iter().filter(|(_, value)| !matches!(value, Value::Optional(None)));
                Json::Object(entries.map(|(key, value)| Some((name(&key)?, value.to_json()?))).collect::<Option<_>>()?)
            }
            Self::Optional(Some(value)) => value.to_json()?,
            Self::Optional(None) => Json::Null,
            Self::Type(_) | Self::Opaque(_) => return None,
        })
    }
}
