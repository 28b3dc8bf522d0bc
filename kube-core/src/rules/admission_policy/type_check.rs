//! What the declared types of the kinds that a policy is about say of its expressions. Nothing is refused for it: the policy's
//! status tells. Source: apiserver `policy/validating/typechecking.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::{
    ExpressionWarning, NamedRuleWithOperations, ValidatingAdmissionPolicy, ValidatingAdmissionPolicySpec,
};

use crate::cel::request::{Expression, Names, Returns, Variable};
use crate::cel::{Shape, declared};
use crate::kind::{Kind, Kinds};
use crate::rules::check::{items, text};
use crate::schema::Schema;

/// How many kinds are looked at. Source: `maxTypesToCheck`.
const KINDS_MAX: usize = 10;

/// What is wrong with the validations of a policy for the kinds that it names. There is nothing to say of kinds that are not
/// known, nor of those that a wildcard means.
#[must_use]
pub fn type_warnings(policy: &ValidatingAdmissionPolicy, kinds: &Kinds) -> Vec<ExpressionWarning> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    let checks = Checks::new(spec, kinds);
    let mut warnings = Vec::new();
    for (index, validation) in items(&spec.validations).iter().enumerate() {
        let expressions =
            [("expression", &*validation.expression), ("messageExpression", text(&validation.message_expression))];
        for (field, expression) in expressions.into_iter().filter(|(_, expression)| !expression.is_empty()) {
            let warning = checks.check(expression);
            if !warning.is_empty() {
                warnings.push(ExpressionWarning { field_ref: format!("spec.validations[{index}].{field}"), warning });
            }
        }
    }
    warnings
}

/// The kinds, with what is declared of them, and the variables as each kind types them.
struct Checks {
    kinds: Vec<(String, Arc<Shape>, Vec<Variable>)>,
    param: Option<Arc<Shape>>,
}

impl Checks {
    fn new(spec: &ValidatingAdmissionPolicySpec, kinds: &Kinds) -> Self {
        let named = spec.param_kind.as_ref();
        let named = named.and_then(|it| kinds.by_kind(text(&it.api_version), text(&it.kind)));
        let param = named.and_then(|kind| declared_form(kind));
        let typed = kinds_of(spec, kinds).into_iter().filter_map(|kind| {
            let shape = declared_form(&kind)?;
            let names = Names { object: Some(&shape), param: param.as_ref(), ..Names::of_policy(param.is_some()) };
            let variables = Variable::compile(items(&spec.variables), &names);
            Some((format!("{}/{}, Kind={}", kind.group, kind.version, kind.kind), shape, variables))
        });
        Self { kinds: typed.collect(), param }
    }

    /// One paragraph for each kind for which an expression is wrong.
    fn check(&self, expression: &str) -> String {
        let wrong = self.kinds.iter().filter_map(|(kind, shape, variables)| {
            let names =
                Names { object: Some(shape), param: self.param.as_ref(), ..Names::of_policy(self.param.is_some()) };
            let compiled = Expression::compile(expression, &names.with(variables), Returns::Anything);
            let why = compiled.program.err()?;
            Some(format!("{kind}: {}\n", why.strip_prefix("compilation failed: ").unwrap_or(&why)))
        });
        wrong.collect::<Vec<_>>().join("\n")
    }
}

/// The kinds that a policy names, without wildcards and subresources, by group, version and kind.
fn kinds_of(spec: &ValidatingAdmissionPolicySpec, kinds: &Kinds) -> Vec<Arc<Kind>> {
    let mut found = BTreeMap::new();
    for rule in spec.match_constraints.iter().flat_map(|matched| items(&matched.resource_rules)) {
        let of_rule = kinds_of_rule(rule, kinds);
        let is_full = of_rule.len() == KINDS_MAX;
        found.extend(of_rule.into_iter().map(|kind| {
            let key = (kind.group.to_string(), kind.version.to_string(), kind.kind.to_string());
            (key, kind)
        }));
        if is_full {
            break;
        }
    }
    found.into_values().collect()
}

fn kinds_of_rule(rule: &NamedRuleWithOperations, kinds: &Kinds) -> Vec<Arc<Kind>> {
    let sorted = |names: &Option<Vec<String>>| {
        let mut names = items(names).to_vec();
        names.sort();
        names
    };
    let (groups, versions) = (sorted(&rule.api_groups), sorted(&rule.api_versions));
    if groups.iter().chain(&versions).any(|name| name.contains('*')) {
        return Vec::new();
    }
    let mut resources = sorted(&rule.resources);
    resources.retain(|name| !name.contains(['*', '/']));
    let mut found = Vec::new();
    for (group, version) in groups.iter().flat_map(|group| versions.iter().map(move |version| (group, version))) {
        found.extend(resources.iter().filter_map(|resource| kinds.get(group, version, resource).cloned()));
    }
    found.truncate(KINDS_MAX);
    found
}

fn declared_form(kind: &Kind) -> Option<Arc<Shape>> {
    let builtin = || Schema::of_kind(&kind.api_version(), &kind.kind);
    let schema = kind.custom.as_ref().map(|custom| custom.schema().clone()).or_else(builtin)?;
    Some(declared::shape(&schema, &kind.kind))
}
