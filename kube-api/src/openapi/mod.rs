//! Tells clients what the API looks like: OpenAPI v3 per group version, and all of it as OpenAPI v2.
//!
//! | module | what it holds |
//! |---|---|
//! | [`OpenApi`] | the documents of one set of kinds, each made when first asked for |
//! | `dialect` | where v2 and v3 say the same thing differently |
//! | `schema` | a definition of the API as a JSON schema, with what a merge needs to know |
//! | `paths` | the operations on a kind |
//! | `protobuf` | v2 in the encoding that kubectl reads it in |
//! | `serve` | the answers to HTTP requests |
//!
//! What each client reads: `kubectl explain` and validation take v3 since 1.27; before, and as a fallback, they take v2 in
//! protobuf only. Client generators take v2 or v3 as JSON. Source: kube-openapi `builder`, `builder3`.

mod dialect;
mod documents;
mod paths;
mod protobuf;
mod schema;
mod serve;
#[cfg(test)]
mod tests;

pub use documents::{Document, OpenApi};
pub use serve::Published;
pub(crate) use serve::answer_v2;
