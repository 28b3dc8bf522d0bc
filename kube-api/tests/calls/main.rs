//! What the API server calls: webhooks and other API servers, over real TLS.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod admission;
mod aggregation;
mod cluster;
mod conversion;
mod hooks;
mod oidc;
mod policies;
mod records;
mod virtual_time;
