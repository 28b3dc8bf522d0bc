//! Nobody grants what they have not. Source: `component-helpers/auth/rbac/validation/policy_comparator.go`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::rule::{items, url_covers};
use crate::request::User;

/// The rules of someone who may do everything.
#[must_use]
pub fn everything() -> Vec<PolicyRule> {
    let star = || Some(vec!["*".to_owned()]);
    let verbs = vec!["*".to_owned()];
    vec![
        PolicyRule { verbs: verbs.clone(), api_groups: star(), resources: star(), ..PolicyRule::default() },
        PolicyRule { verbs, non_resource_urls: star(), ..PolicyRule::default() },
    ]
}

/// What of `wanted` is not covered by `held`, piece by piece; empty if all of it is.
#[must_use]
pub fn missing(held: &[PolicyRule], wanted: &[PolicyRule]) -> Vec<PolicyRule> {
    let pieces = wanted.iter().flat_map(pieces);
    pieces.filter(|piece| !held.iter().any(|rule| covers(rule, piece))).collect()
}

/// The refusal of a user who would grant what they have not.
#[must_use]
pub fn describe_missing(user: &User, missing: Vec<PolicyRule>, unresolved: &[String]) -> String {
    let lines: BTreeSet<String> = compact(missing).iter().map(describe).collect();
    let lines = lines.into_iter().collect::<Vec<_>>().join("\n");
    let mut text = format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{lines}",
        user.name,
        quoted(&user.groups)
    );
    if !unresolved.is_empty() {
        text.push_str(&format!("; resolution errors: [{}]", unresolved.join(" ")));
    }
    text
}

/// A rule of one group, resource, verb and name (or of one URL and verb) for each combination.
fn pieces(rule: &PolicyRule) -> Vec<PolicyRule> {
    let one = |text: &String| Some(vec![text.clone()]);
    let names: Vec<Option<Vec<String>>> = match items(&rule.resource_names) {
        [] => vec![None],
        names => names.iter().map(one).collect(),
    };
    let mut pieces = Vec::new();
    for verb in &rule.verbs {
        let piece = PolicyRule { verbs: vec![verb.clone()], ..PolicyRule::default() };
        for group in items(&rule.api_groups) {
            for resource in items(&rule.resources) {
                pieces.extend(names.iter().map(|names| PolicyRule {
                    api_groups: one(group),
                    resources: one(resource),
                    resource_names: names.clone(),
                    ..piece.clone()
                }));
            }
        }
        let of_url = |url: &String| PolicyRule { non_resource_urls: one(url), ..piece.clone() };
        pieces.extend(items(&rule.non_resource_urls).iter().map(of_url));
    }
    pieces
}

fn covers(held: &PolicyRule, piece: &PolicyRule) -> bool {
    let names = items(&held.resource_names);
    let covers_names = match items(&piece.resource_names) {
        [] => names.is_empty(),
        wanted => names.is_empty() || wanted.iter().all(|name| names.contains(name)),
    };
    covers_names
        && covers_all(&held.verbs, &piece.verbs)
        && covers_all(items(&held.api_groups), items(&piece.api_groups))
        && covers_resources(items(&held.resources), items(&piece.resources))
        && items(&piece.non_resource_urls)
            .iter()
            .all(|wanted| items(&held.non_resource_urls).iter().any(|pattern| url_covers(pattern, wanted)))
}

fn covers_all(held: &[String], wanted: &[String]) -> bool {
    held.iter().any(|held| held == "*") || wanted.iter().all(|wanted| held.contains(wanted))
}

fn covers_resources(held: &[String], wanted: &[String]) -> bool {
    let has = |wanted: &str| held.iter().any(|held| held == wanted);
    let below = |wanted: &str| wanted.split_once('/').is_some_and(|(_, part)| has(&format!("*/{part}")));
    has("*") || wanted.iter().all(|wanted| has(wanted) || below(wanted))
}

/// Rules about the same resource, their verbs together.
fn compact(rules: Vec<PolicyRule>) -> Vec<PolicyRule> {
    let mut simple: BTreeMap<_, PolicyRule> = BTreeMap::new();
    let mut others = Vec::new();
    for rule in rules {
        if !items(&rule.non_resource_urls).is_empty() {
            others.push(rule);
            continue;
        }
        let key = (rule.api_groups.clone(), rule.resources.clone(), rule.resource_names.clone());
        match simple.get_mut(&key) {
            Some(known) => known.verbs.extend(rule.verbs),
            None => drop(simple.insert(key, rule)),
        }
    }
    others.extend(simple.into_values());
    others
}

/// `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`
fn describe(rule: &PolicyRule) -> String {
    let parts = [
        ("APIGroups", items(&rule.api_groups)),
        ("Resources", items(&rule.resources)),
        ("NonResourceURLs", items(&rule.non_resource_urls)),
        ("ResourceNames", items(&rule.resource_names)),
        ("Verbs", &rule.verbs),
    ];
    let told = parts.into_iter().filter(|(_, list)| !list.is_empty());
    let told: Vec<_> = told.map(|(name, list)| format!("{name}:{}", quoted(list))).collect();
    format!("{{{}}}", told.join(", "))
}

/// A list as upstream's messages show it: `["a" "b"]`.
#[must_use]
pub fn quoted(list: &[String]) -> String {
    let list: Vec<_> = list.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", list.join(" "))
}
