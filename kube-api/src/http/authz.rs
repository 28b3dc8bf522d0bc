//! Who may do what: a hook, and what is said to those who may not.

use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::{GroupResource, Status, User};
use http::HeaderMap;

use super::request_info::RequestInfo;

/// The answer of an [`Authorizer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They may.
    Allow,
    /// They may not; why, which may be empty.
    Deny(String),
}

/// Decides who may do what.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// Whether a user may do what a request asks.
    async fn authorize(&self, user: &User, request: &RequestInfo) -> Decision;
}

/// Members of `system:masters` may do everything, others nothing. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct MastersOnly;

#[async_trait]
impl Authorizer for MastersOnly {
    async fn authorize(&self, user: &User, _request: &RequestInfo) -> Decision {
        if is_master(user) { Decision::Allow } else { Decision::Deny(String::new()) }
    }
}

/// Whether a user may do everything, whatever the rules say.
#[must_use]
pub fn is_master(user: &User) -> bool {
    user.groups.iter().any(|group| group == "system:masters")
}

/// Paths that everyone may read, even unknown callers. Source: the bootstrap role `system:public-info-viewer`.
#[must_use]
pub(super) fn is_public(request: &RequestInfo) -> bool {
    const PUBLIC: [&str; 5] = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    request.verb == "get" && PUBLIC.contains(&&*request.path)
}

/// 403 in upstream's words. Source: apiserver `responsewriters.Forbidden`.
#[must_use]
pub fn forbidden(user: &User, request: &RequestInfo, reason: &str) -> Status {
    let (name, verb) = (&user.name, &request.verb);
    let what = if !request.is_resource {
        format!("User {name:?} cannot {verb} path {:?}", request.path)
    } else {
        let (resource, group) = (request.full_resource(), &request.group);
        let place = match &*request.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        format!("User {name:?} cannot {verb} resource {resource:?} in API group {group:?} {place}")
    };
    let why = if reason.is_empty() { what } else { format!("{what}: {reason}") };
    let resource = GroupResource::new(request.group.clone(), request.resource.clone());
    Status::forbidden(&resource, &request.name, why)
}

/// The user that a request is made as: the caller, or whom it says it stands for if it may.
///
/// # Errors
/// 403 if the caller may not stand for that user, 400 if groups are named without a user.
pub(super) async fn impersonated(
    authorizer: &dyn Authorizer,
    caller: Arc<User>,
    headers: &HeaderMap,
) -> Result<Arc<User>, Status> {
    const EXTRA: &str = "impersonate-extra-";
    let all = |name: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    let (mut names, mut uids, groups) = (all("impersonate-user"), all("impersonate-uid"), all("impersonate-group"));
    let mut extra = std::collections::BTreeMap::<String, Vec<String>>::new();
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(EXTRA) {
            let key = super::query::percent_decode(key, false);
            extra.entry(key).or_default().extend(value.to_str().map(str::to_owned));
        }
    }
    let Some(name) = names.pop() else {
        if groups.is_empty() && uids.is_empty() && extra.is_empty() {
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
    wishes.extend(uids.iter().map(|uid| ("authentication.k8s.io", "uids", "", uid.clone(), "")));
    for (key, values) in &extra {
        let wish = |value: &String| ("authentication.k8s.io", "userextras", "", value.clone(), key.as_str());
        wishes.extend(values.iter().map(wish));
    }
    for (group, resource, namespace, name, subresource) in wishes {
        let wish = RequestInfo {
            verb: "impersonate".to_owned(),
            is_resource: true,
            group: group.to_owned(),
            version: "v1".to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            subresource: subresource.to_owned(),
            name,
            ..RequestInfo::default()
        };
        if let Decision::Deny(reason) = authorizer.authorize(&caller, &wish).await {
            return Err(forbidden(&caller, &wish, &reason));
        }
    }
    let groups = match (groups.is_empty(), service_account(&name)) {
        (true, Some((namespace, _))) => {
            vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
        }
        _ => groups,
    };
    let user = User { name, uid: uids.pop().unwrap_or_default(), groups, extra };
    let anonymous = user.name == "system:anonymous";
    Ok(Arc::new(if anonymous { user } else { super::authn::authenticated(user) }))
}

/// Namespace and name of `system:serviceaccount:<namespace>:<name>`.
fn service_account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::query::Query;

    fn check(method: &str, target: &str, message: &str) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let info = RequestInfo::of(&method.parse().unwrap(), path, &Query::parse(query));
        let user = User { name: "jane".into(), ..User::default() };
        let status = forbidden(&user, &info, "");
        assert_eq!(status.message(), message);
        assert_eq!(status.code(), 403);
    }

    #[test]
    fn refusals_name_user_verb_and_place() {
        check(
            "GET",
            "/api/v1/namespaces/default/pods",
            "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \
             \"default\"",
        );
        check(
            "DELETE",
            "/apis/apps/v1/namespaces/x/deployments/web",
            "deployments.apps \"web\" is forbidden: User \"jane\" cannot delete resource \"deployments\" in API group \
             \"apps\" in the namespace \"x\"",
        );
        check(
            "GET",
            "/api/v1/nodes?watch=1",
            "nodes is forbidden: User \"jane\" cannot watch resource \"nodes\" in API group \"\" at the cluster scope",
        );
        check("GET", "/metrics", "forbidden: User \"jane\" cannot get path \"/metrics\"");
    }
}
