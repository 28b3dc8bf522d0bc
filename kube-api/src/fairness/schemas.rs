//! Which FlowSchema a request matches: the first by precedence, then by name. Source: `flowcontrol/rule.go`.
//!
//! Rules are found by whom they are about, so that a request is compared with few of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::User;
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject,
};

use crate::http::request_info::RequestInfo;

const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// FlowSchemas in the order they are tried, and their rules by subject.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    sorted: Vec<Arc<FlowSchema>>,
    /// By name of the user; a ServiceAccount is one.
    users: BTreeMap<String, Vec<Place>>,
    /// By the user name of a namespace's ServiceAccounts up to their own names.
    namespaces: BTreeMap<String, Vec<Place>>,
    groups: BTreeMap<String, Vec<Place>>,
    everyone: Vec<Place>,
}

/// A rule: which of which schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    schema: usize,
    rule: usize,
}

impl Schemas {
    pub(super) fn new(mut schemas: Vec<Arc<FlowSchema>>) -> Self {
        schemas.sort_by(|one, other| order(one).cmp(&order(other)));
        let mut index = Self { sorted: schemas.clone(), ..Self::default() };
        for (schema, object) in schemas.iter().enumerate() {
            for (rule, subjects) in rules(object).iter().enumerate() {
                subjects.subjects.iter().for_each(|subject| index.add(subject, Place { schema, rule }));
            }
        }
        index
    }

    pub(super) fn sorted(&self) -> &[Arc<FlowSchema>] {
        &self.sorted
    }

    fn add(&mut self, subject: &Subject, place: Place) {
        let places = match (&*subject.kind, &subject.user, &subject.group, &subject.service_account) {
            ("User", Some(user), ..) if user.name == "*" => &mut self.everyone,
            ("User", Some(user), ..) => self.users.entry(user.name.clone()).or_default(),
            ("Group", _, Some(group), _) if group.name == "*" => &mut self.everyone,
            ("Group", _, Some(group), _) => self.groups.entry(group.name.clone()).or_default(),
            ("ServiceAccount", .., Some(account)) => {
                let namespace = format!("{SERVICE_ACCOUNT}{}:", account.namespace);
                match &*account.name {
                    "*" => self.namespaces.entry(namespace).or_default(),
                    name => self.users.entry(namespace + name).or_default(),
                }
            }
            _ => return,
        };
        places.push(place);
    }

    /// The first that matches.
    pub(super) fn find(&self, user: &User, info: &RequestInfo) -> Option<&Arc<FlowSchema>> {
        let by_name = self.users.get(&user.name);
        let by_namespace = namespace_of(&user.name).and_then(|namespace| self.namespaces.get(namespace));
        let by_group = user.groups.iter().filter_map(|group| self.groups.get(group));
        let mut first = None;
        for places in by_name.into_iter().chain(by_namespace).chain(by_group).chain([&self.everyone]) {
            let better = places.iter().take_while(|place| first.is_none_or(|first| place.schema < first));
            first = better.copied().find(|place| self.matches(*place, info)).map(|place| place.schema).or(first);
        }
        self.sorted.get(first?)
    }

    fn matches(&self, place: Place, info: &RequestInfo) -> bool {
        let rule = self.sorted.get(place.schema).and_then(|schema| rules(schema).get(place.rule));
        rule.is_some_and(|rule| is_covered(info, rule))
    }
}

fn order(schema: &FlowSchema) -> (i32, Option<&str>) {
    let precedence = schema.spec.as_ref().and_then(|spec| spec.matching_precedence).unwrap_or(0);
    (precedence, schema.metadata.name.as_deref())
}

fn rules(schema: &FlowSchema) -> &[PolicyRulesWithSubjects] {
    schema.spec.as_ref().and_then(|spec| spec.rules.as_deref()).unwrap_or_default()
}

/// What the user names of all ServiceAccounts of a namespace begin with.
fn namespace_of(user: &str) -> Option<&str> {
    let rest = user.strip_prefix(SERVICE_ACCOUNT)?;
    user.get(..SERVICE_ACCOUNT.len() + rest.find(':')? + 1)
}

fn is_covered(info: &RequestInfo, rule: &PolicyRulesWithSubjects) -> bool {
    if info.is_resource {
        rule.resource_rules.iter().flatten().any(|rule| covers_resource(rule, info))
    } else {
        rule.non_resource_rules.iter().flatten().any(|rule| covers_path(rule, info))
    }
}

fn covers_resource(rule: &ResourcePolicyRule, info: &RequestInfo) -> bool {
    let is_place = || match &*info.namespace {
        "" => rule.cluster_scope == Some(true),
        namespace => has(rule.namespaces.as_deref().unwrap_or_default(), |known| known == namespace),
    };
    has(&rule.verbs, |verb| verb == info.verb)
        && has(&rule.resources, |resource| names_resource(resource, info))
        && has(&rule.api_groups, |group| group == info.group)
        && is_place()
}

/// `pods`, or `pods/log` for a subresource.
fn names_resource(name: &str, info: &RequestInfo) -> bool {
    let Some(rest) = name.strip_prefix(&*info.resource) else { return false };
    match rest.strip_prefix('/') {
        None => rest.is_empty() && info.subresource.is_empty(),
        Some(subresource) => !subresource.is_empty() && subresource == info.subresource,
    }
}

fn covers_path(rule: &NonResourcePolicyRule, info: &RequestInfo) -> bool {
    has(&rule.verbs, |verb| verb == info.verb)
        && rule.non_resource_urls.iter().any(|url| {
            let base = url.strip_suffix('*').unwrap_or(url);
            let below = info.path.strip_prefix(base);
            url == "*" || *url == info.path || below.is_some_and(|rest| base.ends_with('/') || rest.starts_with('/'))
        })
}

/// Whether a list names something, or everything: then the wildcard is all there is in it.
fn has(list: &[String], is_it: impl Fn(&str) -> bool) -> bool {
    matches!(list, [only] if only == "*") || list.iter().any(|item| is_it(item))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::fairness::defaults;
    use crate::http::query::Query;

    fn user(name: &str, groups: &[&str]) -> User {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        User { name: name.to_owned(), groups, ..User::default() }
    }

    fn info(method: &str, target: &str) -> RequestInfo {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        RequestInfo::of(&method.parse::<Method>().unwrap(), path, &Query::parse(query))
    }

    fn check(user_name: &str, groups: &[&str], request: &str, expected: &str) {
        let schemas = Schemas::new(defaults::flow_schemas().map(|(schema, _)| Arc::new(schema)).collect());
        let (method, target) = request.split_once(' ').unwrap();
        let found = schemas.find(&user(user_name, groups), &info(method, target));
        let found = found.and_then(|schema| schema.metadata.name.as_deref());
        assert_eq!(found.unwrap_or("none"), expected, "{user_name} {groups:?} {request}");
    }

    #[test]
    fn the_default_schemas_know_everybody() {
        let known = "system:authenticated";
        check("admin", &["system:masters", known], "GET /api/v1/pods", "exempt");
        check("anyone", &["system:unauthenticated"], "GET /healthz", "probes");
        check("anyone", &["system:unauthenticated"], "GET /livez/ping", "probes");
        check("anyone", &["system:unauthenticated"], "GET /version", "global-default");
        check("alice", &[known], "GET /api/v1/pods", "global-default");
        check("nobody", &[], "GET /api/v1/pods", "none");
    }

    #[test]
    fn parts_of_the_cluster_have_schemas_of_their_own() {
        let known = "system:authenticated";
        let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
        let scheduler = "system:kube-scheduler";
        check(scheduler, &[known], &format!("PUT {leases}/x"), "system-leader-election");
        check(scheduler, &[known], &format!("DELETE {leases}/x"), "kube-scheduler");
        check(scheduler, &[known], "GET /api/v1/pods", "kube-scheduler");
        check("system:kube-controller-manager", &[known], "GET /version", "kube-controller-manager");
        let node = |request, expected| check("system:node:a", &["system:nodes", known], request, expected);
        node("PATCH /api/v1/nodes/a/status", "system-node-high");
        node("GET /api/v1/nodes/a", "system-node-high");
        node("GET /api/v1/nodes/a/proxy", "system-nodes");
        node("PUT /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/a", "system-node-high");
        node("GET /api/v1/pods", "system-nodes");
        let accounts = ["system:serviceaccounts", known];
        check("system:serviceaccount:kube-system:a", &accounts, "GET /api/v1/pods", "kube-system-service-accounts");
        check("system:serviceaccount:kube-system:a", &accounts, &format!("GET {leases}/a"), "system-leader-election");
        check("system:serviceaccount:kube-systems:a", &accounts, "GET /api/v1/pods", "service-accounts");
    }

    /// A schema with one rule.
    fn schema(name: &str, precedence: i32, subjects: Value, rules: Value) -> Arc<FlowSchema> {
        let mut rule = rules;
        rule["subjects"] = subjects;
        let spec = json!({
            "matchingPrecedence": precedence, "priorityLevelConfiguration": {"name": "any"}, "rules": [rule],
        });
        Arc::new(serde_json::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap())
    }

    fn matches(rules: &Value, request: &str) -> bool {
        let (method, target) = request.split_once(' ').unwrap();
        let everyone = json!([{"kind": "Group", "group": {"name": "*"}}]);
        let schemas = Schemas::new(vec![schema("a", 1, everyone, rules.clone())]);
        schemas.find(&user("anyone", &[]), &info(method, target)).is_some()
    }

    #[test]
    fn rules_name_verbs_groups_resources_and_places() {
        let rule = |change: Value| {
            let mut rule = json!({"verbs": ["*"], "apiGroups": [""], "resources": ["*"], "namespaces": ["*"]});
            rule.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            json!({"resourceRules": [rule]})
        };
        let pods = "GET /api/v1/namespaces/x/pods";
        for (change, request, expected) in [
            (json!({}), pods, true),
            (json!({}), "GET /api/v1/pods", false),
            (json!({"clusterScope": true}), "GET /api/v1/pods", true),
            (json!({"clusterScope": true, "namespaces": ["y"]}), pods, false),
            (json!({"namespaces": ["y", "x"]}), pods, true),
            (json!({"namespaces": []}), pods, false),
            (json!({"verbs": ["get"]}), pods, false),
            (json!({"verbs": ["get", "list"]}), pods, true),
            (json!({"apiGroups": ["apps"]}), pods, false),
            (json!({"resources": ["pod"]}), pods, false),
            (json!({"resources": ["pods"]}), pods, true),
            (json!({"resources": ["pods"]}), "GET /api/v1/namespaces/x/pods/y/status", false),
            (json!({"resources": ["pods/status"]}), "GET /api/v1/namespaces/x/pods/y/status", true),
            (json!({"resources": ["pods/status"]}), "GET /api/v1/namespaces/x/pods/y", false),
            (json!({}), "GET /version", false),
        ] {
            assert_eq!(matches(&rule(change.clone()), request), expected, "{change} {request}");
        }
    }

    #[test]
    fn rules_name_paths() {
        for (url, path, expected) in [
            ("*", "/anything", true),
            ("/a", "/a", true),
            ("/a", "/a/b", true),
            ("/a", "/ab", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a", false),
            ("/", "/a", true),
        ] {
            let rules = json!({"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": [url]}]});
            assert_eq!(matches(&rules, &format!("GET {path}")), expected, "{url} {path}");
            assert!(!matches(&rules, &format!("POST {path}")));
        }
    }

    fn any_subject() -> impl Strategy<Value = Value> {
        let name = || prop::sample::select(vec!["*", "a", "b", "system:serviceaccount:a:b"]);
        prop_oneof![
            name().prop_map(|name| json!({"kind": "User", "user": {"name": name}})),
            name().prop_map(|name| json!({"kind": "Group", "group": {"name": name}})),
            (name(), prop::sample::select(vec!["a", "b"])).prop_map(|(name, namespace)| {
                json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": name}})
            }),
        ]
    }

    /// As upstream says it: one schema after the other, one rule after the other.
    fn names_user(subject: &Subject, user: &User) -> bool {
        let user_name = &user.name;
        match (&subject.user, &subject.group, &subject.service_account) {
            (Some(named), ..) => named.name == "*" || named.name == *user_name,
            (_, Some(group), _) => group.name == "*" || user.groups.contains(&group.name),
            (.., Some(account)) => {
                let namespace = format!("{SERVICE_ACCOUNT}{}:", account.namespace);
                user_name.strip_prefix(&namespace).is_some_and(|name| account.name == "*" || name == account.name)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_search_would(
            schemas in prop::collection::vec((1..5, any_subject(), any::<bool>()), 0..8),
            name in prop::sample::select(vec!["a", "b", "system:serviceaccount:a:b", "system:serviceaccount:b:a"]),
            groups in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..3),
        ) {
            let objects = schemas.into_iter().enumerate().map(|(index, (precedence, subject, gets))| {
                let verb = if gets { "get" } else { "put" };
                let paths = json!({"nonResourceRules": [{"verbs": [verb], "nonResourceURLs": ["*"]}]});
                schema(&format!("s{index}"), precedence, json!([subject]), paths)
            });
            let schemas = Schemas::new(objects.collect());
            let (user, info) = (user(name, &groups), info("GET", "/x"));
            let searched = schemas.sorted().iter().find(|schema| {
                rules(schema).iter().any(|rule| rule.subjects.iter().any(|subject| names_user(subject, &user)) && is_covered(&info, rule))
            });
            prop_assert_eq!(schemas.find(&user, &info), searched);
        }
    }
}
