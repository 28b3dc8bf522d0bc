//! MutatingWebhookConfiguration and ValidatingWebhookConfiguration.

use super::check::{items, text};
use super::matching::{self, FAILURE_POLICIES, MATCH_POLICIES};
use super::{Ruled, fill, same};
use crate::field::{Errors, Json, Path, format};
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference, ValidatingWebhookConfiguration,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// Versions of AdmissionReview of which a webhook must take one.
const REVIEW_VERSIONS: &[&str] = &["v1", "v1beta1"];
const SIDE_EFFECTS: &[&str] = &["None", "NoneOnDryRun"];
const PATH: Path<'static> = Path::new("webhooks");

/// What both sorts of webhook have.
struct Webhook<'a> {
    name: &'a str,
    review_versions: &'a [String],
    rules: &'a [RuleWithOperations],
    failure_policy: &'a Option<String>,
    match_policy: &'a Option<String>,
    side_effects: &'a str,
    timeout_seconds: Option<i32>,
    namespace_selector: Option<&'a LabelSelector>,
    object_selector: Option<&'a LabelSelector>,
    reinvocation_policy: Option<&'a str>,
    client: &'a WebhookClientConfig,
    match_conditions: &'a [MatchCondition],
}

macro_rules! webhook {
    ($hook:expr, $reinvocation_policy:expr) => {
        Webhook {
            name: &$hook.name,
            review_versions: &$hook.admission_review_versions,
            rules: items(&$hook.rules),
            failure_policy: &$hook.failure_policy,
            match_policy: &$hook.match_policy,
            side_effects: &$hook.side_effects,
            timeout_seconds: $hook.timeout_seconds,
            namespace_selector: $hook.namespace_selector.as_ref(),
            object_selector: $hook.object_selector.as_ref(),
            reinvocation_policy: $reinvocation_policy,
            client: &$hook.client_config,
            match_conditions: items(&$hook.match_conditions),
        }
    };
}

macro_rules! fill_webhook {
    ($hook:expr) => {
        fill::value(&mut $hook.failure_policy, "Fail".to_owned());
        fill::value(&mut $hook.match_policy, "Equivalent".to_owned());
        $hook.namespace_selector.get_or_insert_default();
        $hook.object_selector.get_or_insert_default();
        fill::value(&mut $hook.timeout_seconds, 10);
        $hook.rules.iter_mut().flatten().for_each(|rule| matching::fill_scope(&mut rule.scope));
        if let Some(service) = &mut $hook.client_config.service {
            fill::value(&mut service.port, 443);
        }
    };
}

impl Ruled for MutatingWebhookConfiguration {
    const HAS_GENERATION: bool = true;

    fn fill_defaults(&mut self) {
        for hook in self.webhooks.iter_mut().flatten() {
            fill_webhook!(hook);
            fill::value(&mut hook.reinvocation_policy, "Never".to_owned());
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let hooks = items(&self.webhooks).iter();
        let hooks = hooks.map(|hook| webhook!(hook, hook.reinvocation_policy.as_deref()));
        validate_all(hooks.collect(), true, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        let conditions =
            |all: &Self| items(&all.webhooks).iter().map(|it| it.match_conditions.clone()).collect::<Vec<_>>();
        let hooks = items(&self.webhooks).iter().map(|hook| webhook!(hook, hook.reinvocation_policy.as_deref()));
        validate_all(hooks.collect(), conditions(self) != conditions(old), errors);
    }

    fn spec_changed(&self, old: &Self) -> bool {
        !same(&self.webhooks, &old.webhooks)
    }
}

impl Ruled for ValidatingWebhookConfiguration {
    const HAS_GENERATION: bool = true;

    fn fill_defaults(&mut self) {
        for hook in self.webhooks.iter_mut().flatten() {
            fill_webhook!(hook);
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let hooks = items(&self.webhooks).iter();
        validate_all(hooks.map(|hook| webhook!(hook, None)).collect(), true, errors);
    }

    fn validate_update(&self, old: &Self, errors: &mut Errors) {
        let conditions =
            |all: &Self| items(&all.webhooks).iter().map(|it| it.match_conditions.clone()).collect::<Vec<_>>();
        let hooks = items(&self.webhooks).iter().map(|hook| webhook!(hook, None));
        validate_all(hooks.collect(), conditions(self) != conditions(old), errors);
    }

    fn spec_changed(&self, old: &Self) -> bool {
        !same(&self.webhooks, &old.webhooks)
    }
}

/// Match conditions that have not changed are left alone.
fn validate_all(hooks: Vec<Webhook>, has_new_conditions: bool, errors: &mut Errors) {
    for (index, hook) in hooks.iter().enumerate() {
        let path = PATH.index(index);
        validate(hook, &path, errors);
        if has_new_conditions {
            matching::validate_conditions(hook.match_conditions, false, &path.field("matchConditions"), errors);
        }
        validate_review_versions(hook.review_versions, &path.field("admissionReviewVersions"), errors);
        if !hook.name.is_empty() && hooks.iter().take(index).any(|earlier| earlier.name == hook.name) {
            errors.duplicate(&path.field("name"), hook.name);
        }
    }
}

fn validate(hook: &Webhook, path: &Path, errors: &mut Errors) {
    errors.fully_qualified_name(&path.field("name"), hook.name);
    for (index, rule) in hook.rules.iter().enumerate() {
        matching::validate_rule(&rule.into(), &path.field("rules").index(index), errors);
    }
    errors.any_of(&path.field("failurePolicy"), hook.failure_policy, FAILURE_POLICIES);
    errors.any_of(&path.field("matchPolicy"), hook.match_policy, MATCH_POLICIES);
    match hook.side_effects {
        "" => errors.required(&path.field("sideEffects"), "must specify one of None, NoneOnDryRun"),
        given => errors.one_of(&path.field("sideEffects"), given, SIDE_EFFECTS),
    }
    if let Some(seconds) = hook.timeout_seconds.filter(|seconds| !(1..=30).contains(seconds)) {
        let message = "the timeout value must be between 1 and 30 seconds";
        errors.invalid(&path.field("timeoutSeconds"), seconds, message);
    }
    errors.label_selector(&path.field("namespaceSelector"), hook.namespace_selector);
    errors.label_selector(&path.field("objectSelector"), hook.object_selector);
    if let Some(policy) = hook.reinvocation_policy {
        errors.one_of(&path.field("reinvocationPolicy"), policy, &["IfNeeded", "Never"]);
    }
    let client = path.field("clientConfig");
    match (&hook.client.url, &hook.client.service) {
        (Some(url), None) => validate_url(url, &client.field("url"), errors),
        (None, Some(service)) => validate_service(service, &client.field("service"), errors),
        _ => errors.required(&client, "exactly one of url or service is required"),
    }
}

fn validate_review_versions(versions: &[String], path: &Path, errors: &mut Errors) {
    let known = REVIEW_VERSIONS.join(", ");
    if versions.is_empty() {
        return errors.required(path, std::format!("must specify one of {known}"));
    }
    for (index, version) in versions.iter().enumerate() {
        if versions.iter().take(index).any(|earlier| earlier == version) {
            errors.invalid(&path.index(index), version, "duplicate version");
        } else {
            errors.invalid_each(&path.index(index), version, format::dns1035_label(version));
        }
    }
    if !versions.iter().any(|version| REVIEW_VERSIONS.contains(&version.as_str())) {
        errors.invalid(path, Json(versions), std::format!("must include at least one of {known}"));
    }
}

/// Takes a URL apart as far as the rules ask. Escapes that Go's parser would refuse are not looked at.
fn validate_url(url: &str, path: &Path, errors: &mut Errors) {
    const FORM: &str = "; desired format: https://host[/path]";
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = rest.split_once(':').unwrap_or(("", rest));
    let authority = rest.strip_prefix("//").map_or("", |rest| rest.split('/').next().unwrap_or_default());
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if scheme != "https" {
        errors.invalid(path, scheme, "'https' is the only allowed URL scheme".to_owned() + FORM);
    }
    if host.is_empty() {
        errors.invalid(path, host, "host must be specified".to_owned() + FORM);
    }
    if let Some(user) = user {
        errors.invalid(path, user, "user information is not permitted in the URL");
    }
    if !fragment.is_empty() {
        errors.invalid(path, fragment, "fragments are not permitted in the URL");
    }
    if !query.is_empty() {
        errors.invalid(path, query, "query parameters are not permitted in the URL");
    }
}

fn validate_service(service: &ServiceReference, path: &Path, errors: &mut Errors) {
    // Upstream hands over name and namespace in the wrong order, so a missing one is reported as the other.
    errors.given(&path.field("name"), &service.namespace);
    errors.given(&path.field("namespace"), &service.name);
    errors.port_of_service(&path.field("port"), service.port.unwrap_or(0));
    let (path, written) = (path.field("path"), text(&service.path));
    if matches!(written, "" | "/") {
        return;
    }
    if written == "//" {
        return errors.invalid(&path, written, "segment[0] may not be empty");
    }
    if !written.starts_with('/') {
        errors.invalid(&path, written, "must start with a '/'");
    }
    // As upstream, the first character goes whatever it is.
    let steps: String = written.chars().skip(1).collect();
    for (index, step) in steps.strip_suffix('/').unwrap_or(&steps).split('/').enumerate() {
        if step.is_empty() {
            errors.invalid(&path, written, std::format!("segment[{index}] may not be empty"));
            continue;
        }
        for message in format::dns1123_subdomain(step) {
            errors.invalid(&path, written, std::format!("segment[{index}]: {message}"));
        }
    }
}
