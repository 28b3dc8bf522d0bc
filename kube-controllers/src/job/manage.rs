//! How many pods a Job should have now, and which come or go. Source: `manageJob`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::back_off::{ended_at, left, left_after};
use super::indexes::{Indexes, index_of};
use super::view::{View, absolute_failures, number};
use crate::victims;

/// Pods made or deleted by one plan at most. Source: `MaxPodCreateDeletePerSync`.
const BURST_MAX: usize = 500;

/// What is to come and to go.
#[derive(Default)]
pub(super) struct Moves {
    pub(super) delete: Vec<Arc<Pod>>,
    /// An index each, if indexed.
    pub(super) create: Vec<Option<i32>>,
    /// How long to wait until more can be made.
    pub(super) wait: Option<Duration>,
}

/// What is to come and to go; never both at once.
pub(super) fn moves(view: &View<'_>, awaiting: &BTreeMap<i32, Arc<Pod>>) -> Moves {
    let active: Vec<Arc<Pod>> = view.active().cloned().collect();
    if view.is_suspended() {
        return Moves { delete: active, ..Moves::default() };
    }
    let (have, want) = (number(active.len()), wanted(view, number(active.len())));
    let delete = superfluous(view, active, usize::try_from(have - want).unwrap_or(0));
    if !delete.is_empty() {
        return Moves { delete, ..Moves::default() };
    }
    let leaving = if view.replaces_only_ended() { number(view.terminating().count()) } else { 0 };
    let missing = usize::try_from(want - have - leaving).unwrap_or(0).min(BURST_MAX);
    if missing == 0 { Moves::default() } else { creations(view, missing, awaiting) }
}

fn wanted(view: &View<'_>, active: i32) -> i32 {
    let successes = view.successes();
    match view.completions() {
        Some(completions) => (completions - successes).min(view.parallelism()).max(0),
        // Somebody has found the work done: whoever still works may finish.
        None if successes > 0 => active,
        None => view.parallelism(),
    }
}

/// Pods with no index of ours or with one that another pod has, and as many more as `excess` asks for.
fn superfluous(view: &View<'_>, active: Vec<Arc<Pod>>, excess: usize) -> Vec<Arc<Pod>> {
    let nobody = HashMap::new();
    let (mut delete, mut left) = (Vec::new(), Vec::new());
    if view.is_indexed() {
        let mut groups: BTreeMap<Option<i32>, Vec<Arc<Pod>>> = BTreeMap::new();
        for pod in active {
            groups.entry(view.index(&pod)).or_default().push(pod);
        }
        for (index, mut pods) in groups {
            let spare = if index.is_some() { pods.len() - 1 } else { pods.len() };
            pods = victims::choose(&pods, &nobody, pods.len(), view.now);
            left.extend(pods.split_off(spare));
            delete.extend(pods);
        }
    } else {
        left = active;
    }
    let more = excess.saturating_sub(delete.len());
    let mut chosen = victims::choose(&left, &nobody, left.len(), view.now);
    // One that lost its finalizer when it was about to be deleted will never count.
    chosen.sort_by_key(|pod| view.is_tracked(pod));
    delete.extend(chosen.into_iter().take(more));
    delete.truncate(BURST_MAX);
    delete
}

fn creations(view: &View<'_>, missing: usize, awaiting: &BTreeMap<i32, Arc<Pod>>) -> Moves {
    if view.spec.backoff_limit_per_index.is_none() {
        let wait = left(view);
        if !wait.is_zero() {
            return Moves { wait: Some(wait), ..Moves::default() };
        }
    }
    if !view.is_indexed() {
        return Moves { create: vec![None; missing], ..Moves::default() };
    }
    let mut moves = Moves::default();
    for index in pending(view, missing) {
        let wait = awaiting.get(&index).map_or(Duration::ZERO, |failed| {
            let failures = usize::try_from(absolute_failures(failed)).unwrap_or(0).saturating_add(1);
            left_after(failures, ended_at(failed), view.now)
        });
        if wait.is_zero() {
            moves.create.push(Some(index));
        } else {
            moves.wait = Some(moves.wait.map_or(wait, |sooner| sooner.min(wait)));
        }
    }
    moves
}

/// The first indexes that nobody has done, does or will never do. Source: `firstPendingIndexes`.
fn pending(view: &View<'_>, count: usize) -> Vec<i32> {
    let busy: Indexes = view.active().filter_map(|pod| index_of(pod)).collect();
    let mut taken = view.succeeded.and(&busy);
    if view.replaces_only_ended() {
        taken = taken.and(&view.terminating().filter_map(|pod| index_of(pod)).collect());
    }
    if let Some(failed) = &view.failed {
        taken = taken.and(failed);
    }
    taken.missing(view.completions().unwrap_or(0), count)
}
