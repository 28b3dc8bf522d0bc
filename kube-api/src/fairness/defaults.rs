//! The FlowSchemas and PriorityLevelConfigurations that every server has. Source: `apis/flowcontrol/bootstrap/default.go`.

use k8s_openapi::api::flowcontrol::v1::{
    ExemptPriorityLevelConfiguration, FlowDistinguisherMethod, FlowSchema, FlowSchemaSpec, GroupSubject, LimitResponse,
    LimitedPriorityLevelConfiguration, NonResourcePolicyRule, PolicyRulesWithSubjects, PriorityLevelConfiguration,
    PriorityLevelConfigurationReference, PriorityLevelConfigurationSpec, QueuingConfiguration, ResourcePolicyRule,
    ServiceAccountSubject, Subject, UserSubject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The level that is never limited, and the schema of those who are on it.
pub(super) const EXEMPT: &str = "exempt";
/// The level and the schema of whoever is left.
pub(super) const CATCH_ALL: &str = "catch-all";
/// Says whether the server keeps an object's spec as it suggests it.
pub(super) const AUTO_UPDATE: &str = "apf.kubernetes.io/autoupdate-spec";

const QUEUE_LENGTH_MAX: i32 = 50;

/// Name, shares, lendable percent, queues and hand of a limited level. Without queues it refuses.
type Limited = (&'static str, i32, i32, Option<(i32, i32)>);

const LEVELS: [Limited; 7] = [
    (CATCH_ALL, 5, 0, None),
    ("system", 30, 33, Some((64, 6))),
    ("node-high", 40, 25, Some((64, 6))),
    ("leader-election", 10, 0, Some((16, 4))),
    ("workload-high", 40, 50, Some((128, 6))),
    ("workload-low", 100, 90, Some((128, 6))),
    ("global-default", 20, 50, Some((128, 6))),
];

enum Who {
    Group(&'static str),
    User(&'static str),
    /// All ServiceAccounts of `kube-system`.
    System,
}

/// What rules are about: verbs, groups, resources, and whether objects that are in no namespace too.
type Resources = (&'static [&'static str], &'static str, &'static [&'static str], bool);

struct Row {
    name: &'static str,
    level: &'static str,
    precedence: i32,
    distinguisher: Option<&'static str>,
    who: &'static [Who],
    resources: &'static [Resources],
    /// Verbs and paths.
    paths: Option<(&'static str, &'static [&'static str])>,
}

const BY_USER: Option<&str> = Some("ByUser");
const BY_NAMESPACE: Option<&str> = Some("ByNamespace");
const ANY: &[&str] = &["*"];
const EVERY_RESOURCE: &[Resources] = &[(ANY, "*", ANY, true)];
const EVERY_PATH: Option<(&str, &[&str])> = Some(("*", ANY));
const EVERYONE: &[Who] = &[Who::Group("system:unauthenticated"), Who::Group("system:authenticated")];
const CONTROLLER_MANAGER: Who = Who::User("system:kube-controller-manager");
const SCHEDULER: Who = Who::User("system:kube-scheduler");
const NODES: &[Who] = &[Who::Group("system:nodes")];
const LEASES: (&str, &[&str]) = ("coordination.k8s.io", &["leases"]);

const fn everything(
    name: &'static str,
    level: &'static str,
    precedence: i32,
    distinguisher: Option<&'static str>,
    who: &'static [Who],
) -> Row {
    Row { name, level, precedence, distinguisher, who, resources: EVERY_RESOURCE, paths: EVERY_PATH }
}

const SCHEMAS: [Row; 11] = [
    everything(EXEMPT, EXEMPT, 1, None, &[Who::Group("system:masters")]),
    Row {
        name: "probes",
        level: EXEMPT,
        precedence: 2,
        distinguisher: None,
        who: EVERYONE,
        resources: &[],
        paths: Some(("get", &["/healthz", "/readyz", "/livez"])),
    },
    Row {
        name: "system-leader-election",
        level: "leader-election",
        precedence: 100,
        distinguisher: BY_USER,
        who: &[CONTROLLER_MANAGER, SCHEDULER, Who::System],
        resources: &[(&["get", "create", "update"], LEASES.0, LEASES.1, false)],
        paths: None,
    },
    Row {
        name: "system-node-high",
        level: "node-high",
        precedence: 400,
        distinguisher: BY_USER,
        who: NODES,
        resources: &[(ANY, "", &["nodes", "nodes/status"], true), (ANY, LEASES.0, LEASES.1, false)],
        paths: None,
    },
    everything("system-nodes", "system", 500, BY_USER, NODES),
    everything("kube-controller-manager", "workload-high", 800, BY_NAMESPACE, &[CONTROLLER_MANAGER]),
    everything("kube-scheduler", "workload-high", 800, BY_NAMESPACE, &[SCHEDULER]),
    everything("kube-system-service-accounts", "workload-high", 900, BY_NAMESPACE, &[Who::System]),
    everything("service-accounts", "workload-low", 9_000, BY_USER, &[Who::Group("system:serviceaccounts")]),
    everything("global-default", "global-default", 9_900, BY_USER, EVERYONE),
    everything(CATCH_ALL, CATCH_ALL, 10_000, BY_USER, EVERYONE),
];

/// The levels, and whether the server cannot do without them.
pub(super) fn priority_levels() -> impl Iterator<Item = (PriorityLevelConfiguration, bool)> {
    let limited = LEVELS.iter().map(|(name, shares, lendable_percent, queuing)| {
        let queuing = queuing.map(|(queues, hand_size)| QueuingConfiguration {
            queues: Some(queues),
            hand_size: Some(hand_size),
            queue_length_limit: Some(QUEUE_LENGTH_MAX),
        });
        let type_ = if queuing.is_some() { "Queue" } else { "Reject" }.to_owned();
        let limited = LimitedPriorityLevelConfiguration {
            nominal_concurrency_shares: Some(*shares),
            lendable_percent: Some(*lendable_percent),
            borrowing_limit_percent: None,
            limit_response: Some(LimitResponse { queuing, type_ }),
        };
        let spec = PriorityLevelConfigurationSpec { exempt: None, limited: Some(limited), type_: "Limited".to_owned() };
        (*name, spec)
    });
    let exempt = ExemptPriorityLevelConfiguration { nominal_concurrency_shares: Some(0), lendable_percent: Some(0) };
    let exempt = PriorityLevelConfigurationSpec { exempt: Some(exempt), limited: None, type_: "Exempt".to_owned() };
    limited.chain([(EXEMPT, exempt)]).map(|(name, spec)| {
        let level = PriorityLevelConfiguration { metadata: kept(name), spec: Some(spec), status: None };
        (level, is_mandatory(name))
    })
}

/// The schemas, and whether the server cannot do without them.
pub(super) fn flow_schemas() -> impl Iterator<Item = (FlowSchema, bool)> {
    SCHEMAS.iter().map(|row| {
        let distinguisher = row.distinguisher.map(|method| FlowDistinguisherMethod { type_: method.to_owned() });
        let spec = FlowSchemaSpec {
            distinguisher_method: distinguisher,
            matching_precedence: Some(row.precedence),
            priority_level_configuration: PriorityLevelConfigurationReference { name: row.level.to_owned() },
            rules: Some(vec![rules(row)]),
        };
        (FlowSchema { metadata: kept(row.name), spec: Some(spec), status: None }, is_mandatory(row.name))
    })
}

fn is_mandatory(name: &str) -> bool {
    matches!(name, EXEMPT | CATCH_ALL)
}

fn kept(name: &str) -> ObjectMeta {
    let annotations = [(AUTO_UPDATE.to_owned(), "true".to_owned())].into();
    ObjectMeta { name: Some(name.to_owned()), annotations: Some(annotations), ..ObjectMeta::default() }
}

fn rules(row: &Row) -> PolicyRulesWithSubjects {
    let resources = row.resources.iter().map(|(verbs, group, resources, cluster_scope)| ResourcePolicyRule {
        verbs: owned(verbs),
        api_groups: owned(&[group]),
        resources: owned(resources),
        namespaces: Some(owned(ANY)),
        cluster_scope: cluster_scope.then_some(true),
    });
    let paths = row
        .paths
        .iter()
        .map(|(verb, urls)| NonResourcePolicyRule { verbs: owned(&[verb]), non_resource_urls: owned(urls) });
    let (resources, paths): (Vec<_>, Vec<_>) = (resources.collect(), paths.collect());
    PolicyRulesWithSubjects {
        subjects: row.who.iter().map(subject).collect(),
        resource_rules: (!resources.is_empty()).then_some(resources),
        non_resource_rules: (!paths.is_empty()).then_some(paths),
    }
}

fn subject(who: &Who) -> Subject {
    let none = |kind: &str| Subject { kind: kind.to_owned(), ..Subject::default() };
    match who {
        Who::Group(name) => Subject { group: Some(GroupSubject { name: (*name).to_owned() }), ..none("Group") },
        Who::User(name) => Subject { user: Some(UserSubject { name: (*name).to_owned() }), ..none("User") },
        Who::System => {
            let account = ServiceAccountSubject { namespace: "kube-system".to_owned(), name: "*".to_owned() };
            Subject { service_account: Some(account), ..none("ServiceAccount") }
        }
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
