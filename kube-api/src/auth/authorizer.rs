//! Who may do what, and what is said to those who may not.

use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::rbac::{self, Access, Verdict, What};
use coracle_core::{Feed, GroupResource, Status, User};

/// The answer of an [`Authorizer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They may; why, which may be empty.
    Allow(String),
    /// They may not; why, which may be empty.
    Deny(String),
}

impl Decision {
    /// Whether they may.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }
}

/// Decides who may do what.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// Whether a user may do something.
    async fn authorize(&self, user: &User, access: &Access<'_>) -> Decision;
}

/// Asks one after the other. What one of them allows is allowed; refusals say all reasons.
#[derive(Clone)]
pub struct Authorizers(pub Vec<Arc<dyn Authorizer>>);

#[async_trait]
impl Authorizer for Authorizers {
    async fn authorize(&self, user: &User, access: &Access<'_>) -> Decision {
        let mut reasons = Vec::new();
        for authorizer in &self.0 {
            match authorizer.authorize(user, access).await {
                Decision::Deny(reason) if reason.is_empty() => {}
                Decision::Deny(reason) => reasons.push(reason),
                allowed => return allowed,
            }
        }
        Decision::Deny(reasons.join("\n"))
    }
}

/// Members of `system:masters` may do everything, others what roles bound to them allow.
#[derive(Clone, Debug)]
pub struct Rbac(Arc<Feed>);

impl Rbac {
    /// Decides by the roles and bindings of a running world.
    #[must_use]
    pub const fn new(feed: Arc<Feed>) -> Self {
        Self(feed)
    }

    /// The decision, at once.
    #[must_use]
    pub fn decide(&self, user: &User, access: &Access<'_>) -> Decision {
        match rbac::authorize(&self.0.world(), user, access) {
            Verdict::Allowed(why) => Decision::Allow(why),
            Verdict::NotAllowed(why) => Decision::Deny(why),
        }
    }
}

#[async_trait]
impl Authorizer for Rbac {
    async fn authorize(&self, user: &User, access: &Access<'_>) -> Decision {
        self.decide(user, access)
    }
}

/// Whether a user may do everything, whatever the rules say.
#[must_use]
pub fn is_master(user: &User) -> bool {
    user.groups.iter().any(|group| group == rbac::MASTERS)
}

/// 403 in upstream's words. Source: apiserver `responsewriters.Forbidden`.
#[must_use]
pub fn forbidden(user: &User, access: &Access<'_>, reason: &str) -> Status {
    let (user, verb) = (&user.name, access.verb);
    let (resource, name, what) = match access.what {
        What::Path(path) => (GroupResource::new("", ""), "", format!("User {user:?} cannot {verb} path {path:?}")),
        What::Resource(place) => {
            let (full, group) = (place.full_resource(), place.group);
            let at = match place.namespace {
                "" => "at the cluster scope".to_owned(),
                namespace => format!("in the namespace {namespace:?}"),
            };
            let what = format!("User {user:?} cannot {verb} resource {full:?} in API group {group:?} {at}");
            (GroupResource::new(group.to_owned(), place.resource.to_owned()), place.name, what)
        }
    };
    let why = if reason.is_empty() { what } else { format!("{what}: {reason}") };
    Status::forbidden(&resource, name, why)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::http::query::Query;
    use crate::http::request_info::RequestInfo;

    fn check(method: &str, target: &str, message: &str) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let info = RequestInfo::of(&method.parse::<Method>().unwrap(), path, &Query::parse(query));
        let user = User { name: "jane".into(), ..User::default() };
        let status = forbidden(&user, &info.access(), "");
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
