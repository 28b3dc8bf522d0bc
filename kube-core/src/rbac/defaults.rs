//! The roles and bindings that every serving cluster has.
//!
//! Left out are the roles of upstream's own programs, which here are parts of the process and need none: the controllers'
//! (`system:controller:*`), `system:kube-controller-manager`, `system:kube-scheduler`, `system:node-proxier` and the like.
//!
//! Source: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::{AggregationRule, ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::reconcile::AUTOUPDATE;
use super::{GROUP, aggregated_rules};

type Names = &'static [&'static str];

/// Verbs, API groups, resources; or verbs, nothing, and URLs.
struct Rule(Names, Names, Names);

/// A role: its name, the aggregated role it is part of, and its rules.
struct Row(&'static str, &'static str, &'static [Rule]);

const READ: Names = &["get", "list", "watch"];
const WRITE: Names = &["create", "delete", "deletecollection", "patch", "update"];
const READ_WRITE: Names = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const CREATE: Names = &["create"];
const URL: Names = &[];
const CORE: Names = &[""];
const CERTIFICATES: Names = &["certificates.k8s.io"];
const REQUESTS: &str = "certificatesigningrequests";
const EVENTS: Names = &["", "events.k8s.io"];

const ROLES: &[Row] = &[
    Row("cluster-admin", "", &[Rule(&["*"], &["*"], &["*"]), Rule(&["*"], URL, &["*"])]),
    Row(
        "system:discovery",
        "",
        &[Rule(
            &["get"],
            URL,
            &[
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/healthz",
                "/livez",
                "/openapi",
                "/openapi/*",
                "/readyz",
                "/version",
                "/version/",
            ],
        )],
    ),
    Row(
        "system:public-info-viewer",
        "",
        &[Rule(&["get"], URL, &["/healthz", "/livez", "/readyz", "/version", "/version/"])],
    ),
    Row(
        "system:monitoring",
        "",
        &[Rule(
            &["get"],
            URL,
            &["/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis", "/readyz", "/readyz/*"],
        )],
    ),
    Row(
        "system:basic-user",
        "",
        &[
            Rule(CREATE, &["authorization.k8s.io"], &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
            Rule(CREATE, &["authentication.k8s.io"], &["selfsubjectreviews"]),
        ],
    ),
    Row(
        "system:service-account-issuer-discovery",
        "",
        &[Rule(&["get"], URL, &["/.well-known/openid-configuration", "/openid/v1/jwks"])],
    ),
    Row(
        "system:auth-delegator",
        "",
        &[
            Rule(CREATE, &["authentication.k8s.io"], &["tokenreviews"]),
            Rule(CREATE, &["authorization.k8s.io"], &["subjectaccessreviews"]),
        ],
    ),
    Row("system:node-bootstrapper", "", &[Rule(&["create", "get", "list", "watch"], CERTIFICATES, &[REQUESTS])]),
    Row(
        "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        "",
        &[Rule(CREATE, CERTIFICATES, &["certificatesigningrequests/nodeclient"])],
    ),
    Row(
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        "",
        &[Rule(CREATE, CERTIFICATES, &["certificatesigningrequests/selfnodeclient"])],
    ),
    Row(
        "system:aggregate-to-admin",
        "admin",
        &[
            Rule(CREATE, &["authorization.k8s.io"], &["localsubjectaccessreviews"]),
            Rule(READ_WRITE, &[GROUP], &["rolebindings", "roles"]),
        ],
    ),
    Row(
        "system:aggregate-to-edit",
        "edit",
        &[
            Rule(
                READ,
                CORE,
                &["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"],
            ),
            Rule(&["impersonate"], CORE, &["serviceaccounts"]),
            Rule(WRITE, CORE, &["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"]),
            Rule(CREATE, CORE, &["pods/eviction"]),
            Rule(
                WRITE,
                CORE,
                &[
                    "configmaps",
                    "events",
                    "persistentvolumeclaims",
                    "replicationcontrollers",
                    "replicationcontrollers/scale",
                    "secrets",
                    "serviceaccounts",
                    "services",
                    "services/proxy",
                ],
            ),
            Rule(CREATE, CORE, &["serviceaccounts/token"]),
            Rule(
                WRITE,
                &["apps"],
                &[
                    "daemonsets",
                    "deployments",
                    "deployments/rollback",
                    "deployments/scale",
                    "replicasets",
                    "replicasets/scale",
                    "statefulsets",
                    "statefulsets/scale",
                ],
            ),
            Rule(WRITE, &["autoscaling"], &["horizontalpodautoscalers"]),
            Rule(WRITE, &["batch"], &["cronjobs", "jobs"]),
            Rule(
                WRITE,
                &["extensions"],
                &[
                    "daemonsets",
                    "deployments",
                    "deployments/rollback",
                    "deployments/scale",
                    "ingresses",
                    "networkpolicies",
                    "replicasets",
                    "replicasets/scale",
                    "replicationcontrollers/scale",
                ],
            ),
            Rule(WRITE, &["policy"], &["poddisruptionbudgets"]),
            Rule(WRITE, &["networking.k8s.io"], &["ingresses", "networkpolicies"]),
            Rule(READ_WRITE, &["coordination.k8s.io"], &["leases"]),
        ],
    ),
    Row(
        "system:aggregate-to-view",
        "view",
        &[
            Rule(
                READ,
                CORE,
                &[
                    "configmaps",
                    "endpoints",
                    "persistentvolumeclaims",
                    "persistentvolumeclaims/status",
                    "pods",
                    "replicationcontrollers",
                    "replicationcontrollers/scale",
                    "serviceaccounts",
                    "services",
                    "services/status",
                ],
            ),
            Rule(
                READ,
                CORE,
                &[
                    "bindings",
                    "events",
                    "limitranges",
                    "namespaces/status",
                    "pods/log",
                    "pods/status",
                    "replicationcontrollers/status",
                    "resourcequotas",
                    "resourcequotas/status",
                ],
            ),
            Rule(READ, CORE, &["namespaces"]),
            Rule(READ, &["discovery.k8s.io"], &["endpointslices"]),
            Rule(
                READ,
                &["apps"],
                &[
                    "controllerrevisions",
                    "daemonsets",
                    "daemonsets/status",
                    "deployments",
                    "deployments/scale",
                    "deployments/status",
                    "replicasets",
                    "replicasets/scale",
                    "replicasets/status",
                    "statefulsets",
                    "statefulsets/scale",
                    "statefulsets/status",
                ],
            ),
            Rule(READ, &["autoscaling"], &["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
            Rule(READ, &["batch"], &["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
            Rule(
                READ,
                &["extensions"],
                &[
                    "daemonsets",
                    "daemonsets/status",
                    "deployments",
                    "deployments/scale",
                    "deployments/status",
                    "ingresses",
                    "ingresses/status",
                    "networkpolicies",
                    "replicasets",
                    "replicasets/scale",
                    "replicasets/status",
                    "replicationcontrollers/scale",
                ],
            ),
            Rule(READ, &["policy"], &["poddisruptionbudgets", "poddisruptionbudgets/status"]),
            Rule(READ, &["networking.k8s.io"], &["ingresses", "ingresses/status", "networkpolicies"]),
        ],
    ),
    Row(
        "system:node",
        "",
        &[
            Rule(CREATE, &["authentication.k8s.io"], &["tokenreviews"]),
            Rule(CREATE, &["authorization.k8s.io"], &["localsubjectaccessreviews", "subjectaccessreviews"]),
            Rule(READ, CORE, &["services"]),
            Rule(&["create", "get", "list", "watch"], CORE, &["nodes"]),
            Rule(&["patch", "update"], CORE, &["nodes/status"]),
            Rule(&["patch", "update"], CORE, &["nodes"]),
            Rule(&["create", "patch", "update"], EVENTS, &["events"]),
            Rule(READ, CORE, &["pods"]),
            Rule(&["create", "delete"], CORE, &["pods"]),
            Rule(&["patch", "update"], CORE, &["pods/status"]),
            Rule(CREATE, CORE, &["pods/eviction"]),
            Rule(READ, CORE, &["configmaps", "secrets"]),
            Rule(&["get"], CORE, &["persistentvolumeclaims", "persistentvolumes"]),
            Rule(&["get"], CORE, &["endpoints"]),
            Rule(&["create", "get", "list", "watch"], CERTIFICATES, &[REQUESTS]),
            Rule(&["create", "delete", "get", "patch", "update"], &["coordination.k8s.io"], &["leases"]),
            Rule(&["get"], &["storage.k8s.io"], &["volumeattachments"]),
            Rule(CREATE, CORE, &["serviceaccounts/token"]),
            Rule(&["get", "patch", "update"], CORE, &["persistentvolumeclaims/status"]),
            Rule(READ, &["storage.k8s.io"], &["csidrivers"]),
            Rule(&["create", "delete", "get", "patch", "update"], &["storage.k8s.io"], &["csinodes"]),
            Rule(READ, &["node.k8s.io"], &["runtimeclasses"]),
        ],
    ),
];

/// Roles that gather others, and the role they are part of themselves.
const AGGREGATED: [(&str, &str); 3] = [("admin", ""), ("edit", "admin"), ("view", "edit")];

/// Roles and the groups they are bound to. The role of nodes is bound to nobody, as upstream does.
const BINDINGS: [(&str, Names); 7] = [
    ("cluster-admin", &[super::MASTERS]),
    ("system:basic-user", &["system:authenticated"]),
    ("system:discovery", &["system:authenticated"]),
    ("system:monitoring", &["system:monitoring"]),
    ("system:node", &[]),
    ("system:public-info-viewer", &["system:authenticated", "system:unauthenticated"]),
    ("system:service-account-issuer-discovery", &["system:serviceaccounts"]),
];

/// The ClusterRoles; aggregated ones have their rules already.
#[must_use]
pub fn default_roles() -> Vec<ClusterRole> {
    let mut roles: Vec<ClusterRole> = ROLES
        .iter()
        .map(|Row(name, part_of, rules)| ClusterRole {
            metadata: metadata(name, part_of),
            rules: Some(rules.iter().map(rule).collect()),
            aggregation_rule: None,
        })
        .collect();
    // The smallest first, since each is a part of the next.
    for (name, part_of) in AGGREGATED.iter().rev() {
        let labels = [(format!("rbac.authorization.k8s.io/aggregate-to-{name}"), "true".to_owned())];
        let selector = LabelSelector { match_labels: Some(labels.into()), ..LabelSelector::default() };
        let aggregation = AggregationRule { cluster_role_selectors: Some(vec![selector]) };
        roles.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
        let rules = Some(aggregated_rules(name, &aggregation, roles.iter()));
        roles.push(ClusterRole { metadata: metadata(name, part_of), rules, aggregation_rule: Some(aggregation) });
    }
    roles
}

/// The ClusterRoleBindings.
#[must_use]
pub fn default_bindings() -> Vec<ClusterRoleBinding> {
    let bind = |(name, groups): &(&str, Names)| ClusterRoleBinding {
        metadata: metadata(name, ""),
        role_ref: RoleRef {
            api_group: Some(GROUP.to_owned()),
            kind: "ClusterRole".to_owned(),
            name: (*name).to_owned(),
        },
        subjects: (!groups.is_empty()).then(|| groups.iter().map(|group| group_subject(group)).collect()),
    };
    BINDINGS.iter().map(bind).collect()
}

fn metadata(name: &str, part_of: &str) -> ObjectMeta {
    let own = |text: &str| text.to_owned();
    let mut labels = BTreeMap::from([(own("kubernetes.io/bootstrapping"), own("rbac-defaults"))]);
    if !part_of.is_empty() {
        labels.insert(format!("rbac.authorization.k8s.io/aggregate-to-{part_of}"), own("true"));
    }
    let annotations = BTreeMap::from([(own(AUTOUPDATE), own("true"))]);
    ObjectMeta { name: Some(own(name)), labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }
}

fn rule(Rule(verbs, groups, what): &Rule) -> PolicyRule {
    let own = |list: Names| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let verbs = own(verbs);
    if groups.is_empty() {
        return PolicyRule { verbs, non_resource_urls: Some(own(what)), ..PolicyRule::default() };
    }
    PolicyRule { verbs, api_groups: Some(own(groups)), resources: Some(own(what)), ..PolicyRule::default() }
}

fn group_subject(name: &str) -> Subject {
    Subject { api_group: Some(GROUP.to_owned()), kind: "Group".to_owned(), name: name.to_owned(), namespace: None }
}
