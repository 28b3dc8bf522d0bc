//! Which groups grow, so that pods that wait find a place. Source: cluster-autoscaler `core/scaleup`.

use std::sync::Arc;

use coracle_core::quantity::Quantity;
use coracle_core::{Happening, Severity, World};
use k8s_openapi::api::core::v1::{Node, Pod};

use super::super::{MakeWhatIf, NodeGroup};
use super::{CONTROLLER, instance};

/// What is to be ordered, and for whom.
#[derive(Debug, Default)]
pub(super) struct Growth {
    /// Group and number of machines.
    pub(super) orders: Vec<(String, usize)>,
    /// The pods that orders are for.
    helped: Vec<Arc<Pod>>,
    /// The pods that no order helps.
    left: Vec<Arc<Pod>>,
    /// Whether nothing is ordered and nothing on its way.
    pub(super) is_settled: bool,
}

/// Finds the smallest machines on which the waiting pods fit, and no more of them than it takes.
pub(super) fn grow(groups: &[NodeGroup], waiting: Vec<Arc<Pod>>, world: &World, make: &MakeWhatIf) -> Growth {
    let is_coming = |name: &&String| world.get::<Node>("", name).is_none();
    let coming = groups.iter().flat_map(|group| group.machines.iter().filter(is_coming).map(move |name| (group, name)));
    let coming: Vec<_> = coming.collect();
    let mut growth = Growth { is_settled: coming.is_empty(), ..Growth::default() };
    if waiting.is_empty() {
        return growth;
    }
    let mut what_if = make(world);
    for (group, name) in coming {
        what_if.add(instance(group, name));
    }
    growth.left = what_if.place(&waiting);
    let mut by_size: Vec<_> = groups.iter().collect();
    by_size.sort_by_key(|group| (size(&group.template), &group.name));
    for group in by_size {
        let mut ordered = 0;
        while group.machines.len() + ordered < group.max && !growth.left.is_empty() {
            let name = format!("{}-new-{ordered}", group.name);
            what_if.add(instance(group, &name));
            let left = what_if.place(&growth.left);
            if left.len() == growth.left.len() {
                what_if.remove(&name);
                break;
            }
            let is_left = |pod: &Arc<Pod>| left.iter().any(|other| Arc::ptr_eq(other, pod));
            growth.helped.extend(growth.left.iter().filter(|pod| !is_left(pod)).cloned());
            growth.left = left;
            ordered += 1;
        }
        growth.orders.extend((ordered > 0).then(|| (group.name.clone(), ordered)));
    }
    growth.is_settled &= growth.orders.is_empty();
    growth
}

/// Processors, then memory.
fn size(template: &Node) -> (Quantity, Quantity) {
    let allocatable = template.status.as_ref().and_then(|status| status.allocatable.as_ref());
    let amount = |name: &str| {
        let amount = allocatable.and_then(|all| all.get(name)).and_then(|text| Quantity::try_from(text).ok());
        amount.unwrap_or_default()
    };
    (amount("cpu"), amount("memory"))
}

impl Growth {
    /// What people are told, pod by pod.
    pub(super) fn tell(&self, groups: &[NodeGroup]) -> Vec<Happening> {
        let order = |(name, machines): &(String, usize)| {
            let group = groups.iter().find(|group| group.name == *name)?;
            let before = group.machines.len();
            Some(format!("{{{name} {before}->{} (max: {})}}", before + machines, group.max))
        };
        let orders: Vec<_> = self.orders.iter().filter_map(order).collect();
        let done = format!("pod triggered scale-up: [{}]", orders.join(" "));
        let full = groups.iter().filter(|group| {
            let ordered = self.orders.iter().find(|(name, _)| *name == group.name).map_or(0, |(_, machines)| *machines);
            group.machines.len() + ordered >= group.max
        });
        let full = full.count();
        let reasons = [(full, "max node group size reached"), (groups.len() - full, "would not fit a new node")];
        let reasons: Vec<_> =
            reasons.iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
        let undone = format!("pod didn't trigger scale-up: {}", reasons.join(", "));
        let tell =
            |pod: &Arc<Pod>, reason, note: &str| Happening::new(CONTROLLER, &**pod, Severity::Normal, reason, note);
        let helped = self.helped.iter().map(|pod| tell(pod, "TriggeredScaleUp", &done));
        helped.chain(self.left.iter().map(|pod| tell(pod, "NotTriggerScaleUp", &undone))).collect()
    }
}
