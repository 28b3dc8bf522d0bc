//! From text to something that can be evaluated.

use std::sync::Arc;

use super::cost::Span;
use super::eval::Evaluation;
use super::library::{Authorizer, Check, Opaque, Patterns, Who};
use super::meter::Meter;
use super::syntax::{parse, show};
use super::tree::Node;
use super::{Error, Shape, Type, Value, check, estimate};

/// What expressions of one place may name: variables and their declared forms, and messages they can make.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: Vec<(String, Variable)>,
    messages: Vec<String>,
}

/// What a variable is.
#[derive(Clone, Debug)]
pub enum Variable {
    /// JSON of a declared form.
    Declared(Arc<Shape>),
    /// JSON of a declared form that may not be there.
    Optional(Arc<Shape>),
    /// A value of a type.
    Of(Type),
    /// The authorizer: questions begin with it.
    Authorizer,
    /// A question to the authorizer about the object of the request.
    RequestResource,
}

impl Variable {
    fn type_of(&self) -> Type {
        match self {
            Self::Declared(shape) => shape.type_of(),
            Self::Optional(shape) => Type::optional(shape.type_of()),
            Self::Of(type_) => type_.clone(),
            Self::Authorizer => Type::Opaque("kubernetes.authorization.Authorizer"),
            Self::RequestResource => Type::Opaque("kubernetes.authorization.ResourceCheck"),
        }
    }
}

impl Environment {
    /// Nothing is declared.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also declares a variable. Values are given in the order of declarations.
    #[must_use]
    pub fn with(mut self, name: &str, variable: Variable) -> Self {
        self.variables.push((name.to_owned(), variable));
        self
    }

    /// Also lets expressions make messages of this name and of names that begin with it and a dot, such as `Object{}`.
    #[must_use]
    pub fn with_message(mut self, name: &str) -> Self {
        self.messages.push(name.to_owned());
        self
    }

    pub(super) fn find(&self, name: &str) -> Option<(usize, Type)> {
        let index = self.variables.iter().position(|(known, _)| known == name)?;
        self.variables.get(index).map(|(_, variable)| (index, variable.type_of()))
    }

    pub(super) fn shape(&self, index: usize) -> Option<&Arc<Shape>> {
        match self.variables.get(index) {
            Some((_, Variable::Declared(shape) | Variable::Optional(shape))) => Some(shape),
            _ => None,
        }
    }

    pub(super) fn has_message(&self, name: &str) -> bool {
        self.messages
            .iter()
            .any(|known| name.strip_prefix(known.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }
}

/// A compiled expression. Compile once, evaluate often.
#[derive(Debug)]
pub struct Program {
    node: Node,
    used: Vec<String>,
    cost: Span,
}

/// What an evaluation came to, and what it cost, which is counted even if it failed.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The value, or why there is none.
    pub result: Result<Value<'a>, Error>,
    /// Units of cost.
    pub cost: u64,
}

/// What one expression may cost. Source: apiserver `PerCallLimit`.
pub const PER_CALL_LIMIT: u64 = 1_000_000;

/// Compiles an expression. Checks names and types, and reads literal patterns, durations and timestamps.
///
/// # Errors
///
/// Everything that is wrong with it, in cel-go's words with the place: `ERROR: <input>:1:5: undefined field 'x'`.
pub fn compile(source: &str, environment: &Environment) -> Result<Program, String> {
    let expr = parse(source).map_err(|mistakes| show(source, &mistakes))?;
    let checked = check::check(&expr, environment);
    if !checked.mistakes.is_empty() {
        return Err(show(source, &checked.mistakes));
    }
    let name = |index: &usize| environment.variables.get(*index).map(|(name, _)| name.clone());
    let used = checked.used.iter().filter_map(name).collect();
    let cost = estimate::estimate(&checked.node, environment);
    Ok(Program { node: checked.node, used, cost })
}

impl Program {
    /// The type of the value.
    #[must_use]
    pub fn type_of(&self) -> &Type {
        &self.node.type_
    }

    /// Whether the expression names a variable.
    #[must_use]
    pub fn uses(&self, variable: &str) -> bool {
        self.used.iter().any(|used| used == variable)
    }

    /// What an evaluation costs at most, as far as the declared forms tell.
    #[must_use]
    pub fn cost_max(&self) -> u64 {
        self.cost.max
    }

    /// Evaluates, with values in the order of the environment's variables; `None` for those that have none. Stops when it cost
    /// more than `limit`.
    #[must_use]
    pub fn evaluate<'a>(
        &'a self,
        variables: &'a [Option<Value<'a>>],
        limit: u64,
        authorizer: Option<&'a dyn Authorizer>,
    ) -> Outcome<'a> {
        let mut evaluation = Evaluation {
            variables,
            locals: Vec::new(),
            meter: Meter::new(limit),
            patterns: Patterns::default(),
            authorizer,
        };
        let result = evaluation.node(&self.node);
        Outcome { result, cost: evaluation.meter.cost() }
    }
}

impl Value<'_> {
    /// The value of `authorizer`: asks for the user of the request.
    #[must_use]
    pub fn authorizer() -> Self {
        Self::Opaque(Arc::new(Opaque::Authorizer(Who::Requester)))
    }

    /// The value of `authorizer.requestResource`.
    #[must_use]
    pub fn request_resource(attributes: super::Attributes) -> Self {
        let check = Check { who: Who::Requester, attributes };
        Self::Opaque(Arc::new(Opaque::Check(check)))
    }
}
