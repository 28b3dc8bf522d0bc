//! What a token is to say, from a TokenRequest. Source: `pkg/registry/core/serviceaccount/storage/token.go`.

use coracle_core::field::{Errors, Path};
use coracle_core::{AnyResource, GroupResource, Resource, Status, World};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest};
use k8s_openapi::api::core::v1::{Node, Pod, Secret, ServiceAccount};

use super::claims::{Claims, Kubernetes, Reference};
use super::issuer::TokenIssuer;

/// How long a token lasts that does not ask for a time.
const EXPIRATION_SECONDS: i64 = 3600;
const EXPIRATION_SECONDS_MIN: i64 = 600;
const EXPIRATION_SECONDS_MAX: i64 = 1 << 32;

/// What is known when a token is asked for.
pub(crate) struct Asking<'a> {
    pub(crate) issuer: &'a TokenIssuer,
    pub(crate) world: &'a World,
    pub(crate) namespace: &'a str,
    /// The ServiceAccount.
    pub(crate) name: &'a str,
    /// The id that the token will have.
    pub(crate) id: String,
    pub(crate) now: Timestamp,
}

/// What the token is to say. Fills in what the request leaves out.
pub(crate) fn claims_for(asking: Asking<'_>, request: &mut TokenRequest) -> Result<Claims, Status> {
    let Asking { issuer, world, namespace, name, id, now } = asking;
    let account = find::<ServiceAccount>(world, namespace, name)?;
    let spec = request.spec.get_or_insert_default();
    let audiences = spec.audiences.get_or_insert_default();
    if audiences.is_empty() {
        audiences.extend_from_slice(issuer.audiences());
    }
    let audiences = audiences.clone();
    let seconds = *spec.expiration_seconds.get_or_insert(EXPIRATION_SECONDS);
    check_expiration(seconds)?;
    let mut kubernetes =
        Kubernetes { namespace: namespace.to_owned(), service_account: reference(&*account), ..Kubernetes::default() };
    if let Some(bound) = &spec.bound_object_ref {
        bind(bound, name, world, &mut kubernetes)?;
    }
    let at = now.as_second();
    Ok(Claims {
        audiences,
        expires_at_seconds: at.saturating_add(seconds),
        issued_at_seconds: at,
        issuer: issuer.name().to_owned(),
        id,
        kubernetes,
        not_before_seconds: at,
        subject: format!("system:serviceaccount:{namespace}:{name}"),
    })
}

fn check_expiration(seconds: i64) -> Result<(), Status> {
    let spec = Path::new("spec");
    let path = spec.field("expirationSeconds");
    let mut errors = Errors::new();
    if seconds < EXPIRATION_SECONDS_MIN {
        errors.invalid(&path, seconds, "may not specify a duration less than 10 minutes");
    }
    if seconds > EXPIRATION_SECONDS_MAX {
        errors.invalid(&path, seconds, "may not specify a duration larger than 2^32 seconds");
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(("authentication.k8s.io", "TokenRequest"), "", errors.to_causes()))
}

/// Binds the token to an object that is there, and is the one that is meant.
fn bind(bound: &BoundObjectReference, account: &str, world: &World, said: &mut Kubernetes) -> Result<(), Status> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (api_version, kind, name) = (text(&bound.api_version), text(&bound.kind), text(&bound.name));
    let found = match (&*api_version, &*kind) {
        ("v1", "Pod") => {
            let pod = find::<Pod>(world, &said.namespace, &name)?;
            let spec = pod.spec.as_ref();
            if spec.and_then(|spec| spec.service_account_name.as_deref()) != Some(account) {
                return Err(Status::bad_request(format!(
                    "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
                )));
            }
            if let Some(node) = spec.and_then(|spec| spec.node_name.clone()).filter(|node| !node.is_empty()) {
                let uid = world.get::<Node>("", &node).and_then(|node| node.metadata.uid.clone());
                said.node = Some(Reference { name: node, uid: uid.unwrap_or_default() });
            }
            said.pod.insert(reference(&*pod))
        }
        ("v1", "Secret") => said.secret.insert(reference(&*find::<Secret>(world, &said.namespace, &name)?)),
        ("v1", "Node") => said.node.insert(reference(&*find::<Node>(world, "", &name)?)),
        _ => {
            let (group, version) = coracle_core::kind::split_api_version(&api_version);
            let what = format!("{group}/{version}, Kind={kind}");
            return Err(Status::bad_request(format!("cannot bind token to object of type {what}")));
        }
    };
    let uid = text(&bound.uid);
    if !uid.is_empty() && uid != found.uid {
        let why = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been \
             deleted and then recreated"
        );
        return Err(Status::conflict(&GroupResource::new("", kind), &name, why));
    }
    Ok(())
}

fn find<K: Resource>(world: &World, namespace: &str, name: &str) -> Result<std::sync::Arc<K>, Status> {
    world.get::<K>(namespace, name).ok_or_else(|| Status::not_found(&GroupResource::of::<K>(), name))
}

fn reference<K: Resource>(object: &K) -> Reference {
    let metadata = AnyResource::metadata(object);
    Reference { name: metadata.name.clone().unwrap_or_default(), uid: metadata.uid.clone().unwrap_or_default() }
}
