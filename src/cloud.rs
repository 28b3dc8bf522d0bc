//! A simulated cloud, and the copies of the cluster in which autoscalers try what they think of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use coracle_controllers::cloud::{Cloud, Machine, MakeWhatIf, NodeGroup, WhatIf};
use coracle_core::{Status, World};
use coracle_node::agent::Node;
use coracle_node::runtimes::SimulatedRuntime;
use coracle_sched::{Decision, Framework, Scheduler as _, Snapshot};
use k8s_openapi::api::core::v1::{self as core, LoadBalancerIngress, LoadBalancerStatus, Pod, Service};

use crate::machines::Machines;

/// A cloud of simulated machines: groups that grow and shrink, and an address for each Service that wants one.
///
/// Machines are nodes `<group>-0`, `<group>-1` and so on of this process, in the zones `a`, `b` and `c` of the region
/// `simulated`. Addresses are of 198.18.0.0/15, which nobody else uses, and nobody listens on them.
pub struct SimulatedCloud {
    machines: Machines,
    boot: Duration,
    groups: Mutex<BTreeMap<String, Group>>,
    addresses: Mutex<BTreeMap<String, u32>>,
}

type MakeNode = Box<dyn FnMut(&str) -> Node + Send>;

struct Group {
    min: usize,
    max: usize,
    make: MakeNode,
    template: core::Node,
    /// The numbers of its machines.
    numbers: BTreeSet<usize>,
}

impl SimulatedCloud {
    /// A cloud without machines. `machines` is what the builder's `cloud` hands over.
    #[must_use]
    pub fn new(machines: Machines) -> Self {
        Self { machines, boot: Duration::from_secs(30), groups: Mutex::default(), addresses: Mutex::default() }
    }

    /// How long a machine takes from being ordered to being a node. Default 30 s.
    #[must_use]
    pub fn boot(self, boot: Duration) -> Self {
        Self { boot, ..self }
    }

    /// A group of machines with so many processors and so much memory (such as `16Gi`) each. The fewest that it may have
    /// start at once.
    #[must_use]
    pub fn group(self, name: &str, machines: std::ops::RangeInclusive<usize>, cpu: &str, memory: &str) -> Self {
        let (runtime, cpu, memory) = (SimulatedRuntime::new(), cpu.to_owned(), memory.to_owned());
        self.group_of(name, machines, move |name| {
            let node = Node::new(name, runtime.sibling()).without_files();
            node.capacity("cpu", &*cpu).capacity("memory", &*memory).capacity("pods", "110")
        })
    }

    /// A group of machines that a function makes from their names: with labels, taints or a runtime of your own.
    #[must_use]
    pub fn group_of(
        self,
        name: &str,
        machines: std::ops::RangeInclusive<usize>,
        mut make: impl FnMut(&str) -> Node + Send + 'static,
    ) -> Self {
        let (min, max) = machines.into_inner();
        let template = make(&format!("{name}-template")).object(self.machines.now());
        let mut group = Group { min, max, make: Box::new(make), template, numbers: BTreeSet::new() };
        let first = group.order(name, min);
        first.into_iter().for_each(|node| self.machines.start(node, Duration::ZERO));
        self.groups().insert(name.to_owned(), group);
        self
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<String, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    /// So many more machines, under the lowest numbers that are free.
    fn order(&mut self, name: &str, machines: usize) -> Vec<Node> {
        let room = self.max.saturating_sub(self.numbers.len()).min(machines);
        let free: Vec<_> = (0..).filter(|number| !self.numbers.contains(number)).take(room).collect();
        self.numbers.extend(&free);
        free.into_iter().map(|number| (self.make)(&machine_name(name, number))).collect()
    }
}

fn machine_name(group: &str, number: usize) -> String {
    format!("{group}-{number}")
}

#[async_trait]
impl Cloud for SimulatedCloud {
    fn name(&self) -> &str {
        "simulated"
    }

    async fn groups(&self) -> Result<Vec<NodeGroup>, Status> {
        let group = |(name, group): (&String, &Group)| NodeGroup {
            name: name.clone(),
            min: group.min,
            max: group.max,
            machines: group.numbers.iter().map(|number| machine_name(name, *number)).collect(),
            template: group.template.clone(),
        };
        Ok(self.groups().iter().map(group).collect())
    }

    async fn grow(&self, group: &str, machines: usize) -> Result<(), Status> {
        let missing = || Status::bad_request(format!("there is no group {group:?}"));
        let nodes = self.groups().get_mut(group).ok_or_else(missing)?.order(group, machines);
        nodes.into_iter().for_each(|node| self.machines.start(node, self.boot));
        Ok(())
    }

    async fn end(&self, node: &core::Node) -> Result<(), Status> {
        let name = node.metadata.name.as_deref().unwrap_or("");
        for (group_name, group) in self.groups().iter_mut() {
            group.numbers.retain(|number| machine_name(group_name, *number) != name);
        }
        self.machines.stop(name);
        Ok(())
    }

    async fn machine(&self, node: &core::Node) -> Result<Option<Machine>, Status> {
        let name = node.metadata.name.as_deref().unwrap_or("");
        let groups = self.groups();
        let mut all = groups.iter().flat_map(|(group, it)| it.numbers.iter().map(move |number| (group, *number)));
        let found = all.find(|(group, number)| machine_name(group, *number) == name);
        Ok(found.map(|(group, number)| Machine {
            provider_id: format!("simulated://{name}"),
            zone: Some(format!("simulated-{}", ["a", "b", "c"].get(number % 3).unwrap_or(&"a"))),
            region: Some("simulated".to_owned()),
            instance_type: Some(group.clone()),
            addresses: Vec::new(),
        }))
    }

    async fn balance(&self, service: &Service, _nodes: &[Arc<core::Node>]) -> Result<LoadBalancerStatus, Status> {
        let uid = service.metadata.uid.clone().unwrap_or_default();
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let known = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.clone());
        if let Some(ingress) = known.filter(|ingress| !ingress.is_empty() && !addresses.contains_key(&uid)) {
            // Given by an earlier run of this program.
            return Ok(LoadBalancerStatus { ingress: Some(ingress) });
        }
        let taken: BTreeSet<u32> = addresses.values().copied().collect();
        let free = (1..0x0001_ffff).find(|number| !taken.contains(number));
        let free = free.ok_or_else(|| Status::internal("no address is left"))?;
        let number = *addresses.entry(uid).or_insert(free);
        let address = std::net::Ipv4Addr::from(u32::from(std::net::Ipv4Addr::new(198, 18, 0, 0)) + number);
        let ingress = LoadBalancerIngress { ip: Some(address.to_string()), ..LoadBalancerIngress::default() };
        Ok(LoadBalancerStatus { ingress: Some(vec![ingress]) })
    }

    async fn release(&self, service: &Service) -> Result<(), Status> {
        let uid = service.metadata.uid.as_deref().unwrap_or("");
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
        Ok(())
    }
}

impl fmt::Debug for SimulatedCloud {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SimulatedCloud").field("boot", &self.boot).finish_non_exhaustive()
    }
}

/// Copies of the cluster in which the default scheduler places pods.
pub(crate) fn what_if() -> MakeWhatIf {
    Arc::new(|world: &World| {
        let mut snapshot = Snapshot::new();
        snapshot.load(world);
        Box::new(Copy { snapshot, scheduler: Framework::new(0).without_preemption() })
    })
}

struct Copy {
    snapshot: Snapshot,
    scheduler: Framework,
}

impl WhatIf for Copy {
    fn add(&mut self, node: core::Node) {
        self.snapshot.set_node(Arc::new(node));
    }

    fn remove(&mut self, node: &str) {
        self.snapshot.remove_node(node);
    }

    fn place(&mut self, pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
        let mut left = Vec::new();
        for pod in pods {
            self.snapshot.remove_pod(pod);
            let mut free = Pod::clone(pod);
            free.spec.get_or_insert_default().node_name = None;
            let free = self.snapshot.read(Arc::new(free));
            match self.scheduler.schedule(&free, &self.snapshot) {
                Decision::Bind { node } => drop(self.snapshot.assume(&free, &node)),
                _ => left.push(pod.clone()),
            }
        }
        left
    }
}
