//! Plugin TaintToleration: nodes keep pods away with taints, pods say which they bear.

use std::sync::Arc;

use coracle_core::placement::tolerates;
use k8s_openapi::api::core::v1::{Taint, Toleration};

use super::{Check, Filter, Rate, Scale, Score};
use crate::shape::Shape;
use crate::snapshot::{NodeInfo, Snapshot};
use crate::verdict::Rejection;

const NAME: &str = "TaintToleration";

/// Rejects nodes with a taint of effect NoSchedule or NoExecute that the pod does not tolerate; prefers nodes with fewer such
/// taints of effect PreferNoSchedule. Weight 3. Source: plugin TaintToleration.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaintToleration;

impl Filter for TaintToleration {
    fn name(&self) -> &'static str {
        NAME
    }

    fn prepare(&self, shape: &Arc<Shape>) -> Option<Check> {
        let shape = shape.clone();
        Some(Box::new(move |node| {
            if node_is_tolerated(&shape.tolerations, node) {
                Ok(())
            } else {
                Err(Rejection::for_good(NAME, "node(s) had untolerated taint(s)"))
            }
        }))
    }
}

impl Score for TaintToleration {
    fn name(&self) -> &'static str {
        NAME
    }

    fn weight(&self) -> i64 {
        3
    }

    fn scale(&self) -> Scale {
        Scale::Down
    }

    fn prepare(&self, shape: &Arc<Shape>, _cluster: &Snapshot) -> Option<Rate> {
        let counts = |toleration: &&Toleration| effect_of(toleration).is_none_or(|effect| effect == "PreferNoSchedule");
        let tolerations: Vec<_> = shape.tolerations.iter().filter(counts).cloned().collect();
        Some(Box::new(move |node| {
            let bears = |taint: &Taint| tolerations.iter().any(|toleration| tolerates(toleration, taint));
            let unborne = |taint: &&Taint| taint.effect == "PreferNoSchedule" && !bears(taint);
            i64::try_from(node.taints().iter().filter(unborne).count()).unwrap_or(i64::MAX)
        }))
    }
}

/// Whether none of a node's hard taints keeps a pod with these tolerations away.
pub(crate) fn node_is_tolerated(tolerations: &[Toleration], node: &NodeInfo) -> bool {
    let hard = |taint: &&Taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute");
    node.taints().iter().filter(hard).all(|taint| tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}

fn effect_of(toleration: &Toleration) -> Option<&str> {
    toleration.effect.as_deref().filter(|effect| !effect.is_empty())
}
