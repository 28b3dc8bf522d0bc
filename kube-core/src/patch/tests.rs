use super::*;
use crate::schema::{Schema, testing};
use proptest::prelude::*;
use serde_json::json as value;

/// `old` under `patch`, both the `spec` of a kind, is `expected`, or fails with that text.
fn check(kind: &str, old: Value, patch: Value, expected: Value) {
    let (api_version, kind) = kind.rsplit_once('/').unwrap();
    let schema = Schema::of_kind(api_version, kind).unwrap();
    let patched = strategic(&schema, value!({ "spec": old }), value!({ "spec": patch }));
    let found = patched.map_or_else(|error| Value::from(error.to_string()), |mut object| object["spec"].take());
    assert_eq!(found, expected, "{old} + {patch}");
}

fn pod(old: Value, patch: Value, expected: Value) {
    check("v1/Pod", old, patch, expected);
}

#[test]
fn objects_merge_and_null_deletes() {
    pod(value!({"nodeName": "a", "priority": 1}), value!({"nodeName": "b"}), value!({"nodeName": "b", "priority": 1}));
    pod(value!({"nodeName": "a", "priority": 1}), value!({"nodeName": null}), value!({"priority": 1}));
    pod(
        value!({}),
        value!({"nodeName": null, "securityContext": {"runAsUser": null}}),
        value!({"securityContext": {}}),
    );
    pod(
        value!({"nodeSelector": {"a": "b"}}),
        value!({"nodeSelector": {"c": "d", "a": null}}),
        value!({"nodeSelector": {"c": "d"}}),
    );
    pod(
        value!({"securityContext": {"runAsUser": 1}}),
        value!({"securityContext": {"$patch": "replace", "fsGroup": 2}}),
        value!({"securityContext": {"fsGroup": 2}}),
    );
    pod(
        value!({"securityContext": {"runAsUser": 1}}),
        value!({"securityContext": {"$patch": "delete"}}),
        value!({"securityContext": {}}),
    );
    pod(value!({}), value!({"securityContext": {"$patch": "delete"}}), value!({}));
    pod(
        value!({"securityContext": {"a": 1}}),
        value!({"securityContext": {"$patch": "no", "b": 1}}),
        value!("unknown patch type: no in map: map[$patch:no b:1]"),
    );
    pod(
        value!({"wrong": {}}),
        value!({"wrong": {}}),
        value!("unable to find api field in struct PodSpec for the json field \"wrong\""),
    );
    let selector = |labels: Value| value!({ "selector": { "matchLabels": labels } });
    let budget = "policy/v1/PodDisruptionBudget";
    check(budget, selector(value!({"a": "b"})), selector(value!({"c": "d"})), selector(value!({"c": "d"})));
}

#[test]
fn keyed_lists_merge() {
    let containers = |items: Value| value!({ "containers": items });
    let two = containers(value!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]));
    pod(
        two.clone(),
        containers(value!([{"name": "b", "image": "2"}])),
        containers(value!([{"name": "a", "image": "1"}, {"name": "b", "image": "2"}])),
    );
    pod(
        two.clone(),
        containers(value!([{"name": "c"}])),
        containers(value!([{"name": "c"}, {"name": "a", "image": "1"}, {"name": "b", "image": "1"}])),
    );
    pod(
        two.clone(),
        containers(value!([{"name": "a", "$patch": "delete"}])),
        containers(value!([{"name": "b", "image": "1"}])),
    );
    pod(two.clone(), containers(value!([{"$patch": "replace"}, {"name": "z"}])), containers(value!([{"name": "z"}])));
    pod(
        two.clone(),
        containers(value!([{"image": "nginx"}])),
        value!("map: map[image:nginx] does not contain declared merge key: name"),
    );
    pod(
        two.clone(),
        containers(value!([{"$patch": "delete"}])),
        value!("map: map[$patch:delete] does not contain declared merge key: name"),
    );
    pod(
        two.clone(),
        containers(value!([{"$patch": "merge"}])),
        value!("merging lists cannot yet be specified in the patch"),
    );
    pod(
        two.clone(),
        containers(value!(["a"])),
        value!("list element types are not identical: [[map[image:1 name:a] map[image:1 name:b]] [a]]"),
    );
    pod(two.clone(), containers(value!([])), two.clone());
    pod(two, containers(Value::Null), value!({}));
    let ports = |items: Value| containers(value!([{ "name": "a", "ports": items }]));
    pod(
        ports(value!([{"containerPort": 80, "name": "x"}])),
        ports(value!([{"containerPort": 80, "protocol": "UDP"}])),
        ports(value!([{"containerPort": 80, "name": "x", "protocol": "UDP"}])),
    );
    pod(
        value!({"tolerations": [{"key": "a"}]}),
        value!({"tolerations": [{"key": "b"}]}),
        value!({"tolerations": [{"key": "b"}]}),
    );
}

#[test]
fn lists_of_scalars() {
    let check = |old: Value, patch: Value, expected: Value| {
        let schema = Schema::of_kind("v1", "Pod").unwrap();
        let patched = strategic(&schema, value!({ "metadata": old }), value!({ "metadata": patch }));
        assert_eq!(
            patched.map_or_else(|error| Value::from(error.to_string()), |mut object| object["metadata"].take()),
            expected
        );
    };
    let finalizers = |items: Value| value!({ "finalizers": items });
    check(finalizers(value!(["a", "b"])), finalizers(value!(["c", "b"])), finalizers(value!(["c", "a", "b"])));
    check(
        finalizers(value!(["a", "b"])),
        value!({"$deleteFromPrimitiveList/finalizers": ["a"]}),
        finalizers(value!(["b"])),
    );
    check(value!({}), value!({"$deleteFromPrimitiveList/finalizers": ["a"]}), value!({}));
    check(
        finalizers(value!(["a"])),
        value!({"$deleteFromPrimitiveList": ["a"]}),
        value!("invalid patch format of primitive list"),
    );
    check(
        finalizers(value!(["a", "b", "c"])),
        value!({"$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["d", "c", "b"], "finalizers": ["d"]}),
        finalizers(value!(["d", "c", "b"])),
    );
}

#[test]
fn element_order() {
    let order = |order: Value, items: Value| value!({ "$setElementOrder/containers": order, "containers": items });
    let old = value!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}]});
    let names =
        |names: &[&str]| value!({ "containers": names.iter().map(|name| value!({"name": name})).collect::<Vec<_>>() });
    pod(
        old.clone(),
        value!({"$setElementOrder/containers": [{"name": "d"}, {"name": "b"}]}),
        names(&["a", "c", "d", "b"]),
    );
    pod(
        old.clone(),
        order(
            value!([{"name": "c"}, {"name": "a"}, {"name": "e"}]),
            value!([{"name": "b", "$patch": "delete"}, {"name": "e"}]),
        ),
        names(&["c", "a", "e", "d"]),
    );
    pod(
        old.clone(),
        order(value!([{"name": "a"}, {"name": "b"}]), value!([{"name": "b"}, {"name": "a"}])),
        value!(
            "The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:a] map[name:b]]\n"
        ),
    );
    pod(
        old.clone(),
        order(value!([{"name": "a"}]), value!([{"image": "x"}])),
        value!("map: map[image:x] does not contain declared merge key: name"),
    );
    pod(old, value!({"$setElementOrder/containers": "a"}), value!("expected a []interface {}, but received a string"));
}

#[test]
fn retain_keys() {
    let volumes = |volume: Value| value!({ "volumes": [volume] });
    pod(
        volumes(value!({"name": "v", "emptyDir": {}})),
        volumes(value!({"name": "v", "hostPath": {"path": "/"}, "$retainKeys": ["name", "hostPath"]})),
        volumes(value!({"name": "v", "hostPath": {"path": "/"}})),
    );
    pod(
        volumes(value!({"name": "v"})),
        volumes(value!({"name": "v", "$retainKeys": ["hostPath"]})),
        value!("invalid patch format of retainKeys"),
    );
    check(
        "apps/v1/Deployment",
        value!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
        value!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}),
        value!({"strategy": {"type": "Recreate"}}),
    );
}

#[test]
fn custom_resources_have_no_strategic_patch() {
    let error = strategic(&Schema::schemaless(), value!({}), value!({})).unwrap_err();
    assert_eq!(error, Error::BadRequest("strategic merge patch format is not supported".into()));
    let error = strategic(&Schema::of_kind("v1", "Pod").unwrap(), value!({}), value!([])).unwrap_err();
    assert!(matches!(error, Error::BadRequest(_)));
}

#[test]
fn json_patch() {
    let check = |patch: Value, expected: Value| {
        let mut object = value!({"a": {"b": [1, 2]}, "c~/d": 1});
        let found = match json(&mut object, &patch) {
            Ok(()) => object,
            Err(error) => {
                assert_eq!(object, value!({"a": {"b": [1, 2]}, "c~/d": 1}));
                Value::from(error.to_string())
            }
        };
        assert_eq!(found, expected, "{patch}");
    };
    check(value!([{"op": "add", "path": "/a/b/-", "value": 3}]), value!({"a": {"b": [1, 2, 3]}, "c~/d": 1}));
    check(
        value!([{"op": "replace", "path": "/c~0~1d", "value": 2}, {"op": "remove", "path": "/a"}]),
        value!({"c~/d": 2}),
    );
    check(
        value!([{"op": "test", "path": "/a/b/0", "value": 1}, {"op": "move", "from": "/a/b", "path": "/e"}]),
        value!({"a": {}, "c~/d": 1, "e": [1, 2]}),
    );
    check(
        value!([{"op": "remove", "path": "/a"}, {"op": "test", "path": "/c~0~1d", "value": 2}]),
        value!("testing value /c~0~1d failed: test failed"),
    );
    check(
        value!([{"op": "remove", "path": "/x"}]),
        value!("error in remove for path: '/x': Unable to remove nonexistent key: x: missing value"),
    );
    check(
        value!([{"op": "remove", "path": "/x/y"}]),
        value!("remove operation does not apply: doc is missing path: \"/x/y\": missing value"),
    );
    check(
        value!([{"op": "remove", "path": "/a/b/7"}]),
        value!("error in remove for path: '/a/b/7': Unable to access invalid index: 7: invalid index referenced"),
    );
    check(
        value!([{"op": "add", "path": "/x/y", "value": 1}]),
        value!("add operation does not apply: doc is missing path: \"/x/y\": missing value"),
    );
    check(
        value!([{"op": "replace", "path": "/x", "value": 1}]),
        value!("replace operation does not apply: doc is missing key: /x: missing value"),
    );
    check(
        value!([{"op": "replace", "path": "/x/y", "value": 1}]),
        value!("replace operation does not apply: doc is missing path: /x/y: missing value"),
    );
    check(
        value!([{"op": "copy", "from": "/x", "path": "/y"}]),
        value!("copy operation does not apply: doc is missing from path: /x: missing value"),
    );
    check(value!([{"op": "fly", "path": "/x"}]), value!("Unexpected kind: fly"));
    check(value!([{"op": "add"}]), value!("add operation failed to decode path: missing value"));
    check(value!([1]), value!("Unexpected kind: unknown"));
    check(value!({}), value!("json: cannot unmarshal object into Go value of type jsonpatch.Patch"));
    let many = vec![value!({"op": "test", "path": "/a/b/0", "value": 1}); 10_001];
    check(Value::from(many), value!("The allowed maximum operations in a JSON patch is 10000, got 10001"));
}

#[test]
fn merge_patch() {
    let mut object = value!({"a": {"b": 1, "c": 2}, "d": [1]});
    merge(&mut object, &value!({"a": {"b": null, "e": {"f": null}}, "d": [null]})).unwrap();
    assert_eq!(object, value!({"a": {"c": 2, "e": {}}, "d": [null]}));
    assert!(matches!(merge(&mut object, &value!([])), Err(Error::BadRequest(_))));
}

#[test]
fn a_manifest_onto_itself_changes_nothing() {
    for (file, object) in testing::manifests() {
        let Some(schema) = Schema::of_kind(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap())
        else {
            continue;
        };
        let created = strategic(&schema, value!({}), object.clone()).unwrap();
        let again =
            strategic(&schema, created.clone(), created.clone()).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(again, created, "{file}");
    }
}

pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "spec",
        "containers",
        "name",
        "ports",
        "containerPort",
        "metadata",
        "labels",
        "finalizers",
        "volumes",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$deleteFromPrimitiveList/finalizers",
        "ownerReferences",
        "uid",
    ]);
    let text = prop::sample::select(vec!["a", "b", "replace", "delete", "merge", "name"]).prop_map(Value::from);
    let leaf = prop_oneof![Just(Value::Null), (0..3).prop_map(Value::from), text, any::<bool>().prop_map(Value::from)];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..4).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_string(), value))
                .collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn any_values_are_answered(object in any_value(), patch in any_value()) {
        let schema = Schema::of_kind("v1", "Pod").unwrap();
        let _ = strategic(&schema, object.clone(), patch.clone());
        let _ = merge(&mut object.clone(), &patch);
        let _ = json(&mut object.clone(), &patch);
    }

    #[test]
    fn twice_is_once(object in any_value(), patch in any_value()) {
        let schema = Schema::of_kind("v1", "Pod").unwrap();
        let object = value!({ "spec": object });
        let patch = value!({ "spec": patch });
        if let Ok(once) = strategic(&schema, object, patch.clone()) {
            let is_plain = !patch.to_string().contains('$') && !patch.to_string().contains("null");
            if let (true, Ok(twice)) = (is_plain, strategic(&schema, once.clone(), patch)) {
                prop_assert_eq!(twice, once);
            }
        }
    }
}

#[test]
fn indexes_of_a_json_patch_count_from_the_end() {
    let check = |patch: Value, expected: Result<Value, &str>| {
        let mut object = value!({"l": [1, 2, {"m": [3, 4]}]});
        let result = super::json(&mut object, &value!([patch])).map(|()| object);
        assert_eq!(result.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
    };
    check(value!({"op": "remove", "path": "/l/-1"}), Ok(value!({"l": [1, 2]})));
    check(value!({"op": "replace", "path": "/l/-3", "value": 0}), Ok(value!({"l": [0, 2, {"m": [3, 4]}]})));
    check(value!({"op": "add", "path": "/l/-1", "value": 0}), Ok(value!({"l": [1, 2, {"m": [3, 4]}, 0]})));
    check(value!({"op": "add", "path": "/l/-4", "value": 0}), Ok(value!({"l": [0, 1, 2, {"m": [3, 4]}]})));
    check(value!({"op": "remove", "path": "/l/-1/m/-2"}), Ok(value!({"l": [1, 2, {"m": [4]}]})));
    check(value!({"op": "move", "from": "/l/-3", "path": "/l/-1"}), Ok(value!({"l": [2, {"m": [3, 4]}, 1]})));
    check(
        value!({"op": "remove", "path": "/l/-4"}),
        Err("error in remove for path: '/l/-4': Unable to access invalid index: -4: invalid index referenced"),
    );
}
