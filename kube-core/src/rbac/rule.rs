//! Whether one rule allows what is asked. Source: `pkg/apis/rbac/v1/evaluation_helpers.go`.

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::access::{Access, Place, What};

/// Whether a rule allows it.
#[must_use]
pub fn allows(rule: &PolicyRule, access: &Access<'_>) -> bool {
    any(&rule.verbs, access.verb)
        && match access.what {
            What::Resource(place) => allows_place(rule, &place),
            What::Path(path) => items(&rule.non_resource_urls).iter().any(|pattern| url_covers(pattern, path)),
        }
}

fn allows_place(rule: &PolicyRule, place: &Place<'_>) -> bool {
    let names = items(&rule.resource_names);
    any(items(&rule.api_groups), place.group)
        && items(&rule.resources).iter().any(|resource| names_resource(resource, place))
        && (names.is_empty() || names.iter().any(|name| name == place.name))
}

/// `*`, `pods`, `pods/log` or `*/scale`. `pods` alone does not mean what is below pods.
fn names_resource(named: &str, place: &Place<'_>) -> bool {
    if named == "*" {
        return true;
    }
    match named.split_once('/') {
        None => place.subresource.is_empty() && named == place.resource,
        Some((resource, subresource)) => {
            !place.subresource.is_empty()
                && subresource == place.subresource
                && (resource == "*" || resource == place.resource)
        }
    }
}

/// Whether a pattern such as `/healthz/*` covers a path or another pattern. Only a `*` at the end is special.
pub(super) fn url_covers(pattern: &str, path: &str) -> bool {
    pattern == path || (pattern.ends_with('*') && path.starts_with(pattern.trim_end_matches('*')))
}

fn any(allowed: &[String], asked: &str) -> bool {
    allowed.iter().any(|allowed| allowed == "*" || allowed == asked)
}

pub(super) fn items<T>(list: &Option<Vec<T>>) -> &[T] {
    list.as_deref().unwrap_or_default()
}
