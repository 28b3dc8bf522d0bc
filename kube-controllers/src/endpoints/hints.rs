//! Whom an endpoint is for, where a Service wants its traffic to stay close. Source:
//! `staging/src/k8s.io/endpointslice/trafficdist`.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointHints, ForNode, ForZone};

use super::spec_of;

/// Annotations that ask for a share of endpoints by the CPUs of each zone instead, the first one known to win. Nothing here
/// hands out such shares: Services that ask for them get no hints.
const BY_SHARE: [&str; 2] = ["service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"];

/// The hints of a ready endpoint: its own zone, and its own node if that is preferred.
pub(super) fn hints(service: &Service, endpoint: &Endpoint) -> Option<EndpointHints> {
    let distribution = spec_of(service)?.traffic_distribution.as_deref()?;
    let ready = endpoint.conditions.as_ref()?.ready == Some(true);
    if !ready || is_by_share(service) {
        return None;
    }
    let for_zones = endpoint.zone.clone().map(|name| vec![ForZone { name }]);
    let node = endpoint.node_name.clone().filter(|_| distribution == "PreferSameNode");
    let for_nodes = node.map(|name| vec![ForNode { name }]);
    (for_zones.is_some() || for_nodes.is_some()).then_some(EndpointHints { for_nodes, for_zones })
}

fn is_by_share(service: &Service) -> bool {
    let annotations = service.metadata.annotations.as_ref();
    let asked = annotations.and_then(|annotations| BY_SHARE.into_iter().find_map(|key| annotations.get(key)));
    asked.is_some_and(|asked| matches!(asked.as_str(), "Auto" | "auto"))
}
