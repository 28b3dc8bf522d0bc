use super::*;
use crate::schema::testing;
use proptest::prelude::*;
use serde_json::json;

/// An object and the writes to it, a second apart.
struct Object {
    schema: Schema,
    api_version: &'static str,
    kind: &'static str,
    value: Option<Value>,
    reset: FieldSet,
    seconds: i64,
}

impl Object {
    fn new(api_version: &'static str, kind: &'static str) -> Self {
        let schema = Schema::of_kind(api_version, kind).unwrap_or_else(Schema::schemaless);
        Self { schema, api_version, kind, value: None, reset: FieldSet::default(), seconds: 0 }
    }

    fn whole(&self, mut fields: Value) -> Value {
        fields["apiVersion"] = json!(self.api_version);
        fields["kind"] = json!(self.kind);
        fields
    }

    fn manager<'a>(&mut self, name: &'a str) -> Manager<'a> {
        self.seconds += 1;
        Manager { name, api_version: self.api_version, subresource: "", now: Timestamp::new(self.seconds, 5).unwrap() }
    }

    fn try_apply(&mut self, name: &str, fields: Value, force: bool) -> Result<(), String> {
        let (manager, applied) = (self.manager(name), self.whole(fields));
        let result = apply(&self.schema, self.value.as_ref(), &applied, &manager, force, &self.reset);
        self.value = Some(result.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn apply(&mut self, name: &str, fields: Value) -> &mut Self {
        self.try_apply(name, fields, false).unwrap();
        self
    }

    fn force(&mut self, name: &str, fields: Value) -> &mut Self {
        self.try_apply(name, fields, true).unwrap();
        self
    }

    fn refused(&mut self, name: &str, fields: Value, message: &str) -> &mut Self {
        let before = self.value.clone();
        assert_eq!(self.try_apply(name, fields, false).unwrap_err(), message);
        assert_eq!(self.value, before);
        self
    }

    /// Writes the object as `name` sees it, keeping metadata that the server adds.
    fn update(&mut self, name: &str, fields: Value) -> &mut Self {
        let (manager, new) = (self.manager(name), self.whole(fields));
        self.value = Some(track_update(&self.schema, self.value.as_ref(), new, &manager, &self.reset));
        self
    }

    /// Without type and owners.
    fn has(&mut self, expected: Value) -> &mut Self {
        let mut found = self.value.clone().unwrap();
        strip_managed_fields(&mut found);
        if found["metadata"].as_object().is_some_and(|metadata| metadata.is_empty()) {
            found.as_object_mut().unwrap().remove("metadata");
        }
        assert_eq!(found, self.whole(expected));
        self
    }

    /// `name Operation time: paths`, in the order of the entries.
    fn owners(&mut self, expected: &[&str]) -> &mut Self {
        let entries =
            managed_fields(self.value.as_ref().unwrap()).and_then(Value::as_array).cloned().unwrap_or_default();
        let print = |entry: &Value| {
            let paths: Vec<_> =
                FieldSet::decode(&entry["fieldsV1"]).unwrap().paths().iter().map(|path| path::print(path)).collect();
            let text = |name: &str| entry[name].as_str().unwrap_or("-").to_string();
            let second = text("time").replace("1970-01-01T00:00:", "").replace('Z', "");
            format!("{} {} {second}: {}", text("manager"), text("operation"), paths.join(" "))
        };
        assert_eq!(entries.iter().map(print).collect::<Vec<_>>(), expected);
        self
    }
}

fn deployment() -> Object {
    Object::new("apps/v1", "Deployment")
}

fn config_map() -> Object {
    Object::new("v1", "ConfigMap")
}

fn pod() -> Object {
    Object::new("v1", "Pod")
}

fn data(fields: Value) -> Value {
    json!({ "data": fields })
}

#[test]
fn what_is_applied_is_owned_and_what_is_dropped_goes() {
    config_map()
        .apply("a", data(json!({"x": "1", "y": "1"})))
        .owners(&["a Apply 01: .data.x .data.y"])
        .apply("a", data(json!({"x": "1"})))
        .has(data(json!({"x": "1"})))
        .owners(&["a Apply 02: .data.x"])
        .apply("a", data(json!({"x": "1"})))
        .owners(&["a Apply 02: .data.x"])
        .apply("a", json!({}))
        .has(json!({}))
        .owners(&[]);
}

#[test]
fn owners_share_what_they_agree_on() {
    let mut object = config_map();
    object.apply("a", data(json!({"x": "1"}))).apply("b", data(json!({"x": "1", "y": "2"})));
    object.owners(&["a Apply 01: .data.x", "b Apply 02: .data.x .data.y"]);
    object.apply("a", json!({})).has(data(json!({"x": "1", "y": "2"}))).owners(&["b Apply 02: .data.x .data.y"]);
    object.apply("b", data(json!({"y": "2"}))).has(data(json!({"y": "2"}))).owners(&["b Apply 04: .data.y"]);
}

#[test]
fn conflicts() {
    let replicas = |replicas: i64| json!({"spec": {"replicas": replicas}});
    let mut object = deployment();
    object.apply("a", replicas(1)).update("kubectl", replicas(2));
    object.owners(&["kubectl Update 02: .spec.replicas"]);
    object.refused(
        "a",
        replicas(3),
        "Apply failed with 1 conflict: conflict with \"kubectl\" using apps/v1: .spec.replicas",
    );
    object.apply("a", replicas(2)).owners(&["a Apply 04: .spec.replicas", "kubectl Update 02: .spec.replicas"]);
    object.refused("b", replicas(3), "Apply failed with 2 conflicts: conflicts with \"a\":\n- .spec.replicas\nconflicts with \"kubectl\" using apps/v1:\n- .spec.replicas");
    object.force("b", replicas(3)).has(replicas(3)).owners(&["b Apply 06: .spec.replicas"]);

    let schema = Schema::of_kind("apps/v1", "Deployment").unwrap();
    let manager = Manager { name: "c", api_version: "apps/v1", subresource: "scale", now: Timestamp::UNIX_EPOCH };
    let object = track_update(&schema, None, object.whole(replicas(1)), &manager, &FieldSet::default());
    let applied = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 2}});
    let error = apply(
        &schema,
        Some(&object),
        &applied,
        &Manager { name: "d", subresource: "", ..manager },
        false,
        &FieldSet::default(),
    );
    let Err(Error::Conflict { message, causes }) = error else { panic!("no conflict") };
    assert_eq!(
        message,
        "Apply failed with 1 conflict: conflict with \"c\" with subresource \"scale\" using apps/v1: .spec.replicas"
    );
    let cause = Cause {
        message: "conflict with \"c\" with subresource \"scale\" using apps/v1".into(),
        field: ".spec.replicas".into(),
    };
    assert_eq!(causes, [cause]);
}

#[test]
fn keyed_lists() {
    let containers = |items: Value| json!({"spec": {"containers": items}});
    let mut object = pod();
    object
        .apply("a", containers(json!([{"name": "web", "image": "1"}])))
        .owners(&["a Apply 01: .spec.containers[name=\"web\"] .spec.containers[name=\"web\"].image .spec.containers[name=\"web\"].name"])
        .apply("b", containers(json!([{"name": "log", "image": "2"}])))
        .has(containers(json!([{"name": "web", "image": "1"}, {"name": "log", "image": "2"}])))
        .refused("b", containers(json!([{"name": "web", "image": "9"}])), "Apply failed with 1 conflict: conflict with \"a\": .spec.containers[name=\"web\"].image")
        .apply("a", containers(json!([{"name": "new", "image": "3"}])))
        .has(containers(json!([{"name": "log", "image": "2"}, {"name": "new", "image": "3"}])))
        .apply("a", json!({"spec": {}}))
        .has(containers(json!([{"name": "log", "image": "2"}])));

    let ports = |items: Value| containers(json!([{"name": "web", "ports": items}]));
    pod()
        .apply("a", ports(json!([{"containerPort": 80}])))
        .update("defaults", ports(json!([{"containerPort": 80, "protocol": "TCP"}])))
        .apply("a", ports(json!([{"containerPort": 80, "name": "http"}])))
        .has(ports(json!([{"containerPort": 80, "protocol": "TCP", "name": "http"}])))
        .apply("a", ports(json!([{"containerPort": 80, "protocol": "UDP"}])))
        .has(ports(json!([{"containerPort": 80, "protocol": "UDP"}])));
}

#[test]
fn items_interleave() {
    let cases = [
        "a b c + a b = a b c",
        "a b + a b c = a b c",
        "a b c +  = a b c",
        " + a b c = a b c",
        "a b + b a = b a",
        "a b c + d e f = a b c d e f",
        "a b c + c d e f = a b c d e f",
        "a b c g f + c d e f = a b c g d e f",
        "a b c + d e f x y z = a b c d e f x y z",
        "c d e f + a c e = a c d e f",
        "a b c x y z + d e f = a b c x y z d e f",
        "a b c x y z + d e f x y z = a b c d e f x y z",
        "c a g f + c f a g = c f a g",
        "a b c d + d e f a = b c d e f a",
        "c d e f g h i j + 2 h 3 e 4 k l = c d f g 2 h i j 3 e 4 k l",
        "a b c d e f g h i j + 1 b 2 h 3 e 4 k l = a 1 b c d f g 2 h i j 3 e 4 k l",
        "a b b + c = a b b c",
        "a b b + b = a b",
        "a b b + a = a b b",
        "a b c d e c + 1 b 2 e d = a 1 b c 2 e c d",
        "a b c d e c + 1 b 2 c e d = a 1 b 2 c e d",
        "a a b b + b c d = a a b c d",
        "a a b b +  = a a b b",
        "c a g f c a + c f a g = c f a g",
    ];
    let schema = Schema::of_kind("v1", "Pod").unwrap();
    for case in cases {
        let (sum, expected) = case.split_once('=').unwrap();
        let (live, config) = sum.split_once('+').unwrap();
        let list = |items: &str| json!({"metadata": {"finalizers": items.split_whitespace().collect::<Vec<_>>()}});
        assert_eq!(merge::merge(schema.root(), &list(live), &list(config)), list(expected), "{case}");
    }
}

#[test]
fn sets_and_atomic_values() {
    let finalizers = |items: Value| json!({"metadata": {"finalizers": items}});
    pod()
        .apply("a", finalizers(json!(["x", "y"])))
        .owners(&["a Apply 01: .metadata.finalizers[=\"x\"] .metadata.finalizers[=\"y\"]"])
        .apply("b", finalizers(json!(["z"])))
        .apply("a", finalizers(json!(["y"])))
        .has(finalizers(json!(["y", "z"])));

    let tolerations = |key: &str| json!({"spec": {"tolerations": [{"key": key}]}});
    pod()
        .apply("a", tolerations("x"))
        .owners(&["a Apply 01: .spec.tolerations"])
        .refused("b", tolerations("y"), "Apply failed with 1 conflict: conflict with \"a\": .spec.tolerations")
        .force("b", tolerations("y"))
        .has(tolerations("y"))
        .owners(&["b Apply 03: .spec.tolerations"]);

    let selector = |labels: Value| json!({"spec": {"selector": {"matchLabels": labels}}});
    deployment().apply("a", selector(json!({"x": "y"}))).owners(&["a Apply 01: .spec.selector"]);
}

#[test]
fn others_fields_beside_dropped_ones_stay() {
    deployment()
        .apply("a", json!({"spec": {"replicas": 1, "paused": true}}))
        .update("server", json!({"spec": {"replicas": 1, "paused": true, "minReadySeconds": 5}}))
        .apply("a", json!({"spec": {"replicas": 1}}))
        .has(json!({"spec": {"replicas": 1, "minReadySeconds": 5}}))
        .owners(&["a Apply 03: .spec.replicas", "server Update 02: .spec.minReadySeconds"])
        .apply("a", json!({}))
        .has(json!({"spec": {"minReadySeconds": 5}}));
}

#[test]
fn updates_take_what_they_change() {
    config_map()
        .update("a", data(json!({"x": "1", "y": "1"})))
        .owners(&["a Update 01: .data .data.x .data.y"])
        .update("b", data(json!({"x": "2"})))
        .owners(&["a Update 01: .data", "b Update 02: .data.x"])
        .update("b", data(json!({"x": "2"})))
        .owners(&["a Update 01: .data", "b Update 02: .data.x"])
        .update("", json!({"metadata": {"managedFields": []}, "data": {"x": "3"}}))
        .owners(&[]);
}

#[test]
fn objects_that_nobody_tracked() {
    let mut object = config_map();
    object.value = Some(object.whole(data(json!({"x": "1", "y": "1"}))));
    object.update("b", data(json!({"x": "2", "y": "1"}))).owners(&[]);
    object.refused(
        "a",
        data(json!({"x": "3"})),
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.x",
    );
    object.apply("a", data(json!({"x": "2"}))).has(data(json!({"x": "2", "y": "1"})));
    object.owners(&["a Apply 03: .data.x", "before-first-apply Update 03: .data .data.x .data.y"]);
}

#[test]
fn metadata_of_the_server_is_not_tracked() {
    let metadata = json!({"metadata": {"name": "a", "namespace": "b", "uid": "c", "resourceVersion": "1", "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"x": "y"}}});
    pod().update("a", metadata).owners(&["a Update 01: .metadata.labels .metadata.labels.x"]);
    pod()
        .apply("a", json!({"metadata": {"name": "a", "labels": {"x": "y"}}}))
        .owners(&["a Apply 01: .metadata.labels.x"]);
}

#[test]
fn reset_fields_are_not_owned() {
    let mut object = deployment();
    object.reset = FieldSet::of_fields(&[&["status"]]);
    object
        .apply("a", json!({"spec": {"replicas": 1}, "status": {"replicas": 1}}))
        .owners(&["a Apply 01: .spec.replicas"]);
    object
        .update("b", json!({"spec": {"replicas": 2}, "status": {"replicas": 7}}))
        .owners(&["b Update 02: .spec.replicas"]);
}

#[test]
fn too_many_updaters_become_one() {
    let mut object = config_map();
    let names: Vec<String> = (0..14).map(|n| format!("m{n:02}")).collect();
    let mut fields = serde_json::Map::new();
    for name in &names {
        fields.insert(name.clone(), json!("1"));
        object.update(name, json!({ "data": fields }));
    }
    let entries = managed_fields(object.value.as_ref().unwrap()).unwrap().as_array().unwrap();
    assert_eq!(entries.len(), UPDATERS_MAX_OF_UPSTREAM);
    assert_eq!(entries[0]["manager"], "ancient-changes");
    assert_eq!(entries[0]["time"], "1970-01-01T00:00:05Z");
    let set = FieldSet::decode(&entries[0]["fieldsV1"]).unwrap();
    assert_eq!(set.paths().len(), 6, ".data and five fields of it");
}

const UPDATERS_MAX_OF_UPSTREAM: usize = 10;

#[test]
fn kubectl_takes_over_its_own_client_side_apply() {
    let annotated = |data: Value, last: Value| json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": last.to_string()}}, "data": data});
    let last = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "1", "y": "1"}});
    let mut object = config_map();
    object.update("kubectl-client-side-apply", annotated(json!({"x": "1", "y": "1", "z": "1"}), last));
    object.refused(
        "other",
        data(json!({"x": "2"})),
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.x",
    );
    object.refused(
        "kubectl",
        data(json!({"x": "2", "z": "2"})),
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.z",
    );
    object.apply("kubectl", data(json!({"x": "2"})));
    let value = object.value.as_ref().unwrap();
    assert_eq!(value["data"], json!({"x": "2", "y": "1", "z": "1"}));
    let annotation =
        value["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].as_str().unwrap();
    assert_eq!(annotation, "{\"apiVersion\":\"v1\",\"data\":{\"x\":\"2\"},\"kind\":\"ConfigMap\"}\n");
}

#[test]
fn requests_that_are_wrong() {
    let mut object = pod();
    object.refused("a", json!({"metadata": {"managedFields": []}}), "metadata.managedFields must be nil");
    let typed = |what: &str| format!("failed to create typed patch object (ns/p; /v1, Kind=Pod): {what}");
    let mut refused = |spec: Value, what: &str| {
        object.refused("a", json!({"metadata": {"name": "p", "namespace": "ns"}, "spec": spec}), &typed(what));
    };
    refused(json!({"foo": 1}), ".spec.foo: field not declared in schema");
    refused(
        json!({"containers": [{"name": "a", "image": 1}]}),
        ".spec.containers[name=\"a\"].image: expected string, got &value.valueUnstructured{Value:1}",
    );
    refused(
        json!({"containers": [{"name": "a"}, {"name": "a"}]}),
        ".spec.containers: duplicate entries for key [name=\"a\"]",
    );
    refused(
        json!({"containers": ["a"]}),
        ".spec.containers: element 0: associative list with keys may not have non-map elements",
    );
    refused(
        json!({"priority": "a", "hostNetwork": 1}),
        "errors:\n  .spec.hostNetwork: expected boolean, got &{1}\n  .spec.priority: expected numeric (int or float), got string",
    );
    refused(json!([]), ".spec: expected map, got &{[]}");
    object.api_version = "v2";
    let manager = Manager { name: "a", api_version: "v1", subresource: "", now: Timestamp::UNIX_EPOCH };
    let error =
        apply(&object.schema, None, &object.whole(json!({})), &manager, false, &FieldSet::default()).unwrap_err();
    assert_eq!(error, Error::BadRequest("invalid object type: /v2, Kind=Pod".into()));
}

#[test]
fn custom_resources_without_a_schema() {
    let mut object = Object::new("example.com/v1", "Website");
    object.apply("a", json!({"spec": {"x": {"y": 1}, "list": [{"name": "a"}]}}));
    object.owners(&["a Apply 01: .spec .spec.list .spec.x .spec.x.y"]);
}

#[test]
fn field_sets() {
    let text = r#"{"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{".":{},"f:image":{}}},"f:list":{"i:1":{},"v:\"a\\u003cb\"":{},"v:1":{}}}}"#;
    let value: Value = serde_json::from_str(text).unwrap();
    let set = FieldSet::decode(&value).unwrap();
    assert_eq!(set.encode().to_string(), text);
    let paths: Vec<_> = set.paths().iter().map(|path| path::print(path)).collect();
    assert_eq!(
        paths,
        [
            ".metadata.labels",
            ".metadata.labels.a",
            ".spec.containers[name=\"web\"]",
            ".spec.containers[name=\"web\"].image",
            ".spec.list[=1]",
            ".spec.list[=\"a<b\"]",
            ".spec.list[1]",
        ]
    );
    assert!(set.contains(&[Element::field("metadata"), Element::field("labels")]));
    assert!(!set.contains(&[Element::field("metadata")]));
    let labels = FieldSet::of_fields(&[&["metadata", "labels"]]);
    assert_eq!(set.difference(&labels).paths().len(), 6);
    assert_eq!(set.recursive_difference(&labels).paths().len(), 5);
    assert_eq!(set.intersection(&labels), labels);
    assert_eq!(set.leaves().paths().len(), 5);
    assert_eq!(FieldSet::decode(&json!({"x:new": {}})).unwrap(), FieldSet::default());
    assert_eq!(FieldSet::decode(&json!({"new": {}})).unwrap_err(), "missing colon: new");
    assert!(FieldSet::decode(&json!({"i:x": {}})).is_err());
    assert_eq!(Atom(json!(1)), Atom(json!(1.0)));
}

#[test]
fn differences() {
    let schema = Schema::of_kind("v1", "Pod").unwrap();
    let old = json!({"spec": {"nodeName": "a", "containers": [{"name": "x", "image": "1"}]}, "metadata": {"labels": {"a": "b"}}});
    let new =
        json!({"spec": {"nodeName": "b", "containers": [{"name": "x", "image": "1", "tty": true}, {"name": "y"}]}});
    let found = compare(schema.root(), &old, &new);
    let print = |set: &FieldSet| set.paths().iter().map(|path| path::print(path)).collect::<Vec<_>>();
    assert_eq!(print(&found.modified), [".spec.nodeName"]);
    assert_eq!(print(&found.removed), [".metadata", ".metadata.labels", ".metadata.labels.a"]);
    let item = ".spec.containers[name=\"y\"]";
    assert_eq!(print(&found.added), [item, ".spec.containers[name=\"x\"].tty", &format!("{item}.name")]);
    assert_eq!(compare(schema.root(), &new, &new), Comparison::default());
}

#[test]
fn applying_a_manifest_twice_changes_nothing() {
    let reset = FieldSet::default();
    for (file, object) in testing::manifests() {
        let (api_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let schema = Schema::of_kind(api_version, kind).unwrap_or_else(Schema::schemaless);
        let manager = Manager { name: "a", api_version, subresource: "", now: Timestamp::UNIX_EPOCH };
        let later = Manager { now: Timestamp::new(60, 0).unwrap(), ..manager };
        let once = apply(&schema, None, &object, &manager, false, &reset)
            .unwrap_or_else(|error| panic!("{file} {kind}: {error}"));
        assert_eq!(apply(&schema, Some(&once), &object, &later, false, &reset).unwrap(), once, "{file} {kind}");
        assert!(
            same_but_times(&once, &track_update(&schema, Some(&once), once.clone(), &later, &reset)),
            "{file} {kind}"
        );
        let bare = json!({"apiVersion": api_version, "kind": kind});
        let emptied = apply(&schema, Some(&once), &bare, &later, false, &reset).unwrap();
        assert_eq!(emptied.get("spec").unwrap_or(&Value::Null), &Value::Null, "{file} {kind}");
    }
}

fn any_data() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    prop::collection::btree_map("[a-f]", "[01]", 0..6)
}

proptest! {
    #[test]
    fn apply_is_idempotent(first in any_data(), second in any_data()) {
        let mut object = config_map();
        object.apply("a", data(json!(first))).force("b", data(json!(second)));
        let once = object.value.clone();
        object.force("b", data(json!(second)));
        prop_assert_eq!(&object.value, &once);
    }

    #[test]
    fn disjoint_owners_come_in_any_order(all in any_data()) {
        let (left, right): (serde_json::Map<_, _>, serde_json::Map<_, _>) =
            all.into_iter().map(|(name, value)| (name, json!(value))).partition(|(name, _)| name.as_str() < "d");
        let (mut one, mut other) = (config_map(), config_map());
        one.apply("a", data(json!(left))).apply("b", data(json!(right)));
        other.apply("b", data(json!(right))).apply("a", data(json!(left)));
        prop_assert_eq!(&one.value.unwrap()["data"], &other.value.unwrap()["data"]);
    }

    #[test]
    fn what_nobody_owns_any_more_is_gone(mine in any_data(), next in any_data(), theirs in any_data()) {
        let mut object = config_map();
        object.apply("a", data(json!(mine))).force("b", data(json!(theirs))).force("a", data(json!(next)));
        let found = object.value.unwrap();
        for name in mine.keys() {
            let is_owned = next.contains_key(name) || theirs.contains_key(name);
            prop_assert_eq!(found["data"].get(name).is_some(), is_owned, "{}", name);
        }
    }

    #[test]
    fn any_values_are_answered(live in crate::patch::tests::any_value(), applied in crate::patch::tests::any_value()) {
        for kind in ["Pod", "Website"] {
            let mut object = Object::new("v1", kind);
            object.value = Some(live.clone());
            let _ = object.try_apply("a", json!({ "spec": applied, "metadata": applied }), true);
            object.value = Some(live.clone());
            let _ = object.try_apply("a", json!({ "spec": applied }), false);
            let manager = object.manager("b");
            let new = track_update(&object.schema, object.value.as_ref(), applied.clone(), &manager, &FieldSet::default());
            track_update(&object.schema, None, new, &manager, &FieldSet::default());
        }
    }

    #[test]
    fn field_sets_survive_their_encoding(left in crate::patch::tests::any_value(), right in crate::patch::tests::any_value()) {
        let schema = Schema::schemaless();
        let (left, right) = (typed::fields(schema.root(), &left), typed::fields(schema.root(), &right));
        prop_assert_eq!(&FieldSet::decode(&left.encode()).unwrap(), &left);
        let all = left.union(&right);
        prop_assert_eq!(&all.difference(&right).union(&all.intersection(&right)), &all);
        prop_assert_eq!(&left.intersection(&right), &right.intersection(&left));
        prop_assert!(left.difference(&all).is_empty());
    }
}
