//! Which requests are recorded, and how much of them. Source: `audit.k8s.io/v1` `Policy`, apiserver `pkg/audit/policy`.

use coracle_core::User;
use serde::{Deserialize, Serialize};

use crate::http::request_info::RequestInfo;

/// How much of a request is recorded. Each level holds what the one before holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Nothing.
    #[default]
    None,
    /// Who asked what and when, and how it ended; no bodies.
    Metadata,
    /// Also the body of the request.
    Request,
    /// Also the body of the answer.
    RequestResponse,
}

/// When a record is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The request is there, nothing is done yet.
    RequestReceived,
    /// The head of a long answer (a watch, a stream) is sent.
    ResponseStarted,
    /// The answer is complete.
    ResponseComplete,
    /// Handling it broke.
    Panic,
}

/// The rules by which requests are recorded: the first that matches decides; if none does, nothing is recorded.
/// Its JSON and YAML form is upstream's `audit.k8s.io/v1` `Policy`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// The rules, in order.
    pub rules: Vec<Rule>,
    /// Stages that are never recorded.
    pub omit_stages: Vec<Stage>,
    /// Whether `managedFields` are left out of bodies.
    pub omit_managed_fields: bool,
}

/// What a rule asks of a request. Empty lists match all.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// How much is recorded.
    pub level: Level,
    /// Names of users.
    pub users: Vec<String>,
    /// Groups, of which the user is in one.
    pub user_groups: Vec<String>,
    /// Verbs: `get`, `list`, `create` and so on.
    pub verbs: Vec<String>,
    /// Resources by group. Requests that are about no resource do not match.
    pub resources: Vec<GroupResources>,
    /// Namespaces; the empty one stands for objects outside of all.
    pub namespaces: Vec<String>,
    /// Paths that are no resources, such as `/healthz*`.
    #[serde(rename = "nonResourceURLs")]
    pub non_resource_urls: Vec<String>,
    /// Stages that are not recorded, beside those of the policy.
    pub omit_stages: Vec<Stage>,
    /// Overrules the policy's.
    pub omit_managed_fields: Option<bool>,
}

/// Resources of one API group.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupResources {
    /// The group; empty for the core group.
    pub group: String,
    /// `pods`, `pods/log`, `pods/*`, `*/scale`, `*`. Empty for all of the group.
    pub resources: Vec<String>,
    /// Names of objects. Empty for all.
    pub resource_names: Vec<String>,
}

/// What a policy says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How much is recorded.
    pub level: Level,
    /// Whether `managedFields` are left out.
    pub omit_managed_fields: bool,
    omitted: [bool; 4],
}

impl Verdict {
    /// Whether a record is made at a stage.
    #[must_use]
    pub fn records(&self, stage: Stage) -> bool {
        self.level > Level::None && !self.omitted.get(stage as usize).copied().unwrap_or(true)
    }
}

/// Resources whose bodies are secrets. Beyond upstream: whatever a policy says, they are recorded without bodies.
const SECRET: [(&str, &str); 3] =
    [("", "secrets"), ("authentication.k8s.io", "tokenreviews"), ("", "serviceaccounts/token")];

impl Policy {
    /// What the policy says of a request.
    #[must_use]
    pub fn verdict(&self, user: &User, info: &RequestInfo) -> Verdict {
        let rule = self.rules.iter().find(|rule| rule.matches(user, info));
        let stages = || self.omit_stages.iter().chain(rule.iter().flat_map(|rule| &rule.omit_stages));
        let all = [Stage::RequestReceived, Stage::ResponseStarted, Stage::ResponseComplete, Stage::Panic];
        let level = rule.map_or(Level::None, |rule| rule.level);
        let full_resource = info.full_resource();
        let is_secret = SECRET.contains(&(&*info.group, &*full_resource));
        Verdict {
            level: if is_secret { level.min(Level::Metadata) } else { level },
            omit_managed_fields: rule.and_then(|rule| rule.omit_managed_fields).unwrap_or(self.omit_managed_fields),
            omitted: all.map(|stage| stages().any(|omitted| *omitted == stage)),
        }
    }
}

impl Rule {
    fn matches(&self, user: &User, info: &RequestInfo) -> bool {
        let within = |list: &[String], text: &str| list.is_empty() || list.iter().any(|listed| listed == text);
        within(&self.users, &user.name)
            && (self.user_groups.is_empty() || self.user_groups.iter().any(|group| user.groups.contains(group)))
            && within(&self.verbs, &info.verb)
            && match (self.resources.is_empty() && self.namespaces.is_empty(), self.non_resource_urls.is_empty()) {
                (true, true) => true,
                (false, _) if info.is_resource => {
                    within(&self.namespaces, &info.namespace)
                        && (self.resources.is_empty() || self.resources.iter().any(|it| it.matches(info)))
                }
                (_, false) => !info.is_resource && self.non_resource_urls.iter().any(|url| is_path(url, &info.path)),
                (false, true) => false,
            }
    }
}

fn is_path(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    }
}

impl GroupResources {
    fn matches(&self, info: &RequestInfo) -> bool {
        let is_meant = |pattern: &String| {
            pattern == "*"
                || *pattern == info.full_resource()
                || match pattern.split_once('/') {
                    Some(("*", subresource)) => info.subresource == subresource,
                    Some((resource, "*")) => info.resource == resource,
                    _ => false,
                }
        };
        self.group == info.group
            && (self.resources.is_empty() || self.resources.iter().any(is_meant))
            && (self.resource_names.is_empty() || self.resource_names.contains(&info.name))
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::http::query::Query;

    const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: ['system:kube-proxy'], verbs: [watch], resources: [{group: '', resources: [endpoints, services]}]}
- {level: None, userGroups: ['system:authenticated'], nonResourceURLs: ['/healthz*', '/version']}
- {level: Request, namespaces: [kube-system], resources: [{group: '', resources: [configmaps], resourceNames: [one]}]}
- {level: Metadata, resources: [{group: '', resources: ['pods/log', 'pods/status']}]}
- {level: Metadata, resources: [{group: apps, resources: ['*/scale']}], omitStages: [ResponseStarted]}
- {level: RequestResponse, resources: [{group: ''}, {group: authentication.k8s.io}], omitManagedFields: true}
- {level: Metadata, namespaces: ['']}
";

    fn verdict(user: &str, method: Method, path: &str) -> Verdict {
        let policy: Policy = serde_saphyr::from_str(POLICY).unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let info = RequestInfo::of(&method, path, &Query::parse(query));
        let user = User { name: user.into(), groups: vec!["system:authenticated".into()], ..User::default() };
        policy.verdict(&user, &info)
    }

    fn check(user: &str, method: Method, path: &str, expected: Level) {
        assert_eq!(verdict(user, method, path).level, expected, "{path}");
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        check("system:kube-proxy", Method::GET, "/api/v1/services?watch=1", Level::None);
        check("system:kube-proxy", Method::GET, "/api/v1/services", Level::RequestResponse);
        check("alice", Method::GET, "/healthz/etcd", Level::None);
        check("alice", Method::GET, "/version", Level::None);
        check("alice", Method::GET, "/version/x", Level::None);
        check("alice", Method::PUT, "/api/v1/namespaces/kube-system/configmaps/one", Level::Request);
        check("alice", Method::PUT, "/api/v1/namespaces/kube-system/configmaps/two", Level::RequestResponse);
        check("alice", Method::GET, "/api/v1/namespaces/a/pods/p/log", Level::Metadata);
        check("alice", Method::GET, "/api/v1/namespaces/a/pods/p/exec", Level::RequestResponse);
        check("alice", Method::PUT, "/apis/apps/v1/namespaces/a/deployments/d/scale", Level::Metadata);
        check("alice", Method::PUT, "/apis/apps/v1/namespaces/a/deployments/d", Level::None);
        check("alice", Method::GET, "/apis/storage.k8s.io/v1/storageclasses", Level::Metadata);
    }

    #[test]
    fn bodies_of_secrets_are_never_recorded() {
        check("alice", Method::POST, "/api/v1/namespaces/a/secrets", Level::Metadata);
        check("alice", Method::POST, "/api/v1/namespaces/a/serviceaccounts/s/token", Level::Metadata);
        check("alice", Method::POST, "/apis/authentication.k8s.io/v1/tokenreviews", Level::Metadata);
        check("alice", Method::POST, "/api/v1/namespaces/a/serviceaccounts", Level::RequestResponse);
    }

    #[test]
    fn stages_and_managed_fields_are_left_out_as_told() {
        let scale = verdict("alice", Method::PUT, "/apis/apps/v1/namespaces/a/deployments/d/scale");
        let recorded =
            [Stage::RequestReceived, Stage::ResponseStarted, Stage::ResponseComplete].map(|it| scale.records(it));
        assert_eq!(recorded, [false, false, true]);
        assert!(verdict("alice", Method::GET, "/api/v1/pods").omit_managed_fields);
        assert!(!verdict("alice", Method::GET, "/nothing").records(Stage::ResponseComplete));
    }
}
