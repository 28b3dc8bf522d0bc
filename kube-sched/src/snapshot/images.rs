//! Which images are on how many nodes.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use super::node::NodeInfo;

/// An image that at least one node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageState {
    /// Its size in bytes, as the first node that had it told.
    pub size_bytes: i64,
    /// How many nodes have it.
    pub nodes: usize,
}

/// The images of all nodes by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Images {
    states: HashMap<Arc<str>, ImageState>,
}

impl Images {
    pub(super) fn get(&self, name: &str) -> Option<ImageState> {
        self.states.get(name).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Makes a node's images those its newest version names; says whether that changed anything.
    pub(super) fn replace(&mut self, info: &mut NodeInfo, node: Option<&Node>) -> bool {
        let images = node.and_then(|node| node.status.as_ref()?.images.as_ref());
        let sized = |image: &k8s_openapi::api::core::v1::ContainerImage| image.size_bytes.unwrap_or(0);
        let mut named: Vec<(&str, i64)> = images
            .into_iter()
            .flatten()
            .flat_map(|image| image.names.iter().flatten().map(move |name| (name.as_str(), sized(image))))
            .collect();
        named.sort_unstable();
        named.dedup_by(|one, other| one.0 == other.0);
        if named.iter().map(|(name, _)| *name).eq(info.images.iter().map(|name| &**name)) {
            return false;
        }
        for name in std::mem::take(&mut info.images) {
            self.drop_one(&name);
        }
        info.images = named.into_iter().map(|(name, size_bytes)| self.add_one(name, size_bytes)).collect();
        true
    }

    fn add_one(&mut self, name: &str, size_bytes: i64) -> Arc<str> {
        let name = self.states.get_key_value(name).map_or_else(|| name.into(), |(known, _)| known.clone());
        self.states.entry(name.clone()).or_insert(ImageState { size_bytes, nodes: 0 }).nodes += 1;
        name
    }

    fn drop_one(&mut self, name: &str) {
        let Some(state) = self.states.get_mut(name) else { return };
        state.nodes -= 1;
        if state.nodes == 0 {
            self.states.remove(name);
        }
    }
}
