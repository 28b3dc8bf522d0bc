//! What a node tells the cluster: statuses, deletions and Events.

use std::sync::Arc;

use coracle_core::request::Effect;
use coracle_core::{Action, Happening, Request, Response, Status, Target};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, Preconditions};

use super::super::jobs::{Done, Write};
use super::super::router::resource_of_pods;
use super::{Crew, WRITE_AGAIN};
use crate::pod::event::Tell;
use crate::pod::span::after;
use crate::pod::status;

impl Crew {
    pub(super) fn written(&mut self, uid: &Arc<str>, write: Write, answer: Result<Response, Status>) {
        let now = self.now();
        let Some(worker) = self.workers.get_mut(uid) else { return };
        match (write, answer) {
            (Write::Delete, Ok(response)) if response.effect == Effect::Deleted => self.forget(uid),
            (Write::Delete, Err(status)) if status.is_not_found() || status.is_conflict() => self.forget(uid),
            (Write::Status, Err(status)) if status.is_not_found() || status.is_conflict() => worker.unwritten = None,
            (_, Ok(response)) => {
                let newer = response.object.filter(|object| object.revision() > worker.revision);
                if let Some((object, pod)) = newer.and_then(|object| Some((object.clone(), object.shared::<Pod>()?))) {
                    worker.update(&object, pod, now);
                    self.dirty.insert(uid.clone());
                }
            }
            (_, Err(error)) => {
                tracing::warn!(%error, pod = %worker.key, "a pod's status could not be written");
                worker.delete_sent = false;
                worker.write_again = Some(after(now, WRITE_AGAIN));
                self.dirty.insert(uid.clone());
            }
        }
    }

    pub(super) fn tell(&mut self, uid: &Arc<str>, tell: Tell) {
        let Some(worker) = self.workers.get_mut(uid) else { return };
        self.gateway.record(Happening {
            regarding: worker.regarding(tell.container),
            severity: tell.severity,
            reason: tell.reason,
            note: tell.note,
            reporter: "kubelet",
            host: self.node.name.clone(),
            action: "",
        });
    }

    /// Writes what is to be written, all at once; while that is under way, more gathers.
    pub(super) fn flush(&mut self) {
        if self.writing || self.outbox.is_empty() {
            return;
        }
        let now = self.now();
        let mut what = Vec::new();
        let mut requests = Vec::new();
        for uid in std::mem::take(&mut self.outbox) {
            let Some(worker) = self.workers.get_mut(&uid) else { continue };
            if worker.write_again.is_some_and(|at| at > now) {
                continue;
            }
            worker.write_again = None;
            if let Some(generated) = worker.unwritten.take() {
                what.push((uid.clone(), Write::Status));
                requests.push(write_status(&worker.pod, generated));
            }
            if worker.seen.delete_asked && !worker.delete_sent {
                worker.delete_sent = true;
                what.push((uid.clone(), Write::Delete));
                requests.push(delete(&worker.pod));
            }
        }
        if requests.is_empty() {
            return;
        }
        self.writing = true;
        let gateway = self.gateway.clone();
        self.jobs.push(Box::pin(async move {
            let answers = gateway.execute_all(requests).await;
            Done::Written(what.into_iter().zip(answers).map(|((uid, write), answer)| (uid, write, answer)).collect())
        }));
    }

    pub(super) fn forget(&mut self, uid: &Arc<str>) {
        let Some(worker) = self.workers.remove(uid) else { return };
        self.router.unwatch(&self.node.name, &worker.references);
        if self.uids.get(&worker.key) == Some(uid) {
            self.uids.remove(&worker.key);
        }
        if let Some(at) = worker.timer {
            self.timers.remove(&(at, uid.clone()));
        }
        self.outbox.remove(uid);
    }
}

fn write_status(pod: &Pod, generated: PodStatus) -> Request {
    let uid = pod.metadata.uid.clone();
    Request::edit(Target::of(pod).below("status"), move |found: &mut Pod| {
        if found.metadata.uid != uid {
            let name = found.metadata.name.as_deref().unwrap_or("");
            return Err(Status::stale(&resource_of_pods(), name));
        }
        status::merge(found.status.get_or_insert_default(), &generated);
        Ok(())
    })
}

/// Deletes this very pod for good.
fn delete(pod: &Pod) -> Request {
    let preconditions = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
    let options =
        DeleteOptions { grace_period_seconds: Some(0), preconditions: Some(preconditions), ..DeleteOptions::default() };
    Request::new(Target::of(pod), Action::Delete(options))
}
