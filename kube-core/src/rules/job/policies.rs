//! When a Job counts as failed or as succeeded, and when its pods are replaced.

use super::{INDEXED, container_names};
use crate::field::{Error, ErrorKind, Errors, Json, Path};
use crate::rules::check::{items, text};
use k8s_openapi::api::batch::v1::{
    JobSpec, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
    SuccessPolicyRule,
};

const RULES_MAX: usize = 20;
const EXIT_CODES_MAX: usize = 255;
const PATTERNS_MAX: usize = 20;
const INDEXES_BYTES_MAX: usize = 64 * 1024;

pub(super) fn validate(spec: &JobSpec, path: &Path, errors: &mut Errors) {
    if let Some(policy) = &spec.pod_failure_policy {
        let path = path.field("podFailurePolicy.rules");
        if policy.rules.len() > RULES_MAX {
            errors.too_many(&path, policy.rules.len(), RULES_MAX);
        }
        for (index, rule) in policy.rules.iter().enumerate() {
            validate_failure_rule(spec, rule, &path.index(index), errors);
        }
    }
    if let Some(policy) = &spec.success_policy {
        let path = path.field("successPolicy");
        if spec.completion_mode.as_deref() != Some(INDEXED) {
            errors.invalid(&path, Json(policy), "requires indexed completion mode");
        } else {
            validate_success_rules(spec, &policy.rules, &path.field("rules"), errors);
        }
    }
    let supported: &[&str] =
        if spec.pod_failure_policy.is_some() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    errors.any_of(&path.field("podReplacementPolicy"), &spec.pod_replacement_policy, supported);
}

/// Upstream leaves the value out of these.
fn invalid_whole(path: &Path, detail: &str, errors: &mut Errors) {
    errors.push(Error {
        kind: ErrorKind::Invalid,
        field: path.to_string(),
        bad_value: None,
        detail: detail.to_owned(),
    });
}

fn validate_failure_rule(spec: &JobSpec, rule: &PodFailurePolicyRule, path: &Path, errors: &mut Errors) {
    let action_path = path.field("action");
    match rule.action.as_str() {
        "" => errors.required(&action_path, "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"),
        "FailIndex" if spec.backoff_limit_per_index.is_none() => {
            errors.invalid(&action_path, "FailIndex", "requires the backoffLimitPerIndex to be set");
        }
        action => errors.one_of(&action_path, action, &["Count", "FailIndex", "FailJob", "Ignore"]),
    }
    let patterns = items(&rule.on_pod_conditions);
    if let Some(codes) = &rule.on_exit_codes {
        validate_exit_codes(spec, codes, &path.field("onExitCodes"), errors);
    }
    if !patterns.is_empty() {
        validate_patterns(patterns, &path.field("onPodConditions"), errors);
    }
    match (&rule.on_exit_codes, patterns.is_empty()) {
        (Some(_), false) => {
            invalid_whole(path, "specifying both OnExitCodes and OnPodConditions is not supported", errors);
        }
        (None, true) => invalid_whole(path, "specifying one of OnExitCodes and OnPodConditions is required", errors),
        _ => {}
    }
}

fn validate_patterns(patterns: &[PodFailurePolicyOnPodConditionsPattern], path: &Path, errors: &mut Errors) {
    if patterns.len() > PATTERNS_MAX {
        errors.too_many(path, patterns.len(), PATTERNS_MAX);
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let path = path.index(index);
        errors.qualified_name(&path.field("type"), &pattern.type_);
        match text(&pattern.status) {
            "" => errors.required(&path.field("status"), "valid values: [\"False\" \"True\" \"Unknown\"]"),
            status => errors.one_of(&path.field("status"), status, &["False", "True", "Unknown"]),
        }
    }
}

fn validate_exit_codes(
    spec: &JobSpec,
    codes: &PodFailurePolicyOnExitCodesRequirement,
    path: &Path,
    errors: &mut Errors,
) {
    match codes.operator.as_str() {
        "" => errors.required(&path.field("operator"), "valid values: [\"In\" \"NotIn\"]"),
        operator => errors.one_of(&path.field("operator"), operator, &["In", "NotIn"]),
    }
    if let Some(name) = &codes.container_name
        && !container_names(&spec.template).any(|known| known == name)
    {
        let message = "must be one of the container or initContainer names in the pod template";
        errors.invalid(&path.field("containerName"), name, message);
    }
    let (path, values) = (path.field("values"), codes.values.as_slice());
    if values.is_empty() {
        errors.invalid(&path, Json(values), "at least one value is required");
    } else if values.len() > EXIT_CODES_MAX {
        errors.too_many(&path, values.len(), EXIT_CODES_MAX);
    }
    for (index, value) in values.iter().enumerate() {
        if codes.operator == "In" && *value == 0 {
            errors.invalid(&path.index(index), *value, "must not be 0 for the In operator");
        }
        if values.iter().take(index).any(|earlier| earlier == value) {
            errors.duplicate(&path.index(index), *value);
        }
    }
    if !values.is_sorted() {
        errors.invalid(&path, Json(values), "must be ordered");
    }
}

fn validate_success_rules(spec: &JobSpec, rules: &[SuccessPolicyRule], path: &Path, errors: &mut Errors) {
    if rules.is_empty() {
        errors.required(path, "at least one rules must be specified when the successPolicy is specified");
    }
    if rules.len() > RULES_MAX {
        errors.too_many(path, rules.len(), RULES_MAX);
    }
    for (index, rule) in rules.iter().enumerate() {
        validate_success_rule(rule, spec.completions.unwrap_or(0), &path.index(index), errors);
    }
}

fn validate_success_rule(rule: &SuccessPolicyRule, completions: i32, path: &Path, errors: &mut Errors) {
    if rule.succeeded_count.is_none() && rule.succeeded_indexes.is_none() {
        errors.required(path, "at least one of succeededCount or succeededIndexes must be specified");
    }
    let mut listed = 0;
    if let Some(indexes) = &rule.succeeded_indexes {
        let path = path.field("succeededIndexes");
        if indexes.len() > INDEXES_BYTES_MAX {
            errors.too_long(&path, INDEXES_BYTES_MAX);
        }
        match count_indexes(indexes, completions) {
            Ok(count) => listed = count,
            Err(reason) => errors.invalid(&path, indexes, format!("error parsing succeededIndexes: {reason}")),
        }
    }
    let Some(count) = rule.succeeded_count else { return };
    let path = path.field("succeededCount");
    errors.non_negative(&path, count);
    if count > completions {
        let message = format!("must be less than or equal to {completions} (the number of specified completions)");
        errors.invalid(&path, count, message);
    }
    if rule.succeeded_indexes.is_some() && count > listed {
        let message = format!(
            "must be less than or equal to {listed} (the number of indexes in the specified succeededIndexes field)"
        );
        errors.invalid(&path, count, message);
    }
}

/// How many indexes `1,3-5` lists.
fn count_indexes(text: &str, completions: i32) -> Result<i32, String> {
    let mut last = None;
    let mut total = 0;
    for interval in text.split(',').filter(|_| !text.is_empty()) {
        let (first, end) = parse_interval(interval, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

fn parse_interval(interval: &str, completions: i32) -> Result<(i32, i32), String> {
    let parse = |text: &str| match text.parse::<i32>() {
        Err(_) => Err(format!("cannot convert string to integer for index: {text:?}")),
        Ok(index) if index >= completions => Err(format!("too large index: {text:?}")),
        Ok(index) => Ok(index),
    };
    match interval.split_once('-') {
        None => parse(interval).map(|index| (index, index)),
        Some((_, rest)) if rest.contains('-') => Err(format!(
            "the fragment {interval:?} violates the requirement that an index interval can have at most two parts separated by '-'"
        )),
        Some((first, end)) => match (parse(first)?, parse(end)?) {
            (first, end) if first >= end => Err(format!("non-increasing order, previous: {first}, current: {end}")),
            interval => Ok(interval),
        },
    }
}
