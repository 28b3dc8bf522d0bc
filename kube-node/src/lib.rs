//! The node: a pod as a state machine, probes, volumes, and the runtimes that run containers.

pub mod runtime;
pub mod runtimes;
