//! Counting ended pods exactly once, whatever is cut off in between. Source: `trackJobStatusAndRemoveFinalizers`.
//!
//! | step | written | if cut off after it |
//! |---|---|---|
//! | 1 | the pod's uid goes to `status.uncountedTerminatedPods` (or its index to `completedIndexes`) | the uid is there: not added again |
//! | 2 | the pod's finalizer goes, and the pod may go | a uid there whose pod has no finalizer is counted in 3 |
//! | 3 | the uid becomes one more of `succeeded` or `failed`, in one write | it is gone from the list |

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;

use super::ending::Ending;
use super::indexes::Indexes;
use super::policies::Verdict;
use super::view::{View, number};
use crate::pods;

/// Uids and new indexes in one status at most, to keep it small. Source: `MaxUncountedPods`.
const UNCOUNTED_MAX: usize = 500;

/// A step of counting.
pub(super) struct Count {
    /// The status to be written before any finalizer goes.
    pub(super) status: JobStatus,
    /// Pods whose finalizers go then.
    pub(super) release: Vec<Arc<Pod>>,
}

/// The next step of counting.
pub(super) fn count(view: &View<'_>, ending: Option<&Ending>, awaiting: &BTreeMap<i32, Arc<Pod>>) -> Count {
    let mut status = view.before.clone();
    let mut uncounted = count_released(view, &mut status);
    let (mut release, mut new_indexes) = (Vec::new(), Vec::new());
    for pod in view.pods.iter().filter(|pod| view.is_tracked(pod) && may_be_released(view, pod, ending, awaiting)) {
        if len(&uncounted.succeeded) + len(&uncounted.failed) + new_indexes.len() >= UNCOUNTED_MAX {
            break;
        }
        release.push(pod.clone());
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        if view.has_succeeded(pod) {
            if view.is_indexed() {
                new_indexes.extend(view.index(pod).filter(|index| view.succeeded.contains(*index)));
            } else if !view.is_counted_succeeded(pod) {
                uncounted.succeeded.get_or_insert_default().push(uid);
            }
        } else if counts_as_failed(view, pod, ending) && !view.is_counted_failed(pod) {
            uncounted.failed.get_or_insert_default().push(uid);
        }
    }
    if view.is_indexed() {
        tell_indexes(view, new_indexes, &mut status);
    }
    status.uncounted_terminated_pods = Some(uncounted);
    Count { status, release }
}

/// Counts the pods whose finalizers are gone; returns the others.
fn count_released(view: &View<'_>, status: &mut JobStatus) -> UncountedTerminatedPods {
    let tracked = view.pods.iter().filter(|pod| view.is_tracked(pod));
    let tracked: HashSet<&str> = tracked.filter_map(|pod| pod.metadata.uid.as_deref()).collect();
    let mut uncounted = status.uncounted_terminated_pods.take().unwrap_or_default();
    for (uids, counter) in
        [(&mut uncounted.succeeded, &mut status.succeeded), (&mut uncounted.failed, &mut status.failed)]
    {
        let before = len(uids);
        *uids = uids.take().map(|mut uids| {
            uids.retain(|uid| tracked.contains(uid.as_str()));
            uids
        });
        uids.take_if(|uids| uids.is_empty());
        let counted = number(before - len(uids));
        if counted > 0 {
            *counter = Some(counter.unwrap_or(0) + counted);
        }
    }
    uncounted
}

fn tell_indexes(view: &View<'_>, new: Vec<i32>, status: &mut JobStatus) {
    let completions = view.completions().unwrap_or(0);
    let told = Indexes::parse(status.completed_indexes.as_deref().unwrap_or(""), completions);
    let told = told.and(&new.into_iter().collect());
    status.succeeded = Some(told.total()).filter(|total| *total != 0);
    status.completed_indexes = Some(told.to_string()).filter(|text| !text.is_empty());
    status.failed_indexes = view.failed.as_ref().map(Indexes::to_string);
}

/// Whether the pod's part in the Job is over. Source: `canRemoveFinalizer`.
///
/// When the Job fails, a pod that still works is deleted first: if that is cut off, it may end by itself, and counts as it ended.
/// When it succeeds, such pods do not count at all.
fn may_be_released(view: &View<'_>, pod: &Pod, ending: Option<&Ending>, awaiting: &BTreeMap<i32, Arc<Pod>>) -> bool {
    let dismissed = ending.is_some_and(|ending| ending.success || !pods::is_active(pod));
    let over = view.is_leaving() || dismissed || pods::phase(pod) == "Succeeded";
    let is_kept = || awaiting.values().any(|kept| kept.metadata.uid == pod.metadata.uid);
    over || (view.has_failed(pod) && !is_kept())
}

/// Whether the pod counts as failed. If the Job fails, all pods that are on their way out have.
fn counts_as_failed(view: &View<'_>, pod: &Pod, ending: Option<&Ending>) -> bool {
    let dismissed = ending.is_some_and(|ending| !ending.success) && !pods::is_active(pod);
    let failed = view.has_failed(pod) || dismissed;
    failed && !view.is_stray(pod) && view.verdict(pod) != Verdict::Ignored
}

fn len(uids: &Option<Vec<String>>) -> usize {
    uids.as_ref().map_or(0, Vec::len)
}
