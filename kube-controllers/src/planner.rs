//! The pure form of a controller.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coracle_core::{ObjectKey, Resource, World};
use jiff::Timestamp;

use crate::context::Context;
use crate::controller::{Controller, Error, Next};
use crate::plan::{Plan, carry_out};
use crate::watches::Watches;

/// Looks, then decides; never acts and never remembers. Every planner is a [`Controller`].
pub trait Planner: Send + Sync + 'static {
    /// The kind whose objects are planned for.
    type Kind: Resource;
    /// What the decision depends on beside the object itself.
    type Observed;

    /// The name in logs and events, such as `replicaset-controller`.
    fn name(&self) -> &'static str;

    /// What else wakes an object, beside changes of the object itself.
    fn watches(&self, on: &mut Watches<Self::Kind>) {
        let _ = on;
    }

    /// Looks.
    fn observe(&self, object: &Self::Kind, world: &World) -> Self::Observed;

    /// Decides.
    fn plan(&self, object: &Self::Kind, observed: Self::Observed, now: Timestamp) -> Plan;

    /// Decides what follows from the absence of an object. Nothing by default.
    fn plan_gone(&self, key: &ObjectKey, world: &World, now: Timestamp) -> Plan {
        let _ = (key, world, now);
        Plan::default()
    }
}

#[async_trait]
impl<P: Planner> Controller for P {
    type Kind = P::Kind;

    fn name(&self) -> &'static str {
        Planner::name(self)
    }

    fn watches(&self, on: &mut Watches<P::Kind>) {
        Planner::watches(self, on);
    }

    async fn reconcile(&self, object: Arc<P::Kind>, context: &Context) -> Result<Next, Error> {
        let begun = context.now();
        let plan = {
            let observed = self.observe(&object, &context.world());
            self.plan(&object, observed, begun)
        };
        let rest = rest_after(begun, context.now());
        Ok(Next { rest, ..carry_out(plan, context).await? })
    }

    async fn gone(&self, key: &ObjectKey, context: &Context) -> Result<Next, Error> {
        let plan = self.plan_gone(key, &context.world(), context.now());
        carry_out(plan, context).await
    }
}

/// How many times as long as a plan took to make its object rests: one with a hundred thousand pods must not be looked at for
/// each of them.
const REST_PER_THOUGHT: u32 = 4;
/// No object rests longer, even if the clock was set forward meanwhile.
const REST_MAX: Duration = Duration::from_secs(1);

fn rest_after(begun: Timestamp, ended: Timestamp) -> Duration {
    let thought = Duration::try_from(ended.duration_since(begun)).unwrap_or_default();
    thought.saturating_mul(REST_PER_THOUGHT).min(REST_MAX)
}
