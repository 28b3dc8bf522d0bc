//! The CEL rules of a schema (`x-kubernetes-validations`): compiled once with the definition, evaluated with each write. Source:
//! apiextensions `schema/cel/compilation.go`, `schema/cel/validation.go`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;
use serde_json::Value as Json;

use super::check::same_item;
use super::declared;
use super::field_path;
use super::structural::{Additional, Structural};
use crate::cel::{Environment, Error as Failure, PER_CALL_LIMIT, Program, Shape, Value, Variable, compile};
use crate::field::{Errors, Path};

/// What all rules of one object may cost together. Source: apiserver `RuntimeCELCostBudget`.
const BUDGET: u64 = 10_000_000;
/// How long a message may be that an expression made. Source: apiserver `MaxEvaluatedMessageExpressionSizeBytes`.
const MESSAGE_BYTES_MAX: usize = 5 * 1024;

/// The rules at a place of a schema and below. Places without rules are left out.
#[derive(Debug)]
pub(super) struct Rules {
    here: Vec<Rule>,
    /// The form that the rules here see.
    shape: Option<Arc<Shape>>,
    type_: String,
    properties: BTreeMap<String, Rules>,
    additional: Option<Box<Rules>>,
    items: Option<Box<Rules>>,
}

/// One compiled rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) source: ValidationRule,
    pub(super) program: Result<Program, String>,
    pub(super) message: Option<Result<Program, String>>,
    /// Where the error stands, below the place of the rule.
    pub(super) path: Result<String, String>,
}

impl Rule {
    fn new(source: &ValidationRule, schema: &Structural, shape: &Arc<Shape>) -> Self {
        let is_optional = source.optional_old_self == Some(true);
        let declare = if is_optional { Variable::Optional } else { Variable::Declared };
        let environment = Environment::new()
            .with("self", Variable::Declared(Arc::clone(shape)))
            .with("oldSelf", declare(Arc::clone(shape)));
        let message = source.message_expression.as_deref().filter(|text| !text.is_empty());
        Self {
            program: compile(&source.rule, &environment),
            message: message.map(|text| compile(text, &environment)),
            path: field_path::normalize(source.field_path.as_deref().unwrap_or(""), schema),
            source: source.clone(),
        }
    }

    /// Whether it compares with what was there before.
    pub(super) fn is_transition(&self) -> bool {
        self.program.as_ref().is_ok_and(|program| program.uses("oldSelf"))
    }

    fn is_optional(&self) -> bool {
        self.source.optional_old_self == Some(true)
    }

    /// The message, or the rule itself.
    fn shown(&self) -> &str {
        let message = self.source.message.as_deref().filter(|message| !message.is_empty());
        message.unwrap_or(&self.source.rule).trim()
    }
}

/// The rules that stand at one place, compiled; `None` for the form of places that expressions cannot look at.
pub(super) fn compiled(schema: &Structural) -> (Vec<Rule>, Option<Arc<Shape>>) {
    let shape = if schema.rules.is_empty() { None } else { declared::shape(schema) };
    let compile = |shape: &Arc<Shape>| schema.rules.iter().map(|rule| Rule::new(rule, schema, shape)).collect();
    (shape.as_ref().map(compile).unwrap_or_default(), shape)
}

impl Rules {
    /// The rules of a schema; `None` if it has none.
    pub(super) fn new(schema: &Structural) -> Option<Self> {
        let (here, shape) = compiled(schema);
        let properties = schema.properties.iter().filter_map(|(name, field)| Some((name.clone(), Self::new(field)?)));
        let additional = match &schema.additional {
            Additional::Schema(values) => Self::new(values).map(Box::new),
            _ => None,
        };
        let type_ = if schema.is_embedded { "object".to_owned() } else { schema.type_.clone() };
        let items = schema.items.as_deref().and_then(Self::new).map(Box::new);
        let rules = Self { here, shape, type_, properties: properties.collect(), additional, items };
        let is_empty = rules.here.is_empty() && rules.properties.is_empty();
        (!is_empty || rules.additional.is_some() || rules.items.is_some()).then_some(rules)
    }

    /// Evaluates all rules. Those that do not compare are not asked about what has not changed since `old`.
    pub(super) fn check(
        &self,
        value: &Json,
        old: Option<&Json>,
        schema: &Structural,
        path: &Path,
        errors: &mut Errors,
    ) {
        let mut run = Run { left: BUDGET, errors };
        // The error says it all: no further rules are run.
        let _ = run.place(self, Place { value, old, is_same: false, schema, path });
    }
}

/// The budget is used up, or an expression was too expensive.
struct Stopped;

struct Run<'e> {
    left: u64,
    errors: &'e mut Errors,
}

#[derive(Clone, Copy)]
struct Place<'p> {
    value: &'p Json,
    old: Option<&'p Json>,
    /// Whether it, or what it is a part of, is as it was.
    is_same: bool,
    schema: &'p Structural,
    path: &'p Path<'p>,
}

impl Run<'_> {
    fn place(&mut self, rules: &Rules, place: Place<'_>) -> Result<(), Stopped> {
        if place.value.is_null() {
            return Ok(());
        }
        let place = Place { is_same: place.is_same || place.old == Some(place.value), ..place };
        for rule in &rules.here {
            self.rule(rules, rule, place)?;
        }
        match place.value {
            Json::Array(items) => self.items(rules, items, place),
            Json::Object(fields) => {
                for (name, value) in fields {
                    let old = place.old.and_then(|old| old.get(name));
                    let Some(schema) = place.schema.field(name) else { continue };
                    let below = match rules.properties.get(name) {
                        Some(below) => Some((below, place.path.field(name))),
                        None if place.schema.properties.contains_key(name) => None,
                        None => rules.additional.as_deref().map(|below| (below, place.path.key(name))),
                    };
                    if let Some((below, path)) = below {
                        self.place(below, Place { value, old, schema, path: &path, ..place })?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn items(&mut self, rules: &Rules, items: &[Json], place: Place<'_>) -> Result<(), Stopped> {
        let (Some(below), Some(schema)) = (&rules.items, &place.schema.items) else { return Ok(()) };
        for (index, value) in items.iter().enumerate() {
            let old = place.old.and_then(|old| same_item(value, old, place.schema));
            self.place(below, Place { value, old, schema, path: &place.path.index(index), ..place })?;
        }
        Ok(())
    }

    fn rule(&mut self, rules: &Rules, rule: &Rule, place: Place<'_>) -> Result<(), Stopped> {
        let (Ok(program), Some(shape)) = (&rule.program, &rules.shape) else {
            let why = rule.program.as_ref().err().map_or("", String::as_str);
            self.errors.invalid(place.path, &*rules.type_, format!("rule compile error: compilation failed: {why}"));
            return Ok(());
        };
        let is_transition = rule.is_transition();
        let is_idle =
            (is_transition && place.old.is_none() && !rule.is_optional()) || (!is_transition && place.is_same);
        if is_idle {
            return Ok(());
        }
        let old = place.old.map(|old| Value::of(old, Some(shape)));
        let old = match rule.is_optional() {
            true => Some(old.map_or(Value::none(), Value::some)),
            false => old,
        };
        let variables = [Some(Value::of(place.value, Some(shape))), old];
        let outcome = program.evaluate(&variables, PER_CALL_LIMIT, None);
        let mut say = |detail: String| self.errors.invalid(place.path, &*rules.type_, detail);
        if outcome.cost > self.left {
            say("validation failed due to running out of cost budget, no further validation rules will be run"
                .to_owned());
            return Err(Stopped);
        }
        self.left -= outcome.cost;
        match outcome.result {
            Ok(Value::Bool(true)) => Ok(()),
            Ok(_) => self.refuse(rules, rule, place, &variables),
            Err(why @ Failure::TooExpensive) => {
                let what = "no further validation rules will be run due to call cost exceeds limit for rule";
                say(format!("'{why}': {what}: {}", rule.shown()));
                Err(Stopped)
            }
            Err(why) if why.to_string().starts_with("no such overload") => {
                let what = "call arguments did not match a supported operator, function or macro signature for rule";
                say(format!("'{why}': {what}: {}", rule.shown()));
                Ok(())
            }
            Err(why) => {
                say(format!("{why} evaluating rule: {}", rule.shown()));
                Ok(())
            }
        }
    }

    fn refuse<'a>(
        &mut self,
        rules: &Rules,
        rule: &'a Rule,
        place: Place<'_>,
        variables: &'a [Option<Value<'a>>],
    ) -> Result<(), Stopped> {
        let below = rule.path.as_deref().unwrap_or("");
        let inner = place.path.field(below);
        let path = if below.is_empty() { place.path } else { &inner };
        let (message, end) = match self.message(rule, variables) {
            Ok(message) => (message, Ok(())),
            Err(why) => (Some(why), Err(Stopped)),
        };
        let detail: Cow<'_, str> = match (message, &rule.source.message) {
            (Some(message), _) => message.into(),
            (None, Some(message)) if !message.is_empty() => message.trim().into(),
            _ => format!("failed rule: {}", rule.shown()).into(),
        };
        match rule.source.reason.as_deref().filter(|_| end.is_ok()) {
            Some("FieldValueForbidden") => self.errors.forbidden(path, detail),
            Some("FieldValueRequired") => self.errors.required(path, detail),
            Some("FieldValueDuplicate") => self.errors.duplicate(path, &*rules.type_),
            _ => self.errors.invalid(path, &*rules.type_, detail),
        }
        end
    }

    /// What the rule's message expression says, if it has one that comes to something that can be shown.
    fn message<'a>(&mut self, rule: &'a Rule, variables: &'a [Option<Value<'a>>]) -> Result<Option<String>, String> {
        let Some(Ok(program)) = &rule.message else { return Ok(None) };
        let source = rule.source.message_expression.as_deref().unwrap_or("");
        let outcome = program.evaluate(variables, PER_CALL_LIMIT, None);
        if outcome.cost > self.left {
            let why = "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be \
                       run";
            return Err(why.to_owned());
        }
        self.left -= outcome.cost;
        if let Err(Failure::TooExpensive) = outcome.result {
            let what = "no further validation rules will be run due to call cost exceeds limit for messageExpression";
            return Err(format!("{what}: {source:?}"));
        }
        let text = outcome.result.ok().and_then(|value| value.as_str().map(|text| text.trim().to_owned()));
        Ok(text.filter(|text| !text.is_empty() && text.len() <= MESSAGE_BYTES_MAX && !text.contains('\n')))
    }
}
