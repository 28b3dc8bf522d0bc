//! DaemonSets: one pod for each node, no more at any time than surge allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_controllers::pods;
use coracle_core::object::controller_of;
use coracle_core::{GroupResource, World};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};

use super::require;
use crate::simulation::{Invariant, Step};

/// Watches over daemons.
#[derive(Clone, Copy, Debug, Default)]
pub struct DaemonSets;

impl Invariant for DaemonSets {
    fn after(&mut self, step: &Step<'_>) -> Result<(), String> {
        let Some(pod) = step.object::<Pod>() else { return Ok(()) };
        let placed = !pods::node_name(pod).is_empty() && step.previous::<Pod>().map(pods::node_name) == Some("");
        let owner = controller_of(&pod.metadata).filter(|_| placed).and_then(|owner| step.world.by_uid(&owner.uid));
        let Some(set) = owner.and_then(|owner| owner.shared::<DaemonSet>()) else { return Ok(()) };
        if step.lately(step.answer_lost) {
            return Ok(());
        }
        let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.clone()).unwrap_or_default();
        let surges = strategy.rolling_update.is_some_and(|rolling| rolling.max_surge.is_some());
        let count = daemons(&set, step.world).get(pods::node_name(pod)).copied().unwrap_or(0);
        require(count <= 1 + usize::from(surges), || {
            format!("{} is daemon {count} on its node", step.event.object.key())
        })
    }

    fn at_end(&self, world: &World) -> Result<(), String> {
        world.list::<DaemonSet>().try_for_each(|set| {
            let (name, daemons) = (set.metadata.name.as_deref().unwrap_or(""), daemons(&set, world));
            let nodes = world.count(&GroupResource::of::<Node>());
            require(daemons.len() == nodes && daemons.values().all(|count| *count == 1), || {
                format!("DaemonSet {name} has {daemons:?} on {nodes} nodes")
            })?;
            let status = set.status.clone().unwrap_or_default();
            let counts = [status.number_available, status.updated_number_scheduled].map(|count| count.unwrap_or(0));
            let on_delete =
                set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref()?.type_.as_deref()) == Some("OnDelete");
            let updated = if on_delete { 1 } else { 2 };
            let settled = counts.iter().take(updated).all(|count| usize::try_from(*count) == Ok(nodes));
            require(settled, || format!("DaemonSet {name} has {counts:?} (available, updated) on {nodes} nodes"))
        })
    }
}

fn daemons(set: &Arc<DaemonSet>, world: &World) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    let pods = world.owned_by::<Pod>(set.metadata.uid.as_deref().unwrap_or(""));
    for pod in pods.filter(|pod| pods::is_active(pod)) {
        *count.entry(pods::node_name(&pod).to_owned()).or_default() += 1;
    }
    count
}
