//! Disruption budgets: no eviction leaves fewer healthy pods than asked.

use std::collections::BTreeMap;

use coracle_controllers::pods;
use coracle_core::World;
use coracle_core::selector::Selector;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{newly_ending, require};
use crate::simulation::{Invariant, Step};

/// Watches over evictions, for budgets that name a number in `minAvailable`.
#[derive(Debug, Default)]
pub struct Disruptions {
    /// When last a pod of a budget became unhealthy otherwise, or the budget changed, by the budget's key.
    lost: BTreeMap<String, Timestamp>,
}

impl Invariant for Disruptions {
    fn after(&mut self, step: &Step<'_>) -> Result<(), String> {
        if let Some(budget) = step.object::<PodDisruptionBudget>() {
            if step.previous::<PodDisruptionBudget>().is_none_or(|before| before.spec != budget.spec) {
                self.lost.insert(step.event.object.key().to_string(), step.now);
            }
            return Ok(());
        }
        let Some(pod) = step.previous::<Pod>() else { return Ok(()) };
        let healthy = |pod: &Pod| pods::is_active(pod) && pods::is_ready(pod);
        if !healthy(pod) || step.object::<Pod>().is_some_and(healthy) {
            return Ok(());
        }
        for budget in step.world.list_in::<PodDisruptionBudget>(step.event.object.namespace()) {
            let (key, selector) = (coracle_core::ObjectKey::of(&budget.metadata), selector(&budget));
            if !selector.matches_optional(pod.metadata.labels.as_ref()) {
                continue;
            }
            let evicted = newly_ending(step).is_some() && is_evicted(&step.event.object);
            if !evicted {
                self.lost.insert(key.to_string(), step.now);
                continue;
            }
            let least = match budget.spec.as_ref().and_then(|spec| spec.min_available.as_ref()) {
                Some(IntOrString::Int(least)) => *least,
                _ => continue,
            };
            let matching = step.world.list_in::<Pod>(step.event.object.namespace());
            let left = matching.filter(|pod| healthy(pod) && selector.matches_optional(pod.metadata.labels.as_ref()));
            let left = i32::try_from(left.count()).unwrap_or(i32::MAX);
            let known = !step.lately(self.lost.get(key.as_str()).copied());
            require(!known || left >= least, || {
                format!("{} is evicted: {left} healthy pods are left, {key} asks for {least}", step.event.object.key())
            })?;
        }
        Ok(())
    }

    fn at_end(&self, world: &World) -> Result<(), String> {
        world.list::<PodDisruptionBudget>().try_for_each(|budget| {
            let selector = selector(&budget);
            let pods = world.list_in::<Pod>(budget.metadata.namespace.as_deref().unwrap_or(""));
            let healthy = pods.filter(|pod| {
                pods::is_active(pod) && pods::is_ready(pod) && selector.matches_optional(pod.metadata.labels.as_ref())
            });
            let (healthy, told) = (healthy.count(), budget.status.as_ref().and_then(|status| status.current_healthy));
            require(told.is_some_and(|told| usize::try_from(told) == Ok(healthy)), || {
                format!("a budget knows of {told:?} healthy pods, there are {healthy}")
            })
        })
    }
}

fn selector(budget: &PodDisruptionBudget) -> Selector {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    Selector::from_label_selector(selector).unwrap_or(Selector::nothing())
}

fn is_evicted(pod: &coracle_core::Object) -> bool {
    let target = pod.get::<Pod>().and_then(|pod| pods::condition(pod, "DisruptionTarget"));
    target.is_some_and(|target| target.reason.as_deref() == Some("EvictionByEvictionAPI"))
}
