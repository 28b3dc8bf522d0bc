//! What the scheduler knows of the cluster: kept up event by event, never copied, never scanned.
//!
//! Nodes have dense indexes, so whatever is worked out per node is a plain array. Each change that may alter a decision is
//! noted in a journal of node indexes: a reader that remembers its place there looks again at those nodes only.

mod budgets;
mod images;
mod node;
mod nominated;
mod storage;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use coracle_core::selector::Labels;
use coracle_core::{Event, World};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};

use crate::pod::{PodInfo, id_of, is_over, node_of};
use crate::shape::Shapes;

pub use budgets::Budgets;
pub use images::ImageState;
pub use node::NodeInfo;
pub use storage::Storage;

/// A node's place in the snapshot. Places of nodes that are gone are given to new ones.
pub type NodeIndex = u32;

/// What an event meant to the scheduler.
#[derive(Clone, Debug)]
pub enum Change {
    /// Nothing.
    Nothing,
    /// A node came, or changed in labels, taints, allocatable amounts or openness.
    Node(NodeIndex),
    /// A node is gone.
    NodeGone,
    /// A namespace has other labels, so that terms between pods may mean others.
    Namespace,
    /// A claim, a volume or a class came, changed or is gone.
    Storage,
    /// A pod came or changed that no node has.
    Waiting(Arc<PodInfo>),
    /// A pod no longer waits: it is deleted, terminating or over without ever having had a node.
    Gone(Arc<str>),
    /// A pod is on a node, or changed there.
    Bound(Arc<PodInfo>, NodeIndex),
    /// A pod has left a node, or asks less of it.
    Freed(Arc<PodInfo>, NodeIndex),
}

/// Every node, what is on it, and what is assumed to be soon.
#[derive(Debug, Default)]
pub struct Snapshot {
    nodes: Vec<NodeInfo>,
    by_name: HashMap<Arc<str>, NodeIndex>,
    free: Vec<NodeIndex>,
    existing: usize,
    placed: HashMap<Arc<str>, Placed>,
    shapes: Shapes,
    images: images::Images,
    images_revision: u64,
    /// Placed pods with affinity or anti-affinity to pods: while there are none, nobody looks for them.
    affine: HashMap<Arc<str>, (Arc<PodInfo>, NodeIndex)>,
    /// How many placed pods there are of each priority.
    priorities: BTreeMap<i32, usize>,
    namespaces: HashMap<String, Labels>,
    storage: Storage,
    budgets: Budgets,
    nominated: nominated::Nominated,
    journal: VecDeque<NodeIndex>,
    journal_start: u64,
    identity: Arc<()>,
}

#[derive(Clone, Copy, Debug)]
struct Placed {
    node: NodeIndex,
    /// Where in the node's list.
    at: usize,
    assumed: bool,
}

impl Clone for Snapshot {
    /// A copy that goes its own way, for a "what if". Costs the nodes, not the pods.
    fn clone(&self) -> Self {
        Self {
            nodes: self.nodes.clone(),
            by_name: self.by_name.clone(),
            free: self.free.clone(),
            placed: self.placed.clone(),
            shapes: self.shapes.clone(),
            images: self.images.clone(),
            affine: self.affine.clone(),
            priorities: self.priorities.clone(),
            namespaces: self.namespaces.clone(),
            storage: self.storage.clone(),
            budgets: self.budgets.clone(),
            nominated: self.nominated.clone(),
            journal: self.journal.clone(),
            identity: Arc::default(),
            ..*self
        }
    }
}

impl Snapshot {
    /// An empty cluster.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a whole world; returns the pods that wait for a node, in key order.
    pub fn load(&mut self, world: &World) -> Vec<Arc<PodInfo>> {
        self.storage.load(world);
        self.budgets.load(world);
        for namespace in world.list::<Namespace>() {
            self.set_namespace(&namespace);
        }
        for node in world.list::<Node>() {
            self.set_node(node);
        }
        let waiting = |change| match change {
            Change::Waiting(pod) => Some(pod),
            _ => None,
        };
        world.list::<Pod>().filter_map(|pod| waiting(self.set_pod(pod))).collect()
    }

    /// Takes in one event of the cluster; events about other kinds mean nothing.
    pub fn apply(&mut self, event: &Event) -> Change {
        if let Some(node) = event.object.get::<Node>() {
            return match event.object.shared::<Node>() {
                Some(shared) if !event.deleted => self.set_node(shared),
                _ => self.remove_node(node.metadata.name.as_deref().unwrap_or("")),
            };
        }
        if let Some(namespace) = event.object.get::<Namespace>() {
            return self.set_namespace(namespace);
        }
        match (event.object.shared::<Pod>(), event.deleted) {
            (Some(pod), true) => self.remove_pod(&pod),
            (Some(pod), false) => self.set_pod(pod),
            (None, _) if self.storage.apply(event) => Change::Storage,
            (None, _) if self.budgets.apply(event) => Change::Nothing,
            (None, _) => Change::Nothing,
        }
    }

    /// A namespace came or has other labels. One that is gone has no pods, so its labels do no harm.
    pub fn set_namespace(&mut self, namespace: &Namespace) -> Change {
        let name = namespace.metadata.name.clone().unwrap_or_default();
        let labels = namespace.metadata.labels.clone().unwrap_or_default();
        let previous = self.namespaces.insert(name, labels.clone());
        if previous.is_some_and(|previous| previous != labels) { Change::Namespace } else { Change::Nothing }
    }

    /// A node came or has a new version.
    pub fn set_node(&mut self, node: Arc<Node>) -> Change {
        let index = self.place_of(node.metadata.name.as_deref().unwrap_or(""));
        let Some(info) = self.nodes.get_mut(index as usize) else { return Change::Nothing };
        let known = info.node.is_some();
        let same = info.node.as_ref().is_some_and(|before| node::looks_the_same(before, &node));
        let images_changed = self.images.replace(info, Some(&node));
        info.set_node(node);
        if !known {
            self.existing += 1;
        }
        // Image scores depend on the number of nodes; while no node has images there are none.
        if images_changed || (!known && !self.images.is_empty()) {
            self.images_revision += 1;
        }
        if same {
            return Change::Nothing;
        }
        self.note(index);
        Change::Node(index)
    }

    /// A node is gone. Its pods stay known until they go too, in case it comes back.
    pub fn remove_node(&mut self, name: &str) -> Change {
        let Some(&index) = self.by_name.get(name) else { return Change::Nothing };
        let Some(info) = self.nodes.get_mut(index as usize).filter(|info| info.exists()) else {
            return Change::Nothing;
        };
        self.images.replace(info, None);
        info.unset_node();
        self.existing -= 1;
        self.images_revision += 1;
        self.note(index);
        self.give_back(index);
        Change::NodeGone
    }

    /// A pod came or has a new version.
    pub fn set_pod(&mut self, pod: Arc<Pod>) -> Change {
        let over = is_over(&pod);
        match node_of(&pod) {
            Some(_) if over => self.remove_pod(&pod),
            Some(node) => {
                let index = self.place_of(node);
                let info = Arc::new(PodInfo::new(pod, &mut self.shapes));
                self.set_bound(info, index)
            }
            None => {
                let id = id_of(&pod);
                // Events about an assumed pod that are older than its binding are no news.
                if self.placed.contains_key(&id) && pod.metadata.deletion_timestamp.is_none() && !over {
                    return Change::Nothing;
                }
                if over || pod.metadata.deletion_timestamp.is_some() {
                    self.nominated.remove(&id);
                    return Change::Gone(id);
                }
                let pod = Arc::new(PodInfo::new(pod, &mut self.shapes));
                self.nominated.hear(&pod);
                Change::Waiting(pod)
            }
        }
    }

    /// A pod is deleted, or over.
    pub fn remove_pod(&mut self, pod: &Pod) -> Change {
        let id = id_of(pod);
        self.nominated.remove(&id);
        match self.take_off(&id) {
            Some((pod, node)) => Change::Freed(pod, node),
            None => Change::Gone(id),
        }
    }

    /// Counts a pod as being on a node before the binding is seen. The event of the binding then changes nothing. Returns
    /// whether there is such a node and the pod was on none.
    pub fn assume(&mut self, pod: &Arc<PodInfo>, node: &str) -> bool {
        let Some(&index) = self.by_name.get(node) else { return false };
        if self.placed.contains_key(pod.id()) {
            return false;
        }
        self.put_on(pod.clone(), index, true);
        true
    }

    /// Takes back an assumption, if it is still one: the binding failed. Room became free, as the change tells.
    pub fn forget(&mut self, pod: &PodInfo) -> Change {
        match self.placed.get(pod.id()) {
            Some(placed) if placed.assumed => {
                let Some((pod, node)) = self.take_off(&pod.id().clone()) else { return Change::Nothing };
                self.nominated.hear(&pod);
                Change::Freed(pod, node)
            }
            _ => Change::Nothing,
        }
    }

    /// Room is being made for a pod on a node: others that are no more important leave it to the pod from now on. Returns the
    /// less important ones that were expected there; nobody waits for them any more.
    pub fn nominate(&mut self, pod: &Arc<PodInfo>, node: &Arc<str>) -> Vec<Arc<PodInfo>> {
        self.nominated.nominate(pod, node)
    }

    /// The node where a pod is expected, because room was made there.
    #[must_use]
    pub fn nominated_node_of(&self, pod: &PodInfo) -> Option<&NodeInfo> {
        self.node(self.index_of(self.nominated.node_of(pod)?)?)
    }

    /// Nodes where others are expected that a pod has to leave room for, as they will be when those have come. Mostly none.
    /// Source: `addGENominatedPods`.
    pub(crate) fn reserved(&self, pod: &PodInfo) -> BTreeMap<NodeIndex, NodeInfo> {
        let mut fuller = BTreeMap::new();
        for (other, node) in self.nominated.before(pod) {
            let found = self.index_of(node).and_then(|index| Some((index, self.node(index)?)));
            let Some((index, node)) = found else { continue };
            fuller.entry(index).or_insert_with(|| node.clone()).hold(other.clone());
        }
        fuller
    }

    /// Reads a pod as this snapshot would, for questions about pods that are not in the cluster.
    pub fn read(&mut self, pod: Arc<Pod>) -> Arc<PodInfo> {
        Arc::new(PodInfo::new(pod, &mut self.shapes))
    }

    /// How many nodes there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.existing
    }

    /// The nodes that exist, by index.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeIndex, &NodeInfo)> {
        (0..).zip(&self.nodes).filter(|(_, node)| node.exists())
    }

    /// How many indexes there are; some may have no node.
    #[must_use]
    pub fn places(&self) -> usize {
        self.nodes.len()
    }

    /// The node at an index, if it exists.
    #[must_use]
    pub fn node(&self, index: NodeIndex) -> Option<&NodeInfo> {
        self.nodes.get(index as usize).filter(|node| node.exists())
    }

    /// The index of a node by name, if it exists.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<NodeIndex> {
        self.by_name.get(name).copied().filter(|index| self.node(*index).is_some())
    }

    /// The node a pod is on or assumed to be on soon.
    #[must_use]
    pub fn node_of(&self, pod: &PodInfo) -> Option<&NodeInfo> {
        self.nodes.get(self.placed.get(pod.id())?.node as usize)
    }

    /// What volumes of pods depend on.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// What may be disrupted.
    #[must_use]
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// An image, if any node has it.
    #[must_use]
    pub fn image(&self, name: &str) -> Option<ImageState> {
        self.images.get(name)
    }

    /// Changes whenever scores by images may.
    #[must_use]
    pub fn images_revision(&self) -> u64 {
        self.images_revision
    }

    /// The labels of a namespace.
    #[must_use]
    pub fn namespace_labels(&self, name: &str) -> &Labels {
        static NONE: Labels = Labels::new();
        self.namespaces.get(name).unwrap_or(&NONE)
    }

    /// Placed pods with affinity or anti-affinity to pods, and their nodes.
    pub(crate) fn affine(&self) -> impl Iterator<Item = (&PodInfo, &NodeInfo)> {
        self.affine.values().filter_map(|(pod, index)| Some((&**pod, self.node(*index)?)))
    }

    /// Whether any placed pod has a priority below this.
    #[must_use]
    pub fn has_less_important(&self, priority: i32) -> bool {
        self.priorities.keys().next().is_some_and(|lowest| *lowest < priority)
    }

    /// Tells this snapshot from its copies.
    #[must_use]
    pub fn is(&self, identity: &Arc<()>) -> bool {
        Arc::ptr_eq(&self.identity, identity)
    }

    pub(crate) fn identity(&self) -> &Arc<()> {
        &self.identity
    }

    /// The end of the journal.
    pub(crate) fn now(&self) -> u64 {
        self.journal_start + self.journal.len() as u64
    }

    /// The nodes that changed since a place in the journal, some more than once; `None` if looking at all is cheaper.
    pub(crate) fn changed_since(&self, then: u64) -> Option<impl Iterator<Item = NodeIndex> + '_> {
        let skipped = usize::try_from(then.checked_sub(self.journal_start)?).ok()?;
        (self.journal.len().saturating_sub(skipped) <= self.nodes.len())
            .then(|| self.journal.iter().skip(skipped).copied())
    }

    fn note(&mut self, index: NodeIndex) {
        // Whoever is further behind than there are nodes looks at all of them anyway.
        while self.journal.len() > self.nodes.len() + 64 {
            self.journal.pop_front();
            self.journal_start += 1;
        }
        self.journal.push_back(index);
    }

    fn place_of(&mut self, name: &str) -> NodeIndex {
        if let Some(&index) = self.by_name.get(name) {
            return index;
        }
        let name: Arc<str> = name.into();
        let info = NodeInfo { name: name.clone(), ..NodeInfo::default() };
        let free = self.free.pop().and_then(|index| Some((index, self.nodes.get_mut(index as usize)?)));
        let index = if let Some((index, place)) = free {
            *place = info;
            index
        } else {
            self.nodes.push(info);
            NodeIndex::try_from(self.nodes.len() - 1).unwrap_or(NodeIndex::MAX)
        };
        self.by_name.insert(name, index);
        index
    }

    /// A place with neither node nor pods can be someone else's.
    fn give_back(&mut self, index: NodeIndex) {
        let Some(info) = self.nodes.get(index as usize) else { return };
        if !info.exists() && info.pods.is_empty() {
            self.by_name.remove(&info.name);
            self.free.push(index);
        }
    }

    fn set_bound(&mut self, pod: Arc<PodInfo>, index: NodeIndex) -> Change {
        let Some(placed) = self.placed.get_mut(pod.id()).filter(|placed| placed.node == index) else {
            self.take_off(&pod.id().clone());
            self.put_on(pod.clone(), index, false);
            return Change::Bound(pod, index);
        };
        let was_assumed = std::mem::replace(&mut placed.assumed, false);
        let at = placed.at;
        let held = self.nodes.get_mut(index as usize).and_then(|node| node.pods.get_mut(at));
        let Some(held) = held else { return Change::Nothing };
        if !Arc::ptr_eq(&held.shape, &pod.shape) {
            self.take_off(&pod.id().clone());
            self.put_on(pod.clone(), index, false);
            return Change::Freed(pod, index);
        }
        let same = held.pod.metadata.labels == pod.pod.metadata.labels;
        *held = pod.clone();
        if let Some((affine, _)) = self.affine.get_mut(pod.id()) {
            *affine = pod.clone();
        }
        if same && !was_assumed { Change::Nothing } else { Change::Bound(pod, index) }
    }

    fn put_on(&mut self, pod: Arc<PodInfo>, index: NodeIndex, assumed: bool) {
        let Some(node) = self.nodes.get_mut(index as usize) else { return };
        self.nominated.remove(pod.id());
        self.placed.insert(pod.id().clone(), Placed { node: index, at: node.pods.len(), assumed });
        *self.priorities.entry(pod.priority()).or_default() += 1;
        if pod.shape.has_terms() {
            self.affine.insert(pod.id().clone(), (pod.clone(), index));
        }
        node.hold(pod);
        self.note(index);
    }

    fn take_off(&mut self, id: &Arc<str>) -> Option<(Arc<PodInfo>, NodeIndex)> {
        let placed = self.placed.remove(id)?;
        let node = self.nodes.get_mut(placed.node as usize)?;
        if placed.at >= node.pods.len() {
            return None;
        }
        let pod = node.pods.swap_remove(placed.at);
        node.release(&pod);
        if let Some(moved) = node.pods.get(placed.at).and_then(|moved| self.placed.get_mut(moved.id())) {
            moved.at = placed.at;
        }
        if let Some(count) = self.priorities.get_mut(&pod.priority()) {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&pod.priority());
            }
        }
        self.affine.remove(id);
        self.note(placed.node);
        self.give_back(placed.node);
        Some((pod, placed.node))
    }
}

#[cfg(test)]
mod tests;
