//! A Job and its pods, with the questions that decisions ask of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::Pod;

use super::back_off::ended_at;
use super::finalizer;
use super::indexes::{Indexes, index_of};
use super::policies::{Verdict, verdict};
use crate::pods;

/// How often the pods of an index have failed before this one was made.
pub(super) const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// How often they have failed without being counted.
pub(super) const INDEX_IGNORED_FAILURES: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// One Job as it stands.
pub(super) struct View<'a> {
    pub(super) job: &'a Job,
    pub(super) spec: &'a JobSpec,
    /// Controlled and selected, by index.
    pub(super) pods: &'a [Arc<Pod>],
    pub(super) now: Timestamp,
    /// The status as it is.
    pub(super) before: JobStatus,
    /// Indexes that have succeeded, told or not.
    pub(super) succeeded: Indexes,
    /// Indexes that have failed for good, told or not; `None` unless there is a limit per index.
    pub(super) failed: Option<Indexes>,
}

impl<'a> View<'a> {
    pub(super) fn new(job: &'a Job, spec: &'a JobSpec, pods: &'a [Arc<Pod>], now: Timestamp) -> Self {
        let before = job.status.clone().unwrap_or_default();
        let mut view = Self { job, spec, pods, now, before, succeeded: Indexes::default(), failed: None };
        if let Some(completions) = view.completions().filter(|_| view.is_indexed()) {
            let told = |text: &Option<String>| Indexes::parse(text.as_deref().unwrap_or(""), completions);
            let indexes = |of: &dyn Fn(&Pod) -> bool| {
                let pods = pods.iter().filter(|pod| view.is_tracked(pod) && of(pod));
                pods.filter_map(|pod| view.index(pod)).collect::<Indexes>()
            };
            let (told_succeeded, told_failed) =
                (told(&view.before.completed_indexes), told(&view.before.failed_indexes));
            // A pod on its way out may still succeed after it was replaced: its index ends once, whichever comes first.
            let is_among = |indexes: &Indexes, pod: &Pod| view.index(pod).is_some_and(|index| indexes.contains(index));
            let succeeded = indexes(&|pod| view.has_succeeded(pod) && !is_among(&told_failed, pod));
            let succeeded = told_succeeded.and(&succeeded);
            let failed = spec.backoff_limit_per_index.map(|limit| {
                let failed = indexes(&|pod| view.fails_index(pod, limit) && !is_among(&succeeded, pod));
                told_failed.and(&failed)
            });
            view.succeeded = succeeded;
            view.failed = failed;
        }
        view
    }

    pub(super) fn is_indexed(&self) -> bool {
        self.spec.completion_mode.as_deref() == Some("Indexed")
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.spec.suspend == Some(true)
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.job.metadata.deletion_timestamp.is_some()
    }

    /// Whether a pod is replaced only when it has ended, not when it is on its way out.
    pub(super) fn replaces_only_ended(&self) -> bool {
        let policy = self.spec.pod_replacement_policy.as_deref();
        policy == Some("Failed") || (policy.is_none() && self.spec.pod_failure_policy.is_some())
    }

    /// How many pods must succeed; `None` if one success means that the work is done.
    pub(super) fn completions(&self) -> Option<i32> {
        let alone = self.spec.completions.is_none() && self.spec.parallelism.is_none();
        if alone { Some(1) } else { self.spec.completions }
    }

    pub(super) fn parallelism(&self) -> i32 {
        self.spec.parallelism.unwrap_or(1)
    }

    pub(super) fn backoff_limit(&self) -> i32 {
        let default = if self.spec.backoff_limit_per_index.is_some() { i32::MAX } else { 6 };
        self.spec.backoff_limit.unwrap_or(default)
    }

    pub(super) fn active(&self) -> impl Iterator<Item = &'a Arc<Pod>> + use<'a> {
        self.pods.iter().filter(|pod| pods::is_active(pod))
    }

    pub(super) fn terminating(&self) -> impl Iterator<Item = &'a Arc<Pod>> + use<'a> {
        self.pods.iter().filter(|pod| pods::is_terminating(pod))
    }

    /// Whether the pod still has to be counted: once it is, its finalizer goes.
    pub(super) fn is_tracked(&self, pod: &Pod) -> bool {
        finalizer::is_on(&pod.metadata)
    }

    /// The pod's index, if it is one of this Job's.
    pub(super) fn index(&self, pod: &Pod) -> Option<i32> {
        index_of(pod).filter(|index| self.completions().is_some_and(|completions| *index < completions))
    }

    /// Whether the pod works on nothing this Job knows.
    pub(super) fn is_stray(&self, pod: &Pod) -> bool {
        self.is_indexed() && self.index(pod).is_none()
    }

    /// Whether the pod is, or is about to be, counted as failed.
    pub(super) fn is_counted_failed(&self, pod: &Pod) -> bool {
        let uncounted = self.before.uncounted_terminated_pods.as_ref();
        is_among(uncounted.and_then(|uncounted| uncounted.failed.as_ref()), pod)
    }

    /// Whether the pod is, or is about to be, counted as succeeded.
    pub(super) fn is_counted_succeeded(&self, pod: &Pod) -> bool {
        let uncounted = self.before.uncounted_terminated_pods.as_ref();
        is_among(uncounted.and_then(|uncounted| uncounted.succeeded.as_ref()), pod)
    }

    /// Whether the pod has succeeded. One that was counted as failed on its way out stays failed.
    pub(super) fn has_succeeded(&self, pod: &Pod) -> bool {
        pods::phase(pod) == "Succeeded" && !self.is_counted_failed(pod)
    }

    /// Whether the pod has failed. One that is deleted may never get to say so and has failed too, unless it is waited for.
    pub(super) fn has_failed(&self, pod: &Pod) -> bool {
        match pods::phase(pod) {
            "Failed" => true,
            "Succeeded" => self.is_counted_failed(pod),
            _ => !self.replaces_only_ended() && pod.metadata.deletion_timestamp.is_some(),
        }
    }

    pub(super) fn verdict(&self, pod: &Pod) -> Verdict {
        verdict(self.spec.pod_failure_policy.as_ref(), pod)
    }

    /// How many pods have succeeded, counted or not.
    pub(super) fn successes(&self) -> i32 {
        if self.is_indexed() {
            return self.succeeded.total();
        }
        let uncounted = self.before.uncounted_terminated_pods.as_ref();
        let uncounted = uncounted.and_then(|uncounted| uncounted.succeeded.as_ref()).map_or(0, Vec::len);
        let is_new =
            |pod: &&Arc<Pod>| self.is_tracked(pod) && self.has_succeeded(pod) && !self.is_counted_succeeded(pod);
        self.before.succeeded.unwrap_or(0) + number(uncounted + self.pods.iter().filter(is_new).count())
    }

    /// Whether as many have succeeded as must; without a number of completions, one success means that the work is done.
    pub(super) fn has_enough(&self) -> bool {
        self.successes() >= self.completions().unwrap_or(1)
    }

    /// How many pods have failed, counted or not, without those that never count.
    pub(super) fn failures(&self) -> i32 {
        let uncounted = self.before.uncounted_terminated_pods.as_ref();
        let uncounted = uncounted.and_then(|uncounted| uncounted.failed.as_ref()).map_or(0, Vec::len);
        let is_new = |pod: &&Arc<Pod>| {
            self.is_tracked(pod)
                && self.has_failed(pod)
                && !self.is_counted_failed(pod)
                && !self.is_stray(pod)
                && self.verdict(pod) != Verdict::Ignored
        };
        self.before.failed.unwrap_or(0) + number(uncounted + self.pods.iter().filter(is_new).count())
    }

    fn fails_index(&self, pod: &Pod, limit: i32) -> bool {
        self.has_failed(pod)
            && match self.verdict(pod) {
                Verdict::FailsIndex => true,
                Verdict::Ignored => false,
                Verdict::Counts | Verdict::FailsJob(_) => annotated(pod, INDEX_FAILURES) >= limit,
            }
    }

    /// Failed pods by index that are kept until their replacement is there, which inherits their count of failures.
    pub(super) fn awaiting_replacement(&self) -> BTreeMap<i32, Arc<Pod>> {
        let mut awaiting = BTreeMap::new();
        let Some(failed) = &self.failed else { return awaiting };
        let active: Indexes = self.active().filter_map(|pod| index_of(pod)).collect();
        for pod in self.pods.iter().filter(|pod| self.is_tracked(pod) && self.has_failed(pod)) {
            let Some(index) = self.index(pod) else { continue };
            if self.succeeded.contains(index) || failed.contains(index) || active.contains(index) {
                continue;
            }
            let rank = |pod: &Pod| (absolute_failures(pod), ended_at(pod));
            let later = awaiting.get(&index).is_none_or(|other: &Arc<Pod>| rank(other) <= rank(pod));
            if later {
                awaiting.insert(index, pod.clone());
            }
        }
        awaiting
    }
}

/// Failures of the index before this pod, counted and not.
pub(super) fn absolute_failures(pod: &Pod) -> i32 {
    annotated(pod, INDEX_FAILURES).saturating_add(annotated(pod, INDEX_IGNORED_FAILURES))
}

/// A number from an annotation; 0 if there is no good one.
pub(super) fn annotated(pod: &Pod, key: &str) -> i32 {
    let text = pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
    text.and_then(|text| text.parse().ok()).filter(|number| *number >= 0).unwrap_or(0)
}

pub(super) fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn is_among(uids: Option<&Vec<String>>, pod: &Pod) -> bool {
    uids.is_some_and(|uids| pod.metadata.uid.as_ref().is_some_and(|uid| uids.contains(uid)))
}
