//! The arithmetic: from what pods use, or one number for all, to a number of replicas. Source: `replica_calculator.go`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use coracle_core::quantity::Quantity;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};

use super::Settings;
use super::limits::ceil;
use super::measure::{Sample, Samples};
use crate::pods;

/// What the arithmetic depends on beside the measurements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation<'a> {
    pub(super) namespace: &'a str,
    pub(super) pods: &'a [Arc<Pod>],
    /// How many replicas are wanted.
    pub(super) replicas: i32,
    /// How many replicas there are.
    pub(super) status_replicas: i32,
    pub(super) tolerance: Tolerance,
    pub(super) settings: &'a Settings,
    pub(super) now: Timestamp,
}

/// How far a ratio may be from one without effect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tolerance {
    down: f64,
    up: f64,
}

impl Tolerance {
    pub(super) fn of(autoscaler: &HorizontalPodAutoscaler, settings: &Settings) -> Self {
        let behavior = autoscaler.spec.behavior.as_ref();
        let (down, up) = (
            behavior.and_then(|behavior| behavior.scale_down.as_ref()),
            behavior.and_then(|behavior| behavior.scale_up.as_ref()),
        );
        let [down, up] = [down, up].map(|rules| {
            let own = rules.and_then(|rules| Quantity::try_from(rules.tolerance.as_ref()?).ok());
            own.map_or(settings.tolerance, |own| own.as_f64())
        });
        Self { down, up }
    }

    fn holds(self, ratio: f64) -> bool {
        (1.0 - self.down) <= ratio && ratio <= (1.0 + self.up)
    }
}

/// How many replicas a metric of pods asks for, and what the pods use on average, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) replicas: i32,
    pub(super) average: i64,
    /// Of what was requested, in percent; only where that is the target.
    pub(super) percent: Option<i32>,
}

/// What each pod is to use on average.
pub(super) enum PodTarget<'a> {
    /// So much, in thousandths.
    Average(i64),
    /// So many percent of what it requests of a resource, in one container or in all.
    Percent { percent: i32, resource: &'a str, container: Option<&'a str> },
}

const NO_PODS: &str = "no pods returned by selector while calculating replica count";

/// Replicas by what pods use. `is_cpu`: pods that are starting use more of it than they will, so they are left out.
pub(super) fn by_pods(
    mut samples: Samples,
    target: &PodTarget<'_>,
    is_cpu: bool,
    situation: &Situation<'_>,
) -> Result<Answer, String> {
    if situation.pods.is_empty() {
        return Err(NO_PODS.to_owned());
    }
    let groups = Groups::of(&samples, is_cpu, situation);
    samples.retain(|name, _| !groups.unready.contains(name) && !groups.ignored.contains(name));
    if samples.is_empty() {
        return Err("did not receive metrics for targeted pods (pods might be unready)".to_owned());
    }
    let requests = match target {
        PodTarget::Average(_) => BTreeMap::new(),
        PodTarget::Percent { resource, container, .. } => requests(situation.pods, resource, *container)?,
    };
    let used = Used::of(&samples, target, &requests)?;
    let answer = |replicas| Answer { replicas, average: used.average, percent: used.percent };
    let rebalances = !groups.unready.is_empty() && used.ratio > 1.0;
    if !rebalances && groups.missing.is_empty() {
        let replicas = if situation.tolerance.holds(used.ratio) {
            situation.replicas
        } else {
            ceil(used.ratio * count(groups.ready))
        };
        return Ok(answer(replicas));
    }
    // Assume of the others what speaks against a change: that they use all of it before fewer, nothing before more.
    let assumed = |milli| Sample { milli, at: situation.now, window: jiff::SignedDuration::ZERO };
    for name in &groups.missing {
        let full = match target {
            PodTarget::Average(milli) => *milli,
            PodTarget::Percent { percent, .. } => {
                requests.get(name).map_or(0, |request| request * i64::from((*percent).max(100)) / 100)
            }
        };
        let milli = match (used.ratio.total_cmp(&1.0), target) {
            (Ordering::Less, _) => full,
            (Ordering::Equal, PodTarget::Percent { .. }) => continue,
            _ => 0,
        };
        samples.insert(name.clone(), assumed(milli));
    }
    if rebalances {
        samples.extend(groups.unready.iter().map(|name| (name.clone(), assumed(0))));
    }
    let again = Used::of(&samples, target, &requests)?.ratio;
    let turns = (used.ratio < 1.0 && again > 1.0) || (used.ratio > 1.0 && again < 1.0);
    if situation.tolerance.holds(again) || turns {
        return Ok(answer(situation.replicas));
    }
    let replicas = ceil(again * count(samples.len()));
    let turns = (again < 1.0 && replicas > situation.replicas) || (again > 1.0 && replicas < situation.replicas);
    Ok(answer(if turns { situation.replicas } else { replicas }))
}

/// How much is used, as a ratio of the target.
struct Used {
    ratio: f64,
    average: i64,
    percent: Option<i32>,
}

impl Used {
    /// Source: `GetResourceUtilizationRatio`, `GetMetricUsageRatio`.
    fn of(samples: &Samples, target: &PodTarget<'_>, requests: &BTreeMap<String, i64>) -> Result<Self, String> {
        match target {
            PodTarget::Average(target) => {
                let total = samples.values().fold(0_i64, |sum, sample| sum.saturating_add(sample.milli));
                let average = total / i64::try_from(samples.len()).unwrap_or(i64::MAX);
                Ok(Self { ratio: ratio(average, *target), average, percent: None })
            }
            PodTarget::Percent { percent: target, .. } => {
                let known = samples.iter().filter_map(|(name, sample)| Some((sample.milli, *requests.get(name)?)));
                let (mut used, mut requested, mut pods) = (0_i64, 0_i64, 0_i64);
                for (milli, request) in known {
                    used = used.saturating_add(milli);
                    requested = requested.saturating_add(request);
                    pods += 1;
                }
                if requested == 0 {
                    return Err("no metrics returned matched known pods".to_owned());
                }
                let percent = i32::try_from(used.saturating_mul(100) / requested).unwrap_or(i32::MAX);
                let ratio = f64::from(percent) / f64::from(*target);
                Ok(Self { ratio, average: used / pods.max(1), percent: Some(percent) })
            }
        }
    }
}

/// Replicas by one number for all pods, each of which is worth `target` of it. Source: `getUsageRatioReplicaCount`.
pub(super) fn by_value(value: i64, target: i64, situation: &Situation<'_>) -> Result<i32, String> {
    let ratio = ratio(value, target);
    if situation.replicas == 0 {
        return Ok(ceil(ratio));
    }
    if situation.tolerance.holds(ratio) {
        return Ok(situation.replicas);
    }
    if situation.pods.is_empty() {
        return Err(format!("unable to calculate ready pods: {NO_PODS}"));
    }
    let ready = situation.pods.iter().filter(|pod| pods::phase(pod) == "Running" && pods::is_ready(pod));
    Ok(ceil(ratio * count(ready.count())))
}

/// Replicas by one number that is shared out among the pods, and how much that is for each that there is now.
pub(super) fn by_share(value: i64, target: i64, situation: &Situation<'_>) -> Answer {
    let there = f64::from(situation.status_replicas);
    let kept = situation.tolerance.holds(ratio(value, target) / there);
    let replicas = if kept { situation.status_replicas } else { ceil(ratio(value, target)) };
    let average = value.saturating_add(i64::from(situation.status_replicas.max(1) - 1))
        / i64::from(situation.status_replicas.max(1));
    Answer { replicas, average, percent: None }
}

/// Pods by what can be said of them. Source: `groupPods`.
#[derive(Default)]
struct Groups {
    ready: usize,
    unready: BTreeSet<String>,
    missing: BTreeSet<String>,
    ignored: BTreeSet<String>,
}

impl Groups {
    fn of(samples: &Samples, is_cpu: bool, situation: &Situation<'_>) -> Self {
        let mut groups = Self::default();
        for pod in situation.pods {
            let name = pod.metadata.name.clone().unwrap_or_default();
            let sample = samples.get(&name);
            match (pods::phase(pod), sample) {
                _ if pod.metadata.deletion_timestamp.is_some() => drop(groups.ignored.insert(name)),
                ("Failed", _) => drop(groups.ignored.insert(name)),
                ("Pending" | "", _) => drop(groups.unready.insert(name)),
                (_, None) => drop(groups.missing.insert(name)),
                (_, Some(sample)) if is_cpu && is_starting(pod, *sample, situation) => {
                    groups.unready.insert(name);
                }
                _ => groups.ready += 1,
            }
        }
        groups
    }
}

/// Whether a pod's CPU says little because it is only starting.
fn is_starting(pod: &Pod, sample: Sample, situation: &Situation<'_>) -> bool {
    let started = pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    let (Some(ready), Some(started)) = (pods::condition(pod, "Ready"), started) else { return true };
    let turned = ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let unready = ready.status == "False";
    let settings = situation.settings;
    if situation.now.duration_since(started.0) < settings.cpu_initialization {
        unready || sample.at.duration_since(turned) < sample.window
    } else {
        unready && turned.duration_since(started.0) < settings.initial_readiness
    }
}

/// What each pod requests of a resource, in thousandths. Source: `calculateRequests`.
fn requests(pods: &[Arc<Pod>], resource: &str, container: Option<&str>) -> Result<BTreeMap<String, i64>, String> {
    let mut requests = BTreeMap::new();
    for pod in pods {
        let whole = container.is_none().then(|| pod.spec.as_ref()?.resources.as_ref()).flatten();
        let request = match whole.filter(|whole| whole.requests.as_ref().is_some_and(|requests| !requests.is_empty())) {
            Some(whole) => request_of_pod(pod, whole, resource)?,
            None => request_of_containers(pod, resource, container)?,
        };
        requests.insert(pod.metadata.name.clone().unwrap_or_default(), request);
    }
    Ok(requests)
}

/// What a pod requests that requests something as a whole: that, or what its containers request together.
fn request_of_pod(pod: &Pod, whole: &ResourceRequirements, resource: &str) -> Result<i64, String> {
    let of_containers = || running_containers(pod).filter_map(|one| request(one.resources.as_ref(), resource));
    let sum = request(Some(whole), resource).or_else(|| of_containers().reduce(i64::saturating_add));
    let name = pod.metadata.name.as_deref().unwrap_or("");
    sum.ok_or_else(|| format!("missing pod-level request for {resource} in Pod {name}"))
}

fn request_of_containers(pod: &Pod, resource: &str, container: Option<&str>) -> Result<i64, String> {
    let name = pod.metadata.name.as_deref().unwrap_or("");
    let mut sum = None::<i64>;
    for one in running_containers(pod).filter(|one| container.is_none_or(|container| one.name == container)) {
        let missing = || format!("missing request for {resource} in container {} of Pod {name}", one.name);
        sum = Some(sum.unwrap_or(0).saturating_add(request(one.resources.as_ref(), resource).ok_or_else(missing)?));
    }
    match (sum, container) {
        (None, Some(container)) => Err(format!("container {container} not found in Pod {name}")),
        (sum, _) => Ok(sum.unwrap_or(0)),
    }
}

fn request(resources: Option<&ResourceRequirements>, resource: &str) -> Option<i64> {
    let quantity = resources?.requests.as_ref()?.get(resource)?;
    Some(Quantity::try_from(quantity).ok()?.milli_value())
}

/// The containers that run as long as the pod does: sidecars too.
fn running_containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let sidecars = init.filter(|container| container.restart_policy.as_deref() == Some("Always"));
    pod.spec.iter().flat_map(|spec| &spec.containers).chain(sidecars)
}

#[allow(clippy::cast_precision_loss, reason = "ratios need no more than 53 bits")]
fn ratio(value: i64, target: i64) -> f64 {
    value as f64 / target as f64
}

#[allow(clippy::cast_precision_loss, reason = "pods are fewer than 2^53")]
fn count(number: usize) -> f64 {
    number as f64
}
