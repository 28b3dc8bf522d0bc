//! ReplicaSets: no pod is made when there are enough.

use coracle_controllers::pods;
use coracle_core::World;
use coracle_core::object::controller_of;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;

use super::require;
use crate::simulation::{Invariant, Step};

/// Watches over the number of pods of ReplicaSets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replicas;

impl Invariant for Replicas {
    fn after(&mut self, step: &Step<'_>) -> Result<(), String> {
        let Some(pod) = step.object::<Pod>().filter(|_| step.event.previous.is_none()) else { return Ok(()) };
        // A writer that was told of a failure makes the pod again, and deletes one too many later.
        if step.lately(step.answer_lost) {
            return Ok(());
        }
        let owner = controller_of(&pod.metadata).and_then(|owner| step.world.by_uid(&owner.uid));
        let Some(replica_set) = owner.and_then(|owner| owner.get::<ReplicaSet>()) else { return Ok(()) };
        let count = active(replica_set, step.world);
        let wanted = replica_set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        // It may have been made smaller a moment ago.
        let resized =
            replica_set.metadata.generation != replica_set.status.as_ref().and_then(|it| it.observed_generation);
        require(resized || count <= wanted, || {
            format!("{} is pod {count} of a ReplicaSet that wants {wanted}", step.event.object.key())
        })
    }

    fn at_end(&self, world: &World) -> Result<(), String> {
        world.list::<ReplicaSet>().try_for_each(|replica_set| {
            let wanted = replica_set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
            let (count, name) = (active(&replica_set, world), replica_set.metadata.name.clone().unwrap_or_default());
            require(count == wanted, || format!("ReplicaSet {name} wants {wanted} pods and has {count}"))
        })
    }
}

fn active(replica_set: &ReplicaSet, world: &World) -> i32 {
    let pods = world.owned_by::<Pod>(replica_set.metadata.uid.as_deref().unwrap_or(""));
    i32::try_from(pods.filter(|pod| pods::is_active(pod)).count()).unwrap_or(i32::MAX)
}
