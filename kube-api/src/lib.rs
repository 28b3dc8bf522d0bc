//! The API server as a library: one pipeline for every request, and the doors that speak HTTP.
//!
//! | module | what it holds |
//! |---|---|
//! | [`pipeline`] | the one way in: decode, default, admit, validate, stamp, commit |
//! | [`admission`] | what is decided about a change before it is made |
//! | [`allocator`] | the addresses and ports of Services |
//! | [`recorder`] | Events: counted, limited, stored |
//! | [`auth`] | who asks, what they may do, tokens and reviews |
//! | [`certificates`] | certificates that clients ask for |
//! | [`audit`] | what happened: who asked what |
//! | [`fairness`] | priority and fairness of requests |
//! | [`client`], [`manifest`] | the typed `Api<K>` for Rust programs; YAML files |
//! | [`read`] | get, list and watch |
//! | [`custom`] | kinds that are defined while the cluster runs |
//! | [`http`](mod@http) | the API over HTTP, in process and over the network |
//! | [`aggregation`] | other API servers behind this one |
//! | [`spdy`] | the multiplexed connections of older clients and of port forwarding |
//! | [`outbound`] | calls to webhooks and to other API servers |
//! | [`table`] | what `kubectl get` shows |
//! | [`openapi`] | what the API looks like, for clients that ask |

pub mod admission;
pub mod aggregation;
pub mod allocator;
pub mod audit;
pub mod auth;
pub mod certificates;
pub mod client;
pub mod custom;
pub mod fairness;
pub mod http;
pub mod manifest;
pub mod openapi;
pub mod outbound;
pub mod pipeline;
pub mod read;
pub mod recorder;
pub mod spdy;
pub mod table;

pub use admission::Admission;
pub use client::{Api, Client};
pub use pipeline::{Ledger, Pipeline, Settings};
