//! Pods that room was made for on a node and that are not there yet. Others that are no more important leave it to them.
//! Source: `pkg/scheduler/backend/queue/nominator.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::pod::PodInfo;

/// Who is expected where, by pod id.
#[derive(Clone, Debug, Default)]
pub(super) struct Nominated(BTreeMap<Arc<str>, Nomination>);

#[derive(Clone, Debug)]
struct Nomination {
    pod: Arc<PodInfo>,
    node: Arc<str>,
    /// Whether the pod's own status has said so: then it can also take it back.
    written: bool,
}

impl Nominated {
    /// A waiting pod has a new version. One that does not have its nomination yet takes nothing back.
    pub(super) fn hear(&mut self, pod: &Arc<PodInfo>) {
        if let Some(node) = pod.nominated_node() {
            let nomination = Nomination { pod: pod.clone(), node: node.into(), written: true };
            self.0.insert(pod.id().clone(), nomination);
        } else if let Some(known) = self.0.get_mut(pod.id()) {
            known.pod = pod.clone();
            if known.written {
                self.0.remove(pod.id());
            }
        }
    }

    /// Room is being made for a pod. Returns the less important ones that were expected there: they are no longer.
    pub(super) fn nominate(&mut self, pod: &Arc<PodInfo>, node: &Arc<str>) -> Vec<Arc<PodInfo>> {
        let gives_way = |other: &Nomination| other.node == *node && other.pod.priority() < pod.priority();
        let aside: Vec<_> = self.0.values().filter(|other| gives_way(other)).map(|other| other.pod.clone()).collect();
        aside.iter().for_each(|other| self.remove(other.id()));
        self.0.insert(pod.id().clone(), Nomination { pod: pod.clone(), node: node.clone(), written: false });
        aside
    }

    pub(super) fn remove(&mut self, id: &Arc<str>) {
        self.0.remove(id);
    }

    /// The node where a pod is expected.
    pub(super) fn node_of(&self, pod: &PodInfo) -> Option<&Arc<str>> {
        self.0.get(pod.id()).map(|nomination| &nomination.node)
    }

    /// Those that a pod has to leave room for, and where.
    pub(super) fn before(&self, pod: &PodInfo) -> impl Iterator<Item = (&Arc<PodInfo>, &Arc<str>)> {
        let (id, priority) = (pod.id().clone(), pod.priority());
        let comes_first = move |other: &&Nomination| *other.pod.id() != id && other.pod.priority() >= priority;
        self.0.values().filter(comes_first).map(|nomination| (&nomination.pod, &nomination.node))
    }
}
