//! Mutating and validating webhooks as one.

use std::time::Duration;

use coracle_core::{GroupResource, Resource, World};
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ValidatingWebhook,
    ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// Source: `admissionregistration/v1` defaults.
const TIMEOUT_SECONDS: i32 = 10;

/// A webhook as it is configured, with the defaults of what is left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Webhook<'a> {
    pub(super) configuration: &'a str,
    pub(super) index: usize,
    pub(super) name: &'a str,
    pub(super) client: &'a WebhookClientConfig,
    pub(super) rules: &'a [RuleWithOperations],
    pub(super) ignores_failures: bool,
    pub(super) matches_equivalents: bool,
    pub(super) namespaces: Option<&'a LabelSelector>,
    pub(super) objects: Option<&'a LabelSelector>,
    pub(super) side_effects: &'a str,
    pub(super) timeout: Duration,
    pub(super) review_versions: &'a [String],
    pub(super) conditions: &'a [MatchCondition],
    /// Whether it wants to be called again after later changes. Mutating webhooks only.
    pub(super) reinvokes: bool,
}

impl Webhook<'_> {
    /// What it is called in the memory of a request.
    pub(super) fn uid(&self) -> String {
        format!("{}/{}/{}", self.configuration, self.name, self.index)
    }
}

/// A configuration of several webhooks.
pub(super) trait Configuration: Resource {
    fn webhooks(&self) -> Vec<Webhook<'_>>;
}

/// The webhooks of all configurations, by the configurations' names.
pub(super) fn configured<C: Configuration>(world: &World) -> Vec<Webhook<'_>> {
    let objects = world.objects(&GroupResource::of::<C>());
    objects.filter_map(|object| object.get::<C>()).flat_map(Configuration::webhooks).collect()
}

/// The two types have the same fields, but for one.
macro_rules! webhook {
    ($configuration:expr, $index:expr, $webhook:expr, $reinvokes:expr) => {{
        let webhook: &_ = $webhook;
        Webhook {
            configuration: $configuration.metadata.name.as_deref().unwrap_or_default(),
            index: $index,
            name: &webhook.name,
            client: &webhook.client_config,
            rules: webhook.rules.as_deref().unwrap_or_default(),
            ignores_failures: webhook.failure_policy.as_deref() == Some("Ignore"),
            matches_equivalents: webhook.match_policy.as_deref() != Some("Exact"),
            namespaces: webhook.namespace_selector.as_ref(),
            objects: webhook.object_selector.as_ref(),
            side_effects: &webhook.side_effects,
            timeout: Duration::from_secs(
                u64::try_from(webhook.timeout_seconds.unwrap_or(TIMEOUT_SECONDS)).unwrap_or_default(),
            ),
            review_versions: &webhook.admission_review_versions,
            conditions: webhook.match_conditions.as_deref().unwrap_or_default(),
            reinvokes: $reinvokes,
        }
    }};
}

impl Configuration for MutatingWebhookConfiguration {
    fn webhooks(&self) -> Vec<Webhook<'_>> {
        let reinvokes = |webhook: &MutatingWebhook| webhook.reinvocation_policy.as_deref() == Some("IfNeeded");
        let webhooks = self.webhooks.iter().flatten().enumerate();
        webhooks.map(|(index, webhook)| webhook!(self, index, webhook, reinvokes(webhook))).collect()
    }
}

impl Configuration for ValidatingWebhookConfiguration {
    fn webhooks(&self) -> Vec<Webhook<'_>> {
        let webhooks = self.webhooks.iter().flatten().enumerate();
        webhooks.map(|(index, webhook): (usize, &ValidatingWebhook)| webhook!(self, index, webhook, false)).collect()
    }
}
