//! What an expression costs in time, compiled and evaluated: `cargo bench -p coracle-core --bench cel`.

#![allow(clippy::expect_used, reason = "a bench may fail loudly")]

use coracle_core::cel::{Environment, PER_CALL_LIMIT, Value, Variable, compile};
use coracle_core::cel::{Form, Shape};
use divan::{Bencher, black_box};
use serde_json::json;

fn main() {
    divan::main();
}

const SIMPLE: &str = "!has(object.spec.replicas) || object.spec.replicas <= 5";
const PATTERN: &str = "object.spec.containers.all(c, c.image.matches('^registry[.]example[.]com/[a-z]+$'))";
/// As the rules of gateway-api: every item against every other.
const PAIRS: &str = "object.spec.parents.all(p1, object.spec.parents.all(p2, p1.name == p2.name ? \
                     (!has(p1.section) || p1.section == '') == (!has(p2.section) || p2.section == '') : true))";
const ALL: [&str; 3] = [SIMPLE, PATTERN, PAIRS];

fn environment() -> Environment {
    Environment::new().with("object", Variable::Declared(Shape::new(Form::Any).into()))
}

#[divan::bench(args = ALL)]
fn compiled(bencher: Bencher, source: &str) {
    let environment = environment();
    bencher.bench(|| compile(black_box(source), &environment).expect("compiles"));
}

#[divan::bench(args = ALL)]
fn evaluated(bencher: Bencher, source: &str) {
    let containers: Vec<_> = (0..3).map(|index| json!({"name": index, "image": "registry.example.com/web"})).collect();
    let parents: Vec<_> = (0..16).map(|index| json!({"name": format!("gateway-{index}"), "section": "http"})).collect();
    let object = json!({"spec": {"replicas": 3, "containers": containers, "parents": parents}});
    let program = compile(source, &environment()).expect("compiles");
    bencher.bench(|| {
        let variables = [Some(Value::of(black_box(&object), None))];
        let outcome = program.evaluate(&variables, PER_CALL_LIMIT, None);
        assert!(matches!(outcome.result, Ok(Value::Bool(true))));
        outcome.cost
    });
}
