//! What is deleted when it is old: finished Jobs that say so, and Events. Source: `pkg/controller/ttlafterfinished`; the API
//! server's `--event-ttl`.

use std::time::Duration;

use coracle_core::{GroupResource, Object, Request, World};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;

use crate::job::finished;
use crate::plan::Plan;
use crate::planner::Planner;

/// Deletes finished Jobs, and their pods before them, after `ttlSecondsAfterFinished`.
#[derive(Clone, Copy, Debug, Default)]
pub struct FinishedJobs;

impl Planner for FinishedJobs {
    type Kind = Job;
    type Observed = ();

    fn name(&self) -> &'static str {
        "ttl-after-finished-controller"
    }

    fn observe(&self, _job: &Job, _world: &World) {}

    fn plan(&self, job: &Job, (): (), now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        if let Some(left) = time_left(job, now).filter(|_| job.metadata.deletion_timestamp.is_none()) {
            if left.is_zero() {
                plan.then(Request::delete(job).propagating("Foreground"));
            } else {
                plan.look_again(Some(left));
            }
        }
        plan
    }
}

/// For how long a finished Job still lives; `None` for ever.
fn time_left(job: &Job, now: Timestamp) -> Option<Duration> {
    let seconds = job.spec.as_ref()?.ttl_seconds_after_finished?;
    let (_, at) = finished(job)?;
    let left = at?.checked_add(SignedDuration::from_secs(seconds.into())).ok()?.duration_since(now);
    Some(Duration::try_from(left).unwrap_or_default())
}

/// Events deleted by one plan at most.
const BATCH_MAX: usize = 500;
/// Events that end shortly after one another are deleted together.
const PAUSE_MIN: Duration = Duration::from_secs(60);

/// Deletes Events some time after they happened last.
///
/// It goes by namespaces, not by Events, and is woken by none: an Event that comes now lives until after the next look. However
/// many there are, each namespace has one timer.
#[derive(Clone, Copy, Debug)]
pub struct OldEvents {
    life: Duration,
}

impl OldEvents {
    /// Events live this long, and up to a minute longer. Default: one hour.
    #[must_use]
    pub const fn new(life: Duration) -> Self {
        Self { life }
    }
}

impl Default for OldEvents {
    fn default() -> Self {
        Self::new(Duration::from_secs(3600))
    }
}

/// What there is to delete in a namespace.
#[derive(Debug, Default)]
pub struct Aged {
    /// Every event and when it happened last.
    events: Vec<(Timestamp, std::sync::Arc<Object>)>,
}

impl Planner for OldEvents {
    type Kind = Namespace;
    type Observed = Aged;

    fn name(&self) -> &'static str {
        "event-ttl-controller"
    }

    fn observe(&self, namespace: &Namespace, world: &World) -> Aged {
        let namespace = namespace.metadata.name.as_deref().unwrap_or("");
        let events = world.objects_in(&GroupResource::of::<Event>(), namespace);
        Aged { events: events.filter_map(|object| Some((last_seen(object.get()?)?, object.clone()))).collect() }
    }

    fn plan(&self, _namespace: &Namespace, aged: Aged, now: Timestamp) -> Plan {
        let left = |seen: Timestamp| self.life.saturating_sub(crate::portion::since(seen, now));
        let (old, young): (Vec<_>, Vec<_>) = aged.events.into_iter().partition(|(seen, _)| left(*seen).is_zero());
        let mut plan = Plan::nothing();
        let next = young.iter().map(|(seen, _)| left(*seen)).min().unwrap_or(self.life).max(PAUSE_MIN);
        plan.look_again(Some(if old.len() > BATCH_MAX { Duration::from_secs(1) } else { next }));
        let batch = old.iter().take(BATCH_MAX);
        plan.together(batch.map(|(_, event)| Request::delete_object(event, DeleteOptions::default())));
        plan
    }
}

/// When an Event happened last.
fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let times = [
        series,
        event.last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
        event.metadata.creation_timestamp.as_ref().map(|time| time.0),
    ];
    times.into_iter().flatten().max()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::testing::{Small, ago};

    fn check(job: &str, expected: Expect) {
        let yaml = format!("{{kind: Job, metadata: {{name: work}}, {job}}}");
        expected.assert_eq(&Small::new(&yaml).step(&FinishedJobs, "work"));
    }

    #[test]
    fn finished_jobs_go_when_their_time_has_come() {
        let ended = |ttl: &str, kind: &str, seconds: i64| {
            format!(
                "spec: {{template: {{}} {ttl}}}, status: {{conditions: [{{type: {kind}, status: 'True', lastTransitionTime: '{}'}}]}}",
                ago(seconds).0
            )
        };
        let ttl = ", ttlSecondsAfterFinished: 30";
        check(
            &ended(ttl, "Complete", 30),
            expect![[r#"
            delete job default/work Foreground
        "#]],
        );
        check(
            &ended(ttl, "Failed", 10),
            expect![[r#"
            look again after 20s
        "#]],
        );
        check(&ended(ttl, "FailureTarget", 90), expect![[""]]);
        check(&ended("", "Complete", 90), expect![[""]]);
    }

    #[test]
    fn events_go_after_an_hour_without_repetition() {
        let event = |name: &str, first: i64, last: i64| {
            let (first, last) = (ago(first).0, ago(last).0);
            format!(
                "{{kind: Event, apiVersion: v1, metadata: {{name: {name}, creationTimestamp: '{first}'}}, involvedObject: {{}}, \
                 lastTimestamp: '{last}'}}\n---\n"
            )
        };
        let mut small = Small::new("{kind: Namespace, metadata: {name: default}}\n---\n");
        small.add(&[event("old", 9000, 3600), event("again", 9000, 1200), event("young", 30, 30)].concat());
        expect![[r#"
            delete event default/old
            look again after 2400s
        "#]]
        .assert_eq(&small.step(&OldEvents::default(), "default"));
        small.now += SignedDuration::from_secs(2400);
        expect![[r#"
            delete event default/again
            look again after 1170s
        "#]]
        .assert_eq(&small.step(&OldEvents::default(), "default"));
    }

    #[test]
    fn many_events_go_in_batches() {
        let mut small = Small::new("{kind: Namespace, metadata: {name: default}}\n---\n");
        for number in 0..BATCH_MAX + 3 {
            small.add(&format!(
                "{{kind: Event, apiVersion: v1, metadata: {{name: e{number}, creationTimestamp: '{}'}}, involvedObject: {{}}}}",
                ago(5000).0
            ));
        }
        let left = |small: &Small| small.world.count(&GroupResource::of::<Event>());
        assert!(small.step(&OldEvents::default(), "default").ends_with("look again after 1s\n"));
        assert_eq!(left(&small), 3);
        assert!(small.step(&OldEvents::default(), "default").ends_with("look again after 3600s\n"));
        assert_eq!(left(&small), 0);
    }
}
