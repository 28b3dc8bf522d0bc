//! Which policies a request concerns. Source: `plugin/policy/generic/policy_dispatcher.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use coracle_core::{AnyResource, GroupResource, Kind, Object, Resource};
use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ParamKind, ParamRef,
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};

use super::super::Attributes;
use super::super::matching::{Criteria, wanted_kind};
use super::params::{self, Param};

/// What both kinds of policies say.
pub(super) struct Policy<'a> {
    matched: Option<&'a MatchResources>,
    param_kind: Option<&'a ParamKind>,
    failure_policy: Option<&'a str>,
}

/// What both kinds of bindings say.
pub(super) struct Binding<'a> {
    policy: &'a str,
    matched: Option<&'a MatchResources>,
    params: Option<&'a ParamRef>,
}

pub(super) trait AnyPolicy: Resource {
    type Binding: AnyBinding;
    fn policy(&self) -> Policy<'_>;
}

pub(super) trait AnyBinding: Resource {
    fn binding(&self) -> Binding<'_>;
}

/// A policy that a request concerns, with one binding and one object as parameter.
pub(super) struct Invocation<'a, P: AnyPolicy> {
    pub(super) object: &'a Arc<Object>,
    pub(super) policy: &'a P,
    pub(super) binding: &'a P::Binding,
    pub(super) binding_name: &'a str,
    /// The version in which the policy wants the object.
    pub(super) kind: Arc<Kind>,
    pub(super) param: Param,
    pub(super) ignores_failures: bool,
}

/// Something is wrong with a policy, or with one of its bindings, and that is not to be ignored.
pub(super) struct Misfit<'a> {
    pub(super) policy: &'a str,
    pub(super) binding: Option<&'a str>,
    pub(super) message: String,
}

/// All that concerns a request: policies by name, bindings of each by name.
pub(super) async fn select<'a, P: AnyPolicy>(
    attributes: &Attributes<'a>,
    object: Option<&dyn AnyResource>,
) -> Vec<Result<Invocation<'a, P>, Misfit<'a>>> {
    let mut bindings: BTreeMap<&str, Vec<(&str, &P::Binding)>> = BTreeMap::new();
    for object in attributes.world.objects(&GroupResource::of::<P::Binding>()) {
        if let Some(binding) = object.get::<P::Binding>() {
            bindings.entry(binding.binding().policy).or_default().push((object.name(), binding));
        }
    }
    let mut found = Vec::new();
    for policy in attributes.world.objects(&GroupResource::of::<P>()) {
        let Some(bindings) = bindings.get(policy.name()) else { continue };
        if let Err(misfit) = select_policy(attributes, object, policy, bindings, &mut found).await {
            found.push(Err(misfit));
        }
    }
    found
}

async fn select_policy<'a, P: AnyPolicy>(
    attributes: &Attributes<'a>,
    object: Option<&dyn AnyResource>,
    source: &'a Arc<Object>,
    bindings: &[(&'a str, &'a P::Binding)],
    found: &mut Vec<Result<Invocation<'a, P>, Misfit<'a>>>,
) -> Result<(), Misfit<'a>> {
    let Some(policy) = source.get::<P>() else { return Ok(()) };
    let terms = policy.policy();
    let ignores_failures = terms.failure_policy == Some("Ignore");
    let wrong = |binding: Option<&'a str>, why: String| {
        let what = if binding.is_some() { "binding" } else { "policy" };
        let misfit = Misfit { policy: source.name(), binding, message: format!("failed to configure {what}: {why}") };
        if ignores_failures { None } else { Some(misfit) }
    };
    let is_matched = |matched: &MatchResources| {
        let kind = wanted_kind(&Criteria::from(matched), attributes, object);
        kind.map_err(|status| status.message().to_owned())
    };
    let kind = match terms.matched.map_or(Ok(None), is_matched) {
        Ok(Some(kind)) => kind,
        Ok(None) => return Ok(()),
        Err(why) => return wrong(None, why).map_or(Ok(()), Err),
    };
    let param_kind = match terms.param_kind.map(|kind| params::kind(attributes.world, kind)).transpose() {
        Ok(kind) => kind,
        Err(why) => return wrong(None, why).map_or(Ok(()), Err),
    };
    for &(binding_name, binding) in bindings {
        let bound = binding.binding();
        match bound.matched.map(is_matched) {
            None | Some(Ok(Some(_))) => {}
            Some(Ok(None)) => continue,
            Some(Err(why)) => {
                found.extend(wrong(Some(binding_name), why).map(Err));
                continue;
            }
        }
        let params = match (&param_kind, bound.params) {
            (Some(kind), Some(reference)) => params::collect(attributes, kind, reference).await,
            _ => Ok(vec![Param::default()]),
        };
        match params {
            Ok(params) => found.extend(params.into_iter().map(|param| {
                Ok(Invocation {
                    object: source,
                    policy,
                    binding,
                    binding_name,
                    kind: kind.clone(),
                    param,
                    ignores_failures,
                })
            })),
            Err(why) => found.extend(wrong(Some(binding_name), why).map(Err)),
        }
    }
    Ok(())
}

impl AnyPolicy for ValidatingAdmissionPolicy {
    type Binding = ValidatingAdmissionPolicyBinding;

    fn policy(&self) -> Policy<'_> {
        let spec = self.spec.as_ref();
        Policy {
            matched: spec.and_then(|spec| spec.match_constraints.as_ref()),
            param_kind: spec.and_then(|spec| spec.param_kind.as_ref()),
            failure_policy: spec.and_then(|spec| spec.failure_policy.as_deref()),
        }
    }
}

impl AnyPolicy for MutatingAdmissionPolicy {
    type Binding = MutatingAdmissionPolicyBinding;

    fn policy(&self) -> Policy<'_> {
        let spec = self.spec.as_ref();
        Policy {
            matched: spec.and_then(|spec| spec.match_constraints.as_ref()),
            param_kind: spec.and_then(|spec| spec.param_kind.as_ref()),
            failure_policy: spec.and_then(|spec| spec.failure_policy.as_deref()),
        }
    }
}

impl AnyBinding for ValidatingAdmissionPolicyBinding {
    fn binding(&self) -> Binding<'_> {
        let spec = &self.spec;
        Binding { policy: &spec.policy_name, matched: spec.match_resources.as_ref(), params: spec.param_ref.as_ref() }
    }
}

impl AnyBinding for MutatingAdmissionPolicyBinding {
    fn binding(&self) -> Binding<'_> {
        let spec = self.spec.as_ref();
        Binding {
            policy: spec.and_then(|spec| spec.policy_name.as_deref()).unwrap_or_default(),
            matched: spec.and_then(|spec| spec.match_resources.as_ref()),
            params: spec.and_then(|spec| spec.param_ref.as_ref()),
        }
    }
}
