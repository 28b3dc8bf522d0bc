//! In the end every orphan is collected, and nothing is left half deleted; and every pod is where it can be.

use coracle_controllers::pods;
use coracle_core::World;
use k8s_openapi::api::core::v1::{Node, Pod};

use super::require;
use crate::simulation::Invariant;

/// Watches over what is left behind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owners;

impl Invariant for Owners {
    fn at_end(&self, world: &World) -> Result<(), String> {
        for object in world.resources().flat_map(|resource| world.objects(resource)) {
            require(!object.is_terminating(), || format!("{} does not go", object.reference()))?;
            let mut owners = object.metadata().owner_references.iter().flatten().peekable();
            let orphan = owners.peek().is_some() && !owners.any(|owner| world.by_uid(&owner.uid).is_some());
            require(!orphan, || format!("{} outlives its owners", object.reference()))?;
        }
        world.list::<Node>().try_for_each(|node| healthy(&node))?;
        world.list::<Pod>().try_for_each(|pod| placed(&pod, world))
    }
}

fn healthy(node: &Node) -> Result<(), String> {
    let name = node.metadata.name.as_deref().unwrap_or("");
    let ready = |node: &Node| {
        let conditions = node.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|condition| condition.type_ == "Ready").map(|ready| ready.status == "True")
    };
    let tainted = node.spec.as_ref().and_then(|spec| spec.taints.as_ref()).is_some_and(|taints| !taints.is_empty());
    require(ready(node) == Some(true) && !tainted, || format!("node {name} is up and not taken for it"))
}

fn placed(pod: &Pod, world: &World) -> Result<(), String> {
    let name = pod.metadata.name.as_deref().unwrap_or("");
    let node = pods::node_name(pod);
    require(pods::is_terminal(pod) || pods::is_ready(pod), || format!("pod {name} does not become ready"))?;
    require(world.get::<Node>("", node).is_some(), || format!("pod {name} is on no node: {node:?}"))
}
