//! ClusterRoles that gather the rules of others, such as `admin`. Source: `pkg/controller/clusterroleaggregation`.

use coracle_core::rbac::aggregated_rules;
use coracle_core::{ObjectKey, Request, Target, World};
use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};

use crate::plan::Plan;
use crate::planner::Planner;
use crate::watches::Watches;

/// Keeps the rules of aggregated roles what their parts are.
#[derive(Clone, Copy, Debug)]
pub struct ClusterRoleAggregation;

impl Planner for ClusterRoleAggregation {
    type Kind = ClusterRole;
    /// The rules that the role should have; `None` if it gathers nothing.
    type Observed = Option<Vec<PolicyRule>>;

    fn name(&self) -> &'static str {
        "clusterrole-aggregation-controller"
    }

    /// Any role may be a part of any aggregated one.
    fn watches(&self, on: &mut Watches<ClusterRole>) {
        on.map::<ClusterRole>(|_, world| {
            let gathering = world.list::<ClusterRole>().filter(|role| role.aggregation_rule.is_some());
            gathering.map(|role| ObjectKey::of(&role.metadata)).collect()
        });
    }

    fn observe(&self, role: &ClusterRole, world: &World) -> Self::Observed {
        let aggregation = role.aggregation_rule.as_ref()?;
        let roles: Vec<_> = world.list::<ClusterRole>().collect();
        let name = role.metadata.name.as_deref().unwrap_or("");
        Some(aggregated_rules(name, aggregation, roles.iter().map(AsRef::as_ref)))
    }

    fn plan(&self, role: &ClusterRole, gathered: Self::Observed, _now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        let Some(rules) = gathered.filter(|rules| role.rules.as_deref().unwrap_or_default() != rules.as_slice()) else {
            return plan;
        };
        let gather = move |role: &mut ClusterRole| {
            role.rules = Some(rules.clone());
            Ok(())
        };
        plan.then(Request::edit(Target::of(role), gather));
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Small;

    const ROLES: &str = r#"
kind: ClusterRole
metadata: {name: all}
aggregationRule:
  clusterRoleSelectors:
  - matchLabels: {part-of: all}
---
kind: ClusterRole
metadata: {name: pods, labels: {part-of: all}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
kind: ClusterRole
metadata: {name: more, labels: {part-of: all}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}, {apiGroups: [""], resources: [secrets], verbs: [get]}]
---
kind: ClusterRole
metadata: {name: other}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]
"#;

    fn resources(small: &Small) -> Vec<String> {
        let rules = small.get::<ClusterRole>("all").rules.clone().unwrap_or_default();
        rules.into_iter().flat_map(|rule| rule.resources.unwrap_or_default()).collect()
    }

    #[test]
    fn parts_are_gathered_once_and_leave_again() {
        let mut small = Small::new(ROLES);
        assert!(small.step(&ClusterRoleAggregation, "all").starts_with("edit clusterrole all "));
        assert_eq!(resources(&small), ["pods", "secrets"]);
        assert_eq!(small.step(&ClusterRoleAggregation, "all"), "");
        small.edit("more", |role: &mut ClusterRole| role.metadata.labels = None);
        small.step(&ClusterRoleAggregation, "all");
        assert_eq!(resources(&small), ["pods"]);
    }

    #[test]
    fn other_roles_are_left_alone() {
        let mut small = Small::new(ROLES);
        assert_eq!(small.step(&ClusterRoleAggregation, "other"), "");
    }
}
