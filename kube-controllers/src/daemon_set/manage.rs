//! Which pods are missing, and which are too many. Source: `podsShouldBeOnNode`, `updateDaemonSet`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use coracle_core::request::Target;
use coracle_core::{Happening, Request, Severity};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod};

use super::backoff::Backoff;
use super::daemon::{is_updated, new_pod};
use super::eligible::Fit;
use super::nodes::{Seat, seat};
use super::rolling::{self, Sizes};
use super::{BURST_MAX, CONTROLLER};
use crate::history::{History, REVISION_HASH, hash_of, made_from};
use crate::plan::{Announcement, Plan, Wish};
use crate::pods;

/// One look at one set, and what follows from it.
pub(super) struct Management<'a> {
    pub(super) set: &'a DaemonSet,
    pub(super) now: Timestamp,
    /// The set's pods as they were found.
    pub(super) pods: &'a [Arc<Pod>],
    pub(super) seats: Vec<Seat<'a>>,
    pub(super) sizes: Sizes,
    pub(super) history: History,
    homeless: Vec<&'a Arc<Pod>>,
    backoff: &'a Backoff,
    /// Nodes that get a pod.
    pub(super) creating: Vec<&'a str>,
    pub(super) deleting: Vec<&'a Arc<Pod>>,
    telling: Vec<Happening>,
    /// When the next failed pod may be replaced.
    wait: Option<Duration>,
}

impl<'a> Management<'a> {
    pub(super) fn new(
        set: &'a DaemonSet,
        pods: &'a [Arc<Pod>],
        history: History,
        nodes: &'a [(Arc<Node>, Fit)],
        backoff: &'a Backoff,
        now: Timestamp,
    ) -> Self {
        let (seats, homeless) = seat(nodes, pods);
        let sizes = Sizes::of(set, seats.iter().filter(|seat| seat.fit.runs).count());
        let (creating, deleting, telling, wait) = Default::default();
        Self { set, now, pods, seats, sizes, history, homeless, backoff, creating, deleting, telling, wait }
    }

    /// Decides everything and writes it into the plan.
    pub(super) fn finish(mut self, plan: &mut Plan) {
        plan.together(self.history.present.wish.take());
        if self.merge_duplicates(plan) {
            return;
        }
        self.fill_seats();
        // Like upstream, one thing at a time: what is missing or too many first.
        if self.creating.is_empty() && self.deleting.is_empty() {
            rolling::roll(&mut self);
        }
        self.creating.truncate(BURST_MAX);
        self.deleting.truncate(BURST_MAX);
        for happening in std::mem::take(&mut self.telling) {
            plan.tell(happening);
        }
        plan.together(self.deleting.iter().map(|pod| deletion(self.set, pod)));
        plan.slow_start(self.creating.iter().map(|node| self.creation(node)).collect());
        plan.together(self.unused_revisions());
        self.report(plan);
        plan.look_again(self.wait).look_again(self.next_available());
    }

    /// The hash of the present revision.
    pub(super) fn hash(&self) -> &str {
        &self.history.present.hash
    }

    pub(super) fn min_ready_seconds(&self) -> i32 {
        self.set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
    }

    pub(super) fn is_available(&self, pod: &Pod) -> bool {
        pods::is_available(pod, self.min_ready_seconds(), self.now)
    }

    fn fill_seats(&mut self) {
        self.backoff.forget(self.now);
        let seats = std::mem::take(&mut self.seats);
        for seat in &seats {
            match seat.fit {
                Fit { runs: true, .. } if seat.pods.is_empty() => self.creating.push(seat.name),
                Fit { stays: true, .. } => self.tidy(seat),
                _ => self.deleting.extend(seat.pods.iter().filter(|pod| !is_leaving(pod))),
            }
        }
        self.seats = seats;
        // The scheduler never binds them, so the pod garbage collector never sees them on a node that is gone.
        let unbound = |pod: &&&Arc<Pod>| pods::node_name(pod).is_empty() && !is_leaving(pod);
        self.deleting.extend(self.homeless.iter().filter(unbound));
    }

    /// Sees to a node where pods may stay.
    fn tidy(&mut self, seat: &Seat<'a>) {
        let mut running = Vec::new();
        for pod in seat.pods.iter().copied().filter(|pod| !is_leaving(pod)) {
            match pods::phase(pod) {
                "Failed" => self.replace_failed(seat, pod),
                "Succeeded" => {
                    self.telling.push(ended(self.set, seat, pod, Severity::Normal));
                    self.deleting.push(pod);
                }
                _ => running.push(pod),
            }
        }
        if !self.sizes.surges {
            self.deleting.extend(running.iter().skip(1));
        } else if running.is_empty() {
            // A pod on its way out does not hold back the next one, that would be a gap; one that failed and waits does.
            if seat.fit.runs && !seat.pods.iter().any(|pod| pods::is_terminal(pod)) {
                self.creating.push(seat.name);
            }
        } else {
            self.thin_out(&running);
        }
    }

    fn replace_failed(&mut self, seat: &Seat<'a>, pod: &'a Arc<Pod>) {
        match self.backoff.wait(self.set, seat.name, self.now) {
            Some(left) => self.wait = Some(self.wait.map_or(left, |wait| wait.min(left))),
            None => {
                self.telling.push(ended(self.set, seat, pod, Severity::Warning));
                self.deleting.push(pod);
            }
        }
    }

    /// With surge, leaves one old pod as long as it is ready and the new one is not yet available.
    fn thin_out(&mut self, running: &[&'a Arc<Pod>]) {
        let (new, old): (Vec<_>, Vec<_>) =
            running.iter().copied().partition(|pod| made_from(&pod.metadata) == self.hash());
        self.deleting.extend(new.iter().chain(&old).copied().filter(|pod| {
            let oldest = [new.first(), old.first()].into_iter().flatten();
            !oldest.into_iter().any(|oldest| Arc::ptr_eq(oldest, pod))
        }));
        if let (Some(new), Some(old)) = (new.first(), old.first())
            && (!pods::is_ready(old) || self.is_available(new))
        {
            self.deleting.push(old);
        }
    }

    fn creation(&self, node: &str) -> Wish {
        let announcement = Announcement::about(CONTROLLER, self.set)
            .done("SuccessfulCreate", "Created pod: {}")
            .failed("FailedCreate", "Error creating: {}");
        Wish::from(Request::create(new_pod(self.set, self.hash(), node))).announced(announcement)
    }

    /// Leaves one revision of the present template, and has all pods be of it. Says whether pods had to change. Source:
    /// `dedupCurHistories`.
    fn merge_duplicates(&self, plan: &mut Plan) -> bool {
        let duplicates = &self.history.present.duplicates;
        let hashes: HashSet<&str> = duplicates.iter().map(|revision| hash_of(revision, REVISION_HASH)).collect();
        let strays = self.pods.iter().filter(|pod| hashes.contains(made_from(&pod.metadata)));
        let relabellings: Vec<Wish> = strays.map(|pod| relabelling(pod, self.hash())).collect();
        let relabels = !relabellings.is_empty();
        plan.together(relabellings).together(duplicates.iter().map(|revision| Request::delete(&**revision)));
        relabels
    }

    /// Former revisions beyond the limit that no pod is of. Default limit: 10. Source: `cleanupHistory`.
    fn unused_revisions(&self) -> Vec<Wish> {
        let limit = self.set.spec.as_ref().and_then(|spec| spec.revision_history_limit).unwrap_or(10);
        let present = &self.history.present;
        let is_present = |revision: &ControllerRevision| {
            let name = revision.metadata.name.as_deref();
            name == Some(&present.name) || present.duplicates.iter().any(|it| it.metadata.name.as_deref() == name)
        };
        let former = self.history.revisions.iter().filter(|revision| !is_present(revision)).count();
        let surplus = former.saturating_sub(usize::try_from(limit).unwrap_or(0));
        if surplus == 0 {
            return Vec::new();
        }
        let hashes: HashSet<&str> = self.pods.iter().map(|pod| made_from(&pod.metadata)).collect();
        let in_use = |it: &ControllerRevision| is_present(it) || hashes.contains(hash_of(it, REVISION_HASH));
        self.history.forget(surplus, in_use)
    }

    /// Whether a pod is of the present revision.
    pub(super) fn is_updated(&self, pod: &Pod) -> bool {
        is_updated(self.set, pod, self.hash())
    }
}

fn is_leaving(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

fn ended(set: &DaemonSet, seat: &Seat<'_>, pod: &Pod, severity: Severity) -> Happening {
    let metadata = &pod.metadata;
    let (namespace, name) = (metadata.namespace.as_deref().unwrap_or(""), metadata.name.as_deref().unwrap_or(""));
    let (reason, how, what) = match severity {
        Severity::Normal => ("SucceededDaemonPod", "succeeded", "delete"),
        Severity::Warning => ("FailedDaemonPod", "failed", "kill"),
    };
    let note = format!("Found {how} daemon pod {namespace}/{name} on node {}, will try to {what} it", seat.name);
    Happening::new(CONTROLLER, set, severity, reason, note)
}

fn deletion(set: &DaemonSet, pod: &Pod) -> Wish {
    let name = pod.metadata.name.as_deref().unwrap_or("");
    let announcement = Announcement::about(CONTROLLER, set)
        .done("SuccessfulDelete", format!("Deleted pod: {name}"))
        .failed("FailedDelete", "Error deleting: {}");
    Wish::from(Request::delete(pod)).announced(announcement)
}

fn relabelling(pod: &Pod, hash: &str) -> Wish {
    let hash = hash.to_owned();
    let edit = move |pod: &mut Pod| {
        pod.metadata.labels.get_or_insert_default().insert(REVISION_HASH.to_owned(), hash.clone());
        Ok(())
    };
    Request::edit(Target::of(pod), edit).into()
}
