//! Role-based access control: does what is bound to a user allow what they ask? Pure: a [`World`](crate::World) in, an answer out.
//!
//! | file | what it holds |
//! |---|---|
//! | `access` | what is asked, as every authorizer judges it |
//! | `rule` | whether one rule allows it |
//! | `bindings` | the index of bindings by whom they bind |
//! | `decide` | a user's grants, and the decision |
//! | `cover` | whether the rules of one make up for the rules of another: nobody grants what they have not |
//! | `aggregate` | ClusterRoles that gather the rules of others |
//! | `defaults` | the roles and bindings that every serving cluster has |
//! | `reconcile` | what those that are there already lack |
//!
//! Source: `plugin/pkg/auth/authorizer/rbac`, `pkg/registry/rbac/validation`.

mod access;
mod aggregate;
mod bindings;
mod cover;
mod decide;
mod defaults;
mod reconcile;
mod rule;
#[cfg(test)]
mod tests;

pub use access::{Access, Place, What};
pub use aggregate::aggregated_rules;
pub use bindings::Bindings;
pub use cover::{describe_missing, everything, missing, quoted};
pub use decide::{Verdict, authorize, role_rules, rules_of};
pub use defaults::{default_bindings, default_roles};
pub use reconcile::{complete_binding, complete_role};
pub use rule::allows;

/// The API group of roles and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";
/// Members may do everything, whatever the rules say.
pub const MASTERS: &str = "system:masters";
