//! A Kubernetes that a Rust program carries inside itself.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use coracle::{Cluster, Node};
//!
//! let cluster = Cluster::builder().nodes(3, Node::simulated()).start().await?;
//! let pods = cluster.api().namespaced::<coracle::k8s_openapi::api::core::v1::Pod>("default");
//! println!("{} pods", pods.list().len());
//! cluster.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`Cluster`], [`Builder`] | a running cluster as a value, and the sentence that makes one |
//! | `parts` | the running parts, in the order in which they may be stopped |
//! | `metrics` | numbers for Prometheus |
//! | `driver` | runs controllers: queues, retries, back-off |
//! | `scheduling` | runs the scheduler |
//! | `identity` | others who tell who asks and what they may |
//! | `serving`, `streams` | the cluster on a socket; logs and commands of its pods |
//! | `certificates` | who signs CertificateSigningRequests |
//! | [`kinds`] | custom kinds from Rust types |
//! | `bootstrap` | what every cluster has before anyone asks |
//! | [`simulation`] | whole clusters from a seed, with faults |
//! | [`clock`] | system time and virtual time |
//! | `local_volumes` | volumes that are folders of this machine |
//! | [`SimulatedCloud`], [`Machines`] | machines by demand; nodes that come and go |

mod bootstrap;
mod builder;
mod certificates;
pub mod clock;
mod cloud;
mod cluster;
mod driver;
mod error;
mod identity;
pub mod kinds;
mod local_volumes;
mod machines;
mod metrics;
mod parts;
mod scheduling;
mod serving;
pub mod simulation;
mod streams;
mod tokens;

pub use builder::Builder;
pub use cloud::SimulatedCloud;
pub use cluster::{Cluster, Shutdown};
pub use driver::Metrics;
pub use error::Error;
pub use machines::Machines;

pub use coracle_api::client::Change;
pub use coracle_api::{Admission, Api, Client};
pub use coracle_controllers::{Cloud, Context, Controller, Next, Plan, Planner, Provisioner, Watches};
pub use coracle_core::{
    Clock, GroupResource, Happening, Object, ObjectKey, Patch, Request, Resource, Response, Revision, Severity, Status,
    Target, World,
};
pub use coracle_node::agent::Node;
pub use coracle_node::runtime::{self, Runtime};
pub use coracle_sched::{Decision, Scheduler, Snapshot};
pub use coracle_store::{Memory, Store};

pub use k8s_openapi;
pub use {coracle_api as api, coracle_controllers as controllers, coracle_core as core, coracle_node as node};
pub use {coracle_sched as sched, coracle_store as store};
