//! The node: a pod as a state machine, probes, volumes, and the runtimes that run containers.
//!
//! | module | what it holds |
//! |---|---|
//! | [`pod`] | a pod's life without I/O: observation, step, outcome, status, admission |
//! | [`environment`], [`volumes`] | what a container finds when it starts |
//! | [`probe`] | when a probe is due, what its results mean, and how it asks |
//! | [`agent`] | a running node: mailbox, router, jobs, heartbeats, registration |
//! | [`streams`] | the way to a pod's logs and commands |
//! | `usage` | what pods use, as far as their runtimes can tell |
//! | [`runtime`], [`runtimes`] | the door to whatever runs containers; processes, functions, a simulation |

pub mod agent;
pub mod environment;
pub mod pod;
pub mod probe;
pub mod runtime;
pub mod runtimes;
pub mod streams;
mod usage;
pub mod volumes;
