//! What a Job's policies say: about a failed pod, and about indexes that succeeded. Source: `pod_failure_policy.go`,
//! `success_policy.go`.

use k8s_openapi::api::batch::v1::{
    PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule, SuccessPolicy, SuccessPolicyRule,
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::indexes::Indexes;

/// What follows from the failure of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It counts.
    Counts,
    /// It does not count.
    Ignored,
    /// It counts, and its index has failed for good.
    FailsIndex,
    /// It counts, and the whole Job has failed, for this reason.
    FailsJob(String),
}

/// The verdict of the first rule that matches.
pub(super) fn verdict(policy: Option<&PodFailurePolicy>, pod: &Pod) -> Verdict {
    let rules = policy.into_iter().flat_map(|policy| &policy.rules).enumerate();
    for (position, rule) in rules {
        let Some(cause) = cause(rule, pod) else { continue };
        match rule.action.as_str() {
            "Ignore" => return Verdict::Ignored,
            "Count" => return Verdict::Counts,
            "FailIndex" => return Verdict::FailsIndex,
            "FailJob" => return Verdict::FailsJob(format!("{cause} matching FailJob rule at index {position}")),
            _ => {}
        }
    }
    Verdict::Counts
}

/// By what a rule matches.
fn cause(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    let metadata = &pod.metadata;
    let place = format!("{}/{}", metadata.namespace.as_deref().unwrap_or(""), metadata.name.as_deref().unwrap_or(""));
    let status = pod.status.as_ref()?;
    if let Some(required) = &rule.on_exit_codes {
        let main = status.container_statuses.iter().flatten();
        let all = main.chain(status.init_container_statuses.iter().flatten());
        let (container, code) = all.filter_map(|container| Some((container, bad_exit(container, required)?))).next()?;
        return Some(format!("Container {} for pod {place} failed with exit code {code}", container.name));
    }
    let patterns = rule.on_pod_conditions.as_ref()?;
    let matching = status.conditions.iter().flatten().find(|condition| {
        let fits = |status: &Option<String>| status.as_deref().unwrap_or("True") == condition.status;
        patterns.iter().any(|pattern| pattern.type_ == condition.type_ && fits(&pattern.status))
    })?;
    Some(format!("Pod {place} has condition {}", matching.type_))
}

/// The exit code of a container, if it is bad and asked for.
fn bad_exit(container: &ContainerStatus, required: &PodFailurePolicyOnExitCodesRequirement) -> Option<i32> {
    let code = container.state.as_ref()?.terminated.as_ref()?.exit_code;
    let named = required.container_name.as_ref().is_none_or(|name| *name == container.name);
    let asked = match required.operator.as_str() {
        "In" => required.values.contains(&code),
        "NotIn" => !required.values.contains(&code),
        _ => false,
    };
    (code != 0 && named && asked).then_some(code)
}

/// What is told if enough indexes have succeeded.
pub(super) fn is_met(policy: Option<&SuccessPolicy>, completions: i32, succeeded: &Indexes) -> Option<String> {
    let rules = policy?.rules.iter();
    let position = rules.clone().position(|rule| succeeded.total() > 0 && rule_is_met(rule, completions, succeeded))?;
    Some(format!("Matched rules at index {position}"))
}

fn rule_is_met(rule: &SuccessPolicyRule, completions: i32, succeeded: &Indexes) -> bool {
    match &rule.succeeded_indexes {
        Some(text) => {
            let required = Indexes::parse(text, completions);
            succeeded.in_common(&required) >= rule.succeeded_count.unwrap_or(required.total())
        }
        None => rule.succeeded_count.is_some_and(|count| succeeded.total() >= count),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(rules: Value, expected: Verdict) {
        let policy = serde_json::from_value(json!({"rules": rules})).unwrap();
        let ended = |name: &str, code: i32| json!({"name": name, "state": {"terminated": {"exitCode": code}}, "ready": false, "image": "", "imageID": "", "restartCount": 0});
        let pod = json!({
            "metadata": {"namespace": "default", "name": "a"},
            "status": {
                "containerStatuses": [ended("good", 0), ended("main", 42)], "initContainerStatuses": [ended("init", 7)],
                "conditions": [{"type": "DisruptionTarget", "status": "True"}, {"type": "Ready", "status": "False"}],
            },
        });
        assert_eq!(verdict(Some(&policy), &serde_json::from_value(pod).unwrap()), expected, "{rules}");
    }

    fn codes(action: &str, operator: &str, values: &[i32]) -> Value {
        json!({"action": action, "onExitCodes": {"operator": operator, "values": values}})
    }

    #[test]
    fn the_first_matching_rule_decides() {
        check(json!([]), Verdict::Counts);
        check(json!([codes("Ignore", "In", &[1]), codes("FailIndex", "In", &[42])]), Verdict::FailsIndex);
        check(json!([codes("Count", "In", &[42]), codes("FailIndex", "In", &[42])]), Verdict::Counts);
        check(json!([codes("Ignore", "In", &[7])]), Verdict::Ignored);
        check(json!([codes("Ignore", "NotIn", &[7, 42])]), Verdict::Counts);
        let only_init =
            json!({"action": "Ignore", "onExitCodes": {"containerName": "init", "operator": "In", "values": [42]}});
        check(json!([only_init]), Verdict::Counts);
        let text = "Container main for pod default/a failed with exit code 42 matching FailJob rule at index 1";
        check(
            json!([codes("Ignore", "In", &[1]), codes("FailJob", "NotIn", &[1])]),
            Verdict::FailsJob(text.to_owned()),
        );
        let condition = |kind: &str, status: &str| json!({"action": "FailJob", "onPodConditions": [{"type": kind, "status": status}]});
        check(json!([condition("Ready", "True")]), Verdict::Counts);
        let text = "Pod default/a has condition DisruptionTarget matching FailJob rule at index 0";
        check(json!([condition("DisruptionTarget", "True")]), Verdict::FailsJob(text.to_owned()));
    }

    #[test]
    fn success_needs_the_right_indexes_or_enough_of_them() {
        for (rule, succeeded, met) in [
            (json!({"succeededIndexes": "0-2"}), "0,1", false),
            (json!({"succeededIndexes": "0-2"}), "0-2,5", true),
            (json!({"succeededIndexes": "0-2", "succeededCount": 2}), "1,2", true),
            (json!({"succeededIndexes": "0-2", "succeededCount": 2}), "2-5", false),
            (json!({"succeededCount": 3}), "2,5,7", true),
            (json!({"succeededCount": 3}), "2,5", false),
        ] {
            let policy = serde_json::from_value(json!({"rules": [rule]})).unwrap();
            let expected = met.then(|| "Matched rules at index 0".to_owned());
            assert_eq!(is_met(Some(&policy), 10, &Indexes::parse(succeeded, 10)), expected, "{rule} {succeeded}");
        }
    }
}
