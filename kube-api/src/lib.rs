//! The API server as a library: one pipeline for every request, and the doors that speak HTTP.

pub mod read;
mod table {
    pub(crate) fn columns(_: &coracle_core::Kind) -> Vec<serde_json::Value> {
        Vec::new()
    }
    pub(crate) fn cells(_: &coracle_core::Object, _: jiff::Timestamp) -> Vec<serde_json::Value> {
        Vec::new()
    }
}
