//! APIServices for the groups and versions that this server answers itself: `kubectl get apiservices` shows them, and their
//! priorities order groups for clients. Source: `controlplane/apiserver/aggregator.go`, `crdregistration`, `autoregister`.

use std::collections::BTreeMap;

use coracle_core::{Gateway, GroupResource, Kinds, Request, Status, World};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec};

/// Says that the API server keeps an APIService: `onstart` for its own groups, `true` for those of definitions.
const AUTO_MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";

/// Groups and their priorities. Others are of definitions. The group that APIServices are in has none.
const PRIORITIES: [(&str, i32); 23] = [
    ("", 18_000),
    ("apps", 17_800),
    ("events.k8s.io", 17_750),
    ("authentication.k8s.io", 17_700),
    ("authorization.k8s.io", 17_600),
    ("autoscaling", 17_500),
    ("batch", 17_400),
    ("certificates.k8s.io", 17_300),
    ("networking.k8s.io", 17_200),
    ("policy", 17_100),
    ("rbac.authorization.k8s.io", 17_000),
    ("storage.k8s.io", 16_800),
    ("apiextensions.k8s.io", 16_700),
    ("admissionregistration.k8s.io", 16_700),
    ("scheduling.k8s.io", 16_600),
    ("coordination.k8s.io", 16_500),
    ("node.k8s.io", 16_300),
    ("discovery.k8s.io", 16_200),
    ("flowcontrol.apiserver.k8s.io", 16_100),
    ("internal.apiserver.k8s.io", 16_000),
    ("resource.k8s.io", 15_900),
    ("storagemigration.k8s.io", 15_800),
    // What a definition brings.
    ("*", 1_000),
];

/// Keeps the APIServices of what is served here for as long as it lives. One task runs this.
pub async fn run(gateway: &dyn Gateway) {
    loop {
        let (_, mut definitions) = gateway.feed().follow(Some(&GroupResource::of::<CustomResourceDefinition>()));
        let (world, mut services) = gateway.feed().follow(Some(&GroupResource::of::<APIService>()));
        for answer in gateway.execute_all(wishes(&world)).await {
            if let Err(status) = answer.or_else(unless_outdated) {
                tracing::warn!(%status, "an APIService could not be kept");
            }
        }
        tokio::select! {
            _definitions = definitions.next(usize::MAX) => {}
            _services = services.next(usize::MAX) => {}
        }
    }
}

/// Somebody else did it meanwhile.
fn unless_outdated(status: Status) -> Result<coracle_core::Response, Status> {
    let is_done = status.is_already_exists() || status.is_not_found() || status.is_conflict();
    if !is_done {
        return Err(status);
    }
    let effect = coracle_core::Effect::Unchanged;
    Ok(coracle_core::Response { object: None, objects: Vec::new(), effect, warnings: Vec::new() })
}

/// What is missing, and what is there for definitions that are gone.
fn wishes(world: &World) -> Vec<Request> {
    let wanted = wanted(world.kinds());
    let is_ours = |service: &APIService| {
        let labels = service.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(AUTO_MANAGED)).is_some_and(|kept| kept == "true")
    };
    let name = |service: &APIService| service.metadata.name.clone().unwrap_or_default();
    let left = world.list::<APIService>().filter(|service| is_ours(service) && !wanted.contains_key(&name(service)));
    let deletions = left.map(|service| Request::delete(&*service)).collect::<Vec<_>>();
    let missing = wanted.into_iter().filter(|(name, _)| world.get::<APIService>("", name).is_none());
    missing.map(|(_, service)| Request::create(service)).chain(deletions).collect()
}

/// The APIServices of all groups and versions.
fn wanted(kinds: &Kinds) -> BTreeMap<String, APIService> {
    let rows = kinds.iter().filter(|kind| kind.group != "apiregistration.k8s.io");
    rows.map(|kind| (format!("{}.{}", kind.version, kind.group), service(&kind.group, &kind.version))).collect()
}

fn service(group: &str, version: &str) -> APIService {
    let known = PRIORITIES.iter().find(|(known, _)| *known == group);
    let kept = if known.is_some() { "onstart" } else { "true" };
    let priority = known.or(PRIORITIES.last()).map_or(0, |(_, priority)| *priority);
    let version_priority = match (group, version) {
        ("", _) => 1,
        _ if known.is_none() => 100,
        ("autoscaling", "v2") => 30,
        ("flowcontrol.apiserver.k8s.io", "v1") => 21,
        _ if version.contains("alpha") => 9,
        _ if version.contains("beta") => 12,
        _ => 15,
    };
    APIService {
        metadata: ObjectMeta {
            name: Some(format!("{version}.{group}")),
            labels: Some([(AUTO_MANAGED.to_owned(), kept.to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(APIServiceSpec {
            group: Some(group.to_owned()),
            version: Some(version.to_owned()),
            group_priority_minimum: priority,
            version_priority,
            ..APIServiceSpec::default()
        }),
        status: None,
    }
}
