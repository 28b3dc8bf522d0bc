//! ResourceQuotas: what is allowed and what is used, published. Source: `pkg/controller/resourcequota`.
//!
//! The world counts (see `coracle_core::quota`); here its counts become statuses. Upstream counts anew when something is deleted
//! and every few minutes; here a quota is woken by every change that its status does not show yet, and by nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::quantity::QuantityText;
use coracle_core::quota::Used;
use coracle_core::{Request, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ResourceQuota, ResourceQuotaStatus};

use crate::plan::Plan;
use crate::planner::Planner;
use crate::watches::Watches;

/// Keeps the status of ResourceQuotas.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceQuotas;

impl Planner for ResourceQuotas {
    type Kind = ResourceQuota;
    type Observed = Option<Arc<Used>>;

    fn name(&self) -> &'static str {
        "resourcequota-controller"
    }

    fn watches(&self, on: &mut Watches<ResourceQuota>) {
        on.any(|event, world| {
            let stale = |used: &&Arc<Used>| {
                let status = world.get::<ResourceQuota>(event.object.namespace(), used.name());
                status.is_some_and(|quota| quota.status.as_ref() != Some(&status_of(used)))
            };
            world.quotas(event.object.namespace()).filter(stale).map(|used| used.key()).collect()
        });
    }

    fn observe(&self, quota: &ResourceQuota, world: &World) -> Option<Arc<Used>> {
        let key = coracle_core::ObjectKey::of(&quota.metadata);
        world.quota(key.as_str()).cloned()
    }

    fn plan(&self, quota: &ResourceQuota, used: Option<Arc<Used>>, _now: Timestamp) -> Plan {
        let mut plan = Plan::nothing();
        let Some(status) = used.map(|used| status_of(&used)) else { return plan };
        if quota.status.as_ref() != Some(&status) {
            plan.then(Request::update_status(ResourceQuota { status: Some(status), ..quota.clone() }));
        }
        plan
    }
}

fn status_of(used: &Used) -> ResourceQuotaStatus {
    let some = |list: BTreeMap<String, QuantityText>| (!list.is_empty()).then_some(list);
    ResourceQuotaStatus { hard: some(used.hard().to_list()), used: some(used.used().to_list()) }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::testing::Small;

    const QUOTA: &str =
        "{kind: ResourceQuota, metadata: {name: q}, spec: {hard: {pods: '2', requests.cpu: '1'}}}\n---\n";
    const POD: &str =
        "{kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, resources: {requests: {cpu: 300m}}}]}}\n---\n";

    #[track_caller]
    fn check(small: &mut Small, expected: Expect) {
        expected.assert_eq(&small.step(&ResourceQuotas, "q"));
    }

    #[test]
    fn what_is_used_is_published() {
        let mut small = Small::new(QUOTA);
        check(
            &mut small,
            expect![[r#"
                update resourcequota/status default/q hard.pods=2 hard.requests.cpu=1 used.pods=0 used.requests.cpu=0
            "#]],
        );
        small.add(POD);
        check(
            &mut small,
            expect![[r#"
                update resourcequota/status default/q used.pods=1 used.requests.cpu=300m
            "#]],
        );
        check(&mut small, expect![""]);
        small.edit::<ResourceQuota>("q", |quota| {
            quota.status.get_or_insert_default().used = None;
        });
        check(
            &mut small,
            expect![[r#"
                update resourcequota/status default/q used.pods=1 used.requests.cpu=300m
            "#]],
        );
    }
}
