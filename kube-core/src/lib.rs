//! The facts of a Kubernetes: kinds, objects, selectors, patches, defaults, validation, the world. No I/O, no clock.
//!
//! | module | what it holds |
//! |---|---|
//! | [`kind`], `table`, [`convert`] | kinds as rows of a table; one object in several versions |
//! | [`resource`], [`object`] | any object behind one face; one version of one object, shared |
//! | [`world`], [`feed`] | everything at one revision, as a value; the running copy and its journals |
//! | [`request`], [`status`], [`event`] | a wish for change, a refusal, a thing to tell people |
//! | [`revision`], [`time`] | the order of changes; clock, ids and randomness as given things |
//! | [`quantity`], [`selector`], [`field`], [`rules`] | the vocabulary of specs; defaults and validation per kind |
//! | [`scale`](mod@scale), [`metrics`] | how many replicas any object wants and has; what is measured of them |
//! | [`rbac`], [`quota`], [`limits`], [`pod_security`] | who may do what, how much of it, and what pods may ask for |
//! | [`disruption`] | what an eviction costs the budgets of its pod |
//! | [`placement`], [`volume`], [`schedule`] | which nodes a pod accepts and bears; which volumes a claim does; when a CronJob is due |
//! | [`custom`] | kinds that are defined while the cluster runs: their schemas and the rules of definitions |
//! | [`cel`] | expressions, type-checked and metered |
//! | [`schema`], [`strict`], [`patch`], [`apply`] | the type graph, and what is done with JSON along it |
//! | [`protobuf`] | the form in which typed clients of Go send and want objects |

pub mod apply;
pub mod cel;
pub mod convert;
pub mod custom;
pub mod disruption;
pub mod event;
pub mod feed;
pub mod field;
pub mod kind;
pub mod limits;
pub mod metrics;
pub mod object;
pub mod patch;
pub mod placement;
pub mod pod_security;
pub mod protobuf;
pub mod quantity;
pub mod quota;
pub mod rbac;
pub mod remarks;
pub mod request;
pub mod resource;
pub mod revision;
pub mod rules;
pub mod scale;
pub mod schedule;
pub mod schema;
pub mod selector;
pub mod status;
pub mod strict;
mod table;
pub mod time;
pub mod volume;
pub mod world;

pub use event::{Happening, Severity};
pub use feed::{Event, Feed, Lagged, Subscription, any_changed};
pub use kind::{GroupResource, Kind, Kinds, Subresource};
pub use metrics::Metrics;
pub use object::{Object, ObjectKey, ObjectRef};
pub use remarks::Remarks;
pub use request::{
    Action, Body, Edit, Effect, FieldValidation, Gateway, Options, Patch, Request, Response, Target, User,
};
pub use resource::{AnyResource, Codec, Resource};
pub use revision::Revision;
pub use scale::scale;
pub use status::{Reason, Status};
pub use time::{Clock, Entropy};
pub use world::World;
