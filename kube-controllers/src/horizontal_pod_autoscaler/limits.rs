//! How fast the size may change: stabilization, policies, bounds. Source: `normalizeDesiredReplicas`,
//! `normalizeDesiredReplicasWithBehaviors`.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerBehavior};

use super::Settings;
use super::history::History;

/// Without a behaviour, the size may at most be multiplied by so much at once...
const UP_FACTOR: i32 = 2;
/// ...or raised to this. Source: `scaleUpLimitFactor`, `scaleUpLimitMinimum`.
const UP_MINIMUM: i32 = 4;

/// A size on its way through the limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) current: i32,
    pub(super) least: i32,
    pub(super) most: i32,
}

/// A size, and why it is that and no other: reason and message of a condition.
pub(super) type Limited = (i32, &'static str, &'static str);

const LOWERED: (&str, &str) = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);
const RAISED: (&str, &str) = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const TOO_FAST: (&str, &str) =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const TOO_MANY: (&str, &str) = ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FAST_DOWN: (&str, &str) =
    ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");
const TOO_FEW: (&str, &str) = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const WITHIN: (&str, &str) = ("DesiredWithinRange", "the desired count is within the acceptable range");

/// A recommendation, held where recent ones were, and remembered.
pub(super) fn stabilized(
    desired: i32,
    current: i32,
    behavior: Option<&HorizontalPodAutoscalerBehavior>,
    history: &mut History,
    settings: &Settings,
    now: Timestamp,
) -> Limited {
    let stable = match behavior {
        None => history.recommendations(settings.downscale_stabilization, now).fold(desired, i32::max),
        Some(behavior) => {
            let up = window(behavior.scale_up.as_ref(), Duration::ZERO);
            let down = window(behavior.scale_down.as_ref(), settings.downscale_stabilization);
            let lowest = history.recommendations(up, now).fold(desired, i32::min);
            let highest = history.recommendations(down, now).fold(desired, i32::max);
            current.max(lowest).min(highest)
        }
    };
    history.recommended(desired, now);
    let (reason, message) = if behavior.is_some() && desired >= current { LOWERED } else { RAISED };
    (stable, reason, message)
}

fn window(rules: Option<&HPAScalingRules>, default: Duration) -> Duration {
    let seconds = rules.and_then(|rules| rules.stabilization_window_seconds);
    seconds.map_or(default, |seconds| Duration::from_secs(seconds.max(0).unsigned_abs().into()))
}

/// A size within the bounds, and changed no faster than is allowed.
pub(super) fn limited(
    desired: i32,
    bounds: Bounds,
    behavior: Option<&HorizontalPodAutoscalerBehavior>,
    history: &History,
    now: Timestamp,
) -> Limited {
    let Bounds { current, least, most } = bounds;
    let (lower, upper) = match behavior {
        None => ((least, TOO_FEW), tighter_above(most, current.saturating_mul(UP_FACTOR).max(UP_MINIMUM))),
        Some(behavior) => {
            let up = up_limit(current, behavior.scale_up.as_ref(), history, now).max(current);
            let down = down_limit(current, behavior.scale_down.as_ref(), history, now).min(current);
            (if least < down { (down, TOO_FAST_DOWN) } else { (least, TOO_FEW) }, tighter_above(most, up))
        }
    };
    // With a behaviour only the side counts to which the size moves.
    let (checks_down, checks_up) =
        if behavior.is_none() { (true, true) } else { (desired < current, desired > current) };
    let (size, (reason, message)) = match desired {
        _ if checks_down && desired < lower.0 => lower,
        _ if checks_up && desired > upper.0 => upper,
        _ => (desired, WITHIN),
    };
    (size, reason, message)
}

fn tighter_above(most: i32, rate: i32) -> (i32, (&'static str, &'static str)) {
    if most > rate { (rate, TOO_FAST) } else { (most, TOO_MANY) }
}

/// Source: `calculateScaleUpLimitWithScalingRules`.
fn up_limit(current: i32, rules: Option<&HPAScalingRules>, history: &History, now: Timestamp) -> i32 {
    let proposals = policies(rules).iter().map(|policy| {
        let start = start_of_period(current, policy, history, now);
        match policy.type_.as_str() {
            "Percent" => ceil(f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)),
            _ => start.saturating_add(policy.value),
        }
    });
    match select_policy(rules) {
        "Disabled" => current,
        "Min" => proposals.min().unwrap_or(i32::MAX),
        _ => proposals.max().unwrap_or(i32::MAX),
    }
}

/// Source: `calculateScaleDownLimitWithBehaviors`.
fn down_limit(current: i32, rules: Option<&HPAScalingRules>, history: &History, now: Timestamp) -> i32 {
    let proposals = policies(rules).iter().map(|policy| {
        let start = start_of_period(current, policy, history, now);
        match policy.type_.as_str() {
            "Percent" => floor(f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)),
            _ => start.saturating_sub(policy.value),
        }
    });
    match select_policy(rules) {
        "Disabled" => current,
        "Min" => proposals.max().unwrap_or(0),
        _ => proposals.min().unwrap_or(0),
    }
}

/// The size at the start of a policy's period.
fn start_of_period(current: i32, policy: &HPAScalingPolicy, history: &History, now: Timestamp) -> i32 {
    let period = Duration::from_secs(policy.period_seconds.max(0).unsigned_abs().into());
    current.saturating_sub(history.change(period, now))
}

fn policies(rules: Option<&HPAScalingRules>) -> &[HPAScalingPolicy] {
    rules.and_then(|rules| rules.policies.as_deref()).unwrap_or(&[])
}

fn select_policy(rules: Option<&HPAScalingRules>) -> &str {
    rules.and_then(|rules| rules.select_policy.as_deref()).unwrap_or("Max")
}

/// Rounded up; what does not fit is cut.
#[allow(clippy::cast_possible_truncation, reason = "casts of floats cut at the bounds")]
pub(super) fn ceil(number: f64) -> i32 {
    number.ceil() as i32
}

#[allow(clippy::cast_possible_truncation, reason = "casts of floats cut at the bounds")]
fn floor(number: f64) -> i32 {
    number.floor() as i32
}
