//! Controllers: the traits, and one planner per kind. No I/O, no clock, no memory: facts in, requests out.
//!
//! | module | what it holds |
//! |---|---|
//! | [`controller`], [`watches`], [`context`] | what an embedder implements, what wakes it, and what it may do |
//! | [`planner`], [`plan`] | the pure form of a controller, and what it decides, as a value |
//! | [`erased`] | any controller behind one face, as the driver runs it |
//! | [`replica_set`], [`deployment`], [`stateful_set`], [`daemon_set`] | workloads |
//! | [`garbage`], [`namespace`], [`defaults`] | what goes with its owner or namespace, what comes with a namespace |
//! | [`job`], [`cron_job`], [`time_to_live`] | work that ends, work by the clock, and what is deleted when it is old |
//! | [`endpoints`] | where the traffic of a Service goes |
//! | [`persistent_volume`] | which volume a claim gets, and who makes volumes |
//! | [`storage_protection`] | claims and volumes that stay until nobody uses them |
//! | [`node`], [`pod_garbage`] | what follows from the state of nodes, and what nobody else cleans up |
//! | [`cloud`] | machines by demand, and what else a cloud gives |
//! | [`horizontal_pod_autoscaler`] | as many replicas as metrics ask for |
//! | [`disruption_budget`], [`resource_quota`] | how many pods may be evicted, how much is used of quotas |
//! | [`cluster_role_aggregation`] | roles that gather the rules of others |
//! | [`policy_types`] | what types of kinds say of the expressions of policies |
//! | [`builtin`](mod@builtin) | all of them |
//! | [`pods`], [`ownership`], [`victims`], [`template_hash`], [`history`], [`disruption`] | what several planners share |

pub mod builtin;
pub mod cloud;
pub mod cluster_role_aggregation;
pub mod context;
pub mod controller;
pub mod cron_job;
pub mod daemon_set;
pub mod defaults;
pub mod deployment;
pub mod disruption;
pub mod disruption_budget;
pub mod endpoints;
pub mod erased;
pub mod garbage;
pub mod history;
pub mod horizontal_pod_autoscaler;
pub mod job;
pub mod namespace;
pub mod node;
pub mod ownership;
pub mod persistent_volume;
pub mod plan;
pub mod planner;
pub mod pod_garbage;
pub mod pods;
pub mod policy_types;
mod portion;
pub mod replica_set;
pub mod resource_quota;
pub mod stateful_set;
pub mod storage_protection;
pub mod template_hash;
#[cfg(test)]
mod testing;
pub mod time_to_live;
pub mod victims;
pub mod watches;

pub use builtin::{Options, builtin};
pub use cloud::Cloud;
pub use context::Context;
pub use controller::{Controller, Error, Next};
pub use erased::{ErasedController, erase};
pub use persistent_volume::Provisioner;
pub use plan::{Announcement, Plan, Step, Wish, carry_out};
pub use planner::Planner;
pub use watches::Watches;
