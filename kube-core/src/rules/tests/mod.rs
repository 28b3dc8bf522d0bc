//! Rules tested as data: an object in YAML, and what is wrong with it.

mod arbitrary;
mod bad_objects;
mod defaults;
mod expressions;
mod manifests;
mod updates;

use super::*;
use k8s_openapi::Resource;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::any::Any;

/// Reads a document as `K`, with kind and version filled in and, for kinds in namespaces, the namespace `default`.
fn read<K: Ruled + DeserializeOwned>(yaml: &str) -> K {
    let document: Value = serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    typed(document)
}

fn typed<K: Ruled + DeserializeOwned>(mut document: Value) -> K {
    document["apiVersion"] = K::API_VERSION.into();
    document["kind"] = K::KIND.into();
    let metadata = document.as_object_mut().unwrap().entry("metadata").or_insert(Value::Object(Default::default()));
    let metadata = metadata.as_object_mut().unwrap();
    metadata.entry("name").or_insert("it".into());
    metadata.entry("uid").or_insert("1-2-3".into());
    if K::Scope::NAMESPACED {
        metadata.entry("namespace").or_insert("default".into());
    }
    serde_json::from_value(document).unwrap()
}

fn rules_of<K: Resource>() -> &'static Rules {
    lookup(K::GROUP, K::VERSION, K::KIND).unwrap()
}

/// The object as a create would store it.
fn created<K: Ruled + DeserializeOwned>(yaml: &str) -> K {
    let mut object: K = read(yaml);
    prepare(&mut object, rules_of::<K>());
    object
}

fn prepare(object: &mut dyn Any, rules: &Rules) {
    (rules.default)(object);
    (rules.prepare_create)(object);
}

fn lines(errors: Errors) -> String {
    errors.iter().map(|error| error.to_string() + "\n").collect()
}

/// What a create of the object would find.
fn check<K: Ruled + DeserializeOwned>(yaml: &str, expected: expect_test::Expect) {
    let object: K = created(yaml);
    expected.assert_eq(&lines((rules_of::<K>().validate)(&object)));
}

/// What an update from the one object to the other would find, once the first is stored.
fn check_update<K: Ruled + DeserializeOwned>(old: &str, new: &str, expected: expect_test::Expect) {
    let mut old: K = created(old);
    old.metadata_mut().resource_version = Some("1".into());
    let mut new: K = read(new);
    let rules = rules_of::<K>();
    new.metadata_mut().resource_version = Some("1".into());
    (rules.default)(&mut new);
    (rules.prepare_update)(&mut new, &old);
    expected.assert_eq(&lines((rules.validate_update)(&new, &old)));
}

#[test]
fn every_row_is_its_own_kind() {
    for (index, rules) in TABLE.iter().enumerate() {
        let found = lookup(rules.group, rules.version, rules.kind).unwrap();
        assert!(std::ptr::eq(found, rules), "row {index}, {}, is there twice", rules.kind);
    }
    assert!(lookup("", "v1", "Nothing").is_none());
}

#[test]
fn an_object_of_another_type_is_reported() {
    let mut secret = k8s_openapi::api::core::v1::Secret::default();
    let pods = rules_of::<k8s_openapi::api::core::v1::Pod>();
    (pods.default)(&mut secret);
    assert_eq!(secret, Default::default());
    assert_eq!((pods.validate)(&secret).to_string(), "<nil>: Internal error: the object is no Pod");
}
