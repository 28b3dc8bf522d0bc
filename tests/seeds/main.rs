//! Whole clusters from seeds, with faults: see `coracle::simulation`.
//!
//! `CORACLE_SEEDS=7 cargo test --test seeds -- --nocapture` replays one seed, `CORACLE_SEEDS=0..100000` runs many;
//! `CORACLE_TRACE=coracle=debug` tells everything that happens.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod long;
mod script;
mod stopped;

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coracle::core::Entropy;
use coracle::simulation::{Failure, Report, Simulation, Trouble};
use mimalloc::MiMalloc;

/// Thousands of short-lived clusters: what they free is to be had again at once.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Seeds of a usual test run: what an unoptimized build manages in a minute.
const USUAL: Range<u64> = 0..250;
/// Seeds where `CI` is set: in three minutes on two cores.
const IN_CI: Range<u64> = 0..1_000;

/// Seeds that found something, and what it was. They are run each time, whether they are among the usual ones or not.
const FOUND: [(u64, &str); 13] = [
    (29, "a pod that succeeded while it was being deleted was counted as failed"),
    (
        49,
        "a ReplicaSet knows of no availability, and may keep a pod that its Deployment gave up: the invariant asked too much",
    ),
    (76, "trouble waited for a store that only it could set going again: a fault of the simulation"),
    (290, "Recreate promises nothing to a Deployment that is paused in between: the invariant asked too much"),
    (753, "a Deployment that has too few available pods still gives up the others: the invariant asked too much"),
    (927, "the same with surge"),
    (
        1078,
        "a Deployment made smaller in mid-rollout took pods as available that its old ReplicaSet was about to give up",
    ),
    (1981, "pods that were given up while their node was away, and came back with it, counted as healthy for a budget"),
    (2798, "the same as 1078"),
    (
        4166,
        "nobody knows at once that a pod is not ready any more, and it may become available by time: the invariant asked too much",
    ),
    (
        11633,
        "a Deployment made smaller in mid-rollout shares that out by size, whoever is available: the invariant asked too much",
    ),
    (12843, "the same"),
    (40819, "the same as 4166, of Deployments"),
];

fn run(seed: u64) -> Result<Report, Failure> {
    let chance = Entropy::seeded(seed ^ 0x6e6f_6465);
    let nodes = 2 + usize::try_from(chance.below(3)).unwrap();
    let simulation = Simulation::new(seed).nodes(nodes).heartbeat(Duration::from_secs(40));
    let simulation = simulation.trouble(Trouble::drawn(&chance)).builtin_invariants();
    simulation.run(script::story)
}

/// `a..b` or `a` from the environment, or the usual ones.
fn seeds() -> Range<u64> {
    let usual = if std::env::var_os("CI").is_some() { IN_CI } else { USUAL };
    let Ok(text) = std::env::var("CORACLE_SEEDS") else { return usual };
    match text.split_once("..") {
        Some((first, end)) => first.parse().unwrap()..end.parse().unwrap(),
        None => {
            let only: u64 = text.parse().unwrap();
            only..only + 1
        }
    }
}

/// Runs something for each seed, on every core; gives the failures.
fn for_each(seeds: Range<u64>, run: impl Fn(u64) -> Result<(), Failure> + Sync) -> Vec<Failure> {
    let (next, failures) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if let Err(failure) = run(seed) {
                        eprintln!("{}", failure.to_string().lines().next().unwrap_or_default());
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

fn trace() {
    if let Ok(filter) = std::env::var("CORACLE_TRACE") {
        let _set_before = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).try_init();
    }
}

fn assert_none(failures: &[Failure]) {
    if let Some(failure) = failures.first() {
        let replay = format!("replay: CORACLE_SEEDS={} cargo test --test seeds -- --nocapture", failure.seed);
        panic!("{} seeds failed, for example {failure}\n{replay}", failures.len());
    }
}

#[test]
fn found_seeds_hold() {
    trace();
    let beyond = |(seed, _): &(u64, &str)| (!seeds().contains(seed)).then_some(*seed);
    assert_none(&FOUND.iter().filter_map(beyond).filter_map(|seed| run(seed).err()).collect::<Vec<_>>());
}

#[test]
fn every_invariant_holds_from_every_seed() {
    trace();
    assert_none(&for_each(seeds(), |seed| {
        let report = run(seed)?;
        // Now and then once more: the same seed, the same history.
        if seed % 50 == 0 {
            assert_eq!(run(seed)?.history, report.history, "seed {seed} gives two histories");
        }
        Ok(())
    }));
}
