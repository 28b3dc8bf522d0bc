//! What ResourceQuotas count, and how much of it there is. Pure; admission decides with it, the quota controller publishes it.
//!
//! | file | what it holds |
//! |---|---|
//! | `amounts` | amounts by resource name |
//! | `pod` | what a pod asks for in all |
//! | `usage` | what one object uses of the resources that quotas can limit |
//! | `scope` | which objects a quota with scopes is about |
//! | `ledger` | how much is used of each quota: kept up by the world with every change, never counted anew |
//!
//! Source: `pkg/quota/v1`.

mod amounts;
mod ledger;
mod pod;
mod scope;
#[cfg(test)]
mod tests;
mod usage;

pub use amounts::Amounts;
pub(crate) use ledger::Ledger;
pub use ledger::Used;
pub use pod::{PodAmounts, pod_limits, pod_requests};
pub use usage::is_extended;
