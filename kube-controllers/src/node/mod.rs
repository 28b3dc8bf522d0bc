//! What follows from the state of nodes: `lifecycle` for nodes that fall silent, `taints` for what keeps pods away from them,
//! `zones` for how fast they are emptied, `eviction` for pods that may not stay. Source: `pkg/controller/nodelifecycle`, `pkg/controller/tainteviction`.

mod eviction;
mod lifecycle;
mod taints;
#[cfg(test)]
mod tests;
mod zones;

pub use eviction::TaintEviction;
pub use lifecycle::NodeLifecycle;
