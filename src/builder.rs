//! The sentence that makes a cluster: each word replaces or adds one part, `start` wires them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use coracle_api::aggregation::{self, Aggregation};
use coracle_api::audit::Audit;
use coracle_api::auth::{Auth, OidcSettings};
use coracle_api::fairness::{self, Fairness};
use coracle_api::http::ApiServer;
use coracle_api::http::in_flight::InFlight;
use coracle_api::openapi::Published;
use coracle_api::outbound::{Hook, InProcess, Network, Outbound};
use coracle_api::pipeline::collection_prefix;
use coracle_api::{Admission, Ledger, Pipeline, Settings, admission};
use coracle_controllers::builtin::Options;
use coracle_controllers::cloud::{self, AutoscalerSettings};
use coracle_controllers::persistent_volume::{Provisioning, Reclaiming};
use coracle_controllers::{Cloud, Controller, ErasedController, Provisioner, erase};
use coracle_core::{Clock, Entropy, Gateway, GroupResource, Kinds, Metrics};
use coracle_node::agent::{Node, Router};
use coracle_node::volumes::TokenSource;
use coracle_sched::{DEFAULT_SCHEDULER, Scheduler};
use coracle_store::{Encrypted, KeyRange, Memory, SealingKey, Store};
use k8s_openapi::api::core;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use crate::bootstrap::bootstrap;
use crate::certificates;
use crate::clock::{SystemClock, VirtualClock};
use crate::cluster::Cluster;
use crate::driver::Driver;
use crate::error::Error;
use crate::identity::Identity;
use crate::kinds::{self, CustomKind};
use crate::local_volumes::LocalVolumes;
use crate::machines::Machines;
use crate::metrics::Numbers;
use crate::parts::Parts;
use crate::scheduling;
use crate::serving::Door;
use crate::streams::Streams;
use crate::tokens::ClusterTokens;

/// What a cluster will be made of. Everything has a default: a memory store, system time, all built-in controllers, the
/// default scheduler, no nodes, no listening socket.
pub struct Builder {
    store: Arc<dyn Store>,
    sealed: Option<Sealed>,
    seed: Option<u64>,
    virtual_time: bool,
    kinds: Kinds,
    definitions: Vec<CustomResourceDefinition>,
    builtin_controllers: bool,
    controllers: Vec<Box<dyn ErasedController>>,
    admission: Vec<Box<dyn Admission>>,
    left_out: Vec<&'static str>,
    schedulers: Vec<(String, Box<dyn Scheduler>)>,
    nodes: Vec<Node>,
    address: Option<SocketAddr>,
    metrics: Option<Arc<dyn Metrics>>,
    cloud: Option<MakeCloud>,
    autoscaler: AutoscalerSettings,
    in_flight: InFlight,
    fair: bool,
    keys: Option<PathBuf>,
    audit: Option<Audit>,
    identity: Identity,
    calls: InProcess,
    provisioners: Vec<Arc<dyn Provisioner>>,
    local_volumes: bool,
}

/// What of the store is sealed, and with which keys.
struct Sealed {
    resources: Vec<GroupResource>,
    key: SealingKey,
    older: Vec<SealingKey>,
}

impl Sealed {
    /// Wraps a store, and seals what is in it under no key or an older one.
    async fn seal(self, store: Arc<dyn Store>) -> Result<Arc<dyn Store>, Error> {
        let ranges = self.resources.iter().map(|resource| KeyRange::prefix(collection_prefix(resource))).collect();
        let store = Encrypted::rotated(store, ranges, self.key, self.older);
        store.reseal().await?;
        Ok(Arc::new(store))
    }
}

type MakeCloud = Box<dyn FnOnce(Machines) -> Arc<dyn Cloud> + Send>;

impl Default for Builder {
    fn default() -> Self {
        Self {
            store: Arc::new(Memory::default()),
            sealed: None,
            seed: None,
            virtual_time: false,
            kinds: coracle_core::metrics::kinds().into_iter().fold(Kinds::builtin(), Kinds::with),
            definitions: Vec::new(),
            builtin_controllers: true,
            controllers: Vec::new(),
            admission: Vec::new(),
            left_out: Vec::new(),
            schedulers: Vec::new(),
            nodes: Vec::new(),
            address: None,
            metrics: None,
            cloud: None,
            autoscaler: AutoscalerSettings::default(),
            in_flight: InFlight::default(),
            fair: true,
            keys: None,
            audit: None,
            identity: Identity::default(),
            calls: InProcess::default(),
            provisioners: Vec::new(),
            local_volumes: false,
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

    /// Keeps the objects of some resources encrypted (AES-256-GCM) in the store, whichever it is. What the store holds unsealed,
    /// or sealed with one of the `older` keys, is sealed anew with `key` when the cluster starts: after that the older keys are
    /// no longer needed. Default: nothing is encrypted.
    #[must_use]
    pub fn encrypt(
        mut self,
        resources: impl IntoIterator<Item = GroupResource>,
        key: SealingKey,
        older: Vec<SealingKey>,
    ) -> Self {
        self.sealed = Some(Sealed { resources: resources.into_iter().collect(), key, older });
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
        let (rows, definition) = kinds::rows::<K>();
        self.kinds = rows.into_iter().fold(self.kinds, Kinds::with);
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

    /// Leaves out built-in admission plugins by their names in upstream, such as `PodSecurity`. To configure one, leave it out
    /// and add your own.
    #[must_use]
    pub fn without_admission(mut self, names: &'static [&'static str]) -> Self {
        self.left_out.extend(names);
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

    /// Adds a node.
    #[must_use]
    pub fn node(mut self, node: Node) -> Self {
        self.nodes.push(node);
        self
    }

    /// Adds so many nodes: `.nodes(1000, Node::simulated())`, or any function from a number to a node.
    #[must_use]
    pub fn nodes(mut self, count: usize, make: impl FnMut(usize) -> Node) -> Self {
        self.nodes.extend((0..count).map(make));
        self
    }

    /// Brings metrics of your own, for autoscalers and `kubectl top`. Default: what the runtimes of this process' nodes tell.
    #[must_use]
    pub fn metrics(mut self, metrics: impl Metrics) -> Self {
        self.metrics = Some(Arc::new(metrics));
        self
    }

    /// Runs in a cloud: nodes come and go by demand, and Services of type LoadBalancer get addresses. The function is given a
    /// way to start nodes in this process, which a cloud of real machines does not need:
    /// `.cloud(|machines| SimulatedCloud::new(machines).group("small", 0..=10, "4", "16Gi"))`.
    #[must_use]
    pub fn cloud<C: Cloud>(mut self, make: impl FnOnce(Machines) -> C + Send + 'static) -> Self {
        self.cloud = Some(Box::new(move |machines| Arc::new(make(machines))));
        self
    }

    /// Sets how eagerly nodes come and go. Default: as upstream's cluster-autoscaler.
    #[must_use]
    pub fn autoscaler(mut self, settings: AutoscalerSettings) -> Self {
        self.autoscaler = settings;
        self
    }

    /// Listens on an address (port 0 for any that is free), with TLS and a client certificate for the owner: see
    /// [`Cluster::address`] and [`Cluster::write_kubeconfig`].
    #[must_use]
    pub fn serve(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Keeps the certificate authority and the key of ServiceAccount tokens in a folder (`ca.crt`, `ca.key`, `sa.key`, made at the
    /// first start), so that certificates and tokens stay good when a cluster that [serves](Self::serve) starts again.
    /// Default: new ones at each start.
    #[must_use]
    pub fn keys_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.keys = Some(folder.into());
        self
    }

    /// Limits how many requests over HTTP are answered at a time. Default: 600 seats, divided by FlowSchemas and
    /// PriorityLevelConfigurations; 400 for requests that read and 200 for those that write [without](Self::without_fairness).
    #[must_use]
    pub fn in_flight(mut self, limits: InFlight) -> Self {
        self.in_flight = limits;
        self
    }

    /// Has the same limits for every client: FlowSchemas and PriorityLevelConfigurations are only stored.
    /// Source: kube-apiserver `--enable-priority-and-fairness=false`.
    #[must_use]
    pub fn without_fairness(mut self) -> Self {
        self.fair = false;
        self
    }

    /// Makes volumes for the claims of the classes that name this provisioner.
    #[must_use]
    pub fn provisioner(mut self, provisioner: impl Provisioner) -> Self {
        self.provisioners.push(Arc::new(provisioner));
        self
    }

    /// Makes volumes as folders below `root`, an absolute path, for claims that name no class: there is a default StorageClass
    /// `local-dir` then, whose provisioner is `coracle.dev/local-dir`. Folders go with their claims. Default: there is none, and
    /// claims wait for volumes that people make.
    #[must_use]
    pub fn local_volumes(mut self, root: impl Into<PathBuf>) -> Self {
        self.local_volumes = true;
        self.provisioner(LocalVolumes::new(root.into()))
    }

    /// Records what is asked over the network. Default: nothing.
    #[must_use]
    pub fn audit(mut self, audit: Audit) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Believes ID tokens of an OpenID Connect provider too; may be said for several. Default: none.
    #[must_use]
    pub fn oidc(mut self, provider: OidcSettings) -> Self {
        self.identity.providers.push(provider);
        self
    }

    /// Asks a webhook (TokenReview) whose the bearer tokens are that nothing else knows. Default: none.
    #[must_use]
    pub fn token_webhook(mut self, hook: Hook) -> Self {
        self.identity.tokens = Some(hook);
        self
    }

    /// Asks a webhook (SubjectAccessReview) about what roles and bindings do not allow. Default: none.
    #[must_use]
    pub fn access_webhook(mut self, hook: Hook) -> Self {
        self.identity.access = Some(hook);
        self
    }

    /// Answers what the API server would call out for (webhooks, aggregated API servers) by functions of this program, host by
    /// host; the other hosts are called over the network. In virtual time this is the only way: real calls take no time there.
    #[must_use]
    pub fn calls(mut self, calls: InProcess) -> Self {
        self.calls = calls;
        self
    }

    /// Starts the cluster. When this returns, the API answers, the nodes are registered, and pods can be created in `default`.
    ///
    /// # Errors
    /// If the store cannot be read, an address cannot be listened on, or a node cannot be started; nothing is left running.
    pub async fn start(self) -> Result<Cluster, Error> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::NoRuntime);
        }
        let clock: Arc<dyn Clock> =
            if self.virtual_time { Arc::new(VirtualClock::default()) } else { Arc::new(SystemClock) };
        let mut door = match self.address {
            Some(address) => Some(Door::open(address, self.keys.as_deref(), &*clock).await.map_err(Error::Serve)?),
            None => None,
        };
        let entropy = Arc::new(Entropy::seeded(self.seed.unwrap_or_else(rand::random)));
        let admission = admission_chain(door.is_some(), &entropy, &self.left_out, self.admission);
        let store = match self.sealed {
            Some(sealed) => sealed.seal(self.store).await?,
            None => self.store,
        };
        let ledger = Ledger::open(store, self.kinds).await?;
        let mut auth = Auth::new(ledger.feed().clone());
        if let Some(tokens) = door.as_mut().and_then(|door| door.tokens(ledger.feed(), &clock)) {
            auth = auth.with_tokens(tokens);
        }
        let mut network = Network::new(ledger.feed().clone(), clock.clone());
        if let Some(door) = &door {
            network = network.with_identity(door.front_proxy(&*clock).map_err(Error::Serve)?);
        }
        let outbound: Arc<dyn Outbound> = Arc::new(self.calls.others(Arc::new(network)));
        let auth = self.identity.join(auth, &outbound, &clock).map_err(Error::Serve)?;
        let settings = Settings { clock, entropy: entropy.clone(), admission };
        let pipeline = Pipeline::new(ledger, settings).with_auth(auth.clone()).with_outbound(outbound.clone());
        let pipeline = Arc::new(pipeline);
        let gateway: Arc<dyn Gateway> = pipeline.clone();
        let parts = Parts::default();
        start_base(&parts, &pipeline);
        let endpoint = door.as_ref().map(Door::address);
        bootstrap(&*gateway, self.definitions, endpoint).await.map_err(Error::Bootstrap)?;
        if self.local_volumes {
            LocalVolumes::ensure_class(&*gateway).await.map_err(Error::Bootstrap)?;
        }
        let aggregation = Arc::new(Aggregation::default());
        parts.base.spawn(aggregation::run(gateway.clone(), outbound.clone(), aggregation.clone()));
        if let Some(door) = &door {
            door.publish_trust(&*gateway).await.map_err(Error::Bootstrap)?;
            let registered = gateway.clone();
            parts.base.spawn(async move { aggregation::register(&*registered).await });
        }

        let router = Arc::new(Router::new(gateway.clone()));
        let metrics = self.metrics.unwrap_or_else(|| router.clone());
        let tokens = door.is_some().then(|| Arc::new(ClusterTokens(gateway.clone())));
        let machines = Machines::new(
            gateway.clone(),
            router.clone(),
            tokens.clone().map(|tokens| -> Arc<dyn TokenSource> { tokens }),
            &parts.nodes,
        );
        let mut controllers = self.controllers;
        if self.builtin_controllers {
            controllers.extend(builtin_controllers(door.as_ref(), &metrics));
        }
        if !self.provisioners.is_empty() {
            controllers.push(erase(Provisioning::new(self.provisioners.clone())));
            controllers.push(erase(Reclaiming::new(self.provisioners)));
        }
        if let Some(make) = self.cloud {
            let cloud = make(machines.clone());
            controllers.extend(cloud::controllers(&cloud, crate::cloud::what_if(), self.autoscaler));
        }
        let driver = Driver::start(controllers, &gateway, &parts.deciders);
        let snapshot = scheduling::start(self.schedulers, &gateway, &parts.deciders);
        let mut nodes = self.nodes;
        if let Some(tokens) = tokens {
            nodes = nodes.into_iter().map(|node| node.tokens_by_default(tokens.clone())).collect();
        }
        start_nodes(&parts, &gateway, &router, nodes).await?;
        if self.builtin_controllers {
            ready_for_pods(&*gateway).await;
        }

        let store = pipeline.ledger().store().clone();
        let published = Arc::new(Published::new(gateway.clone()));
        let numbers = Arc::new(Numbers::new(gateway.clone(), driver.clone()));
        let address = endpoint.map_or_else(String::new, |address| address.to_string());
        let server = ApiServer::new(gateway, store).with_auth(auth).with_address(address);
        let server = match self.in_flight.seats().filter(|_| self.fair) {
            Some(seats) => server.with_fairness(start_fairness(&parts, &pipeline, seats, endpoint.is_some())),
            None => server.without_fairness(self.in_flight),
        };
        let server = server.with_outbound(outbound).with_aggregation(aggregation);
        let server = server.with_streams(Arc::new(Streams(router.clone())));
        let server = server.with_open_api(published).with_metrics(numbers).with_usage(metrics);
        let server = Arc::new(match self.audit {
            Some(audit) => server.with_audit(audit),
            None => server,
        });
        let served = door.map(|door| door.serve(server.clone())).transpose().map_err(Error::Serve)?;
        Ok(Cluster { pipeline, driver, router, machines, snapshot, server, served, parts })
    }
}

/// The built-in plugins but for those left out, then the embedder's.
fn admission_chain(
    serves: bool,
    entropy: &Arc<Entropy>,
    left_out: &[&str],
    own: Vec<Box<dyn Admission>>,
) -> Vec<Box<dyn Admission>> {
    let builtin = if serves { admission::serving(entropy.clone()) } else { admission::builtin() };
    builtin.into_iter().filter(|plugin| !left_out.contains(&plugin.name())).chain(own).collect()
}

/// The controllers that every cluster has; one that serves also signs certificates.
fn builtin_controllers(door: Option<&Door>, metrics: &Arc<dyn Metrics>) -> Vec<Box<dyn ErasedController>> {
    let root_ca = door.map(Door::root_ca);
    let options = Options { root_ca, metrics: Some(metrics.clone()), ..Options::default() };
    let mut controllers = coracle_controllers::builtin(options);
    controllers.extend(door.into_iter().flat_map(|door| certificates::controllers(door.authority())));
    controllers
}

/// What everything else stands on: the way from the store to the world, and from happenings to Events.
pub(crate) fn start_base(parts: &Parts, pipeline: &Arc<Pipeline>) {
    let ledger = pipeline.clone();
    parts.base.spawn(async move { ledger.ledger().follow().await });
    let definitions = pipeline.clone();
    parts.base.spawn(async move { coracle_api::custom::run(&*definitions).await });
    let recorder = pipeline.clone();
    parts.base.spawn(async move { recorder.recorder().run(&*recorder).await });
}

/// Priority and fairness, and the task that tells it of its objects. A cluster that serves has upstream's objects.
fn start_fairness(parts: &Parts, pipeline: &Arc<Pipeline>, seats: usize, serves: bool) -> Arc<Fairness> {
    let fairness = Arc::new(Fairness::new(seats));
    fairness.digest(&pipeline.feed().world());
    parts.base.spawn(fairness::keep::run(pipeline.clone(), fairness.clone(), serves));
    fairness
}

/// Starts nodes and waits until each is registered.
async fn start_nodes(
    parts: &Parts,
    gateway: &Arc<dyn Gateway>,
    router: &Arc<Router>,
    nodes: Vec<Node>,
) -> Result<(), Error> {
    let (routing, stop) = (router.clone(), parts.base.stop.clone());
    parts.base.tasks.spawn(async move { routing.run(stop).await });
    let (failed, mut failure) = tokio::sync::mpsc::channel(1);
    let (world, mut changes) = gateway.feed().follow(Some(&GroupResource::of::<core::v1::Node>()));
    let mut awaited: BTreeSet<Arc<str>> = nodes.iter().map(|node| node.name().clone()).collect();
    awaited.retain(|name| world.get::<core::v1::Node>("", name).is_none());
    for node in nodes {
        let (gateway, router, stop) = (gateway.clone(), router.clone(), parts.nodes.stop.clone());
        let failed = failed.clone();
        parts.nodes.tasks.spawn(async move {
            let name = node.name().to_string();
            if let Err(status) = node.run(gateway, router, stop).await {
                tracing::error!(node = name, %status, "a node ended");
                // Nobody listens once the cluster has started; the line above has told it.
                let _heard = failed.try_send(Error::Node { node: name, why: status.to_string() });
            }
        });
    }
    while !awaited.is_empty() {
        tokio::select! {
            biased;
            Some(error) = failure.recv() => return Err(error),
            // Told too much at once to keep all of it: the world has everything.
            _heard_of_nodes = changes.next(usize::MAX) => {}
        }
        let world = gateway.feed().world();
        awaited.retain(|name| world.get::<core::v1::Node>("", name).is_none());
    }
    Ok(())
}

/// Pods need the ServiceAccount `default`, which a controller makes.
async fn ready_for_pods(gateway: &dyn Gateway) {
    let (mut world, mut changes) = gateway.feed().follow(Some(&GroupResource::of::<core::v1::ServiceAccount>()));
    while world.get::<core::v1::ServiceAccount>("default", "default").is_none() {
        let _events = changes.next(usize::MAX).await;
        world = gateway.feed().world();
    }
}
