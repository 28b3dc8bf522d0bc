//! HorizontalPodAutoscaler: as many replicas as the metrics ask for. Source: `pkg/controller/podautoscaler`.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod.rs` | the controller: finds the target, asks for metrics, carries out what is decided |
//! | `target.rs` | what is scaled: any object with a scale, and its pods |
//! | `measure.rs` | asks for the metrics of a spec; the only part that waits |
//! | `decide.rs` | from measurements to a new size, conditions and events; no I/O |
//! | `proposal.rs`, `replicas.rs` | what one metric asks for, and the arithmetic of it |
//! | `limits.rs`, `history.rs` | how fast the size may change, and what that is measured by |

mod decide;
mod history;
mod limits;
mod measure;
#[cfg(test)]
mod properties;
mod proposal;
mod replicas;
mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use coracle_core::{Happening, Metrics, ObjectKey, Request};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus};

use self::decide::{Decision, Rescale};
use self::history::History;
use self::target::Target;
use crate::context::Context;
use crate::controller::{Controller, Error, Next};
use crate::plan::{Announcement, Plan, Wish, carry_out};
use crate::portion::since;

const CONTROLLER: &str = "horizontal-pod-autoscaler";

/// What autoscalers can be told. The defaults are those of kube-controller-manager.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How often each autoscaler looks. Default 15 s.
    pub period: Duration,
    /// How far from its target a metric may be without effect, as a part of it. Default 0.1.
    pub tolerance: f64,
    /// For how long a higher recommendation holds the size up, unless a behaviour says otherwise. Default 5 min.
    pub downscale_stabilization: Duration,
    /// For how long after its start a pod's CPU is only believed while it is ready. Default 5 min.
    pub cpu_initialization: SignedDuration,
    /// How soon after its start a pod that became unready counts as one that never was ready. Default 30 s.
    pub initial_readiness: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(15),
            tolerance: 0.1,
            downscale_stabilization: Duration::from_secs(300),
            cpu_initialization: SignedDuration::from_mins(5),
            initial_readiness: SignedDuration::from_secs(30),
        }
    }
}

/// Scales whatever autoscalers name.
///
/// What was recommended lately is remembered here and nowhere else, as upstream does: it is lost with this value, and then the
/// current size counts as the first recommendation.
pub struct HorizontalPodAutoscalers {
    metrics: Arc<dyn Metrics>,
    settings: Settings,
    memory: Mutex<BTreeMap<ObjectKey, Memory>>,
}

/// What is remembered of one autoscaler.
#[derive(Clone, Debug, Default)]
struct Memory {
    history: History,
    /// Which generation was looked at last, and when.
    looked: Option<(Option<i64>, Timestamp)>,
}

impl HorizontalPodAutoscalers {
    /// Autoscalers that go by these metrics.
    #[must_use]
    pub fn new(metrics: Arc<dyn Metrics>) -> Self {
        Self { metrics, settings: Settings::default(), memory: Mutex::default() }
    }

    /// The same with other settings.
    #[must_use]
    pub fn with_settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    fn memory(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Memory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long until an autoscaler is to look again: its own status writes must not wake it before.
    fn rest(&self, key: &ObjectKey, generation: Option<i64>, now: Timestamp) -> Option<Duration> {
        let (known, at) = self.memory().get(key)?.looked?;
        let left = self.settings.period.saturating_sub(since(at, now));
        (known == generation && !left.is_zero()).then_some(left)
    }
}

#[async_trait]
impl Controller for HorizontalPodAutoscalers {
    type Kind = HorizontalPodAutoscaler;

    fn name(&self) -> &'static str {
        CONTROLLER
    }

    async fn reconcile(&self, autoscaler: Arc<HorizontalPodAutoscaler>, context: &Context) -> Result<Next, Error> {
        let (key, now) = (ObjectKey::of(&autoscaler.metadata), context.now());
        if let Some(rest) = self.rest(&key, autoscaler.metadata.generation, now) {
            return Ok(Next::after(rest));
        }
        let target = Target::find(&autoscaler, &context.world());
        let measured = match &target {
            Ok(target) => measure::all(&*self.metrics, &autoscaler, target).await,
            Err(_) => Vec::new(),
        };
        let mut memory = self.memory().get(&key).cloned().unwrap_or_default();
        let decision = decide::decide(&autoscaler, &target, &measured, &mut memory.history, &self.settings, now);
        let rescaled = decision.rescale.as_ref().map(|rescale| rescale.to);
        let next = carry_out(plan(&autoscaler, target.as_ref().ok(), decision, &self.settings, now), context).await?;
        if let (Some(to), Ok(target), true) = (rescaled, &target, autoscaler.spec.behavior.is_some()) {
            memory.history.scaled(to - target.replicas(), now);
        }
        memory.looked = Some((autoscaler.metadata.generation, now));
        self.memory().insert(key, memory);
        Ok(next)
    }

    async fn gone(&self, key: &ObjectKey, _context: &Context) -> Result<Next, Error> {
        self.memory().remove(key);
        Ok(Next::on_change())
    }
}

/// The requests of a decision: first the size, then what the status says of it.
fn plan(
    autoscaler: &HorizontalPodAutoscaler,
    target: Option<&Target>,
    decision: Decision,
    settings: &Settings,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::nothing();
    for (severity, reason, note) in decision.tell {
        plan.tell(Happening::new(CONTROLLER, autoscaler, severity, reason, note));
    }
    if let (Some(Rescale { to, reason }), Some(target)) = (&decision.rescale, target) {
        let announcement = Announcement::about(CONTROLLER, autoscaler)
            .done("SuccessfulRescale", format!("New size: {to}; reason: {reason}"))
            .failed("FailedRescale", format!("New size: {to}; reason: {reason}; error: {{}}"));
        plan.then(Wish::from(target.scaled(*to)).announced(announcement));
        let (failed, unscaled) = (autoscaler.clone(), decide::unscaled(autoscaler, &decision.status));
        plan.if_failed(move |refusal| {
            let message = format!("the HPA controller was unable to update the target scale: {}", refusal.message());
            let mut status = unscaled;
            decide::set_condition(&mut status, "AbleToScale", false, "FailedUpdateScale", message, now);
            write_status(&failed, status)
        });
    }
    if let Some(request) = write_status(autoscaler, decision.status) {
        plan.then(request);
    }
    plan.look_again(Some(settings.period));
    plan
}

fn write_status(autoscaler: &HorizontalPodAutoscaler, status: HorizontalPodAutoscalerStatus) -> Option<Request> {
    let status = Some(status);
    (autoscaler.status != status)
        .then(|| Request::update_status(HorizontalPodAutoscaler { status, ..autoscaler.clone() }))
}

impl fmt::Debug for HorizontalPodAutoscalers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HorizontalPodAutoscalers").field("settings", &self.settings).finish_non_exhaustive()
    }
}
