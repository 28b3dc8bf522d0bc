//! The sentence that makes a cluster: each word replaces or adds one part, `start` wires them.

use std::sync::Arc;

use coracle_api::{Admission, Ledger, Pipeline, Settings};
use coracle_controllers::{Controller, ErasedController, erase};
use coracle_core::{Clock, Entropy, Gateway, Kinds};
use coracle_sched::{DEFAULT_SCHEDULER, Framework, Scheduler};
use coracle_store::{Memory, Store};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bootstrap::bootstrap;
use crate::clock::{SystemClock, VirtualClock};
use crate::cluster::Cluster;
use crate::driver::Driver;
use crate::error::Error;
use crate::kinds::{self, CustomKind};
use crate::scheduling;

/// What a cluster will be made of. Everything has a default: a memory store, system time, all built-in controllers, the
/// default scheduler, no nodes, no listening socket.
pub struct Builder {
    store: Arc<dyn Store>,
    seed: Option<u64>,
    virtual_time: bool,
    kinds: Kinds,
    definitions: Vec<CustomResourceDefinition>,
    builtin_controllers: bool,
    controllers: Vec<Box<dyn ErasedController>>,
    admission: Vec<Box<dyn Admission>>,
    schedulers: Vec<(String, Box<dyn Scheduler>)>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            store: Arc::new(Memory::default()),
            seed: None,
            virtual_time: false,
            kinds: Kinds::builtin(),
            definitions: Vec::new(),
            builtin_controllers: true,
            controllers: Vec::new(),
            admission: Vec::new(),
            schedulers: Vec::new(),
        }
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Builder")
    }
}

impl Builder {
    /// Keeps the cluster's objects in a store of your own. Default: [`Memory`].
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// Draws every id and every random choice from a seed. Default: one from the system.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Lets time go on as tokio's clock does, from 2026-01-01. With tokio's time paused, a cluster-year takes as long as what
    /// happens in it.
    #[must_use]
    pub fn virtual_time(mut self) -> Self {
        self.virtual_time = true;
        self
    }

    /// Serves a custom kind from its Rust type (`#[derive(CustomResource)]`).
    #[must_use]
    pub fn kind<K: CustomKind>(mut self) -> Self {
        let (row, definition) = kinds::row::<K>();
        self.kinds = self.kinds.with(row);
        self.definitions.push(definition);
        self
    }

    /// Adds a controller of your own beside the built-in ones.
    #[must_use]
    pub fn controller(mut self, controller: impl Controller) -> Self {
        self.controllers.push(erase(controller));
        self
    }

    /// Leaves out the built-in controllers: objects are only stored, as in an API server alone.
    #[must_use]
    pub fn without_builtin_controllers(mut self) -> Self {
        self.builtin_controllers = false;
        self
    }

    /// Adds an admission plugin after the built-in ones.
    #[must_use]
    pub fn admission(mut self, plugin: impl Admission) -> Self {
        self.admission.push(Box::new(plugin));
        self
    }

    /// Replaces the default scheduler.
    #[must_use]
    pub fn scheduler(self, scheduler: impl Scheduler) -> Self {
        self.scheduler_named(DEFAULT_SCHEDULER, scheduler)
    }

    /// Adds a scheduler for pods whose `spec.schedulerName` is this name.
    #[must_use]
    pub fn scheduler_named(mut self, name: &str, scheduler: impl Scheduler) -> Self {
        self.schedulers.retain(|(taken, _)| taken != name);
        self.schedulers.push((name.to_owned(), Box::new(scheduler)));
        self
    }

    /// Applies a component: any function over the builder.
    #[must_use]
    pub fn with(self, component: impl FnOnce(Self) -> Self) -> Self {
        component(self)
    }

    /// Starts the cluster. When this returns, the API answers and pods can be created in `default`.
    ///
    /// # Errors
    /// If the store cannot be read, an address cannot be listened on, or a node cannot be started; nothing is left running.
    pub async fn start(self) -> Result<Cluster, Error> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::NoRuntime);
        }
        let clock: Arc<dyn Clock> =
            if self.virtual_time { Arc::new(VirtualClock::default()) } else { Arc::new(SystemClock) };
        let entropy = Arc::new(Entropy::seeded(self.seed.unwrap_or_else(rand::random)));
        let mut admission = coracle_api::admission::builtin();
        admission.extend(self.admission);
        let ledger = Ledger::open(self.store, self.kinds).await?;
        let pipeline = Arc::new(Pipeline::new(ledger, Settings { clock, entropy: entropy.clone(), admission }));
        let gateway: Arc<dyn Gateway> = pipeline.clone();
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        // From here on, an early return drops this guard and stops what was started.
        let guard = stop.clone().drop_guard();

        spawn_until(&tasks, &stop, {
            let pipeline = pipeline.clone();
            async move { pipeline.ledger().follow().await }
        });
        spawn_until(&tasks, &stop, {
            let pipeline = pipeline.clone();
            async move { pipeline.recorder().run(&*pipeline).await }
        });
        bootstrap(&*gateway, self.definitions).await.map_err(Error::Bootstrap)?;

        let mut controllers = self.controllers;
        if self.builtin_controllers {
            controllers.extend(builtin_tmp());
        }
        let driver = Driver::start(controllers, &gateway, &tasks, &stop);
        let mut schedulers = self.schedulers;
        if !schedulers.iter().any(|(name, _)| name == DEFAULT_SCHEDULER) {
            schedulers.push((DEFAULT_SCHEDULER.to_owned(), Box::new(Framework::new(entropy.next()))));
        }
        for (name, scheduler) in schedulers {
            spawn_until(&tasks, &stop, scheduling::run(name, scheduler, gateway.clone(), Default::default()));
        }
        let _disarmed = guard.disarm();
        Ok(Cluster { pipeline, driver, tasks, stop })
    }
}

/// Runs a part until the cluster stops.
fn spawn_until(tasks: &TaskTracker, stop: &CancellationToken, part: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(stop.clone().run_until_cancelled_owned(part));
}

fn builtin_tmp() -> Vec<Box<dyn ErasedController>> {
    vec![
        erase(coracle_controllers::deployment::Deployments),
        erase(coracle_controllers::replica_set::Replicas::<k8s_openapi::api::apps::v1::ReplicaSet>::new()),
        Box::new(coracle_controllers::garbage::GarbageCollector),
        erase(coracle_controllers::namespace::Namespaces),
        erase(coracle_controllers::defaults::ServiceAccounts),
    ]
}
