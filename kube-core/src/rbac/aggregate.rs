//! ClusterRoles that gather the rules of others. Source: `pkg/controller/clusterroleaggregation`.

use k8s_openapi::api::rbac::v1::{AggregationRule, ClusterRole, PolicyRule};

use crate::selector::Selector;

/// The rules that an aggregated role should have: those of every role its selectors choose, but itself, none twice. `roles` are
/// all ClusterRoles by name. A selector that cannot be read chooses nothing.
#[must_use]
pub fn aggregated_rules<'a>(
    name: &str,
    aggregation: &AggregationRule,
    roles: impl Iterator<Item = &'a ClusterRole> + Clone,
) -> Vec<PolicyRule> {
    let mut rules: Vec<PolicyRule> = Vec::new();
    for selector in aggregation.cluster_role_selectors.iter().flatten() {
        let Ok(selector) = Selector::from_label_selector(Some(selector)) else { continue };
        let chosen = roles.clone().filter(|role| {
            role.metadata.name.as_deref() != Some(name) && selector.matches_optional(role.metadata.labels.as_ref())
        });
        for rule in chosen.flat_map(|role| role.rules.iter().flatten()) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    rules
}
