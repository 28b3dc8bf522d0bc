//! Discovery: which groups, versions and kinds there are, one by one or all at once.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;

use coracle_core::{Kind, Kinds, Status, Subresource};
use http::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::body::Body;
use super::negotiate::wants_aggregated_discovery;
use super::respond;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Groups in the order of their weight for clients that look for a short name. Others follow by name.
/// Source: kube-apiserver `aggregator.go`, `apiVersionPriorities`.
const GROUP_ORDER: [&str; 20] = [
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
];

/// Rows by group and version: groups by weight, versions from the most to the least stable.
type Groups<'a> = Vec<(&'a str, Vec<(&'a str, Vec<&'a Arc<Kind>>)>)>;

fn groups(kinds: &Kinds) -> Groups<'_> {
    let mut groups = BTreeMap::<(usize, &str), BTreeMap<&str, Vec<&Arc<Kind>>>>::new();
    for kind in kinds.iter() {
        let weight = GROUP_ORDER.iter().position(|group| *group == kind.group).unwrap_or(GROUP_ORDER.len());
        groups.entry((weight, &kind.group)).or_default().entry(&kind.version).or_default().push(kind);
    }
    let newest_first = groups.into_iter().map(|((_, group), versions)| {
        let mut versions: Vec<(&str, Vec<&Arc<Kind>>)> = versions.into_iter().collect();
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(version_rank(version)));
        (group, versions)
    });
    newest_first.collect()
}

/// How stable and new a version is: `v2`, `v1`, `v1beta2`, `v1beta1`, `v1alpha1`, then anything else.
/// Source: apimachinery `version.CompareKubeAwareVersionStrings`.
fn version_rank(version: &str) -> (u8, u32, u32) {
    let parse = || {
        let rest = version.strip_prefix('v')?;
        let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        let (major, stage) = rest.split_at(end);
        let major = major.parse().ok()?;
        let stages = [("beta", 2), ("alpha", 1)];
        let found = stages.into_iter().find_map(|(word, rank)| Some((rank, stage.strip_prefix(word)?)));
        match found {
            Some((rank, minor)) => Some((rank, major, minor.parse().ok()?)),
            None => stage.is_empty().then_some((3, major, 0)),
        }
    };
    parse().unwrap_or((0, 0, 0))
}

/// Answers a discovery path; `None` if it is none.
pub(super) fn answer(
    kinds: &Kinds,
    path: &str,
    headers: &HeaderMap,
    address: &str,
) -> Option<Result<Response<Body>, Status>> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let aggregated = wants_aggregated_discovery(headers);
    let found = match segments.as_slice() {
        ["api"] if aggregated => return Some(Ok(aggregate(kinds, true, headers))),
        ["apis"] if aggregated => return Some(Ok(aggregate(kinds, false, headers))),
        ["api"] => Some(core_versions(kinds, address)),
        ["apis"] => Some(group_list(kinds)),
        ["api", version] => resource_list(kinds, "", version),
        ["apis", group] => group_value(kinds, group, true),
        ["apis", group, version] => resource_list(kinds, group, version),
        _ => return None,
    };
    Some(found.map(|value| respond::json(StatusCode::OK, &value)).ok_or_else(Status::no_such_path))
}

/// The paths below `/`.
pub(super) fn paths(kinds: &Kinds) -> Value {
    let fixed = ["/api", "/apis", "/healthz", "/livez", "/readyz", "/version"];
    let mut paths: Vec<String> = fixed.into_iter().map(str::to_owned).collect();
    for (group, versions) in groups(kinds) {
        let base = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        paths.extend(versions.iter().map(|(version, _)| format!("{base}/{version}")));
        paths.extend((!group.is_empty()).then_some(base));
    }
    paths.sort_unstable();
    json!({"paths": paths})
}

fn core_versions(kinds: &Kinds, address: &str) -> Value {
    let groups = groups(kinds);
    let core = groups.iter().find(|(group, _)| group.is_empty());
    let versions: Vec<_> = core.iter().flat_map(|(_, versions)| versions).map(|(version, _)| *version).collect();
    json!({
        "kind": "APIVersions",
        "versions": versions,
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

fn group_list(kinds: &Kinds) -> Value {
    let named = groups(kinds).into_iter().filter(|(group, _)| !group.is_empty());
    let values: Vec<_> = named.filter_map(|(group, _)| group_value(kinds, group, false)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": values})
}

fn group_value(kinds: &Kinds, group: &str, alone: bool) -> Option<Value> {
    let groups = groups(kinds);
    let (_, versions) = groups.iter().find(|(name, _)| *name == group && !group.is_empty())?;
    let version = |version: &&str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let versions: Vec<_> = versions.iter().map(|(name, _)| version(name)).collect();
    let mut value = json!({"name": group, "preferredVersion": versions.first()?, "versions": versions});
    if let Some(fields) = value.as_object_mut().filter(|_| alone) {
        fields.insert("kind".to_owned(), "APIGroup".into());
        fields.insert("apiVersion".to_owned(), "v1".into());
    }
    Some(value)
}

fn resource_list(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let rows: Vec<_> = kinds.iter().filter(|kind| kind.group == group && kind.version == version).collect();
    let resources: Vec<_> = rows.iter().flat_map(|kind| resources(kind)).collect();
    let group_version = coracle_core::kind::api_version(group, version);
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
    });
    (!rows.is_empty()).then_some(list)
}

fn resources(kind: &Kind) -> Vec<Value> {
    let mut own = json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
        "verbs": &*kind.verbs,
    });
    add_names(&mut own, kind);
    let below = kind.subresources.iter().map(|subresource| {
        let (group, version, body) = &subresource.body;
        let mut value = json!({
            "name": format!("{}/{}", kind.plural, subresource.name), "singularName": "",
            "namespaced": kind.namespaced, "kind": body, "verbs": verbs(subresource),
        });
        let differs = *group != kind.group || *version != kind.version;
        if let Some(fields) = value.as_object_mut().filter(|_| differs) {
            fields.insert("group".to_owned(), group.as_ref().into());
            fields.insert("version".to_owned(), version.as_ref().into());
        }
        value
    });
    std::iter::once(own).chain(below).collect()
}

/// What connecting is in terms of methods. Source: apiserver `installer.go`, the methods that `rest.Connecter`s name.
fn verbs(subresource: &Subresource) -> Vec<&str> {
    match (subresource.verbs.contains(&"connect"), &*subresource.name) {
        (false, _) => subresource.verbs.to_vec(),
        (true, "proxy") => vec!["create", "delete", "get", "patch", "update"],
        (true, _) => vec!["create", "get"],
    }
}

fn add_names(value: &mut Value, kind: &Kind) {
    let Some(fields) = value.as_object_mut() else { return };
    if !kind.short_names.is_empty() {
        fields.insert("shortNames".to_owned(), json!(kind.short_names));
    }
    if !kind.categories.is_empty() {
        fields.insert("categories".to_owned(), json!(kind.categories));
    }
}

/// Everything at once. Source: `apidiscovery.k8s.io/v2` APIGroupDiscoveryList.
fn aggregate(kinds: &Kinds, core: bool, headers: &HeaderMap) -> Response<Body> {
    let items: Vec<_> = groups(kinds)
        .into_iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<_> = versions.iter().map(|(version, rows)| aggregated_version(version, rows)).collect();
            let metadata = if core {
                json!({"creationTimestamp": null})
            } else {
                json!({"name": group, "creationTimestamp": null})
            };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    let body = serde_json::to_vec(&list).unwrap_or_default();
    let tag = tag(&body);
    let known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        respond::answer(StatusCode::NOT_MODIFIED, AGGREGATED, Vec::new())
    } else {
        respond::answer(StatusCode::OK, AGGREGATED, body)
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(AGGREGATED));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

fn aggregated_version(version: &str, rows: &[&Arc<Kind>]) -> Value {
    let resources: Vec<_> = rows.iter().map(|kind| aggregated_resource(kind)).collect();
    json!({"version": version, "resources": resources, "freshness": "Current"})
}

fn aggregated_resource(kind: &Kind) -> Value {
    let scope = if kind.namespaced { "Namespaced" } else { "Cluster" };
    let response =
        |(group, version, kind): (&str, &str, &str)| json!({"group": group, "version": version, "kind": kind});
    let mut value = json!({
        "resource": kind.plural, "responseKind": response((&kind.group, &kind.version, &kind.kind)), "scope": scope,
        "singularResource": kind.singular, "verbs": &*kind.verbs,
    });
    add_names(&mut value, kind);
    let below = kind.subresources.iter().map(|subresource| {
        let (group, version, kind) = &subresource.body;
        json!({
            "subresource": subresource.name, "responseKind": response((group, version, kind)),
            "verbs": verbs(subresource),
        })
    });
    if let Some(fields) = value.as_object_mut().filter(|_| !kind.subresources.is_empty()) {
        fields.insert("subresources".to_owned(), below.collect());
    }
    value
}

/// Names a body by its content.
fn tag(body: &[u8]) -> String {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(body);
        hasher.finish()
    };
    format!("\"{:016X}{:016X}\"", half(0), half(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_the_most_stable() {
        let mut versions = vec!["v1alpha1", "v1", "foo", "v2beta1", "v2", "v1beta2", "v10"];
        versions.sort_by_key(|version| std::cmp::Reverse(version_rank(version)));
        assert_eq!(versions, ["v10", "v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "foo"]);
    }

    #[test]
    fn lists_name_subresources_with_their_verbs() {
        let kinds = Kinds::builtin();
        let core = resource_list(&kinds, "", "v1").unwrap();
        let find = |name: &str| core["resources"].as_array().unwrap().iter().find(|it| it["name"] == name).cloned();
        assert_eq!(find("pods").unwrap()["shortNames"], json!(["po"]));
        assert_eq!(find("pods/exec").unwrap()["verbs"], json!(["create", "get"]));
        assert_eq!(find("pods/eviction").unwrap()["group"], "policy");
        assert_eq!(find("namespaces").unwrap()["namespaced"], false);
        assert!(resource_list(&kinds, "nope", "v1").is_none());
        assert_eq!(group_value(&kinds, "autoscaling", true).unwrap()["preferredVersion"]["version"], "v2");
    }
}
