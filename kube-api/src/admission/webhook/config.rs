//! Mutating and validating webhooks as one.

use std::sync::Arc;
use std::time::Duration;

use coracle_core::{GroupResource, Resource, World};
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, ValidatingWebhook, ValidatingWebhookConfiguration,
    WebhookClientConfig,
};

use super::super::expression::{Cache, Conditions};
use super::super::matching::{Criteria, Rule};

/// Source: `admissionregistration/v1` defaults.
const TIMEOUT_SECONDS: i32 = 10;

/// A webhook as it is configured, with the defaults of what is left out.
#[derive(Clone, Debug)]
pub(super) struct Webhook<'a> {
    pub(super) configuration: &'a str,
    pub(super) index: usize,
    pub(super) name: &'a str,
    pub(super) client: &'a WebhookClientConfig,
    pub(super) criteria: Criteria<'a>,
    pub(super) ignores_failures: bool,
    pub(super) side_effects: &'a str,
    pub(super) timeout: Duration,
    pub(super) review_versions: &'a [String],
    pub(super) conditions: Arc<Conditions>,
    /// Whether it wants to be called again after later changes. Mutating webhooks only.
    pub(super) reinvokes: bool,
}

impl Webhook<'_> {
    /// What it is called in the memory of a request.
    pub(super) fn uid(&self) -> String {
        format!("{}/{}/{}", self.configuration, self.name, self.index)
    }
}

/// The conditions of all webhooks of a configuration.
pub(super) type Compiled = Cache<Vec<Arc<Conditions>>>;

/// A configuration of several webhooks.
pub(super) trait Configuration: Resource {
    fn webhooks(&self) -> Vec<Webhook<'_>>;
    fn conditions(&self) -> Vec<&[MatchCondition]>;
}

/// The webhooks of all configurations, by the configurations' names.
pub(super) fn configured<'w, C: Configuration>(world: &'w World, compiled: &Compiled) -> Vec<Webhook<'w>> {
    let objects = world.objects(&GroupResource::of::<C>());
    let webhooks = objects.filter_map(|object| {
        let configuration = object.get::<C>()?;
        let mut webhooks = configuration.webhooks();
        let sources = configuration.conditions();
        if sources.iter().any(|conditions| !conditions.is_empty()) {
            let compile = |source: &[MatchCondition]| Arc::new(Conditions::compile(source, false));
            let compiled = compiled.get(object, || sources.into_iter().map(compile).collect());
            webhooks.iter_mut().zip(&*compiled).for_each(|(webhook, it)| webhook.conditions = it.clone());
        }
        Some(webhooks)
    });
    webhooks.flatten().collect()
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
            criteria: Criteria {
                rules: webhook.rules.iter().flatten().map(Rule::from).collect(),
                matches_equivalents: webhook.match_policy.as_deref() != Some("Exact"),
                namespaces: webhook.namespace_selector.as_ref(),
                objects: webhook.object_selector.as_ref(),
                ..Criteria::default()
            },
            ignores_failures: webhook.failure_policy.as_deref() == Some("Ignore"),
            side_effects: &webhook.side_effects,
            timeout: Duration::from_secs(
                u64::try_from(webhook.timeout_seconds.unwrap_or(TIMEOUT_SECONDS)).unwrap_or_default(),
            ),
            review_versions: &webhook.admission_review_versions,
            conditions: Arc::default(),
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

    fn conditions(&self) -> Vec<&[MatchCondition]> {
        let webhooks = self.webhooks.iter().flatten();
        webhooks.map(|webhook| webhook.match_conditions.as_deref().unwrap_or_default()).collect()
    }
}

impl Configuration for ValidatingWebhookConfiguration {
    fn webhooks(&self) -> Vec<Webhook<'_>> {
        let webhooks = self.webhooks.iter().flatten().enumerate();
        webhooks.map(|(index, webhook): (usize, &ValidatingWebhook)| webhook!(self, index, webhook, false)).collect()
    }

    fn conditions(&self) -> Vec<&[MatchCondition]> {
        let webhooks = self.webhooks.iter().flatten();
        webhooks.map(|webhook| webhook.match_conditions.as_deref().unwrap_or_default()).collect()
    }
}
