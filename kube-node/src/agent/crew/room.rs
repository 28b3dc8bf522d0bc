//! Whom a node has room for: pods that come, and pods that want to have more.

use std::sync::Arc;

use coracle_core::{Happening, Severity};
use k8s_openapi::api::core::v1::Node as NodeObject;

use super::super::worker::Worker;
use super::Crew;
use crate::pod::admission::{self, Demand};

impl Crew {
    pub(super) fn admit(&self, worker: &mut Worker) {
        let Some(node) = self.object() else { return };
        let taken: Vec<&Demand> =
            self.workers.values().filter(|worker| worker.takes_room()).map(|worker| &worker.demand).collect();
        let Err(rejection) = admission::admit(&worker.pod, &worker.demand, &node, taken.into_iter()) else { return };
        let mut happening = Happening::new("kubelet", &*worker.pod, Severity::Warning, "", "");
        happening.reason = admission::reason_word(&rejection.reason);
        happening.note.clone_from(&rejection.message);
        happening.host = self.node.name.clone();
        self.gateway.record(happening);
        worker.seen.rejected = Some(rejection);
    }

    /// Gives pods that want other resources what there is room for; says whether there is something to do about it.
    pub(super) fn give_room(&mut self) -> bool {
        if self.resizes.is_empty() {
            return false;
        }
        let Some(node) = self.object() else { return false };
        let mut news = false;
        for uid in std::mem::take(&mut self.resizes) {
            let Some(worker) = self.workers.get(&uid).filter(|worker| worker.may_be_resized()) else { continue };
            let others = self.workers.values().filter(|other| other.uid != uid && other.takes_room());
            let others: Vec<&Demand> = others.map(|other| &other.demand).collect();
            let verdict = admission::resize(&Demand::of(&worker.pod), &node, others.into_iter());
            let Some(worker) = self.workers.get_mut(&uid) else { continue };
            let tell = worker.give(verdict);
            if worker.asks_resize {
                self.resizes.insert(uid.clone());
            }
            if let Some(tell) = tell {
                self.tell(&uid, tell);
                self.dirty.insert(uid);
                news = true;
            }
        }
        news
    }

    /// The node as the cluster knows it.
    fn object(&self) -> Option<Arc<NodeObject>> {
        self.gateway.feed().world().get::<NodeObject>("", &self.node.name)
    }
}
