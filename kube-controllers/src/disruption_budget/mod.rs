//! PodDisruptionBudgets: how many pods may be evicted now. Source: `pkg/controller/disruption`.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::disruption::set_allowed;
use coracle_core::object::controller_of;
use coracle_core::selector::Selector;
use coracle_core::time::whole_seconds;
use coracle_core::{Event, Happening, Object, ObjectKey, Request, Severity, World, scale};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::plan::Plan;
use crate::planner::Planner;
use crate::pods;
use crate::portion::{scaled, since};
use crate::watches::Watches;

/// The name in events.
const REPORTER: &str = "controllermanager";

/// How long an evicted pod may take until its deletion is seen. Source: `DeletionTimeout`.
const DELETION_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);

/// Keeps the status of PodDisruptionBudgets, which evictions are measured by.
#[derive(Clone, Copy, Debug, Default)]
pub struct DisruptionBudgets;

/// What there is of one budget.
#[derive(Debug)]
pub struct Observed {
    pods: Vec<Arc<Pod>>,
    /// How many pods their controllers want in all; only asked for if the budget is a part of that.
    scale: Result<i32, String>,
    /// Whether some pods have no controller that could say how many there should be.
    unmanaged: bool,
}

impl Planner for DisruptionBudgets {
    type Kind = PodDisruptionBudget;
    type Observed = Observed;

    fn name(&self) -> &'static str {
        "disruption-controller"
    }

    fn watches(&self, on: &mut Watches<PodDisruptionBudget>) {
        on.changes::<Pod>(budgets_of_change);
        on.changes::<Deployment>(budgets_of_scale).changes::<ReplicaSet>(budgets_of_scale);
        on.changes::<ReplicationController>(budgets_of_scale).changes::<StatefulSet>(budgets_of_scale);
    }

    fn observe(&self, budget: &PodDisruptionBudget, world: &World) -> Observed {
        let selector = selector(budget);
        let namespace = budget.metadata.namespace.as_deref().unwrap_or("");
        let pods = world.list_in::<Pod>(namespace);
        let pods: Vec<_> = pods.filter(|pod| selector.matches_optional(pod.metadata.labels.as_ref())).collect();
        let relative = is_relative(budget);
        let scale = if relative { scale_of(&pods, world) } else { Ok(0) };
        let unmanaged = relative && pods.iter().any(|pod| controller_of(&pod.metadata).is_none());
        Observed { pods, scale, unmanaged }
    }

    fn plan(&self, budget: &PodDisruptionBudget, observed: Observed, now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        let before = budget.status.clone().unwrap_or_default();
        let after = match &observed.scale {
            Ok(scale) => status(budget, &observed.pods, *scale, now),
            Err(why) => failed(budget, why, now),
        };
        plan.look_again(recheck(&after, now));
        for pod in overdue(&before, &observed.pods, now) {
            // Upstream names the namespace twice, and so leaves out which budget it was.
            let namespace = budget.metadata.namespace.as_deref().unwrap_or("");
            let note = format!("Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't");
            plan.tell(Happening::new(REPORTER, &**pod, Severity::Warning, "NotDeleted", note));
        }
        if before == after {
            return plan;
        }
        if let Err(why) = &observed.scale {
            let note = format!("Failed to calculate the number of expected pods: {why}");
            plan.tell(Happening::new(REPORTER, budget, Severity::Warning, "CalculateExpectedPodCountFailed", note));
        } else if observed.pods.is_empty() {
            plan.tell(Happening::new(REPORTER, budget, Severity::Normal, "NoPods", "No matching pods found"));
        } else if observed.unmanaged {
            plan.tell(Happening::new(REPORTER, budget, Severity::Warning, "UnmanagedPods", unmanaged(budget)));
        }
        plan.then(Request::update_status(PodDisruptionBudget { status: Some(after), ..budget.clone() }));
        plan
    }
}

/// As upstream words it, with the selector as Go prints it.
fn unmanaged(budget: &PodDisruptionBudget) -> String {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
    let labels = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}: {value},"));
    let expressions = selector.match_expressions.iter().flatten().map(|one| {
        let values = one.values.as_deref().unwrap_or_default().join(" ");
        format!("LabelSelectorRequirement{{Key:{},Operator:{},Values:[{values}],}},", one.key, one.operator)
    });
    format!(
        "Pods selected by this PodDisruptionBudget (selector: &LabelSelector{{MatchLabels:map[string]string{{{}}},\
         MatchExpressions:[]LabelSelectorRequirement{{{}}},}}) were found to be unmanaged. As a result, the status of the PDB cannot \
         be calculated correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" \
         field of the PDB to an integer value.",
        labels.collect::<String>(),
        expressions.collect::<String>()
    )
}

fn selector(budget: &PodDisruptionBudget) -> Selector {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    Selector::from_label_selector(selector).unwrap_or(Selector::nothing())
}

/// Whether the budget is a part of what controllers want, rather than a number of pods.
fn is_relative(budget: &PodDisruptionBudget) -> bool {
    budget.spec.as_ref().is_some_and(|spec| {
        spec.max_unavailable.is_some() || matches!(spec.min_available, Some(IntOrString::String(_)))
    })
}

/// What the controllers of these pods want in all; pods without one do not count. Source: `getExpectedScale`.
fn scale_of(pods: &[Arc<Pod>], world: &World) -> Result<i32, String> {
    let mut scales = BTreeMap::new();
    for pod in pods {
        let Some(reference) = controller_of(&pod.metadata) else { continue };
        let name = pod.metadata.name.as_deref().unwrap_or("");
        let owner = world.by_uid(&reference.uid).ok_or_else(|| format!("found no controllers for pod {name:?}"))?;
        let owner = above(owner, world);
        let Some(scale) = replicas(owner) else {
            return Err(format!("{} does not implement the scale subresource", owner.kind().storage));
        };
        scales.insert(owner.uid().to_owned(), scale);
    }
    Ok(scales.into_values().sum())
}

/// The Deployment of a ReplicaSet, or whatever the pods' controller is itself.
fn above<'a>(owner: &'a Arc<Object>, world: &'a World) -> &'a Object {
    let deployment = owner.get::<ReplicaSet>().and_then(|it| world.by_uid(&controller_of(&it.metadata)?.uid));
    deployment.filter(|it| it.get::<Deployment>().is_some()).unwrap_or(owner)
}

/// The pods that a scalable object asks for, of whatever kind.
fn replicas(owner: &Object) -> Option<i32> {
    scale(owner.kind(), owner)?.spec?.replicas
}

fn status(budget: &PodDisruptionBudget, pods: &[Arc<Pod>], scale: i32, now: Timestamp) -> PodDisruptionBudgetStatus {
    let before = budget.status.clone().unwrap_or_default();
    let (expected, desired) = expectation(budget, pods.len(), scale);
    let disrupted = still_disrupted(&before, pods, now);
    let name = |pod: &Pod| pod.metadata.name.clone().unwrap_or_default();
    let healthy = pods.iter().filter(|pod| is_healthy(pod) && !disrupted.contains_key(&name(pod)));
    let healthy = i32::try_from(healthy.count()).unwrap_or(i32::MAX);
    // A budget without pods allows nothing, so that the first ones are safe before they are counted.
    let allowed = if expected <= 0 { 0 } else { (healthy - desired).max(0) };
    let (holds, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let mut after = PodDisruptionBudgetStatus {
        current_healthy: Some(healthy),
        desired_healthy: Some(desired),
        expected_pods: Some(expected),
        disruptions_allowed: Some(allowed),
        disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
        observed_generation: budget.metadata.generation,
        conditions: before.conditions,
    };
    set_allowed(&mut after, (holds, reason, ""), budget.metadata.generation, &whole_seconds(now));
    after
}

/// How many pods there should be, and how many of them healthy.
fn expectation(budget: &PodDisruptionBudget, present: usize, scale: i32) -> (i32, i32) {
    let Some(spec) = &budget.spec else { return (0, 0) };
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(unavailable), _) => (scale, (scale - scaled(unavailable, scale, true)).max(0)),
        (None, Some(IntOrString::Int(available))) => (i32::try_from(present).unwrap_or(i32::MAX), *available),
        (None, Some(available)) => (scale, scaled(available, scale, true)),
        (None, None) => (0, 0),
    }
}

/// Pods whose eviction was granted, and whose deletion is still to be seen.
fn still_disrupted(before: &PodDisruptionBudgetStatus, pods: &[Arc<Pod>], now: Timestamp) -> BTreeMap<String, Time> {
    let staying = |name: &str| {
        pods.iter().any(|pod| pod.metadata.name.as_deref() == Some(name) && pod.metadata.deletion_timestamp.is_none())
    };
    let disrupted = before.disrupted_pods.iter().flatten();
    disrupted
        .filter(|(name, time)| is_recent(time, now) && staying(name))
        .map(|(name, time)| (name.clone(), time.clone()))
        .collect()
}

/// Pods whose eviction was granted, and that nobody deleted in time.
fn overdue<'a>(
    before: &'a PodDisruptionBudgetStatus,
    pods: &'a [Arc<Pod>],
    now: Timestamp,
) -> impl Iterator<Item = &'a Arc<Pod>> {
    let granted = |pod: &Pod| before.disrupted_pods.as_ref()?.get(pod.metadata.name.as_deref()?);
    let staying = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    staying.filter(move |pod| granted(pod).is_some_and(|time| !is_recent(time, now)))
}

fn is_recent(granted: &Time, now: Timestamp) -> bool {
    now.duration_since(granted.0) <= DELETION_TIMEOUT
}

/// When the first granted eviction is taken back, if its deletion is not seen before.
fn recheck(status: &PodDisruptionBudgetStatus, now: Timestamp) -> Option<std::time::Duration> {
    let granted = status.disrupted_pods.iter().flatten().map(|(_, time)| time.0).min()?;
    let timeout = std::time::Duration::try_from(DELETION_TIMEOUT).unwrap_or_default();
    Some(timeout.saturating_sub(since(granted, now)) + std::time::Duration::from_secs(1))
}

/// Allows nothing when it is not known what to allow. Source: `failSafe`.
fn failed(budget: &PodDisruptionBudget, why: &str, now: Timestamp) -> PodDisruptionBudgetStatus {
    let mut after = budget.status.clone().unwrap_or_default();
    after.disruptions_allowed = Some(0);
    let generation = after.observed_generation;
    set_allowed(&mut after, ("False", "SyncFailed", why), generation, &whole_seconds(now));
    after
}

/// Whether a pod counts. One that others gave up while its node was away has failed, whatever its node said last; upstream asks
/// for that last word alone.
fn is_healthy(pod: &Pod) -> bool {
    pods::is_active(pod) && pods::is_ready(pod)
}

/// The budgets that a change of a pod concerns: those that select it, if it became healthy or not, came or went.
fn budgets_of_change(event: &Event, world: &World) -> Vec<ObjectKey> {
    let face = |pod: &Pod| {
        let owner = controller_of(&pod.metadata).map(|owner| owner.uid.clone());
        (is_healthy(pod), pod.metadata.deletion_timestamp.is_some(), pod.metadata.labels.clone(), owner)
    };
    let previous = event.previous.as_ref().and_then(|previous| previous.get::<Pod>());
    let Some(pod) = event.object.get::<Pod>() else { return Vec::new() };
    if !event.deleted && previous.is_some_and(|previous| face(previous) == face(pod)) {
        return Vec::new();
    }
    let versions = || [Some(pod), previous].into_iter().flatten();
    let concerns = |budget: &Arc<PodDisruptionBudget>| {
        let selector = selector(budget);
        versions().any(|pod| selector.matches_optional(pod.metadata.labels.as_ref()))
    };
    let budgets = world.list_in(event.object.namespace());
    budgets.filter(concerns).map(|budget| ObjectKey::of(&budget.metadata)).collect()
}

/// The budgets that may depend on how many pods a controller wants, if it has come, gone, or changed its mind.
fn budgets_of_scale(event: &Event, world: &World) -> Vec<ObjectKey> {
    let previous = event.previous.as_deref().filter(|_| !event.deleted);
    if previous.is_some_and(|previous| replicas(previous) == replicas(&event.object)) {
        return Vec::new();
    }
    let budgets = world.list_in::<PodDisruptionBudget>(event.object.namespace());
    budgets.filter(|budget| is_relative(budget)).map(|budget| ObjectKey::of(&budget.metadata)).collect()
}

#[cfg(test)]
mod tests;
