//! Which nodes a pod accepts and bears: node selector terms, taints and tolerations. Asked by the scheduler, by DaemonSets and by
//! whoever drives pods off.

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, Taint, Toleration};

/// Whether a toleration bears a taint. An empty effect bears all effects, an empty key with `Exists` all keys.
/// Source: core/v1 `Toleration.ToleratesTaint`.
#[must_use]
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let any = |asked: Option<&str>, given: &str| asked.is_none_or(|asked| asked.is_empty() || asked == given);
    let same_value = || toleration.value.as_deref().unwrap_or("") == taint.value.as_deref().unwrap_or("");
    any(toleration.effect.as_deref(), &taint.effect)
        && any(toleration.key.as_deref(), &taint.key)
        && match toleration.operator.as_deref() {
            Some("Exists") => true,
            None | Some("" | "Equal") => same_value(),
            Some(_) => false,
        }
}

/// Whether a term chooses the node of this name and these labels. An empty term chooses none.
/// Source: component-helpers `nodeaffinity`.
pub fn chooses<'n>(term: &NodeSelectorTerm, name: &'n str, label: &dyn Fn(&str) -> Option<&'n str>) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let field = |key: &str| (key == "metadata.name").then_some(name);
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|requirement| is_met(requirement, label(&requirement.key)))
        && fields.iter().all(|requirement| is_met(requirement, field(&requirement.key)))
}

fn is_met(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = value.is_some_and(|value| values.iter().any(|listed| listed == value));
    let number = |text: &str| text.parse::<i64>().ok();
    let compared = value.and_then(number).zip(values.first().and_then(|bound| number(bound)));
    match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared.is_some_and(|(value, bound)| value > bound),
        "Lt" => compared.is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}
