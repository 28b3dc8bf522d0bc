//! Disruption budgets, which preemption spares where it can.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::selector::Selector;
use coracle_core::{Event, World};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use crate::pod::PodInfo;

/// Every disruption budget, by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Budgets(BTreeMap<String, (Selector, Arc<PodDisruptionBudget>)>);

impl Budgets {
    pub(super) fn load(&mut self, world: &World) {
        self.0.clear();
        for budget in world.list::<PodDisruptionBudget>() {
            let key = coracle_core::ObjectKey::of(&budget.metadata).to_string();
            self.0.insert(key, (selector(&budget), budget));
        }
    }

    /// Takes in an event; says whether it was about a budget.
    pub(super) fn apply(&mut self, event: &Event) -> bool {
        let Some(budget) = event.object.shared::<PodDisruptionBudget>() else { return false };
        let key = event.object.key().to_string();
        if event.deleted {
            drop(self.0.remove(&key))
        } else {
            drop(self.0.insert(key, (selector(&budget), budget)))
        }
        true
    }

    /// Whether each of these pods, if all of them go in this order, takes more than a budget allows. Source:
    /// `filterPodsWithPDBViolation`.
    #[must_use]
    pub fn violations(&self, pods: &[Arc<PodInfo>]) -> Vec<bool> {
        let mut allowed: Vec<i32> = self.0.values().map(|(_, budget)| allowed_by(budget)).collect();
        let one = |pod: &Arc<PodInfo>| {
            let mut violated = false;
            for ((selector, budget), left) in self.0.values().zip(&mut allowed) {
                if protects(selector, budget, pod) {
                    *left -= 1;
                    violated |= *left < 0;
                }
            }
            violated
        };
        pods.iter().map(one).collect()
    }
}

fn allowed_by(budget: &PodDisruptionBudget) -> i32 {
    budget.status.as_ref().and_then(|status| status.disruptions_allowed).unwrap_or(0)
}

/// Whether a pod counts for a budget; one whose eviction was allowed has been counted already.
fn protects(selector: &Selector, budget: &PodDisruptionBudget, pod: &PodInfo) -> bool {
    let disrupted = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
    budget.metadata.namespace.as_deref() == Some(pod.namespace())
        && pod.pod.metadata.labels.as_ref().is_some_and(|labels| !labels.is_empty())
        && selector.matches_optional(pod.pod.metadata.labels.as_ref())
        && disrupted.is_none_or(|pods| !pods.contains_key(pod.name()))
}

/// Here a selector that is missing or empty chooses nothing.
fn selector(budget: &PodDisruptionBudget) -> Selector {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let selector = Selector::from_label_selector(selector).unwrap_or(Selector::nothing());
    if selector.is_everything() { Selector::nothing() } else { selector }
}
