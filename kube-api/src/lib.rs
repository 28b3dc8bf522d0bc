//! The API server as a library: one pipeline for every request, and the doors that speak HTTP.
//!
//! | module | what it holds |
//! |---|---|
//! | [`pipeline`] | the one way in: decode, default, admit, validate, stamp, commit |
//! | [`admission`] | what is decided about a change before it is made |
//! | [`allocator`] | the addresses and ports of Services |
//! | [`recorder`] | Events: counted, limited, stored |
//! | [`client`] | the typed `Api<K>` for Rust programs |
//! | [`table`] | what `kubectl get` shows |

pub mod admission;
pub mod allocator;
pub mod client;
pub mod pipeline;
pub mod recorder;
pub mod table;

pub use admission::Admission;
pub use client::{Api, Client};
pub use pipeline::{Ledger, Pipeline, Settings};
