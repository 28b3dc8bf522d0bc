//! Which pods make room for the new revision. Source: `updateStatefulSetAfterInvariantEstablished`.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{RollingUpdateStatefulSetStrategy, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::manage::Management;
use super::members::{self, Place};
use crate::history::made_from;
use crate::pods;
use crate::portion::scaled;

/// How many of the lowest places keep the former revision. Default 0.
///
/// Upstream treats a strategy without `rollingUpdate` apart: there a pod lost in mid-rollout comes back in the former
/// revision. Here it is a partition of 0, so that a former revision that cannot run is left behind in every case.
pub(super) fn partition(set: &StatefulSet) -> i64 {
    rolling_update(set).and_then(|update| update.partition).map_or(0, i64::from)
}

/// Deletes pods of former revisions from the highest ordinal down, as long as enough others are available.
pub(super) fn make_room(management: &mut Management<'_>) {
    if !is_rolling(management.set) {
        return;
    }
    let unavailable = management.places.iter().filter(|place| is_unavailable(management, place)).count();
    let spare = unavailable_max(management.set, management.places.len()).saturating_sub(unavailable);
    let outdated: Vec<Arc<Pod>> = outdated(management).cloned().collect();
    let chosen = if management.is_ordered() {
        outdated.into_iter().take(spare).collect()
    } else {
        lame_first(management, outdated, spare)
    };
    management.deleting.extend(chosen);
}

/// Whether a pod that can never become ready holds up a rollout that would replace it.
///
/// Upstream waits for it forever in ordered management, and has people delete it by hand (kubernetes#67250). A pod that is
/// merely unready is waited for here too.
pub(super) fn is_stuck(management: &Management<'_>, place: &Place, pod: &Pod) -> bool {
    is_rolling(management.set) && is_outdated(management, place, pod) && members::is_broken(pod)
}

/// All outdated pods that serve nobody cost nothing; then as many others as there are to `spare`.
fn lame_first(management: &Management<'_>, outdated: Vec<Arc<Pod>>, spare: usize) -> Vec<Arc<Pod>> {
    let is_lame = |pod: &Arc<Pod>| members::is_unavailable(pod, management.min_ready_seconds(), management.now);
    let (mut lame, able): (Vec<_>, Vec<_>) = outdated.into_iter().partition(is_lame);
    lame.extend(able.into_iter().take(spare));
    lame
}

fn outdated<'m>(management: &'m Management<'_>) -> impl Iterator<Item = &'m Arc<Pod>> {
    let pod = |place: &'m Place| place.pod.as_ref().filter(|pod| is_outdated(management, place, pod));
    management.places.iter().rev().filter_map(pod).filter(|pod| !is_leaving(pod))
}

fn is_outdated(management: &Management<'_>, place: &Place, pod: &Pod) -> bool {
    place.index >= partition(management.set) && made_from(&pod.metadata) != management.history.present.name
}

/// Whether a pod is on its way out; one that has ended is by now, too.
fn is_leaving(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some() || pods::is_terminal(pod)
}

fn is_unavailable(management: &Management<'_>, place: &Place) -> bool {
    let (seconds, now) = (management.min_ready_seconds(), management.now);
    place.pod.as_ref().is_none_or(|pod| members::is_unavailable(pod, seconds, now))
}

/// Whether outdated pods are replaced at all; otherwise somebody deletes them.
pub(super) fn is_rolling(set: &StatefulSet) -> bool {
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
    strategy.is_none_or(|strategy| strategy.type_.as_deref() != Some("OnDelete"))
}

fn rolling_update(set: &StatefulSet) -> Option<&RollingUpdateStatefulSetStrategy> {
    set.spec.as_ref()?.update_strategy.as_ref()?.rolling_update.as_ref()
}

/// Default 1; a percentage is rounded down, but never to nothing. Source: `getStatefulSetMaxUnavailable`.
fn unavailable_max(set: &StatefulSet, replicas: usize) -> usize {
    let asked = rolling_update(set).and_then(|update| update.max_unavailable.as_ref()).unwrap_or(&IntOrString::Int(1));
    let replicas = i32::try_from(replicas).unwrap_or(i32::MAX);
    usize::try_from(scaled(asked, replicas, false).max(1)).unwrap_or(1)
}
