//! One webhook called. Source: `plugin/webhook/{mutating,validating}/dispatcher.go`.

use std::sync::Arc;

use coracle_core::{AnyResource, Kind, Status};
use serde::Serialize;
use serde_json::Value;

use super::super::expression::{Answers, Evaluator, Scene};
use super::super::{Attributes, matching, versions};
use super::config::Webhook;
use super::review::{self, Answer, Phase};
use crate::outbound::{Hook, post};

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The webhook could not be asked, or said nothing that makes sense: its failure policy decides.
    Call(String),
    /// The request is refused whatever the policy.
    Refused(Status),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

/// A webhook that is to be called, and the version in which it wants the object.
pub(super) struct Invocation<'a> {
    pub(super) webhook: &'a Webhook<'a>,
    pub(super) kind: Arc<Kind>,
}

/// Which call of a request this is, for the audit log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) number: u8,
    pub(super) index: usize,
}

impl std::fmt::Display for Round {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "round_{}_index_{}", self.number, self.index)
    }
}

/// Asks a webhook about an object, which is `None` for deletes.
pub(super) async fn invoke(
    attributes: &Attributes<'_>,
    invocation: &Invocation<'_>,
    object: Option<&dyn AnyResource>,
    phase: Phase,
) -> Result<Answer, Failure> {
    let json = match object {
        Some(object) => Some(versions::outgoing(attributes, &invocation.kind, object).await?),
        None => None,
    };
    invoke_named(attributes, invocation, json, &review::name_of(attributes, object), phase).await
}

/// Asks a webhook about an object that is JSON of the version it wants already.
pub(super) async fn invoke_with(
    attributes: &Attributes<'_>,
    invocation: &Invocation<'_>,
    object: Option<Value>,
    phase: Phase,
) -> Result<Answer, Failure> {
    let text = |pointer: &str| object.as_ref()?.pointer(pointer)?.as_str();
    let is_generated = text("/metadata/generateName").is_some_and(|prefix| !prefix.is_empty());
    let given = text("/metadata/name").filter(|_| !is_generated).unwrap_or_default();
    let name = if attributes.target.name.is_empty() { given } else { &attributes.target.name };
    let name = name.to_owned();
    invoke_named(attributes, invocation, object, &name, phase).await
}

async fn invoke_named(
    attributes: &Attributes<'_>,
    invocation: &Invocation<'_>,
    object: Option<Value>,
    name: &str,
    phase: Phase,
) -> Result<Answer, Failure> {
    let webhook = invocation.webhook;
    if attributes.options.dry_run && !matches!(webhook.side_effects, "None" | "NoneOnDryRun") {
        let why = format!("admission webhook {:?} does not support dry run", webhook.name);
        return Err(Failure::Refused(Status::bad_request(why)));
    }
    let version = review::version_of(webhook.review_versions).map_err(Failure::Call)?;
    let hook = Hook::admission(webhook.client);
    let hook = hook.map_err(|error| Failure::Call(format!("could not get REST client: {error}")))?;
    let old = match attributes.old {
        Some(old) => Some(versions::outgoing_old(attributes, &invocation.kind, old).await?),
        None => None,
    };
    let uid = attributes.entropy.uid();
    let question = review::question(attributes, invocation, version, &uid, (object, old, name));
    let body = serde_json::to_vec(&question).map_err(Status::internal)?;
    let answer = post(attributes.outbound, &hook, body, webhook.timeout).await;
    let answer = answer.map_err(|error| Failure::Call(format!("failed to call webhook: {error}")))?;
    review::read_answer(&answer, version, &uid, phase).map_err(Failure::Call)
}

/// Tells what the webhook wants told, and turns its refusal or failure into ours. `None` if it failed and that is ignored.
pub(super) fn settle(
    attributes: &Attributes<'_>,
    webhook: &Webhook<'_>,
    phase: Phase,
    round: Round,
    answer: Result<Answer, Failure>,
) -> Result<Option<Answer>, Status> {
    let name = webhook.name;
    match answer {
        Ok(answer) => {
            for (key, value) in &answer.annotations {
                attributes.notes.annotate(&format!("{name}/{key}"), value.as_str());
            }
            answer.warnings.iter().for_each(|warning| attributes.notes.warn(warning));
            if answer.allowed { Ok(Some(answer)) } else { Err(review::refusal(name, answer.status)) }
        }
        Err(Failure::Refused(status)) => Err(status),
        Err(Failure::Call(why)) if webhook.ignores_failures => {
            tracing::warn!(webhook = %name, why, "failed calling webhook, failing open");
            let word = if phase == Phase::Mutating { "mutation" } else { "validating" };
            attributes.notes.annotate(&format!("failed-open.{word}.webhook.admission.k8s.io/{round}"), name);
            Ok(None)
        }
        Err(Failure::Call(why)) => Err(Status::internal(format!("failed calling webhook {name:?}: {why}"))),
    }
}

/// What a webhook made of the object, for records. Source: `mutating/dispatcher.go` `webhookAnnotator`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Deed<'a> {
    configuration: &'a str,
    webhook: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
}

impl<'a> Deed<'a> {
    const fn of(webhook: &'a Webhook<'_>) -> Self {
        Self {
            configuration: webhook.configuration,
            webhook: webhook.name,
            mutated: None,
            patch: None,
            patch_type: None,
        }
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Notes that a webhook was called, and whether it changed anything.
pub(super) fn annotate_mutation(attributes: &Attributes<'_>, webhook: &Webhook<'_>, round: Round, changed: bool) {
    let deed = Deed { mutated: Some(changed), ..Deed::of(webhook) };
    attributes.notes.annotate(&format!("mutation.webhook.admission.k8s.io/{round}"), deed.text());
}

/// Notes how a webhook changed the object.
pub(super) fn annotate_patch(attributes: &Attributes<'_>, webhook: &Webhook<'_>, round: Round, patch: &Value) {
    let deed = Deed { patch: Some(patch), patch_type: Some("JSONPatch"), ..Deed::of(webhook) };
    attributes.notes.annotate_body(&format!("patch.webhook.admission.k8s.io/{round}"), deed.text());
}

/// Whether a webhook is to be called, and in which version.
pub(super) async fn should_call<'a>(
    attributes: &Attributes<'_>,
    webhook: &'a Webhook<'a>,
    object: Option<&dyn AnyResource>,
) -> Result<Option<Invocation<'a>>, Status> {
    let Some(kind) = matching::wanted_kind(&webhook.criteria, attributes, object)? else { return Ok(None) };
    let invocation = Invocation { webhook, kind };
    let is_meant = matches_conditions(attributes, &invocation, object).await?;
    Ok(is_meant.then_some(invocation))
}

/// Whether all match conditions hold. If that cannot be told, the failure policy decides.
async fn matches_conditions(
    attributes: &Attributes<'_>,
    invocation: &Invocation<'_>,
    object: Option<&dyn AnyResource>,
) -> Result<bool, Status> {
    let webhook = invocation.webhook;
    if webhook.conditions.is_empty() {
        return Ok(true);
    }
    let scene = Scene::of(attributes, &invocation.kind, object).await?;
    let answers = Answers::new(attributes);
    let verdict = answers.settle(|| webhook.conditions.hold(&Evaluator::new(&scene, &answers))).await;
    match verdict {
        Ok(is_meant) => Ok(is_meant),
        Err(_) if webhook.ignores_failures => Ok(false),
        Err(why) => Err(attributes.forbid(why)),
    }
}
