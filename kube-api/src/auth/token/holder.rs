//! Who holds a token, if everything it is bound to is still there. Source: `pkg/serviceaccount/claims.go`, `Validate`.

use coracle_core::{AnyResource, Resource, User, World};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::claims::{Claims, Kubernetes, Reference};
use super::issuer::LEEWAY_SECONDS;

/// The user of a token whose signature and time are good.
pub(super) fn holder(claims: &Claims, world: &World, now: Timestamp) -> Result<User, String> {
    let said = &claims.kubernetes;
    let (namespace, name) = (&said.namespace, &said.service_account.name);
    let user = format!("system:serviceaccount:{namespace}:{name}");
    if claims.subject != user {
        return Err("service account token claims could not be validated".to_owned());
    }
    let Some(account) = world.get::<ServiceAccount>(namespace, name) else {
        return Err(format!("serviceaccounts \"{name}\" not found"));
    };
    if is_gone(&account.metadata, now) {
        return Err(format!("service account {namespace}/{name} has been deleted"));
    }
    let (uid, claimed) = (account.metadata.uid.as_deref().unwrap_or(""), &said.service_account.uid);
    if uid != claimed {
        return Err(format!("service account UID ({uid}) does not match claim ({claimed})"));
    }
    still_there::<Secret>(said.secret.as_ref(), namespace, "secret", world, now)?;
    still_there::<Pod>(said.pod.as_ref(), namespace, "pod", world, now)?;
    if said.pod.is_none() {
        // The node of a pod is only told; it may be gone before the pod is.
        still_there::<Node>(said.node.as_ref(), "", "node", world, now)?;
    }
    Ok(User { groups: groups(namespace), uid: uid.to_owned(), extra: extra(claims), name: user })
}

fn still_there<K: Resource>(
    bound: Option<&Reference>,
    namespace: &str,
    what: &str,
    world: &World,
    now: Timestamp,
) -> Result<(), String> {
    let Some(bound) = bound else { return Ok(()) };
    let invalidated = || "service account token has been invalidated".to_owned();
    let found = world.get::<K>(namespace, &bound.name).ok_or_else(invalidated)?;
    let metadata = AnyResource::metadata(&*found);
    if is_gone(metadata, now) {
        return Err(invalidated());
    }
    let uid = metadata.uid.as_deref().unwrap_or("");
    if uid != bound.uid {
        return Err(format!("{what} UID ({uid}) does not match service account {what} ref claim ({})", bound.uid));
    }
    Ok(())
}

/// Whether its end was over a while ago, though something still holds it.
fn is_gone(metadata: &ObjectMeta, now: Timestamp) -> bool {
    let ends = metadata.deletion_timestamp.as_ref().map(|at| at.0.as_second());
    ends.is_some_and(|ends| ends.saturating_add(LEEWAY_SECONDS) < now.as_second())
}

fn groups(namespace: &str) -> Vec<String> {
    vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}

fn extra(claims: &Claims) -> std::collections::BTreeMap<String, Vec<String>> {
    let Kubernetes { pod, node, .. } = &claims.kubernetes;
    let id = (!claims.id.is_empty()).then(|| ("credential-id", format!("JTI={}", claims.id)));
    let both = |bound: &Option<Reference>, name: &'static str, uid: &'static str| {
        let bound = bound.clone();
        bound.into_iter().flat_map(move |bound| [(name, bound.name), (uid, bound.uid)]).collect::<Vec<_>>()
    };
    let told = both(pod, "pod-name", "pod-uid").into_iter().chain(both(node, "node-name", "node-uid")).chain(id);
    let told = told.filter(|(_, value)| !value.is_empty());
    told.map(|(key, value)| (format!("authentication.kubernetes.io/{key}"), vec![value])).collect()
}
