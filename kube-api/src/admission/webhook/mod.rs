//! Admission webhooks: others that complete or refuse changes, called over HTTPS.
//!
//! The configurations are read from the world that the request was prepared against, so they need no cache; a cluster that has
//! none pays one look at a count. Configurations go by name, the webhooks of each in their order.
//!
//! | module | what it holds |
//! |---|---|
//! | `config` | both kinds of webhooks as one |
//! | `review` | the AdmissionReview: question and answer |
//! | `call` | one webhook called: match conditions, dry run, failure policy, refusals |
//!
//! Source: apiserver `pkg/admission/plugin/webhook`.

mod call;
mod config;
pub(super) mod review;

use async_trait::async_trait;
use coracle_core::{AnyResource, GroupResource, Status, patch};
use futures::future::join_all;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use serde_json::Value;

use self::call::{Failure, Invocation, Round, invoke, should_call};
use self::config::{Compiled, configured};
use self::review::Phase;
use super::matching::is_exempt;
use super::{Admission, Attributes, Operation, versions};

/// Webhooks that may change the object, one after another. For deletes they may only refuse.
#[derive(Debug, Default)]
pub struct MutatingWebhooks(Compiled);

/// Webhooks that may refuse, all at once.
#[derive(Debug, Default)]
pub struct ValidatingWebhooks(Compiled);

#[async_trait]
impl Admission for MutatingWebhooks {
    fn name(&self) -> &'static str {
        "MutatingAdmissionWebhook"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.world.count(&GroupResource::of::<MutatingWebhookConfiguration>()) > 0 && !is_exempt(attributes)
    }

    async fn admit(&self, attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let webhooks = configured::<MutatingWebhookConfiguration>(attributes.world, &self.0);
        let memory = &attributes.notes.webhooks;
        memory.begin(|| versions::plain(object))?;
        for (index, webhook) in webhooks.iter().enumerate() {
            let Some(invocation) = should_call(attributes, webhook, Some(&*object)).await? else { continue };
            let uid = webhook.uid();
            if !memory.may_call(&uid) {
                continue;
            }
            let round = Round { number: u8::from(memory.is_second_round()), index };
            let changed = mutate(attributes, &invocation, object, round).await;
            call::annotate_mutation(attributes, webhook, round, matches!(changed, Ok(true)));
            if changed? {
                memory.changed();
                attributes.notes.ask_again();
            }
            if webhook.reinvokes {
                memory.called(uid);
            }
        }
        memory.end(|| versions::plain(object))
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        if attributes.operation != Operation::Delete {
            return Ok(());
        }
        for (index, webhook) in configured::<MutatingWebhookConfiguration>(attributes.world, &self.0).iter().enumerate()
        {
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
    let before = versions::outgoing(attributes, &invocation.kind, object).await?;
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
        versions::incoming(attributes, &invocation.kind, after, object).await?;
    }
    call::annotate_patch(attributes, webhook, round, &operations);
    Ok(changed)
}

#[async_trait]
impl Admission for ValidatingWebhooks {
    fn name(&self) -> &'static str {
        "ValidatingAdmissionWebhook"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.world.count(&GroupResource::of::<ValidatingWebhookConfiguration>()) > 0 && !is_exempt(attributes)
    }

    async fn review(&self, attributes: &Attributes<'_>, object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let webhooks = configured::<ValidatingWebhookConfiguration>(attributes.world, &self.0);
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
