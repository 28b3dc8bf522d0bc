//! Pods that nobody will ever finish: on nodes that are gone, never placed, or too many that have ended. Source:
//! `pkg/controller/podgc`.

use std::sync::Arc;
use std::time::Duration;

use coracle_core::{Event, GroupResource, Object, ObjectKey, Request, World};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;

use crate::disruption::{disrupted, stale_in, undisrupted};
use crate::plan::Plan;
use crate::planner::Planner;
use crate::pods;
use crate::template_hash::fnv32a;
use crate::watches::Watches;

/// How long a young pod may be bound to a node that nobody knows. Source: `quarantineTime`.
const QUARANTINE: SignedDuration = SignedDuration::from_secs(40);

/// The taint by which a person says that what ran on a node is over. Source: core/v1 `TaintNodeOutOfService`.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Deletes pods that nobody else will, and takes back what was said of the end of those that stayed.
#[derive(Clone, Copy, Debug)]
pub struct PodGarbage {
    terminated_max: usize,
}

impl PodGarbage {
    /// Keeps this many pods that have ended. Usual: 12,500. Source: `--terminated-pod-gc-threshold`.
    #[must_use]
    pub const fn new(terminated_max: usize) -> Self {
        Self { terminated_max }
    }

    /// Counting looks at every pod, so only about one in a hundredth of the limit makes it happen.
    fn is_sample(self, pod: &Pod) -> bool {
        let uid = pod.metadata.uid.as_deref().unwrap_or("");
        let one_in = u32::try_from(self.terminated_max / 100).unwrap_or(u32::MAX).max(1);
        fnv32a(uid.as_bytes()).is_multiple_of(one_in)
    }
}

impl Default for PodGarbage {
    fn default() -> Self {
        Self::new(12_500)
    }
}

/// What there is around one pod.
#[derive(Debug)]
pub struct Observed {
    node_exists: bool,
    /// Somebody has said that the node will not come back as it was.
    out_of_service: bool,
    /// The oldest ended pods beyond what is kept; only looked for when one more has ended.
    excess: Vec<Arc<Object>>,
}

impl Planner for PodGarbage {
    type Kind = Pod;
    type Observed = Observed;

    fn name(&self) -> &'static str {
        "pod-garbage-collector-controller"
    }

    fn watches(&self, on: &mut Watches<Pod>) {
        on.only(|before, pod| !before.is_some_and(|before| stage(before) == stage(pod)));
        on.changes::<Node>(pods_on_lost);
    }

    fn observe(&self, pod: &Pod, world: &World) -> Observed {
        let node = pods::node_name(pod);
        let found = if node.is_empty() { None } else { world.get::<Node>("", node) };
        let node_exists = node.is_empty() || found.is_some();
        let out_of_service = found.is_some_and(|node| is_out_of_service(&node));
        let crowded = world.count(&GroupResource::of::<Pod>()) > self.terminated_max;
        let stays = pods::is_terminal(pod) && pod.metadata.deletion_timestamp.is_none();
        let excess =
            if crowded && stays && self.is_sample(pod) { oldest_ended(world, self.terminated_max) } else { Vec::new() };
        Observed { node_exists, out_of_service, excess }
    }

    fn plan(&self, pod: &Pod, observed: Observed, now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        plan.together(observed.excess.iter().map(|ended| Request::delete_object(ended, at_once())));
        if !observed.node_exists {
            let left = quarantine_left(pod, now);
            if left.is_zero() {
                remove_orphan(pod, now, &mut plan);
            } else {
                plan.look_again(Some(left));
            }
        } else if pod.metadata.deletion_timestamp.is_some() {
            if observed.out_of_service || pods::node_name(pod).is_empty() {
                fail(pod, &mut plan);
                plan.then(forced(pod));
            }
        } else if let Some(left) = stale_in(pod, now) {
            if left.is_zero() {
                plan.then(Request::update_status(undisrupted(pod, now)));
            } else {
                plan.look_again(Some(left));
            }
        }
        plan
    }
}

/// What of a pod makes a difference here: its node, whether it has ended or is to end, and what was said of its end.
fn stage(pod: &Pod) -> (&str, bool, bool, Option<&PodCondition>) {
    let told = pods::condition(pod, "DisruptionTarget");
    (pods::node_name(pod), pods::is_terminal(pod), pod.metadata.deletion_timestamp.is_some(), told)
}

fn oldest_ended(world: &World, keep: usize) -> Vec<Arc<Object>> {
    let pods = world.objects(&GroupResource::of::<Pod>());
    let ended = |pod: &&Arc<Object>| pod.get::<Pod>().is_some_and(pods::is_terminal) && !pod.is_terminating();
    let mut ended: Vec<_> = pods.filter(ended).cloned().collect();
    // Those that were evicted go first.
    let is_evicted = |pod: &Pod| pod.status.as_ref().and_then(|status| status.reason.as_deref()) == Some("Evicted");
    ended.sort_by_key(|pod| {
        let created = pod.metadata().creation_timestamp.as_ref().map(|time| time.0);
        (!pod.get::<Pod>().is_some_and(is_evicted), created)
    });
    ended.truncate(ended.len().saturating_sub(keep));
    ended
}

/// A pod may be bound by hand shortly before its node comes; an old one has lost its node.
fn quarantine_left(pod: &Pod, now: Timestamp) -> Duration {
    let created = pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    Duration::try_from(QUARANTINE - now.duration_since(created)).unwrap_or_default()
}

fn remove_orphan(pod: &Pod, now: Timestamp, plan: &mut Plan) {
    if !pods::is_terminal(pod) {
        let why = "PodGC: node no longer exists";
        plan.together(disrupted(pod, "DeletionByPodGC", why, Some("Failed"), now).map(Request::update_status));
    }
    plan.then(forced(pod));
}

/// A pod that nobody runs any more has failed, whatever it was.
fn fail(pod: &Pod, plan: &mut Plan) {
    if !pods::is_terminal(pod) {
        let mut failed = pod.clone();
        failed.status.get_or_insert_default().phase = Some("Failed".to_owned());
        plan.then(Request::update_status(failed));
    }
}

/// Source: `gcTerminating`.
fn is_out_of_service(node: &Node) -> bool {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    taints.into_iter().any(|taint| taint.key == OUT_OF_SERVICE)
        && !conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn forced(pod: &Pod) -> Request {
    let mut request = Request::delete(pod);
    if let coracle_core::Action::Delete(options) = &mut request.action {
        options.grace_period_seconds = Some(0);
    }
    request
}

fn at_once() -> DeleteOptions {
    DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() }
}

/// The pods on a node that is gone, or will not come back as it was.
fn pods_on_lost(event: &Event, world: &World) -> Vec<ObjectKey> {
    let lost = event.deleted || event.object.get::<Node>().is_some_and(is_out_of_service);
    let pods = world.pods_on(event.object.name()).filter(|_| lost);
    pods.map(|pod| pod.key()).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::testing::Small;

    fn check(yaml: &str, expected: Expect) {
        expected.assert_eq(&Small::new(yaml).step(&PodGarbage::new(2), "a"));
    }

    #[test]
    fn pods_that_nobody_finishes_are_deleted() {
        let pod = |created: &str, more: &str| {
            format!(
                "{{kind: Pod, metadata: {{name: a, creationTimestamp: '2030-01-01T{created}Z' {more}}}, spec: {{containers: [], nodeName: one}}}}"
            )
        };
        check(
            &pod("11:59:00", ""),
            expect![[r#"
            update pod/status default/a DisruptionTarget=True/DeletionByPodGC phase=Failed
            delete pod default/a
        "#]],
        );
        check(
            &pod("11:59:50", ""),
            expect![[r#"
            look again after 30s
        "#]],
        );
        check(&(pod("11:00:00", "") + "\n---\n{kind: Node, metadata: {name: one}}"), expect![[""]]);
        let terminating = pod("11:59:50", ", deletionTimestamp: '2030-01-01T11:59:51Z', finalizers: [a.b/c]");
        check(
            &terminating.replace(", nodeName: one", ""),
            expect![[r#"
            update pod/status default/a phase=Failed
            delete pod default/a
        "#]],
        );
        let node = |ready: &str, taint: &str| {
            format!(
                "\n---\n{{kind: Node, metadata: {{name: one}}, spec: {{taints: [{{key: {taint}, effect: NoExecute}}]}}, \
                 status: {{conditions: [{{type: Ready, status: {ready}}}]}}}}"
            )
        };
        check(
            &(terminating.clone() + &node("Unknown", OUT_OF_SERVICE)),
            expect![[r#"
            update pod/status default/a phase=Failed
            delete pod default/a
        "#]],
        );
        check(&(terminating.clone() + &node("'True'", OUT_OF_SERVICE)), expect![[""]]);
        check(&(terminating + &node("Unknown", "node.kubernetes.io/unreachable")), expect![[""]]);
        check(&(pod("11:00:00", "") + &node("Unknown", OUT_OF_SERVICE)), expect![[""]]);
    }

    #[test]
    fn a_pod_that_stayed_is_not_about_to_go() {
        let pod = |reason: &str, since: &str, phase: &str| {
            format!(
                "{{kind: Pod, metadata: {{name: a}}, status: {{phase: {phase}, conditions: [{{type: DisruptionTarget, \
                 status: 'True', reason: {reason}, lastTransitionTime: '2030-01-01T{since}Z'}}]}}}}"
            )
        };
        check(
            &pod("EvictionByEvictionAPI", "11:59:00", "Running"),
            expect![[r#"
            look again after 60s
        "#]],
        );
        check(
            &pod("EvictionByEvictionAPI", "11:58:00", "Running"),
            expect![[r#"
            update pod/status default/a DisruptionTarget=False/
        "#]],
        );
        check(&pod("EvictionByEvictionAPI", "11:58:00", "Failed"), expect![[""]]);
        check(&pod("TerminationByKubelet", "11:58:00", "Running"), expect![[""]]);
    }

    #[test]
    fn the_oldest_of_too_many_ended_pods_go() {
        let ended = |name: &str, hour: i32, more: &str| {
            format!(
                "{{kind: Pod, metadata: {{name: {name}, creationTimestamp: '2030-01-01T0{hour}:00:00Z'}}, status: {{phase: Failed {more}}}}}"
            )
        };
        let pods =
            |more: &str| [ended("a", 4, ""), ended("b", 1, ""), ended("c", 3, more), ended("d", 2, "")].join("\n---\n");
        check(
            &pods(""),
            expect![[r#"
            delete pod default/b
            delete pod default/d
        "#]],
        );
        check(
            &pods(", reason: Evicted"),
            expect![[r#"
            delete pod default/c
            delete pod default/b
        "#]],
        );
    }
}
