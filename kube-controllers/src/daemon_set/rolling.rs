//! Which pods make room for the new revision, or get a second one beside them. Source: `rollingUpdate`.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::manage::Management;
use super::nodes::{Seat, Sitting};
use crate::portion::scaled;

/// The numbers of one set that bound its rollout, in nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Whether old pods are replaced at all; otherwise somebody deletes them.
    rolling: bool,
    /// Whether a node may have two pods for a while.
    pub(super) surges: bool,
    /// Nodes with two pods at most.
    surge_max: usize,
    /// Nodes without an available pod at most.
    unavailable_max: usize,
    /// Nodes that want a pod.
    desired: usize,
}

impl Sizes {
    /// Both numbers are rounded up; if both come out as zero, one node may be without. Source: `updatedDesiredNodeCounts`.
    pub(super) fn of(set: &DaemonSet, desired: usize) -> Self {
        let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
        let rolling = strategy.is_none_or(|strategy| strategy.type_.as_deref() != Some("OnDelete"));
        let update = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let surge = update.and_then(|update| update.max_surge.as_ref()).unwrap_or(&IntOrString::Int(0));
        let unavailable = update.and_then(|update| update.max_unavailable.as_ref()).unwrap_or(&IntOrString::Int(1));
        let of = |value: &IntOrString, total: usize| {
            let total = i32::try_from(total).unwrap_or(i32::MAX);
            usize::try_from(scaled(value, total, true)).unwrap_or(0)
        };
        let (surge_max, mut unavailable_max) = (of(surge, desired), of(unavailable, desired));
        if surge_max == 0 && unavailable_max == 0 {
            unavailable_max = 1;
        }
        Self { rolling, surges: rolling && of(surge, 1) > 0, surge_max, unavailable_max, desired }
    }
}

pub(super) fn roll(management: &mut Management<'_>) {
    if !management.sizes.rolling {
        return;
    }
    // A percentage of no nodes is no surge.
    if management.sizes.surge_max == 0 { replace(management) } else { surge(management) }
}

/// Deletes old pods: those that serve nobody, and as many others as may be missing. New ones follow by themselves.
fn replace(management: &mut Management<'_>) {
    let (mut lame, mut able, mut unavailable) = (Vec::new(), Vec::new(), 0);
    for seat in management.seats.iter().filter(|seat| seat.fit.runs || !seat.pods.is_empty()) {
        match seat.sitting(management.set, management.hash()) {
            Sitting::Orderly { new: None, old: Some(old) } if management.is_available(old) => able.push(old),
            Sitting::Orderly { new: None, old: Some(old) } => {
                lame.push(old);
                unavailable += 1;
            }
            Sitting::Orderly { new: Some(new), old: None } if management.is_available(new) => {}
            _ => unavailable += 1,
        }
    }
    let spare = management.sizes.unavailable_max.saturating_sub(unavailable);
    management.deleting.extend(lame.into_iter().chain(able.into_iter().take(spare)));
}

/// What a surge comes to.
#[derive(Default)]
struct Surge<'a> {
    /// Old pods whose time is over.
    done: Vec<&'a Arc<Pod>>,
    /// Old pods on nodes that no longer want one, but may be needed until others are available.
    unwanted: Vec<&'a Arc<Pod>>,
    /// Nodes whose old pod serves nobody, so that a second one costs nothing.
    free: Vec<&'a str>,
    /// Nodes whose old pod still serves.
    candidates: Vec<&'a str>,
    /// Nodes that have two pods already.
    under_way: usize,
    available: usize,
}

/// Makes new pods beside old ones, and deletes the old ones where the new one is available.
fn surge(management: &mut Management<'_>) {
    let mut surge = Surge::default();
    for seat in &management.seats {
        look_at(seat, management, &mut surge);
    }
    let spare = management.sizes.surge_max.saturating_sub(surge.under_way);
    let dispensable = surge.available.saturating_sub(management.sizes.desired);
    management.deleting.extend(surge.done.into_iter().chain(surge.unwanted.into_iter().take(dispensable)));
    management.creating.extend(surge.free.into_iter().chain(surge.candidates.into_iter().take(spare)));
}

fn look_at<'a>(seat: &Seat<'a>, management: &Management<'a>, surge: &mut Surge<'a>) {
    let Sitting::Orderly { new, old } = seat.sitting(management.set, management.hash()) else {
        surge.under_way += 1;
        return;
    };
    let serves = |pod: Option<&'a Arc<Pod>>| pod.is_some_and(|pod| management.is_available(pod));
    if serves(old.or(new)) {
        surge.available += 1;
    }
    match (new, old) {
        (_, None) => {}
        (Some(_), Some(old)) if serves(new) => surge.done.push(old),
        (Some(_), Some(_)) => surge.under_way += 1,
        (None, Some(old)) if seat.fit.runs => {
            let nodes = if serves(Some(old)) { &mut surge.candidates } else { &mut surge.free };
            nodes.push(seat.name);
        }
        (None, Some(old)) => {
            let pods = if serves(Some(old)) { &mut surge.unwanted } else { &mut surge.done };
            pods.push(old);
        }
    }
}
