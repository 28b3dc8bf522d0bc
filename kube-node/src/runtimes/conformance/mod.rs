//! What every runtime must do, as a test that any runtime can run.
//!
//! ```no_run
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! use coracle_node::runtimes::{SimulatedRuntime, conformance, conformance::Workloads};
//!
//! conformance(SimulatedRuntime::new, &Workloads::simulated(), &std::env::temp_dir()).await?;
//! # Ok(()) }
//! ```

mod bench;
mod rules;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::runtime::{Runtime, RuntimeError};
use crate::runtimes::simulated::{EXIT_CODE, RUN_FOR};
use bench::Bench;

/// A container that a runtime can run, for a purpose.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    /// Its image.
    pub image: String,
    /// Its command.
    pub command: Vec<String>,
    /// Annotations of its pod.
    pub annotations: BTreeMap<String, String>,
}

/// The containers with which a runtime is tried.
#[derive(Clone, Debug, Default)]
pub struct Workloads {
    /// Runs until it is stopped, and then ends within a second or two.
    pub forever: Workload,
    /// Ends by itself with exit code 3.
    pub ends_with_three: Workload,
    /// Prints the lines `one` and `two` and ends; `None` if the runtime has no say in what is printed.
    pub prints: Option<Workload>,
}

impl Workloads {
    /// For runtimes that have `/bin/sh`: processes, or a container engine with such an `image`.
    #[must_use]
    pub fn shell(image: &str) -> Self {
        let shell = |script: &str| Workload {
            image: image.into(),
            command: ["/bin/sh", "-c", script].map(Into::into).into(),
            annotations: BTreeMap::new(),
        };
        Self {
            forever: shell("exec sleep 1000"),
            ends_with_three: shell("exit 3"),
            prints: Some(shell("echo one; echo two")),
        }
    }

    /// For the simulated runtime.
    #[must_use]
    pub fn simulated() -> Self {
        let forever = Workload { image: "simulated".into(), ..Workload::default() };
        let annotations = [(RUN_FOR, "10ms"), (EXIT_CODE, "3")].map(|(name, value)| (name.into(), value.into()));
        Self { ends_with_three: Workload { annotations: annotations.into(), ..forever.clone() }, forever, prints: None }
    }
}

/// A rule that a runtime broke.
#[derive(Debug, thiserror::Error)]
#[error("rule {rule:?} is broken: {why}")]
pub struct Broken {
    /// Which rule.
    pub rule: &'static str,
    /// What was seen instead.
    pub why: Wrong,
}

/// What was seen instead of what a rule asks.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// Something else than expected.
    #[error("{0}")]
    Unexpected(String),
    /// An error.
    #[error(transparent)]
    Error(#[from] RuntimeError),
    /// A file could not be made for the test.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// How long a rule may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries every rule on a runtime of its own, made by `make`, with sandboxes' directories below `directory`.
///
/// # Errors
/// The first rule that is broken.
pub async fn conformance<R: Runtime>(
    make: impl Fn() -> R,
    workloads: &Workloads,
    directory: &Path,
) -> Result<(), Broken> {
    macro_rules! try_rules {
        ($($rule:ident)*) => {
            $({
                let name = stringify!($rule);
                let broken = |why| Broken { rule: name, why };
                let bench = Bench::new(make(), workloads, directory, name);
                let tried = tokio::time::timeout(PATIENCE, rules::$rule(&bench)).await;
                let late = |_elapsed| Err(Wrong::Unexpected(format!("nothing happened for {PATIENCE:?}")));
                tried.unwrap_or_else(late).map_err(broken)?;
                bench.clean().await.map_err(broken)?;
            })*
        };
    }
    try_rules! {
        a_sandbox_is_started_once
        a_container_runs_until_it_is_stopped
        an_exit_code_is_told
        each_start_and_each_end_is_told_once
        starting_the_same_run_twice_starts_it_once
        the_runs_of_a_container_are_apart
        stopping_what_has_ended_is_no_error
        what_is_unknown_is_not_found
        a_running_container_is_not_forgotten
        forgetting_twice_is_no_error
        a_released_sandbox_has_no_address_and_keeps_its_containers
        a_removed_sandbox_leaves_nothing
        two_pods_are_apart
        what_is_listed_is_what_was_told
        printed_lines_can_be_read
        following_ends_with_the_container
    }
    Ok(())
}
