//! From measurements to a new size, conditions and events. Source: `reconcileAutoscaler`, `computeReplicasForMetrics`.

use coracle_core::Severity;
use coracle_core::time::whole_seconds;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerStatus,
};

use super::Settings;
use super::history::History;
use super::limits::{Bounds, limited, stabilized};
use super::measure::Measured;
use super::proposal::{Failure, of_kind, propose};
use super::replicas::{Situation, Tolerance};
use super::target::Target;

/// What follows from a look at one autoscaler.
#[derive(Debug)]
pub(super) struct Decision {
    /// What its status is to say.
    pub(super) status: HorizontalPodAutoscalerStatus,
    /// What people are told: severity, reason, note.
    pub(super) tell: Vec<(Severity, &'static str, String)>,
    /// The new size, if there is to be another.
    pub(super) rescale: Option<Rescale>,
}

/// A new size, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rescale {
    pub(super) to: i32,
    pub(super) reason: String,
}

/// A decision in the making.
struct Making<'a> {
    autoscaler: &'a HorizontalPodAutoscaler,
    status: HorizontalPodAutoscalerStatus,
    tell: Vec<(Severity, &'static str, String)>,
    now: Timestamp,
}

/// The condition by which it is known that a target came to zero by itself: only then it may come back. Source: KEP-2021.
const SCALED_TO_ZERO: &str = "ScaledToZero";

fn is_scaled_to_zero(status: &HorizontalPodAutoscalerStatus) -> bool {
    let mut conditions = status.conditions.iter().flatten();
    conditions.any(|condition| condition.type_ == SCALED_TO_ZERO && condition.status == "True")
}

/// Whether a metric tells of demand even while there are no pods.
fn sees_demand(autoscaler: &HorizontalPodAutoscaler) -> bool {
    autoscaler.spec.metrics.iter().flatten().any(|metric| metric.object.is_some() || metric.external.is_some())
}

/// Decides. Recommendations are noted in `history`.
pub(super) fn decide(
    autoscaler: &HorizontalPodAutoscaler,
    target: &Result<Target, String>,
    measured: &[Measured],
    history: &mut History,
    settings: &Settings,
    now: Timestamp,
) -> Decision {
    let status = autoscaler.status.clone().unwrap_or_default();
    let mut making = Making { autoscaler, status, tell: Vec::new(), now };
    let target = match target {
        Ok(target) => target,
        Err(why) => {
            making.warn("FailedGetScale", why.clone());
            let message = format!("the HPA controller was unable to get the target's current scale: {why}");
            making.condition("AbleToScale", false, "FailedGetScale", message);
            return making.done(None);
        }
    };
    let message = "the HPA controller was able to get the target's current scale";
    making.condition("AbleToScale", true, "SucceededGetScale", message);
    let current = target.replicas();
    history.begin(current, now);
    let (least, most) = (autoscaler.spec.min_replicas.unwrap_or(1), autoscaler.spec.max_replicas);
    let bounds = Bounds { current, least, most };
    making.status.current_replicas = Some(current);
    making.status.current_metrics = None;
    // What a person set to zero stays so; what came there by itself may come back.
    let may_begin = is_scaled_to_zero(&making.status) && (least != 0 || sees_demand(autoscaler));
    let (desired, reason) = if current == 0 && !may_begin {
        let message = "scaling is disabled since the replica count of the target is zero";
        making.condition("ScalingActive", false, "ScalingDisabled", message);
        (0, String::new())
    } else if current > most {
        (most, "Current number of replicas above Spec.MaxReplicas".to_owned())
    } else if current != 0 && current < least {
        (least, "Current number of replicas below Spec.MinReplicas".to_owned())
    } else {
        match making.ask_metrics(target, measured, settings) {
            Ok((asked, metric)) => {
                let reason = match asked.cmp(&current) {
                    std::cmp::Ordering::Greater => format!("{metric} above target"),
                    std::cmp::Ordering::Less => "All metrics below target".to_owned(),
                    std::cmp::Ordering::Equal => String::new(),
                };
                let desired = making.normalize(asked, bounds, history, settings);
                (if current == 0 { desired.max(least) } else { desired }, reason)
            }
            Err(error) => {
                making.warn("FailedComputeMetricsReplicas", error);
                return making.done(None);
            }
        }
    };
    making.status.desired_replicas = desired;
    if desired == current {
        return making.done(None);
    }
    let message = format!("the HPA controller was able to update the target scale to {desired}");
    making.condition("AbleToScale", true, "SucceededRescale", message);
    if desired == 0 && sees_demand(autoscaler) {
        making.condition(SCALED_TO_ZERO, true, SCALED_TO_ZERO, "the HPA controller scaled the workload to zero");
    } else if is_scaled_to_zero(&making.status) {
        let message = "the HPA controller did not scale the workload to zero";
        making.condition(SCALED_TO_ZERO, false, "NotScaledToZero", message);
    }
    making.status.last_scale_time = Some(whole_seconds(now));
    making.done(Some(Rescale { to: desired, reason }))
}

impl Making<'_> {
    /// The largest size that a metric asks for, and the metric. What each metric says is told in any case.
    fn ask_metrics(
        &mut self,
        target: &Target,
        measured: &[Measured],
        settings: &Settings,
    ) -> Result<(i32, String), String> {
        let pods = match &target.pods {
            Ok(pods) => pods,
            Err(none) => {
                self.warn(none.reason, none.event.clone());
                self.condition("ScalingActive", false, none.condition_reason, none.condition.clone());
                return Err(none.event.clone());
            }
        };
        let situation = Situation {
            namespace: self.autoscaler.metadata.namespace.as_deref().unwrap_or(""),
            pods,
            replicas: target.replicas(),
            status_replicas: target.status_replicas(),
            tolerance: Tolerance::of(self.autoscaler, settings),
            settings,
            now: self.now,
        };
        let specs: Vec<_> = self.autoscaler.spec.metrics.iter().flatten().zip(measured).collect();
        let (mut best, mut statuses, mut failures) = (None::<(i32, String)>, Vec::new(), Vec::new());
        for (spec, measured) in &specs {
            match propose(spec, measured, &situation) {
                Ok(proposal) => {
                    if best.as_ref().is_none_or(|(replicas, _)| *replicas == 0 || proposal.replicas > *replicas) {
                        best = Some((proposal.replicas, proposal.metric));
                    }
                    statuses.push(proposal.status);
                }
                Err(failure) => {
                    self.warn(failure.reason, failure.why.clone());
                    // Clients find the status of a metric by its place in the list.
                    statuses.push(of_kind(""));
                    failures.push(failure);
                }
            }
        }
        self.status.current_metrics = Some(statuses);
        self.judge(best, &failures, specs.len(), situation.replicas)
    }

    /// What is not known speaks against making anything smaller.
    fn judge(
        &mut self,
        best: Option<(i32, String)>,
        failures: &[Failure],
        metrics: usize,
        current: i32,
    ) -> Result<(i32, String), String> {
        let best = best.filter(|(replicas, _)| failures.is_empty() || *replicas >= current);
        let Some((replicas, metric)) = best else {
            let Some(first) = failures.first() else { return Err("no metrics were given".to_owned()) };
            let message = format!("the HPA was unable to compute the replica count: {}", first.why);
            self.condition("ScalingActive", false, first.reason, message);
            let count = failures.len();
            return Err(format!("invalid metrics ({count} invalid out of {metrics}), first error is: {}", first.error));
        };
        let message = format!("the HPA was able to successfully calculate a replica count from {metric}");
        self.condition("ScalingActive", true, "ValidMetricFound", message);
        Ok((replicas, metric))
    }

    fn normalize(&mut self, asked: i32, bounds: Bounds, history: &mut History, settings: &Settings) -> i32 {
        let behavior = self.autoscaler.spec.behavior.as_ref();
        let (stable, reason, message) = stabilized(asked, bounds.current, behavior, history, settings, self.now);
        let (reason, message) = if stable == asked {
            ("ReadyForNewScale", "recommended size matches current size")
        } else {
            (reason, message)
        };
        self.condition("AbleToScale", true, reason, message);
        let (desired, reason, message) = limited(stable, bounds, behavior, history, self.now);
        self.condition("ScalingLimited", desired != stable, reason, message);
        desired
    }

    fn warn(&mut self, reason: &'static str, note: String) {
        self.tell.push((Severity::Warning, reason, note));
    }

    fn condition(&mut self, kind: &str, holds: bool, reason: &str, message: impl Into<String>) {
        set_condition(&mut self.status, kind, holds, reason, message, self.now);
    }

    fn done(self, rescale: Option<Rescale>) -> Decision {
        Decision { status: self.status, tell: self.tell, rescale }
    }
}

/// What is written when the target could not be scaled: what was found, but not that anything came of it.
pub(super) fn unscaled(
    autoscaler: &HorizontalPodAutoscaler,
    decided: &HorizontalPodAutoscalerStatus,
) -> HorizontalPodAutoscalerStatus {
    let before = autoscaler.status.clone().unwrap_or_default();
    let is_outcome = |condition: &&HorizontalPodAutoscalerCondition| condition.type_ == SCALED_TO_ZERO;
    let found = decided.conditions.iter().flatten().filter(|condition| !is_outcome(condition));
    let conditions = found.chain(before.conditions.iter().flatten().filter(is_outcome)).cloned().collect();
    HorizontalPodAutoscalerStatus {
        current_replicas: decided.current_replicas,
        current_metrics: decided.current_metrics.clone(),
        conditions: Some(conditions),
        ..before
    }
}

/// Sets a condition; its time changes when it begins or ceases to hold. Source: `setConditionInList`.
pub(super) fn set_condition(
    status: &mut HorizontalPodAutoscalerStatus,
    kind: &str,
    holds: bool,
    reason: &str,
    message: impl Into<String>,
    now: Timestamp,
) {
    let holds = if holds { "True" } else { "False" };
    let conditions = status.conditions.get_or_insert_default();
    let index = conditions.iter().position(|condition| condition.type_ == kind).unwrap_or(conditions.len());
    if index == conditions.len() {
        conditions.push(HorizontalPodAutoscalerCondition { type_: kind.to_owned(), ..Default::default() });
    }
    let Some(condition) = conditions.get_mut(index) else { return };
    if condition.status != holds {
        condition.last_transition_time = Some(whole_seconds(now));
        condition.status = holds.to_owned();
    }
    condition.reason = Some(reason.to_owned());
    condition.message = Some(message.into());
}
