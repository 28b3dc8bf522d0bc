//! Match conditions. Source: apiserver `plugin/webhook/matchconditions/matcher.go`.

use coracle_core::cel::Value;
use k8s_openapi::api::admissionregistration::v1::MatchCondition;

use super::{Evaluator, Expression, Names, Returns};

/// What all conditions may cost together. Source: apiserver `RuntimeCELCostBudgetMatchConditions`.
const BUDGET: u64 = 2_500_000;

/// Conditions, compiled.
#[derive(Debug, Default)]
pub(in super::super) struct Conditions(Vec<Expression>);

impl Conditions {
    pub(in super::super) fn compile(source: &[MatchCondition], has_params: bool) -> Self {
        let names = Names::of_policy(has_params);
        let compile = |condition: &MatchCondition| Expression::compile(&condition.expression, &names, Returns::Bool);
        Self(source.iter().map(compile).collect())
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all hold. One that does not is enough, whatever is wrong with others.
    ///
    /// # Errors
    ///
    /// What is wrong with those that have no value.
    pub(in super::super) fn hold(&self, evaluator: &Evaluator<'_>) -> Result<bool, String> {
        if self.is_empty() {
            return Ok(true);
        }
        let is_true = |value: &Value<'_>| matches!(value, Value::Bool(true));
        let (outcomes, _) = evaluator.without_namespace(|it| it.run(self.0.iter().map(Some), BUDGET, is_true))?;
        let outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
        if outcomes.contains(&Ok(false)) {
            return Ok(false);
        }
        let errors: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
        match errors.as_slice() {
            [] => Ok(true),
            [only] => Err(only.clone()),
            many => Err(format!("[{}]", many.join(", "))),
        }
    }
}
