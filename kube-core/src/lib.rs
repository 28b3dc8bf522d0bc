//! The facts of a Kubernetes: kinds, objects, selectors, patches, defaults, validation, the world. No I/O, no clock.

pub mod apply;
pub mod field;
pub mod patch;
pub mod quantity;
pub mod revision;
pub mod rules;
pub mod schema;
pub mod selector;
pub mod strict;

pub use revision::Revision;
