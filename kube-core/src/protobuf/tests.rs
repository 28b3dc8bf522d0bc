use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use super::table::{Id, Message, Node, Tables, Union, tables};
use super::*;
use crate::Kinds;
use crate::schema::{Scalar, Schema, Shape, testing};

fn decode(bytes: &[u8]) -> Result<Value, Error> {
    Ok(serde_json::from_slice(&Envelope::read(bytes)?.to_json()?)?)
}

/// Here and back.
fn check(object: &Value) {
    let bytes = encode(object.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error}: {object:#}"));
    assert_eq!(decode(&bytes).unwrap(), *object);
}

/// All of an object's message, between its kind and the two empty strings.
fn check_bytes(object: Value, expected: &[u8]) {
    let bytes = encode(object.to_string().as_bytes()).unwrap();
    let envelope = Envelope::read(&bytes).unwrap();
    let message = bytes.split_at(bytes.len() - 4 - expected.len()).1;
    assert_eq!(message, [expected, b"\x1a\0\x22\0"].concat(), "{object}");
    assert_eq!((&envelope.api_version[..], &envelope.kind[..]), ("v1", object["kind"].as_str().unwrap()));
    assert_eq!(decode(&bytes).unwrap(), object);
}

#[test]
fn known_bytes() {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}});
    assert_eq!(
        encode(namespace.to_string().as_bytes()).unwrap(),
        b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x05\x0a\x03\x0a\x01x\x1a\0\x22\0"
    );
    check_bytes(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"}, "binaryData": {"b": "AQI="}}),
        b"\x1a\x07\x0a\x01b\x12\x02\x01\x02\x12\x06\x0a\x01k\x12\x01v",
    );
    check_bytes(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"creationTimestamp": "1970-01-01T00:00:01Z"},
            "spec": {"volumes": [{"name": "t", "emptyDir": {}}], "priority": -1}}),
        &[
            &b"\x0a\x06\x42\x04\x08\x01\x10\0"[..],
            b"\x12\x15\xc8\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x0a\x07\x12\x02\x12\0\x0a\x01t",
        ]
        .concat(),
    );
    check_bytes(
        json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": 80, "targetPort": 8080}, {"targetPort": "web"}]}}),
        b"\x12\x1a\x0a\x0b\x18\x50\x22\x07\x08\0\x10\x90\x3f\x1a\0\x0a\x0b\x22\x09\x08\x01\x10\0\x1a\x03web",
    );
}

#[test]
fn a_long_message_has_a_long_length() {
    for length in [100, 127, 128, 129, 16_383, 16_384, 300_000] {
        check(&json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"text": "x".repeat(length)}}));
    }
}

#[test]
fn zeros_are_left_out_where_go_leaves_them_out() {
    // `name` is an empty string, `replicas` a pointer to 0, `paused` false; then an unknown field.
    let message = b"\x0a\x02\x0a\0\x12\x04\x08\0\x38\0\xf8\x3f\x01";
    let bytes = [&b"k8s\0\x0a\x15\x0a\x07apps/v1\x12\x0aDeployment\x12"[..], &[message.len() as u8], message].concat();
    let expected = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": {"replicas": 0}});
    assert_eq!(decode(&bytes).unwrap(), expected);
}

#[test]
fn a_list_is_written_item_by_item() {
    let pod = |name| json!({"metadata": {"name": name}, "spec": {"nodeName": "a"}});
    let list = json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": []});
    let mut writer = ListWriter::new(list.to_string().as_bytes()).unwrap();
    for name in ["a", "b"] {
        let mut item = pod(name);
        item["apiVersion"] = "v1".into();
        item["kind"] = "Pod".into();
        writer.push(&encode(item.to_string().as_bytes()).unwrap()).unwrap();
    }
    assert!(writer.push(b"{}").is_err());
    let whole = json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": [pod("a"), pod("b")]});
    assert_eq!(decode(&writer.finish()).unwrap(), whole);
    check(&whole);
    assert!(ListWriter::new(br#"{"apiVersion":"v1","kind":"Pod"}"#).is_err());
}

#[test]
fn frames_have_their_length_in_front() {
    assert_eq!(watch_frame("ADDED", b"k8s\0"), b"\0\0\0\x0f\x0a\x05ADDED\x12\x06\x0a\x04k8s\0");
}

#[test]
fn partial_metadata_and_options() {
    check(&json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": {"continue": "x"},
        "items": [{"metadata": {"name": "a", "labels": {"b": "c"}}}]}));
    check(&json!({"apiVersion": "policy/v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "dryRun": ["All"]}));
    assert!(!knows("example.com/v1", "Website"));
}

#[test]
fn an_object_inside_an_object() {
    let inner = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "Yg=="}});
    let revision = json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "data": inner, "revision": 3});
    check(&revision);
    let raw = encode(inner.to_string().as_bytes()).unwrap();
    let mut message = vec![0x12, raw.len() as u8 + 2, 0x0a, raw.len() as u8];
    message.extend(&raw);
    let head = b"k8s\0\x0a\x1d\x0a\x07apps/v1\x12\x12ControllerRevision\x12";
    let bytes = [&head[..], &[message.len() as u8 + 2], &message, b"\x18\x03"].concat();
    assert_eq!(decode(&bytes).unwrap(), revision);
}

#[test]
fn refusals_are_worded_as_upstream() {
    let check = |body: &[u8], expected: &str| assert_eq!(decode(body).unwrap_err().to_string(), expected);
    check(b"", "empty data");
    check(b"k8s\0", "empty body");
    check(b"{}", "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]");
    check(b"k8s\0\x0a\xff", "unexpected EOF");
    check(b"k8s\0\x08\x01", "proto: wrong wireType = 0 for field TypeMeta");
    check(b"k8s\0\x12\0", "no kind \"\" is registered for version \"\"");
    check(b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "proto: integer overflow");
    check(b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x02\x08\x01", "proto: wrong wireType = 0 for field metadata");
}

/// Every field that the schema has must have a number, and be written as its type asks.
#[test]
fn the_table_is_complete() {
    let tables = tables();
    for definition in Schema::builtin_names() {
        let schema = Schema::builtin(definition).unwrap();
        let Shape::Struct(object) = schema.root().shape() else { continue };
        if *definition == "io.k8s.apimachinery.pkg.version.Info" {
            continue;
        }
        let message = tables.message(tables.named(definition).unwrap_or_else(|| panic!("no {definition}")));
        for field in &object.fields {
            let is_type = ["apiVersion", "kind"].contains(&field.name.as_ref());
            assert!(is_type || message.field(&field.name).is_some(), "{definition} {}", field.name);
        }
        let mut paths: Vec<_> = message.fields.iter().map(|field| field.path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), message.fields.len(), "{definition}");
    }
    for kind in Kinds::with_previews().iter() {
        let bodies = kind
            .subresources
            .iter()
            .map(|it| (crate::kind::api_version(&it.body.0, &it.body.1), it.body.2.to_string()));
        let rows = [(kind.api_version(), kind.kind.to_string()), (kind.api_version(), kind.list_kind())];
        let list = kind.is_stored();
        for (api_version, kind) in rows.into_iter().take(if list { 2 } else { 1 }).chain(bodies) {
            let is_query = kind.ends_with("Options"); // read from the URL, never from a body
            assert!(is_query || kind.is_empty() || knows(&api_version, &kind), "{api_version} {kind}");
        }
    }
}

/// Random objects with every kind of value; few fields when deep.
struct Maker<'a>(&'a Tables, SmallRng);

impl Maker<'_> {
    fn object(&mut self, id: Id, depth: u32) -> Value {
        let message: &Message = self.0.message(id);
        let chance = [0.9, 0.5, 0.4, 0.3].get(depth as usize).copied().unwrap_or(0.1);
        let mut object = Map::new();
        for field in &message.fields {
            if depth < 12 && self.1.random_bool(chance) {
                object.insert(field.name.into(), self.value(&field.node, depth + 1));
            }
        }
        object.into()
    }

    fn value(&mut self, node: &Node, depth: u32) -> Value {
        let (schema, some) = (self.0.json_schema().unwrap(), self.1.random_range(1..3));
        match node {
            Node::Scalar(scalar) => self.scalar(*scalar),
            Node::Raw => json!({"any": [1, "x", null, {"y": -2.5}]}),
            Node::Strings => json!(["a", "ü"]),
            Node::Message(id) => self.object(*id, depth),
            Node::List(item) => (0..some).map(|_| self.value(item, depth)).collect(),
            Node::Map(element) => (0..some)
                .map(|number| (format!("key-{number}"), self.value(element, depth)))
                .collect::<Map<_, _>>()
                .into(),
            Node::Union(_) if self.1.random() => self.object(schema, depth),
            Node::Union(Union::Bool) => self.1.random::<bool>().into(),
            Node::Union(Union::Array) => (0..some).map(|_| self.object(schema, depth)).collect(),
            Node::Union(Union::Strings) => json!(["a", "b"]),
        }
    }

    fn scalar(&mut self, scalar: Scalar) -> Value {
        match scalar {
            Scalar::String => json!("naïve \"text\"\n"),
            Scalar::Bytes => json!("AAEC/w=="),
            Scalar::Int32 => self.1.random_range(1..=i32::MAX).into(),
            Scalar::Int64 => self.1.random_range(i64::MIN..0).into(),
            Scalar::Double => [json!(-0.5), json!(2.25), json!(65_535)][self.1.random_range(0..3)].clone(),
            Scalar::Bool => json!(true),
            Scalar::Quantity => json!("100m"),
            Scalar::IntOrString if self.1.random() => json!(-80),
            Scalar::IntOrString => json!("25%"),
            Scalar::Time => json!("2026-01-02T03:04:05Z"),
            Scalar::MicroTime => json!("1950-01-02T03:04:05.678901Z"),
        }
    }
}

fn of_kind(kind: &str, id: Id, seed: u64) -> Value {
    let (api_version, kind) = kind.trim_start_matches('/').rsplit_once('/').unwrap();
    let mut object = Maker(tables(), SmallRng::seed_from_u64(seed)).object(id, 0);
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    object
}

#[test]
fn every_kind_survives_here_and_back() {
    let tables = tables();
    for (kind, definition) in Schema::builtin_kinds() {
        let Some(id) = tables.named(definition) else { panic!("no {definition}") };
        for seed in 0..20 {
            check(&of_kind(kind, id, seed));
        }
    }
}

/// What Go would leave out of a manifest that a person wrote.
fn tidy(node: &Node, value: &mut Value) {
    match (node, value) {
        (Node::Message(id), Value::Object(object)) => {
            let message = tables().message(*id);
            object.retain(|name, value| {
                let Some(field) = message.field(name) else { return false };
                tidy(&field.node, value);
                let is_zero = [json!(false), json!(0), json!("")].contains(value);
                let is_empty =
                    matches!(field.node, Node::List(_) | Node::Map(_)) && [json!([]), json!({})].contains(value);
                !(value.is_null() || is_empty || is_zero && field.omits_zero)
            });
        }
        (Node::Scalar(Scalar::Quantity), value @ Value::Number(_)) => *value = value.to_string().into(),
        (Node::List(item), Value::Array(items)) => items.iter_mut().for_each(|value| tidy(item, value)),
        (Node::Map(element), Value::Object(object)) => object.values_mut().for_each(|value| tidy(element, value)),
        (Node::Union(_), value @ Value::Object(_)) => tidy(&Node::Message(tables().json_schema().unwrap()), value),
        (Node::Union(_), Value::Array(items)) => items.iter_mut().for_each(|it| tidy(node, it)),
        _ => {}
    }
}

#[test]
fn manifests_survive_here_and_back() {
    for (file, object) in testing::manifests() {
        let (api_version, kind) = (object["apiVersion"].clone(), object["kind"].clone());
        let Some(id) = tables().of_kind(api_version.as_str().unwrap(), kind.as_str().unwrap()) else { continue };
        let bytes = encode(object.to_string().as_bytes()).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut expected = object;
        tidy(&Node::Message(id), &mut expected);
        expected["apiVersion"] = api_version;
        expected["kind"] = kind;
        assert_eq!(decode(&bytes).unwrap(), expected, "{file}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..3_usize) {
        let kind = ["v1/Pod", "apiextensions.k8s.io/v1/CustomResourceDefinition", "apps/v1/ControllerRevision"][kind];
        let (api_version, kind) = kind.rsplit_once('/').unwrap();
        let _ = Envelope::read(&tail);
        let bytes = [&MAGIC[..], b"\x12", &[tail.len() as u8 & 0x7f], &tail].concat();
        if let Ok(envelope) = Envelope::read(&bytes) {
            let _ = envelope.or_kind(api_version, kind).to_json();
        }
    }

    #[test]
    fn no_broken_message_makes_it_panic(seed in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let kinds = Schema::builtin_kinds();
        let (kind, definition) = kinds[seed as usize % kinds.len()];
        let object = of_kind(kind, tables().named(definition).unwrap(), seed);
        let mut bytes = encode(object.to_string().as_bytes()).unwrap();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let _ = decode(&bytes);
        bytes.truncate(place);
        let _ = decode(&bytes);
    }
}

#[test]
fn depth_is_limited() {
    let mut message = Vec::new();
    for _ in 0..100_000 {
        // JSONSchemaProps.not, again and again.
        let mut outer = Vec::with_capacity(message.len() + 6);
        wire::put_bytes(&mut outer, 28, &message);
        message = outer;
        if message.len() > 5_000 {
            break;
        }
    }
    let id = tables().json_schema().unwrap();
    let decoder = decode::Decoder { tables: tables(), depth: 0 };
    let told = decoder.message(id, &message, &mut Map::new());
    assert!(matches!(told, Err(Error::TooDeep)), "{told:?}");
}
