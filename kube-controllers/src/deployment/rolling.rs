//! Up with the new, down with the old, a few at a time. Source: `rolling.go`, `recreate.go`.

use super::rollout::{Member, Rollout};

impl Rollout<'_> {
    /// Takes the new ReplicaSet closer to the size of the Deployment. Says whether it did anything.
    pub(super) fn scale_new(&mut self) -> bool {
        let Some(present) = self.new.as_ref().map(Member::replicas) else { return false };
        if present == self.sizes.replicas {
            return false;
        }
        let goal = if present > self.sizes.replicas { self.sizes.replicas } else { self.size_of_new(present) };
        let sizes = self.sizes;
        self.new.as_mut().is_some_and(|new| goal != present && new.resize(goal, sizes))
    }

    /// Takes the old ReplicaSets down as far as availability allows. Says whether it did anything.
    ///
    /// Unavailable pods of the new ReplicaSet hold back as many old ones, so that a bad new template never costs more than
    /// `maxUnavailable`. Old pods that are unavailable anyway go first.
    ///
    /// A ReplicaSet that was made smaller a moment ago may still have more pods available than it is to keep: those are about to go,
    /// and count for nothing. (Upstream's `cleanupUnhealthyReplicas` fails at such a one, and is called again later.)
    pub(super) fn scale_down_old(&mut self) -> bool {
        let Some(new) = &self.new else { return false };
        let kept = |member: &Member| member.available().min(member.replicas());
        let unavailable_new = new.replicas() - kept(new);
        let spare = self.total() - self.sizes.available_min() - unavailable_new;
        if spare <= 0 || !self.old.iter().any(Member::is_active) {
            return false;
        }
        let broken = |member: &Member| member.replicas() - kept(member);
        let cleaned = self.take_from_old(spare, broken);
        let available: i32 = self.all().map(kept).sum();
        let dispensable = (available - self.sizes.available_min()).max(0);
        let taken = self.take_from_old(dispensable, Member::replicas);
        cleaned + taken > 0
    }

    /// Takes the old ReplicaSets down at once. Says whether it did anything.
    pub(super) fn stop_old(&mut self) -> bool {
        self.take_from_old(i32::MAX, Member::replicas) > 0
    }

    /// Whether any old pod has not ended. Source: `oldPodsRunning`.
    pub(super) fn old_still_run(&self, running: &[String]) -> bool {
        let runs = |member: &Member| {
            let uid = member.after.metadata.uid.as_ref();
            member.status().replicas > 0 || uid.is_some_and(|uid| running.contains(uid))
        };
        self.old.iter().any(runs)
    }

    /// Takes up to `count` pods from the old ReplicaSets, oldest first, of each at most what `most` says.
    fn take_from_old(&mut self, count: i32, most: impl Fn(&Member) -> i32) -> i32 {
        let mut taken = 0;
        for member in self.old.iter_mut().filter(|member| member.is_active()) {
            let part = most(member).min(member.replicas()).min(count - taken);
            if part > 0 {
                member.resize(member.replicas() - part, self.sizes);
                taken += part;
            }
        }
        taken
    }
}
