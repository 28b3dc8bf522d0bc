//! Pods that do nothing: a state, an address and, only where asked for, a timer.
//!
//! Without configuration every image is there, every container starts at once and runs until it is stopped: no task, no
//! timer, no wake-up. [`Behaviour`] says otherwise, for all pods or by a function of pod and container, and a pod's
//! annotations say otherwise for that pod:
//!
//! | annotation | meaning | example |
//! |---|---|---|
//! | `coracle.dev/start-after` | how long its containers take to start | `2s` |
//! | `coracle.dev/run-for` | how long they run before they end by themselves | `1m30s` |
//! | `coracle.dev/exit-code` | with which code they then end | `3` |
//! | `coracle.dev/cpu-usage` | how much CPU each of its containers uses, at any time | `250m` |
//! | `coracle.dev/memory-usage` | how much memory each of its containers uses, at any time | `64Mi` |
//!
//! One value is one node's runtime. [`SimulatedRuntime::sibling`] makes another node's: with its own pods, addresses and
//! events, and with the same behaviour, chance and timer. So a thousand nodes share one sleeping task.

mod behaviour;
mod deadlines;
mod nodes;
mod output;
mod usage;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use coracle_core::{Clock, Entropy};
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Container, Pod};

pub use behaviour::{Behaviour, EXIT_CODE, RUN_FOR, START_AFTER};
pub use usage::{CPU_USAGE, MEMORY_USAGE};

use super::addresses::AddressPool;
use super::book::Book;
use super::times::Times;
use crate::runtime::{
    ContainerId, ContainerSpec, Exec, ExecOutput, Exit, ImageId, Logs, Runtime, RuntimeError, RuntimeEvent, Sandbox,
    SandboxId, SandboxStatus, Stats, Usage,
};
use behaviour::PodBehaviour;
use deadlines::{Deadline, Deadlines};

/// Pretends to run containers. A clone is the same node's runtime; a sibling is another's.
#[derive(Clone)]
pub struct SimulatedRuntime {
    family: Arc<Family>,
    node: Arc<SimulatedNode>,
}

type Choose = Arc<dyn Fn(&Pod, &Container) -> Behaviour + Send + Sync>;
type Uses = Arc<dyn Fn(&Pod, &str) -> Usage + Send + Sync>;
type Answer = Arc<dyn Fn(&ContainerId, &[String]) -> ExecOutput + Send + Sync>;

/// What siblings share.
struct Family {
    how: How,
    times: Times,
    deadlines: Arc<Deadlines>,
    /// Counts nodes, so that each has a network of its own.
    nodes: AtomicU32,
}

#[derive(Clone)]
struct How {
    fixed: Behaviour,
    choose: Option<Choose>,
    answer: Option<Answer>,
    uses: Option<Uses>,
    chance: Arc<Entropy>,
}

/// What one node has.
struct SimulatedNode {
    book: Book<Option<Box<PodBehaviour>>, Option<Deadline>>,
    addresses: Mutex<AddressPool>,
    network: (Ipv4Addr, u8),
}

impl Default for SimulatedRuntime {
    fn default() -> Self {
        Self::new()
    }
}

impl SimulatedRuntime {
    /// Every container starts at once and runs until it is stopped.
    #[must_use]
    pub fn new() -> Self {
        let chance = Arc::new(Entropy::seeded(0));
        let how = How { fixed: Behaviour::default(), choose: None, answer: None, uses: None, chance };
        Self::of(how, Times::default())
    }

    fn of(how: How, times: Times) -> Self {
        let family = Family { how, times, deadlines: Arc::default(), nodes: AtomicU32::new(1) };
        Self { family: Arc::new(family), node: SimulatedNode::numbered(0) }
    }

    /// The same behaviour for every container.
    #[must_use]
    pub fn behaviour(self, behaviour: Behaviour) -> Self {
        let how = How { fixed: behaviour, choose: None, ..self.family.how.clone() };
        Self::of(how, self.family.times.clone())
    }

    /// A behaviour for each container by itself. Asked once per pod and container, when the pod's sandbox is started, and
    /// when images are pulled.
    #[must_use]
    pub fn behaviour_by(self, choose: impl Fn(&Pod, &Container) -> Behaviour + Send + Sync + 'static) -> Self {
        let how = How { choose: Some(Arc::new(choose)), ..self.family.how.clone() };
        Self::of(how, self.family.times.clone())
    }

    /// What commands answer: exec probes, hooks, `kubectl exec`. Default: nothing, with exit code 0.
    #[must_use]
    pub fn answering(self, answer: impl Fn(&ContainerId, &[String]) -> ExecOutput + Send + Sync + 'static) -> Self {
        let how = How { answer: Some(Arc::new(answer)), ..self.family.how.clone() };
        Self::of(how, self.family.times.clone())
    }

    /// What containers use, by pod and container name, asked whenever someone wants to know. Default: nobody knows, unless
    /// the pod's annotations say.
    #[must_use]
    pub fn using(self, uses: impl Fn(&Pod, &str) -> Usage + Send + Sync + 'static) -> Self {
        let how = How { uses: Some(Arc::new(uses)), ..self.family.how.clone() };
        Self::of(how, self.family.times.clone())
    }

    /// Where probabilities draw from. Default: a seed of zero.
    #[must_use]
    pub fn chance(self, chance: Arc<Entropy>) -> Self {
        let how = How { chance, ..self.family.how.clone() };
        Self::of(how, self.family.times.clone())
    }

    /// Where times come from. Default: the cluster's clock.
    #[must_use]
    pub fn clock(self, clock: &Arc<dyn Clock>) -> Self {
        self.family.times.give(clock);
        self
    }

    /// Gives pods of this node addresses of this network, such as the node's pod CIDR. Default: the n-th sibling has
    /// 10.x.y.0/24 with `x.y` spelling n.
    #[must_use]
    pub fn network(mut self, base: Ipv4Addr, prefix: u8) -> Self {
        self.node = SimulatedNode::with_network(base, prefix);
        self
    }

    /// Another node's runtime that behaves the same and shares the timer.
    #[must_use]
    pub fn sibling(&self) -> Self {
        let number = self.family.nodes.fetch_add(1, Ordering::Relaxed);
        Self { family: Arc::clone(&self.family), node: SimulatedNode::numbered(number) }
    }

    /// How a container behaves that its pod's sandbox did not foresee (an ephemeral one) or that behaves like all.
    fn behaviour_of(&self, pod: Option<&PodBehaviour>, container: &str) -> Behaviour {
        pod.and_then(|pod| pod.of(container)).unwrap_or(&self.family.how.fixed).clone()
    }

    fn happens(&self, probability: f64) -> bool {
        // One in 2^32 is fine enough, and zero must never draw: an unconfigured runtime leaves the sequence alone.
        #[allow(clippy::cast_precision_loss)]
        let drawn = || self.family.how.chance.below(1 << 32) as f64 / 4_294_967_296.0;
        probability > 0.0 && drawn() < probability
    }

    /// Ends a container now.
    fn end(&self, id: &ContainerId, code: i32, signal: i32) {
        end(&self.node, &self.family.times, id, code, signal);
    }
}

fn end(node: &SimulatedNode, times: &Times, id: &ContainerId, code: i32, signal: i32) {
    node.book.end(id, |started_at| Exit {
        code,
        signal,
        out_of_memory: false,
        started_at,
        finished_at: times.now(),
        message: String::new(),
    });
}

impl SimulatedNode {
    fn numbered(number: u32) -> Arc<Self> {
        let [_, _, high, low] = number.to_be_bytes();
        Self::with_network(Ipv4Addr::new(10, high, low, 0), 24)
    }

    fn with_network(base: Ipv4Addr, prefix: u8) -> Arc<Self> {
        let addresses = Mutex::new(AddressPool::network(base, prefix));
        Arc::new(Self { book: Book::default(), addresses, network: (base, prefix) })
    }

    fn take_address(&self) -> Result<IpAddr, RuntimeError> {
        let (base, prefix) = self.network;
        let none_left = || RuntimeError::Container(format!("no address is left in {base}/{prefix}"));
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.take().map(IpAddr::V4).ok_or_else(none_left)
    }

    fn give_back(&self, address: IpAddr) {
        if let IpAddr::V4(address) = address {
            self.addresses.lock().unwrap_or_else(PoisonError::into_inner).give_back(address);
        }
    }
}

/// Waits, if there is something to wait for: no timer otherwise.
async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

#[async_trait]
impl Runtime for SimulatedRuntime {
    fn name(&self) -> &str {
        "simulated"
    }

    fn use_clock(&self, clock: &Arc<dyn Clock>) {
        self.family.times.give(clock);
    }

    async fn pull(&self, image: &str, pod: &Pod) -> Result<ImageId, RuntimeError> {
        let behaviour = behaviour::for_image(&self.family.how, pod, image);
        pass(behaviour.pull).await;
        if self.happens(behaviour.pull_failure) {
            return Err(RuntimeError::Image { image: image.into(), why: "simulated failure".into() });
        }
        Ok(ImageId(image.into()))
    }

    async fn start_sandbox(&self, sandbox: &Sandbox) -> Result<SandboxStatus, RuntimeError> {
        self.node.book.open(sandbox, |_id| {
            let address = self.node.take_address()?;
            Ok((vec![address], PodBehaviour::of_pod(&self.family.how, &sandbox.pod)))
        })
    }

    async fn start(&self, spec: &ContainerSpec) -> Result<ContainerId, RuntimeError> {
        if let Some(id) = self.node.book.started(spec) {
            return Ok(id);
        }
        let (_, pod) = self.node.book.sandbox(&spec.sandbox)?;
        let behaviour = self.behaviour_of(pod.as_deref(), &spec.name);
        pass(behaviour.start).await;
        if self.happens(behaviour.start_failure) {
            return Err(RuntimeError::Container("simulated failure".into()));
        }
        let code = if self.happens(behaviour.crash) { behaviour.crash_code } else { behaviour.exit_code };
        let deadline = behaviour.run_for.map(Deadline::after);
        let id = self.node.book.begin(spec, self.family.times.now(), deadline)?;
        match (behaviour.run_for, deadline) {
            (Some(Duration::ZERO), _) => self.end(&id, code, 0),
            (_, Some(deadline)) => {
                let (node, times, ending) = (Arc::downgrade(&self.node), self.family.times.clone(), id.clone());
                let fire = move || {
                    Weak::upgrade(&node).inspect(|node| end(node, &times, &ending, code, 0));
                };
                self.family.deadlines.add(deadline, Box::new(fire));
            }
            (_, None) => {}
        }
        Ok(id)
    }

    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError> {
        let (status, deadline) = self.node.book.container(id)?;
        if !super::book::is_running(&status.state) {
            return Ok(());
        }
        let (_, pod) = self.node.book.sandbox_of(id)?;
        let behaviour = self.behaviour_of(pod.as_deref(), &status.name);
        pass(behaviour.stop.min(grace)).await;
        if let Some(deadline) = deadline {
            self.family.deadlines.cancel(deadline);
        }
        // Who needs longer than the grace period is killed, as by SIGKILL.
        let (code, signal) = if behaviour.stop > grace { (137, 9) } else { (behaviour.stop_code, 0) };
        self.end(id, code, signal);
        Ok(())
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        self.node.book.forget_container(id).map(drop)
    }

    async fn release_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.node.book.release(id).into_iter().for_each(|address| self.node.give_back(address));
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        for container in self.node.book.running_in(id) {
            self.stop(&container, Duration::ZERO).await?;
        }
        self.release_sandbox(id).await?;
        self.node.book.forget_sandbox(id);
        Ok(())
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        self.node.book.events()
    }

    async fn list(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        Ok(self.node.book.list())
    }

    fn logs(&self) -> Option<&dyn Logs> {
        Some(self)
    }

    fn exec(&self) -> Option<&dyn Exec> {
        Some(self)
    }

    fn stats(&self) -> Option<&dyn Stats> {
        Some(self)
    }
}

impl std::fmt::Debug for SimulatedRuntime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SimulatedRuntime").field("network", &self.node.network).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
