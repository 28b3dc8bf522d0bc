//! Expressions as data: what they come to, what they are refused for, what they cost.

mod bombs;
mod language;
mod mistakes;
mod random;

use serde_json::{Value as Json, json};

use super::*;

/// What tests may name: `self` is anything.
fn environment() -> Environment {
    let any = std::sync::Arc::new(Shape::new(Form::Any));
    let typed = Shape::object(
        "Object",
        [
            ("name".to_owned(), std::sync::Arc::new(Shape { size_max: 63, ..Shape::new(Form::String) })),
            ("replicas".to_owned(), std::sync::Arc::new(Shape::new(Form::Int))),
            ("ratio".to_owned(), std::sync::Arc::new(Shape::new(Form::Double))),
            ("namespace".to_owned(), std::sync::Arc::new(Shape::new(Form::String))),
            ("a-b".to_owned(), std::sync::Arc::new(Shape::new(Form::String))),
            ("since".to_owned(), std::sync::Arc::new(Shape::new(Form::DateTime))),
            ("wait".to_owned(), std::sync::Arc::new(Shape::new(Form::Duration))),
            ("tags".to_owned(), set()),
        ],
    );
    Environment::new()
        .with("self", Variable::Declared(any))
        .with("typed", Variable::Declared(typed.into()))
        .with("authorizer", Variable::Authorizer)
}

fn set() -> std::sync::Arc<Shape> {
    let text = std::sync::Arc::new(Shape::new(Form::String));
    std::sync::Arc::new(Shape { size_max: 10, ..Shape::new(Form::List(text, ListKind::Set)) })
}

struct OnlyGet;

impl Authorizer for OnlyGet {
    fn check(&self, who: &Who, attributes: &Attributes) -> Decision {
        let name = match who {
            Who::Requester => "requester".to_owned(),
            Who::ServiceAccount(namespace, name) => format!("{namespace}/{name}"),
        };
        Decision { allowed: attributes.verb == "get", reason: format!("{name} {attributes:?}"), error: None }
    }
}

fn data() -> (Json, Json) {
    let any =
        json!({"list": [1, 2, 3], "map": {"a": 1, "b": 2}, "text": "hello", "empty": "", "none": null, "port": "http"});
    let typed = json!({
        "name": "web", "replicas": 3, "ratio": 2, "namespace": "default", "a-b": "dash", "since": "2026-01-02T03:04:05Z",
        "wait": "1h30m", "tags": ["x", "y"],
    });
    (any, typed)
}

/// The value as text, or the error; and the cost.
fn evaluate(source: &str, limit: u64) -> (String, u64) {
    let environment = environment();
    let program = match compile(source, &environment) {
        Ok(program) => program,
        Err(mistakes) => return (mistakes, 0),
    };
    let (any, typed) = data();
    let (_, Some(shape)) = (0, environment.shape(1)) else { panic!("no shape") };
    let variables = [Some(Value::of(&any, None)), Some(Value::of(&typed, Some(shape))), Some(Value::authorizer())];
    let outcome = program.evaluate(&variables, limit, Some(&OnlyGet));
    let text = match &outcome.result {
        Ok(Value::Type(name)) => name.to_string(),
        Ok(Value::Uint(number)) => format!("{number}u"),
        Ok(Value::Double(number)) => format!("{number:?}"),
        Ok(Value::Optional(None)) => "none".to_owned(),
        Ok(value) => value.to_json().map_or(format!("{value:?}"), |json| json.to_string()),
        Err(error) => format!("error: {error}"),
    };
    (text, outcome.cost)
}

fn check(source: &str, expected: &str) {
    assert_eq!(evaluate(source, PER_CALL_LIMIT).0, expected, "{source}");
}

/// Lines of `expression => value`.
fn check_lines(lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (source, expected) = line.rsplit_once(" => ").unwrap_or_else(|| panic!("no arrow: {line}"));
        check(source.trim(), expected.trim());
    }
}

#[test]
fn the_table_of_functions_is_well_formed() {
    library::check_table();
}
