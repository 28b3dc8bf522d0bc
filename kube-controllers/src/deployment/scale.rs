//! Another size of the Deployment in mid-rollout: all ReplicaSets grow or shrink in proportion, so that the mix of old and new
//! stays as it was. Source: `sync.go` `scale`.

use std::cmp::Reverse;

use super::revision;
use super::rollout::{Member, Rollout};

impl Rollout<'_> {
    /// Whether the size of the Deployment has changed since its ReplicaSets were last resized. Source: `isScalingEvent`.
    pub(super) fn is_resized(&self) -> bool {
        let desired = |member: &Member| revision::desired_replicas(&member.after.metadata);
        self.all().filter(|member| member.is_active()).filter_map(desired).any(|size| size != self.sizes.replicas)
    }

    /// Distributes the size of the Deployment over its ReplicaSets.
    ///
    /// Upstream leaves alone a ReplicaSet that somebody else gave the new size, and several of them that a strategy of `Recreate` was
    /// given in mid-rollout; both are a resize to it ever after, and the rollout never goes on.
    pub(super) fn scale(&mut self) {
        let sizes = self.sizes;
        if let Some(only) = self.active_or_latest() {
            let known = revision::desired_replicas(&only.after.metadata);
            if only.replicas() != sizes.replicas || known.is_some_and(|known| known != sizes.replicas) {
                only.resize(sizes.replicas, sizes);
            }
        } else if self.is_saturated() {
            self.stop_old();
        } else if sizes.rolling {
            self.scale_in_proportion();
        } else if !self.is_paused() {
            self.stop_old();
        }
    }

    /// The one active ReplicaSet; if none is active, the newest. `None` if several are. Source: `FindActiveOrLatest`.
    fn active_or_latest(&mut self) -> Option<&mut Member> {
        match self.all().filter(|member| member.is_active()).count() {
            0 => self.new.as_mut().or(self.old.last_mut()),
            1 => self.old.iter_mut().chain(&mut self.new).find(|member| member.is_active()),
            _ => None,
        }
    }

    /// Whether the new ReplicaSet has all pods of the Deployment, and all are available. Source: `IsSaturated`.
    fn is_saturated(&self) -> bool {
        let size = self.sizes.replicas;
        self.new.as_ref().is_some_and(|new| {
            new.replicas() == size
                && new.available() == size
                && revision::desired_replicas(&new.after.metadata) == Some(size)
        })
    }

    fn scale_in_proportion(&mut self) {
        let (sizes, present) = (self.sizes, self.status.replicas.unwrap_or(0));
        let allowed = if sizes.replicas > 0 { sizes.total_max() } else { 0 };
        let change = allowed - self.total();
        let mut members: Vec<_> =
            self.old.iter_mut().chain(&mut self.new).filter(|member| member.is_active()).collect();
        // The largest first. Among equals the newest grows first, and the oldest shrinks first.
        if change > 0 {
            members.sort_by(|one, other| other.age().cmp(&one.age()));
        } else {
            members.sort_by(|one, other| one.age().cmp(&other.age()));
        }
        members.sort_by_key(|member| Reverse(member.replicas()));
        let mut left = change;
        let mut goals = Vec::new();
        for member in &members {
            let part = share(member, sizes.replicas, sizes.total_max(), present);
            let part = if change > 0 { part.min(left) } else { part.max(left) };
            let part = if left == 0 { 0 } else { part };
            left -= part;
            goals.push(member.replicas() + part);
        }
        if let Some(largest) = goals.first_mut() {
            *largest = (*largest + left).max(0);
        }
        for (member, goal) in members.into_iter().zip(goals) {
            member.resize(goal, sizes);
        }
    }
}

/// By how much a ReplicaSet changes so that it keeps its part of the whole. Source: `getReplicaSetFraction`.
fn share(member: &Member, desired: i32, total_max: i32, present: i32) -> i32 {
    let size = member.replicas();
    if desired == 0 {
        return -size;
    }
    let max_before = revision::max_replicas(&member.after.metadata).filter(|max| *max != 0).unwrap_or(present);
    if max_before == 0 {
        return 0;
    }
    let (whole, part) = (i64::from(max_before), i64::from(size) * i64::from(total_max));
    let rounded = (2 * part + whole) / (2 * whole);
    i32::try_from(rounded).unwrap_or(i32::MAX) - size
}
