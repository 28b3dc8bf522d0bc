//! Custom resource definitions: a kind that is made while the cluster runs, as data and functions.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Structural`] | a structural schema, ready to be walked |
//! | `prune`, `defaulting`, `embedded`, `check`, `lists`, `formats` | what is done with an object along it |
//! | [`Version`] | one served version: what its objects go through on their way in and out |
//! | [`CustomObject`] | an object of which only the metadata is typed |
//! | `rows` | the rows of the kinds table that a definition stands for |
//! | `definition` | the rules of definitions themselves |
//! | [`names`] | who may have which name, and what the status says of it |
//! | `declared`, `rules`, `field_path` | CEL rules: the schema as they see it, compiled rules, where their errors stand |
//! | `types` | a structural schema as a [`Schema`](crate::schema::Schema), for strict decoding and server-side apply |
//!
//! Formats without a check of their own (`isbn`, `ssn` and the like) accept any string.
//!
//! Source: `apiextensions-apiserver` `pkg/apiserver/schema`, kube-openapi `validation/validate`.

mod check;
mod declared;
mod defaulting;
mod definition;
mod embedded;
mod field_path;
mod formats;
mod lists;
pub mod names;
mod object;
mod prune;
mod rows;
mod rules;
mod structural;
mod types;
mod version;

#[cfg(test)]
mod tests;

pub(crate) use formats::fits;
pub use object::CustomObject;
pub use rows::{after_change, is_established, place_of, rows};
pub use structural::Structural;
pub use version::{Version, path_of};
