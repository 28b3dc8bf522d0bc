//! Runtimes that come with Coracle.
//!
//! | module | a pod is |
//! |---|---|
//! | [`process`] | real processes of this machine, without root (Linux) |
//! | [`function`] | async functions of this program |
//! | [`simulated`] | nothing at all: a state and a timer, for thousands of nodes |
//! | [`conformance`] | what every runtime must do, as a test that yours can run too |
//!
//! They share what is alike in all of them: `book` (sandboxes, containers, events), `addresses`, `ring` (lines in
//! memory), `times` (the clock they were given).

mod addresses;
mod book;
pub mod conformance;
pub mod function;
#[cfg(target_os = "linux")]
pub mod process;
#[cfg(not(target_os = "linux"))]
#[path = "process/elsewhere.rs"]
pub mod process;
mod ring;
pub mod simulated;
mod times;

pub use conformance::conformance;
pub use function::{FunctionContext, FunctionRuntime};
pub use process::ProcessRuntime;
pub use simulated::{Behaviour, SimulatedRuntime};
