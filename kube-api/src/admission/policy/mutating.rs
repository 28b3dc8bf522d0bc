//! What a MutatingAdmissionPolicy changes. Source: `plugin/policy/mutating/{dispatcher.go,patch}`.

use coracle_core::schema::Schema;
use coracle_core::{AnyResource, Reason, Status, apply, patch};
use k8s_openapi::api::admissionregistration::v1::{MutatingAdmissionPolicy, MutatingAdmissionPolicySpec, Mutation};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{self as meta, StatusCause};
use serde_json::Value as Json;

use super::super::expression::{
    Answers, BUDGET, Cache, Conditions, Evaluator, Expression, Names, Returns, Scene, Variable,
};
use super::super::{Attributes, versions};
use super::select::{Invocation, select};

/// A policy's expressions.
#[derive(Debug)]
pub(super) struct Compiled {
    conditions: Conditions,
    variables: Vec<Variable>,
    mutations: Vec<(Form, Expression)>,
}

/// How a mutation says what is to change.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Configuration,
    Patch,
}

impl Compiled {
    fn new(spec: &MutatingAdmissionPolicySpec) -> Self {
        let has_params = spec.param_kind.is_some();
        let names = Names::of_policy(has_params);
        let variables = Variable::compile(spec.variables.as_deref().unwrap_or_default(), &names);
        let names = names.with(&variables).patching();
        let compile = |mutation: &Mutation| {
            let (form, source, returns) = match &mutation.json_patch {
                Some(patch) => (Form::Patch, patch.expression.as_deref(), Returns::Patch),
                None => {
                    let configuration = mutation.apply_configuration.as_ref();
                    let source = configuration.and_then(|configuration| configuration.expression.as_deref());
                    (Form::Configuration, source, Returns::Object)
                }
            };
            (form, Expression::compile(source.unwrap_or_default(), &names, returns))
        };
        Self {
            conditions: Conditions::compile(spec.match_conditions.as_deref().unwrap_or_default(), has_params),
            mutations: spec.mutations.iter().flatten().map(compile).collect(),
            variables,
        }
    }
}

/// Lets all policies change the object, one after another.
pub(super) async fn admit(
    cache: &Cache<Compiled>,
    attributes: &Attributes<'_>,
    object: &mut dyn AnyResource,
) -> Result<(), Status> {
    let memory = &attributes.notes.policies;
    memory.begin(|| versions::plain(object))?;
    let answers = Answers::new(attributes);
    let (mut invocations, mut errors) = (Vec::new(), Vec::new());
    for selected in select::<MutatingAdmissionPolicy>(attributes, Some(&*object)).await {
        match selected {
            Ok(invocation) => invocations.push(invocation),
            Err(misfit) => {
                let named = match misfit.binding {
                    Some(binding) => format!("policy '{}' with binding '{binding}'", misfit.policy),
                    None => format!("policy {:?}", misfit.policy),
                };
                errors.push((Reason::Forbidden, format!("{named} denied request: {}", misfit.message)));
            }
        }
    }
    for invocation in &invocations {
        let Some(spec) = &invocation.policy.spec else { continue };
        let compiled = cache.get(invocation.object, || Compiled::new(spec));
        let mut failed = |why: String| {
            let named = format!("policy '{}' with binding '{}'", invocation.object.name(), invocation.binding_name);
            if !invocation.ignores_failures {
                errors.push((Reason::Invalid, format!("{named} denied request: {why}")));
            }
        };
        let scene = Scene::of(attributes, &invocation.kind, Some(&*object)).await?;
        let holds = answers
            .settle(|| compiled.conditions.hold(&Evaluator::new(&scene, &answers).with(&invocation.param.json, &[])))
            .await;
        match holds {
            Ok(true) => {}
            Ok(false) => continue,
            Err(why) => {
                failed(why);
                continue;
            }
        }
        let uid = format!("{}/{}/{}", invocation.object.name(), invocation.binding_name, invocation.param.key);
        if !memory.may_call(&uid) {
            continue;
        }
        let mut is_changed = false;
        for mutation in &compiled.mutations {
            match mutate(attributes, &answers, invocation, &compiled, mutation, object).await? {
                Ok(changed) => is_changed |= changed,
                Err(why) => failed(why),
            }
        }
        if is_changed {
            memory.changed();
            attributes.notes.ask_again();
        }
        if spec.reinvocation_policy.as_deref() == Some("IfNeeded") {
            memory.called(uid);
        }
    }
    memory.end(|| versions::plain(object))?;
    refuse(attributes, errors)
}

/// Makes one change. Says whether the object is another now, or why it could not be made.
async fn mutate(
    attributes: &Attributes<'_>,
    answers: &Answers<'_>,
    invocation: &Invocation<'_, MutatingAdmissionPolicy>,
    compiled: &Compiled,
    (form, expression): &(Form, Expression),
    object: &mut dyn AnyResource,
) -> Result<Result<bool, String>, Status> {
    let scene = Scene::of(attributes, &invocation.kind, Some(&*object)).await?;
    let wish = answers
        .settle(|| {
            let evaluator = Evaluator::new(&scene, answers).with(&invocation.param.json, &compiled.variables);
            let (outcomes, _) = evaluator.run([Some(expression)], BUDGET, |value| value.to_json())?;
            let wish = outcomes.into_iter().flatten().next().unwrap_or(Ok(None))?;
            wish.ok_or_else(|| "the expression evaluated to a type that could not marshal to JSON".to_owned())
        })
        .await;
    let changed = wish.and_then(|wish| match form {
        Form::Patch => patched(&scene.object, &wish),
        Form::Configuration => configured(invocation, &scene.object, wish),
    });
    match changed {
        Ok(after) if after == scene.object => Ok(Ok(false)),
        Ok(after) => versions::incoming(attributes, &invocation.kind, after, object).await.map(|()| Ok(true)),
        Err(why) => Ok(Err(why)),
    }
}

/// A patch whose test fails changes nothing.
fn patched(before: &Json, wish: &Json) -> Result<Json, String> {
    let mut after = before.clone();
    match patch::json(&mut after, wish) {
        Ok(()) => Ok(after),
        Err(error) if error.to_string().ends_with("test failed") => Ok(before.clone()),
        Err(error) => Err(format!("JSONPath: {error}")),
    }
}

fn configured(
    invocation: &Invocation<'_, MutatingAdmissionPolicy>,
    before: &Json,
    mut wish: Json,
) -> Result<Json, String> {
    let Some(fields) = wish.as_object_mut() else {
        return Err("unsupported return type from ApplyConfiguration expression".to_owned());
    };
    let text = |name: &str| before.get(name).cloned().unwrap_or_default();
    for name in ["apiVersion", "kind"] {
        fields.insert(name.to_owned(), text(name));
    }
    let custom = invocation.kind.custom.as_ref().map(|custom| custom.schema().clone());
    let builtin =
        || Schema::of_kind(text("apiVersion").as_str().unwrap_or_default(), text("kind").as_str().unwrap_or_default());
    let schema = custom.or_else(builtin).unwrap_or_else(Schema::schemaless);
    apply::merge(&schema, before, &wish).map_err(|why| format!("error applying patch: {why}"))
}

/// The first error is the message; all are causes. Upstream changes the reason of a 403 and leaves its code.
fn refuse(attributes: &Attributes<'_>, errors: Vec<(Reason, String)>) -> Result<(), Status> {
    let Some((reason, message)) = errors.first().cloned() else { return Ok(()) };
    let cause = |(_, message): (Reason, String)| StatusCause { message: Some(message), ..StatusCause::default() };
    let status = Status::new(Reason::Forbidden, message)
        .about(&attributes.kind.group_resource(), attributes.name())
        .with_causes(errors.into_iter().map(cause).collect());
    Err(Status::from(meta::Status { reason: Some(reason.word()), ..status.as_api().clone() }))
}
