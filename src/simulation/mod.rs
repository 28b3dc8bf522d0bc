//! Whole clusters in virtual time, on one thread, from one seed, with faults.
//!
//! A [`Simulation`] runs a script (what users do) on a cluster of real parts, while [`Trouble`] stops, delays and breaks these
//! parts, and while every [`Invariant`] looks at every revision. When the script is over, trouble is too: the cluster must then
//! become as its specs ask, and quiet. The same seed gives the same history, to the byte.
//!
//! ```
//! use coracle::simulation::Simulation;
//!
//! # fn main() -> Result<(), coracle::simulation::Failure> {
//! let report = Simulation::new(7).nodes(2).run(async |_cluster| {})?;
//! assert!(report.writes > 0);
//! # Ok(()) }
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | [`Simulation`]: what is simulated, and the run |
//! | `trouble.rs` | what goes wrong, and when |
//! | `cast.rs`, `party.rs`, `replica.rs` | parts that come and go, each at the end of its own bad line |
//! | `pace.rs` | when a part finds no rest |
//! | `invariant.rs`, [`invariants`] | what must hold, and who looks |

mod cast;
mod invariant;
pub mod invariants;
mod pace;
mod party;
mod replica;
mod trouble;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coracle_api::{Client, Ledger, Pipeline, Settings};
use coracle_controllers::builtin::Options;
use coracle_controllers::{Controller, ErasedController, erase};
use coracle_core::{Clock, Entropy, Gateway, Kinds, Revision, Status, World};
use coracle_node::runtime::ExecOutput;
use coracle_node::runtimes::{Behaviour, SimulatedRuntime};
use coracle_store::{Faulty, Memory};
use jiff::Timestamp;
use tokio::sync::Notify;

pub use self::invariant::{Invariant, Step};
pub use self::trouble::Trouble;

use self::cast::Ground;
use self::invariant::Witness;
use self::pace::Restless;
use self::trouble::Stage;
use crate::bootstrap::bootstrap;
use crate::builder::start_base;
use crate::clock::VirtualClock;
use crate::parts::Parts;

/// How long a settled cluster must be quiet: longer than any of its parts waits before it looks again.
const QUIET: Duration = Duration::from_secs(660);
/// How long a cluster may take to settle once trouble is over.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// How long nodes may at most be silent, all of them, beyond their heartbeats and what trouble does to them.
const SILENCE: Duration = Duration::from_secs(24 * 3_600);

/// Makes the controllers anew for each of their lives.
type MakeControllers = Arc<dyn Fn() -> Vec<Box<dyn ErasedController>> + Send + Sync>;
type MakeOne = Box<dyn Fn() -> Box<dyn ErasedController> + Send + Sync>;

/// What is to be simulated.
pub struct Simulation {
    seed: u64,
    nodes: usize,
    trouble: Trouble,
    stop_after: Option<usize>,
    start: Timestamp,
    heartbeat: Duration,
    controllers: Vec<MakeOne>,
    invariants: Vec<Box<dyn Invariant>>,
}

/// What a script has in hand: the cluster as its users see it.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The cluster's API. A call may fail while the store does.
    pub api: Client,
    /// Choices of the script, from the seed.
    pub chance: Arc<Entropy>,
}

/// How a run went that met no failure.
#[derive(Clone, Debug)]
pub struct Report {
    /// A hash of every change, in order: equal for equal histories.
    pub history: u64,
    /// Changes in all.
    pub writes: u64,
    /// The cluster at the end.
    pub world: Arc<World>,
    /// For how long it ran, in cluster time.
    pub lasted: Duration,
    /// Requests of the controllers in their last life.
    pub requests: usize,
}

/// What went wrong in a run.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Failure {
    /// The seed to replay it from.
    pub seed: u64,
    /// The revision at which it was seen.
    pub revision: Revision,
    /// When it was seen.
    pub at: Timestamp,
    /// What is wrong.
    pub what: String,
    /// The last changes before.
    pub changes: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, revision, at, what, changes } = self;
        write!(formatter, "seed {seed}, revision {revision}, {at}: {what}\n{}", changes.join("\n"))
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, nodes, trouble, .. } = self;
        write!(formatter, "Simulation {{ seed: {seed}, nodes: {nodes}, trouble: {trouble:?} }}")
    }
}

impl Simulation {
    /// A cluster with the built-in controllers and the default scheduler, without nodes, trouble or invariants, from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            nodes: 0,
            trouble: Trouble::default(),
            stop_after: None,
            start: Timestamp::from_second(VirtualClock::EPOCH_SECONDS).unwrap_or_default(),
            heartbeat: Duration::from_secs(20),
            controllers: Vec::new(),
            invariants: Vec::new(),
        }
    }

    /// With so many simulated nodes, named `node-0` and so on.
    #[must_use]
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// With trouble. Default: none.
    #[must_use]
    pub fn trouble(mut self, trouble: Trouble) -> Self {
        self.trouble = trouble;
        self
    }

    /// Starts at this time. Default: 2026-01-01.
    #[must_use]
    pub fn starting_at(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    /// With nodes that say so often that they live, and are taken for lost when they miss two beats. Default 20 s: half as
    /// often as usual, since heartbeats are most of what a quiet cluster writes.
    #[must_use]
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every;
        self
    }

    /// Stops the controllers, whatever they are at, after their first so many requests, and starts them again later.
    #[must_use]
    pub fn stop_controllers_after(mut self, requests: usize) -> Self {
        self.stop_after = Some(requests);
        self
    }

    /// With a controller beside the built-in ones, made anew each time the controllers start.
    #[must_use]
    pub fn controller<C: Controller>(mut self, make: impl Fn() -> C + Send + Sync + 'static) -> Self {
        self.controllers.push(Box::new(move || erase(make())));
        self
    }

    /// Something that must hold.
    #[must_use]
    pub fn invariant(mut self, invariant: impl Invariant + 'static) -> Self {
        self.invariants.push(Box::new(invariant));
        self
    }

    /// All invariants of the built-in workloads.
    #[must_use]
    pub fn builtin_invariants(mut self) -> Self {
        self.invariants.extend(invariants::builtin());
        self
    }

    /// Runs it: the script first, with trouble; then until all is settled and quiet. Blocks this thread.
    ///
    /// # Errors
    /// The first invariant that did not hold.
    pub fn run(self, script: impl AsyncFnOnce(Simulated)) -> Result<Report, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.play(script)),
            Err(error) => Err(failure(self.seed, &format!("no tokio runtime: {error}"))),
        }
    }

    async fn play(self, script: impl AsyncFnOnce(Simulated)) -> Result<Report, Failure> {
        let Self { seed, nodes, trouble, stop_after, start, heartbeat, controllers, invariants } = self;
        let silence = SILENCE + trouble.away + 10 * heartbeat;
        let begun = tokio::time::Instant::now();
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::starting_at(start));
        let store = Arc::new(Faulty::new(Memory::default(), seed));
        let parts = Parts::default();
        let gateway = match open(seed, &store, &clock, &parts).await {
            Ok(gateway) => gateway,
            Err(status) => return Err(failure(seed, &format!("the cluster does not start: {status}"))),
        };
        let mut witness = Witness::new(gateway.feed(), &clock, &store, invariants, trouble.known_after());

        // Trouble and script have dice of their own, so that one does not change what the other draws.
        let chance = Arc::new(Entropy::seeded(seed ^ 0x7472_6f75));
        let lasts = Arc::new(AtomicBool::new(trouble.every > Duration::ZERO));
        let restless = Restless::default();
        let ground = Ground {
            gateway: gateway.clone(),
            chance: chance.clone(),
            lag: trouble.lag,
            heartbeat,
            restless: restless.clone(),
        };
        let family = containers(&chance, trouble.probes, &lasts);
        let mut stage = Stage::new(trouble, ground, store, make_all(controllers, 2 * heartbeat), lasts);
        stage.open(nodes, &family);
        stop_after.into_iter().for_each(|requests| stage.stop_controllers_after(requests));

        let over = Arc::new(Notify::new());
        let simulated =
            Simulated { api: Client::new(gateway.clone()), chance: Arc::new(Entropy::seeded(seed ^ 0x7363_7269)) };
        let story = async {
            script(simulated).await;
            over.notify_one();
        };
        tokio::pin!(story);
        let mut told = false;
        let mut over_since = begun;
        let wrong = {
            let play = stage.play(over.clone());
            tokio::pin!(play);
            loop {
                let look = tokio::time::sleep(if told { Duration::from_secs(30) } else { silence });
                let wrong = tokio::select! {
                    biased;
                    wrong = witness.look() => Some(wrong),
                    wrong = restless.first() => Some(wrong),
                    () = &mut story, if !told => {
                        told = true;
                        over_since = tokio::time::Instant::now();
                        None
                    }
                    () = &mut play => None,
                    () = look => None,
                };
                if wrong.is_some() {
                    break wrong;
                }
                if !told && nodes > 0 && witness.heard.elapsed() >= silence {
                    break Some("the script waits for a cluster in which nothing happens any more".to_owned());
                }
                if !told {
                    continue;
                }
                let unsettled = witness.unsettled();
                if unsettled.is_none() && witness.stirred.elapsed() >= QUIET {
                    break None;
                }
                if over_since.elapsed() > PATIENCE {
                    break Some(unsettled.map_or_else(
                        || "it is not quiet".to_owned(),
                        |unsettled| format!("it does not settle: {unsettled}"),
                    ));
                }
            }
        };
        let (history, writes) = witness.history();
        match wrong {
            None => {
                let (world, requests) = (gateway.feed().world(), stage.requests());
                Ok(Report { history, writes, world, lasted: begun.elapsed(), requests })
            }
            Some(what) => {
                let changes = witness.last_changes();
                Err(Failure { seed, revision: witness.revision(), at: clock.now(), what, changes })
            }
        }
    }
}

fn failure(seed: u64, what: &str) -> Failure {
    let (revision, at) = (Revision::ZERO, Timestamp::UNIX_EPOCH);
    Failure { seed, revision, at, what: what.to_owned(), changes: Vec::new() }
}

/// An API server with what every cluster has.
async fn open(
    seed: u64,
    store: &Arc<Faulty<Memory>>,
    clock: &Arc<dyn Clock>,
    parts: &Parts,
) -> Result<Arc<dyn Gateway>, Status> {
    let ledger = Ledger::open(store.clone(), Kinds::builtin()).await.map_err(Status::internal)?;
    let entropy = Arc::new(Entropy::seeded(seed));
    let settings = Settings { clock: clock.clone(), entropy, admission: coracle_api::admission::builtin() };
    let pipeline = Arc::new(Pipeline::new(ledger, settings));
    start_base(parts, &pipeline);
    bootstrap(&*pipeline, Vec::new(), None).await?;
    Ok(pipeline)
}

fn make_all(more: Vec<MakeOne>, node_grace: Duration) -> MakeControllers {
    Arc::new(move || {
        let mut controllers = coracle_controllers::builtin(Options { node_grace, ..Options::default() });
        controllers.extend(more.iter().map(|make| make()));
        controllers
    })
}

/// Containers take a while to start and to stop. If there is trouble, those that end by themselves crash now and then, and
/// probes fail while it lasts.
fn containers(chance: &Arc<Entropy>, failing: f64, lasts: &Arc<AtomicBool>) -> SimulatedRuntime {
    let (times, fates, lasts) = (chance.clone(), chance.clone(), lasts.clone());
    let crash = if lasts.load(Ordering::Relaxed) { 0.2 } else { 0.0 };
    let behave = move |_: &_, _: &_| Behaviour {
        start: Duration::from_millis(times.below(4_000)),
        stop: Duration::from_millis(times.below(3_000)),
        crash,
        ..Behaviour::default()
    };
    // One in a million is fine enough for a probability.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let failing = (failing * 1e6) as u64;
    let answer = move |_: &_, _: &[String]| {
        let fails = lasts.load(Ordering::Relaxed) && fates.below(1_000_000) < failing;
        ExecOutput { code: Some(i32::from(fails)), output: Vec::new() }
    };
    SimulatedRuntime::new().chance(chance.clone()).behaviour_by(behave).answering(answer)
}
