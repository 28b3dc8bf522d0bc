//! The API over HTTP, against the real pipeline and the memory store.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod access;
mod admission;
mod any_body;
mod audit;
mod bad_inputs;
mod break_ins;
mod custom;
mod fairness;
mod harness;
mod kube_client;
mod load;
mod manifests;
mod network;
mod protobuf;
mod reads;
mod refusals;
mod rules;
mod streams;
mod watches;
