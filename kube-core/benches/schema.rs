//! What a large custom resource costs on its way in: `cargo bench -p coracle-core --bench schema`.

#![allow(clippy::expect_used, reason = "a bench may fail loudly")]

use coracle_core::Kind;
use coracle_core::custom::rows;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

fn main() {
    divan::main();
}

/// A kind of routes: patterns, defaults, lists as maps; with rules on each route if so wished.
fn kind(has_rules: bool) -> Kind {
    let rules = match has_rules {
        true => json!([{"rule": "!has(self.port) || self.port > 0"}, {"rule": "self.hosts.all(h, h.contains('.'))"}]),
        false => Value::Null,
    };
    let name = json!({"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"});
    let mut route = json!({"type": "object", "required": ["name"], "properties": {
        "name": name,
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "weight": {"type": "integer", "default": 1},
        "path": {"type": "object", "default": {}, "properties": {
            "type": {"type": "string", "enum": ["Exact", "Prefix"], "default": "Prefix"}, "value": {"type": "string", "default": "/"},
        }},
        "hosts": {"type": "array", "maxItems": 16, "items": {"type": "string", "maxLength": 253}},
        "labels": {"type": "object", "maxProperties": 16, "additionalProperties": {"type": "string"}},
    }});
    if let Some(fields) = route.as_object_mut().filter(|_| has_rules) {
        fields.insert("x-kubernetes-validations".to_owned(), rules);
    }
    let routes = json!({"type": "array", "maxItems": 500, "items": route,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]});
    let spec = json!({"type": "object", "properties": {"routes": routes}});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": {"name": "tables.test.io"},
        "spec": {
            "group": "test.io", "scope": "Namespaced", "names": {"plural": "tables", "kind": "Table"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    }))
    .expect("a definition");
    rows(&definition).pop().expect("a version")
}

/// Some 65 kB of JSON.
fn object() -> Value {
    let route = |number: usize| {
        json!({
            "name": format!("route-{number}"), "port": 8080, "path": {"type": "Exact", "value": format!("/some/path/{number}")},
            "hosts": ["one.example.com", "two.example.com"], "labels": {"app.kubernetes.io/name": "web", "tier": "front"},
        })
    };
    let routes: Vec<Value> = (0..300).map(route).collect();
    json!({"apiVersion": "test.io/v1", "kind": "Table", "metadata": {"name": "t"}, "spec": {"routes": routes}})
}

/// Pruning and defaulting.
#[divan::bench]
fn completed(bencher: Bencher<'_, '_>) {
    let (kind, object) = (kind(false), object());
    let custom = kind.custom.expect("a custom kind");
    bencher.counter(BytesCount::of_str(&object.to_string())).with_inputs(|| object.clone()).bench_local_values(
        |mut object| {
            custom.complete(black_box(&mut object));
            object
        },
    );
}

#[divan::bench(args = [false, true])]
fn validated(bencher: Bencher<'_, '_>, has_rules: bool) {
    let (kind, mut object) = (kind(has_rules), object());
    let custom = kind.custom.expect("a custom kind");
    custom.complete(&mut object);
    bencher.counter(BytesCount::of_str(&object.to_string())).bench_local(|| {
        let errors = custom.validate(black_box(&object), None);
        assert!(errors.is_empty());
    });
}

/// An update of one route: what has not changed is not asked again.
#[divan::bench]
fn validated_as_a_change(bencher: Bencher<'_, '_>) {
    let (kind, mut old) = (kind(true), object());
    let custom = kind.custom.expect("a custom kind");
    custom.complete(&mut old);
    let mut new = old.clone();
    if let Some(port) = new.pointer_mut("/spec/routes/150/port") {
        *port = json!(9090);
    }
    bencher.bench_local(|| custom.validate(black_box(&new), Some(black_box(&old))));
}
