//! Simulated nodes by the dozen.

use super::SimulatedRuntime;
use crate::agent::Node;

impl Node {
    /// Makes simulated nodes `node-0`, `node-1` and so on, each with 32 CPUs, 128 GiB and room for 110 pods. Give it to the
    /// builder's `nodes`, together with how many there shall be.
    pub fn simulated() -> impl FnMut(usize) -> Self {
        Self::simulated_by(SimulatedRuntime::new())
    }

    /// [`Node::simulated`] with containers that behave as this runtime's do.
    pub fn simulated_by(runtime: SimulatedRuntime) -> impl FnMut(usize) -> Self {
        move |number| {
            let node = Self::new(format!("node-{number}"), runtime.sibling()).without_files();
            node.capacity("cpu", "32").capacity("memory", "128Gi").capacity("pods", "110")
        }
    }
}
