//! All built-in controllers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use coracle_core::Metrics;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::ReplicationController;

use crate::cluster_role_aggregation::ClusterRoleAggregation;
use crate::cron_job::CronJobs;
use crate::daemon_set::DaemonSets;
use crate::defaults::{RootCa, ServiceAccounts};
use crate::deployment::Deployments;
use crate::disruption_budget::DisruptionBudgets;
use crate::endpoints::{EndpointSliceMirroring, EndpointSlices, LegacyEndpoints};
use crate::erased::{ErasedController, erase};
use crate::garbage::GarbageCollector;
use crate::horizontal_pod_autoscaler::HorizontalPodAutoscalers;
use crate::job::{Jobs, UncountedPods};
use crate::namespace::Namespaces;
use crate::node::{NodeLifecycle, TaintEviction};
use crate::persistent_volume::{ClaimBinding, EphemeralVolumes, VolumeBinding};
use crate::pod_garbage::PodGarbage;
use crate::policy_types::PolicyTypes;
use crate::replica_set::Replicas;
use crate::resource_quota::ResourceQuotas;
use crate::stateful_set::StatefulSets;
use crate::storage_protection::{ClaimProtection, VolumeProtection};
use crate::time_to_live::{FinishedJobs, OldEvents};

/// What the built-in controllers can be told.
#[derive(Clone)]
pub struct Options {
    /// The certificates, in PEM, by which pods know the API server; `None` publishes none. Default: `None`.
    pub root_ca: Option<String>,
    /// For how long a node may be silent. Default 50 s.
    pub node_grace: Duration,
    /// How many ended pods are kept. Default 12,500.
    pub terminated_pods_max: usize,
    /// What autoscalers of pods go by; `None` runs none of them. Default: `None`.
    pub metrics: Option<Arc<dyn Metrics>>,
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Options").field("node_grace", &self.node_grace).finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { root_ca: None, node_grace: Duration::from_secs(50), terminated_pods_max: 12_500, metrics: None }
    }
}

/// Every built-in controller, ready for the driver.
#[must_use]
pub fn builtin(options: Options) -> Vec<Box<dyn ErasedController>> {
    let mut controllers: Vec<Box<dyn ErasedController>> = vec![
        erase(Deployments),
        erase(Replicas::<ReplicaSet>::new()),
        erase(Replicas::<ReplicationController>::new()),
        erase(StatefulSets),
        erase(DaemonSets::new()),
        erase(Jobs),
        erase(UncountedPods),
        erase(CronJobs::default()),
        erase(FinishedJobs),
        erase(OldEvents::default()),
        Box::new(GarbageCollector),
        erase(Namespaces),
        erase(ServiceAccounts),
        erase(EndpointSlices),
        erase(LegacyEndpoints),
        erase(EndpointSliceMirroring),
        erase(NodeLifecycle::new(options.node_grace)),
        erase(TaintEviction),
        erase(PodGarbage::new(options.terminated_pods_max)),
        erase(DisruptionBudgets),
        erase(ResourceQuotas),
        erase(ClaimBinding),
        erase(VolumeBinding),
        erase(EphemeralVolumes),
        erase(ClaimProtection),
        erase(VolumeProtection),
        erase(ClusterRoleAggregation),
        erase(PolicyTypes),
    ];
    controllers.extend(options.root_ca.map(|certificate| erase(RootCa::new(certificate))));
    controllers.extend(options.metrics.map(|metrics| erase(HorizontalPodAutoscalers::new(metrics))));
    controllers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_controller_has_its_own_name() {
        let mut names: Vec<_> = builtin(Options::default()).iter().map(|controller| controller.name()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
