//! What a ValidatingAdmissionPolicy refuses, warns of and tells. Source: `plugin/policy/validating/{validator,dispatcher}.go`.

use std::collections::BTreeMap;

use coracle_core::cel::Value;
use coracle_core::{AnyResource, Reason, Status};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicySpec, Validation,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::StatusCause;
use serde::Serialize;

use super::super::Attributes;
use super::super::expression::{
    Answers, BUDGET, Cache, Conditions, Evaluator, Expression, Names, Returns, Scene, Variable,
};
use super::select::{Invocation, select};

/// How long a message may be that an expression made. Source: apiserver `MaxEvaluatedMessageExpressionSizeBytes`.
const MESSAGE_BYTES_MAX: usize = 5 * 1024;
/// Source: `maxAuditAnnotationValueLength`.
const ANNOTATION_BYTES_MAX: usize = 10 * 1024;

/// A policy's expressions.
#[derive(Debug)]
pub(super) struct Compiled {
    conditions: Conditions,
    variables: Vec<Variable>,
    validations: Vec<Expression>,
    /// One for each validation.
    messages: Vec<Option<Expression>>,
    annotations: Vec<Expression>,
}

impl Compiled {
    fn new(spec: &ValidatingAdmissionPolicySpec) -> Self {
        let has_params = spec.param_kind.is_some();
        let names = Names::of_policy(has_params);
        let variables = Variable::compile(spec.variables.as_deref().unwrap_or_default(), &names);
        let names = names.with(&variables);
        let validations = spec.validations.as_deref().unwrap_or_default();
        let message = |validation: &Validation| {
            let source = validation.message_expression.as_deref().filter(|source| !source.is_empty())?;
            Some(Expression::compile(source, &names.telling(), Returns::String))
        };
        let annotations = spec.audit_annotations.iter().flatten();
        Self {
            conditions: Conditions::compile(spec.match_conditions.as_deref().unwrap_or_default(), has_params),
            validations: validations
                .iter()
                .map(|validation| Expression::compile(&validation.expression, &names, Returns::Bool))
                .collect(),
            messages: validations.iter().map(message).collect(),
            annotations: annotations
                .map(|it| Expression::compile(&it.value_expression, &names, Returns::StringOrNull))
                .collect(),
            variables,
        }
    }
}

/// Why a policy says no.
#[derive(Debug)]
struct Denial {
    /// Which of the validations it was.
    index: usize,
    message: String,
    reason: Reason,
}

/// What a policy says with one binding and parameter.
#[derive(Debug, Default)]
struct Judgement {
    denials: Vec<Denial>,
    /// Keys and values; or what is wrong with a value.
    annotations: Vec<Result<(String, String), String>>,
}

impl Judgement {
    fn failed(index: usize, message: String) -> Denial {
        Denial { index, message, reason: Reason::Invalid }
    }
}

/// Judges a request. What fails to be evaluated refuses it, unless failures are ignored.
fn judge(
    spec: &ValidatingAdmissionPolicySpec,
    compiled: &Compiled,
    evaluator: &Evaluator<'_>,
    ignores_failures: bool,
) -> Judgement {
    let stopped = |why: String| match ignores_failures {
        true => Judgement::default(),
        false => Judgement { denials: vec![Judgement::failed(0, why)], annotations: Vec::new() },
    };
    match compiled.conditions.hold(evaluator) {
        Ok(true) => {}
        Ok(false) => return Judgement::default(),
        Err(why) => return stopped(why),
    }
    let is_true = |value: &Value<'_>| matches!(value, Value::Bool(true));
    let text = |value: &Value<'_>| value.as_str().map(|text| text.trim().to_owned());
    let (outcomes, left) = match evaluator.run(compiled.validations.iter().map(Some), BUDGET, is_true) {
        Ok(outcomes) => outcomes,
        Err(why) => return stopped(why),
    };
    let messages =
        evaluator.run(compiled.messages.iter().map(Option::as_ref), left, text).map(|(messages, _)| messages);
    let mut judgement = Judgement::default();
    let validations = spec.validations.iter().flatten();
    for (index, (outcome, validation)) in outcomes.into_iter().flatten().zip(validations).enumerate() {
        let failure = match (outcome, &messages) {
            (Err(why), _) => Some(why),
            (_, Err(why)) => Some(format!("failed messageExpression: {why}")),
            (Ok(true), _) => continue,
            (Ok(false), _) => None,
        };
        match failure {
            Some(_) if ignores_failures => {}
            Some(why) => judgement.denials.push(Judgement::failed(index, why)),
            None => {
                let made =
                    messages.as_ref().ok().and_then(|messages| messages.get(index)?.as_ref()?.as_ref().ok()?.clone());
                judgement.denials.push(refusal(index, validation, made));
            }
        }
    }
    match evaluator.run(compiled.annotations.iter().map(Some), BUDGET, text) {
        Ok((values, _)) => {
            let keys = spec.audit_annotations.iter().flatten();
            for (value, annotation) in values.into_iter().flatten().zip(keys) {
                match value {
                    Ok(Some(value)) if !value.is_empty() => {
                        judgement.annotations.push(Ok((annotation.key.clone(), value)))
                    }
                    Ok(_) => {}
                    Err(_) if ignores_failures => {}
                    Err(why) => judgement.annotations.push(Err(why)),
                }
            }
            judgement
        }
        Err(why) => stopped(why),
    }
}

/// A validation that came to false, with the message that its expression made.
fn refusal(index: usize, validation: &Validation, made: Option<String>) -> Denial {
    let is_good = |text: &String| !text.is_empty() && text.len() <= MESSAGE_BYTES_MAX && !text.contains('\n');
    let given = || validation.message.as_deref().filter(|text| !text.is_empty()).map(|text| text.trim().to_owned());
    let shown = || format!("failed expression: {}", validation.expression.trim());
    let reason = match validation.reason.as_deref() {
        Some("Unauthorized") => Reason::Unauthorized,
        Some("Forbidden") => Reason::Forbidden,
        Some("RequestEntityTooLarge") => Reason::RequestEntityTooLarge,
        _ => Reason::Invalid,
    };
    Denial { index, message: made.filter(is_good).or_else(given).unwrap_or_else(shown), reason }
}

/// Asks all policies; the first refusal is told.
pub(super) async fn review(
    cache: &Cache<Compiled>,
    attributes: &Attributes<'_>,
    object: Option<&dyn AnyResource>,
) -> Result<(), Status> {
    let mut refused: Option<Status> = None;
    let mut scenes: BTreeMap<String, Scene> = BTreeMap::new();
    let mut annotations: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut failures = Vec::new();
    let answers = Answers::new(attributes);
    for invocation in select::<ValidatingAdmissionPolicy>(attributes, object).await {
        let invocation = match invocation {
            Ok(invocation) => invocation,
            Err(misfit) => {
                let with = misfit.binding.map(|name| format!(" with binding '{name}'")).unwrap_or_default();
                let what =
                    format!("ValidatingAdmissionPolicy '{}'{with} denied request: {}", misfit.policy, misfit.message);
                refused.get_or_insert_with(|| status(attributes, Reason::Invalid, what));
                continue;
            }
        };
        let Some(spec) = &invocation.policy.spec else { continue };
        let version = invocation.kind.api_version();
        if !scenes.contains_key(&version) {
            scenes.insert(version.clone(), Scene::of(attributes, &invocation.kind, object).await?);
        }
        let Some(scene) = scenes.get(&version) else { continue };
        let compiled = cache.get(invocation.object, || Compiled::new(spec));
        let judgement = answers
            .settle(|| {
                let evaluator = Evaluator::new(scene, &answers).with(&invocation.param.json, &compiled.variables);
                judge(spec, &compiled, &evaluator, invocation.ignores_failures)
            })
            .await;
        if let Some(status) = act(attributes, &invocation, judgement, &mut annotations, &mut failures) {
            refused.get_or_insert(status);
        }
    }
    if !failures.is_empty() {
        let failures = serde_json::to_string(&failures).map_err(Status::internal)?;
        attributes.notes.annotate("validation.policy.admission.k8s.io/validation_failure", failures);
    }
    for (key, values) in annotations {
        attributes.notes.annotate(&key, values.join(", "));
    }
    refused.map_or(Ok(()), Err)
}

/// A refusal that is only recorded. Source: `validating.ValidationFailureValue`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    message: String,
    policy: String,
    binding: String,
    expression_index: usize,
    validation_actions: Vec<String>,
}

/// Does what the binding says with a judgement. Returns the first refusal.
fn act(
    attributes: &Attributes<'_>,
    invocation: &Invocation<'_, ValidatingAdmissionPolicy>,
    judgement: Judgement,
    annotations: &mut BTreeMap<String, Vec<String>>,
    failures: &mut Vec<Failure>,
) -> Option<Status> {
    let (policy, binding) = (invocation.object.name(), invocation.binding_name);
    let named = format!("ValidatingAdmissionPolicy '{policy}' with binding '{binding}'");
    let actions = &invocation.binding.spec.validation_actions;
    let mut refused = None;
    for denial in judgement.denials {
        for action in actions {
            match &**action {
                "Deny" => {
                    let what = format!("{named} denied request: {}", denial.message);
                    refused.get_or_insert_with(|| status(attributes, denial.reason, what));
                }
                "Warn" => attributes.notes.warn(format!("Validation failed for {named}: {}", denial.message)),
                _ => failures.push(Failure {
                    message: denial.message.clone(),
                    policy: policy.to_owned(),
                    binding: binding.to_owned(),
                    expression_index: denial.index,
                    validation_actions: actions.clone(),
                }),
            }
        }
    }
    for annotation in judgement.annotations {
        match annotation {
            Ok((key, value)) => {
                let mut end = ANNOTATION_BYTES_MAX.min(value.len());
                while !value.is_char_boundary(end) {
                    end -= 1;
                }
                let value = value.get(..end).unwrap_or_default().to_owned();
                let values = annotations.entry(format!("{policy}/{key}")).or_default();
                if !values.contains(&value) {
                    values.push(value);
                }
            }
            Err(why) => {
                let what = format!("{named} denied request: {why}");
                refused.get_or_insert_with(|| status(attributes, Reason::Invalid, what));
            }
        }
    }
    refused
}

/// A refusal in the words of admission, with a reason of its own.
fn status(attributes: &Attributes<'_>, reason: Reason, what: String) -> Status {
    let forbidden = attributes.forbid(&what);
    let cause = StatusCause { message: Some(what), ..StatusCause::default() };
    Status::new(reason, forbidden.message())
        .about(&attributes.kind.group_resource(), attributes.name())
        .with_causes(vec![cause])
}
