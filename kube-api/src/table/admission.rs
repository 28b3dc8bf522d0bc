//! Webhooks and policies of admission.

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration, ParamKind, ParamRef,
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
};
use serde_json::Value;

use super::age::age;
use super::column::{AGE, Column, NAME, integer, string, text};
use super::text::{UNSET, plain, selector_struct};
use super::{Printer, printer, row};

const WEBHOOKS: Column =
    integer("Webhooks", text("Webhooks indicates the number of webhooks registered in this configuration"));
const PARAM_KIND: Column =
    string("ParamKind", text("ParamKind specifies the kind of resources used to parameterize this policy"));
const POLICY_NAME: Column =
    string("PolicyName", text("PolicyName indicates the policy definition which the policy binding binded to"));
const PARAM_REF: Column =
    string("ParamRef", text("ParamRef indicates the param resource which sets the configration param"));

pub(super) static MUTATING_WEBHOOKS: Printer =
    printer!(MutatingWebhookConfiguration, mutating_webhooks, [NAME, WEBHOOKS, AGE]);

fn mutating_webhooks(configuration: &MutatingWebhookConfiguration, now: Timestamp) -> Vec<Value> {
    let webhooks = configuration.webhooks.iter().flatten().count();
    row![plain(&configuration.metadata.name), webhooks, age(&configuration.metadata, now)]
}

pub(super) static VALIDATING_WEBHOOKS: Printer =
    printer!(ValidatingWebhookConfiguration, validating_webhooks, [NAME, WEBHOOKS, AGE]);

fn validating_webhooks(configuration: &ValidatingWebhookConfiguration, now: Timestamp) -> Vec<Value> {
    let webhooks = configuration.webhooks.iter().flatten().count();
    row![plain(&configuration.metadata.name), webhooks, age(&configuration.metadata, now)]
}

pub(super) static VALIDATING_POLICY: Printer = printer!(
    ValidatingAdmissionPolicy,
    validating_policy,
    [
        NAME,
        integer(
            "Validations",
            text("Validations indicates the number of validation rules defined in this configuration")
        ),
        PARAM_KIND,
        AGE,
    ]
);

fn validating_policy(policy: &ValidatingAdmissionPolicy, now: Timestamp) -> Vec<Value> {
    let spec = policy.spec.as_ref();
    row![
        plain(&policy.metadata.name),
        spec.map_or(0, |spec| spec.validations.iter().flatten().count()),
        param_kind(spec.and_then(|spec| spec.param_kind.as_ref())),
        age(&policy.metadata, now),
    ]
}

pub(super) static MUTATING_POLICY: Printer = printer!(
    MutatingAdmissionPolicy,
    mutating_policy,
    [
        NAME,
        integer("Mutations", text("Mutation indicates the number of mutations rules defined in this configuration")),
        PARAM_KIND,
        AGE,
    ]
);

fn mutating_policy(policy: &MutatingAdmissionPolicy, now: Timestamp) -> Vec<Value> {
    let spec = policy.spec.as_ref();
    row![
        plain(&policy.metadata.name),
        spec.map_or(0, |spec| spec.mutations.iter().flatten().count()),
        param_kind(spec.and_then(|spec| spec.param_kind.as_ref())),
        age(&policy.metadata, now),
    ]
}

fn param_kind(kind: Option<&ParamKind>) -> String {
    kind.map_or_else(|| UNSET.to_owned(), |kind| format!("{}/{}", plain(&kind.api_version), plain(&kind.kind)))
}

pub(super) static VALIDATING_BINDING: Printer =
    printer!(ValidatingAdmissionPolicyBinding, validating_binding, [NAME, POLICY_NAME, PARAM_REF, AGE]);

fn validating_binding(binding: &ValidatingAdmissionPolicyBinding, now: Timestamp) -> Vec<Value> {
    row![
        plain(&binding.metadata.name),
        binding.spec.policy_name.as_str(),
        param_ref(binding.spec.param_ref.as_ref()),
        age(&binding.metadata, now),
    ]
}

pub(super) static MUTATING_BINDING: Printer =
    printer!(MutatingAdmissionPolicyBinding, mutating_binding, [NAME, POLICY_NAME, PARAM_REF, AGE]);

fn mutating_binding(binding: &MutatingAdmissionPolicyBinding, now: Timestamp) -> Vec<Value> {
    let spec = binding.spec.as_ref();
    row![
        plain(&binding.metadata.name),
        spec.map_or("", |spec| plain(&spec.policy_name)),
        param_ref(spec.and_then(|spec| spec.param_ref.as_ref())),
        age(&binding.metadata, now),
    ]
}

/// By name, in any namespace (`*`) unless one is given; else by selector.
fn param_ref(param: Option<&ParamRef>) -> String {
    let Some(param) = param else { return UNSET.to_owned() };
    match (plain(&param.name), plain(&param.namespace), &param.selector) {
        ("", _, Some(selector)) => selector_struct(selector),
        ("", _, None) => UNSET.to_owned(),
        (name, "", _) => format!("*/{name}"),
        (name, namespace, _) => format!("{namespace}/{name}"),
    }
}
