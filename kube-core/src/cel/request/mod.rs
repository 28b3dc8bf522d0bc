//! Expressions about requests: what they may name, and what they must come to. Admission evaluates them; the rules of the kinds
//! that hold them refuse those that do not compile. Source: apiserver `admission/plugin/cel/compile.go`, `composition.go`.

mod declared;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1 as api;

pub use declared::{NAMESPACE, REQUEST};

use super::{Environment, Field, Form, ListKind, Program, Shape, Type, compile};

/// Which names there are beside `object`, `oldObject`, `namespaceObject` and `request`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// Whether there are `params`.
    pub params: bool,
    /// Whether there is an `authorizer`.
    pub authorizer: bool,
    /// The `variables` so far, with their types; `None` if there is no such name.
    pub variables: Option<&'a [Variable]>,
    /// Whether expressions make `Object{}` and `JSONPatch{}`.
    pub patches: bool,
    /// What is declared of `object` and `oldObject`. By default they are anything.
    pub object: Option<&'a Arc<Shape>>,
    /// What is declared of `params`. By default they are anything.
    pub param: Option<&'a Arc<Shape>>,
}

impl<'a> Names<'a> {
    /// What most expressions of policies may name.
    #[must_use]
    pub fn of_policy(has_params: bool) -> Self {
        Self { params: has_params, authorizer: true, ..Self::default() }
    }

    /// As these, with variables.
    #[must_use]
    pub fn with(self, variables: &'a [Variable]) -> Self {
        Self { variables: Some(variables), ..self }
    }

    /// As these, for expressions that make messages: they ask no authorizer.
    #[must_use]
    pub fn telling(self) -> Self {
        Self { authorizer: false, ..self }
    }

    /// As these, for expressions that say what is to change.
    #[must_use]
    pub fn patching(self) -> Self {
        Self { patches: true, ..self }
    }

    /// The environment. Its names stand in this order: `object`, `oldObject`, `namespaceObject`, `request`, `params`, `authorizer`,
    /// `authorizer.requestResource`, `variables`. What must not be named has no name.
    fn environment(&self) -> Environment {
        use super::Variable::{Authorizer, Declared, Of, RequestResource};
        let named = |is_there: bool, name: &'static str| if is_there { name } else { "" };
        let typed = |shape: Option<&Arc<Shape>>| shape.map_or(Of(Type::Dyn), |shape| Declared(shape.clone()));
        let mut environment = Environment::new()
            .with("object", typed(self.object))
            .with("oldObject", typed(self.object))
            .with("namespaceObject", Declared(NAMESPACE.clone()))
            .with("request", Declared(REQUEST.clone()))
            .with(named(self.params, "params"), typed(self.param))
            .with(named(self.authorizer, "authorizer"), Authorizer)
            .with(named(self.authorizer, "authorizer.requestResource"), RequestResource);
        if let Some(variables) = self.variables {
            environment = environment.with("variables", Declared(Arc::new(form_of_all(variables))));
        }
        if self.patches {
            environment = environment.with_message("Object").with_message("JSONPatch");
        }
        environment
    }
}

/// What an expression must come to.
#[derive(Clone, Copy, Debug)]
pub enum Returns {
    /// Any value.
    Anything,
    /// `true` or `false`.
    Bool,
    /// Text.
    String,
    /// Text, or `null` for nothing.
    StringOrNull,
    /// `Object{}`.
    Object,
    /// A list of `JSONPatch{}`.
    Patch,
}

impl Returns {
    /// Why a type will not do, if it will not.
    fn refuse(self, type_: &Type) -> Option<String> {
        let is_message = |type_: &Type, wanted: &str| matches!(type_, Type::Object(shape) if shape.name() == wanted);
        let (is_good, wanted) = match self {
            Self::Anything => return None,
            Self::Bool => (matches!(type_, Type::Bool), "bool"),
            Self::String => (matches!(type_, Type::String), "string"),
            Self::StringOrNull => (matches!(type_, Type::String | Type::Null), "[string null_type]"),
            Self::Object => (is_message(type_, "Object"), "Object"),
            // A list that may be empty says nothing of its items.
            Self::Patch => {
                let is_patch = |items: &Type| is_message(items, "JSONPatch") || items.is_dyn();
                (matches!(type_, Type::List(items) if is_patch(items)), "list(JSONPatch)")
            }
        };
        let many = if matches!(self, Self::StringOrNull) { "one of " } else { "" };
        (!is_good).then(|| format!("must evaluate to {many}{wanted} but got {type_}"))
    }
}

/// An expression, compiled, or why it could not be.
#[derive(Debug)]
pub struct Expression {
    /// As it was written.
    pub source: String,
    /// What can be evaluated, or what is wrong with it, in upstream's words.
    pub program: Result<Program, String>,
}

impl Expression {
    /// Compiles an expression that may use these names and must come to this.
    #[must_use]
    pub fn compile(source: &str, names: &Names<'_>, returns: Returns) -> Self {
        let program = compile(source, &names.environment()).map_err(|why| format!("compilation failed: {why}"));
        let program = program.and_then(|program| match returns.refuse(program.type_of()) {
            None => Ok(program),
            Some(why) => Err(why),
        });
        Self { source: source.to_owned(), program }
    }
}

/// A variable of a policy, compiled.
#[derive(Debug)]
pub struct Variable {
    /// What it is called, after `variables.`.
    pub name: String,
    /// What it stands for.
    pub expression: Expression,
}

impl Variable {
    /// Compiles variables, each of which may use those before it.
    #[must_use]
    pub fn compile(source: &[api::Variable], names: &Names<'_>) -> Vec<Self> {
        let mut variables: Vec<Self> = Vec::new();
        for variable in source {
            let expression = Expression::compile(&variable.expression, &names.with(&variables), Returns::Anything);
            variables.push(Self { name: variable.name.clone(), expression });
        }
        variables
    }

    fn form(&self) -> Form {
        self.expression.program.as_ref().map_or(Form::Any, |program| form_of(program.type_of()))
    }
}

fn form_of_all(variables: &[Variable]) -> Shape {
    let field = |variable: &Variable| {
        let field = Field { name: variable.name.clone(), shape: Arc::new(Shape::new(variable.form())) };
        (variable.name.clone(), field)
    };
    let fields: BTreeMap<String, Field> = variables.iter().map(field).collect();
    Shape::new(Form::Object("kubernetes.variables".into(), fields))
}

/// Values of some types have no declared form: they are anything.
fn form_of(type_: &Type) -> Form {
    let shape = |type_: &Type| Arc::new(Shape::new(form_of(type_)));
    match type_ {
        Type::Bool => Form::Bool,
        Type::Int => Form::Int,
        Type::Double => Form::Double,
        Type::String => Form::String,
        Type::Bytes => Form::Bytes,
        Type::Timestamp => Form::DateTime,
        Type::Duration => Form::Duration,
        Type::List(items) => Form::List(shape(items), ListKind::Atomic),
        Type::Map(both) if matches!(both.0, Type::String) => Form::Map(shape(&both.1)),
        Type::Object(shape) => shape.form.clone(),
        _ => Form::Any,
    }
}
