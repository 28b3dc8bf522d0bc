//! New nodes take no pods until they were seen to be ready. Source: `plugin/pkg/admission/nodetaint`.

use async_trait::async_trait;
use coracle_core::{AnyResource, Status};
use k8s_openapi::api::core::v1::{Node, Taint};

use super::{Admission, Attributes};

const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Gives new nodes the taint `node.kubernetes.io/not-ready`, which the node lifecycle controller takes away. Not among the
/// built-in plugins, though upstream's default: without that controller no pod would ever find a node, and with it every node
/// waits for one more write.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaintNodesByCondition;

#[async_trait]
impl Admission for TaintNodesByCondition {
    fn name(&self) -> &'static str {
        "TaintNodesByCondition"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.creates("", "nodes")
    }

    async fn admit(&self, _attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let Some(node) = object.as_any_mut().downcast_mut::<Node>() else { return Ok(()) };
        let taints = node.spec.get_or_insert_default().taints.get_or_insert_default();
        if !taints.iter().any(|taint| taint.key == NOT_READY && taint.effect == "NoSchedule") {
            let effect = "NoSchedule".to_owned();
            taints.push(Taint { key: NOT_READY.to_owned(), effect, ..Taint::default() });
        }
        Ok(())
    }
}
