//! MutatingWebhookConfiguration, ValidatingWebhookConfiguration and APIService: what the API server calls out to.
//!
//! Match conditions are not compiled. Source: `pkg/apis/admissionregistration/{v1/defaults,validation/validation}.go`,
//! kube-aggregator `apiregistration/validation`.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, RuleWithOperations, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;

use super::check::{is_repeated, items, text};
use super::{Ruled, fill, status_apart};
use crate::field::{Errors, Json, Path, format};
use crate::selector::Selector;

const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];
const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];

/// The two kinds of webhooks have the same fields but one, for which a kind fills and checks more.
macro_rules! webhooks {
    ($configuration:ty, $fill:expr, $check:expr) => {
        impl Ruled for $configuration {
            const HAS_GENERATION: bool = true;

            fn spec_changed(&self, old: &Self) -> bool {
                !super::same(&self.webhooks, &old.webhooks)
            }

            fn fill_defaults(&mut self) {
                for webhook in self.webhooks.iter_mut().flatten() {
                    fill::value(&mut webhook.failure_policy, "Fail".to_owned());
                    fill::value(&mut webhook.match_policy, "Equivalent".to_owned());
                    fill::value(&mut webhook.namespace_selector, LabelSelector::default());
                    fill::value(&mut webhook.object_selector, LabelSelector::default());
                    fill::value(&mut webhook.timeout_seconds, 10);
                    for rule in webhook.rules.iter_mut().flatten() {
                        fill::value(&mut rule.scope, "*".to_owned());
                    }
                    if let Some(service) = &mut webhook.client_config.service {
                        fill::value(&mut service.port, 443);
                    }
                    $fill(webhook);
                }
            }

            fn validate(&self, errors: &mut Errors) {
                let all = Path::new("webhooks");
                let webhooks = items(&self.webhooks);
                for (index, webhook) in webhooks.iter().enumerate() {
                    let path = all.index(index);
                    check_name(&path.field("name"), &webhook.name, errors);
                    check_rules(&path.field("rules"), items(&webhook.rules), errors);
                    errors.any_of(&path.field("failurePolicy"), &webhook.failure_policy, &["Fail", "Ignore"]);
                    errors.any_of(&path.field("matchPolicy"), &webhook.match_policy, &["Equivalent", "Exact"]);
                    check_side_effects(&path.field("sideEffects"), &webhook.side_effects, errors);
                    if let Some(seconds) = webhook.timeout_seconds.filter(|seconds| !(1..=30).contains(seconds)) {
                        let why = "the timeout value must be between 1 and 30 seconds";
                        errors.invalid(&path.field("timeoutSeconds"), seconds, why);
                    }
                    check_selector(&path.field("namespaceSelector"), webhook.namespace_selector.as_ref(), errors);
                    check_selector(&path.field("objectSelector"), webhook.object_selector.as_ref(), errors);
                    check_client(&path.field("clientConfig"), &webhook.client_config, errors);
                    $check(&path, webhook, errors);
                    let versions = &webhook.admission_review_versions;
                    check_review_versions(&path.field("admissionReviewVersions"), versions, errors);
                    if is_repeated(webhooks, index, |webhook| webhook.name.clone()) {
                        errors.duplicate(&path.field("name"), &webhook.name);
                    }
                }
            }
        }
    };
}

webhooks!(ValidatingWebhookConfiguration, |_: &mut _| {}, |_: &Path, _: &_, _: &mut Errors| {});

webhooks!(
    MutatingWebhookConfiguration,
    |webhook: &mut k8s_openapi::api::admissionregistration::v1::MutatingWebhook| {
        fill::value(&mut webhook.reinvocation_policy, "Never".to_owned());
    },
    |path: &Path, webhook: &k8s_openapi::api::admissionregistration::v1::MutatingWebhook, errors: &mut Errors| {
        errors.any_of(&path.field("reinvocationPolicy"), &webhook.reinvocation_policy, &["IfNeeded", "Never"]);
    }
);

/// Source: `utilvalidation.IsFullyQualifiedName`.
fn check_name(path: &Path, name: &str, errors: &mut Errors) {
    if !errors.given(path, name) {
        return;
    }
    let messages = format::dns1123_subdomain(name);
    if messages.is_empty() && name.split('.').count() < 3 {
        errors.invalid(path, name, "should be a domain with at least three segments separated by dots");
    }
    errors.invalid_joined(path, name, messages);
}

fn check_side_effects(path: &Path, side_effects: &str, errors: &mut Errors) {
    match side_effects {
        "" => errors.required(path, "must specify one of None, NoneOnDryRun"),
        other => errors.one_of(path, other, &["None", "NoneOnDryRun"]),
    }
}

fn check_selector(path: &Path, selector: Option<&LabelSelector>, errors: &mut Errors) {
    if let Some(error) = selector.and_then(|selector| Selector::from_label_selector(Some(selector)).err()) {
        errors.invalid(path, Json(&selector), error.to_string());
    }
}

fn check_rules(path: &Path, rules: &[RuleWithOperations], errors: &mut Errors) {
    for (index, rule) in rules.iter().enumerate() {
        let path = path.index(index);
        let mut list = |name: &'static str, list: &[String], others: &str| {
            let path = path.field(name);
            if list.is_empty() {
                errors.required(&path, "");
            } else if list.len() > 1 && list.iter().any(|item| item == "*") {
                errors.invalid(&path, Json(list), format!("if '*' is present, must not specify other {others}"));
            }
        };
        list("operations", items(&rule.operations), "operations");
        list("apiGroups", items(&rule.api_groups), "API groups");
        list("apiVersions", items(&rule.api_versions), "API versions");
        for (at, operation) in items(&rule.operations).iter().enumerate() {
            errors.one_of(&path.field("operations").index(at), operation, &OPERATIONS);
        }
        for (at, version) in items(&rule.api_versions).iter().enumerate() {
            errors.given(&path.field("apiVersions").index(at), version);
        }
        check_resources(&path.field("resources"), items(&rule.resources), errors);
        errors.any_of(&path.field("scope"), &rule.scope, &["*", "Cluster", "Namespaced"]);
    }
}

/// Source: `validateResources`.
fn check_resources(path: &Path, resources: &[String], errors: &mut Errors) {
    if resources.is_empty() {
        errors.required(path, "");
    }
    let has = |wanted: &str, before: usize| resources.iter().take(before).any(|resource| resource == wanted);
    for (index, named) in resources.iter().enumerate() {
        if !errors.given(&path.index(index), named) {
            continue;
        }
        let Some((resource, below)) = named.split_once('/') else { continue };
        for wider in [format!("{resource}/*"), format!("*/{below}")] {
            if has(&wider, index) {
                errors.invalid(&path.index(index), named, format!("if '{wider}' is present, must not specify {named}"));
            }
        }
    }
    let count = resources.len();
    if count > 1 && has("*/*", count) {
        errors.invalid(path, Json(resources), "if '*/*' is present, must not specify other resources");
    }
    if has("*", count) && resources.iter().any(|resource| resource != "*" && !resource.contains('/')) {
        let why = "if '*' is present, must not specify other resources without subresources";
        errors.invalid(path, Json(resources), why);
    }
}

/// Source: apiserver `util/webhook.Validate{WebhookURL,WebhookService}`.
fn check_client(path: &Path, client: &WebhookClientConfig, errors: &mut Errors) {
    match (&client.url, &client.service) {
        (Some(url), None) => check_url(&path.field("url"), url, errors),
        (None, Some(service)) => {
            let path = path.field("service");
            if service.name.is_empty() {
                errors.required(&path.field("name"), "service name is required");
            }
            if service.namespace.is_empty() {
                errors.required(&path.field("namespace"), "service namespace is required");
            }
            check_port(&path.field("port"), service.port, errors);
            if service.path.as_deref().is_some_and(|path| !path.is_empty() && !path.starts_with('/')) {
                errors.invalid(&path.field("path"), text(&service.path), "must start with a '/'");
            }
        }
        _ => errors.required(path, "exactly one of url or service is required"),
    }
}

fn check_port(path: &Path, port: Option<i32>, errors: &mut Errors) {
    let port = i64::from(port.unwrap_or(443));
    for message in format::port_number(port) {
        errors.invalid(path, port, format!("port is not valid: {message}"));
    }
}

fn check_url(path: &Path, url: &str, errors: &mut Errors) {
    const FORM: &str = "; desired format: https://host[/path]";
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split('/').next().unwrap_or_default();
    if scheme != "https" {
        errors.invalid(path, scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if host.is_empty() {
        errors.invalid(path, host, format!("host must be specified{FORM}"));
    }
    if host.contains('@') {
        errors.invalid(path, host, "user information is not permitted in the URL");
    }
    if url.contains('#') {
        errors.invalid(path, url, "fragments are not permitted in the URL");
    }
    if url.contains('?') {
        errors.invalid(path, url, "query parameters are not permitted in the URL");
    }
}

fn check_review_versions(path: &Path, versions: &[String], errors: &mut Errors) {
    let known = REVIEW_VERSIONS.join(", ");
    if versions.is_empty() {
        return errors.required(path, format!("must specify one of {known}"));
    }
    for (index, version) in versions.iter().enumerate() {
        if is_repeated(versions, index, String::clone) {
            errors.invalid(&path.index(index), version, "duplicate version");
        } else {
            errors.invalid_each(&path.index(index), version, format::dns1035_label(version));
        }
    }
    if !versions.iter().any(|version| REVIEW_VERSIONS.contains(&version.as_str())) {
        errors.invalid(path, Json(versions), format!("must include at least one of {known}"));
    }
}

impl Ruled for APIService {
    status_apart!();

    fn fill_defaults(&mut self) {
        if let Some(service) = self.spec.as_mut().and_then(|spec| spec.service.as_mut()) {
            fill::value(&mut service.port, 443);
        }
    }

    fn validate(&self, errors: &mut Errors) {
        let spec = self.spec.clone().unwrap_or_default();
        let (group, version) = (text(&spec.group), text(&spec.version));
        let (name, required) = (text(&self.metadata.name), format!("{version}.{group}"));
        if name != required {
            let why = format!("must be `spec.version+\".\"+spec.group`: {required:?}");
            errors.invalid(&Path::new("metadata.name"), name, why);
        }
        let path = Path::new("spec");
        if group.is_empty() && version != "v1" {
            let why = "only v1 may have an empty group and it better be legacy kube";
            errors.required(&path.field("group"), why);
        }
        if !group.is_empty() {
            errors.dns_subdomain(&path.field("group"), group);
        }
        errors.invalid_each(&path.field("version"), version, format::dns1035_label(version));
        for (field, priority, limit) in [
            ("groupPriorityMinimum", spec.group_priority_minimum, 20_000),
            ("versionPriority", spec.version_priority, 1_000),
        ] {
            if priority <= 0 || priority > limit {
                errors.invalid(&path.field(field), priority, format!("must be positive and less than {limit}"));
            }
        }
        let bundle_bytes = spec.ca_bundle.as_ref().map_or(0, |bundle| bundle.0.len());
        let skips = spec.insecure_skip_tls_verify == Some(true);
        let insecure = path.field("insecureSkipTLSVerify");
        let Some(service) = &spec.service else {
            if bundle_bytes > 0 {
                let why = "local APIServices may not have a caBundle";
                errors.invalid(&path.field("caBundle"), format!("{bundle_bytes} bytes"), why);
            }
            if skips {
                errors.invalid(&insecure, true, "local APIServices may not have insecureSkipTLSVerify");
            }
            return;
        };
        let path = path.field("service");
        errors.given(&path.field("namespace"), text(&service.namespace));
        errors.given(&path.field("name"), text(&service.name));
        check_port(&path.field("port"), service.port, errors);
        if skips && bundle_bytes > 0 {
            errors.invalid(&insecure, true, "may not be true if caBundle is present");
        }
    }
}
