//! Which objects are meant: by their labels ([`Selector`]) or by a few of their fields ([`FieldSelector`]).
//!
//! - `label`: the label selector, its requirements, matching, and making one from API structs
//! - `parse`: its syntax on the wire: `app=web,tier notin (cache,db),!legacy`
//! - `fields`: field selectors: `metadata.name=x,spec.nodeName!=y`
//!
//! Source: apimachinery `pkg/labels`, `pkg/fields`, `pkg/apis/meta/v1/helpers.go`.

mod fields;
mod label;
mod parse;

pub use fields::{FieldRequirement, FieldSelector, FieldSelectorError, escape};
pub use label::{Labels, Operator, Requirement, Selector, SelectorError, label_selector_matches};
