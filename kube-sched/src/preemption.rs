//! Plugin DefaultPreemption: room for a more important pod, at the least cost to the others.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::framework::Refused;
use crate::pod::PodInfo;
use crate::snapshot::{NodeIndex, NodeInfo, Snapshot};
use crate::topology::Topology;
use crate::verdict::{Preemption, Reason, Rejection};

const NOT_HELPFUL: Reason = Reason::Text("Preemption is not helpful for scheduling");
const NO_VICTIMS: Reason = Reason::Text("No preemption victims found for incoming pod");

/// At least this many nodes are tried before the best is taken. Source: `minCandidateNodesAbsolute`.
const CANDIDATES_MIN: usize = 100;

/// Where there would be room.
pub(crate) struct Found {
    pub(crate) node: Arc<str>,
    pub(crate) victims: Vec<Arc<PodInfo>>,
}

/// Looks for the node where making room costs least: the fewest victims beyond what disruption budgets allow, then the least
/// important victims, then the smallest sum of priorities, then the fewest, then those that started last. A tenth of the nodes,
/// but at least a hundred, are tried, and more while every one of them would break a budget. Who is expected on a `reserved`
/// node stays.
/// Source: framework/preemption `pickOneNodeForPreemption`, `DryRunPreemption`.
pub(crate) fn find(
    pod: &PodInfo,
    cluster: &Snapshot,
    refused: &Refused,
    reserved: &BTreeMap<NodeIndex, NodeInfo>,
    check: impl Fn(&NodeInfo) -> Result<(), Rejection>,
) -> Result<Found, Preemption> {
    if pod.spec().and_then(|spec| spec.preemption_policy.as_deref()) == Some("Never") {
        return Err(Preemption::NotEligible("not eligible due to preemptionPolicy=Never."));
    }
    if waits_for_victims(pod, cluster) {
        return Err(Preemption::NotEligible("not eligible due to terminating pod on the nominated node."));
    }
    let enough = (cluster.node_count() / 10).max(CANDIDATES_MIN);
    let mut reasons = BTreeMap::new();
    let (mut candidates, mut gentle) = (Vec::new(), false);
    if refused.resolvable.is_empty() && refused.resolvable_count > 0 {
        reasons.insert(NO_VICTIMS, refused.resolvable_count);
    }
    let as_it_will_be = |index: &NodeIndex| reserved.get(index).or_else(|| cluster.node(*index));
    for node in refused.resolvable.iter().filter_map(as_it_will_be) {
        match victims(pod, node, cluster, &check) {
            Ok(victims) => {
                gentle |= victims.violations == 0;
                candidates.push((node, victims));
            }
            Err(why) => why.into_iter().for_each(|reason| *reasons.entry(reason).or_default() += 1),
        }
        if candidates.len() >= enough && gentle {
            break;
        }
    }
    let best = candidates.into_iter().min_by_key(|(_, victims)| cost(victims));
    best.map(|(node, victims)| Found { node: node.name().clone(), victims: victims.pods }).ok_or_else(|| {
        let others = cluster.node_count().saturating_sub(refused.resolvable_count);
        if others > 0 {
            *reasons.entry(NOT_HELPFUL).or_default() += others;
        }
        Preemption::NoCandidate(reasons)
    })
}

/// Whether less important pods on the node that was cleared for this one are still going.
fn waits_for_victims(pod: &PodInfo, cluster: &Snapshot) -> bool {
    let node = cluster.nominated_node_of(pod);
    node.is_some_and(|node| node.pods().iter().any(|held| held.priority() < pod.priority() && held.is_terminating()))
}

/// Who would go from a node.
struct Victims {
    /// The most important first.
    pods: Vec<Arc<PodInfo>>,
    /// How many of them no disruption budget gives up.
    violations: usize,
}

/// Who must go from a node: all less important pods, except those that may stay after all; those that a budget protects are
/// the first to stay. If it does not help that all of them go, why it does not. Source: `SelectVictimsOnNode`.
fn victims(
    pod: &PodInfo,
    node: &NodeInfo,
    cluster: &Snapshot,
    check: &impl Fn(&NodeInfo) -> Result<(), Rejection>,
) -> Result<Victims, SmallVec<[Reason; 1]>> {
    let mut lesser: Vec<_> = node.pods().iter().filter(|held| held.priority() < pod.priority()).cloned().collect();
    if lesser.is_empty() {
        return Err([NO_VICTIMS].into_iter().collect());
    }
    let mut rest = node.without(|held| held.priority() >= pod.priority());
    fits(pod, &rest, cluster, &lesser, check).map_err(|rejection| rejection.reasons)?;
    lesser.sort_by_key(|held| (Reverse(held.priority()), started(held)));
    let mut victims = lesser.clone();
    let protected = cluster.budgets().violations(&lesser);
    let (firm, free): (Vec<_>, Vec<_>) = lesser.into_iter().zip(protected).partition(|(_, protected)| *protected);
    let mut violations = firm.len();
    for (held, protected) in firm.into_iter().chain(free) {
        let mut fuller = rest.clone();
        fuller.hold(held.clone());
        let fewer: Vec<_> = victims.iter().filter(|victim| victim.id() != held.id()).cloned().collect();
        if fits(pod, &fuller, cluster, &fewer, check).is_ok() {
            (rest, victims) = (fuller, fewer);
            violations -= usize::from(protected);
        }
    }
    Ok(Victims { pods: victims, violations })
}

/// Whether a node would take the pod if the victims were gone.
fn fits(
    pod: &PodInfo,
    rest: &NodeInfo,
    cluster: &Snapshot,
    victims: &[Arc<PodInfo>],
    check: &impl Fn(&NodeInfo) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    check(rest)?;
    let gone = |placed: &PodInfo| victims.iter().any(|victim| victim.id() == placed.id());
    Topology::prepare_without(pod, cluster, &gone).map_or(Ok(()), |topology| topology.check(rest))
}

/// When a pod started; one that has not, starts last of all.
fn started(pod: &PodInfo) -> i64 {
    let status = pod.pod.status.as_ref();
    status.and_then(|status| status.start_time.as_ref()).map_or(i64::MAX, |time| time.0.as_second())
}

/// What is compared, in order: the number of broken promises, the most important victim's priority, the sum of priorities (offset so that all are positive),
/// the number of victims, and how late the earliest of the most important ones started.
fn cost(Victims { pods: victims, violations }: &Victims) -> (usize, i32, i64, usize, Reverse<i64>) {
    let top = victims.iter().map(|victim| victim.priority()).max().unwrap_or(i32::MIN);
    let sum = victims.iter().map(|victim| i64::from(victim.priority()) - i64::from(i32::MIN)).sum();
    let most_important = victims.iter().filter(|victim| victim.priority() == top);
    let earliest = most_important.map(|victim| started(victim)).min().unwrap_or(i64::MAX);
    (*violations, top, sum, victims.len(), Reverse(earliest))
}
