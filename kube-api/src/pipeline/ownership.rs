//! Managed fields: who owns which part of an object.
//!
//! Requests from outside name a manager and are tracked; requests from inside the process are tracked only for objects that
//! have owners already. Source: apiserver `managedfields`.

use coracle_core::{AnyResource, Object, Status};
use jiff::Timestamp;
use serde_json::Value;

use super::Call;

impl Call<'_> {
    /// Notes who owns what a write changes.
    pub(super) fn own(&self, old: Option<&Object>, new: &mut dyn AnyResource, now: &Timestamp) -> Result<(), Status> {
        let _ = (old, new, now);
        Ok(())
    }

    pub(super) fn check_applied(&mut self, _body: &bytes::Bytes, _applied: &Value) -> Result<(), Status> {
        Ok(())
    }

    pub(super) fn applied(
        &self,
        _live: Option<&Value>,
        _applied: &Value,
        _force: bool,
        _now: Timestamp,
    ) -> Result<Value, Status> {
        Err(Status::internal("not yet"))
    }
}
