//! The three patches that say what to change: JSON patch, JSON merge patch, strategic merge patch. (The fourth, apply, says
//! what to have: see [`crate::apply`].)
//!
//! Source: apiserver `endpoints/handlers/patch.go`.

mod go;
mod json;
mod lists;
mod strategic;

pub use go::print as go_print;
pub use json::json;
pub use strategic::strategic;

use serde_json::Value;

/// Why a patch cannot be applied; each variant is an HTTP status. The text is what upstream's client sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// 400: the patch itself is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// 413: a JSON patch of too many operations.
    #[error("The allowed maximum operations in a JSON patch is {max}, got {given}", max = json::OPERATIONS_MAX)]
    TooManyOperations {
        /// How many there were.
        given: usize,
    },
    /// 422: a sound patch that does not fit this object.
    #[error("{0}")]
    Unprocessable(String),
    /// 500: upstream did not foresee that a client sends this, so neither must ours.
    #[error("{0}")]
    Internal(String),
}

/// JSON merge patch: objects merge, `null` deletes, everything else replaces. Source: RFC 7396.
pub fn merge(object: &mut Value, patch: &Value) -> Result<(), Error> {
    if !patch.is_object() {
        let kind = go::json_kind(patch);
        let text = format!(
            "error decoding patch: json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        );
        return Err(Error::BadRequest(text));
    }
    json_patch::merge(object, patch);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
