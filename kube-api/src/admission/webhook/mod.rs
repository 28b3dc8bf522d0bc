//! Admission webhooks: others that complete or refuse changes, called over HTTPS.
//!
//! The configurations are read from the world that the request was prepared against, so they need no cache; a cluster that has
//! none pays one look at a count. Configurations go by name, the webhooks of each in their order.
//!
//! | module | what it holds |
//! |---|---|
//! | `config` | both kinds of webhooks as one |
//! | `matching` | which webhooks a request concerns, and in which version they want it |
//! | `review` | the AdmissionReview: question and answer |
//! | `call` | one webhook called: dry run, failure policy, refusals |
//! | `versions` | the object in the version that a webhook wants, and back |
//!
//! Source: apiserver `pkg/admission/plugin/webhook`.

mod call;
mod config;
mod matching;
mod review;
mod versions;

use std::collections::BTreeSet;

use async_trait::async_trait;
use coracle_core::{AnyResource, GroupResource, Status, patch};
use futures::future::join_all;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use serde_json::Value;

use self::call::{Failure, Round, invoke};
use self::config::{Webhook, configured};
use self::matching::{Invocation, is_exempt, should_call};
use self::review::Phase;
use super::{Admission, Attributes, Operation};

/// Webhooks that may change the object, one after another. For deletes and connects they may only refuse.
#[derive(Clone, Copy, Debug)]
pub struct MutatingWebhooks;

/// Webhooks that may refuse, all at once.
#[derive(Clone, Copy, Debug)]
pub struct ValidatingWebhooks;

/// What is remembered between the two rounds of mutating webhooks. Source: `mutating/reinvocationcontext.go`.
#[derive(Debug, Default)]
pub(crate) struct Reinvocation {
    is_second_round: bool,
    /// Webhooks that were called, and may be again.
    called: BTreeSet<String>,
    /// Webhooks to call again, because the object has changed since.
    again: BTreeSet<String>,
    /// The object after the webhooks of the first round.
    output: Option<Value>,
}

impl Reinvocation {
    fn require(&mut self) {
        self.again.append(&mut self.called);
    }
}

#[async_trait]
impl Admission for MutatingWebhooks {
    async fn admit(&self, attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let webhooks = mutating(attributes);
        if webhooks.is_empty() {
            return Ok(());
        }
        let is_second_round = attributes.notes.with_webhooks(|memory| memory.is_second_round);
        if is_second_round {
            let now = versions::plain(object)?;
            attributes.notes.with_webhooks(|memory| {
                if memory.output.as_ref().is_some_and(|output| *output != now) {
                    memory.require();
                }
            });
        }
        for (index, webhook) in webhooks.iter().enumerate() {
            let Some(invocation) = should_call(attributes, webhook, Some(&*object)).await? else { continue };
            let uid = webhook.uid();
            if is_second_round && !attributes.notes.with_webhooks(|memory| memory.again.remove(&uid)) {
                continue;
            }
            let round = Round { number: u8::from(is_second_round), index };
            if mutate(attributes, &invocation, object, round).await? {
                attributes.notes.with_webhooks(Reinvocation::require);
                attributes.notes.ask_again();
            }
            if webhook.reinvokes {
                attributes.notes.with_webhooks(|memory| memory.called.insert(uid));
            }
        }
        let output = versions::plain(object)?;
        attributes.notes.with_webhooks(|memory| {
            memory.is_second_round = true;
            memory.output = Some(output);
        });
        Ok(())
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        if !matches!(attributes.operation, Operation::Delete | Operation::Connect) {
            return Ok(());
        }
        for (index, webhook) in mutating(attributes).iter().enumerate() {
            let Some(invocation) = should_call(attributes, webhook, object).await? else { continue };
            let round = Round { number: 0, index };
            let answer = invoke(attributes, &invocation, object, Phase::Mutating).await;
            let answer = call::settle(attributes, webhook, Phase::Mutating, round, answer)?;
            if answer.is_some_and(|answer| !answer.patch.is_empty()) {
                return Err(Status::internal(format!(
                    "admission webhook {:?} attempted to modify the object, which is not supported for this operation",
                    webhook.name
                )));
            }
        }
        Ok(())
    }
}

/// Calls one webhook and makes the change it wants. Says whether it changed anything.
async fn mutate(
    attributes: &Attributes<'_>,
    invocation: &Invocation<'_>,
    object: &mut dyn AnyResource,
    round: Round,
) -> Result<bool, Status> {
    let webhook = invocation.webhook;
    let before = versions::outgoing(attributes, invocation, object).await?;
    let answer = call::invoke_with(attributes, invocation, Some(before.clone()), Phase::Mutating).await;
    let Some(answer) = call::settle(attributes, webhook, Phase::Mutating, round, answer)? else { return Ok(false) };
    if answer.patch.is_empty() {
        return Ok(false);
    }
    let operations: Value = serde_json::from_slice(&answer.patch).map_err(Status::internal)?;
    if operations.as_array().is_some_and(Vec::is_empty) {
        return Ok(false);
    }
    if answer.patch_type != "JSONPatch" {
        let why = format!("unsupported patch type {:?}", answer.patch_type);
        return call::settle(attributes, webhook, Phase::Mutating, round, Err(Failure::Call(why))).map(|_| false);
    }
    let mut after = before.clone();
    patch::json(&mut after, &operations).map_err(Status::internal)?;
    let changed = before != after;
    if changed {
        versions::incoming(attributes, invocation, after, object).await?;
    }
    attributes.notes.annotate(
        &format!("mutation.webhook.admission.k8s.io/round_{}_index_{}", round.number, round.index),
        &serde_json::json!({"configuration": webhook.configuration, "webhook": webhook.name, "mutated": changed})
            .to_string(),
    );
    Ok(changed)
}

#[async_trait]
impl Admission for ValidatingWebhooks {
    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let resource = GroupResource::of::<ValidatingWebhookConfiguration>();
        if attributes.world.count(&resource) == 0 || is_exempt(attributes) {
            return Ok(());
        }
        let webhooks = configured::<ValidatingWebhookConfiguration>(attributes.world);
        let mut invocations = Vec::new();
        for (index, webhook) in webhooks.iter().enumerate() {
            invocations.extend(should_call(attributes, webhook, object).await?.map(|invocation| (index, invocation)));
        }
        let answers = invocations.iter().map(|(index, invocation)| async move {
            let answer = invoke(attributes, invocation, object, Phase::Validating).await;
            let round = Round { number: 0, index: *index };
            call::settle(attributes, invocation.webhook, Phase::Validating, round, answer).map(drop)
        });
        join_all(answers).await.into_iter().collect()
    }
}

fn mutating<'a>(attributes: &Attributes<'a>) -> Vec<Webhook<'a>> {
    let resource = GroupResource::of::<MutatingWebhookConfiguration>();
    if attributes.world.count(&resource) == 0 || is_exempt(attributes) {
        return Vec::new();
    }
    configured::<MutatingWebhookConfiguration>(attributes.world)
}
