//! What goes wrong, when, and for how long: drawn from the seed, one thing after another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coracle_controllers::pods;
use coracle_core::{Action, Entropy, ObjectKey, Request, Target};
use coracle_node::runtimes::SimulatedRuntime;
use coracle_store::{Faults, Faulty, Memory};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::MakeControllers;
use super::cast::{self, Ground, Life, Machine};
use crate::parts::Group;

/// For how long controllers or the scheduler may be away, or the store fail, in milliseconds.
pub(super) const PAUSE_MILLIS_MAX: u64 = 20_000;

/// What may go wrong in a simulation. Everything is over when the script is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trouble {
    /// How the store fails while it does, in spells of up to 20 s. Default: not at all.
    pub store: Faults,
    /// How late a change may be heard by controllers, scheduler and nodes, each for themselves. Default: not at all.
    pub lag: Duration,
    /// Whether controllers lose track now and then, and have to look at everything again.
    pub lost_track: bool,
    /// Whether the controllers are stopped between any two requests, and started again up to 20 s later.
    pub controllers: bool,
    /// The same for the scheduler.
    pub scheduler: bool,
    /// Whether node agents are stopped and started while their containers go on.
    pub agents: bool,
    /// Whether machines lose their power, and all they ran.
    pub power: bool,
    /// Whether nodes are cut off: they neither hear nor are heard.
    pub network: bool,
    /// Whether node objects are deleted while their machine is off.
    pub removal: bool,
    /// Whether pods are evicted, as their budgets allow.
    pub evictions: bool,
    /// How probable it is that a probe by command fails, 0 to 1. Default 0.
    pub probes: f64,
    /// For how long nodes may be away. Default zero: they are back at once.
    pub away: Duration,
    /// The usual time between two things that go wrong; zero for nothing at all. Default zero.
    pub every: Duration,
}

impl Trouble {
    /// A mixture: each kind of trouble is there in half of all seeds, so that each also meets the others' absence.
    #[must_use]
    pub fn drawn(chance: &Entropy) -> Self {
        let coin = || chance.below(2) == 0;
        let some = |probability: f64| if coin() { probability } else { 0.0 };
        let mut drawn = Self {
            store: Faults {
                fail_before: some(0.1),
                fail_after: some(0.1),
                rival: some(0.2),
                delay: some(0.3),
                break_changes: some(0.02),
                stall: chance.below(8) == 0,
                ..Faults::default()
            },
            lag: if coin() { Duration::from_millis(10 << chance.below(10)) } else { Duration::ZERO },
            lost_track: coin(),
            controllers: coin(),
            scheduler: coin(),
            agents: coin(),
            power: coin(),
            network: coin(),
            removal: coin(),
            evictions: coin(),
            probes: some(0.03),
            away: Duration::from_secs(400),
            every: Duration::from_secs(1 + chance.below(60)),
        };
        // Now and then the store is sound, so that less is excused.
        if chance.below(3) == 0 {
            drawn.store = Faults::default();
        }
        drawn
    }

    /// How long news may take to reach a controller and to be acted on. Controllers may be away and meet a failing store, one after
    /// the other and more than once; otherwise news are as late as their line is long, there and back.
    pub(super) fn known_after(&self) -> Duration {
        let delayed = self.controllers || self.store != Faults::default();
        if delayed { Duration::from_secs(120) } else { Duration::from_secs(1) + 2 * self.lag }
    }
}

/// The cluster's parts in the hands of fate.
pub(super) struct Stage {
    pub(super) trouble: Trouble,
    pub(super) ground: Ground,
    pub(super) store: Arc<Faulty<Memory>>,
    pub(super) make: MakeControllers,
    controllers: Option<Life>,
    scheduler: Option<Life>,
    machines: Vec<Machine>,
    controllers_stopped: Arc<Notify>,
    scheduler_stopped: Arc<Notify>,
    /// Whether trouble lasts: probes fail only then.
    lasts: Arc<AtomicBool>,
    /// Requests of fate, which the store may keep waiting: it is this stage that ends the waiting.
    errands: Group,
    /// What ends when.
    ends: BTreeMap<(Instant, u64), End>,
    count: u64,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Store,
    Controllers,
    Scheduler,
    Machine(usize),
}

impl Stage {
    pub(super) fn new(
        trouble: Trouble,
        ground: Ground,
        store: Arc<Faulty<Memory>>,
        make: MakeControllers,
        lasts: Arc<AtomicBool>,
    ) -> Self {
        Self {
            trouble,
            ground,
            store,
            make,
            controllers: None,
            scheduler: None,
            machines: Vec::new(),
            controllers_stopped: Arc::default(),
            scheduler_stopped: Arc::default(),
            lasts,
            errands: Group::default(),
            ends: BTreeMap::new(),
            count: 0,
        }
    }

    /// Starts everything.
    pub(super) fn open(&mut self, nodes: usize, family: &SimulatedRuntime) {
        self.machines = (0..nodes).map(|number| Machine::new(number, family)).collect();
        self.start_controllers();
        self.start_scheduler();
        self.machines.iter_mut().for_each(|machine| machine.start(&self.ground));
    }

    /// Stops the controllers after so many more requests.
    pub(super) fn stop_controllers_after(&self, requests: usize) {
        if let Some(life) = &self.controllers {
            life.party.stop_after(requests);
        }
    }

    /// Requests of the controllers in their present life.
    pub(super) fn requests(&self) -> usize {
        self.controllers.as_ref().map_or(0, |life| life.party.asked())
    }

    /// Makes trouble until `over`, then none any more; keeps parts alive that were stopped, forever.
    pub(super) async fn play(&mut self, over: Arc<Notify>) {
        let mut next = self.next_trouble();
        let mut lasts = true;
        loop {
            let due = self.ends.first_key_value().map(|((at, _), _)| *at);
            let (controllers, scheduler) = (self.controllers_stopped.clone(), self.scheduler_stopped.clone());
            tokio::select! {
                biased;
                () = over.notified(), if lasts => {
                    lasts = false;
                    self.end_all();
                }
                () = controllers.notified() => {
                    self.controllers = None;
                    self.end_within(End::Controllers, PAUSE_MILLIS_MAX);
                }
                () = scheduler.notified() => {
                    self.scheduler = None;
                    self.end_within(End::Scheduler, PAUSE_MILLIS_MAX);
                }
                () = crate::driver::until(due), if due.is_some() => self.end_due(),
                () = crate::driver::until(next), if lasts && next.is_some() => {
                    self.strike();
                    next = self.next_trouble();
                }
            }
        }
    }

    fn next_trouble(&self) -> Option<Instant> {
        let usual = u64::try_from(self.trouble.every.as_millis()).unwrap_or(u64::MAX);
        (usual > 0).then(|| Instant::now() + Duration::from_millis(1 + self.ground.chance.below(2 * usual)))
    }

    fn start_controllers(&mut self) {
        self.controllers = Some(cast::controllers(&self.ground, (self.make)(), &self.controllers_stopped));
    }

    fn start_scheduler(&mut self) {
        self.scheduler = Some(cast::scheduler(&self.ground, &self.scheduler_stopped));
    }

    fn end_within(&mut self, end: End, millis: u64) {
        self.count += 1;
        let at = Instant::now() + Duration::from_millis(self.ground.chance.below(millis));
        self.ends.insert((at, self.count), end);
    }

    fn end_due(&mut self) {
        while let Some(entry) = self.ends.first_entry().filter(|entry| entry.key().0 <= Instant::now()) {
            let end = entry.remove();
            self.end(end);
        }
    }

    fn end(&mut self, end: End) {
        match end {
            End::Store => self.store.set(Faults::default()),
            End::Controllers => self.start_controllers(),
            End::Scheduler => self.start_scheduler(),
            End::Machine(number) => {
                let Some(machine) = self.machines.get_mut(number) else { return };
                match &machine.life {
                    Some(life) => life.party.connect(true),
                    None => machine.start(&self.ground),
                }
            }
        }
    }

    /// Everything comes back.
    fn end_all(&mut self) {
        self.lasts.store(false, Ordering::Relaxed);
        self.store.set(Faults::default());
        self.ground.lag = Duration::ZERO;
        for end in std::mem::take(&mut self.ends).into_values() {
            self.end(end);
        }
    }

    /// One thing goes wrong, if it is one of those that may.
    fn strike(&mut self) {
        let chance = self.ground.chance.clone();
        let may = self.trouble;
        match chance.below(10) {
            0 | 1 if may.store != Faults::default() => {
                // A stalled store answers nobody: now and then is enough.
                let stall = may.store.stall && chance.below(4) == 0;
                self.store.set(Faults { stall, ..may.store });
                self.end_within(End::Store, PAUSE_MILLIS_MAX);
            }
            2 | 3 if may.controllers => self.stop_controllers_after(usize::try_from(chance.below(12)).unwrap_or(0)),
            4 if may.scheduler => {
                if let Some(life) = &self.scheduler {
                    life.party.stop_after(usize::try_from(chance.below(4)).unwrap_or(0));
                }
            }
            5 if may.lost_track => self.controllers.iter().chain(&self.scheduler).for_each(|life| life.party.forget()),
            6 if may.agents => self.strike_machine(Machine::stop),
            7 if may.power => self.strike_machine(Machine::power_off),
            8 if may.network => self.strike_machine(|machine| {
                machine.life.iter().for_each(|life| life.party.connect(false));
            }),
            9 if may.evictions => self.evict(),
            _ if may.removal && chance.below(4) == 0 => self.remove_machine(),
            _ => {}
        }
    }

    /// Strikes one of the machines that are not away.
    fn strike_machine(&mut self, how: impl FnOnce(&mut Machine)) {
        let number = self.ground.chance.below(self.machines.len() as u64);
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let away = |end: &End| matches!(end, End::Machine(other) if *other == number);
        if !self.ends.values().any(away)
            && let Some(machine) = self.machines.get_mut(number)
        {
            how(machine);
            self.end_within(End::Machine(number), u64::try_from(self.trouble.away.as_millis()).unwrap_or(u64::MAX));
        }
    }

    fn remove_machine(&mut self) {
        let mut off = None;
        self.strike_machine(|machine| {
            machine.power_off();
            off = Some(machine.name.clone());
        });
        if let Some(name) = off {
            let delete = Request::new(Target::named::<Node>("", &name), Action::Delete(DeleteOptions::default()));
            self.ask(delete);
        }
    }

    fn evict(&self) {
        let world = self.ground.gateway.feed().world();
        let pods: Vec<_> = world.list::<Pod>().filter(|pod| pods::is_active(pod)).collect();
        let number = self.ground.chance.below(pods.len() as u64);
        if let Some(pod) = usize::try_from(number).ok().and_then(|number| pods.get(number)) {
            tracing::info!(pod = %ObjectKey::of(&pod.metadata), "evicts");
            let evict = Request::evict(pod, DeleteOptions::default());
            // A budget may well refuse.
            self.ask(evict);
        }
    }

    fn ask(&self, request: Request) {
        let gateway = self.ground.gateway.clone();
        self.errands.spawn(async move {
            let _refused_or_not = gateway.execute(request).await;
        });
    }
}
