//! Other API servers behind this one: an APIService hands a group and version to a Service of the cluster.
//!
//! | module | what it holds |
//! |---|---|
//! | `proxy` | a request passed on, with who asks in its headers |
//! | `availability` | whether APIServices can be reached, as their conditions say |
//! | `discovery`, `open_api` | what they serve, merged into what is served here |
//! | `register` | APIServices for what is served here, as upstream has them |
//!
//! Source: kube-aggregator.

mod availability;
mod discovery;
mod open_api;
mod proxy;
mod register;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use coracle_core::{GroupResource, Kinds, World};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec};
use serde_json::Value;

pub use self::availability::run;
pub(crate) use self::open_api::{index as open_api_index, v2 as open_api_v2};
pub(crate) use self::proxy::{Proxied, proxy};
pub use self::register::run as register;
use crate::outbound::{Peer, Place, Trust};

/// What is known of other API servers. Shared by those who look after them and those who answer requests.
#[derive(Debug, Default)]
pub struct Aggregation {
    /// The `APIResourceList` that each APIService answered last, by its name.
    documents: Mutex<BTreeMap<String, Arc<Value>>>,
}

impl Aggregation {
    /// Notes what an APIService serves.
    fn learn(&self, name: &str, document: Value) {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.insert(name.to_owned(), Arc::new(document));
    }

    /// The kinds of a world, and those that other API servers serve. Only for discovery: the rows hold no objects.
    pub(crate) fn kinds(&self, world: &World) -> Kinds {
        if world.count(&GroupResource::of::<APIService>()) == 0 {
            return world.kinds().clone();
        }
        let documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let known = documents.iter().filter_map(|(name, document)| {
            let service = world.get::<APIService>("", name)?;
            Some((service, document)).filter(|(service, _)| is_remote(service))
        });
        known.fold(world.kinds().clone(), |kinds, (service, document)| discovery::merge(kinds, &service, document))
    }
}

/// The APIService that answers for a path such as `/apis/group/version/...`, or for its document below `/openapi/v3`, unless
/// this server does.
pub(crate) fn remote(world: &World, path: &str) -> Option<Arc<APIService>> {
    let path = path.strip_prefix("/openapi/v3").unwrap_or(path);
    let (group, rest) = path.strip_prefix("/apis/")?.split_once('/')?;
    let version = rest.split('/').next().filter(|version| !version.is_empty())?;
    if world.count(&GroupResource::of::<APIService>()) == 0 {
        return None;
    }
    world.get::<APIService>("", &format!("{version}.{group}")).filter(|service| is_remote(service))
}

fn is_remote(service: &APIService) -> bool {
    service.spec.as_ref().is_some_and(|spec| spec.service.is_some())
}

/// Whom to call for an APIService.
fn peer(spec: &APIServiceSpec) -> Option<Peer> {
    let service = spec.service.as_ref()?;
    let place = Place::Service {
        namespace: service.namespace.clone()?,
        name: service.name.clone()?,
        port: u16::try_from(service.port.unwrap_or(443)).ok()?,
    };
    let trust = match spec.insecure_skip_tls_verify {
        Some(true) => Trust::Anything,
        _ => Trust::of_bundle(spec.ca_bundle.as_ref().map(|bundle| &*bundle.0)),
    };
    Some(Peer { place, trust, shows_identity: true })
}

/// Whether an APIService can be reached, as far as is known.
fn is_available(service: &APIService) -> bool {
    let conditions = service.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Available" && condition.status == "True")
}
