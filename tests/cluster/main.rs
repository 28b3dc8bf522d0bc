//! Whole clusters, in process and mostly in virtual time. What real clients see is in `tests/clients/`, what faults do in
//! `tests/seeds/`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and its kinds are its own"
)]

mod autoscaling;
mod certificates;
mod custom_kinds;
mod ecosystem;
mod quota;
mod virtual_time;
mod workloads;
