//! Standing for someone else: the `Impersonate-*` headers. Source: apiserver `filters.WithImpersonation`.

use std::sync::Arc;

use coracle_core::rbac::{Access, Place};
use coracle_core::{Status, User};
use http::HeaderMap;

use super::authenticator::authenticated;
use super::authorizer::{Authorizer, Decision, forbidden};

/// The user that a request is made as: the caller, or whom it says it stands for if it may.
///
/// # Errors
/// 403 if the caller may not stand for that user, 400 if groups are named without a user.
pub(crate) async fn impersonated(
    authorizer: &dyn Authorizer,
    caller: Arc<User>,
    headers: &HeaderMap,
) -> Result<Arc<User>, Status> {
    const EXTRA: &str = "impersonate-extra-";
    let all = |name: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    // Of several names the first counts, as upstream.
    let first = |name: &str| all(name).into_iter().next().filter(|value| !value.is_empty());
    let (name, uid, groups) = (first("impersonate-user"), first("impersonate-uid"), all("impersonate-group"));
    let mut extra = std::collections::BTreeMap::<String, Vec<String>>::new();
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(EXTRA) {
            let key = crate::http::query::percent_decode(key, false);
            extra.entry(key).or_default().extend(value.to_str().map(str::to_owned));
        }
    }
    let Some(name) = name else {
        if groups.is_empty() && uid.is_none() && extra.is_empty() {
            return Ok(caller);
        }
        return Err(Status::bad_request("requested impersonation without impersonating a user"));
    };
    let (resource, namespace, short) = match service_account(&name) {
        Some((namespace, short)) => ("serviceaccounts", namespace, short),
        None => ("users", "", &*name),
    };
    let mut wishes = vec![("", resource, namespace, short.to_owned(), "")];
    wishes.extend(groups.iter().map(|group| ("", "groups", "", group.clone(), "")));
    wishes.extend(uid.iter().map(|uid| ("authentication.k8s.io", "uids", "", uid.clone(), "")));
    for (key, values) in &extra {
        let wish = |value: &String| ("authentication.k8s.io", "userextras", "", value.clone(), key.as_str());
        wishes.extend(values.iter().map(wish));
    }
    for (group, resource, namespace, name, subresource) in wishes {
        let place = Place { group, resource, subresource, namespace, name: &name };
        let wish = Access::resource("impersonate", place);
        if let Decision::Deny(reason) = authorizer.authorize(&caller, &wish).await {
            return Err(forbidden(&caller, &wish, &reason));
        }
    }
    let groups = match (groups.is_empty(), service_account(&name)) {
        (true, Some((namespace, _))) => {
            vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
        }
        _ if groups.is_empty() && name == "system:anonymous" => vec!["system:unauthenticated".to_owned()],
        _ => groups,
    };
    let user = User { name, uid: uid.unwrap_or_default(), groups, extra };
    let anonymous = user.name == "system:anonymous";
    Ok(Arc::new(if anonymous { user } else { authenticated(user) }))
}

/// Namespace and name of `system:serviceaccount:<namespace>:<name>`.
fn service_account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}
