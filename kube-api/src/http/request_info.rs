//! What a request is about, read from its method, path and query. Source: apiserver `endpoints/request.RequestInfoFactory`.

use coracle_core::rbac::{Access, Place};
use http::Method;

use super::query::{Query, percent_decode};

/// What a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// The path as sent.
    pub path: String,
    /// What is asked: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for paths that are
    /// no resources the method in lower case.
    pub verb: String,
    /// Whether the path names a resource.
    pub is_resource: bool,
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Namespace; empty if the path has none.
    pub namespace: String,
    /// Plural of the resource.
    pub resource: String,
    /// What is asked below the object; empty for the object itself.
    pub subresource: String,
    /// Name of the object; empty if the path has none.
    pub name: String,
    /// The field selector of a list, watch or deletion of a collection.
    pub fields: String,
    /// What follows the subresource, for proxies.
    pub rest: String,
}

impl RequestInfo {
    /// Reads a request.
    #[must_use]
    pub fn of(method: &Method, path: &str, query: &Query) -> Self {
        let mut info = Self { path: path.to_owned(), verb: method.as_str().to_lowercase(), ..Self::default() };
        let segments: Vec<String> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode(segment, false))
            .collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return info,
        };
        // `/api/v1` and `/apis/apps/v1` are discovery.
        if rest.is_empty() {
            return info;
        }
        info.is_resource = true;
        info.group = group.to_owned();
        info.version = version.to_owned();
        info.verb = verb(method).to_owned();
        let is_legacy_watch = rest.first() == Some(&"watch") && rest.len() > 1;
        info.place(if is_legacy_watch { rest.get(1..).unwrap_or_default() } else { rest });
        info.refine(method, query, is_legacy_watch);
        info
    }

    /// Namespace, resource, name and subresource.
    fn place(&mut self, segments: &[&str]) {
        let own = |text: &str| text.to_owned();
        let place = match segments {
            // A namespace's own subresources, not collections in it.
            ["namespaces", namespace, "status" | "finalize", ..] | ["namespaces", namespace] => {
                self.namespace = own(namespace);
                segments
            }
            ["namespaces", namespace, rest @ ..] => {
                self.namespace = own(namespace);
                rest
            }
            _ => segments,
        };
        let mut place = place.iter();
        self.resource = place.next().copied().map(own).unwrap_or_default();
        self.name = place.next().copied().map(own).unwrap_or_default();
        self.subresource = place.next().copied().map(own).unwrap_or_default();
        self.rest = place.copied().collect::<Vec<_>>().join("/");
    }

    /// A `get` of a collection is a `list` or `watch`, a `delete` of one a `deletecollection`.
    fn refine(&mut self, method: &Method, query: &Query, is_legacy_watch: bool) {
        let is_collection = self.name.is_empty();
        if is_collection {
            query.get("fieldSelector").unwrap_or_default().clone_into(&mut self.fields);
        }
        if is_legacy_watch && self.verb == "get" {
            self.verb = "watch".to_owned();
            return;
        }
        match &*self.verb {
            "get" if is_collection => {
                let watches = query.flag("watch").unwrap_or(false);
                self.verb = if watches { "watch" } else { "list" }.to_owned();
                // A list of one name is authorized as that name. Source: the same factory.
                let fields = coracle_core::selector::FieldSelector::parse(&self.fields).ok();
                let name = fields.as_ref().and_then(|fields| fields.require("metadata.name"));
                self.name = name.unwrap_or_default().to_owned();
            }
            "delete" if is_collection && method == Method::DELETE => "deletecollection".clone_into(&mut self.verb),
            _ => {}
        }
    }

    /// What is asked, as authorizers judge it.
    #[must_use]
    pub fn access(&self) -> Access<'_> {
        if !self.is_resource {
            return Access::path(&self.verb, &self.path);
        }
        let (group, resource, subresource) = (&*self.group, &*self.resource, &*self.subresource);
        let place = Place { group, resource, subresource, namespace: &self.namespace, name: &self.name };
        Access::resource(&self.verb, place).choosing(&self.fields)
    }

    /// The resource with its subresource: `pods`, `pods/log`.
    #[must_use]
    pub fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    /// Whether the request is for a stream into a container.
    #[must_use]
    pub fn opens_container(&self) -> bool {
        let is_pod = self.group.is_empty() && self.resource == "pods";
        is_pod && matches!(&*self.subresource, "attach" | "exec" | "portforward")
    }

    /// Whether the request may last long: watches and streams. Source: kube-apiserver's `BasicLongRunningRequestCheck`.
    #[must_use]
    pub fn is_long_running(&self) -> bool {
        const STREAMS: [&str; 5] = ["attach", "exec", "log", "portforward", "proxy"];
        self.is_resource && (self.verb == "watch" || STREAMS.contains(&&*self.subresource))
    }
}

fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::GET | Method::HEAD => "get",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected`: verb, group/version, namespace, resource/subresource, name.
    fn check(method: &str, target: &str, expected: [&str; 5]) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let info = RequestInfo::of(&method.parse().unwrap(), path, &Query::parse(query));
        assert!(info.is_resource, "{target}");
        let group_version = coracle_core::kind::api_version(&info.group, &info.version);
        let told = [&*info.verb, &*group_version, &*info.namespace, &*info.full_resource(), &*info.name];
        assert_eq!(told, expected, "{method} {target}");
    }

    #[test]
    fn resources() {
        check("GET", "/api/v1/nodes", ["list", "v1", "", "nodes", ""]);
        check("GET", "/api/v1/nodes/a", ["get", "v1", "", "nodes", "a"]);
        check("HEAD", "/api/v1/nodes/a", ["get", "v1", "", "nodes", "a"]);
        check("GET", "/api/v1/pods?watch=true", ["watch", "v1", "", "pods", ""]);
        check("GET", "/api/v1/pods?watch", ["watch", "v1", "", "pods", ""]);
        check("GET", "/api/v1/pods?watch=false", ["list", "v1", "", "pods", ""]);
        check("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dweb", ["list", "v1", "", "pods", "web"]);
        check("GET", "/api/v1/watch/namespaces/x/pods", ["watch", "v1", "x", "pods", ""]);
        check("GET", "/api/v1/watch/namespaces/x/pods/web", ["watch", "v1", "x", "pods", "web"]);
        check("POST", "/api/v1/namespaces/x/pods", ["create", "v1", "x", "pods", ""]);
        check("DELETE", "/api/v1/namespaces/x/pods", ["deletecollection", "v1", "x", "pods", ""]);
        check("DELETE", "/api/v1/namespaces/x/pods/web", ["delete", "v1", "x", "pods", "web"]);
        check("PATCH", "/apis/apps/v1/namespaces/x/deployments/web", ["patch", "apps/v1", "x", "deployments", "web"]);
        check("PUT", "/api/v1/namespaces/x/pods/web/status", ["update", "v1", "x", "pods/status", "web"]);
        check("GET", "/api/v1/namespaces", ["list", "v1", "", "namespaces", ""]);
        check("GET", "/api/v1/namespaces/x", ["get", "v1", "x", "namespaces", "x"]);
        check("PUT", "/api/v1/namespaces/x/finalize", ["update", "v1", "x", "namespaces/finalize", "x"]);
        check(
            "GET",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
            ["get", "rbac.authorization.k8s.io/v1", "", "clusterroles", "system:node"],
        );
        check("GET", "/api/v1/namespaces/x/pods/web/proxy/a/b", ["get", "v1", "x", "pods/proxy", "web"]);
    }

    #[test]
    fn other_paths() {
        for path in ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz", "/version"] {
            let info = RequestInfo::of(&Method::GET, path, &Query::default());
            assert_eq!((info.is_resource, &*info.verb), (false, "get"), "{path}");
        }
    }
}
