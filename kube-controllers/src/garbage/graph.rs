//! Who owns whom, as a graph: to be drawn (`petgraph::dot`), walked, or searched for cycles.

use std::collections::HashMap;

use coracle_core::{Object, ObjectRef, World};
use petgraph::graph::DiGraph;

/// All objects that own or are owned; an edge leads from an owner to a dependent, and says whether the dependent holds up its
/// owner's deletion in the foreground.
#[must_use]
pub fn owner_graph(world: &World) -> DiGraph<ObjectRef, bool> {
    let mut graph = DiGraph::new();
    let mut nodes = HashMap::new();
    let objects = world.resources().flat_map(|resource| world.objects(resource));
    for dependent in objects {
        for reference in dependent.metadata().owner_references.iter().flatten() {
            let Some(owner) = world.by_uid(&reference.uid) else { continue };
            let mut node = |object: &Object| {
                *nodes.entry(object.uid().to_owned()).or_insert_with(|| graph.add_node(object.reference()))
            };
            let (from, to) = (node(owner), node(dependent));
            graph.add_edge(from, to, reference.block_owner_deletion == Some(true));
        }
    }
    graph
}
