//! The variables of a policy, each evaluated when it is first asked for. Source: apiserver `plugin/cel/composition.go`.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use coracle_core::cel::{Authorizer, Error, Fields, PER_CALL_LIMIT, Value};

use super::{BUDGET, Variable};

/// The values of variables, as far as they were asked for.
///
/// A variable that needs another one is evaluated again when that one has its value, so that chains of variables, however
/// long, do not nest.
pub(super) struct Variables<'a> {
    variables: &'a [Variable],
    authorizer: &'a (dyn Authorizer + Sync),
    inputs: OnceLock<&'a [Option<Value<'a>>]>,
    values: Vec<OnceLock<Result<Value<'a>, Error>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The variable that is being evaluated.
    evaluating: Option<usize>,
    /// The variable that it needs.
    missing: Option<usize>,
    /// What evaluation has cost since this was last asked.
    cost: u64,
    /// What was spent on evaluations that had to be begun again.
    wasted: u64,
}

impl<'a> Variables<'a> {
    pub(super) fn new(variables: &'a [Variable], authorizer: &'a (dyn Authorizer + Sync)) -> Self {
        let values = variables.iter().map(|_| OnceLock::new()).collect();
        Self { variables, authorizer, inputs: OnceLock::new(), values, state: Mutex::default() }
    }

    /// Lets variables see what there is, themselves included.
    pub(super) fn see(&self, inputs: &'a [Option<Value<'a>>]) {
        let _ = self.inputs.set(inputs);
    }

    pub(super) fn take_cost(&self) -> u64 {
        std::mem::take(&mut self.state().cost)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evaluates a variable, and before it those that it needs, which all stand before it.
    fn evaluate(&self, wanted: usize) {
        let mut waiting = vec![wanted];
        while let Some(index) = waiting.last().copied() {
            let result = self.attempt(index);
            match self.state().missing.take() {
                Some(missing) if result != Err(Error::TooExpensive) => waiting.push(missing),
                _ => {
                    waiting.pop();
                    if let Some(value) = self.values.get(index) {
                        let _ = value.set(self.settled(index, result));
                    }
                }
            }
        }
    }

    fn settled(&self, index: usize, result: Result<Value<'a>, Error>) -> Result<Value<'a>, Error> {
        let name = self.variables.get(index).map_or("", |variable| &variable.name);
        result.map_err(|why| Error::failed(format!("composited variable {name:?} fails to evaluate: {why}")))
    }

    fn attempt(&self, index: usize) -> Result<Value<'a>, Error> {
        let (Some(variable), Some(inputs)) = (self.variables.get(index), self.inputs.get().copied()) else {
            return Err(Error::failed("no such variable"));
        };
        let program = variable.expression.program.as_ref().map_err(|why| Error::failed(why.clone()))?;
        self.state().evaluating = Some(index);
        let outcome = program.evaluate(inputs, PER_CALL_LIMIT, Some(self.authorizer));
        let mut state = self.state();
        state.evaluating = None;
        if state.missing.is_none() {
            state.cost = state.cost.saturating_add(outcome.cost);
            return outcome.result;
        }
        state.wasted = state.wasted.saturating_add(outcome.cost);
        if state.wasted > BUDGET { Err(Error::TooExpensive) } else { outcome.result }
    }
}

impl<'a> Fields<'a> for Variables<'a> {
    fn field(&self, name: &str) -> Option<Result<Value<'a>, Error>> {
        let evaluating = self.state().evaluating;
        let visible = self.variables.get(..evaluating.unwrap_or(self.variables.len()))?;
        let index = visible.iter().rposition(|variable| variable.name == name)?;
        if let Some(why) = self.variables.get(index)?.expression.program.as_ref().err() {
            return Some(Err(Error::failed(format!("composited variable {name:?} fails to compile: {why}"))));
        }
        let value = self.values.get(index)?;
        if value.get().is_none() {
            if evaluating.is_some() {
                self.state().missing = Some(index);
                return Some(Err(Error::failed("another variable comes first")));
            }
            self.evaluate(index);
        }
        value.get().cloned()
    }
}
