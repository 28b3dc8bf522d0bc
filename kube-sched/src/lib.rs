//! Placing pods on nodes, as data and functions. No I/O, no clock: time and randomness are arguments.
//!
//! | module | what it holds |
//! |---|---|
//! | [`decision`] | the door: [`Scheduler`], one pod in, one [`Decision`] out |
//! | [`snapshot`] | what is known of the cluster, kept up event by event |
//! | [`queue`] | who is next, who waits for what, and who is to be woken |
//! | [`framework`] | the default scheduler; [`plugins`] of single nodes, `topology` of pods among each other, `preemption` |
//! | [`shape`], [`pod`], [`resources`] | what pods ask for; what pods of one template share |
//! | `ranking` | all nodes by score, per shape, kept up as nodes change: why this is fast |
//! | [`verdict`], [`explain`] | why not, in upstream's words; and why, for people |
//!
//! A driver turns events into changes, and hands them on:
//!
//! ```text
//! event ─► Snapshot::apply ─► Change ─► Queue::apply
//! Queue::pop ─► Scheduler::schedule ─► Bind: Snapshot::assume, send the binding; then Queue::done, or, if it failed,
//!                                   │        Snapshot::forget, Queue::apply(that change), Queue::retry
//!                                   └► Wait: tell people, Queue::wait
//! ```

pub mod decision;
pub mod explain;
pub mod framework;
pub mod plugins;
pub mod pod;
mod preemption;
pub mod queue;
mod ranking;
mod rankings;
pub mod resources;
pub mod shape;
pub mod snapshot;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod topology;
pub mod verdict;

pub use decision::{Decision, Scheduler};
pub use explain::{Explanation, explain};
pub use framework::{Framework, Plugins, Sampling};
pub use pod::PodInfo;
pub use queue::Queue;
pub use shape::Shape;
pub use snapshot::{Change, NodeInfo, Snapshot};
pub use topology::volumes::{BINDING as VOLUME_BINDING, open_claims};
pub use verdict::{Rejection, Unschedulable};

/// The scheduler that places pods that name none.
pub const DEFAULT_SCHEDULER: &str = "default-scheduler";
