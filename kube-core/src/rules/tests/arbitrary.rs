//! Whatever a client sends: defaults settle at once, and no rule panics.

use super::*;
use crate::kind::{Kinds, api_version};
use crate::schema::{Any as AnyShape, Scalar, Schema, Shape, Type};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, json};

/// Texts that some rule looks at, and such that none expects.
const TEXTS: &[&str] = &[
    "",
    "a",
    "b",
    "A_b",
    "a.b",
    "a.b.c/d",
    "/a/../b",
    "//",
    "*",
    "-1",
    "-",
    "1Gi",
    "ü",
    "%",
    "100%",
    "::1",
    "10.0.0.0/8",
    "2001:db8::/64",
    "Always",
    "Never",
    "Exists",
    "In",
    "TCP",
    "Pod",
    "Container",
    "Service",
    "Deployment",
    "Resource",
    "Queue",
    "Limited",
    "Exempt",
    "ExactCount",
    "All",
    "User",
    "ServiceAccount",
    "*/5 * * * *",
    "https://a@b/c?d#e",
    "JSONPatch",
    "ClusterIP",
    "LoadBalancer",
    "RollingUpdate",
    "iqn.2001-04.a:b",
    "1.2.3-a+b",
    "a\\b",
    "spec.nodeName",
];
const NUMBERS: &[i64] = &[0, 1, -1, 2, 64, 300, 70_000, i32::MAX as i64, i32::MIN as i64];

/// Random objects of a type, sparser when deeper.
struct Maker(SmallRng);

impl Maker {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())]
    }

    fn value(&mut self, ty: Type<'_>, depth: u32) -> Value {
        match ty.shape() {
            Shape::Scalar(scalar) => self.scalar(*scalar),
            Shape::Struct(object) => {
                let chance = [1.0, 0.6, 0.5, 0.4, 0.3].get(depth as usize).copied().unwrap_or(0.2);
                let mut members = Map::new();
                for field in &object.fields {
                    if depth < 10 && self.0.random_bool(chance) {
                        members.insert(field.name.to_string(), self.value(ty.at(field.ty), depth + 1));
                    }
                }
                members.into()
            }
            Shape::Map(map) => {
                let keys: Vec<_> = (0..self.0.random_range(0..3)).map(|_| self.pick(TEXTS)).collect();
                keys.into_iter().map(|key| (key.to_owned(), self.value(ty.at(map.element), depth + 1))).collect()
            }
            Shape::List(list) => {
                (0..self.0.random_range(0..4)).map(|_| self.value(ty.at(list.item), depth + 1)).collect()
            }
            Shape::Any(AnyShape::Atomic | AnyShape::Opaque | AnyShape::Open) => {
                [Value::Null, json!({ "a": 1 }), json!(3)][self.0.random_range(0..3)].clone()
            }
        }
    }

    fn scalar(&mut self, scalar: Scalar) -> Value {
        match scalar {
            Scalar::String => self.pick(TEXTS).into(),
            Scalar::Bytes => self.pick(&["", "AAEC/w=="]).into(),
            Scalar::Int32 | Scalar::Int64 => self.pick(NUMBERS).into(),
            Scalar::Double => json!(-0.5),
            Scalar::Bool => self.0.random::<bool>().into(),
            Scalar::Quantity => self.pick(&["0", "1", "-1", "1500m", "1Gi", "1n", "x"]).into(),
            Scalar::IntOrString if self.0.random() => self.pick(NUMBERS).into(),
            Scalar::IntOrString => self.pick(&["", "25%", "120%", "http", "A"]).into(),
            Scalar::Time => json!("2026-01-02T03:04:05Z"),
            Scalar::MicroTime => json!("2026-01-02T03:04:05.678901Z"),
        }
    }

    fn object(&mut self, rules: &Rules) -> Value {
        let api_version = api_version(rules.group, rules.version);
        let schema = Schema::of_kind(&api_version, rules.kind).unwrap();
        let mut object = self.value(schema.root(), 0);
        object["apiVersion"] = api_version.into();
        object["kind"] = rules.kind.into();
        object["metadata"]["name"] = self.pick(TEXTS).into();
        object
    }
}

fn check(rules: &Rules, one: &Value, other: &Value) {
    let kinds = Kinds::builtin();
    let Some(kind) = kinds.by_kind(&api_version(rules.group, rules.version), rules.kind) else { return };
    let decode = |json: &Value| kind.codec.decode(json.to_string().as_bytes()).ok();
    let (Some(mut new), Some(mut old)) = (decode(one), decode(other)) else { return };
    for object in [&mut new, &mut old] {
        (rules.default)(object.as_any_mut());
        let once = object.encode().unwrap();
        (rules.default)(object.as_any_mut());
        let twice = object.encode().unwrap();
        assert_eq!(String::from_utf8(twice).unwrap(), String::from_utf8(once).unwrap(), "{}", rules.kind);
        (rules.prepare_create)(object.as_any_mut());
        let kept = object.encode().unwrap();
        (rules.default)(object.as_any_mut());
        let read = object.encode().unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), String::from_utf8(kept).unwrap(), "created {}", rules.kind);
        (rules.validate)(object.as_any());
    }
    (rules.validate_status_update)(new.as_any(), old.as_any());
    for part in ["resize", "ephemeralcontainers", "approval", "finalize"] {
        (rules.validate_part_update)(part, new.as_any(), old.as_any());
    }
    (rules.spec_changed)(new.as_any(), old.as_any());
    (rules.prepare_update)(new.as_any_mut(), old.as_any());
    (rules.validate_update)(new.as_any(), old.as_any());
    (rules.prepare_status_update)(new.as_any_mut(), old.as_any());
}

#[test]
fn every_kept_kind_has_rules() {
    let kinds = Kinds::builtin();
    for kind in kinds.iter().filter(|kind| kind.is_stored() && kind.is_storage_version()) {
        assert!(
            lookup(&kind.group, &kind.version, &kind.kind).is_some() || kind.kind == "ComponentStatus",
            "{}",
            kind.kind
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn defaults_settle_and_nothing_panics(seed: u64) {
        let mut maker = Maker(SmallRng::seed_from_u64(seed));
        for rules in TABLE {
            let (one, other) = (maker.object(rules), maker.object(rules));
            check(rules, &one, &other);
        }
    }
}
