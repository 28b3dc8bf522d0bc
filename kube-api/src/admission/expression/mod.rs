//! Expressions (CEL) about requests: match conditions of webhooks, and all that policies say.
//!
//! | module | what it holds |
//! |---|---|
//! | `scene` | what they see of a request, as JSON |
//! | `variables` | `variables`, each evaluated when it is first asked for |
//! | `conditions` | match conditions |
//! | `answers` | the authorizer's answers: expressions cannot wait for them |
//! | `cache` | each version of an object is compiled once |
//!
//! What they may name is a fact (`coracle_core::cel::request`). Evaluation is a pure function of the scene and the answers.
//! Source: apiserver `plugin/cel`.

mod answers;
mod cache;
mod conditions;
mod scene;
mod variables;

pub(super) use coracle_core::cel::request::{Expression, Names, Returns, Variable};
use coracle_core::cel::{Authorizer, Map, PER_CALL_LIMIT, Value};
use serde_json::Value as Json;

pub(super) use answers::Answers;
pub(super) use cache::Cache;
pub(super) use conditions::Conditions;
pub(super) use scene::Scene;
use variables::Variables;

/// What the expressions of one purpose may cost together. Source: apiserver `RuntimeCELCostBudget`.
pub(super) const BUDGET: u64 = 10_000_000;

const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// Evaluates expressions about one request.
#[derive(Clone, Copy)]
pub(super) struct Evaluator<'s> {
    scene: &'s Scene,
    params: &'s Json,
    variables: &'s [Variable],
    answers: &'s Answers<'s>,
}

/// What became of expressions: values or reasons why there are none, in their order, and what is left of the budget.
pub(super) type Outcomes<T> = (Vec<Option<Result<T, String>>>, u64);

impl<'s> Evaluator<'s> {
    pub(super) fn new(scene: &'s Scene, answers: &'s Answers<'s>) -> Self {
        Self { scene, params: &Json::Null, variables: &[], answers }
    }

    pub(super) fn with(self, params: &'s Json, variables: &'s [Variable]) -> Self {
        Self { params, variables, ..self }
    }

    /// Evaluates expressions one after the other; variables are evaluated once for all of them.
    ///
    /// # Errors
    ///
    /// The budget is used up.
    pub(super) fn run<'e, T>(
        &self,
        expressions: impl IntoIterator<Item = Option<&'e Expression>>,
        mut budget: u64,
        read: fn(&Value<'_>) -> T,
    ) -> Result<Outcomes<T>, String> {
        let mut outcomes = Vec::new();
        let authorizer: &dyn Authorizer = self.answers;
        let variables = Variables::new(self.variables, authorizer_of(self.answers));
        let scene = self.scene;
        let inputs = scene.inputs(self.params, Value::Map(Map::Lazy(&variables)));
        variables.see(&inputs);
        for expression in expressions {
            let Some(expression) = expression else {
                outcomes.push(None);
                continue;
            };
            let program = match &expression.program {
                Ok(program) => program,
                Err(why) => {
                    outcomes.push(Some(Err(format!("compilation error: {why}"))));
                    continue;
                }
            };
            let (result, cost) = {
                let outcome = program.evaluate(&inputs, PER_CALL_LIMIT, Some(authorizer));
                (outcome.result.map(|value| read(&value)), outcome.cost)
            };
            budget = budget.checked_sub(variables.take_cost()).ok_or(OUT_OF_BUDGET)?;
            budget = budget.checked_sub(cost).ok_or(OUT_OF_BUDGET)?;
            let failed = |why| format!("expression '{}' resulted in error: {why}", expression.source);
            outcomes.push(Some(result.map_err(failed)));
        }
        Ok((outcomes, budget))
    }
}

fn authorizer_of<'a>(answers: &'a Answers<'_>) -> &'a (dyn Authorizer + Sync) {
    answers
}
