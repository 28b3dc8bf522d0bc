//! What pods use and what is measured elsewhere: the door behind which metrics come from, and the kinds that show them.
//!
//! Source: `k8s.io/metrics` (`metrics.k8s.io/v1beta1`, and what the custom and external metrics APIs are asked).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{CrossVersionObjectReference, MetricIdentifier};
use k8s_openapi::api::core::v1::Pod;

use crate::custom::CustomObject;
use crate::kind::{GroupResource, Kind};
use crate::quantity::Quantity;
use crate::resource::Codec;
use crate::status::Status;

/// The group under which usage is served.
pub const GROUP: &str = "metrics.k8s.io";

/// Where metrics come from: what autoscalers go by, and what `kubectl top` shows.
///
/// Implement it to bring numbers of your own; a cluster without one asks the runtimes of its nodes.
#[async_trait]
pub trait Metrics: Send + Sync + 'static {
    /// What a pod uses now; `None` if nobody knows, for example because it has not started.
    ///
    /// # Errors
    /// If the source of metrics cannot be asked. The message is shown in conditions.
    async fn pod(&self, pod: &Pod) -> Result<Option<PodUsage>, Status>;

    /// A metric of one object: for autoscalers with `pods` and `object` metrics. By default nobody knows any.
    ///
    /// # Errors
    /// If the source of metrics cannot be asked.
    async fn custom(
        &self,
        metric: &MetricIdentifier,
        namespace: &str,
        of: &CrossVersionObjectReference,
    ) -> Result<Option<Quantity>, Status> {
        let _ = (metric, namespace, of);
        Ok(None)
    }

    /// The values of a metric that is about nothing in the cluster, which are added up: for autoscalers with `external`
    /// metrics. By default there are none.
    ///
    /// # Errors
    /// If the source of metrics cannot be asked.
    async fn external(&self, metric: &MetricIdentifier, namespace: &str) -> Result<Vec<Quantity>, Status> {
        let _ = (metric, namespace);
        Ok(Vec::new())
    }
}

/// What a pod uses.
#[derive(Clone, Debug, PartialEq)]
pub struct PodUsage {
    /// When it was measured.
    pub at: Timestamp,
    /// Over how long a time rates such as CPU were measured, up to `at`.
    pub window: Duration,
    /// Each container by name, and how much of which resource it uses (`cpu` in cores, `memory` in bytes).
    pub containers: BTreeMap<String, BTreeMap<String, Quantity>>,
}

/// The kinds `NodeMetrics` and `PodMetrics`. Nothing is stored of them; they are measured when asked for.
#[must_use]
pub fn kinds() -> [Kind; 2] {
    [row("NodeMetrics", "nodes", false), row("PodMetrics", "pods", true)]
}

/// Whether a kind is one of [`kinds`].
#[must_use]
pub fn is_metrics(kind: &Kind) -> bool {
    kind.group == GROUP
}

fn row(kind: &'static str, plural: &'static str, namespaced: bool) -> Kind {
    let version = Cow::Borrowed("v1beta1");
    Kind {
        group: GROUP.into(),
        version: version.clone(),
        kind: kind.into(),
        plural: plural.into(),
        singular: Cow::Borrowed(""),
        namespaced,
        verbs: Cow::Borrowed(&["get", "list"]),
        short_names: Cow::Borrowed(&[]),
        categories: Cow::Borrowed(&[]),
        subresources: Cow::Borrowed(&[]),
        storage: GroupResource::new(GROUP, plural),
        storage_version: version,
        definition: format!("io.k8s.metrics.v1beta1.{kind}").into(),
        codec: Codec::of::<CustomObject>(),
        custom: None,
    }
}
