//! Which webhooks and policies a request concerns. Source: `plugin/webhook/generic/webhook.go`,
//! `predicates/{rules,namespace,object}`, `plugin/policy/matching/matching.go`.

use std::sync::Arc;

use coracle_core::selector::Selector;
use coracle_core::{AnyResource, GroupResource, Kind, Status};
use k8s_openapi::api::admissionregistration::v1::{MatchResources, NamedRuleWithOperations, RuleWithOperations};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::{Attributes, Operation};

/// What requests are meant.
#[derive(Clone, Debug, Default)]
pub(super) struct Criteria<'a> {
    pub(super) rules: Vec<Rule<'a>>,
    pub(super) exclusions: Vec<Rule<'a>>,
    /// Whether no rules mean every request.
    pub(super) is_open: bool,
    pub(super) matches_equivalents: bool,
    pub(super) namespaces: Option<&'a LabelSelector>,
    pub(super) objects: Option<&'a LabelSelector>,
}

/// Operations and resources.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<'a> {
    operations: &'a [String],
    groups: &'a [String],
    versions: &'a [String],
    resources: &'a [String],
    /// The objects that are meant; empty for all.
    names: &'a [String],
    scope: Option<&'a str>,
}

macro_rules! rule {
    ($rule:expr, $names:expr) => {
        Rule {
            operations: $rule.operations.as_deref().unwrap_or_default(),
            groups: $rule.api_groups.as_deref().unwrap_or_default(),
            versions: $rule.api_versions.as_deref().unwrap_or_default(),
            resources: $rule.resources.as_deref().unwrap_or_default(),
            names: $names,
            scope: $rule.scope.as_deref(),
        }
    };
}

impl<'a> From<&'a RuleWithOperations> for Rule<'a> {
    fn from(rule: &'a RuleWithOperations) -> Self {
        rule!(rule, &[])
    }
}

impl<'a> From<&'a NamedRuleWithOperations> for Rule<'a> {
    fn from(rule: &'a NamedRuleWithOperations) -> Self {
        rule!(rule, rule.resource_names.as_deref().unwrap_or_default())
    }
}

impl<'a> From<&'a MatchResources> for Criteria<'a> {
    fn from(matched: &'a MatchResources) -> Self {
        Self {
            rules: matched.resource_rules.iter().flatten().map(Rule::from).collect(),
            exclusions: matched.exclude_resource_rules.iter().flatten().map(Rule::from).collect(),
            is_open: true,
            matches_equivalents: matched.match_policy.as_deref() != Some("Exact"),
            namespaces: matched.namespace_selector.as_ref(),
            objects: matched.object_selector.as_ref(),
        }
    }
}

/// The words of upstream's `admission.Operation`.
pub(super) const fn operation_word(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "CREATE",
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Connect => "CONNECT",
    }
}

/// Nobody may lock everybody out: changes of what decides about changes are decided by roles alone.
/// Source: `rules.IsExemptAdmissionConfigurationResource`.
pub(super) fn is_exempt(attributes: &Attributes<'_>) -> bool {
    const EXEMPT: [&str; 6] = [
        "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    ];
    attributes.kind.group == "admissionregistration.k8s.io" && EXEMPT.contains(&&*attributes.kind.plural)
}

/// Whether a request is meant, and the version in which whoever means it wants the object.
pub(super) fn wanted_kind(
    criteria: &Criteria<'_>,
    attributes: &Attributes<'_>,
    object: Option<&dyn AnyResource>,
) -> Result<Option<Arc<Kind>>, Status> {
    if !matches_object(criteria, attributes, object) || kind_of(&criteria.exclusions, criteria, attributes).is_some() {
        return Ok(None);
    }
    let kind = match criteria.is_open && criteria.rules.is_empty() {
        true => Some(Arc::new(attributes.kind.clone())),
        false => kind_of(&criteria.rules, criteria, attributes),
    };
    let Some(kind) = kind else { return Ok(None) };
    Ok(matches_namespace(criteria, attributes, object)?.then_some(kind))
}

/// The version that rules name: the one that was asked, or an equivalent one.
fn kind_of(rules: &[Rule<'_>], criteria: &Criteria<'_>, attributes: &Attributes<'_>) -> Option<Arc<Kind>> {
    if rules.iter().any(|rule| matches_rule(rule, attributes, attributes.kind)) {
        return Some(Arc::new(attributes.kind.clone()));
    }
    let subresource = &*attributes.target.subresource;
    // Equivalents differ by group and version only; most rules are about something else.
    let is_near = |rule: &Rule<'_>| {
        let is_meant = |operation: &String| operation == "*" || operation == operation_word(attributes.operation);
        rule.operations.iter().any(is_meant)
            && rule.resources.iter().any(|named| names(named, &attributes.kind.plural, subresource))
    };
    if !criteria.matches_equivalents || !rules.iter().any(is_near) {
        return None;
    }
    let is_equivalent = |kind: &Kind| {
        let is_same = kind.group == attributes.kind.group && kind.version == attributes.kind.version;
        kind.storage == attributes.kind.storage
            && !is_same
            && (subresource.is_empty() || kind.subresource(subresource).is_some())
    };
    let rows: Vec<&Arc<Kind>> = attributes.world.kinds().iter().filter(|kind| is_equivalent(kind)).collect();
    let by_rule = rules.iter().find_map(|rule| rows.iter().find(|row| matches_rule(rule, attributes, row)));
    by_rule.map(|row| (*row).clone())
}

fn matches_rule(rule: &Rule<'_>, attributes: &Attributes<'_>, kind: &Kind) -> bool {
    let has = |list: &[String], value: &str| list.iter().any(|item| item == "*" || item == value);
    let is_namespace = kind.group.is_empty() && kind.plural == "namespaces";
    let is_namespaced = kind.namespaced && !is_namespace;
    let scope = match rule.scope {
        Some("Namespaced") => is_namespaced,
        Some("Cluster") => !is_namespaced,
        _ => true,
    };
    scope
        && has(rule.operations, operation_word(attributes.operation))
        && has(rule.groups, &kind.group)
        && has(rule.versions, &kind.version)
        && rule.resources.iter().any(|named| names(named, &kind.plural, &attributes.target.subresource))
        && (rule.names.is_empty() || rule.names.iter().any(|name| name == attributes.name()))
}

/// Whether `pods`, `pods/log`, `pods/*`, `*/scale`, `*` or `*/*` names a resource and subresource.
fn names(named: &str, resource: &str, subresource: &str) -> bool {
    let (outer, inner) = named.split_once('/').unwrap_or((named, ""));
    (outer == "*" || outer == resource) && (inner == "*" || inner == subresource)
}

fn parse(selector: Option<&LabelSelector>) -> Result<Selector, Status> {
    match selector {
        None => Ok(Selector::everything()),
        Some(selector) => Selector::from_label_selector(Some(selector)).map_err(Status::internal),
    }
}

/// An object that has labels is asked for by them, as it is or as it was.
fn matches_object(criteria: &Criteria<'_>, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> bool {
    let Ok(selector) = parse(criteria.objects) else { return false };
    let matches = |metadata: &ObjectMeta| selector.matches_optional(metadata.labels.as_ref());
    selector.is_everything()
        || object.is_some_and(|object| matches(object.metadata()))
        || attributes.old.is_some_and(|old| matches(old.metadata()))
}

/// Objects without a namespace are always meant; a Namespace is asked for by its own labels.
fn matches_namespace(
    criteria: &Criteria<'_>,
    attributes: &Attributes<'_>,
    object: Option<&dyn AnyResource>,
) -> Result<bool, Status> {
    let is_namespace = attributes.kind.group_resource() == GroupResource::of::<Namespace>();
    if attributes.target.namespace.is_empty() && !is_namespace {
        return Ok(true);
    }
    let selector = parse(criteria.namespaces)?;
    if selector.is_everything() {
        return Ok(true);
    }
    let is_written = matches!(attributes.operation, Operation::Create | Operation::Update);
    if let Some(object) = object.filter(|_| is_namespace && is_written && attributes.target.subresource.is_empty()) {
        return Ok(selector.matches_optional(object.metadata().labels.as_ref()));
    }
    let name = if is_namespace { &attributes.target.name } else { &attributes.target.namespace };
    let namespace = attributes.world.get::<Namespace>("", name);
    let namespace = namespace.ok_or_else(|| Status::not_found(&GroupResource::of::<Namespace>(), name))?;
    Ok(selector.matches_optional(namespace.metadata.labels.as_ref()))
}
