//! What is told about a set.

use std::time::Duration;

use coracle_core::Request;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};

use super::manage::Management;
use crate::plan::Plan;
use crate::pods;

impl Management<'_> {
    /// Writes the status if it is news, even if something before it fails.
    pub(super) fn report(&self, plan: &mut Plan) {
        if !plan.is_empty() {
            let request = self.news();
            plan.if_failed(move |_| request);
        }
        plan.together(self.news());
    }

    /// When the next ready pod has been ready for long enough.
    pub(super) fn next_available(&self) -> Option<Duration> {
        let seconds = self.min_ready_seconds();
        let waits = self.pods.iter().filter_map(|pod| pods::available_in(pod, seconds, self.now));
        waits.filter(|wait| !wait.is_zero()).min()
    }

    fn news(&self) -> Option<Request> {
        let status = self.status();
        let news = self.set.status.as_ref() != Some(&status);
        news.then(|| Request::update_status(DaemonSet { status: Some(status), ..self.set.clone() }))
    }

    /// Source: `updateDaemonSetStatus`. Of several pods on a node the first counts.
    fn status(&self) -> DaemonSetStatus {
        let before = self.set.status.clone().unwrap_or_default();
        let mut status = DaemonSetStatus {
            collision_count: self.history.present.collisions,
            conditions: before.conditions,
            observed_generation: self.set.metadata.generation.or(before.observed_generation),
            ..DaemonSetStatus::default()
        };
        let (mut available, mut updated) = (0, 0);
        for seat in &self.seats {
            let first = seat.pods.first();
            if !seat.fit.runs {
                status.number_misscheduled += i32::from(first.is_some());
                continue;
            }
            status.desired_number_scheduled += 1;
            let Some(pod) = first else { continue };
            status.current_number_scheduled += 1;
            status.number_ready += i32::from(pods::is_ready(pod));
            available += i32::from(self.is_available(pod));
            updated += i32::from(self.is_updated(pod));
        }
        status.number_available = nonzero(available);
        status.number_unavailable = nonzero(status.desired_number_scheduled - available);
        status.updated_number_scheduled = nonzero(updated);
        status
    }
}

/// Zero is not written out, as in Go's `omitempty`.
fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}
