//! Which webhooks a request concerns. Source: `plugin/webhook/generic/webhook.go`, `predicates/{rules,namespace,object}`.

use std::sync::Arc;

use coracle_core::selector::Selector;
use coracle_core::{AnyResource, GroupResource, Kind, Status};
use k8s_openapi::api::admissionregistration::v1::RuleWithOperations;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use super::super::{Attributes, Operation};
use super::config::Webhook;

/// A webhook that is to be called, and the version in which it wants the object.
pub(super) struct Invocation<'a> {
    pub(super) webhook: &'a Webhook<'a>,
    pub(super) kind: Arc<Kind>,
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

/// Whether a webhook is to be called, and in which version.
pub(super) async fn should_call<'a>(
    attributes: &Attributes<'_>,
    webhook: &'a Webhook<'a>,
    object: Option<&dyn AnyResource>,
) -> Result<Option<Invocation<'a>>, Status> {
    if !matches_object(webhook, attributes, object) {
        return Ok(None);
    }
    let Some(kind) = wanted_kind(webhook, attributes) else { return Ok(None) };
    if !matches_namespace(webhook, attributes, object)? {
        return Ok(None);
    }
    let invocation = Invocation { webhook, kind };
    let is_meant = super::call::matches_conditions(attributes, &invocation, object).await?;
    Ok(is_meant.then_some(invocation))
}

/// The version in which a webhook wants the object: the one that was asked, or an equivalent one that its rules name.
fn wanted_kind(webhook: &Webhook<'_>, attributes: &Attributes<'_>) -> Option<Arc<Kind>> {
    let matches = |kind: &Kind| webhook.rules.iter().any(|rule| matches_rule(rule, attributes, kind));
    if matches(attributes.kind) {
        return Some(Arc::new(attributes.kind.clone()));
    }
    if !webhook.matches_equivalents {
        return None;
    }
    let subresource = &*attributes.target.subresource;
    let is_equivalent = |kind: &Kind| {
        let is_same = kind.group == attributes.kind.group && kind.version == attributes.kind.version;
        kind.storage == attributes.kind.storage
            && !is_same
            && (subresource.is_empty() || kind.subresource(subresource).is_some())
    };
    let rows: Vec<&Arc<Kind>> = attributes.world.kinds().iter().filter(|kind| is_equivalent(kind)).collect();
    let by_rule = webhook.rules.iter().find_map(|rule| rows.iter().find(|row| matches_rule(rule, attributes, row)));
    by_rule.map(|row| (*row).clone())
}

fn matches_rule(rule: &RuleWithOperations, attributes: &Attributes<'_>, kind: &Kind) -> bool {
    let has = |list: &Option<Vec<String>>, value: &str| list.iter().flatten().any(|item| item == "*" || item == value);
    let is_namespace = kind.group.is_empty() && kind.plural == "namespaces";
    let is_namespaced = kind.namespaced && !is_namespace;
    let scope = match rule.scope.as_deref() {
        Some("Namespaced") => is_namespaced,
        Some("Cluster") => !is_namespaced,
        _ => true,
    };
    scope
        && has(&rule.operations, operation_word(attributes.operation))
        && has(&rule.api_groups, &kind.group)
        && has(&rule.api_versions, &kind.version)
        && rule.resources.iter().flatten().any(|named| names(named, &kind.plural, &attributes.target.subresource))
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
fn matches_object(webhook: &Webhook<'_>, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> bool {
    let Ok(selector) = parse(webhook.objects) else { return false };
    let matches = |metadata: &ObjectMeta| selector.matches_optional(metadata.labels.as_ref());
    selector.is_everything()
        || object.is_some_and(|object| matches(object.metadata()))
        || attributes.old.is_some_and(|old| matches(old.metadata()))
}

/// Objects without a namespace are always meant; a Namespace is asked for by its own labels.
fn matches_namespace(
    webhook: &Webhook<'_>,
    attributes: &Attributes<'_>,
    object: Option<&dyn AnyResource>,
) -> Result<bool, Status> {
    let is_namespace = attributes.kind.group_resource() == GroupResource::of::<Namespace>();
    if attributes.target.namespace.is_empty() && !is_namespace {
        return Ok(true);
    }
    let selector = parse(webhook.namespaces)?;
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
