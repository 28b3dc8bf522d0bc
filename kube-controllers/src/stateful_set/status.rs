//! What is told about a set.

use std::time::Duration;

use coracle_core::Request;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;

use super::manage::Management;
use super::members::is_running_and_ready;
use super::update::is_rolling;
use crate::history::made_from;
use crate::plan::Plan;
use crate::pods;

impl Management<'_> {
    /// Writes the status if it is news, even if something before it fails; `making_room` pods of the current revision are
    /// being deleted for the new one.
    pub(super) fn report(&self, making_room: usize, plan: &mut Plan) {
        if !plan.is_empty() {
            let request = self.news(self.status(0));
            plan.if_failed(move |_| request);
        }
        plan.together(self.news(self.status(making_room)));
    }

    /// When the next ready pod has been ready for long enough.
    pub(super) fn next_available(&self) -> Option<Duration> {
        let seconds = self.min_ready_seconds();
        let waits = self.pods.iter().filter_map(|pod| pods::available_in(pod, seconds, self.now));
        waits.filter(|wait| !wait.is_zero()).min()
    }

    fn news(&self, status: StatefulSetStatus) -> Option<Request> {
        let news = self.set.status.as_ref() != Some(&status);
        news.then(|| Request::update_status(StatefulSet { status: Some(status), ..self.set.clone() }))
    }

    /// Source: `computeReplicaStatus`, `completeRollingUpdate`.
    fn status(&self, making_room: usize) -> StatefulSetStatus {
        let count = |counts: &dyn Fn(&Pod) -> bool| number(self.pods.iter().filter(|pod| counts(pod)).count());
        let stays = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
        let of = |revision: &str| count(&|pod| stays(pod) && made_from(&pod.metadata) == revision);
        let (seconds, now) = (self.min_ready_seconds(), self.now);
        let is_available = |pod: &Pod| is_running_and_ready(pod) && pods::is_available(pod, seconds, now);
        let before = self.set.status.clone().unwrap_or_default();
        let (mut current, update) = (self.current.0.clone(), self.history.present.name.clone());
        let mut current_replicas = of(&current) - number(making_room);
        let updated = of(&update);
        let (replicas, ready) = (number(self.pods.len()), count(&is_running_and_ready));
        let all = number(self.places.len());
        if is_rolling(self.set) && updated == all && ready == all && replicas == all {
            current_replicas = updated;
            current.clone_from(&update);
        }
        StatefulSetStatus {
            available_replicas: Some(count(&is_available)),
            collision_count: self.history.present.collisions.or(Some(0)),
            conditions: before.conditions,
            current_replicas: nonzero(current_replicas),
            current_revision: Some(current),
            observed_generation: self.set.metadata.generation.or(before.observed_generation),
            ready_replicas: nonzero(ready),
            replicas,
            update_revision: Some(update),
            updated_replicas: nonzero(updated),
        }
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Zero is not written out, as in Go's `omitempty`.
fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
